"""Predicted distributions as a static figure: one row per class, one column per model, one color scale.

The founding Sphere2Vec shows species and land use this way. Every pixel is a prediction of the model.
"""

from __future__ import annotations

import math
import textwrap
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from placevec.errors import UsageError
from placevec.explorer.figures.canvas import (
    INK,
    PAPER,
    QUIET,
    Canvas,
    coastline,
    degrees,
    draw,
    fonts,
    latin,
    region,
    shown,
    world,
)
from placevec.explorer.figures.predictions import (
    ModelQuery,
    credit_of,
    hatched_of,
    limits_of,
    meaning_of,
    sampled,
)
from placevec.geo import Area, Floats
from placevec.inference.query import Question
from placevec.io.atomic import replacing
from placevec.io.progress import SILENT, Progress

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

DOTS = 200
COLORS = "YlGnBu"
MAX_PANELS = 64
_WIDTH = 11.0
_MAX_HEIGHT = 8.0
MAX_PIXELS = 1_000
"""Maximum side of a map: every pixel is a prediction."""
_GAP, _TITLE, _NAMES, _LEFT = 0.12, 0.62, 0.34, 0.25
_BAR, _FOOT = 0.62, 0.3
_LETTER = 0.08
_WORLD_FROM = 180.0
_AT_ONCE = 65_536


@dataclass(frozen=True)
class FigureReport:
    """The result of writing a figure.

    Attributes:
        path: the PNG file.
        panels: number of maps.
        lowest, highest: limits of the color scale.
        points: number of points drawn, over all classes.
    """

    path: Path
    panels: int
    lowest: float
    highest: float
    points: int

    @property
    def summary(self) -> str:
        """A one-line summary."""
        dots = f", {self.points:,} points" if self.points else ""
        maps = "1 map" if self.panels == 1 else f"{self.panels} maps"
        return f"{maps}{dots}, colors from {self.lowest:.4g} to {self.highest:.4g}"


def write_figure(
    queries: Sequence[ModelQuery],
    area: Area,
    path: Path,
    *,
    land: BaseGeometry | None = None,
    land_only: bool = False,
    points: Sequence[Floats] | None = None,
    title: str | None = None,
    own_scales: bool = False,
    support: bool = True,
    credit: str = "",
    seed: int = 0,
    progress: Progress = SILENT,
) -> FigureReport:
    """Write a PNG atomically.

    Args:
        queries: the models and their queries.
        area: the area to show; if it is at least 180 degrees wide, the whole world in Equal Earth.
        path: the PNG file.
        land: outlines to draw.
        land_only: leave pixels outside ``land`` blank.
        points: (N, 2) lon, lat degrees per class, drawn as dots on its maps; sampled if there are more than 5,000.
        title: title of the figure (default: the class, if there is only one).
        own_scales: use a separate color scale for each map.
        support: hatch where no training point is within reach of a model that knows its own.
        credit: additional attribution, such as that of ``land``.
        seed: random seed of the sample.
        progress: progress reporting.

    Raises:
        UsageError: too many maps, or classifiers and regressors together.
    """
    names = queries[0].question.names
    if len(names) * len(queries) > MAX_PANELS:
        raise UsageError(
            f"{len(names)} classes and {len(queries)} models make {len(names) * len(queries)} maps, but a figure has "
            f"at most {MAX_PANELS}: choose fewer"
        )
    if len({one.question.kind == "number" for one in queries}) > 1:
        raise UsageError("classifiers and regressors cannot share a color scale: draw them separately")
    layout = _Layout.of(area, rows=len(names), columns=len(queries))
    values = _values(queries, layout.canvas, land if land_only else None, progress)
    bare = [_unsupported(one.question, layout.canvas) if support else None for one in queries]
    dots = sampled(points, seed)
    limits = limits_of(values, queries[0].question.kind == "number")
    coast = [] if land is None else coastline(land)
    from matplotlib import rc_context

    with rc_context({"font.family": fonts()}):
        figure, canvas = layout.figure()
        for row, name in enumerate(names):
            for column, one in enumerate(queries):
                panel = values[row, column]
                own = limits_of(panel, one.question.kind == "number") if own_scales else limits
                axes = layout.axes(figure, row, column)
                draw(
                    axes, layout.canvas, panel, colors=_colors(), norm=_norm(own), coast=coast,
                    line_width=0.6 if len(queries) < 3 else 0.4,
                )  # fmt: skip
                if (far := bare[column]) is not None:
                    _hatch(axes, layout.canvas, far & np.isfinite(panel))
                if dots is not None:
                    _scatter(axes, layout.canvas, dots[row], len(queries))
                _degrees(axes, layout, row, column)
                _names_of(axes, layout, row, column, name, one.label, own if own_scales else None)
        _heading(
            figure,
            layout,
            queries,
            title,
            hatched_of(queries) if any(far is not None for far in bare) else "",
        )
        if not own_scales:
            _bar(figure, layout, limits, queries[0].question)
        _foot(figure, queries, credit)
        with replacing(path) as temporary, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # missing glyphs are drawn as boxes
            canvas.print_png(
                str(temporary), metadata={"Title": None, "Copyright": latin(credit_of(queries, credit))}
            )
    return FigureReport(
        path, values.shape[0] * values.shape[1], *limits, sum(len(places) for places in dots or ())
    )


@dataclass(frozen=True)
class _Layout:
    """The position of each map, in inches."""

    canvas: Canvas
    rows: int
    columns: int
    panel: tuple[float, float]
    height: float

    @classmethod
    def of(cls, area: Area, *, rows: int, columns: int) -> _Layout:
        left = _LEFT if rows == 1 else _LEFT + 0.3
        wide = (_WIDTH - left - 0.25 - _GAP * (columns - 1)) / columns
        sharp = min(round(wide * DOTS), MAX_PIXELS)
        if area.crosses_antimeridian or area.east - area.west < _WORLD_FROM:
            canvas = region(area, sharp, sharp)
        else:
            canvas = world(sharp)
        high = min(wide / canvas.aspect, _MAX_HEIGHT / rows)
        total = _TITLE + _NAMES + rows * (high + _GAP) + _BAR + _FOOT
        return cls(canvas, rows, columns, (wide, high), total)

    @property
    def left(self) -> float:
        return _LEFT if self.rows == 1 else _LEFT + 0.3

    def figure(self) -> tuple[Any, Any]:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=(_WIDTH, self.height), dpi=DOTS, facecolor=PAPER)
        return figure, FigureCanvasAgg(figure)

    def axes(self, figure: Any, row: int, column: int) -> Any:
        wide, high = self.panel
        x = self.left + column * (wide + _GAP)
        y = self.height - _TITLE - _NAMES - (row + 1) * high - row * _GAP
        return figure.add_axes((x / _WIDTH, y / self.height, wide / _WIDTH, high / self.height))


def _values(
    queries: Sequence[ModelQuery], canvas: Canvas, land: BaseGeometry | None, progress: Progress
) -> NDArray[np.float32]:
    """(classes, models, H, W) predictions; NaN outside the map, or outside ``land``."""
    import shapely

    shows = canvas.shows
    if land is not None:
        places = canvas.lonlat[shows]
        shapely.prepare(land)
        on_land = shapely.contains_xy(land, (places[:, 0] + 180.0) % 360.0 - 180.0, places[:, 1])
        shows[shows] = on_land
    places = canvas.lonlat[shows]
    rows, columns = np.nonzero(shows)
    values = np.full((len(queries[0].question.names), len(queries), *canvas.shape), np.nan, np.float32)
    with progress.task("Predicting", total=len(queries) * len(places)) as advance:
        for column, one in enumerate(queries):
            for start in range(0, len(places), _AT_ONCE):
                part = slice(start, start + _AT_ONCE)
                values[:, column, rows[part], columns[part]] = one.question.answers(places[part]).T
                advance(len(places[part]))
    return values


def _unsupported(question: Question, canvas: Canvas) -> NDArray[np.bool_] | None:
    """(H, W) whether no training point is within reach; None if all have one."""
    if question.reliability is None:
        return None
    found = np.zeros(canvas.shape, bool)
    shows = canvas.shows
    found[shows] = question.unsupported(canvas.lonlat[shows])
    return found if found.any() else None


def _hatch(axes: Any, canvas: Canvas, where: NDArray[np.bool_]) -> None:
    """Diagonal lines over some pixels."""
    from matplotlib import rc_context

    if not where.any():
        return
    with rc_context({"hatch.linewidth": 0.5, "hatch.color": QUIET}):
        axes.contourf(
            where[::-1].astype(np.float32), levels=[0.5, 1.5], extent=canvas.extent, colors="none", hatches=["////"],
            zorder=1.5,
        )  # fmt: skip


def _norm(limits: tuple[float, float]) -> Any:
    from matplotlib.colors import Normalize

    return Normalize(*limits)


def _colors() -> Any:
    """A color map from light to dark, on which coastlines and dots are visible."""
    from matplotlib import colormaps

    return colormaps[COLORS].with_extremes(bad=(0.0, 0.0, 0.0, 0.0))


def _degrees(axes: Any, layout: _Layout, row: int, column: int) -> None:
    """Labels of meridians on the bottom row and of parallels in the left column, inside the frame."""
    from matplotlib.patheffects import withStroke

    left, right, bottom, top = layout.canvas.extent
    wide, high = right - left, top - bottom
    style: dict[str, Any] = {
        "size": 6.5, "color": INK, "zorder": 6, "path_effects": [withStroke(linewidth=1.8, foreground=PAPER)],
    }  # fmt: skip
    meridians, parallels = degrees(layout.canvas)
    inches = float(min(layout.panel[0], layout.panel[1] * layout.canvas.aspect))
    longest = max((len(text) for _, text in meridians), default=0)
    every = max(
        1, math.ceil(len(meridians) * longest * _LETTER / inches)
    )  # small maps have room for a few labels
    for x, text in meridians[every // 2 :: every] if row == layout.rows - 1 else ():
        if 0.06 * wide < x - left < 0.94 * wide:
            axes.text(x, bottom + 0.012 * high, text, ha="center", va="bottom", **style)
    for y, text in parallels if column == 0 else ():
        if 0.06 * high < y - bottom < 0.97 * high:
            axes.text(left + 0.008 * wide, y, text, ha="left", va="center", **style)


def _scatter(axes: Any, canvas: Canvas, lonlat: Floats, columns: int) -> None:
    """Draw points; the fewer there are on the map, the larger."""
    places = canvas.project(lonlat)
    left, right, bottom, top = canvas.extent
    seen = (places >= [left, bottom]).all(axis=1) & (places <= [right, top]).all(axis=1)
    size = float(np.clip(1_500.0 / max(int(seen.sum()), 1), 2.0, 10.0)) / columns**0.5
    axes.scatter(
        places[:, 0], places[:, 1], s=size, color="#ff5a36", edgecolors="white", linewidths=0.25, zorder=4
    )


def _names_of(
    axes: Any, layout: _Layout, row: int, column: int, name: str, label: str, own: tuple[float, float] | None
) -> None:
    """Label columns with models and rows with classes; with ``own``, also the limits of the map's color scale."""
    if row == 0:
        axes.text(
            0.5, 1.0 + 0.1 / layout.panel[1], shown(label, max(8, round(layout.panel[0] * 9))), parse_math=False,
            ha="center", size=10, color=INK, transform=axes.transAxes,
        )  # fmt: skip
    if column == 0 and layout.rows > 1:
        axes.text(
            -0.14 / layout.panel[0], 0.5, shown(name, max(8, round(layout.panel[1] * 10))), parse_math=False,
            rotation=90, ha="right", va="center", size=10, color=INK, transform=axes.transAxes,
        )  # fmt: skip
    if own is not None:
        axes.text(
            0.99, 0.01, f"{own[0]:.3g} to {own[1]:.3g}", parse_math=False, ha="right", size=7, color=QUIET,
            transform=axes.transAxes,
        )  # fmt: skip


def _heading(
    figure: Any, layout: _Layout, queries: Sequence[ModelQuery], title: str | None, hatched: str
) -> None:
    names = queries[0].question.names
    text = title or (names[0] if len(names) == 1 else "Predicted distributions")
    figure.text(
        _LEFT / _WIDTH,
        1 - 0.36 / layout.height,
        shown(text, 80),
        parse_math=False,
        size=15,
        weight="bold",
        color=INK,
    )
    figure.text(
        _LEFT / _WIDTH,
        1 - 0.56 / layout.height,
        ". ".join(filter(None, (meaning_of(queries), hatched))),
        parse_math=False,
        size=8.5,
        color=QUIET,
    )


def _bar(figure: Any, layout: _Layout, limits: tuple[float, float], question: Question) -> None:
    """The common color bar, below the maps."""
    axes = figure.add_axes((0.3, (_FOOT + 0.28) / layout.height, 0.4, 0.11 / layout.height))
    axes.imshow(np.linspace(0, 1, 256)[None], aspect="auto", cmap=_colors(), extent=(*limits, 0.0, 1.0))
    axes.set_yticks([])
    axes.tick_params(labelsize=8, colors=INK, length=2)
    for side in axes.spines.values():
        side.set_visible(False)
    if question.kind == "number":
        axes.set_xlabel("color scale from the 1st to the 99th percentile", size=7, color=QUIET)


def _foot(figure: Any, queries: Sequence[ModelQuery], credit: str) -> None:
    lines = textwrap.wrap(shown(credit_of(queries, credit), 10_000), 180)
    size = min(7.0, 14.0 / max(len(lines), 1))
    at = _LEFT / _WIDTH, 0.08 / figure.get_size_inches()[1]
    figure.text(*at, "\n".join(lines), parse_math=False, size=size, color=QUIET)
