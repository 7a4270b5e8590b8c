"""Which places of a dataset the rows of a user's table of labels belong to, by place_id or by where they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from placevec.datasets.dataset import Dataset
from placevec.errors import EvaluationError
from placevec.geo import Floats, Ints, lonlat_to_tile_xy, to_ecef
from placevec.geo.coordinate_names import coordinate_pairs
from placevec.sources.tables.columns import ID_NAMES
from placevec.sources.tables.joins import Join, join_by_id
from placevec.sources.tables.opened import open_table
from placevec.sources.tables.points import PLACE_ID, Points, frame_of, read_points

MAX_UNMATCHED_BY_POSITION = 0.9
"""Maximum share of the rows within the extent of the places, and of the places, without a match."""


def rows_of_places(
    path: str | Path, dataset: Dataset, notes: list[str] | None = None
) -> tuple[pd.DataFrame, Ints, Ints]:
    """(table, place rows, table rows): pairs of a place and a row of the table that labels it.

    Args:
        path: path of the table.
        dataset: dataset with the places.
        notes: receives a line for each loss: rows and places without a match, and cells that cannot be read.

    Raises:
        SourceError: a missing or damaged table, or nothing to join by.
        EvaluationError: no row matches a place, or most rows and most places have no match.
    """
    path = Path(path)
    ids = dataset.places[PLACE_ID].to_numpy(object)
    table = open_table(path)
    lower = {name.lower().strip() for name in table.names}
    named = PLACE_ID in lower
    if named or (lower & set(ID_NAMES) and table.geometry is None and not coordinate_pairs(table.names)):
        frame = frame_of(table)
        at, join = join_by_id(frame[PLACE_ID].to_numpy(object), ids, path)
        join.check(EvaluationError)
        rows = np.flatnonzero(at >= 0)
        _add(notes, path, join, frame.attrs["notes"])
        return frame, at[rows], rows
    points = read_points(path)
    places, rows = _by_location(points, dataset)
    if len(places) == 0:
        raise EvaluationError(f"{path}: {_apart(points.lonlat, dataset)}")
    join = _join_by_location(path, points.lonlat, dataset.lonlat, places, rows)
    join.check(EvaluationError)
    _add(notes, path, join, points.notes)
    return points.table, places, rows


def _add(notes: list[str] | None, path: Path, join: Join, lost: list[str]) -> None:
    if notes is not None:
        notes += [note for note in (join.note(),) if note] + [f"{path}: {note}" for note in lost]


def _join_by_location(path: Path, lonlat: Floats, centers: Floats, places: Ints, rows: Ints) -> Join:
    """What was met by rows in the extent of the places; those beyond it are of other towns."""
    located = centers[np.isfinite(centers).all(axis=1)]
    low, high = located.min(axis=0), located.max(axis=0)
    with np.errstate(invalid="ignore"):
        within = ((lonlat >= low) & (lonlat <= high)).all(axis=1)
    met = np.zeros(len(lonlat), bool)
    met[rows] = True
    lost = np.flatnonzero(within & ~met)
    first = (
        f"row {lost[0] + 1}, lon={lonlat[lost[0], 0]:.6g}, lat={lonlat[lost[0], 1]:.6g}" if len(lost) else ""
    )
    of_places = len(centers) - len(np.unique(places))
    return Join(
        path, int(np.count_nonzero(within | met)), len(lost), len(centers), of_places, first,
        f"lon={located[0, 0]:.6g}, lat={located[0, 1]:.6g}", "where they are", MAX_UNMATCHED_BY_POSITION,
    )  # fmt: skip


def _by_location(points: Points, dataset: Dataset) -> tuple[Ints, Ints]:
    import shapely

    located = np.flatnonzero(np.isfinite(dataset.lonlat).all(axis=1))
    area = np.array(
        [shape is not None and shape.geom_type.endswith("Polygon") for shape in points.geometry], bool
    )
    places, rows = _in_footprint(points.lonlat, np.flatnonzero(~area), dataset, located)
    if area.any():
        polygons = np.flatnonzero(area)
        tree = shapely.STRtree(points.geometry[polygons])
        centers = shapely.points(dataset.lonlat[located])
        inside, polygon = tree.query(centers, predicate="within")
        places, rows = np.append(places, located[inside]), np.append(rows, polygons[polygon])
    return places, rows


def _in_footprint(lonlat: Floats, rows: Ints, dataset: Dataset, located: Ints) -> tuple[Ints, Ints]:
    """The nearest place of each point, where the point lies in its footprint."""
    from scipy.spatial import cKDTree

    rows = rows[np.isfinite(lonlat[rows]).all(axis=1) & (np.abs(lonlat[rows, 1]) < 85.0)]
    if len(rows) == 0 or len(located) == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    centers = to_ecef(dataset.lonlat[located, 0], dataset.lonlat[located, 1])
    _, nearest = cKDTree(centers).query(to_ecef(lonlat[rows, 0], lonlat[rows, 1]))
    places = located[nearest]
    at = lonlat_to_tile_xy(lonlat[rows, 0], lonlat[rows, 1], dataset.zoom)
    box = dataset.footprints()[places]
    inside = ((at >= box[:, :2]) & (at <= box[:, 2:])).all(axis=1)
    return places[inside], rows[inside]


def _apart(lonlat: Floats, dataset: Dataset) -> str:
    def extent(points: Floats) -> str:
        known = points[np.isfinite(points).all(axis=1)]
        if len(known) == 0:
            return "nowhere"
        (west, south), (east, north) = known.min(axis=0), known.max(axis=0)
        return f"lon {west:.4f} to {east:.4f}, lat {south:.4f} to {north:.4f}"

    return f"no row lies on a place: rows are at {extent(lonlat)}, places at {extent(dataset.lonlat)}"
