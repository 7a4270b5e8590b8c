"""Ready vectors of categories: from a run that learned them, or from a table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from placevec.encoders.poi_categories import PoiCategories
from placevec.encoders.poi_set import PoiSetEncoder
from placevec.encoders.text import TextEncoder
from placevec.encoders.text_models import find_text_model
from placevec.errors import InputError, ModelError
from placevec.geo.geoparquet import read_parquet

_VECTOR = "vector"
TEXT = "text"
"""In place of a path: vectors of the names of categories by a text model."""


def read_category_vectors(path: str | Path) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """(names of K categories, (K, D) vectors) of a run, or of a table.

    Args:
        path: a run, or a Parquet, CSV or TSV file with a column ``category`` and either a column ``vector`` of lists or
            one column of numbers for each component.

    Raises:
        ModelError: a run of another recipe.
        InputError: a table without categories or numbers.
    """
    path = Path(path)
    if path.is_dir():
        return _of_run(path)
    from placevec.sources.tables.opened import open_table
    from placevec.sources.tables.points import frame_of

    table = frame_of(open_table(path))
    if "category" not in table:
        raise InputError(f"{path} has no column 'category'; it has {', '.join(map(str, table.columns))}")
    names = tuple(table["category"].astype(str))
    vectors = table.drop(columns="category").select_dtypes("number").to_numpy(np.float32)
    if path.suffix == ".parquet" and _VECTOR in open_table(path).names:
        vectors = _lists(path)
    if vectors.ndim != 2 or not vectors.shape[1] or not np.isfinite(vectors).all():
        raise InputError(f"{path} needs one vector of finite numbers per category")
    return names, vectors


def _lists(path: Path) -> NDArray[np.float32]:
    """(K, D) of the column of lists."""
    column = read_parquet(path, "table of vectors", [_VECTOR])[_VECTOR]
    try:
        return np.asarray(column.to_pylist(), np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path} has no vectors of equal length in the column {_VECTOR!r}") from error


def words_of(category: str) -> str:
    """The name of a category as words, with what it is part of.

    >>> words_of("food/fast_food"), words_of("shops")
    ('fast food (food)', 'shops')
    """
    group, _, value = category.replace("_", " ").partition("/")
    return f"{value} ({group})" if value and value != group else value or group


def text_vectors(channels: tuple[str, ...], dim: int, text_model: str) -> NDArray[np.float32]:
    """(K, dim) vectors of the names of categories by a text model, turned onto their principal components.

    No more components than categories can differ in; the others are zero.

    Args:
        channels: the categories.
        dim: length of the vectors.
        text_model: see `placevec.encoders.text_models.find_text_model`.

    Raises:
        ModelError: the text model is not here, and how to get it.
        MissingExtraError: without transformers.
    """
    found = find_text_model(text_model, download=True)
    texts = TextEncoder(found.name, found.sha256, 1, rank=0).means([words_of(name) for name in channels])
    vectors = texts.double().cpu().numpy()
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    left, values, _ = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)
    turned = np.zeros((len(channels), dim))
    kept = min(dim, len(values))
    turned[:, :kept] = left[:, :kept] * values[:kept]
    return turned.astype(np.float32)


def fill_categories(
    encoder: PoiSetEncoder, channels: tuple[str, ...], path: str | Path, text_model: str = ""
) -> list[str]:
    """Start an encoder from ready vectors; returns notes.

    A category that is not among them gets the vector of its group, or else the mean of all.

    Args:
        encoder: is changed in place.
        channels: its categories.
        path: a run or a table, or `TEXT` for vectors of their names.
        text_model: for `TEXT`.

    Raises:
        ModelError, InputError: see `read_category_vectors`; vectors of another length, or without a known category.
    """
    if str(path) == TEXT:
        names, vectors = channels, text_vectors(channels, encoder.category_dim, text_model)
    else:
        names, vectors = read_category_vectors(path)
    if vectors.shape[1] != encoder.category_dim:
        raise InputError(
            f"the vectors of {path} have {vectors.shape[1]} dimensions: add --category-dim {vectors.shape[1]}"
        )
    position = {name: at for at, name in enumerate(names)}
    found = [position.get(name, position.get(name.partition("/")[0], -1)) for name in channels]
    if max(found) < 0:
        raise InputError(f"{path} has none of the categories of the dataset, such as {channels[0]}")
    rows = np.where(np.array(found)[:, None] >= 0, vectors[found], vectors.mean(axis=0))
    # one scale for all: pooling should not depend on how long somebody's vectors are
    rows = rows / max(float(np.sqrt((rows**2).mean())), 1e-12)
    with torch.no_grad():
        encoder.vectors.weight.copy_(torch.from_numpy(rows))
    own = sum(name in position for name in channels)
    if own == len(channels):
        return []
    return [
        f"{len(channels) - own:,} of {len(channels):,} categories have no vector in {path} and get the vector of "
        f"their group"
    ]


def _of_run(path: Path) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    from placevec.models.model import Model

    model = Model.load(path)
    for reading in model.readings.values():
        module = model.modules[reading.encoder]
        if isinstance(module, PoiCategories):
            return reading.spec.channels, module.table().detach().numpy()
    raise ModelError(f"{path} has no category vectors: it is a run of another recipe")
