"""Similarity kernels of location encoders: the similarity of every place on Earth to one, as a globe and by distance."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
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
    draw,
    fonts,
    globe,
    latin,
    shown,
)
from placevec.geo import Floats
from placevec.io.atomic import replacing
from placevec.io.progress import SILENT, Progress

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

DOTS = 200
MAX_ENCODERS = 8
_WIDTH, _GAP, _LEFT = 11.0, 0.2, 0.55
_HEAD, _NAME, _PROFILE, _FOOT = 0.75, 0.3, 1.5, 0.95
_DIRECTIONS, _DISTANCES = 24, 240
_HALF_WAY_KM = 20_015.0

Vectors = Callable[[Floats], NDArray[np.floating]]
"""(N, 2) lon, lat degrees -> (N, D) vectors."""


@dataclass(frozen=True)
class KernelsReport:
    """The result of drawing kernels.

    Attributes:
        path: the PNG file.
        encoders: names of the encoders.
        at: lon, lat degrees of the place.
        lowest: the lowest similarity.
    """

    path: Path
    encoders: tuple[str, ...]
    at: tuple[float, float]
    lowest: float

    @property
    def summary(self) -> str:
        """A one-line summary."""
        return f"similarity to lon {self.at[0]:g}, lat {self.at[1]:g} with {', '.join(self.encoders)}"


def write_kernels(
    encoders: Sequence[tuple[str, Vectors]],
    at: tuple[float, float],
    path: Path,
    *,
    land: BaseGeometry | None = None,
    credit: str = "",
    progress: Progress = SILENT,
) -> KernelsReport:
    """Write a PNG of cosine similarities: a globe per encoder, and below it the mean and range over all directions.

    Args:
        encoders: names and functions that compute vectors.
        at: lon, lat degrees of the reference place, the center of the globe.
        path: the PNG file.
        land: outlines to draw.
        credit: attribution of the outlines.
        progress: progress reporting.

    Raises:
        UsageError: no encoders, or more than 8.
    """
    if not 1 <= len(encoders) <= MAX_ENCODERS:
        raise UsageError(f"the number of encoders must be 1 to {MAX_ENCODERS}; got {len(encoders)}")
    wide = (_WIDTH - _LEFT - 0.25 - _GAP * (len(encoders) - 1)) / max(len(encoders), 2)
    height = _HEAD + _NAME + wide + 0.25 + _PROFILE + _FOOT
    canvas = globe(*at, round(wide * DOTS))
    around = circles(*at)
    alike, profiles = [], []
    with progress.task("Comparing", total=len(encoders)) as advance:
        for _, vectors in encoders:
            alike.append(_on_canvas(vectors, at, canvas))
            profiles.append(similarity(vectors, at, around.reshape(-1, 2)).reshape(around.shape[:2]))
            advance(1)
    lowest = min(*(float(np.nanmin(one)) for one in alike), *(float(one.min()) for one in profiles))
    coast = [] if land is None else coastline(land)
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    with rc_context({"font.family": fonts()}):
        figure = Figure(figsize=(_WIDTH, height), dpi=DOTS, facecolor=PAPER)
        canvas_of = FigureCanvasAgg(figure)
        norm = Normalize(min(0.0, lowest), 1.0)
        for column, (name, _) in enumerate(encoders):
            left = (_LEFT + column * (wide + _GAP)) / _WIDTH
            box = (left, (_FOOT + _PROFILE + 0.25) / height, wide / _WIDTH, wide / height)
            axes = figure.add_axes(box)
            draw(axes, canvas, alike[column], colors=_colors(), norm=norm, coast=coast)
            axes.plot(0, 0, marker="+", markersize=7, color="#ff5a36", zorder=6)
            axes.set_title(shown(name, max(10, round(wide * 10))), size=10, color=INK, parse_math=False)
            _profile(
                figure.add_axes((left, _FOOT / height, wide / _WIDTH, _PROFILE / height)),
                profiles[column], norm, column == 0,
            )  # fmt: skip
        _words(figure, height, at, credit)
        with replacing(path) as temporary, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # missing glyphs are drawn as boxes
            canvas_of.print_png(str(temporary), metadata={"Title": None, "Copyright": latin(credit)})
    return KernelsReport(path, tuple(name for name, _ in encoders), at, lowest)


def similarity(vectors: Vectors, at: tuple[float, float], places: Floats) -> NDArray[np.float64]:
    """(N,) cosine similarity of places to the place ``at``, -1 to 1; 0 for vectors of length 0.

    >>> similarity(lambda lonlat: lonlat, (1.0, 0.0), np.array([[2.0, 0.0], [0.0, 3.0]])).tolist()
    [1.0, 0.0]
    """
    own = np.asarray(vectors(np.array([at])), np.float64)[0]
    found = np.zeros(len(places))
    for start in range(0, len(places), 32_768):
        part = np.asarray(vectors(places[start : start + 32_768]), np.float64)
        length = np.linalg.norm(part, axis=1) * np.linalg.norm(own)
        found[start : start + len(part)] = np.divide(
            part @ own, length, out=np.zeros(len(part)), where=length > 0
        )
    return np.clip(found, -1.0, 1.0)


def circles(lon: float, lat: float) -> Floats:
    """(directions, distances, 2) lon, lat degrees along great circles from a place to its antipode.

    >>> circles(0.0, 0.0)[0, -1].round(6).tolist()[0]  # the antipode
    -180.0
    """
    turn = np.linspace(0.0, 2 * math.pi, _DIRECTIONS, endpoint=False)[:, None]
    far = np.linspace(0.0, math.pi, _DISTANCES)[None, :]
    phi, lam = math.radians(lat), math.radians(lon)
    sine = math.sin(phi) * np.cos(far) + math.cos(phi) * np.sin(far) * np.cos(turn)
    along = np.arcsin(np.clip(sine, -1.0, 1.0))
    across = lam + np.arctan2(
        np.sin(turn) * np.sin(far) * math.cos(phi), np.cos(far) - math.sin(phi) * np.sin(along)
    )
    degrees = (np.degrees(across) + 180.0) % 360.0 - 180.0
    return np.stack((degrees, np.degrees(along)), axis=-1)


def _on_canvas(vectors: Vectors, at: tuple[float, float], canvas: Canvas) -> NDArray[np.float32]:
    values = np.full(canvas.shape, np.nan, np.float32)
    values[canvas.shows] = similarity(vectors, at, canvas.lonlat[canvas.shows])
    return values


def _profile(axes: Any, alike: NDArray[np.float64], norm: Any, first: bool) -> None:
    """Mean similarity by distance, and its range over directions."""
    far = np.linspace(0.0, _HALF_WAY_KM, alike.shape[1])
    axes.fill_between(far, alike.min(axis=0), alike.max(axis=0), color="#9fc3d9", alpha=0.6, linewidth=0)
    axes.plot(far, alike.mean(axis=0), color="#22558f", linewidth=1.2)
    axes.set_xlim(0, _HALF_WAY_KM)
    axes.set_ylim(norm.vmin - 0.03, 1.03)
    axes.set_xticks([0, 5_000, 10_000, 15_000, 20_000], ["0", "5", "10", "15", "20"])
    axes.tick_params(labelsize=7, colors=QUIET, length=2, labelleft=first)
    axes.set_xlabel("distance (thousand km)", size=8, color=QUIET)
    if first:
        axes.set_ylabel("cosine similarity", size=8, color=QUIET)
    for side in axes.spines.values():
        side.set_color("#dcddd8")


def _colors() -> Any:
    from matplotlib import colormaps

    return colormaps["YlGnBu"].with_extremes(bad=(0.0, 0.0, 0.0, 0.0))


def _words(figure: Any, height: float, at: tuple[float, float], credit: str) -> None:
    left = _LEFT / _WIDTH
    where = f"Similarity to lon {at[0]:g}, lat {at[1]:g}"
    figure.text(left, 1 - 0.36 / height, where, size=15, weight="bold", color=INK)
    meaning = "Cosine similarity of vectors. Below: its mean (line) and range (band) over 24 directions"
    figure.text(left, 1 - 0.57 / height, meaning, size=8.5, color=QUIET)
    figure.text(left, 0.12 / height, shown(credit, 180), parse_math=False, size=7, color=QUIET)
