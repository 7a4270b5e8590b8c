"""From a question about a place to a table of places like it."""

from __future__ import annotations

import bisect
import difflib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from placevec.embeddings import Embeddings
from placevec.embeddings.search.exact import ExactIndex, Index, Mask, Metric
from placevec.errors import InputError
from placevec.geo import Area, check_lonlat, distance_m, parse_tile_id, tile_xy_to_lonlat, to_ecef

if TYPE_CHECKING:
    import geopandas

_SWAPPED_BEYOND_M = 50_000.0


def similar(
    emb: Embeddings,
    *,
    place: str | None = None,
    tile: str | None = None,
    lon: float | None = None,
    lat: float | None = None,
    vector: ArrayLike | None = None,
    k: int = 10,
    metric: Metric = "cosine",
    where: Mask | None = None,
    bbox: Area | None = None,
    exclude_self: bool = True,
    min_distance_m: float = 0.0,
    index: Index | None = None,
) -> geopandas.GeoDataFrame:
    """The ``k`` places whose vectors are nearest to a place's, a tile's, a point's or a given one.

    Args:
        emb: the table searched.
        place: a place_id.
        tile: ``z/x/y``: the place of that id, else the one nearest to the tile's center.
        lon: degrees; together with ``lat`` the nearest place answers, and the result says how far it is.
        lat: degrees.
        vector: (D,) what to search with; a ``lon`` and ``lat`` beside it say where it was embedded afresh.
        k: how many places; fewer come back where there are fewer.
        metric: see `ExactIndex`.
        where: (N,) bool, the places that may answer.
        bbox: only places in this area.
        exclude_self: leave the asked place out of the answer.
        min_distance_m: leave out places nearer than this to where the question lies: neighbors share ground.
        index: answers instead of an exact one; it was built on ``emb.vectors``.

    Returns:
        place_id, name (raw OSM text), lon, lat, rank (from 1), distance (the metric's), geometry; EPSG:4326.
        ``.attrs["query"]`` holds the place_id, name, lon and lat (degrees) that were searched with, distance_m
        (meters from the point asked for to that place), embedded_afresh and metric; None where there is none.

    Raises:
        InputError: not exactly one question, an unknown place, coordinates that are none or are swapped.
    """
    row, asked = _resolve(emb, place, tile, lon, lat, vector)
    allowed = _allowed(emb, where, bbox)
    if exclude_self and row is not None:
        allowed[row] = False
    if min_distance_m > 0:
        allowed &= _at_least(emb, asked["lon"], asked["lat"], min_distance_m)
    wanted = np.asarray(vector if vector is not None else emb.vectors[row], np.float32).reshape(1, -1)
    if index is None:
        index = ExactIndex(emb.vectors, metric)
    rows, distances = index.query(wanted, k, where=allowed)
    asked |= {"name": None if row is None else emb.names[row], "metric": metric}
    return _answer(emb, rows[0], distances[0], asked)


def _resolve(
    emb: Embeddings,
    place: str | None,
    tile: str | None,
    lon: float | None,
    lat: float | None,
    vector: ArrayLike | None,
) -> tuple[int | None, dict[str, Any]]:
    """(row of the place searched with or None, what ``attrs["query"]`` tells)."""
    if (lon is None) != (lat is None):
        raise InputError("a point needs both lon and lat, in degrees")
    questions = [place is not None, tile is not None, lon is not None]
    if (
        sum(questions) > 1
        or (vector is not None and any(questions[:2]))
        or not (any(questions) or vector is not None)
    ):
        raise InputError("ask with exactly one of: place, tile, lon and lat, vector")
    if vector is not None:
        if lon is not None and lat is not None:
            check_lonlat(lon, lat)
        return None, _told(None, lon, lat, 0.0 if lon is not None else None, lon is not None)
    if len(emb) == 0:
        raise InputError("the table of embeddings holds no places")
    if lon is not None and lat is not None:
        row, away = _nearest(emb, lon, lat)
    elif tile is not None:
        row, away = _row_of_tile(emb, tile)
    else:
        row, away = _row_of_place(emb, str(place)), 0.0
    place_lon, place_lat = (float(value) if np.isfinite(value) else None for value in emb.lonlat[row])
    return row, _told(str(emb.place_id[row]), place_lon, place_lat, away, False)


def _told(
    place_id: str | None, lon: float | None, lat: float | None, away: float | None, afresh: bool
) -> dict[str, Any]:
    return {"place_id": place_id, "lon": lon, "lat": lat, "distance_m": away, "embedded_afresh": afresh}


def _row_of_place(emb: Embeddings, place: str) -> int:
    found = np.flatnonzero(emb.place_id == place)
    if len(found):
        return int(found[0])
    close = _nearest_spelled(place, [str(name) for name in emb.place_id])
    hint = f"did you mean {' or '.join(map(repr, close))}?" if close else f"ids look like {emb.place_id[0]!r}"
    raise InputError(f"no place {place[:60]!r} among {len(emb)}; {hint}")


def _nearest_spelled(text: str, known: list[str], look_at: int = 2_000) -> list[str]:
    """Up to three ids spelled like ``text``; of a long list only those are compared that sort beside it."""
    if len(known) > look_at:
        known = sorted(known)
        middle = bisect.bisect(known, text)
        known = known[max(0, middle - look_at // 2) : middle + look_at // 2]
    return difflib.get_close_matches(text, known, n=3, cutoff=0.6)


def _row_of_tile(emb: Embeddings, tile: str) -> tuple[int, float]:
    zoom, x, y = parse_tile_id(tile)
    found = np.flatnonzero(emb.place_id == f"{zoom}/{x}/{y}")
    if len(found):
        return int(found[0]), 0.0
    lon, lat = tile_xy_to_lonlat(np.array([x + 0.5, y + 0.5]), zoom)
    return _nearest(emb, float(lon), float(lat))


def _nearest(emb: Embeddings, lon: float, lat: float) -> tuple[int, float]:
    """(row, meters) of the place nearest to a point."""
    check_lonlat(lon, lat)
    known = np.flatnonzero(np.isfinite(emb.lonlat).all(axis=1))
    if len(known) == 0:
        raise InputError("no place of this table has coordinates: ask by place_id")
    places = to_ecef(emb.lonlat[known, 0], emb.lonlat[known, 1])
    row, away = _nearest_of(emb, known, places, lon, lat)
    if away > _SWAPPED_BEYOND_M and abs(lon) <= 90:
        _, turned = _nearest_of(emb, known, places, lat, lon)
        if turned < _SWAPPED_BEYOND_M:
            raise InputError(
                f"lon={lon:g}, lat={lat:g} lies {away / 1000:,.0f} km from the nearest place, "
                f"lon={lat:g}, lat={lon:g} {turned / 1000:,.1f} km: lon and lat are swapped"
            )
    return row, away


def _nearest_of(
    emb: Embeddings, known: NDArray[np.int64], places: NDArray[np.float64], lon: float, lat: float
) -> tuple[int, float]:
    row = int(known[np.argmin(((places - to_ecef(lon, lat)) ** 2).sum(axis=1))])
    return row, float(distance_m(lon, lat, *emb.lonlat[row]))


def _allowed(emb: Embeddings, where: Mask | None, bbox: Area | None) -> Mask:
    allowed = np.ones(len(emb), bool)
    if where is not None:
        mask = np.asarray(where)
        if mask.dtype != bool or mask.shape != (len(emb),):
            raise InputError(
                f"the filter must be a mask of {len(emb)} booleans; got {mask.dtype} {mask.shape}"
            )
        allowed &= mask
    if bbox is not None:
        known = np.flatnonzero(allowed & np.isfinite(emb.lonlat).all(axis=1))
        inside = bbox.contains(emb.lonlat[known, 0], emb.lonlat[known, 1])
        allowed[:] = False
        allowed[known[inside]] = True
    return allowed


def _at_least(emb: Embeddings, lon: float | None, lat: float | None, meters: float) -> Mask:
    """(N,) bool: places no nearer than ``meters`` to a point; places without coordinates stay."""
    if lon is None or lat is None:
        raise InputError(
            "a least distance in meters needs a question that lies somewhere: it has no coordinates"
        )
    far = np.ones(len(emb), bool)
    known = np.isfinite(emb.lonlat).all(axis=1)
    places = emb.lonlat[known]
    far[known] = (
        distance_m(np.full(len(places), lon), np.full(len(places), lat), places[:, 0], places[:, 1]) >= meters
    )
    return far


def _answer(
    emb: Embeddings, rows: NDArray[np.int64], distances: NDArray[np.float64], query: dict[str, Any]
) -> geopandas.GeoDataFrame:
    import geopandas

    columns = {
        "place_id": emb.place_id[rows],
        "name": emb.names[rows],
        "lon": emb.lonlat[rows, 0],
        "lat": emb.lonlat[rows, 1],
        "rank": np.arange(1, len(rows) + 1),
        "distance": distances,
    }
    frame = geopandas.GeoDataFrame(columns, geometry=list(emb.geometry[rows]), crs=4326)
    frame.attrs["query"] = query
    return frame
