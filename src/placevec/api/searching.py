"""`similar`: the places most similar to a given one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from placevec.api.asking import model_behind, vectors_of_texts, view_of_images
from placevec.api.inputs import (
    BoxLike,
    PathLike,
    Vectors,
    load_embeddings,
    recorded_dataset,
    recorded_model,
    window_m,
)
from placevec.api.search_results import check_picture, draw_results, with_entities
from placevec.errors import InputError, PlacevecError, UsageError
from placevec.options import Limits, Reads, checked_keywords
from placevec.options.choices import Backend, Metric, Storage

if TYPE_CHECKING:
    import geopandas as gpd
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from placevec.datasets.dataset import Dataset
    from placevec.embeddings import Embeddings, EmbeddingsOfViews
    from placevec.models.model import Model


def read_texts(value: Any) -> tuple[str, ...]:
    """One text or several, commas included, as a tuple.

    >>> read_texts("a, b"), read_texts(["a", "b"])
    (('a, b',), ('a', 'b'))
    """
    return (value,) if isinstance(value, str) else tuple(str(one) for one in (() if value is None else value))


Texts = Annotated[Sequence[str], Reads(read_texts)]
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
    entity: str | None = None,
    text: str | None = None,
    image: PathLike | None = None,
    like: Texts = (),
    unlike: Texts = (),
    k: Annotated[int, Limits(min=1)] = 10,
    threshold: float | None = None,
    metric: Metric = "cosine",
    bbox: BoxLike | None = None,
    filters: Texts = (),
    columns: pd.DataFrame | PathLike | None = None,
    min_distance_m: Annotated[float, Limits(min=0)] | None = None,
    where: NDArray[np.bool_] | None = None,
    backend: Backend = "exact",
    storage: Storage = "float32",
    trees: Annotated[int, Limits(min=1, max=10_000)] = 100,
    quality: Annotated[int, Limits(min=-1)] | None = None,
    dataset: Dataset | PathLike | None = None,
    model: Model | PathLike | None = None,
    picture: PathLike | None = None,
) -> gpd.GeoDataFrame:
    """The ``k`` places most similar to a place of the table, a named place, an entity, any point, words, an image, or to
    several places at once.

    If several places share a name, the one in their middle is used; ``result.attrs["notes"]`` says how many there are.
    A point far outside the places raises an error that names their area.

    A point that is not a place of the table is embedded if the dataset and model are given or still at their recorded
    paths; otherwise the nearest place is used, and ``result.attrs["query"]`` gives its distance.

    Words and images are embedded by the model, if it reads them, and compared with the vectors of its only view of
    images, such as the map; with those of the view texts you search names, with the fused ones both. ``z`` says how far
    a result stands out from all places, and a note if none does.

    The index stays with the table: the second call on the same table is the fast one. Filters mask what is compared, and
    never shorten the result while places are left that pass them.

    Args:
        embeddings: Table of vectors.
        view: View whose vectors are searched if there are several (default: the fused vectors; for models of words
            and images, the image view if there is only one).
        lon: Longitude of the query, degrees.
        lat: Latitude of the query, degrees.
        place: ID of the place to query by.
        tile: Tile to query by, z/x/y.
        name: Name of the place to query by, or the beginning of it.
        entity: Named entity of the dataset as query: a name in any language, a Wikidata item (Q1757) or an OSM object
            (way/123).
        text: Description of the places to find, for example "a lake in a forest" (for models with a text view).
        image: Image of a place as query: GeoTIFF, .npy (bands, rows, columns) or .png, as the model reads its images.
        like: ID of a place that results should be like; several are averaged (repeat the option).
        unlike: ID of a place that results should not be like; several are averaged (repeat the option).
        k: Number of places to find.
        threshold: Maximum distance of results from the query; with the metric dot, the minimum dot product.
        metric: Distance between vectors (angular gives the same ranking as cosine).
        bbox: Return only places in west,south,east,north, degrees.
        filters: Condition on a column, such as "cluster=3", "rent>=20", "name!=" (has a name) or "name~park"; several
            must all hold (repeat the option).
        columns: Table with place_id and columns for the conditions, such as the output of `placevec cluster`.
        min_distance_m: Minimum distance of results from the query and from one another, meters (default: about the
            width of the window that the model reads; 0 disables it).
        where: Mask (N,) of the places to search.
        backend: Index to search
            with (the others may miss places; built once and saved next to the table).
        storage: Precision of the first comparison (int8 and bits save memory; the best candidates are compared again
            at full precision).
        trees: Number of trees in an Annoy index.
        quality: Number of candidates that an approximate index examines (default or -1: the index's own default).
        dataset: Dataset to embed the query from, if it has moved.
        model: Run or model to embed the query with, if it has moved.
        picture: File to draw the results to, .html or .png: what the model reads of each place, with the outline
            of its entity.

    Returns:
        One row per place, best first: place_id, name, label, lon, lat, rank, distance (or product for the metric
        ``dot``), z, geometry; see `placevec.embeddings.search.similar` for them and for ``attrs``. If the dataset is
        there and has entities, also entity (its ID) and type, and places without a name have that of their entity.

    Raises:
        UsageError: not exactly one query, or an invalid value.
        InputError: an unknown place or entity, a point far outside the places, words or an image without the model, or
            an image that does not fit it.

    >>> import numpy as np
    >>> from placevec.embeddings import Embeddings, Provenance
    >>> none, names = np.array([None] * 3, object), np.array(["Station", "Market", "Beach"], object)
    >>> lonlat, vectors = [[24.94, 60.17], [24.95, 60.17], [24.99, 60.15]], [[1, 0], [0.9, 0.1], [0, 1]]
    >>> emb = Embeddings(["a", "b", "c"], vectors, lonlat, none, names, "map", Provenance("m", "d"))
    >>> similar(emb, name="Station", k=1)[["name", "distance"]].round(3).values.tolist()
    [['Market', 0.006]]
    """
    check_query(
        lon=lon, lat=lat, place=place, tile=tile, name=name, entity=entity, text=text, image=image, like=like,
        unlike=unlike, filters=filters, columns=columns, picture=picture,
    )  # fmt: skip
    from placevec.embeddings.labels import places_named
    from placevec.embeddings.search.filters import passing
    from placevec.embeddings.search.query import distance_to_nearest
    from placevec.embeddings.search.query import similar as search
    from placevec.embeddings.search.spacing import ABOUT
    from placevec.embeddings.search.stored import opened

    loaded = load_embeddings(embeddings) if isinstance(embeddings, str | Path) else embeddings
    asked: dict[str, Any] = {}
    notes: list[str] = []
    vector: NDArray[np.float32] | None = None
    if text is not None or image is not None:
        model = model_behind(loaded, model, "a text" if text is not None else "an image")
        table = view_of_images(loaded, model, view)
        vector, notes = _vector_of(table, text, image, model)
        asked = {"text": text} if text is not None else {"image": str(image)}
    else:
        table = loaded.of(view)
    at_point = lon is not None or entity is not None or picture is not None
    ground = recorded_dataset(table, dataset) if dataset is not None or at_point else _if_sound(table)
    if entity is not None:
        place, lon, lat, asked, notes = _entity(table, ground, entity)
    if name is not None:
        named = places_named(table, name)
        place, asked = str(table.place_id[named.row]), {"named": len(named.rows)}
        notes = [*filter(None, [named.note(table)])]
    elif place is not None:
        _require_vector(loaded, table, place)
    if filters:
        more, told = _columns(columns, table)
        notes = [*notes, *told]
        held = passing(table, filters, more)
        where = held if where is None else held & where
    index = opened(table, backend, metric, storage=storage, trees=trees)
    notes += [index.note] * bool(index.note)
    options: dict[str, Any] = {
        "k": k,
        "threshold": threshold,
        "where": where,
        "bbox": bbox,
        "min_distance_m": min_distance_m,
        "index": index.index,
        "quality": quality,
        "like": like,
        "unlike": unlike,
    }
    if min_distance_m is None and (footprint := window_m(table, model)) is not None:
        options["min_distance_m"] = ABOUT * footprint
    if lon is not None and lat is not None and distance_to_nearest(table, lon, lat) >= SAME_PLACE_M:
        vector, note = _vector_at(table, lon, lat, ground, recorded_model(table, model))
        notes += [note] * bool(note)
    found = search(table, place=place, tile=tile, lon=lon, lat=lat, vector=vector, **options)
    found.attrs["notes"] = [*notes, *found.attrs["notes"]]
    found.attrs["query"] |= asked
    found = with_entities(found, ground)
    if picture is not None:
        draw_results(found, table, ground, picture, window_m(table, model))
    return found


def check_query(
    *,
    lon: float | None = None,
    lat: float | None = None,
    like: Sequence[str] = (),
    unlike: Sequence[str] = (),
    filters: Sequence[str] = (),
    columns: object = None,
    picture: PathLike | None = None,
    **options: Any,
) -> None:
    """UsageError unless the keywords of `similar` are one query; looks at no file.

    >>> check_query(place="a")
    """
    if (lon is None) != (lat is None):
        raise UsageError("a point needs both --lon and --lat")
    others = [options.get(one) for one in ("place", "tile", "name", "entity", "text", "image")]
    if sum(query is not None for query in (lon, *others, like or unlike or None)) != 1:
        raise UsageError(
            "give exactly one query: --lon and --lat, --place, --tile, --name, --entity, --text, --image or --like"
        )
    if columns is not None and not filters:
        raise UsageError("--columns applies only to --filters")
    if picture is not None:
        check_picture(picture)


def _columns(
    columns: pd.DataFrame | PathLike | None, table: Embeddings
) -> tuple[pd.DataFrame | None, list[str]]:
    """(a table of columns, what to know of it); a path is read. InputError where most of it and of the places differ."""
    if columns is None:
        return None, []
    from placevec.embeddings.search.filters import join_of
    from placevec.sources.tables.points import read_columns

    named, frame = "the table of columns", columns
    if isinstance(frame, str | Path):
        named, frame = str(frame), read_columns(frame)
    join = join_of(table, frame, named)
    join.check(InputError)
    return frame, [
        *filter(None, [join.note()]),
        *(f"{named}: {note}" for note in frame.attrs.get("notes", ())),
    ]


def _if_sound(table: Embeddings) -> Dataset | None:
    """The recorded dataset, if it is there and not damaged: it only adds entities to the results."""
    try:
        return recorded_dataset(table)
    except PlacevecError:
        return None


def _vector_of(
    table: Embeddings, text: str | None, image: PathLike | None, model: Model
) -> tuple[NDArray[np.float32], list[str]]:
    """(vector of the words or the image, remarks for the user)."""
    if text is not None:
        vectors, notes = vectors_of_texts(table, [text], model)
        return vectors[0], notes
    from placevec.inference.images import embed_image

    assert image is not None
    vector, read_as = embed_image(model, image, table.view)
    if len(vector) != table.dim:
        raise UsageError(
            f"{table.view} vectors have {table.dim} dimensions but image vectors have {len(vector)}: choose"
            " another --view"
        )
    return vector, [] if read_as == table.view else [
        f"the image is read as {read_as}, but the places are embedded by {table.view}"
    ]


def _entity(
    table: Embeddings, dataset: Dataset | None, asked: str
) -> tuple[str | None, float | None, float | None, dict[str, Any], list[str]]:
    """(the place that is an entity, or else lon and lat of the entity; entries of the query; remarks)."""
    from placevec.datasets.entity_lookup import find_entity

    if dataset is None:
        raise InputError(
            "entities are in the dataset of the vectors, which is not at its recorded path: give it with --dataset"
        )
    found, note = find_entity(dataset, asked)
    told = {"entity": found.entity_id, "entity_name": found.name, "entity_type": found.type}
    notes = [note] * bool(note)
    if table.row_of(found.entity_id) is not None:
        return found.entity_id, None, None, told, notes
    return None, found.lon, found.lat, told, notes


def _require_vector(loaded: Embeddings | EmbeddingsOfViews, table: Embeddings, place: str) -> None:
    """InputError where a place has vectors, but none of the view that is searched."""
    if table.row_of(place) is not None:
        return
    others = [view for view in loaded.views if loaded.of(view).row_of(place) is not None]
    if others:
        raise InputError(
            f"{place!r} has no vector of the view {table.view}; it has {', '.join(others)}: choose one with --view"
        )


def _vector_at(
    table: Embeddings, lon: float, lat: float, dataset: Dataset | None, model: Model | None
) -> tuple[NDArray[np.float32] | None, str]:
    """(vector of a point, or None if the nearest place is the query; a remark for the user)."""
    if dataset is None or model is None:
        return (
            None,
            "the nearest place is used as the query; with --dataset and --model, the point itself is embedded",
        )
    if not dataset.area.contains(lon, lat)[0]:
        return None, "the point is outside the dataset's area, so the nearest place is used as the query"
    import numpy as np

    from placevec.core import FUSED
    from placevec.datasets.views.registry import reader_of

    views = model.fuse.views if table.view == FUSED and model.fuse is not None else (table.view,)
    at_points = [view for view in views if reader_of(model.specs[view]).by_coordinates]
    if not at_points:
        known = f"the view {views[0]} is" if len(views) == 1 else f"the views {', '.join(views)} are"
        return (
            None,
            f"{known} known only for the places of the dataset, so the nearest place is used as the query",
        )
    note = ""
    if len(at_points) < len(views):
        note = (
            f"the query is embedded only from {', '.join(at_points)}, but the places from {', '.join(views)}"
        )
    return model.vectors(dataset, lonlat=np.array([[lon, lat]], np.float64), view=table.view)[0], note
