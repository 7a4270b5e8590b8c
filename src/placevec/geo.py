"""Where things are: areas, slippy tiles, metres on the ellipsoid, spatial blocks.

Longitudes and latitudes are WGS84 degrees and always named; arrays are float64 and ordered (lon, lat).
Web Mercator ends at |lat| = 85.0511 degrees and refuses what lies beyond; everything metric works anywhere.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from placevec.errors import AreaError, InputError

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MAX_MERCATOR_LATITUDE = 85.0511287798066
"""Latitude where Web Mercator's square ends, degrees."""
MAX_ZOOM = 22
TILE_PX = 256
WGS84_A = 6378137.0
"""Semi-major axis of the WGS84 ellipsoid, metres; also the radius of the Web Mercator sphere."""
WGS84_E2 = 0.0066943799901413165
"""Squared first eccentricity of the WGS84 ellipsoid."""
MERCATOR_HALF = math.pi * WGS84_A
"""Half the side of the Web Mercator square, projected metres."""


# --- coordinates -------------------------------------------------------------------------------------------


def wrap_longitude(lon: ArrayLike) -> Floats:
    """Longitudes brought into [-180, 180).

    >>> wrap_longitude([190.0, -180.0, 180.0]).tolist()
    [-170.0, -180.0, -180.0]
    """
    return np.asarray(np.mod(np.asarray(lon, dtype=np.float64) + 180.0, 360.0) - 180.0)


def check_lonlat(lon: ArrayLike, lat: ArrayLike) -> tuple[Floats, Floats]:
    """Finite float64 coordinates, or InputError naming the first row that is not a point on Earth."""
    lon, lat = np.asarray(lon, dtype=np.float64), np.asarray(lat, dtype=np.float64)
    wrong = ~(np.isfinite(lon) & np.isfinite(lat) & (np.abs(lat) <= 90) & (np.abs(lon) <= 360))
    if np.any(wrong):
        row = int(np.flatnonzero(np.atleast_1d(wrong))[0])
        values = f"lon={np.atleast_1d(lon)[row]}, lat={np.atleast_1d(lat)[row]}"
        raise InputError(f"row {row} is not a point on Earth: {values} (are lon and lat swapped?)")
    return lon, lat


# --- areas -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Area:
    """A bounding box (west, south, east, north) in degrees, optionally narrowed by a polygon inside it.

    ``west > east`` means that the box crosses the antimeridian.

    >>> Area(24.93, 60.16, 24.96, 60.18).contains([24.94, 25.0], [60.17, 60.17]).tolist()
    [True, False]
    >>> Area(179.0, -1.0, -179.0, 1.0).contains([180.0, -179.5, 0.0], [0.0, 0.0, 0.0]).tolist()
    [True, True, False]
    """

    west: float
    south: float
    east: float
    north: float
    polygon: BaseGeometry | None = None

    def __post_init__(self) -> None:
        box = (self.west, self.south, self.east, self.north)
        if not all(math.isfinite(value) for value in box):
            raise AreaError(f"the box {box} holds a value that is not a number")
        if max(abs(self.south), abs(self.north)) > 90 or max(abs(self.west), abs(self.east)) > 180:
            raise AreaError(
                f"the box {box} leaves the Earth: the order is west, south, east, north in degrees"
            )
        if self.south >= self.north:
            raise AreaError(f"the box {box} is upside down or empty: south must be less than north")
        if self.west == self.east:
            raise AreaError(f"the box {box} is empty: west equals east")

    @classmethod
    def parse(cls, text: str) -> Area:
        """From ``"west,south,east,north"``.

        >>> Area.parse("14.1, 35.7, 14.6, 36.1").north
        36.1
        """
        try:
            values = [float(part) for part in text.split(",")]
        except ValueError:
            values = []
        if len(values) != 4:
            raise AreaError(f"a bounding box is four numbers, west,south,east,north in degrees; got {text!r}")
        return cls(*values)

    @classmethod
    def from_polygon(cls, polygon: BaseGeometry) -> Area:
        """The box of a polygon or multipolygon (lon, lat degrees), narrowed to it."""
        if polygon.is_empty or polygon.geom_type not in ("Polygon", "MultiPolygon"):
            raise AreaError(f"an area is a polygon that is not empty; got {polygon.geom_type}")
        west, south, east, north = polygon.bounds
        return cls(west, south, east, north, polygon)

    @classmethod
    def from_geojson(cls, path: str | Path) -> Area:
        """The union of all polygons in a GeoJSON file (geometry, feature or collection; RFC 7946, lon, lat)."""
        from shapely import union_all
        from shapely.errors import ShapelyError
        from shapely.geometry import shape

        try:
            content = json.loads(Path(path).read_text("utf-8"))
            features = content.get("features", [content]) if isinstance(content, dict) else []
            geometries = [shape(item.get("geometry", item)) for item in features]
        except OSError as error:
            raise AreaError(f"cannot read the polygon {path}: {error.strerror}") from error
        except (ValueError, AttributeError, KeyError, TypeError, RecursionError, ShapelyError) as error:
            raise AreaError(f"{path} is not GeoJSON: {error}") from error
        polygons = [item for item in geometries if item.geom_type in ("Polygon", "MultiPolygon")]
        if not polygons:
            raise AreaError(f"{path} holds no polygon")
        return cls.from_polygon(union_all(polygons))

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(west, south, east, north) in degrees."""
        return (self.west, self.south, self.east, self.north)

    @property
    def crosses_antimeridian(self) -> bool:
        """Whether the box runs eastwards over the 180th meridian."""
        return self.west > self.east

    def parts(self) -> list[tuple[float, float, float, float]]:
        """One box, or the two halves of a box that crosses the antimeridian."""
        if not self.crosses_antimeridian:
            return [self.bounds]
        halves = [(self.west, self.south, 180.0, self.north), (-180.0, self.south, self.east, self.north)]
        return [half for half in halves if half[0] < half[2]]

    def contains(self, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.bool_]:
        """(N,) bool: which points lie inside, edges included."""
        lon, lat = np.atleast_1d(np.asarray(lon, np.float64)), np.atleast_1d(np.asarray(lat, np.float64))
        inside = np.zeros(lon.shape, bool)
        for west, south, east, north in self.parts():
            for turned in (lon, lon - 360.0, lon + 360.0):
                inside |= (turned >= west) & (turned <= east) & (lat >= south) & (lat <= north)
        if self.polygon is not None and inside.any():
            from shapely import intersects_xy

            inside[inside] = intersects_xy(self.polygon, lon[inside], lat[inside])
        return inside

    def intersects(self, other: Area) -> bool:
        """Whether two boxes share any point (polygons are not looked at)."""
        return any(
            a[0] <= b[2] and b[0] <= a[2] and a[1] <= b[3] and b[1] <= a[3]
            for a in self.parts()
            for b in other.parts()
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON: the bounds, and the polygon as GeoJSON when there is one."""
        content: dict[str, Any] = {"bounds": list(self.bounds)}
        if self.polygon is not None:
            from shapely.geometry import mapping

            content["polygon"] = json.loads(json.dumps(mapping(self.polygon)))
        return content

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Area:
        """The inverse of `as_dict`."""
        polygon = None
        if content.get("polygon"):
            from shapely.geometry import shape

            polygon = shape(content["polygon"])
        west, south, east, north = (float(value) for value in content["bounds"])
        return cls(west, south, east, north, polygon)


# --- slippy tiles ------------------------------------------------------------------------------------------


def check_zoom(zoom: int) -> int:
    """``zoom`` itself if it is 0..22, else InputError."""
    if not 0 <= zoom <= MAX_ZOOM:
        raise InputError(f"zoom {zoom} is out of range: 0 to {MAX_ZOOM} (17 is a tile of 100 to 300 m)")
    return zoom


def lonlat_to_tile_xy(lon: ArrayLike, lat: ArrayLike, zoom: int) -> Floats:
    """Fractional tile coordinates (..., 2), x eastwards from 180° W, y southwards from 85.0511° N.

    The tile is the whole part. Longitudes wrap; latitudes beyond Web Mercator raise InputError.

    >>> lonlat_to_tile_xy(0.0, 0.0, 1).tolist()
    [1.0, 1.0]
    """
    lon, lat = check_lonlat(lon, lat)
    if np.any(np.abs(lat) > MAX_MERCATOR_LATITUDE + 1e-9):
        worst = float(np.max(np.abs(lat)))
        raise InputError(
            f"latitude {worst:.4f} has no map tile: Web Mercator ends at {MAX_MERCATOR_LATITUDE:.4f} degrees"
        )
    scale = float(2 ** check_zoom(zoom))
    sine = np.sin(np.radians(np.clip(lat, -MAX_MERCATOR_LATITUDE, MAX_MERCATOR_LATITUDE)))
    x = (wrap_longitude(lon) + 180.0) / 360.0 * scale
    y = (0.5 - np.arctanh(sine) / (2.0 * np.pi)) * scale
    return np.stack([x, np.clip(y, 0.0, scale)], axis=-1)


def tile_xy_to_lonlat(xy: ArrayLike, zoom: int) -> Floats:
    """The inverse of `lonlat_to_tile_xy`: (..., 2) lon, lat degrees of fractional tile coordinates."""
    xy = np.asarray(xy, np.float64)
    scale = float(2 ** check_zoom(zoom))
    lon = xy[..., 0] / scale * 360.0 - 180.0
    lat = np.degrees(np.arctan(np.sinh(np.pi * (1.0 - 2.0 * xy[..., 1] / scale))))
    return np.stack([lon, lat], axis=-1)


def tile_bounds(x: int, y: int, zoom: int) -> tuple[float, float, float, float]:
    """(west, south, east, north) degrees of a slippy tile.

    >>> tile_bounds(0, 0, 0)[0]
    -180.0
    """
    (west, north), (east, south) = tile_xy_to_lonlat([[x, y], [x + 1, y + 1]], zoom)
    return float(west), float(south), float(east), float(north)


def tile_id(x: int, y: int, zoom: int) -> str:
    """``"z/x/y"``, the place_id of a tile.

    >>> tile_id(3, 5, 4)
    '4/3/5'
    """
    return f"{zoom}/{x}/{y}"


def parse_tile_id(text: str) -> tuple[int, int, int]:
    """(zoom, x, y) of ``"z/x/y"``, or InputError.

    >>> parse_tile_id("4/3/5")
    (4, 3, 5)
    """
    try:
        zoom, x, y = (int(part) for part in text.split("/"))
    except ValueError:
        raise InputError(f"a tile is written z/x/y, such as 17/74567/37890; got {text!r}") from None
    side = 2 ** check_zoom(zoom)
    if not (0 <= x < side and 0 <= y < side):
        raise InputError(f"tile {text} does not exist: x and y go from 0 to {side - 1} at zoom {zoom}")
    return zoom, x, y


def tile_ranges(area: Area, zoom: int) -> list[tuple[int, int, int, int]]:
    """(x_min, y_min, x_max, y_max), inclusive, of the tiles that touch each part of an area.

    Latitudes are cut at the end of Web Mercator. A box that crosses the antimeridian has two parts.
    """
    ranges = []
    side = 2 ** check_zoom(zoom)
    for west, south, east, north in area.parts():
        if south > MAX_MERCATOR_LATITUDE or north < -MAX_MERCATOR_LATITUDE:
            raise InputError(
                f"the area has no map tiles: Web Mercator ends at {MAX_MERCATOR_LATITUDE:.4f} degrees"
            )
        top = (
            (west + 180.0) / 360.0 * side,
            lonlat_to_tile_xy(0.0, min(north, MAX_MERCATOR_LATITUDE), zoom)[1],
        )
        bottom = (
            (east + 180.0) / 360.0 * side,
            lonlat_to_tile_xy(0.0, max(south, -MAX_MERCATOR_LATITUDE), zoom)[1],
        )
        x_min, y_min = math.floor(top[0] + 1e-9), math.floor(top[1] + 1e-9)
        x_max, y_max = math.ceil(bottom[0] - 1e-9) - 1, math.ceil(bottom[1] - 1e-9) - 1
        ranges.append(
            (max(x_min, 0), max(y_min, 0), min(max(x_max, x_min), side - 1), min(max(y_max, y_min), side - 1))
        )
    return ranges


def tiles_of_area(area: Area, zoom: int) -> Ints:
    """(N, 2) x, y of the tiles whose centre lies in the area, in row order; those touching it if there is none."""
    found = []
    for x_min, y_min, x_max, y_max in tile_ranges(area, zoom):
        x, y = np.meshgrid(np.arange(x_min, x_max + 1), np.arange(y_min, y_max + 1))
        found.append(np.stack([x.ravel(), y.ravel()], axis=-1).astype(np.int64))
    tiles = np.concatenate(found)
    centres = tile_xy_to_lonlat(tiles + 0.5, zoom)
    inside = area.contains(centres[:, 0], centres[:, 1])
    return tiles[inside] if inside.any() else tiles


def metres_per_pixel(lat: ArrayLike, zoom: int) -> Floats:
    """Ground metres of one native pixel (256 px tiles) at a latitude, the mean of east-west and north-south.

    The two differ by up to 0.7 % because Web Mercator projects the ellipsoid as a sphere.

    >>> round(float(metres_per_pixel(0.0, 17)), 3)
    1.19
    """
    radians = np.radians(np.asarray(lat, np.float64))
    flat = 1.0 - WGS84_E2 * np.sin(radians) ** 2
    east = WGS84_A / np.sqrt(flat) * np.cos(radians)
    north = WGS84_A * (1.0 - WGS84_E2) / flat**1.5 * np.cos(radians)
    return np.asarray((east + north) / 2.0 * (2.0 * np.pi) / (TILE_PX * 2.0**zoom))


# --- metres ------------------------------------------------------------------------------------------------


def offset(lon: ArrayLike, lat: ArrayLike, *, east_m: ArrayLike, north_m: ArrayLike) -> Floats:
    """(..., 2) lon, lat reached by walking metres east and north along the ellipsoid.

    The direction is the bearing at the start and the way a geodesic, so poles and antimeridian need no care.
    """
    from pyproj import Geod

    lon, lat, east, north = np.broadcast_arrays(*check_lonlat(lon, lat), east_m, north_m)
    bearing = np.degrees(np.arctan2(east, north))
    arrived_lon, arrived_lat, _ = Geod(ellps="WGS84").fwd(lon, lat, bearing, np.hypot(east, north))
    return np.stack([wrap_longitude(arrived_lon), np.asarray(arrived_lat, np.float64)], axis=-1)


def local_offset(lon: ArrayLike, lat: ArrayLike, *, east_m: ArrayLike, north_m: ArrayLike) -> Floats:
    """Like `offset` for steps up to some kilometres, in closed form on the local radii of curvature.

    Some fifty times faster; the error grows with the square of the step: below 0.2 m at 1 km and |lat| < 65, 0.6 m at 80.
    """
    lon, lat = np.asarray(lon, np.float64), np.asarray(lat, np.float64)
    sine2 = np.sin(np.radians(lat)) ** 2
    flat = 1.0 - WGS84_E2 * sine2
    prime_vertical = WGS84_A / np.sqrt(flat)
    meridian = WGS84_A * (1.0 - WGS84_E2) / flat**1.5
    moved_lat = lat + np.degrees(np.asarray(north_m) / meridian)
    middle = np.radians(np.clip((lat + moved_lat) / 2.0, -89.9999, 89.9999))
    moved_lon = lon + np.degrees(np.asarray(east_m) / (prime_vertical * np.cos(middle)))
    return np.stack(np.broadcast_arrays(wrap_longitude(moved_lon), np.clip(moved_lat, -90.0, 90.0)), axis=-1)


def distance_m(lon_a: ArrayLike, lat_a: ArrayLike, lon_b: ArrayLike, lat_b: ArrayLike) -> Floats:
    """Geodesic distance in metres on the WGS84 ellipsoid.

    >>> round(float(distance_m(24.94, 60.17, 24.95, 60.17)))
    555
    """
    from pyproj import Geod

    arrays = np.broadcast_arrays(*check_lonlat(lon_a, lat_a), *check_lonlat(lon_b, lat_b))
    return np.asarray(Geod(ellps="WGS84").inv(*arrays)[2], dtype=np.float64)


def to_ecef(lon: ArrayLike, lat: ArrayLike) -> Floats:
    """(..., 3) earth-centred metres of points on the ellipsoid.

    Straight-line distances here are ground distances to 1 part in 100,000 up to 100 km, everywhere alike:
    no projection, no antimeridian, no poles. Neighbour searches run on these.
    """
    lon, lat = check_lonlat(lon, lat)
    lam, phi = np.radians(lon), np.radians(lat)
    radius = WGS84_A / np.sqrt(1.0 - WGS84_E2 * np.sin(phi) ** 2)
    z = radius * (1.0 - WGS84_E2) * np.sin(phi)
    return np.stack([radius * np.cos(phi) * np.cos(lam), radius * np.cos(phi) * np.sin(lam), z], axis=-1)


# --- spatial blocks ----------------------------------------------------------------------------------------


def spatial_blocks(lon: ArrayLike, lat: ArrayLike, size_m: float) -> Ints:
    """(N,) int64 number of the block, about ``size_m`` square, that each point lies in.

    Rows are bands of latitude; each is cut into a whole number of equal columns, so blocks keep their size at
    any latitude and the last one meets the first at the antimeridian.
    """
    if not size_m > 0:
        raise InputError(f"a spatial block needs a positive size in metres; got {size_m}")
    lon, lat = check_lonlat(np.atleast_1d(lon), np.atleast_1d(lat))
    rows_total = max(1, round(math.pi * WGS84_A / size_m))
    row = np.minimum(((lat + 90.0) / 180.0 * rows_total).astype(np.int64), rows_total - 1)
    middle = np.radians((row + 0.5) / rows_total * 180.0 - 90.0)
    columns_total = np.maximum(1, np.round(2.0 * math.pi * WGS84_A * np.cos(middle) / size_m)).astype(
        np.int64
    )
    column = np.minimum(
        ((wrap_longitude(lon) + 180.0) / 360.0 * columns_total).astype(np.int64), columns_total - 1
    )
    return row * (2 * rows_total + 8) + column


def within_distance(lonlat: Floats, others: Floats, distance: float) -> NDArray[np.bool_]:
    """(N,) bool: which of ``lonlat`` (N, 2) lie closer than ``distance`` metres to any of ``others`` (M, 2)."""
    if len(lonlat) == 0 or len(others) == 0:
        return np.zeros(len(lonlat), bool)
    from scipy.spatial import cKDTree

    tree = cKDTree(to_ecef(others[:, 0], others[:, 1]))
    nearest, _ = tree.query(to_ecef(lonlat[:, 0], lonlat[:, 1]), distance_upper_bound=distance)
    return np.asarray(np.isfinite(nearest))


def hold_out_blocks(
    lonlat: Floats, *, size_m: float, share: float, buffer_m: float, seed: int
) -> tuple[Ints, Ints]:
    """(kept, held out) rows of ``lonlat`` (N, 2): whole random blocks held out, a buffer around them given up.

    Blocks are drawn until they hold ``share`` of the points; kept points lie at least ``buffer_m`` from every
    held-out one. The same seed gives the same blocks.
    """
    blocks = spatial_blocks(lonlat[:, 0], lonlat[:, 1], size_m)
    names, inverse, counts = np.unique(blocks, return_inverse=True, return_counts=True)
    order = np.random.default_rng([seed, 0xB10C]).permutation(len(names))
    before = np.cumsum(counts[order]) - counts[order]
    chosen = np.zeros(len(names), bool)
    chosen[order[before < share * len(lonlat)]] = share > 0
    held_out = chosen[inverse]
    kept = ~held_out & ~within_distance(lonlat, lonlat[held_out], buffer_m)
    return np.flatnonzero(kept), np.flatnonzero(held_out)


def metric_grid(area: Area, spacing_m: float) -> Floats:
    """(N, 2) lon, lat of points ``spacing_m`` metres apart, in rows from the south, inside the area.

    >>> grid = metric_grid(Area(24.93, 60.16, 24.96, 60.18), 500)
    >>> round(float(distance_m(*grid[0], *grid[1])))
    500
    """
    if not spacing_m > 0:
        raise InputError(f"the spacing of places is a positive number of metres; got {spacing_m}")
    found = []
    for west, south, east, north in area.parts():
        height = float(distance_m(west, south, west, north))
        for row in range(int(height // spacing_m) + 1):
            lat = float(local_offset(west, south, east_m=0.0, north_m=(row + 0.5) * spacing_m)[1])
            if lat > north:
                break
            parallel = (
                WGS84_A
                * math.cos(math.radians(lat))
                / math.sqrt(1 - WGS84_E2 * math.sin(math.radians(lat)) ** 2)
            )
            step = math.degrees(spacing_m / max(parallel, 1e-6))
            lon = np.arange(west + step / 2, east, step)
            found.append(np.stack([lon, np.full(len(lon), lat)], axis=-1))
    points = np.concatenate(found) if found else np.zeros((0, 2))
    return points[area.contains(points[:, 0], points[:, 1])]


def footprint_bounds(lonlat: Floats, size_m: ArrayLike, zoom: int) -> Floats:
    """(N, 4) x0, y0, x1, y1 in fractional tile coordinates of squares ``size_m`` metres wide centred on points."""
    centre = lonlat_to_tile_xy(lonlat[:, 0], lonlat[:, 1], zoom)
    half = np.asarray(size_m) / (2.0 * TILE_PX * metres_per_pixel(lonlat[:, 1], zoom))
    return np.stack(
        [centre[:, 0] - half, centre[:, 1] - half, centre[:, 0] + half, centre[:, 1] + half], axis=-1
    )
