"""`similar`: the places most like one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from placevec.api.inputs import PathLike, Vectors, recorded_dataset, recorded_model, table_of, window_m
from placevec.datasets.dataset import Dataset
from placevec.geo.areas import Box, area_of

if TYPE_CHECKING:
    import geopandas as gpd

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
    min_distance_m: float | None = None,
    where: NDArray[np.bool_] | None = None,
    dataset: Dataset | PathLike | None = None,
    model: Model | PathLike | None = None,
) -> gpd.GeoDataFrame:
    """The ``k`` places most like one of the table, a named one, or any point.

    Only places in ``bbox`` and where the mask ``where`` (N,) is true may answer, and ``min_distance_m`` meters lie
    between any two of them and between each and the query: by default about the ground that the model looks at, so
    that nothing is alike for overlapping; 0 takes all.

    A name that several places have means the one in their middle; ``result.attrs["notes"]`` says how many there are.
    ``view`` names whose vectors are searched, where the table holds several (``fused`` by default).
    A point far outside of the places is refused, and their area named.

    A point that is no place of the table is embedded afresh when the dataset and model are given or still lie
    where the table says; else the nearest place answers, and ``result.attrs["query"]`` says how far it is.

    Returns:
        One row a place, best first: place_id, name, label, lon, lat, rank, distance (or product, of the metric
        ``dot``), geometry; see `placevec.embeddings.search.similar` for what ``attrs`` hold.
    """
    from placevec.embeddings.labels import places_named
    from placevec.embeddings.search.query import similar as search
    from placevec.embeddings.search.spacing import ABOUT

    table = table_of(embeddings, view)
    options: dict[str, Any] = {
        "k": k,
        "metric": metric,
        "where": where,
        "bbox": area_of(bbox),
        "min_distance_m": min_distance_m,
    }
    if min_distance_m is None and (footprint := window_m(table, model)) is not None:
        options["min_distance_m"] = ABOUT * footprint
    if name is not None:
        named = places_named(table, name)
        found = search(table, place=str(table.place_id[named.row]), tile=tile, lon=lon, lat=lat, **options)
        found.attrs["notes"] = [*filter(None, [named.note(table)]), *found.attrs["notes"]]
        found.attrs["query"]["named"] = len(named.rows)
        return found
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
