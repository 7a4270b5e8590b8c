"""Answers to searches: from a query to GeoJSON, with as little as possible between the index and the bytes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec.api.asking import view_of_images
from placevec.core import FUSED
from placevec.datasets.views.registry import reader_of
from placevec.embeddings import Embeddings
from placevec.embeddings.labels import labels, places_named
from placevec.embeddings.search.query import Found, distance_to_nearest, find
from placevec.embeddings.search.stored import open_index
from placevec.errors import InputError, UsageError
from placevec.geo.areas import area_of
from placevec.service.requests import SimilarBody, SimilarQuery, the_query
from placevec.service.state import State

SAME_PLACE_M = 1.0
MAX_VERTICES = 10_000


def table_for(state: State, asked: SimilarQuery) -> Embeddings:
    """The vectors that are searched; words are compared with those of images, as in `placevec search`."""
    loaded = state.loaded(asked.table)
    return loaded.of(asked.view) if asked.text is None else view_of_images(loaded, state.model, asked.view)


def point_to_embed(state: State, table: Embeddings, asked: SimilarQuery) -> bool:
    """Whether the query is a point that is no place of the table, and that the model can embed."""
    if asked.lon is None or asked.lat is None:
        return False
    model = state.model
    if model.bare:
        at_points = True
    elif state.dataset is None or not state.dataset.area.contains(asked.lon, asked.lat)[0]:
        at_points = False
    else:
        views = model.fuse.views if table.view == FUSED and model.fuse is not None else (table.view,)
        at_points = any(reader_of(model.specs[view]).by_coordinates for view in views if view in model.specs)
    return (
        at_points and not state.seasonal and distance_to_nearest(table, asked.lon, asked.lat) >= SAME_PLACE_M
    )


def is_quick(state: State, table: Embeddings, asked: SimilarQuery) -> bool:
    """Whether a search takes less time than a change of threads: by an index, of all places, for few results."""
    approximate = state.settings.backend in ("hnsw", "ivf", "annoy") and not asked.exact
    masked = asked.filters or asked.bbox or _within(asked) or asked.z
    return (
        (approximate or len(table) * table.dim < 1_000_000)
        and not masked
        and asked.k <= 100
        and asked.name is None
        and len(asked.like) + len(asked.unlike) <= 16
        and not (asked.min_distance_m or (asked.min_distance_m is None and state.apart_m(table) > 0))
    )


def search(
    state: State, table: Embeddings, asked: SimilarQuery, vector: NDArray[np.float32] | None = None
) -> bytes:
    """The GeoJSON of the places most similar to a query.

    Args:
        state: what is served.
        table: what is searched, see `table_for`.
        asked: the query.
        vector: (D,) of its text or point, if it was embedded.

    Raises:
        InputError: an unknown place or name, a point far outside, an invalid area.
        UsageError: not exactly one query, or a metric that the index does not have.
    """
    kind = the_query(asked)
    options: dict[str, Any] = {}
    if vector is None and kind == "vector":
        assert isinstance(asked, SimilarBody)
        vector = np.asarray(asked.vector, np.float32)
    if vector is not None and vector.shape != (table.dim,):
        raise UsageError(f"{table.view} vectors have {table.dim} dimensions but the query has {len(vector)}")
    backend = "exact" if asked.exact else state.settings.backend
    metric = asked.metric or state.settings.metric
    if backend != "exact" and metric != state.settings.metric:
        raise UsageError(
            f"the index compares by {state.settings.metric}: request exact search to compare by {metric}"
        )
    notes: list[str] = []
    if kind == "name":
        named = places_named(table, str(asked.name))
        options["place"] = str(table.place_id[named.row])
        notes += filter(None, [named.note(table)])
    elif kind in ("place", "tile"):
        options[kind] = getattr(asked, kind)
    elif kind == "lon":
        options |= {"lon": asked.lon, "lat": asked.lat}
    apart = asked.min_distance_m
    if apart is None:
        row = table.row_of(options.get("place", ""))
        nowhere = row is not None and not np.isfinite(table.lonlat[row]).all()
        apart = 0.0 if nowhere else state.apart_m(table)
    found = find(
        table, vector=vector, like=asked.like, unlike=asked.unlike, k=asked.k, threshold=asked.threshold,
        where=_where(state, table, asked), bbox=area_of(asked.bbox), min_distance_m=apart,
        index=open_index(table, backend, metric), quality=asked.quality, compared=asked.z, **options,
    )  # fmt: skip
    if kind == "text":
        found.query["text"] = asked.text
    return collection(table, found, [*notes, *found.notes], state.attribution)


def _where(state: State, table: Embeddings, asked: SimilarQuery) -> NDArray[np.bool_] | None:
    """(N,) places that pass the filters and lie within the polygon; None: all."""
    within = _within(asked)
    if not asked.filters and within is None:
        return None
    mask = np.ones(len(table), bool)
    if asked.filters:
        mask &= state.mask(table, tuple(asked.filters))
    if within is not None:
        mask &= _inside(table, within)
    return mask


def _within(asked: SimilarQuery) -> dict[str, Any] | None:
    return asked.within if isinstance(asked, SimilarBody) else None


def _inside(table: Embeddings, within: dict[str, Any]) -> NDArray[np.bool_]:
    """(N,) places in a polygon of GeoJSON."""
    import shapely
    from shapely.geometry import shape

    if within.get("type") not in ("Polygon", "MultiPolygon"):
        raise InputError("within must be a GeoJSON Polygon or MultiPolygon")
    try:
        polygon = shape({"type": within["type"], "coordinates": within["coordinates"]})
        vertices = int(shapely.get_num_coordinates(polygon))
    except (
        ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError, shapely.errors.ShapelyError,
    ) as error:  # fmt: skip
        raise InputError(f"the within polygon is invalid: {str(error)[:200]}") from error
    bounds = np.array(polygon.bounds)
    if polygon.is_empty or not np.isfinite(bounds).all() or not (np.abs(bounds) <= [180, 90, 180, 90]).all():
        raise InputError("the within polygon must have vertices in degrees, lon from -180 to 180")
    if vertices > MAX_VERTICES:
        raise InputError(f"the within polygon has {vertices:,} vertices; the maximum is {MAX_VERTICES:,}")
    if not polygon.is_valid:
        raise InputError(f"the within polygon is invalid: {shapely.is_valid_reason(polygon)}")
    shapely.prepare(polygon)
    found: NDArray[np.bool_] = shapely.contains_xy(polygon, table.lonlat[:, 0], table.lonlat[:, 1])
    return found


def collection(table: Embeddings, found: Found, notes: list[str], attribution: str) -> bytes:
    """A GeoJSON feature collection; text of places is data in it, nothing else."""
    rows, measure = found.rows, found.query["measure"]
    z = [None if one != one else round(one, 3) for one in found.z.tolist()]
    told = [
        {
            "place_id": table.place_id[row], "name": table.names[row], "label": name, "rank": number,
            measure: round(value, 7), "z": apart,
        }
        for number, (row, name, value, apart) in enumerate(
            zip(rows.tolist(), labels(table, rows).tolist(), found.values.tolist(), z, strict=True), 1
        )
    ]  # fmt: skip
    features = [
        f'{{"type":"Feature","geometry":{geometry},"properties":{_encoded(one)}}}'
        for one, geometry in zip(told, _geometries(table, rows), strict=True)
    ]
    more = _encoded({"query": found.query, "notes": notes, "attribution": attribution})[1:]
    return f'{{"type":"FeatureCollection","features":[{",".join(features)}],{more}'.encode()


def feature(table: Embeddings, row: int, attribution: str, vectors: dict[str, list[float]]) -> bytes:
    """A GeoJSON feature of one place, with the vectors of its views."""
    (geometry,) = _geometries(table, np.array([row]))
    told = {
        "place_id": table.place_id[row], "name": table.names[row], "attribution": attribution, "vectors": vectors,
    }  # fmt: skip
    return f'{{"type":"Feature","geometry":{geometry},"properties":{_encoded(told)}}}'.encode()


def _geometries(table: Embeddings, rows: NDArray[np.int64]) -> list[str]:
    """GeoJSON geometries of places; ``null`` without one."""
    if table.are_points:
        return [
            "null"
            if lon != lon or lat != lat
            else f'{{"type":"Point","coordinates":[{round(lon, 7)!r},{round(lat, 7)!r}]}}'
            for lon, lat in table.lonlat[rows].tolist()
        ]
    import shapely

    return [text if text is not None else "null" for text in shapely.to_geojson(table.geometry_at(rows))]


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else str(value)


_encoded = json.JSONEncoder(allow_nan=False, separators=(",", ":"), default=_plain).encode
