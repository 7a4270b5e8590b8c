"""From a question about a place to a table of places like it."""

from __future__ import annotations

import bisect
import difflib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from placevec.embeddings import Embeddings
from placevec.embeddings.labels import labels
from placevec.embeddings.search.exact import ExactIndex, Index, Mask
from placevec.embeddings.search.spacing import ABOUT, footprint_m, require_within, spaced
from placevec.errors import InputError
from placevec.geo import Area, check_lonlat, distance_m, parse_tile_id, tile_xy_to_lonlat, to_ecef
from placevec.options.choices import Metric

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
    min_distance_m: float | None = None,
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
        min_distance_m: meters that lie between any two results, and between each and where the question lies: what
            overlaps is alike for free. None: about the footprint of the places, where they are polygons; 0 takes all.
        index: answers instead of an exact one; it was built on ``emb.vectors``.

    Returns:
        place_id, name (raw OSM text), label (distinct), lon, lat, rank (from 1), distance (the metric's; of ``dot``
        it is ``product``, larger is nearer), geometry; EPSG:4326. ``.attrs["query"]`` holds the place_id, name, lon and
        lat (degrees) that were searched with, distance_m (meters from the point asked for to that place),
        embedded_afresh, metric, measure (the column: distance or product), min_distance_m and same_vector (how many
        other places of the table have the very vector searched with); None where there is none. ``.attrs["notes"]``
        holds what else must be known, a line each.

    Raises:
        InputError: not exactly one question, an unknown place, coordinates that are none, are swapped, or lie more than
            a few spacings outside of the places, whose area is named.
    """
    if min_distance_m is not None and not 0 <= min_distance_m < np.inf:
        raise InputError(f"a least distance is 0 meters or more; got {min_distance_m}")
    row, asked = _resolve(emb, place, tile, lon, lat, vector)
    allowed = _allowed(emb, where, bbox)
    if exclude_self and row is not None:
        allowed[row] = False
    apart = ABOUT * (footprint_m(emb) or 0.0) if min_distance_m is None else float(min_distance_m)
    if min_distance_m or (apart > 0 and asked["lon"] is not None):
        far = _at_least(emb, asked["lon"], asked["lat"], apart)
        if row is not None and not exclude_self:
            far[row] = True
        allowed &= far
    wanted = np.asarray(vector if vector is not None else emb.vectors[row], np.float32).reshape(1, -1)
    answers = ExactIndex(emb.vectors, metric) if index is None else index

    def ranking(count: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        rows, distances = answers.query(wanted, count, where=allowed)
        return rows[0], distances[0]

    rows, distances = spaced(ranking, emb.lonlat, k, int(allowed.sum()), apart)
    same = _same(emb.vectors, wanted[0], row)
    measure = "product" if metric == "dot" else "distance"
    asked |= {
        "name": None if row is None else emb.names[row], "view": emb.view, "metric": metric, "measure": measure,
        "min_distance_m": apart, "same_vector": same,
    }  # fmt: skip
    frame = _answer(emb, rows, 0.0 - distances if metric == "dot" else distances, measure)
    frame.attrs["query"] = asked
    frame.attrs["notes"] = [] if same == 0 else [_tied(same, len(emb))]
    return frame


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
        require_within(emb, lon, lat, away)
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
    lon, lat = map(float, tile_xy_to_lonlat(np.array([x + 0.5, y + 0.5]), zoom))
    row, away = _nearest(emb, lon, lat)
    try:
        require_within(emb, lon, lat, away)
    except InputError as error:
        raise InputError(f"the tile {zoom}/{x}/{y} is not among these places: its center {error}") from error
    return row, away


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


def _same(vectors: NDArray[np.float32], wanted: NDArray[np.float32], row: int | None) -> int:
    """How many of (N, D) vectors, but for that of ``row``, are the one wanted up to float32's rounding."""
    rounding = 1e-6 * float(np.abs(wanted).max(initial=0.0))
    left = np.arange(len(vectors))
    for number, value in enumerate(wanted):
        left = left[np.abs(vectors[left, number] - value) <= rounding]
        if len(left) == 0:
            break
    return int((left != row).sum()) if row is not None else len(left)


def _tied(same: int, total: int) -> str:
    others = "other place has" if same == 1 else "other places have"
    return (
        f"{same:,} {others} the very vector searched with, of {total:,}: among them the order is that of the table, and"
        " says nothing (many such places are the sign of a model that was trained too little, or collapsed)"
    )


def _answer(
    emb: Embeddings, rows: NDArray[np.int64], values: NDArray[np.float64], measure: str
) -> geopandas.GeoDataFrame:
    import geopandas

    columns = {
        "place_id": emb.place_id[rows],
        "name": emb.names[rows],
        "label": labels(emb, rows),
        "lon": emb.lonlat[rows, 0],
        "lat": emb.lonlat[rows, 1],
        "rank": np.arange(1, len(rows) + 1),
        measure: values,
    }
    return geopandas.GeoDataFrame(columns, geometry=list(emb.geometry[rows]), crs=4326)
