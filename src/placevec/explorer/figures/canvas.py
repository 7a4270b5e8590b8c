"""Static maps: a grid of pixels in a projection, the coordinates of each pixel, and lines on top.

Models predict at the pixels themselves, so nothing is resampled. There are three projections: Equal Earth (equal-area)
for the world, equirectangular with the true aspect ratio at the central latitude for regions, and a globe.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from placevec.geo import Area, Floats
from placevec.inference.grid import span

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

from placevec.io.progress import printable

Line = Floats
"""(N, 2) points in order."""
_STEPS = (30.0, 20.0, 10.0, 5.0, 2.0, 1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)
_EDGE = 1e-6


@dataclass(frozen=True)
class Canvas:
    """Pixels of a map.

    Attributes:
        extent: left, right, bottom and top, in units of the projection.
        lonlat: (H, W, 2) lon, lat degrees of each pixel, from the top left; NaN outside the map.
        project: (N, 2) lon, lat degrees -> (N, 2) projected; NaN on the far side of a globe.
        frame: the closed border of the map.
        graticule: spacing of meridians and parallels in degrees.
        jump: a line is split where consecutive points are farther apart than this (opposite sides of the map).
        straight: whether meridians are vertical and parallels horizontal.
    """

    extent: tuple[float, float, float, float]
    lonlat: Floats
    project: Callable[[Floats], Floats]
    frame: Line
    graticule: float
    jump: float = math.inf
    straight: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """Number of pixel rows and columns."""
        rows, columns = self.lonlat.shape[:2]
        return rows, columns

    @property
    def aspect(self) -> float:
        """Width divided by height."""
        left, right, bottom, top = self.extent
        return (right - left) / (top - bottom)

    @property
    def shows(self) -> NDArray[np.bool_]:
        """(H, W) bool: whether a pixel is inside the map."""
        found: NDArray[np.bool_] = np.isfinite(self.lonlat[..., 0])
        return found

    def lines(self, places: Line) -> list[Line]:
        """Project a line in degrees, split where it leaves the map or jumps to its other side."""
        points = self.project(places)
        apart = np.abs(np.diff(points, axis=0)).max(axis=1, initial=0.0) > self.jump
        visible = np.asarray(np.isfinite(points).all(axis=1))
        cuts = np.flatnonzero(apart | ~visible[1:] | ~visible[:-1]) + 1
        parts = np.split(points, cuts)
        return [part for part in parts if len(part) > 1]


def world(width: int) -> Canvas:
    """The world in Equal Earth (Šavrič et al. 2019), an equal-area projection, ``width`` pixels wide.

    >>> canvas = world(41)
    >>> bool((abs(canvas.lonlat[canvas.shape[0] // 2, 20]) < 5).all())
    True
    """
    from pyproj import Proj

    projection = Proj("+proj=eqearth +R=1")
    right, top = projection(180.0, 0.0)[0], projection(0.0, 90.0)[1]

    def project(places: Floats) -> Floats:
        return np.stack(projection(places[:, 0], places[:, 1]), axis=1)

    x, y = _pixels((-right, right, -top, top), width)
    lon, lat = projection(x, y, inverse=True)
    back = np.stack(projection(lon, lat), axis=-1)
    there = np.isfinite(back).all(axis=-1) & (np.abs(back[..., 0] - x) < _EDGE) & (np.abs(lon) <= 180.0)
    lonlat = np.where(there[..., None], np.stack((lon, lat), axis=-1), np.nan)
    side = np.linspace(-90.0, 90.0, 181)
    frame = np.concatenate(
        (np.stack((np.full(181, -180.0), side), 1), np.stack((np.full(181, 180.0), side[::-1]), 1))
    )
    return Canvas(
        (-right, right, -top, top), lonlat, project, project(np.concatenate((frame, frame[:1]))), 30.0, right
    )


def region(area: Area, width: int, max_height: int | None = None) -> Canvas:
    """A bounding box, with the true aspect ratio at its central latitude, ``width`` pixels wide.

    ``max_height`` limits the height in pixels and reduces the width accordingly.

    >>> region(Area(24.0, 60.0, 26.0, 61.0), 40).shape  # a degree of longitude is half as long as one of latitude
    (41, 40)
    """
    middle = (area.west + span(area) / 2.0, (area.south + area.north) / 2.0)
    narrow = max(math.cos(math.radians(middle[1])), 0.05)
    extent = (-span(area) / 2 * narrow, span(area) / 2 * narrow, area.south, area.north)
    aspect = (extent[1] - extent[0]) / (extent[3] - extent[2])
    if max_height is not None:
        width = max(1, min(width, math.floor(max_height * aspect)))

    def project(places: Floats) -> Floats:
        east = (places[:, 0] - middle[0] + 180.0) % 360.0 - 180.0
        return np.stack((east * narrow, places[:, 1]), axis=1)

    x, y = _pixels(extent, width)
    left, right, bottom, top = extent
    frame = np.array([[left, bottom], [left, top], [right, top], [right, bottom], [left, bottom]])
    step = next((one for one in _STEPS if max(span(area) * narrow, top - bottom) / one >= 4), _STEPS[-1])
    return Canvas(
        extent, np.stack((x / narrow + middle[0], y), axis=-1), project, frame, step, 180.0 * narrow, True
    )


def globe(lon: float, lat: float, width: int) -> Canvas:
    """The hemisphere centered on a place (orthographic projection).

    >>> globe(10.0, 50.0, 21).lonlat[10, 10].round(6).tolist()
    [10.0, 50.0]
    """
    from pyproj import Proj

    projection = Proj(f"+proj=ortho +lat_0={float(lat)!r} +lon_0={float(lon)!r} +R=1")
    extent = (-1.0, 1.0, -1.0, 1.0)

    def project(places: Floats) -> Floats:
        found = np.stack(projection(places[:, 0], places[:, 1]), axis=1)
        return np.where(np.isfinite(found).all(axis=1)[:, None], found, np.nan)

    x, y = _pixels(extent, width)
    inside = x * x + y * y < 1.0
    across, along = projection(np.where(inside, x, 0.0), np.where(inside, y, 0.0), inverse=True)
    lonlat = np.where(inside[..., None], np.stack((across, along), axis=-1), np.nan)
    turn = np.linspace(0.0, 2 * math.pi, 361)
    return Canvas(extent, lonlat, project, np.stack((np.cos(turn), np.sin(turn)), axis=1), 30.0)


def coastline(land: BaseGeometry) -> list[Line]:
    """The outlines of land as lines in degrees, without the artificial edges along the antimeridian and the poles.

    >>> from shapely.geometry import box
    >>> [len(line) for line in coastline(box(10, 50, 20, 60))]
    [5]
    """
    import shapely

    lines: list[Line] = []
    for ring in shapely.get_parts(shapely.boundary(shapely.get_parts(land))):
        places = shapely.get_coordinates(ring)
        edge = (np.abs(places[:, 0]) > 179.99) | (np.abs(places[:, 1]) > 89.99)
        cuts = np.flatnonzero(edge[1:] & edge[:-1]) + 1
        lines += [part for part in np.split(places, cuts) if len(part) > 1]
    return lines


def graticule(canvas: Canvas) -> list[Line]:
    """Meridians and parallels as lines in degrees.

    >>> len(graticule(world(40))) > 10
    True
    """
    west, east, south, north = _around(canvas)
    along, across = np.linspace(south, north, 361), np.linspace(west, east, 721)
    return [
        *(np.stack((np.full(len(along), lon), along), axis=1) for lon in _multiples(canvas, west, east)),
        *(
            np.stack((across, np.full(len(across), lat)), axis=1)
            for lat in _multiples(canvas, south, north)
            if abs(lat) < 90
        ),
    ]


def degrees(canvas: Canvas) -> tuple[list[tuple[float, str]], list[tuple[float, str]]]:
    """(x and label of each meridian, y and label of each parallel) of a canvas where these are straight lines.

    >>> degrees(region(Area(170.0, -5.0, -170.0, 5.0), 20))[0][1:4]
    [(-5.0, '175°E'), (0.0, '180°'), (5.0, '175°W')]
    """
    if not canvas.straight:
        return [], []
    west, east, south, north = _around(canvas)
    left, right, bottom, top = canvas.extent
    lon, lat = _multiples(canvas, west, east), _multiples(canvas, south, north)
    across = canvas.project(np.stack((lon, np.zeros(len(lon))), axis=1))[:, 0]
    up = canvas.project(np.stack((np.full(len(lat), west), lat), axis=1))[:, 1]
    meridians = [
        (float(x), _degree(at, "EW")) for x, at in zip(across, lon, strict=True) if left <= x <= right
    ]
    parallels = [(float(y), _degree(at, "NS")) for y, at in zip(up, lat, strict=True) if bottom <= y <= top]
    return meridians, parallels


def _around(canvas: Canvas) -> tuple[float, float, float, float]:
    """West, east, south and north of the visible area, extended by one step of the graticule."""
    step = canvas.graticule
    known = canvas.lonlat[canvas.shows]
    south, north = max(-90.0, float(known[:, 1].min()) - step), min(90.0, float(known[:, 1].max()) + step)
    return float(known[:, 0].min()) - step, float(known[:, 0].max()) + step, south, north


def _multiples(canvas: Canvas, low: float, high: float) -> Floats:
    step = canvas.graticule
    return np.arange(math.ceil(low / step), math.floor(high / step) + 1).astype(np.float64) * step


def _degree(at: float, letters: str) -> str:
    """The label of a longitude (any range) or latitude; ``letters`` are those of positive and negative values."""
    value = round(float((at + 180.0) % 360.0 - 180.0), 6)
    letter = "" if value in (0.0, -180.0) else letters[int(value < 0)]
    return f"{abs(value):g}°{letter}"


def draw(
    axes: Any,
    canvas: Canvas,
    values: NDArray[np.float32],
    *,
    colors: Any,
    norm: Any,
    coast: list[Line],
    line_width: float = 0.5,
) -> None:
    """Draw (H, W) values as an image on an axes, with coastlines, graticule and frame; NaN is transparent."""
    from matplotlib.collections import LineCollection

    axes.imshow(
        np.ma.masked_invalid(values), extent=canvas.extent, cmap=colors, norm=norm, interpolation="nearest",
        aspect="equal", zorder=1,
    )  # fmt: skip
    net = [part for line in graticule(canvas) for part in canvas.lines(line)]
    axes.add_collection(
        LineCollection(net, colors="#8a9299", linewidths=line_width * 0.6, alpha=0.35, zorder=2)
    )
    shore = [part for line in coast for part in canvas.lines(line)]
    axes.add_collection(LineCollection(shore, colors="#101417", linewidths=line_width, alpha=0.8, zorder=3))
    axes.plot(canvas.frame[:, 0], canvas.frame[:, 1], color="#626a70", linewidth=0.8, zorder=5, clip_on=False)
    left, right, bottom, top = canvas.extent
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    axes.axis("off")


def _pixels(extent: tuple[float, float, float, float], width: int) -> tuple[Floats, Floats]:
    """(H, W) x and y of the pixel centers, from the top left."""
    left, right, bottom, top = extent
    height = max(1, round(width * (top - bottom) / (right - left)))
    across = left + (np.arange(width) + 0.5) * (right - left) / width
    down = top - (np.arange(height) + 0.5) * (top - bottom) / height
    x, y = np.meshgrid(across, down)
    return x, y


INK, QUIET, PAPER, LINE = "#1b2024", "#626a70", "#ffffff", "#dcddd8"
"""Colors of text, secondary text, background and frames."""


def fonts() -> list[str]:
    """Font families: Matplotlib's default, and installed fonts that cover other scripts.

    >>> fonts()[0]
    'DejaVu Sans'
    """
    from matplotlib.font_manager import get_font_names

    there = get_font_names()
    wanted = (
        "Noto Sans CJK",
        "Noto Sans",
        "Source Han Sans",
        "WenQuanYi",
        "PingFang",
        "Hiragino Sans",
        "Arial Unicode",
    )
    return ["DejaVu Sans", *sorted({name for name in there if name.startswith(wanted)})[:40]]


def shown(text: Any, maximum: int) -> str:
    """Printable text on one line, truncated to ``maximum`` characters.

    >>> shown("a long\\nname", 8)
    'a long …'
    """
    line = printable(" ".join(str(text).split()))
    return line if len(line) <= maximum else line[: maximum - 1] + "…"


def latin(text: str) -> str:
    """Text for PNG metadata, which must be Latin-1.

    >>> latin("© Žižkov")
    '© ?i?kov'
    """
    return text.encode("latin-1", "replace").decode("latin-1")[:1000]
