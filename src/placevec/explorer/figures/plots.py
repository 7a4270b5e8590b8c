"""Static plots: the vectors in two dimensions by PCA, t-SNE and UMAP, one plot per coloring.

Drawn with Matplotlib. Text from data is drawn literally, never parsed as math.
"""

from __future__ import annotations

import importlib.util
import re
import textwrap
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from placevec.errors import MissingExtraError
from placevec.explorer.coloring import Coloring
from placevec.explorer.figures.canvas import INK, PAPER, QUIET, fonts, latin, shown
from placevec.explorer.reductions import MIN_PLACES, NAMES, Method, Reduction, require
from placevec.explorer.sample import Drawn
from placevec.io.atomic import replacing

if TYPE_CHECKING:
    pass

METHODS: tuple[Method, ...] = ("pca", "tsne", "umap")
INCHES, DOTS = (10.0, 7.5), 160
"""Size in inches and dots per inch: 1600 x 1200 pixels."""
_GRAY = "b5b8ba"
_WIDEST_LABEL = 34


@dataclass(frozen=True)
class PlotsReport:
    """The result of writing plots.

    Attributes:
        folder: the output directory.
        files: file names, method by method.
        places_drawn: number of places on each plot: all, or a random sample.
        places_total: number of places in the table.
        skipped: a message for each method that was skipped because there are too few places.
    """

    folder: Path
    files: list[str]
    places_drawn: int
    places_total: int
    skipped: list[str]


def require_plots(methods: Sequence[Method]) -> None:
    """MissingExtraError if a required package is not installed; call it before any work."""
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingExtraError("matplotlib", "explore")
    for method in methods:
        require(method)


def plots_of(
    drawn: Drawn,
    folder: str | PathLike[str],
    *,
    title: str | None = None,
    methods: Sequence[Method] = METHODS,
) -> PlotsReport:
    """Write ``METHOD-COLORING.png`` into a folder for each method and coloring, each atomically."""
    folder = Path(folder)
    colorings = [drawn.by_cluster, *(one for one in drawn.known if one.key != drawn.by_cluster.key)]
    files: list[str] = []
    skipped = []
    reduced = []
    for method in dict.fromkeys(methods):
        if len(drawn) < MIN_PLACES[method]:
            skipped.append(
                f"{NAMES[method]} needs at least {MIN_PLACES[method]} places; there are {len(drawn)}"
            )
        else:
            reduced.append(drawn.reduction(method, 2))
    from matplotlib import rc_context

    with (
        rc_context({"font.family": fonts()}),
        drawn.progress.task("Drawing plots", total=len(reduced) * len(colorings)) as advance,
    ):
        for reduction in reduced:
            for coloring in colorings:
                name = _file_name(reduction.method, coloring, files)
                _write(drawn, reduction, coloring, title or drawn.title, folder / name)
                files.append(name)
                advance(1)
    return PlotsReport(folder, files, len(drawn), drawn.total, skipped)


def _file_name(method: Method, coloring: Coloring, taken: Sequence[str]) -> str:
    """A file name of letters, digits and hyphens, so that no path comes from data."""
    words = re.sub(
        r"[^a-z0-9]+", "-", str(coloring.content["label"]).lower().encode("ascii", "ignore").decode()
    )
    stem = f"{method}-{words.strip('-')[:40] or coloring.key}"
    name, number = f"{stem}.png", 2
    while name in taken:
        name, number = f"{stem}-{number}.png", number + 1
    return name


def _write(drawn: Drawn, reduction: Reduction, coloring: Coloring, title: str, path: Path) -> None:
    """Write one plot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=INCHES, dpi=DOTS, facecolor=PAPER)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0.06, 0.09, 0.62, 0.76))
    x, y = reduction.components[:, 0], reduction.components[:, 1]
    order = np.random.default_rng(0).permutation(len(x))  # so that no category covers the others
    axes.scatter(
        x[order], y[order], s=_dot_area(len(x)), c=_colors(coloring)[order], linewidths=0, alpha=0.85,
        rasterized=True,
    )  # fmt: skip
    _frame(axes, reduction)
    content = coloring.content
    words: list[tuple[float, float, str, dict[str, Any]]] = [
        (0.06, 0.945, title, {"size": 15, "weight": "bold", "color": INK}),
        (0.06, 0.905, f"{reduction.name}, colored by: {content['label']}", {"size": 11, "color": INK}),
        (
            0.06,
            0.87,
            f"{drawn.extent}, {drawn.emb.dim} dimensions; {reduction.note}",
            {"size": 8.5, "color": QUIET},
        ),
    ]
    for left, bottom, text, style in words:
        figure.text(left, bottom, shown(text, 110), parse_math=False, **style)
    credit = textwrap.wrap(shown(drawn.attribution, 10_000), 165)  # never truncated
    size = min(8.0, 24.0 / max(len(credit), 1))
    figure.text(0.06, 0.012, "\n".join(credit), parse_math=False, size=size, color=QUIET)
    if content["kind"] == "category":
        _legend(figure, content)
    else:
        _ramp(figure, content)
    with replacing(path) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # missing glyphs are drawn as boxes
        canvas.print_png(str(temporary), metadata={"Title": None, "Copyright": latin(drawn.attribution)})


def _frame(axes: Any, reduction: Reduction) -> None:
    axes.set_aspect("equal", adjustable="datalim")
    axes.tick_params(left=False, bottom=False, labelleft=False, labelbottom=False)
    for side in axes.spines.values():
        side.set_color("#dcddd8")
    axes.set_xlabel(reduction.axes[0], color=QUIET, size=9, parse_math=False)
    axes.set_ylabel(reduction.axes[1], color=QUIET, size=9, parse_math=False)


def _dot_area(count: int) -> float:
    """Marker area in points squared, smaller for more places."""
    return float(np.clip(24_000.0 / max(count, 1), 2.0, 30.0))


def _colors(coloring: Coloring) -> NDArray[np.float64]:
    """(N, 3) red, green, blue of each place, 0..1."""
    content, values = coloring.content, coloring.values
    if content["kind"] == "category":
        table = np.array([_rgb(kind["color"] or _GRAY) for kind in content["categories"]])
        return np.asarray(table[values])
    if content["kind"] == "rgb":
        return np.asarray(values, np.float64) / 255.0
    from matplotlib import colormaps

    spread = (content["high"] - content["low"]) or 1.0
    share = ((values - content["low"]) / spread).clip(0.0, 1.0)
    colors = colormaps["viridis"](np.nan_to_num(share) * 0.95)[:, :3]
    colors[~np.isfinite(share)] = _rgb(_GRAY)
    return np.asarray(colors)


def _rgb(color: str) -> list[float]:
    return [int(color[at : at + 2], 16) / 255.0 for at in (0, 2, 4)]


def _legend(figure: Any, content: dict[str, Any]) -> None:
    """The legend: categories with their color and count."""
    from matplotlib.lines import Line2D

    kinds = content["categories"]
    size = 9 if len(kinds) <= 22 else max(5.0, 9 * 22 / len(kinds))
    dots = [
        Line2D([], [], marker="o", linestyle="", markersize=size * 0.75, color=f"#{kind['color'] or _GRAY}")
        for kind in kinds
    ]
    legend = figure.legend(
        dots, ["."] * len(kinds), loc="upper left", bbox_to_anchor=(0.69, 0.86), frameon=False, fontsize=size,
        handletextpad=0.2, labelspacing=0.55,
    )  # fmt: skip
    for words, kind in zip(
        legend.get_texts(), kinds, strict=True
    ):  # set afterwards: Matplotlib drops labels that start with _
        words.set_parse_math(False)
        words.set_text(f"{shown(kind['label'], _WIDEST_LABEL)}  {kind['count']:,}")
        words.set_color(INK)


def _ramp(figure: Any, content: dict[str, Any]) -> None:
    """The color bar of a number; values beyond its limits have the colors of the limits."""
    from matplotlib import colormaps

    axes = figure.add_axes((0.72, 0.25, 0.025, 0.5))
    axes.imshow(
        colormaps["viridis"](np.linspace(0.95, 0.0, 256))[:, None, :3], aspect="auto", extent=(0, 1, 0, 1)
    )
    axes.set_xticks([])
    axes.yaxis.tick_right()
    low, high = content["low"], content["high"]
    axes.set_yticks([0.0, 0.5, 1.0])
    signs = ("≤ " if content["minimum"] < low else "", "", "≥ " if content["maximum"] > high else "")
    axes.set_yticklabels(
        [f"{sign}{value:.4g}" for sign, value in zip(signs, (low, (low + high) / 2.0, high), strict=True)],
        size=9,
    )
    axes.set_title(shown(content.get("unit") or "", 20), size=9, color=QUIET, parse_math=False)
    for side in axes.spines.values():
        side.set_visible(False)
