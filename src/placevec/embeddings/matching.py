"""Matches rows of a table with places by place_id, footprint or distance, and joins their vectors."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from placevec.errors import InputError
from placevec.geo import Floats, Ints, to_ecef
from placevec.geo.antimeridian import points_within, wrapped
from placevec.geo.coordinate_names import coordinate_columns

if TYPE_CHECKING:
    import pandas as pd

Objects = np.ndarray[Any, np.dtype[np.object_]]
On = Literal["place_id", "footprint", "nearest"]
Unmatched = Literal["nan", "drop", "error"]


@dataclass
class Matches:
    """Pairs of a row and a place, sorted by row. A point matches at most one place, a polygon any number.

    Attributes:
        rows: (P,) positions in the user's table.
        places: (P,) positions in the table of places.
        meters: (P,) distance from the row's point to the place's center; 0 if one contains the other.
        count: number of rows in the user's table.
    """

    rows: Ints
    places: Ints
    meters: Floats
    count: int

    @property
    def matched(self) -> NDArray[np.bool_]:
        """(count,) bool: rows with a place."""
        found: NDArray[np.bool_] = np.zeros(self.count, bool)
        found[self.rows] = True
        return found

    def mean(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """(count, D): the vector of each row's place, the mean if there are several, NaN if there is none.

        >>> pairs = Matches(np.array([0, 2, 2]), np.array([1, 0, 1]), np.zeros(3), 3)
        >>> pairs.mean(np.array([[1, 2], [3, 4]], np.float32)).tolist()
        [[3.0, 4.0], [nan, nan], [2.0, 3.0]]
        """
        found = np.full((self.count, vectors.shape[1]), np.nan, np.float32)
        rows, starts, counts = np.unique(self.rows, return_index=True, return_counts=True)
        found[rows] = vectors[self.places[starts]]
        several = counts > 1
        for row, start, count in zip(rows[several], starts[several], counts[several], strict=True):
            found[row] = vectors[self.places[start : start + count]].mean(axis=0, dtype=np.float64)
        return found

    def only(self, names: Objects) -> Objects:
        """(count,) the name of each row's place; None if it has none or several."""
        found = np.full(self.count, None, object)
        rows, starts, counts = np.unique(self.rows, return_index=True, return_counts=True)
        alone = counts == 1
        found[rows[alone]] = names[self.places[starts[alone]]]
        return found


def match(
    frame: Any,
    place_id: Objects,
    places: Objects,
    lonlat: Floats,
    *,
    on: On | None = None,
    max_distance_m: float | None = None,
) -> Matches:
    """Match the rows of a table with places: by ``place_id`` if it has that column, otherwise by `match_by_location`.

    Raises:
        InputError: an unknown ``on``, an invalid distance, or no column to match by.

    >>> import pandas as pd
    >>> places, lonlat = np.array([None, None], object), np.array([[24.94, 60.17], [24.95, 60.17]])
    >>> shops = pd.DataFrame({"lon": [24.9402, 25.5], "lat": [60.17, 60.17]})
    >>> found = match(shops, np.array(["a", "b"], object), places, lonlat, max_distance_m=50)
    >>> found.rows.tolist(), found.places.tolist(), found.meters.round().tolist()
    ([0], [0], [11.0])
    """
    if on not in (None, "place_id", "footprint", "nearest"):
        raise InputError(f"on must be place_id, footprint or nearest; got {on!r}")
    if max_distance_m is not None and not 0 <= max_distance_m < np.inf:
        raise InputError(f"max_distance_m must be a number of meters, 0 or more; got {max_distance_m}")
    has_ids = "place_id" in getattr(frame, "columns", ())
    if on == "place_id" or (on is None and has_ids):
        if not has_ids:
            raise InputError("the table has no column place_id to join on")
        return match_by_id(frame["place_id"], place_id)
    return match_by_location(
        geometry_of_rows(frame), places, lonlat, on=on, max_distance_m=max_distance_m
    )  # fmt: skip


def feature_names(dim: int, prefix: str = "v") -> list[str]:
    """Column names for the numbers of a vector, zero-padded so that they sort in order.

    >>> feature_names(3)
    ['v000', 'v001', 'v002']
    """
    digits = max(3, len(str(dim - 1)))
    return [f"{prefix}{number:0{digits}d}" for number in range(dim)]


def with_vectors(
    frame: pd.DataFrame,
    matches: Matches,
    vectors: NDArray[np.float32],
    place_id: Objects,
    *,
    unmatched: Unmatched = "nan",
    prefix: str = "v",
) -> pd.DataFrame:
    """``frame`` with the vectors of its rows' places; see `placevec.embeddings.Embeddings.join`.

    >>> import pandas as pd
    >>> pairs = match_by_id(np.array(["b"], object), np.array(["a", "b"], object))
    >>> vectors = np.array([[1, 2], [3, 4]], np.float32)
    >>> joined = with_vectors(pd.DataFrame({"rent": [31]}), pairs, vectors, np.array(["a", "b"], object))
    >>> joined.columns.tolist(), joined[["v000", "v001"]].values.tolist()
    (['rent', 'place_id', 'v000', 'v001'], [[3.0, 4.0]])
    """
    import pandas as pd

    names = feature_names(vectors.shape[1], prefix)
    taken = [name for name in names if name in frame.columns]
    if taken:
        raise InputError(f"the table already has a column {taken[0]}: choose another prefix")
    report_unmatched(matches.matched, unmatched, frame.index)
    columns = pd.DataFrame(matches.mean(vectors), columns=names, index=frame.index)
    if "place_id" not in frame.columns:
        columns.insert(0, "place_id", matches.only(place_id))
    joined = pd.concat([frame, columns], axis=1)
    joined = joined[matches.matched] if unmatched == "drop" else joined
    farthest = float(matches.meters.max()) if len(matches.meters) else 0.0
    lost = int((~matches.matched).sum())
    joined.attrs = {
        **frame.attrs, "join": {"rows": matches.count, "unmatched": lost, "farthest_m": farthest},
    }  # fmt: skip
    return joined


def report_unmatched(
    matched: NDArray[np.bool_], unmatched: Unmatched, index: Any, why: str = "have no matching place"
) -> None:
    """Warn about rows that are not ``matched``; InputError if ``unmatched`` is ``error`` or no row matches."""
    if unmatched not in ("nan", "drop", "error"):
        raise InputError(f"unmatched must be nan, drop or error; got {unmatched!r}")
    lost = np.flatnonzero(~matched)
    if len(lost) == 0:
        return
    count = f"{len(lost):,} of {len(matched):,} rows {why}"
    if unmatched == "error" or len(lost) == len(matched):
        raise InputError(
            f"{count}, the first at index {str(index[lost[0]])[:60]}: check that the table and the places "
            "cover the same area"
        )
    what = "they are left out" if unmatched == "drop" else "their vectors are NaN"
    warnings.warn(f"{count}: {what}", UserWarning, stacklevel=4)


def geometry_of_rows(frame: Any) -> Objects:
    """(N,) WGS84 shapely geometries or None, from a GeoDataFrame, a GeoSeries or a table with lon and lat columns.

    Raises:
        InputError: neither geometry nor lon and lat columns, text instead of numbers, coordinates that are not on
            Earth.

    >>> import pandas as pd
    >>> [str(point) for point in geometry_of_rows(pd.DataFrame({"lon": [24.94], "lat": [60.17]}))]
    ['POINT (24.94 60.17)']
    """
    import shapely

    series: Any = getattr(frame, "geometry", None)
    if hasattr(series, "to_crs"):
        if series.crs is not None and series.crs != 4326:
            try:
                series = series.to_crs(4326)
            except Exception as error:  # from PROJ, or a CRS that it cannot transform
                raise InputError(f"cannot convert the geometry to WGS84: {error}") from error
        geometry: Objects = np.array(series.array, np.object_)
        geometry[shapely.is_empty(geometry)] = None
        geometry = wrapped(geometry)
        hint = "" if series.crs is not None else "; it has no CRS: set one with set_crs"
    else:
        lonlat = _numbers(frame)
        geometry = np.full(len(lonlat), None, object)
        known = np.isfinite(lonlat).all(axis=1)
        beyond = known & (lonlat[:, 0] > 180.0) & (lonlat[:, 0] <= 360.0)
        if beyond.any() and (lonlat[known, 0] >= 0.0).all():  # longitudes from 0 to 360
            lonlat[beyond, 0] -= 360.0
        geometry[known] = shapely.points(lonlat[known])
        hint = "; are lon and lat swapped, or are they meters?"
    west, south, east, north = np.asarray(shapely.bounds(geometry), np.float64).reshape(-1, 4).T
    off = (west < -180.0) | (east > 180.0) | (south < -90.0) | (north > 90.0)
    if off.any():
        row = int(np.flatnonzero(off)[0])
        raise InputError(f"row {row} is not on Earth: lon={west[row]:g}, lat={south[row]:g}{hint}")
    return geometry


def _numbers(frame: pd.DataFrame) -> Floats:
    import pandas as pd

    lon, lat = coordinate_columns(frame)
    try:
        numbers = frame[[lon, lat]].apply(pd.to_numeric).to_numpy(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"the columns {lon} and {lat} must be numbers: {error}") from error
    return np.where(np.isfinite(numbers), numbers, np.nan)


def points_of(geometry: Objects) -> Floats:
    """(N, 2) lon, lat of a point inside each geometry; NaN for missing ones.

    >>> import shapely
    >>> points_of(np.array([shapely.Point(24.9, 60.2), None], object)).tolist()
    [[24.9, 60.2], [nan, nan]]
    """
    return points_within(geometry)


def match_by_id(wanted: Any, place_id: Objects) -> Matches:
    """Rows whose place_id, as text, equals that of a place.

    >>> found = match_by_id(np.array(["b", "x"], object), np.array(["a", "b"], object))
    >>> found.rows.tolist(), found.places.tolist(), found.matched.tolist()
    ([0], [1], [True, False])
    """
    import pandas as pd

    found = pd.Index(place_id).get_indexer([str(name) for name in wanted])
    rows = np.flatnonzero(found >= 0)
    return Matches(rows, found[rows].astype(np.int64), np.zeros(len(rows)), len(found))


def match_by_location(
    geometry: Objects,
    places: Objects,
    lonlat: Floats,
    *,
    on: Literal["footprint", "nearest"] | None = None,
    max_distance_m: float | None = None,
) -> Matches:
    """Rows and the places at their location.

    A polygon matches every place whose center it contains. Any other geometry, or a polygon without a center inside,
    counts as a point: it matches the place whose footprint contains it (the nearest center, if several do), otherwise
    the place with the nearest center within ``max_distance_m``.

    Args:
        geometry: (N,) geometries of the rows, WGS84, or None.
        places: (M,) footprints of the places as polygons; points have no footprint.
        lonlat: (M, 2) centers of the places.
        on: ``footprint`` ignores the nearest place; ``nearest`` ignores footprints and polygons.
        max_distance_m: default `usual_distance` of the places.

    >>> import shapely
    >>> tiles, lonlat = np.array([shapely.box(24.9, 60.1, 25.0, 60.2)], object), np.array([[24.95, 60.15]])
    >>> match_by_location(np.array([shapely.Point(24.91, 60.11)], object), tiles, lonlat, on="footprint").places.tolist()
    [0]
    """
    import shapely

    rows, found = np.zeros(0, np.int64), np.zeros(0, np.int64)
    points = points_of(geometry)
    if on != "nearest":
        rows, found = _held_by_polygons(geometry, lonlat)
        left = np.setdiff1d(np.flatnonzero(np.isfinite(points).all(axis=1)), rows)
        more, where = _footprint_of(points, left, places, lonlat)
        rows, found = np.append(rows, more), np.append(found, where)
    meters = np.zeros(len(rows))
    if on != "footprint":
        left = np.setdiff1d(np.flatnonzero(np.isfinite(points).all(axis=1)), rows)
        limit = usual_distance(lonlat) if max_distance_m is None else max_distance_m
        more, where, away = _nearest(points, left, lonlat, limit)
        rows, found, meters = np.append(rows, more), np.append(found, where), np.append(meters, away)
    elif not (shapely.get_dimensions(places) == 2).any() and len(rows) == 0:
        raise InputError("these places are points without footprints: join with on='nearest' and a distance")
    order = np.lexsort((found, rows))
    return Matches(rows[order], found[order], meters[order], len(geometry))


def usual_distance(lonlat: Floats) -> float:
    """The median distance, in meters, from a place to its nearest neighbor; 100 m if there is only one place.

    >>> round(usual_distance(np.array([[24.94, 60.17], [24.95, 60.17], [24.96, 60.17]])))
    555
    """
    from scipy.spatial import cKDTree

    known = np.isfinite(lonlat).all(axis=1)
    centers = np.unique(to_ecef(lonlat[known, 0], lonlat[known, 1]), axis=0)
    if len(centers) < 2:
        return 100.0
    return float(np.median(cKDTree(centers).query(centers, k=2)[0][:, 1]))


def _held_by_polygons(geometry: Objects, lonlat: Floats) -> tuple[Ints, Ints]:
    """(rows, places): the places whose centers lie inside each polygon."""
    import shapely

    located = np.flatnonzero(np.isfinite(lonlat).all(axis=1))
    polygons = np.flatnonzero(shapely.get_dimensions(geometry) == 2)
    tree = shapely.STRtree(geometry[polygons])
    place, polygon = tree.query(shapely.points(lonlat[located]), predicate="intersects")
    return polygons[polygon], located[place]


def _footprint_of(points: Floats, rows: Ints, places: Objects, lonlat: Floats) -> tuple[Ints, Ints]:
    """(rows, places): the place whose footprint contains each point; the nearest center if there are several."""
    import shapely

    areas = np.flatnonzero(shapely.get_dimensions(places) == 2)
    point, area = shapely.STRtree(places[areas]).query(shapely.points(points[rows]), predicate="intersects")
    found, where = rows[point], areas[area]
    away = np.linalg.norm(_ecef(points[found]) - _ecef(lonlat[where]), axis=1)
    order = np.lexsort((where, away, found))
    _, first = np.unique(found[order], return_index=True)
    return found[order][first], where[order][first]


def _nearest(points: Floats, rows: Ints, lonlat: Floats, limit: float) -> tuple[Ints, Ints, Floats]:
    """(rows, places, meters): the place with the nearest center, if it is within the limit."""
    from scipy.spatial import cKDTree

    located = np.flatnonzero(np.isfinite(lonlat).all(axis=1))
    if len(rows) == 0 or len(located) == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    away, place = cKDTree(_ecef(lonlat[located])).query(_ecef(points[rows]))
    near = away <= limit
    return rows[near], located[place[near]], away[near]


def _ecef(lonlat: Floats) -> Floats:
    return to_ecef(lonlat[:, 0], lonlat[:, 1])
