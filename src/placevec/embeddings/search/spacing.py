"""Spacing of search results: distance between them and from the query, and no query far outside the places."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from placevec.embeddings.search.index import Ranking
from placevec.embeddings.table import Embeddings
from placevec.errors import InputError
from placevec.geo import Floats, distance_m, to_ecef

Rows = NDArray[np.int64]
Distances = NDArray[np.float64]

ABOUT = 0.99
"""Default minimum distance as a share of the footprint. Neighboring tiles are one footprint apart, minus rounding."""
FEW_SPACINGS = 3.0
"""How many place spacings a query may lie outside the places."""
_SAMPLE = 2_000
_SPARSE = 99.0  # percentile of the distance to the nearest other place, used as the spacing


def footprint_m(emb: Embeddings) -> float | None:
    """Median north-south side of the places' polygons in meters; None if most are points or missing.

    >>> from placevec.embeddings import Provenance
    >>> import shapely
    >>> box, none = shapely.box(24.94, 60.17, 24.96, 60.18), np.array([None], object)
    >>> emb = Embeddings(["a"], [[1.0]], [[24.95, 60.175]], [box], none, "map", Provenance("m", "d"))
    >>> round(footprint_m(emb))
    1114
    """
    return emb.derived("footprint_m", lambda: _footprint_m(emb))


def _footprint_m(emb: Embeddings) -> float | None:
    import shapely

    rows = _some(np.arange(len(emb)))
    if len(rows) == 0:
        return None
    geometry = emb.geometry_at(rows)
    wide = np.array([shape is not None and bool(shapely.area(shape) > 0) for shape in geometry], bool)
    if 2 * int(wide.sum()) <= len(rows):
        return None
    west, south, east, north = shapely.bounds(geometry[wide]).T
    middle = (west + east) / 2.0
    return float(np.median(distance_m(middle, south, middle, north)))


def spacing_m(emb: Embeddings) -> float:
    """Spacing in meters in the sparse parts: nearly all places have a neighbor within it; 0 for one place."""
    from scipy.spatial import cKDTree

    known = np.flatnonzero(np.isfinite(emb.lonlat).all(axis=1))
    points = np.unique(to_ecef(emb.lonlat[known, 0], emb.lonlat[known, 1]), axis=0)
    if len(points) < 2:
        return 0.0
    found, _ = cKDTree(points).query(points[_some(np.arange(len(points)))], k=2)
    return float(np.percentile(found[:, 1], _SPARSE))


def require_within(emb: Embeddings, lon: float, lat: float, away_m: float) -> None:
    """InputError, with the area, if a point lies more than a few spacings from the nearest place.

    Args:
        emb: the table.
        lon, lat: degrees.
        away_m: meters from the point to the nearest place.
    """
    footprint = footprint_m(emb) or 0.0
    if away_m <= footprint:
        return
    reach = FEW_SPACINGS * max(spacing_m(emb), footprint)
    if 0 < reach < away_m:
        raise InputError(
            f"lon={lon:g}, lat={lat:g} is {_length(away_m)} from the nearest place: these {len(emb):,} places cover "
            f"{covered(emb)}; search there, or embed places around the point"
        )


def covered(emb: Embeddings) -> str:
    """The bounding box of all places in words, also across the antimeridian: ``lon 24.930 to 24.960, lat ...``.

    >>> from placevec.embeddings import Provenance
    >>> none = np.array([None, None], object)
    >>> emb = Embeddings(["a", "b"], np.eye(2), [[24.93, 60.16], [24.96, 60.18]], none, none, "map", Provenance("m", "d"))
    >>> covered(emb), round(spacing_m(emb))
    ('lon 24.930 to 24.960, lat 60.160 to 60.180', 2782)
    """
    known = emb.lonlat[np.isfinite(emb.lonlat).all(axis=1)]
    lon = np.sort(known[:, 0])
    gaps = np.diff(np.append(lon, lon[0] + 360.0))
    after = (int(gaps.argmax()) + 1) % len(lon)  # the widest gap is outside the box
    west, east = lon[after], lon[after - 1]
    south, north = known[:, 1].min(), known[:, 1].max()
    digits = 3 if max((east - west) % 360.0, north - south) < 10.0 else 1
    return f"lon {west:.{digits}f} to {east:.{digits}f}, lat {south:.{digits}f} to {north:.{digits}f}"


def spaced(
    ranking: Ranking, emb: Embeddings, k: int, allowed: int, apart_m: float, farthest: float = np.inf
) -> tuple[Rows, Distances]:
    """The ``k`` best rows of a ranking, no two nearer than ``apart_m``: each is kept unless a better one is near.

    A few are drawn and looked at; if they do not suffice, all places near those that were kept are dropped before more
    are drawn, so that few have to be drawn even where the best lie in one spot.

    Args:
        ranking: the rows, best first; it is used up.
        emb: the table; rows without coordinates are near nothing.
        k: number of rows.
        allowed: number of rows in the ranking.
        apart_m: meters; 0 keeps the ranking as it is.
        farthest: largest distance of a row.
    """
    if not apart_m > 0:
        rows, distances = ranking.draw(k)
        return rows[distances <= farthest], distances[distances <= farthest]
    found: list[tuple[Rows, Distances]] = []
    missing, wanted = k, max(1, min(4 * k, allowed))
    while True:
        rows, distances = ranking.draw(wanted)
        near = int(np.count_nonzero(distances <= farthest))
        kept = _apart(emb.lonlat[rows[:near]], missing, apart_m)
        found.append((rows[kept], distances[kept]))
        missing -= len(kept)
        if missing == 0 or wanted >= allowed or near < len(rows):
            break
        around = [
            rows_near(emb, float(lon), float(lat), apart_m * _CHORD) for lon, lat in emb.lonlat[rows[kept]]
        ]
        allowed = ranking.drop(np.concatenate([rows, *around]))
        wanted = min(4 * wanted, allowed)
        if wanted == 0:
            break
    every_row, every_distance = zip(*found, strict=True)
    return np.concatenate(every_row), np.concatenate(every_distance)


def rows_near(emb: Embeddings, lon: float, lat: float, chord_m: float) -> Rows:
    """Rows less than ``chord_m`` meters, in a straight line, from a point in degrees; none if it is not finite."""
    return _near(emb, lon, lat, chord_m)[0]


def rows_within(emb: Embeddings, lon: float, lat: float, meters: float) -> Rows:
    """Rows less than ``meters`` on the ground from a point in degrees; none if it is not finite.

    No way on the ground is shorter than its chord, nor longer than the arc over that chord with the smallest radius of
    curvature (Schur's theorem), so that the way is computed only between these bounds, which differ by 8 mm at 10 km.
    """
    near, chord = _near(emb, lon, lat, meters)
    sure = 2.0 * _MIN_RADIUS_M * np.sin(min(meters / (2.0 * _MIN_RADIUS_M), 1.0))
    open_ = near[chord >= sure]
    there = emb.lonlat[open_]
    way = distance_m(np.full(len(open_), lon), np.full(len(open_), lat), there[:, 0], there[:, 1])
    return np.concatenate([near[chord < sure], open_[way < meters]])


def _near(emb: Embeddings, lon: float, lat: float, chord_m: float) -> tuple[Rows, Distances]:
    """(rows of `rows_near`, meters to them in a straight line)."""
    if not np.isfinite([lon, lat]).all():
        return np.zeros(0, np.int64), np.zeros(0)
    order, latitudes, longitudes = emb.derived("by latitude", lambda: _by_latitude(emb))
    beside = 1.01 * np.degrees(2.0 * np.arcsin(min(chord_m / (2.0 * _MIN_RADIUS_M), 1.0)))
    part = slice(*np.searchsorted(latitudes, (lat - beside, lat + beside)))
    narrowest = np.cos(np.radians(min(abs(lat) + beside, 90.0)))  # haversines, never longer than the way
    half = 1.01 * np.sin(np.radians(min(beside, 180.0)) / 2.0) + _ROUNDING
    if half < narrowest:
        turned = np.abs(longitudes[part] - np.float32(lon))
        around = np.minimum(turned, np.float32(360.0) - turned) <= np.degrees(
            2.0 * np.arcsin(half / narrowest)
        )
        near = order[part].take(np.flatnonzero(around))
    else:  # around a pole
        near = order[part]
    there = emb.lonlat[near]
    away = to_ecef(there[:, 0], there[:, 1]) - to_ecef(lon, lat)
    square = np.einsum("ij,ij->i", away, away)
    inside = square < chord_m**2
    return np.asarray(near[inside], np.int64), np.sqrt(square[inside])


_MIN_RADIUS_M = 6.335e6  # of curvature: of a meridian, at the equator
_ROUNDING = 1e-6  # of longitudes in float32, in radians
_CHORD = 1.0 - 1e-5  # chords are shorter than the way on the ground


def _by_latitude(emb: Embeddings) -> tuple[NDArray[np.int32], Floats, NDArray[np.float32]]:
    """(rows, latitudes, longitudes), by latitude; rows without coordinates last."""
    order = np.argsort(emb.lonlat[:, 1]).astype(np.int32)
    return order, emb.lonlat[order, 1], emb.lonlat[order, 0].astype(np.float32)


def _apart(lonlat: Floats, k: int, apart_m: float) -> Rows:
    """Positions in a ranking of (M, 2) degrees that are kept, at most ``k``."""
    from scipy.spatial import cKDTree

    known = np.flatnonzero(np.isfinite(lonlat).all(axis=1))
    points = to_ecef(lonlat[known, 0], lonlat[known, 1])
    tree = cKDTree(points)
    of_known = np.full(len(lonlat), -1)
    of_known[known] = np.arange(len(known))
    free = np.ones(len(lonlat), bool)
    kept: list[int] = []
    for first in range(len(lonlat)):
        if not free[first]:
            continue
        kept.append(first)
        if len(kept) == k:
            break
        if of_known[first] >= 0:
            near = tree.query_ball_point(points[of_known[first]], apart_m * _CHORD)
            free[known[near]] = False
    return np.array(kept, np.int64)


def _some(rows: Rows) -> Rows:
    """At most `_SAMPLE` rows, evenly spaced."""
    return rows if len(rows) <= _SAMPLE else rows[np.linspace(0, len(rows) - 1, _SAMPLE).astype(np.int64)]


def _length(meters: float) -> str:
    return f"{meters:,.0f} m" if meters < 10_000 else f"{meters / 1000:,.0f} km"
