"""Projections that are computed once and kept beside the table, by the hash of its vectors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from placevec.embeddings import Embeddings, precomputed
from placevec.errors import EmbeddingsError, InputError, OutputError, UsageError
from placevec.explorer.reductions import Method, Reduction, reduce_vectors
from placevec.io.progress import SILENT, Progress

_SHAPE = {"method": str, "components": int, "seed": int, "drawn": int, "explained": [float], "note": str}


@dataclass(frozen=True)
class Projection:
    """The vectors of some places in two or three dimensions.

    Attributes:
        rows: (M,) rows of the table, ascending.
        reduction: their components.
        reused: whether it was read instead of computed.
        path: its file; None if it is in memory only.
    """

    rows: NDArray[np.int64]
    reduction: Reduction
    reused: bool
    path: Path | None = None


def projection(
    emb: Embeddings,
    method: Method,
    *,
    dim: int = 3,
    seed: int = 0,
    max_places: int | None = None,
    force: bool = False,
    progress: Progress = SILENT,
) -> Projection:
    """The projection of a table: read from beside its file, or computed and, if the table has a file, kept there.

    Args:
        emb: vectors of one view.
        method: ``pca``, ``tsne`` or ``umap``.
        dim: 2 or 3.
        seed: seed of the sample and of the method.
        max_places: maximum number of places, a seeded sample; all if None.
        force: compute it again.
        progress: receives progress reports.

    Raises:
        InputError: too few places.
        MissingExtraError: umap-learn is not installed.

    >>> none, lonlat = [None] * 3, [[24.9, 60.2]] * 3
    >>> emb = Embeddings(["a", "b", "c"], np.eye(3), lonlat, none, none, "map", None)
    >>> projection(emb, "pca", dim=2).reduction.components.shape
    (3, 2)
    """
    found = None if force else cached_projection(emb, method, dim=dim, seed=seed, max_places=max_places)
    if found is not None:
        return found
    rows = sampled_rows(len(emb), len(emb) if max_places is None else max_places, seed)
    made = reduce_vectors(emb.vectors[rows], method, dim=dim, seed=seed, progress=progress)
    facts = precomputed.facts_of(emb, _name(method, dim, seed, len(rows), len(emb)))
    if facts is None:
        return Projection(rows, made, False)

    def save(path: Path) -> None:
        with path.open("wb") as file:
            np.save(file, made.components)

    more = {
        "method": method, "components": dim, "seed": seed, "drawn": len(rows), "explained": list(made.explained),
        "note": made.note,
    }  # fmt: skip
    try:
        return Projection(rows, made, False, precomputed.write(emb, facts, ".npy", save, more))
    except (OSError, OutputError):  # beside the table nothing can be written: it is computed each time
        return Projection(rows, made, False)


def cached_projection(
    emb: Embeddings, method: Method, *, dim: int = 3, seed: int = 0, max_places: int | None = None
) -> Projection | None:
    """The projection that is kept beside the table; None if there is none, or if it is of other vectors or damaged."""
    if len(emb) == 0:
        return None
    rows = sampled_rows(len(emb), len(emb) if max_places is None else max_places, seed)
    facts = precomputed.facts_of(emb, _name(method, dim, seed, len(rows), len(emb)))
    if facts is None or not facts.exists():
        return None
    try:
        path, told = precomputed.read(facts, ".npy", _SHAPE)
        asked = {"method": method, "components": dim, "seed": seed, "drawn": len(rows)}
        if told["vectors"] != emb.content_hash or any(told[name] != value for name, value in asked.items()):
            return None
        components = np.load(path)
    except (EmbeddingsError, ValueError, OSError):
        return None
    if components.shape != (len(rows), dim) or not np.isfinite(components).all():
        return None
    explained = tuple(float(share) for share in told["explained"])
    made = Reduction(method, components.astype(np.float32), explained, str(told["note"]))
    return Projection(rows, made, True, path)


def _name(method: Method, dim: int, seed: int, drawn: int, places: int) -> str:
    part = "" if drawn == places else f"-{drawn}"
    return f"{method}-{dim}d{part}" + (f"-seed{seed}" if seed else "")


def sampled_rows(total: int, maximum: int, seed: int) -> NDArray[np.int64]:
    """Rows to draw, ascending: all, or ``maximum`` random ones."""
    if total == 0:
        raise InputError("there are no places to draw: the table of embeddings is empty")
    if maximum < 1:
        raise UsageError(f"max_places must be at least 1; got {maximum}")
    if total <= maximum:
        return np.arange(total)
    return np.sort(np.random.default_rng(seed).choice(total, maximum, replace=False))
