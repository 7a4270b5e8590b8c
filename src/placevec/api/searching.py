"""`similar`: the places most like one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from placevec.api.inputs import PathLike, Vectors, recorded_dataset, recorded_model, table_of
from placevec.datasets.dataset import Dataset
from placevec.errors import InputError
from placevec.geo.areas import Box, area_of

if TYPE_CHECKING:
    import geopandas as gpd

    from placevec.embeddings import Embeddings
    from placevec.embeddings.search.exact import Metric
    from placevec.models.model import Model


def similar(
    embeddings: Vectors,
    *,
    view: str | None = None,
    place: str | None = None,
    tile: str | None = None,
    name: str | None = None,
    lon: float | None = None,
    lat: float | None = None,
    k: int = 10,
    metric: Metric = "cosine",
    bbox: Box | None = None,
    min_distance_m: float = 0.0,
    where: NDArray[np.bool_] | None = None,
    dataset: Dataset | PathLike | None = None,
    model: Model | PathLike | None = None,
) -> gpd.GeoDataFrame:
    """The ``k`` places most like one of the table, a named one, or any point.

    Only places in ``bbox``, at least ``min_distance_m`` meters from the query, and where the mask ``where`` (N,) is
    true may answer. ``view`` names whose vectors are searched, where the table holds several (``fused`` by default).

    A point that is no place of the table is embedded afresh when the dataset and model are given or still lie
    where the table says; else the nearest place answers, and ``result.attrs["query"]`` says how far it is.

    Returns:
        One row a place, best first: place_id, name, lon, lat, rank, distance, geometry.
    """
    from placevec.embeddings.search.query import similar as search

    table = table_of(embeddings, view)
    options: dict[str, Any] = {
        "k": k,
        "metric": metric,
        "where": where,
        "bbox": area_of(bbox),
        "min_distance_m": min_distance_m,
    }
    if name is not None:
        place = _place_named(table, name)
    if lon is None or lat is None:
        return search(table, place=place, tile=tile, lon=lon, lat=lat, **options)
    found_dataset, found_model = recorded_dataset(table, dataset), recorded_model(table, model)
    if found_dataset is None or found_model is None:
        return search(table, lon=lon, lat=lat, **options)
    if not found_dataset.area.contains(lon, lat)[0]:
        return search(table, lon=lon, lat=lat, **options)
    vector = found_model.vectors(found_dataset, lonlat=np.array([[lon, lat]], np.float64), view=table.view)[0]
    if not np.isfinite(vector).all():  # the view is read by place, and this point is none
        return search(table, lon=lon, lat=lat, **options)
    return search(table, lon=lon, lat=lat, vector=vector, **options)


def _place_named(table: Embeddings, name: str) -> str:
    """The place_id whose name is, or begins with, or holds ``name`` (case ignored)."""
    wanted = name.casefold()
    named = [(row, str(text)) for row, text in enumerate(table.names) if text]
    tests: Iterable[Any] = (
        lambda text: text.casefold() == wanted,
        lambda text: text.casefold().startswith(wanted),
        lambda text: wanted in text.casefold(),
    )
    for test in tests:
        for row, text in named:
            if test(text):
                return str(table.place_id[row])
    near = difflib.get_close_matches(name, dict.fromkeys(text for _, text in named), n=3)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    count = f"{len(named)} of {len(table.place_id)} places have a name"
    raise InputError(f"no place is named {name!r} ({count}){hint}")
