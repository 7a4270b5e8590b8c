"""From a query about a place to a table of similar places."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from placevec.embeddings import Embeddings
from placevec.embeddings.labels import labels
from placevec.embeddings.search.background import Background, Squares
from placevec.embeddings.search.examples import Examples, require_examples
from placevec.embeddings.search.index import Index, Ranking
from placevec.embeddings.search.metrics import Mask, Rows, checked_mask
from placevec.embeddings.search.place_rows import row_of_place
from placevec.embeddings.search.spacing import ABOUT, footprint_m, require_within, rows_within, spaced
from placevec.embeddings.search.stored import open_index
from placevec.errors import InputError
from placevec.geo import Area, check_lonlat, distance_m, parse_tile_id, tile_xy_to_lonlat, to_ecef
from placevec.options.choices import Metric

if TYPE_CHECKING:
    import geopandas

_SWAPPED_BEYOND_M = 50_000.0
_FEW_LEFT_OUT = 64


def similar(
    emb: Embeddings,
    *,
    place: str | None = None,
    tile: str | None = None,
    lon: float | None = None,
    lat: float | None = None,
    vector: ArrayLike | None = None,
    like: Sequence[str] = (),
    unlike: Sequence[str] = (),
    k: int = 10,
    threshold: float | None = None,
    metric: Metric = "cosine",
    where: Mask | None = None,
    bbox: Area | None = None,
    exclude_self: bool = True,
    min_distance_m: float | None = None,
    index: Index | None = None,
    quality: int | None = None,
) -> geopandas.GeoDataFrame:
    """The ``k`` places most similar to a place, a tile, a point, a given vector or several examples.

    Args:
        emb: the table to search.
        place: a place_id.
        tile: ``z/x/y``: the place with that ID, otherwise the place nearest to the tile's center.
        lon: degrees; with ``lat``, the place nearest to the point is the query. The result reports its distance.
        lat: degrees.
        vector: (D,) vector to search with; ``lon`` and ``lat`` then say where it was computed, if anywhere.
        like: place_ids of examples; the query is the mean of their vectors (unit vectors where length does not count).
        unlike: place_ids of examples to keep away from: the query moves from their mean by as much again.
        k: number of places; fewer are returned if there are fewer.
        threshold: largest distance of a result; for the metric ``dot`` its smallest product.
        metric: see `placevec.embeddings.search.metrics.distances`.
        where: (N,) bool, places to search.
        bbox: search only places in this area.
        exclude_self: leave the query place out of the results.
        min_distance_m: minimum distance in meters between any two results, and between results and the query, because
            overlapping windows are similar in any case. None: about the footprint of the places, if they are polygons;
            0 disables it.
        index: replaces the exact index, which stays with the table; it must have been built on ``emb.vectors``.
        quality: candidates that an approximate index examines (default: its own).

    Returns:
        place_id, name (raw OSM text), label (distinct), lon, lat, rank (from 1), distance (in the metric; for ``dot``
        the column is ``product``, larger is more similar), z (how far it stands out from all places searched, see
        `placevec.embeddings.search.background`; NaN if unknown), geometry; EPSG:4326. ``.attrs["query"]`` holds the
        place_id, name, lon and lat (degrees) of the query, distance_m (meters from the given point to that place),
        embedded_afresh, metric, measure (the column: distance or product), min_distance_m, z_by_chance,
        same_vector (how many other places have exactly the query vector), like, unlike, threshold, backend and recall
        (share of the ten nearest that an approximate index finds); missing values are None.
        ``.attrs["notes"]`` holds remarks for the user, one per line.

    Raises:
        InputError: not exactly one query, an unknown place, or coordinates that are invalid, swapped, or more than a
            few spacings outside the places (the message names the area).

    >>> from placevec.embeddings import Embeddings, Provenance
    >>> names, lonlat = np.array(["Station", "Market", "Beach"], object), [[24.94, 60.17], [24.95, 60.17], [24.99, 60.15]]
    >>> vectors, none = [[1, 0], [0.9, 0.1], [0, 1]], np.array([None] * 3)
    >>> emb = Embeddings(["a", "b", "c"], vectors, lonlat, none, names, "map", Provenance("m", "d"))
    >>> similar(emb, place="a", k=2)[["rank", "name", "distance"]].round(3).values.tolist()
    [[1, 'Market', 0.006], [2, 'Beach', 1.0]]
    """
    found = find(
        emb, place=place, tile=tile, lon=lon, lat=lat, vector=vector, like=like, unlike=unlike, k=k, threshold=threshold,
        metric=metric, where=where, bbox=bbox, exclude_self=exclude_self, min_distance_m=min_distance_m, index=index,
        quality=quality,
    )  # fmt: skip
    frame = _answer(emb, found)
    frame.attrs["query"], frame.attrs["notes"] = found.query, found.notes
    return frame


@dataclass(frozen=True)
class Found:
    """The places most similar to a query, best first.

    Attributes:
        rows: (K,) their rows in the table.
        values: (K,) their distances, or their products for the metric ``dot``.
        z: (K,) how far each stands out from all places; NaN if unknown.
        query: ``attrs["query"]`` of `similar`.
        notes: remarks for the user.
    """

    rows: NDArray[np.int64]
    values: NDArray[np.float64]
    z: NDArray[np.float64]
    query: dict[str, Any]
    notes: list[str]


def find(
    emb: Embeddings,
    *,
    place: str | None = None,
    tile: str | None = None,
    lon: float | None = None,
    lat: float | None = None,
    vector: ArrayLike | None = None,
    like: Sequence[str] = (),
    unlike: Sequence[str] = (),
    k: int = 10,
    threshold: float | None = None,
    metric: Metric = "cosine",
    where: Mask | None = None,
    bbox: Area | None = None,
    exclude_self: bool = True,
    min_distance_m: float | None = None,
    index: Index | None = None,
    quality: int | None = None,
    compared: bool = True,
) -> Found:
    """The rows that `similar` returns as a table; the keywords are the same.

    ``compared=False`` does not compare the results with all places, which takes as long as a search: z is NaN, and no
    note says that nothing stands out or that places share a vector.
    """
    if min_distance_m is not None and not 0 <= min_distance_m < np.inf:
        raise InputError(f"min_distance_m must be 0 meters or more; got {min_distance_m}")
    index = open_index(emb, "exact", metric) if index is None else index
    metric = index.metric
    examples = Examples.of(emb, like, unlike, metric)
    if examples is not None:
        require_examples(place, tile, lon, lat, vector)
        vector = examples.vector
    row, asked = _resolve(emb, place, tile, lon, lat, vector)
    own: Rows = np.array([] if row is None else [row], np.int64) if examples is None else examples.rows
    own = own if exclude_self else own[:0]
    apart = ABOUT * (footprint_m(emb) or 0.0) if min_distance_m is None else float(min_distance_m)
    somewhere = vector is None or asked["lon"] is not None  # a vector alone has no position
    around = bool(
        apart > 0
        if examples is not None
        else (min_distance_m and somewhere) or (apart > 0 and asked["lon"] is not None)
    )
    wanted = np.asarray(vector if vector is not None else emb.vectors[row], np.float32).reshape(1, -1)
    if compared or around or where is not None or bbox is not None or len(own) > _FEW_LEFT_OUT:
        allowed: Mask | None = _allowed(emb, where, bbox)
        assert allowed is not None
        allowed[own] = False
        if examples is not None:
            examples.clear_around(emb, allowed, apart)
        elif around:
            _clear_around(emb, allowed, asked["lon"], asked["lat"], apart, None if exclude_self else row)
        ranking, count = (
            index.ranking(wanted, where=allowed, quality=quality),
            int(np.count_nonzero(allowed)),
        )
    else:  # a mask of all places but one costs an index more than its search
        allowed, count = None, len(emb) - len(own)
        ranking = _without(index.ranking(wanted, quality=quality), own, len(emb))
    farthest = np.inf if threshold is None else -threshold if metric == "dot" else threshold
    rows, distances = spaced(ranking, emb, min(k, max(count, 1)), count, apart, farthest)
    same, background = 0, None
    if compared:
        same = _same(emb, wanted[0], row) if examples is None else 0
        background = Background.of(
            wanted[0], emb.vectors, metric, where=allowed, squares=_squares(emb, apart), about=ranking.about
        )
    measure = "product" if metric == "dot" else "distance"
    asked |= {
        "name": None if row is None else emb.names[row], "view": emb.view, "metric": metric, "measure": measure,
        "min_distance_m": apart, "same_vector": same, "threshold": threshold,
        "z_by_chance": None if background is None else background.by_chance,
        "like": list(like) or None, "unlike": list(unlike) or None, "backend": index.backend,
        "recall": index.recall(quality=quality) if index.approximate else None,
    }  # fmt: skip
    notes = _notes(index, asked, same, len(emb), len(rows), k, count)
    if background is not None and vector is not None and threshold is None:
        notes += [note] if (note := background.note(distances)) else []
    z = np.full(len(rows), np.nan) if background is None else background.z(distances)
    return Found(rows, 0.0 - distances if metric == "dot" else distances, z, asked, notes)


def _without(ranking: Ranking, own: Rows, total: int) -> Ranking:
    """A ranking without a few rows, which are drawn and dropped."""

    def draw(k: int) -> tuple[Rows, NDArray[np.float64]]:
        rows, distances = ranking.draw(min(k + len(own), total))
        kept = rows != own[0] if len(own) == 1 else ~np.isin(rows, own)
        return rows[kept][:k], distances[kept][:k]

    def drop(rows: Rows) -> int:
        return ranking.drop(np.concatenate([rows, own]))

    return Ranking(draw, ranking.about, drop) if len(own) else ranking


def _notes(
    index: Index, asked: dict[str, Any], same: int, total: int, found: int, k: int, allowed: int
) -> list[str]:
    """Remarks for the user: what the results may miss."""
    notes = [] if same == 0 else [_tied(same, total)]
    if index.approximate:
        stored = "" if index.storage == "float32" else f" with {index.storage}"
        notes.append(
            f"the index {index.backend}{stored} finds {asked['recall']:.1%} of the ten nearest places (measured against"
            " exact search)"
        )
    if asked["threshold"] is not None and found == k:
        notes.append(f"there are at least {k:,} places within the threshold: raise k to get more")
    elif asked["threshold"] is None and found < k:
        why = "that may be found" if allowed < k else f"at least {asked['min_distance_m']:.0f} m apart"
        notes.append(f"only {found:,} of the {k:,} results asked for: there are no more places {why}")
    return notes


def distance_to_nearest(emb: Embeddings, lon: float, lat: float) -> float:
    """Meters from a point to the nearest place with coordinates; infinite where there is none."""
    return _nearest(emb, lon, lat)[1] if np.isfinite(emb.lonlat).all(axis=1).any() else math.inf


def _resolve(
    emb: Embeddings,
    place: str | None,
    tile: str | None,
    lon: float | None,
    lat: float | None,
    vector: ArrayLike | None,
) -> tuple[int | None, dict[str, Any]]:
    """(row of the query place or None, entries of ``attrs["query"]``)."""
    if (lon is None) != (lat is None):
        raise InputError("a point needs both lon and lat, in degrees")
    questions = [place is not None, tile is not None, lon is not None]
    if (
        sum(questions) > 1
        or (vector is not None and any(questions[:2]))
        or not (any(questions) or vector is not None)
    ):
        raise InputError("give exactly one of: place, tile, lon and lat, vector")
    if vector is not None:
        if lon is not None and lat is not None:
            check_lonlat(lon, lat)
        return None, _told(None, lon, lat, 0.0 if lon is not None else None, lon is not None)
    if len(emb) == 0:
        raise InputError("the table of embeddings is empty")
    if lon is not None and lat is not None:
        row, away = _nearest(emb, lon, lat)
        require_within(emb, lon, lat, away)
    elif tile is not None:
        row, away = _row_of_tile(emb, tile)
    else:
        row, away = row_of_place(emb, str(place)), 0.0
    place_lon, place_lat = (float(value) if np.isfinite(value) else None for value in emb.lonlat[row])
    return row, _told(str(emb.place_id[row]), place_lon, place_lat, away, False)


def _told(
    place_id: str | None, lon: float | None, lat: float | None, away: float | None, afresh: bool
) -> dict[str, Any]:
    return {"place_id": place_id, "lon": lon, "lat": lat, "distance_m": away, "embedded_afresh": afresh}


def _row_of_tile(emb: Embeddings, tile: str) -> tuple[int, float]:
    zoom, x, y = parse_tile_id(tile)
    found = emb.row_of(f"{zoom}/{x}/{y}")
    if found is not None:
        return found, 0.0
    lon, lat = map(float, tile_xy_to_lonlat(np.array([x + 0.5, y + 0.5]), zoom))
    row, away = _nearest(emb, lon, lat)
    try:
        require_within(emb, lon, lat, away)
    except InputError as error:
        raise InputError(f"the tile {zoom}/{x}/{y} is not in this area: its center {error}") from error
    return row, away


def _nearest(emb: Embeddings, lon: float, lat: float) -> tuple[int, float]:
    """(row, meters) of the place nearest to a point."""
    check_lonlat(lon, lat)
    known, places = emb.derived("located", lambda: _located(emb))
    if len(known) == 0:
        raise InputError("no place in this table has coordinates: search by place_id")
    row, away = _nearest_of(emb, known, places, lon, lat)
    if away > _SWAPPED_BEYOND_M and abs(lon) <= 90:
        _, turned = _nearest_of(emb, known, places, lat, lon)
        if turned < _SWAPPED_BEYOND_M:
            raise InputError(
                f"lon={lon:g}, lat={lat:g} is {away / 1000:,.0f} km from the nearest place, but "
                f"lon={lat:g}, lat={lon:g} is only {turned / 1000:,.1f} km away: lon and lat look swapped"
            )
    return row, away


def _nearest_of(
    emb: Embeddings, known: NDArray[np.int64], places: NDArray[np.float64], lon: float, lat: float
) -> tuple[int, float]:
    away = places - to_ecef(lon, lat)
    row = int(known[np.argmin(np.einsum("ij,ij->i", away, away))])
    return row, float(distance_m(lon, lat, *emb.lonlat[row]))


def _located(emb: Embeddings) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(rows with coordinates, (M, 3) their positions in meters)."""
    known = np.flatnonzero(np.isfinite(emb.lonlat).all(axis=1))
    return known, to_ecef(emb.lonlat[known, 0], emb.lonlat[known, 1])


def _squares(emb: Embeddings, apart_m: float) -> Squares | None:
    """`Squares` of the places; None if each counts."""
    if not apart_m > 0:
        return None
    return emb.derived(f"squares of {apart_m}", lambda: Squares.of(emb.lonlat, apart_m))


def _allowed(emb: Embeddings, where: Mask | None, bbox: Area | None) -> Mask:
    allowed = np.ones(len(emb), bool) if where is None else checked_mask(where, len(emb)).copy()
    if bbox is not None:
        lon, lat = emb.derived("lon and lat", lambda: np.ascontiguousarray(emb.lonlat.T))
        allowed &= bbox.contains(lon, lat)  # false without coordinates
    return allowed


def _clear_around(
    emb: Embeddings, allowed: Mask, lon: float | None, lat: float | None, meters: float, keep: int | None
) -> None:
    """Rule out places nearer than ``meters`` to a point, but ``keep``; places without coordinates stay."""
    if lon is None or lat is None:
        raise InputError("min_distance_m needs a query with coordinates; this one has none")
    near = rows_within(emb, lon, lat, meters)
    allowed[near[near != keep] if keep is not None else near] = False


def _same(emb: Embeddings, wanted: NDArray[np.float32], row: int | None) -> int:
    """How many vectors, except that of ``row``, equal the query up to float32 rounding."""
    rounding = np.float32(1e-6 * float(np.abs(wanted).max(initial=0.0)))
    first, order, values = emb.derived("widest column", lambda: _widest_column(emb.vectors))
    spot = wanted[first] - 2 * rounding, wanted[first] + 2 * rounding
    left = order[slice(*np.searchsorted(values, spot))]
    left = left if len(left) < len(order) // 8 else np.sort(left)  # rows of a table are read in its order
    for number, value in enumerate(wanted):
        if len(left) == 0:
            break
        left = left[np.abs(emb.vectors[left, number] - value) <= rounding]
    return int((left != row).sum()) if row is not None else len(left)


def _widest_column(vectors: NDArray[np.float32]) -> tuple[int, NDArray[np.int32], NDArray[np.float32]]:
    """(the number of the vectors that varies most, rows by its values, these values): few places share one."""
    some = vectors[:: max(1, len(vectors) // 1000)]
    widest = int(some.var(axis=0).argmax())
    values = np.ascontiguousarray(vectors[:, widest])
    order = np.argsort(values).astype(np.int32)
    return widest, order, values[order]


def _tied(same: int, total: int) -> str:
    others = "other place has" if same == 1 else "other places have"
    return (
        f"{same:,} {others} exactly the same vector as the query, out of {total:,}; they are listed in the order of the"
        " table, which has no meaning (if there are many, nothing that the model reads lies there, or the model was"
        " trained too little)"
    )


def _answer(emb: Embeddings, found: Found) -> geopandas.GeoDataFrame:
    import geopandas

    rows = found.rows
    columns = {
        "place_id": emb.place_id[rows],
        "name": emb.names[rows],
        "label": labels(emb, rows),
        "lon": emb.lonlat[rows, 0],
        "lat": emb.lonlat[rows, 1],
        "rank": np.arange(1, len(rows) + 1),
        found.query["measure"]: found.values,
        "z": found.z,
    }
    return geopandas.GeoDataFrame(columns, geometry=list(emb.geometry_at(rows)), crs=4326)
