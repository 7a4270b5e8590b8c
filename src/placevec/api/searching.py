"""`similar`: the places most similar to one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from placevec.api.inputs import (
    BoxLike,
    PathLike,
    Vectors,
    load_embeddings,
    recorded_dataset,
    recorded_model,
    window_m,
)
from placevec.errors import InputError, UsageError
from placevec.options import Limits, checked_keywords
from placevec.options.choices import Metric

if TYPE_CHECKING:
    import geopandas as gpd
    import numpy as np
    from numpy.typing import NDArray

    from placevec.datasets.dataset import Dataset
    from placevec.embeddings import Embeddings, EmbeddingsOfViews
    from placevec.models.model import Model

SAME_PLACE_M = 1.0
"""A point so near to a place of the table, in meters, is that place."""


@checked_keywords
def similar(
    embeddings: Vectors,
    *,
    view: str | None = None,
    lon: float | None = None,
    lat: float | None = None,
    place: str | None = None,
    tile: str | None = None,
    name: str | None = None,
    text: str | None = None,
    k: Annotated[int, Limits(min=1)] = 10,
    metric: Metric = "cosine",
    bbox: BoxLike | None = None,
    min_distance_m: Annotated[float, Limits(min=0)] | None = None,
    where: NDArray[np.bool_] | None = None,
    dataset: Dataset | PathLike | None = None,
    model: Model | PathLike | None = None,
) -> gpd.GeoDataFrame:
    """The ``k`` places most similar to a place of the table, a named place, or any point.

    If several places share a name, the one in their middle is used; ``result.attrs["notes"]`` says how many there are.
    A point far outside the places raises an error that names their area.

    A point that is not a place of the table is embedded if the dataset and model are given or still at their recorded
    paths; otherwise the nearest place is used, and ``result.attrs["query"]`` gives its distance.

    Words are embedded by the model, if it reads texts, in the space that it learned for texts and images.

    Args:
        embeddings: Table of vectors.
        view: View whose vectors are searched if there are several (default: the fused ones).
        lon: Longitude of the query, degrees.
        lat: Latitude of the query, degrees.
        place: ID of the query's place.
        tile: Tile of the query, z/x/y.
        name: Name of the query's place, or the beginning of one.
        text: Description of the places to find, such as "a lake in a forest" (for models with a text view).
        k: Number of places to find.
        metric: Distance between vectors.
        bbox: Only places in west,south,east,north, degrees.
        min_distance_m: Minimum distance of results from the query and from one another, meters (default: about the
            width of the window that the model reads; 0 disables it).
        where: Mask (N,) of the places to search.
        dataset: Dataset to embed the query from, if it has moved.
        model: Run or model to embed the query with, if it has moved.

    Returns:
        One row per place, best first: place_id, name, label, lon, lat, rank, distance (or product for the metric
        ``dot``), geometry; see `placevec.embeddings.search.similar` for ``attrs``.

    Raises:
        UsageError: not exactly one query, or an invalid value.
        InputError: an unknown place, a point far outside the places, or a text without the model.

    >>> import numpy as np
    >>> from placevec.embeddings import Embeddings, Provenance
    >>> none, names = np.array([None] * 3, object), np.array(["Station", "Market", "Beach"], object)
    >>> lonlat, vectors = [[24.94, 60.17], [24.95, 60.17], [24.99, 60.15]], [[1, 0], [0.9, 0.1], [0, 1]]
    >>> emb = Embeddings(["a", "b", "c"], vectors, lonlat, none, names, "map", Provenance("m", "d"))
    >>> similar(emb, name="Station", k=1)[["name", "distance"]].round(3).values.tolist()
    [['Market', 0.006]]
    """
    if (lon is None) != (lat is None):
        raise UsageError("a point needs both --lon and --lat")
    if sum(query is not None for query in (lon, place, tile, name, text)) != 1:
        raise UsageError("give exactly one query: --lon and --lat, --place, --tile, --name or --text")
    from placevec.embeddings.labels import places_named
    from placevec.embeddings.search.query import distance_to_nearest
    from placevec.embeddings.search.query import similar as search
    from placevec.embeddings.search.spacing import ABOUT

    loaded = load_embeddings(embeddings) if isinstance(embeddings, str | Path) else embeddings
    table = loaded.of(view)
    if place is not None:
        _require_vector(loaded, table, place)
    options: dict[str, Any] = {
        "k": k,
        "metric": metric,
        "where": where,
        "bbox": bbox,
        "min_distance_m": min_distance_m,
    }
    if min_distance_m is None and (footprint := window_m(table, model)) is not None:
        options["min_distance_m"] = ABOUT * footprint
    if text is not None:
        vector, notes = _vector_of(table, text, model)
        found = search(table, vector=vector, **options)
        found.attrs["notes"] = [*notes, *found.attrs["notes"]]
        found.attrs["query"]["text"] = text
        return found
    if name is not None:
        named = places_named(table, name)
        found = search(table, place=str(table.place_id[named.row]), tile=tile, lon=lon, lat=lat, **options)
        found.attrs["notes"] = [*filter(None, [named.note(table)]), *found.attrs["notes"]]
        found.attrs["query"]["named"] = len(named.rows)
        return found
    if lon is None or lat is None:
        return search(table, place=place, tile=tile, lon=lon, lat=lat, **options)
    if distance_to_nearest(table, lon, lat) < SAME_PLACE_M:
        return search(table, lon=lon, lat=lat, **options)
    at_point, note = _vector_at(
        table, lon, lat, recorded_dataset(table, dataset), recorded_model(table, model)
    )
    found = search(table, lon=lon, lat=lat, vector=at_point, **options)
    found.attrs["notes"] = [*filter(None, [note]), *found.attrs["notes"]]
    return found


def _require_vector(loaded: Embeddings | EmbeddingsOfViews, table: Embeddings, place: str) -> None:
    """InputError where a place has vectors, but none of the view that is searched."""
    if place in table.place_id:
        return
    others = [view for view in loaded.views if place in loaded.of(view).place_id]
    if others:
        raise InputError(
            f"{place!r} has no vector of the view {table.view}; it has {', '.join(others)}: choose one with --view"
        )


def _vector_at(
    table: Embeddings, lon: float, lat: float, dataset: Dataset | None, model: Model | None
) -> tuple[NDArray[np.float32] | None, str]:
    """(vector of a point, or None if the nearest place is the query; a remark for the user)."""
    if dataset is None or model is None:
        return None, "the nearest place is the query; with --dataset and --model the point itself is embedded"
    if not dataset.area.contains(lon, lat)[0]:
        return None, "the point is outside the dataset's area, so the nearest place is the query"
    import numpy as np

    from placevec.core import FUSED
    from placevec.datasets.views.registry import reader_of

    views = model.fuse.views if table.view == FUSED and model.fuse is not None else (table.view,)
    at_points = [view for view in views if reader_of(model.specs[view]).by_coordinates]
    if not at_points:
        known = f"the view {views[0]} is" if len(views) == 1 else f"the views {', '.join(views)} are"
        return None, f"{known} known for the places of the dataset only, so the nearest place is the query"
    note = ""
    if len(at_points) < len(views):
        note = f"the query is embedded from {', '.join(at_points)} alone, the places from {', '.join(views)}"
    return model.vectors(dataset, lonlat=np.array([[lon, lat]], np.float64), view=table.view)[0], note


def _vector_of(
    table: Embeddings, text: str, model: Model | PathLike | None
) -> tuple[NDArray[np.float32], list[str]]:
    """(vector of a text by the model that made a table, remarks for the user)."""
    from placevec.inference.texts import embed_texts

    reader = recorded_model(table, model)
    if reader is None:
        raise InputError(
            "a text query needs the model that made the vectors, which was not found: give it with --model"
        )
    vectors, cut = embed_texts(reader, [text])
    if vectors.shape[1] != table.vectors.shape[1]:
        raise UsageError(
            f"vectors of {table.view} have {table.vectors.shape[1]} numbers, those of texts {vectors.shape[1]}:"
            " choose another --view"
        )
    notes = ["the text is longer than the model's window and was cut"] if cut else []
    return vectors[0], notes
