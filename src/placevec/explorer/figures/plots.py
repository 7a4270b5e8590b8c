"""Still pictures: the vectors in two dimensions by PCA, t-SNE and UMAP, one picture for each way to color them.

Drawn by Matplotlib, whose fonts know more scripts than Latin. Texts out of data are drawn as they are: never as
mathematics, never cut into the picture's own words.
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
from placevec.explorer.reductions import FEWEST, NAMES, Method, Reduction, require
from placevec.explorer.sample import Drawn
from placevec.io.atomic import replacing
from placevec.io.progress import SILENT, Progress

if TYPE_CHECKING:
    import pandas as pd

    from placevec.datasets.dataset import Dataset
    from placevec.embeddings import Embeddings

METHODS: tuple[Method, ...] = ("pca", "tsne", "umap")
INCHES, DOTS = (10.0, 7.5), 160
"""Size and resolution: 1600 x 1200 pixels."""
_GRAY = "b5b8ba"
_WIDEST_LABEL = 34


@dataclass(frozen=True)
class PlotsReport:
    """What was written.

    Attributes:
        folder: where the pictures are.
        files: names, method by method.
        places_drawn: places on each: all, or a seeded sample.
        places_total: places in the table.
        skipped: a line for each method that there were too few places for.
    """

    folder: Path
    files: list[str]
    places_drawn: int
    places_total: int
    skipped: list[str]


def write_plots(
    emb: Embeddings,
    folder: str | PathLike[str],
    *,
    dataset: Dataset | None = None,
    columns: pd.DataFrame | None = None,
    title: str | None = None,
    methods: Sequence[Method] = METHODS,
    clusters: int | None = None,
    max_places: int = 20_000,
    seed: int = 0,
    progress: Progress = SILENT,
) -> PlotsReport:
    """Write ``METHOD-COLORING.png`` for each method and each coloring, each whole or not at all.

    Args:
        emb: the places and their vectors.
        folder: made if it is not there.
        dataset: where dominant layer and content density come from.
        columns: more to color by, as for `placevec.explorer.write_page`; a column ``cluster`` replaces k-means.
        title: of each picture; the dataset's name by default.
        methods: of ``pca``, ``tsne`` and ``umap``.
        clusters: of k-means; by default chosen by silhouette.
        max_places: more than these are drawn as a seeded sample, and the pictures say so.
        seed: of the sample, of t-SNE and UMAP, and of k-means.
        progress: where to report.

    Raises:
        InputError: no places, columns that do not fit, a dataset of other places.
        MissingExtraError: Matplotlib, or for ``umap`` umap-learn, is not installed.
    """
    require_plots(methods)
    drawn = Drawn.of(
        emb,
        dataset=dataset,
        columns=columns,
        clusters=clusters,
        max_places=max_places,
        seed=seed,
        progress=progress,
    )
    return plots_of(drawn, folder, title=title, methods=methods)


def require_plots(methods: Sequence[Method]) -> None:
    """MissingExtraError when what the pictures need is not installed: told before the work."""
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
    """`write_plots` of places that are chosen already."""
    folder = Path(folder)
    colorings = [drawn.by_cluster, *(one for one in drawn.known if one.key != drawn.by_cluster.key)]
    files: list[str] = []
    skipped = []
    reduced = []
    for method in dict.fromkeys(methods):
        if len(drawn) < FEWEST[method]:
            skipped.append(f"{NAMES[method]} needs at least {FEWEST[method]} places; there are {len(drawn)}")
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
    """A name of letters and digits only, whatever the coloring is called: no path comes out of data."""
    words = re.sub(
        r"[^a-z0-9]+", "-", str(coloring.content["label"]).lower().encode("ascii", "ignore").decode()
    )
    stem = f"{method}-{words.strip('-')[:40] or coloring.key}"
    name, number = f"{stem}.png", 2
    while name in taken:
        name, number = f"{stem}-{number}.png", number + 1
    return name


def _write(drawn: Drawn, reduction: Reduction, coloring: Coloring, title: str, path: Path) -> None:
    """One picture."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=INCHES, dpi=DOTS, facecolor=PAPER)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0.06, 0.09, 0.62, 0.76))
    x, y = reduction.components[:, 0], reduction.components[:, 1]
    order = np.random.default_rng(0).permutation(len(x))  # so that no category lies over the others
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
    credit = textwrap.wrap(shown(drawn.attribution, 10_000), 165)  # whole, however many sources there are
    size = min(8.0, 24.0 / max(len(credit), 1))
    figure.text(0.06, 0.012, "\n".join(credit), parse_math=False, size=size, color=QUIET)
    if content["kind"] == "category":
        _legend(figure, content)
    else:
        _ramp(figure, content)
    with replacing(path) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a script that no font here knows is drawn as boxes
        canvas.print_png(str(temporary), metadata={"Title": None, "Copyright": latin(drawn.attribution)})


def _frame(axes: Any, reduction: Reduction) -> None:
    axes.set_aspect("equal", adjustable="datalim")
    axes.tick_params(left=False, bottom=False, labelleft=False, labelbottom=False)
    for side in axes.spines.values():
        side.set_color("#dcddd8")
    axes.set_xlabel(reduction.axes[0], color=QUIET, size=9, parse_math=False)
    axes.set_ylabel(reduction.axes[1], color=QUIET, size=9, parse_math=False)


def _dot_area(count: int) -> float:
    """Points squared: large enough to be seen when few, small enough not to hide one another when many."""
    return float(np.clip(24_000.0 / max(count, 1), 2.0, 30.0))


def _colors(coloring: Coloring) -> NDArray[np.float64]:
    """(N, 3) red, green, blue 0..1 of each place."""
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
    """The categories, each with a dot and its count, beside the picture."""
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
    ):  # set later: a legend drops labels that begin with _
        words.set_parse_math(False)
        words.set_text(f"{shown(kind['label'], _WIDEST_LABEL)}  {kind['count']:,}")
        words.set_color(INK)


def _ramp(figure: Any, content: dict[str, Any]) -> None:
    """The ramp of a number, with its ends; values beyond them have the colors of the ends."""
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
