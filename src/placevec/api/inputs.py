"""What the verbs are handed: paths or open things, and what vectors say they were made from."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Union

from placevec.errors import DatasetError, ModelError, PlacevecError
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
"""An area, as `placevec.geo.areas.Box` says; from a text or four numbers it becomes one."""
Vectors = Union["Embeddings", "EmbeddingsOfViews", str, Path]
"""Vectors of one view or of several, or the file that holds them."""


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
    """Load a file of vectors, of one view or of several; EmbeddingsError says what is wrong with it."""
    from placevec import embeddings

    return embeddings.load(path)


def dataset_of(dataset: Dataset | PathLike) -> Dataset:
    """A dataset, opened where its directory is named."""
    return open_dataset(dataset) if isinstance(dataset, str | Path) else dataset


def model_of(model: Model | PathLike) -> Model:
    """A model, loaded where its directory is named."""
    return load_model(model) if isinstance(model, str | Path) else model


def table_of(embeddings: Vectors, view: str | None = None) -> Embeddings:
    """The vectors of one view, read where their file is named: the view named, else ``fused``, else the only one.

    UsageError for an unknown view, or where there are several, no fusion, and none is named.
    """
    found = load_embeddings(embeddings) if isinstance(embeddings, str | Path) else embeddings
    return found.of(view)


def recorded_dataset(embeddings: Embeddings, dataset: Dataset | PathLike | None = None) -> Dataset | None:
    """The dataset that vectors were made from: the one given, else the one recorded if it is still there and the same."""
    if dataset is not None:
        found = dataset_of(dataset)
    else:
        path = embeddings.provenance.dataset_path
        if not path or not (Path(path) / "dataset.json").exists():
            return None
        found = open_dataset(path)
    if not found.descends_from(embeddings.provenance.dataset_hash):
        if dataset is None:
            return None
        raise PlacevecError(f"the vectors were made from another dataset than {found.path}")
    return found


def recorded_model(embeddings: Embeddings, model: Model | PathLike | None = None) -> Model | None:
    """The model that made the vectors: the one given, else the one recorded if it is still there and the same."""
    if model is not None:
        found = model_of(model)
    else:
        path = embeddings.provenance.model_path
        if not path or not (Path(path) / "config.json").exists():
            return None
        found = load_model(path)
    if found.hash != embeddings.provenance.model_hash:
        if model is None:
            return None
        raise ModelError(
            f"the vectors were made by another model ({embeddings.provenance.model_hash[:12]}) than {found.path}"
        )
    return found


def window_m(table: Embeddings, model: Model | PathLike | None = None) -> float | None:
    """Side in meters of the square that the model reads around a place; None where that is not known.

    Only the model's ``config.json`` is read, not its weights.
    """
    if model is not None and not isinstance(model, str | Path):
        return model.specs[table.view].size_m if table.view in model.specs else None
    if model is None and not table.provenance.model_path:
        return None
    folder = Path(table.provenance.model_path if model is None else model)
    try:
        size = read_json(folder / "config.json")["reads"][table.view]["spec"]["size_m"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    fits = isinstance(size, int | float) and not isinstance(size, bool) and 0 < size < 1e7
    return float(size) if fits else None


def now() -> str:
    """The time, as manifests and tables record it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def recorded_ground(model: Model, remedy: str) -> Dataset:
    """The dataset that a model was trained on.

    Args:
        model: that records where the dataset lay, and its hash.
        remedy: what to do where the dataset cannot be had, as the end of a message.

    Raises:
        DatasetError: it lies there no more, or has changed since, and so tells nobody what was kept from training.
    """
    name = "the model" if model.path is None else printable(str(model.path))
    path = str(model.training.get("dataset_path") or "")
    if not path or not (Path(path) / "dataset.json").exists():
        raise DatasetError(f"the dataset that {name} was trained on is not where it says: {remedy}")
    found = open_dataset(path)
    if not found.descends_from(str(model.training.get("dataset_hash"))):
        raise DatasetError(
            f"{printable(path)} is another dataset than {name} was trained on, or has changed since: {remedy}"
        )
    return found
