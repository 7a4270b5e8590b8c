"""Embeds a dataset in parts. Finished parts are kept, so that a killed call can continue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec.core import FUSED
from placevec.datasets.dataset import Dataset
from placevec.io.jobs import Job
from placevec.io.progress import Progress
from placevec.models.model import Model

EMBED_PART = 4096
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
) -> dict[str, NDArray[np.float32]]:
    """View -> (N, dim) vectors of the places at ``rows``, `EMBED_PART` at a time; see `Model.encode`.

    ``job``, of `inputs_of_parts`, keeps what is done; with None nothing is written.
    """
    if job is None:
        with progress.task("Embedding", total=len(rows)) as advance:
            return model.encode(dataset, rows, views=views, batch_size=batch_size, advance=advance)
    dims = _dims(model, views)
    parts = []
    with progress.task("Embedding", total=len(rows)) as advance:
        for number, start in enumerate(range(0, len(rows), EMBED_PART)):
            part = rows[start : start + EMBED_PART]
            vectors = job.get_array(f"part-{number:06d}")
            if vectors is not None:
                advance(len(part))
            else:
                found = model.encode(dataset, part, views=views, batch_size=batch_size, advance=advance)
                vectors = np.concatenate([found[name] for name in dims], axis=1)
                job.put_array(f"part-{number:06d}", vectors)
            parts.append(vectors)
    side_by_side = np.concatenate(parts) if parts else np.zeros((0, sum(dims.values())), np.float32)
    ends = np.cumsum(list(dims.values()))[:-1]
    return dict(zip(dims, np.split(side_by_side, ends, axis=1), strict=True))
