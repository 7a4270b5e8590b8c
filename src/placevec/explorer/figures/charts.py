"""Charts that compare models: accuracy by latitude, and training curves."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec.errors import InputError
from placevec.explorer.figures.canvas import INK, PAPER, QUIET, fonts, latin, shown
from placevec.geo import Floats
from placevec.io.atomic import replacing

DOTS = 160
COLORS = ("#22558f", "#d2542f", "#3b8f5a", "#8a5bb0", "#b8891f", "#4aa3b5", "#b5496f", "#6b6f73")
_MIN_PLACES = 5
"""Minimum number of places of a latitude band; smaller bands are omitted."""


@dataclass(frozen=True)
class Evaluated:
    """The predictions of a model on held-out places.

    Attributes:
        label: name of the model.
        lat: (N,) latitudes of the places.
        right: (N,) 1 if the top prediction is the true class, else 0; or absolute errors of numbers.
        number: whether these are errors.
        split: name of the split, such as ``test``.
    """

    label: str
    lat: Floats
    right: NDArray[np.float64]
    number: bool
    split: str


@dataclass(frozen=True)
class ChartReport:
    """The result of writing a chart.

    Attributes:
        path: the PNG file.
        rows: the plotted numbers.
    """

    path: Path
    rows: list[dict[str, Any]]

    @property
    def summary(self) -> str:
        """A one-line summary."""
        return f"{len(self.rows)} values plotted; --json prints them"


def bands(one: Evaluated, width: float) -> list[dict[str, Any]]:
    """One row per latitude band: its edges, number of places, and the mean with its 95% confidence interval.

    Accuracy has a Wilson interval, errors have a normal interval. Bands with fewer than 5 places are omitted.

    >>> rows = bands(Evaluated("a", np.zeros(100), np.ones(100), False, "test"), 90.0)
    >>> [(row["south"], row["places"], round(row["low"], 3)) for row in rows]
    [(0.0, 100, 0.963)]
    """
    found = []
    for south in np.arange(-90.0, 90.0, width):
        north = min(south + width, 90.0)
        inside = (one.lat >= south) & ((one.lat < north) | (north >= 90.0))
        values = one.right[inside]
        if len(values) < _MIN_PLACES:
            continue
        mean = float(values.mean())
        low, high = _spread(values) if one.number else wilson(mean, len(values))
        found.append(
            {"model": one.label, "south": float(south), "north": float(north), "places": len(values),
             "mean": mean, "low": low, "high": high}
        )  # fmt: skip
    return found


def wilson(share: float, count: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's 95% confidence interval of a proportion (Wilson 1927).

    >>> tuple(round(end, 4) for end in wilson(0.5, 10))
    (0.2366, 0.7634)
    """
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * (share * (1 - share) / count + z * z / (4 * count * count)) ** 0.5
    return middle - half, middle + half


def write_latitude(
    evaluated: Sequence[Evaluated], path: Path, *, band: float = 15.0, credit: str = ""
) -> ChartReport:
    """Write a PNG with the accuracy (or error) of each model by latitude, and the number of places per band.

    Args:
        evaluated: models, all classifiers or all regressors.
        path: the PNG file.
        band: width of a band in degrees of latitude.
        credit: attribution of the data.

    Raises:
        InputError: classifiers and regressors together, or no band with enough places.
    """
    if len({one.number for one in evaluated}) > 1:
        raise InputError("classifiers and regressors cannot share a chart: draw them separately")
    rows = [row for one in evaluated for row in bands(one, band)]
    if not rows:
        raise InputError(f"no band of {band:g} degrees has {_MIN_PLACES} places: use wider bands (--band)")
    figure, axes, counts = _two_charts()
    south, north = min(row["south"] for row in rows), max(row["north"] for row in rows)
    margin = max(0.04 * (north - south), 0.1 * band)
    aside = 0.7 * (north - south) / 180.0
    for number, one in enumerate(evaluated):
        own = [row for row in rows if row["model"] == one.label]
        middle = [
            (row["south"] + row["north"]) / 2 + (number - (len(evaluated) - 1) / 2) * aside for row in own
        ]
        mean = np.array([row["mean"] for row in own])
        reach = np.array([[row["mean"] - row["low"], row["high"] - row["mean"]] for row in own]).T
        axes.errorbar(
            middle, mean, yerr=np.maximum(reach, 0.0), color=COLORS[number % len(COLORS)], marker="o", markersize=4,
            linewidth=1.3, elinewidth=0.9, capsize=2,
        )  # fmt: skip
    first = [row for row in rows if row["model"] == evaluated[0].label]
    counts.bar(
        [(row["south"] + row["north"]) / 2 for row in first], [row["places"] for row in first],
        width=[(row["north"] - row["south"]) * 0.9 for row in first], color="#c9d3d9",
    )  # fmt: skip
    axes.set_ylabel("mean absolute error" if evaluated[0].number else "accuracy (top 1)", size=9, color=QUIET)
    counts.set_ylabel("places", size=9, color=QUIET)
    counts.set_xlabel("latitude", size=9, color=QUIET)
    for part in (axes, counts):
        part.set_xlim(max(south - margin, -90.0), min(north + margin, 90.0))
        if north - south > 120.0:
            part.set_xticks(range(-90, 91, 30))
    if not evaluated[0].number:
        axes.set_ylim(-0.02, 1.02)
    splits = " and ".join(dict.fromkeys(one.split for one in evaluated))
    what = "Error" if evaluated[0].number else "Accuracy"
    _dress(
        figure,
        axes,
        [one.label for one in evaluated],
        f"{what} by latitude",
        f"Places: {splits}. Error bars are 95% confidence intervals",
        credit,
    )
    save_figure(figure, path, credit)
    return ChartReport(path, rows)


def write_curves(
    runs: Mapping[str, Sequence[Mapping[str, Any]]], path: Path, *, metric: str | None = None
) -> ChartReport:
    """Write a PNG with the loss, and one more metric, of each run by training step.

    Args:
        runs: name -> rows of its ``metrics.jsonl``.
        path: the PNG file.
        metric: metric of the lower chart (default: the first metric besides the loss that all runs have).

    Raises:
        InputError: a run without rows, or an unknown metric (the message lists the available ones).
    """
    for name, rows in runs.items():
        if not rows:
            raise InputError(f"{name} has no metrics yet (metrics.jsonl): it has not finished an epoch")
    known = [
        key
        for key in _measured(next(iter(runs.values())))
        if all(key in _measured(rows) for rows in runs.values())
    ]
    further = [key for key in known if key.startswith("validation/") and key != "validation/loss"]
    chosen = metric or (further[0] if further else None)
    if metric is not None and metric not in known:
        raise InputError(f"not every run has the metric {metric!r}; choose from {', '.join(known)}")
    figure, axes, lower = _two_charts(even=True)
    drawn = []
    for number, (name, rows) in enumerate(runs.items()):
        color = COLORS[number % len(COLORS)]
        for key, style in (("loss/train", ":"), ("validation/loss", "-")):
            drawn += _curve(axes, name, key, rows, color, style)
        if chosen is not None:
            drawn += _curve(lower, name, chosen, rows, color, "-")
    axes.set_ylabel("loss: training dotted, validation solid", size=9, color=QUIET)
    if chosen is None:  # no common metric: the loss fills the figure
        lower.remove()
        axes.set_position((0.09, 0.11, 0.66, 0.74))
    else:
        lower.set_ylabel(shown(chosen, 40), size=9, color=QUIET, parse_math=False)
    (axes if chosen is None else lower).set_xlabel("training step", size=9, color=QUIET)
    _dress(figure, axes, list(runs), "Training curves", "One line per run", "")
    save_figure(figure, path, "")
    return ChartReport(path, drawn)


def _curve(
    axes: Any, name: str, key: str, rows: Sequence[Mapping[str, Any]], color: str, style: str
) -> list[dict[str, Any]]:
    points = [(row["step"], row[key]) for row in rows if isinstance(row.get(key), int | float)]
    if points:
        steps, values = zip(*points, strict=True)
        marker = "o" if len(points) == 1 else ""
        axes.plot(steps, values, color=color, linestyle=style, linewidth=1.3, marker=marker)
    return [{"run": name, "metric": key, "step": step, "value": value} for step, value in points]


def _measured(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of all metrics in the rows, in order."""
    names = dict.fromkeys(key for row in rows for key, value in row.items() if isinstance(value, int | float))
    return [name for name in names if name != "step"]


def _spread(values: NDArray[np.float64]) -> tuple[float, float]:
    half = 1.959964 * float(values.std(ddof=1)) / len(values) ** 0.5
    return float(values.mean()) - half, float(values.mean()) + half


def _two_charts(even: bool = False) -> tuple[Any, Any, Any]:
    """A figure with two charts, one above the other; the lower one is smaller unless ``even``."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 6.4), dpi=DOTS, facecolor=PAPER)
    FigureCanvasAgg(figure)
    split = 0.46 if even else 0.31
    upper = figure.add_axes((0.09, split + 0.03, 0.66, 0.85 - split - 0.03))
    lower = figure.add_axes((0.09, 0.11, 0.66, split - 0.14 + 0.02))
    for axes in (upper, lower):
        axes.tick_params(labelsize=8, colors=QUIET, length=2)
        axes.grid(color="#eceeec", linewidth=0.7)
        axes.set_axisbelow(True)
        for side in axes.spines.values():
            side.set_color("#dcddd8")
    return figure, upper, lower


def _dress(figure: Any, axes: Any, labels: Sequence[str], title: str, below: str, credit: str) -> None:
    from matplotlib.lines import Line2D

    figure.text(0.09, 0.945, title, size=15, weight="bold", color=INK)
    figure.text(0.09, 0.905, shown(below, 110), size=8.5, color=QUIET, parse_math=False)
    lines = [Line2D([], [], color=COLORS[number % len(COLORS)], linewidth=2) for number in range(len(labels))]
    legend = figure.legend(
        lines, ["."] * len(labels), loc="upper left", bbox_to_anchor=(0.76, 0.87), frameon=False, fontsize=9
    )
    for words, label in zip(
        legend.get_texts(), labels, strict=True
    ):  # Matplotlib drops labels that start with _
        words.set_parse_math(False)
        words.set_text(shown(label, 26))
        words.set_color(INK)
    figure.text(0.09, 0.015, shown(credit, 150), size=7, color=QUIET, parse_math=False)


def save_figure(figure: Any, path: Path, credit: str) -> None:
    """Write a figure as a PNG, atomically, with its attribution in the metadata."""
    from matplotlib import rc_context

    with rc_context({"font.family": fonts()}), replacing(path) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # missing glyphs are drawn as boxes
        figure.canvas.print_png(str(temporary), metadata={"Title": None, "Copyright": latin(credit)})
