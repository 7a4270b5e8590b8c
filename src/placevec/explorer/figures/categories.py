"""A plot of the vectors of categories of points of interest: one labeled point a category, colored by group."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from placevec.explorer.figures.canvas import INK, PAPER, QUIET, shown
from placevec.explorer.figures.charts import COLORS, DOTS, ChartReport, save_figure
from placevec.explorer.reductions import Method, reduce_vectors
from placevec.io.progress import SILENT, Progress

_EXTRA = ("#7a6a4f", "#2f7d86", "#a03c3c", "#5f7f2a")
_MAX_GROUPS = len(COLORS) + len(_EXTRA)
_MARGIN = 0.12
_LETTER = 0.6
"""Width of a letter, as a share of its height."""


def write_categories(
    names: Sequence[str],
    vectors: NDArray[np.float32],
    path: Path,
    *,
    method: Method = "pca",
    title: str = "",
    progress: Progress = SILENT,
) -> ChartReport:
    """Write the plot; vectors are scaled to length 1 first, as similarity compares them.

    Args:
        names: of K categories, ``group/value`` or a group alone.
        vectors: (K, D).
        path: the PNG file.
        method: projection.
        title: of the plot.
        progress: where to report.

    Raises:
        InputError: too few categories for the projection.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    reduction = reduce_vectors(unit, method, dim=2, progress=progress)
    x, y = reduction.components.T
    groups = sorted({name.partition("/")[0] for name in names})
    colors = dict(zip(groups, (*COLORS, *_EXTRA), strict=False))
    figure = Figure(figsize=(11.0, 8.0), dpi=DOTS, facecolor=PAPER)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.06, 0.07, 0.76, 0.82))
    axes.tick_params(labelsize=7, colors=QUIET, length=2)
    for side in axes.spines.values():
        side.set_color("#dcddd8")
    axes.scatter(x, y, s=0)
    axes.margins(_MARGIN)
    taken: list[tuple[float, float, float, float]] = []
    for at in sorted(range(len(names)), key=lambda one: "/" in names[one]):
        group, _, value = names[at].partition("/")
        color = colors.get(group, QUIET)
        axes.scatter(x[at], y[at], s=22 if value else 70, color=color, marker="o" if value else "D", zorder=3)
        label, size = shown((value or group).replace("_", " "), 24), 7 if value else 9
        if not _is_free(taken, axes.transData.transform((x[at], y[at])), len(label) * size, size):
            continue
        axes.annotate(
            label, (x[at], y[at]), xytext=(4, 3), textcoords="offset points", size=size, color=color,
            weight="normal" if value else "bold", parse_math=False,
        )  # fmt: skip
    axes.set_xlabel(reduction.axes[0], size=9, color=QUIET)
    axes.set_ylabel(reduction.axes[1], size=9, color=QUIET)
    figure.text(0.06, 0.945, "Categories of points of interest", size=15, weight="bold", color=INK)
    note = f"{shown(title, 60)}: {len(names)} categories in {len(groups)} groups (diamonds), {reduction.name}"
    if len(taken) < len(names):
        note += f"; {len(names) - len(taken)} names that would cover others are left out"
    figure.text(0.06, 0.915, note, size=8.5, color=QUIET, parse_math=False)
    for number, group in enumerate(groups[:_MAX_GROUPS]):
        figure.text(
            0.835, 0.86 - 0.03 * number, shown(group.replace("_", " "), 26), size=9, color=colors[group],
            weight="bold", parse_math=False,
        )  # fmt: skip
    save_figure(figure, path, "")
    rows = [
        {"category": name, "x": round(float(x[at]), 4), "y": round(float(y[at]), 4)}
        for at, name in enumerate(names)
    ]
    return ChartReport(path, rows)


def _is_free(
    taken: list[tuple[float, float, float, float]], at: NDArray[np.float64], letters: float, size: float
) -> bool:
    """Whether a label covers no other one, which is then noted: boxes of about its size, in pixels."""
    left, bottom = float(at[0]), float(at[1])
    box = (left, bottom, left + _LETTER * letters * DOTS / 72.0, bottom + 1.2 * size * DOTS / 72.0)
    if any(box[0] < o[2] and o[0] < box[2] and box[1] < o[3] and o[1] < box[3] for o in taken):
        return False
    taken.append(box)
    return True
