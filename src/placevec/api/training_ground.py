"""The dataset that a model was trained on, found where the model says that it lies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from placevec.dataset import Dataset
from placevec.errors import DatasetError
from placevec.progress import printable

if TYPE_CHECKING:
    from placevec.model import Model


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
    found = Dataset.open(path)
    if found.hash != model.training.get("dataset_hash"):
        raise DatasetError(
            f"{printable(path)} is another dataset than {name} was trained on, or has changed since: {remedy}"
        )
    return found
