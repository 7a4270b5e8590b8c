"""The places that a dataset has already, for what is added to them: a map around them, or what a table says of them.

They never change: whatever would lay out other places is refused, and says which option it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from placevec.datasets.additions import PLACES_PART, made
from placevec.datasets.dataset import Dataset
from placevec.datasets.places import DEFAULT_SIZE_M, Places
from placevec.datasets.views.pois import place_names, read_pois
from placevec.errors import AreaError, DatasetError
from placevec.geo import MAX_MERCATOR_LATITUDE, Area, Floats, Ints, to_ecef
from placevec.io import atomic
from placevec.io.progress import Progress
from placevec.sources.tables.points import read_points

NEAR_M = 112.0
"""How far from its place a positive is read: the default near radius, and the founding 0.001 degrees of latitude."""
SAME_M = 1.0
"""Meters within which two points are one place."""
_METERS_A_DEGREE = 111_195.0
NAMES, POIS = "names.parquet", "pois.parquet"


def are_laid_out_by(dataset: Dataset, kind: str) -> bool:
    """Whether a dataset's places were laid out by a kind of preparation, such as ``osm``."""
    found = made(dataset, PLACES_PART)
    return found is not None and found.kind == kind


def refuse_others(
    dataset: Dataset, laying_out: Mapping[str, Any], *, places: str | Path | None, size_m: float | None
) -> None:
    """DatasetError for an option that would give a dataset other places than it has.

    Args:
        dataset: that has its places.
        laying_out: flag -> value of the options that lay out places; None and False are not given.
        places: a table of places.
        size_m: side of a place.
    """
    for flag, value in laying_out.items():
        if value is not None and value is not False:
            raise DatasetError(
                f"{dataset.path} has its {len(dataset):,} places already, and {flag} would lay out others: leave it out, "
                "so that the map is added around them, or choose another --out"
            )
    if places is not None:
        given = read_points(places)
        at = PlaceIds(dataset).rows(given.place_id)
        wrong = int((at < 0).sum())
        apart = np.zeros(len(at), bool) if wrong else ~_is_same(given.lonlat, dataset.lonlat[at])
        if wrong or apart.any() or len(at) != len(dataset):
            what = (
                f"{wrong:,} of {len(at):,} in {places} have an id that is none of its own"
                if wrong
                else f"{int(apart.sum()):,} of {len(at):,} in {places} lie elsewhere than they do"
                if apart.any()
                else f"{places} names {len(at):,} of its {len(dataset):,}"
            )
            raise DatasetError(
                f"{dataset.path}: its places are others: {what}; leave out --places, or choose another --out"
            )
    own = dataset.manifest["places"]["size_m"]
    if size_m is not None and size_m != own:
        zoom = dataset.manifest["places"]["zoom"]
        held = f"{own:g} m wide" if own else "points of no size" if zoom is None else f"tiles of zoom {zoom}"
        raise DatasetError(
            f"{dataset.path}: its places are {held}, not {size_m:g} m: leave out --size-m, or choose another --out"
        )


def _is_same(lonlat: Floats, others: Floats) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """(N,) whether two points are one place; those that lack coordinates are, if both do."""
    with np.errstate(invalid="ignore"):
        away = np.linalg.norm(
            to_ecef(lonlat[:, 0], lonlat[:, 1]) - to_ecef(others[:, 0], others[:, 1]), axis=1
        )
    both = np.isnan(lonlat).any(axis=1) & np.isnan(others).any(axis=1)
    return np.asarray((away <= SAME_M) | both)


class PlaceIds:
    """The ids of a dataset's places, to be looked up: ``rows`` of millions take no new table each time.

    Raises:
        DatasetError: two places have one id.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._index = pd.Index(dataset.places["place_id"].to_numpy(object))
        if not self._index.is_unique:
            raise DatasetError(f"{dataset.path} is damaged: two of its places have one id")

    def rows(self, place_ids: Any) -> Ints:
        """(M,) the row of each place_id (texts, or Arrow's), -1 for one that the dataset does not have."""
        return np.asarray(self._index.get_indexer(np.asarray(place_ids, object)), np.int64)


def around(dataset: Dataset, held: Area, wanted: Area | None, source: str, progress: Progress) -> Area:
    """The area of a map of ``source`` for the places that lie in it: the one asked for, else the box around them.

    Args:
        dataset: whose places they are.
        held: what the source covers.
        wanted: what was asked for.
        source: its name.
        progress: told how many places lie outside.

    Raises:
        DatasetError: no place has coordinates.
        AreaError: none lies in the source, or in what was asked for.
    """
    lonlat = dataset.lonlat[dataset.require_coordinates(np.arange(len(dataset)), "a map")]
    inside = held.contains(lonlat[:, 0], lonlat[:, 1])
    where = f"{source}, which covers {_told(held)}"
    if wanted is not None and inside.any():
        inside &= wanted.contains(lonlat[:, 0], lonlat[:, 1])
        where = f"the area {_told(wanted)}"
    if not inside.any():
        lon, lat = lonlat[0]
        raise AreaError(
            f"{dataset.path}: its places lie elsewhere: none of {len(lonlat):,} is in {where} (west,south,east,north); "
            f"the first is lon={lon:g}, lat={lat:g}"
        )
    if not inside.all():
        progress.say(
            f"Note: {int((~inside).sum()):,} of {len(inside):,} places lie outside of the map, where it is blank"
        )
    return box_around(lonlat[inside], margin_m(dataset)) if wanted is None else wanted


def margin_m(dataset: Dataset) -> float:
    """How far around a place its windows reach, turned by any angle, and those of its positives, meters."""
    return NEAR_M + (dataset.footprint_m or DEFAULT_SIZE_M) / math.sqrt(2.0)


def box_around(lonlat: Floats, margin: float) -> Area:
    """The smallest box around points (N, 2), across the antimeridian where that is smaller, and a margin in meters.

    >>> box_around(np.array([[179.0, 1.0], [-179.0, 2.0]]), 0.0).bounds
    (179.0, 1.0, -179.0, 2.0)
    """
    lon = np.unique(lonlat[:, 0])
    gaps = np.diff(lon, append=lon[0] + 360.0)
    widest = int(gaps.argmax())
    west, east = lon[(widest + 1) % len(lon)], lon[widest]
    south, north = (float(edge(lonlat[:, 1])) for edge in (np.min, np.max))
    pad = max(margin / _METERS_A_DEGREE, 1e-7 if south == north or west == east else 0.0)
    wide = pad / max(math.cos(math.radians(max(abs(south), abs(north)))), 0.01)
    if gaps[widest] <= 2 * wide:
        west, east, wide = -180.0, 180.0, 0.0
    return Area(
        _wrapped(west - wide),
        max(south - pad, -MAX_MERCATOR_LATITUDE),
        _wrapped(east + wide),
        min(north + pad, MAX_MERCATOR_LATITUDE),
    )


def _wrapped(lon: float) -> float:
    return float(lon + 360.0 if lon < -180.0 else lon - 360.0 if lon > 180.0 else lon)


def _told(area: Area) -> str:
    return ",".join(f"{value:g}" for value in area.bounds)


def places_of(dataset: Dataset) -> Places:
    """The places as they were laid out; those of no size get the window that is read around them."""
    about = dataset.manifest["places"]
    size_m = DEFAULT_SIZE_M if about["zoom"] is None and about["size_m"] is None else about["size_m"]
    return Places(
        dataset.places["place_id"].to_numpy(object), dataset.lonlat, dataset.geometry(), size_m, about["grid"],
        about["zoom"], about["spacing_m"],
    )  # fmt: skip


def write_names(dataset: Dataset, area: Area, zoom: int, folder: Path) -> str:
    """Name the places in an area after what lies in their windows, by ``pois.parquet`` in ``folder``; the file there."""
    laid = places_of(dataset)
    inside = area.contains(laid.lonlat[:, 0], laid.lonlat[:, 1])
    names = np.full(len(laid), None, object)
    names[inside] = place_names(read_pois(folder / POIS), laid.kept(inside).footprints(zoom), zoom)
    table = pa.table(
        {
            "place_id": pa.array(dataset.places["place_id"], pa.string()),
            "name": pa.array(names.tolist(), pa.string()),
        }
    )
    with atomic.replacing(folder / NAMES) as temporary:
        pq.write_table(table, temporary, compression="zstd")
    return NAMES
