"""Embeds a dataset in parts. Finished parts are kept, so that a killed call can continue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from placevec.core import FUSED
from placevec.datasets.dataset import Dataset
from placevec.distributed.executors import IN_THIS_PROCESS, Executor, Maker, Part
from placevec.errors import DatasetError, ModelError
from placevec.io.jobs import Job, Parts, put_array
from placevec.io.progress import Advance, Progress
from placevec.models.files import portable
from placevec.models.model import Model

EMBED_PART = 1024
"""Places per part."""


def inputs_of_parts(model: Model, dataset: Dataset, views: Sequence[str], batch_size: int) -> dict[str, Any]:
    """All that parts depend on."""
    return {
        "model": model.hash, "dataset": dataset.hash, "batch_size": batch_size, "part": EMBED_PART,
        "views": _dims(model, views),
    }  # fmt: skip


def _dims(model: Model, views: Sequence[str]) -> dict[str, int]:
    return {name: dim for name, dim in model.dims.items() if name in views or name == FUSED}


def embed_in_parts(
    model: Model,
    dataset: Dataset,
    rows: NDArray[np.int64],
    views: Sequence[str],
    job: Job | None,
    batch_size: int,
    progress: Progress,
    executor: Executor = IN_THIS_PROCESS,
) -> dict[str, NDArray[np.float32]]:
    """View -> (N, dim) vectors of the places at ``rows``, `EMBED_PART` at a time; see `Model.encode`.

    ``job``, of `inputs_of_parts`, keeps what is done, by whichever ``executor``; with None nothing is written.
    """
    if job is None:
        with progress.task("Embedding", total=len(rows)) as advance:
            return model.encode(dataset, rows, views=views, batch_size=batch_size, advance=advance)
    dims = _dims(model, views)
    names = [f"part-{start // EMBED_PART:06d}" for start in range(0, len(rows), EMBED_PART)]
    left = []
    with progress.task("Embedding", total=len(rows)) as advance:
        for number, name in enumerate(names):
            part = rows[number * EMBED_PART : (number + 1) * EMBED_PART]
            if job.get_array(name) is None:
                left.append(Part(name, _Asked(name, part), len(part)))
            else:
                advance(len(part))
        embedding = _Embedding(model, dataset, tuple(views), batch_size, job.parts)
        for _ in executor.run(embedding, left, advance):
            pass
    parts = [job.kept_array(name) for name in names]
    side_by_side = np.concatenate(parts) if parts else np.zeros((0, sum(dims.values())), np.float32)
    ends = np.cumsum(list(dims.values()))[:-1]
    return dict(zip(dims, np.split(side_by_side, ends, axis=1), strict=True))


class _Asked(NamedTuple):
    """A part to embed: its name, and its places."""

    name: str
    rows: NDArray[np.int64]


@dataclass(frozen=True)
class _Embedding:
    """Everything that a part depends on, open."""

    model: Model
    dataset: Dataset
    views: tuple[str, ...]
    batch_size: int
    parts: Parts

    def make(self, asked: _Asked, advance: Advance) -> None:
        """Embed a part and store it."""
        found = self.model.encode(
            self.dataset, asked.rows, views=self.views, batch_size=self.batch_size, advance=advance
        )
        vectors = np.concatenate([found[name] for name in _dims(self.model, self.views)], axis=1)
        put_array(self.parts, asked.name, vectors)

    def elsewhere(self) -> Callable[[], Maker]:
        """See `Work.elsewhere`; ModelError for a model without files."""
        return partial(
            _opened, Paths.of(self.model, self.dataset), self.views, self.batch_size, self.parts.absolute()
        )


def _opened(paths: Paths, views: tuple[str, ...], batch_size: int, parts: Parts) -> Maker:
    """The same as `_Embedding.make` in another process; OutputError if it does not see the folder of the parts."""
    model, dataset = paths.opened()
    parts.check_shared()
    return _Embedding(model, dataset, views, batch_size, parts).make


@dataclass(frozen=True)
class Paths:
    """A model and a dataset for processes of other machines: where they lie, and the hashes of what must lie there."""

    model: str
    model_hash: str
    dataset: Path
    dataset_hash: str

    @classmethod
    def of(cls, model: Model, dataset: Dataset) -> Paths:
        """Those of open ones; ModelError for a model without files."""
        if model.path is None:
            raise ModelError("a model that was never saved cannot be sent to other processes: save it first")
        return cls(portable(model.path), model.hash, dataset.path.absolute(), dataset.hash)

    def opened(self) -> tuple[Model, Dataset]:
        """Both, for one thread.

        Raises:
            ModelError: there is another model, or none.
            DatasetError: there is another dataset, or none.
        """
        import torch

        torch.set_num_threads(1)
        model, dataset = Model.load(self.model), Dataset.open(self.dataset)
        if model.hash != self.model_hash:
            raise ModelError(
                f"{self.model} is a different model on this machine: all machines must see the same files"
            )
        if dataset.hash != self.dataset_hash:
            raise DatasetError(
                f"{self.dataset} is a different dataset on this machine: all machines must see the same files"
            )
        return model, dataset
