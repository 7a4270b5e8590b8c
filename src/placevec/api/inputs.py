"""Inputs of the public functions: paths or open objects, and the recorded sources of vectors."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Union

from placevec.errors import DatasetError, ModelError, PlacevecError
from placevec.io.folders import found_path
from placevec.io.json_documents import read_json
from placevec.io.progress import printable
from placevec.options import Reads
from placevec.preparation.options import read_box

if TYPE_CHECKING:
    from placevec.datasets.dataset import Dataset
    from placevec.embeddings import Embeddings, EmbeddingsOfViews
    from placevec.geo.areas import Box
    from placevec.models.model import Model

PathLike = str | Path
BoxLike = Annotated["Box", Reads(read_box)]
"""An area, see `placevec.geo.areas.Box`; a text or four numbers are converted."""
Vectors = Union["Embeddings", "EmbeddingsOfViews", str, Path]
"""Vectors of one view or of several, or their file."""


def open_dataset(path: PathLike) -> Dataset:
    """Open a dataset directory; DatasetError says what is wrong with it."""
    from placevec.datasets.dataset import Dataset

    return Dataset.open(path)


def load_model(path: PathLike) -> Model:
    """Load a model or run directory; ModelError says what is wrong with it.

    >>> model = load_model("base")
    >>> model.views, model.dim
    (('map',), 128)
    """
    from placevec.models.model import Model

    return Model.load(path)


def load_embeddings(path: PathLike) -> Embeddings | EmbeddingsOfViews:
    """Load a file of vectors, with one view or several; EmbeddingsError says what is wrong with it."""
    from placevec import embeddings

    return embeddings.load(path)


def dataset_of(dataset: Dataset | PathLike) -> Dataset:
    """A dataset; a path is opened."""
    return open_dataset(dataset) if isinstance(dataset, str | Path) else dataset


def model_of(model: Model | PathLike) -> Model:
    """A model; a path is loaded."""
    return load_model(model) if isinstance(model, str | Path) else model


def table_of(embeddings: Vectors, view: str | None = None) -> Embeddings:
    """The vectors of one view; a path is read: the given view, by default ``fused``, or else the only one.

    UsageError for an unknown view, or if there are several, no fusion, and none is given.
    """
    found = load_embeddings(embeddings) if isinstance(embeddings, str | Path) else embeddings
    return found.of(view)


def recorded_dataset(embeddings: Embeddings, dataset: Dataset | PathLike | None = None) -> Dataset | None:
    """The dataset of some vectors: the given one, or the recorded one if it still exists and is the same."""
    if dataset is not None:
        found = dataset_of(dataset)
    else:
        path = embeddings.provenance.dataset_path
        if not path or not (found_path(path) / "dataset.json").exists():
            return None
        found = open_dataset(found_path(path))
    if not found.descends_from(embeddings.provenance.dataset_hash):
        if dataset is None:
            return None
        raise PlacevecError(f"the vectors were made from a different dataset than {found.path}")
    return found


def recorded_model(embeddings: Embeddings, model: Model | PathLike | None = None) -> Model | None:
    """The model of some vectors: the given one, or the recorded one if it still exists and is the same."""
    if model is not None:
        found = model_of(model)
    else:
        path = embeddings.provenance.model_path
        if not path or not (found_path(path) / "config.json").exists():
            return None
        found = load_model(found_path(path))
    if found.hash != embeddings.provenance.model_hash:
        if model is None:
            return None
        raise ModelError(
            f"the vectors were made by a different model ({embeddings.provenance.model_hash[:12]}) than {found.path}"
        )
    return found


def window_m(table: Embeddings, model: Model | PathLike | None = None) -> float | None:
    """Side in meters of the square that the model reads around a place; None if unknown.

    Only the model's ``config.json`` is read, not its weights.
    """
    from placevec.core import FUSED

    if model is not None and not isinstance(model, str | Path):
        return _widest([spec.size_m for name, spec in model.specs.items() if table.view in (name, FUSED)])
    if model is None and not table.provenance.model_path:
        return None
    folder = found_path(table.provenance.model_path) if model is None else Path(model)
    try:
        reads = read_json(folder / "config.json")["reads"]
        sizes = [read["spec"]["size_m"] for name, read in reads.items() if table.view in (name, FUSED)]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return _widest(sizes)


def _widest(sizes: Sequence[object]) -> float | None:
    """The largest valid size in meters; None if there is none."""
    valid = (
        float(size)
        for size in sizes
        if isinstance(size, int | float) and not isinstance(size, bool) and 0 < size < 1e7
    )
    return max(valid, default=None)


def now() -> str:
    """The current time in the format of manifests and tables."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def training_dataset(model: Model, remedy: str) -> Dataset:
    """The dataset that a model was trained on.

    Args:
        model: model that records the path and the hash of the dataset.
        remedy: what to do if the dataset is not available, as the end of a message.

    Raises:
        DatasetError: it no longer exists, or has changed, so that the held-out places are unknown.
    """
    name = "the model" if model.path is None else printable(str(model.path))
    path = str(model.training.get("dataset_path") or "")
    if not path or not (found_path(path) / "dataset.json").exists():
        raise DatasetError(f"the dataset that {name} was trained on is not at its recorded path: {remedy}")
    found = open_dataset(found_path(path))
    if not found.descends_from(str(model.training.get("dataset_hash"))):
        raise DatasetError(
            f"{printable(path)} is not the dataset that {name} was trained on, or has changed since: {remedy}"
        )
    return found
