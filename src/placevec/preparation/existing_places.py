"""The places of an existing dataset, for additions: a map around them, or labels from a table.

They never change: an option that would create other places raises an error that names it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from placevec.datasets.additions import PLACES_PART, made
from placevec.datasets.dataset import Dataset
from placevec.datasets.places import DEFAULT_SIZE_M, Places
from placevec.datasets.views.pois import place_names, read_pois
from placevec.errors import AreaError, DatasetError
from placevec.geo import MAX_MERCATOR_LATITUDE, Area, Floats, Ints, to_ecef
from placevec.io import atomic, parquet
from placevec.io.progress import Progress
from placevec.sources.tables.points import read_points

NEAR_M = 112.0
"""Maximum distance of a positive from its place: the default near radius, and the original 0.001 degrees of latitude."""
SAME_M = 1.0
"""Distance in meters within which two points are the same place."""
_METERS_A_DEGREE = 111_195.0
NAMES, POIS = "names.parquet", "pois.parquet"


def are_laid_out_by(dataset: Dataset, kind: str) -> bool:
    """Whether a dataset's places were created by a kind of preparation, such as ``osm``."""
    found = made(dataset, PLACES_PART)
    return found is not None and found.kind == kind


def refuse_others(
    dataset: Dataset, laying_out: Mapping[str, Any], *, places: str | Path | None, size_m: float | None
) -> None:
    """DatasetError for an option that would give a dataset other places.

    Args:
        dataset: the existing dataset.
        laying_out: flag -> value of the options that create places; None and False mean not given.
        places: a table of places.
        size_m: side of a place in meters.
    """
    for flag, value in laying_out.items():
        if value is not None and value is not False:
            raise DatasetError(
                f"{dataset.path} already has {len(dataset):,} places, and {flag} would create others: remove {flag} to "
                "add the map around the existing places, or choose another --out"
            )
    if places is not None:
        given = read_points(places)
        at = PlaceIds(dataset).rows(given.place_id)
        wrong = int((at < 0).sum())
        apart = np.zeros(len(at), bool) if wrong else ~_is_same(given.lonlat, dataset.lonlat[at])
        if wrong or apart.any() or len(at) != len(dataset):
            what = (
                f"{wrong:,} of {len(at):,} in {places} have an unknown ID"
                if wrong
                else f"{int(apart.sum()):,} of {len(at):,} in {places} have a different location"
                if apart.any()
                else f"{places} has {len(at):,} of its {len(dataset):,} places"
            )
            raise DatasetError(
                f"{dataset.path}: its places do not match: {what}; remove --places, or choose another --out"
            )
    own = dataset.manifest["places"]["size_m"]
    if size_m is not None and size_m != own:
        zoom = dataset.manifest["places"]["zoom"]
        held = (
            f"{own:g} m wide" if own else "points without a size" if zoom is None else f"tiles of zoom {zoom}"
        )
        raise DatasetError(
            f"{dataset.path}: its places are {held}, not {size_m:g} m: remove --size-m, or choose another --out"
        )


def _is_same(lonlat: Floats, others: Floats) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """(N,) whether two points are the same place; also if both lack coordinates."""
    with np.errstate(invalid="ignore"):
        away = np.linalg.norm(
            to_ecef(lonlat[:, 0], lonlat[:, 1]) - to_ecef(others[:, 0], others[:, 1]), axis=1
        )
    both = np.isnan(lonlat).any(axis=1) & np.isnan(others).any(axis=1)
    return np.asarray((away <= SAME_M) | both)


class PlaceIds:
    """Lookup of a dataset's place IDs: ``rows`` reuses one index for millions of places.

    Raises:
        DatasetError: duplicate IDs.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._index = pd.Index(dataset.places["place_id"].to_numpy(object))
        if not self._index.is_unique:
            raise DatasetError(f"{dataset.path} is damaged: two of its places have the same ID")

    def rows(self, place_ids: Any) -> Ints:
        """(M,) the row of each place_id (strings, or an Arrow array), -1 if the dataset does not have it."""
        return np.asarray(self._index.get_indexer(np.asarray(place_ids, object)), np.int64)


def around(dataset: Dataset, held: Area, wanted: Area | None, source: str, progress: Progress) -> Area:
    """The area of a map from ``source`` for the places inside it: the requested area, or else the box around them.

    Args:
        dataset: the dataset with the places.
        held: area covered by the source.
        wanted: requested area.
        source: name of the source.
        progress: told how many places lie outside.

    Raises:
        DatasetError: no place has coordinates.
        AreaError: no place lies in the source, or in the requested area.
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
            f"{dataset.path}: its places are elsewhere: none of {len(lonlat):,} is in {where} (west,south,east,north); "
            f"the first is lon={lon:g}, lat={lat:g}"
        )
    if not inside.all():
        progress.say(
            f"Note: {int((~inside).sum()):,} of {len(inside):,} places are outside the map, which is blank there"
        )
    return box_around(lonlat[inside], margin_m(dataset)) if wanted is None else wanted


def margin_m(dataset: Dataset) -> float:
    """How far the windows of a place and of its positives reach, rotated by any angle, in meters."""
    return NEAR_M + (dataset.footprint_m or DEFAULT_SIZE_M) / math.sqrt(2.0)


def box_around(lonlat: Floats, margin: float) -> Area:
    """The smallest box around points (N, 2), across the antimeridian if that is smaller, with a margin in meters.

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
    """The places as created; points get the window that is read around them."""
    about = dataset.manifest["places"]
    size_m = DEFAULT_SIZE_M if about["zoom"] is None and about["size_m"] is None else about["size_m"]
    return Places(
        dataset.places["place_id"].to_numpy(object), dataset.lonlat, dataset.geometry(), size_m, about["grid"],
        about["zoom"], about["spacing_m"],
    )  # fmt: skip


def write_names(dataset: Dataset, area: Area, zoom: int, folder: Path) -> str:
    """Name the places in an area after their contents, from ``pois.parquet`` in ``folder``; returns the file."""
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
        parquet.write_table(table, temporary)
    return NAMES
