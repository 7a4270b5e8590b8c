"""Embeds a dataset in parts. Finished parts are kept, so that a killed call can continue."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec.core import FUSED
from placevec.datasets.dataset import Dataset
from placevec.io import atomic
from placevec.io.progress import Progress
from placevec.models.model import Model

EMBED_PART = 4096
"""Places per part."""


def embed_in_parts(
    model: Model,
    dataset: Dataset,
    rows: NDArray[np.int64],
    views: Sequence[str],
    work: Path | None,
    batch_size: int,
    progress: Progress,
) -> dict[str, NDArray[np.float32]]:
    """View -> (N, dim) vectors of the places at ``rows``, `EMBED_PART` at a time; see `Model.encode`.

    Parts already in ``work`` are reused if they come from the same model, dataset and batch size; otherwise they are
    removed. With ``work`` None nothing is written. The caller removes ``work`` in the end.
    """
    if work is None:
        with progress.task("Embedding", total=len(rows)) as advance:
            return model.encode(dataset, rows, views=views, batch_size=batch_size, advance=advance)
    dims = {name: dim for name, dim in model.dims.items() if name in views or name == FUSED}
    fingerprint = {
        "model": model.hash, "dataset": dataset.hash, "batch_size": batch_size, "part": EMBED_PART, "views": dims,
    }  # fmt: skip
    stamp = work / "inputs.json"
    if work.exists() and _stamped(stamp) != fingerprint:
        shutil.rmtree(work)
    if not stamp.exists():
        atomic.write_json(stamp, fingerprint)
    parts = []
    with progress.task("Embedding", total=len(rows)) as advance:
        for number, start in enumerate(range(0, len(rows), EMBED_PART)):
            part = rows[start : start + EMBED_PART]
            file = work / f"part-{number:06d}.npy"
            vectors = _finished_part(file, (len(part), sum(dims.values())))
            if vectors is not None:
                advance(len(part))
            else:
                found = model.encode(dataset, part, views=views, batch_size=batch_size, advance=advance)
                vectors = np.concatenate([found[name] for name in dims], axis=1)
                content = (
                    io.BytesIO()
                )  # when numpy writes to a file directly, it loses the reason for a full disk
                np.save(content, vectors, allow_pickle=False)
                atomic.write_bytes(file, content.getvalue())
            parts.append(vectors)
    side_by_side = np.concatenate(parts) if parts else np.zeros((0, sum(dims.values())), np.float32)
    ends = np.cumsum(list(dims.values()))[:-1]
    return dict(zip(dims, np.split(side_by_side, ends, axis=1), strict=True))


def _stamped(stamp: Path) -> Any:
    """What the parts next to ``stamp`` were made from; None if unknown."""
    try:
        return json.loads(stamp.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def _finished_part(file: Path, shape: tuple[int, int]) -> NDArray[np.float32] | None:
    """The vectors in a part's file; None if it is missing or invalid (a pickle is never opened)."""
    try:
        vectors = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    fits = isinstance(vectors, np.ndarray) and vectors.shape == shape and vectors.dtype == np.float32
    return vectors if fits else None
