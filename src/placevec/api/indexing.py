"""`index` and `precompute`: compute once what search and explorer would otherwise compute each time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from placevec.api.inputs import PathLike, Vectors, table_of
from placevec.errors import InputError, UsageError
from placevec.io.progress import SILENT, Progress
from placevec.options import Limits, checked_keywords
from placevec.options.choices import Backend, Metric, Reduction, Storage

if TYPE_CHECKING:
    from placevec.embeddings import Embeddings

Trees = Annotated[int, Limits(min=1, max=10_000)]


@dataclass(frozen=True)
class Indexed:
    """An index that was built, extended or found.

    Attributes:
        path: its file; None if it is in memory only.
        backend: kind of index.
        metric: distance between vectors.
        storage: precision of the first comparison.
        places: number of places in it.
        added: number of places that were added to an existing index.
        bytes: size of the file.
        recall: share of the ten nearest places that it finds, measured against exact search.
        seconds: time taken, including the measurement of recall.
        reused: whether it already existed.
        note: why an existing index could not be used; empty otherwise.
    """

    path: Path | None
    backend: Backend
    metric: Metric
    storage: Storage
    places: int
    added: int
    bytes: int
    recall: float
    seconds: float
    reused: bool
    note: str


@dataclass(frozen=True)
class Projected:
    """A projection that was computed or found.

    Attributes:
        path: its file; None if it is in memory only.
        method: method.
        places: number of places in it.
        seconds: time taken.
        reused: whether it already existed.
    """

    path: Path | None
    method: Reduction
    places: int
    seconds: float
    reused: bool


@dataclass(frozen=True)
class Precomputed:
    """What `precompute` computed or found.

    Attributes:
        folder: where the results are, next to the table; None if the table has no file.
        projections: one per method.
        indexes: one per metric.
        notes: remarks for the user.
    """

    folder: Path | None
    projections: tuple[Projected, ...]
    indexes: tuple[Indexed, ...]
    notes: tuple[str, ...] = ()


@checked_keywords
def index(
    embeddings: Vectors,
    *,
    view: str | None = None,
    backend: Backend = "hnsw",
    metric: Metric = "cosine",
    storage: Storage = "float32",
    trees: Trees = 100,
    force: bool = False,
    progress: Progress = SILENT,
) -> Indexed:
    """Build the index that `similar` uses, and keep it next to the table.

    An existing index is reused; if places were appended to the table, only these are added (an Annoy index is
    rebuilt). Its recall is measured against exact search.

    Args:
        embeddings: Table of vectors.
        view: View whose vectors are indexed if there are several (default: the fused vectors).
        backend: Kind of index (hnsw and ivf need the extra search; annoy needs the extra annoy).
        metric: Distance between vectors.
        storage: Precision of the first comparison (bits only with the exact backend).
        trees: Number of trees in an Annoy index; more trees take longer to build and miss fewer places.
        force: Rebuild the index.
        progress: Receives progress reports.

    Raises:
        UsageError: a combination that does not exist.
        MissingExtraError: the library of the backend is not installed.
        InputError: an empty table.

    >>> import numpy as np
    >>> from placevec.embeddings import Embeddings, Provenance
    >>> none, vectors = [None] * 2000, np.random.default_rng(0).normal(size=(2000, 8))
    >>> ids, lonlat = [str(row) for row in range(2000)], [[24.9, 60.2]] * 2000
    >>> emb = Embeddings(ids, vectors, lonlat, none, none, "map", Provenance("m", "d"))
    >>> index(emb, backend="exact", storage="int8").recall
    1.0
    """
    return _indexed(table_of(embeddings, view), backend, metric, storage, trees, force, progress)


def _indexed(
    table: Embeddings,
    backend: Backend,
    metric: Metric,
    storage: Storage,
    trees: int,
    force: bool,
    progress: Progress,
) -> Indexed:
    from placevec.embeddings.search.stored import opened

    if len(table) == 0:
        raise InputError("the table of embeddings is empty: there is nothing to index")
    if backend == "exact" and storage == "float32":
        raise UsageError(
            "exact search of float32 needs no index: choose another --backend, or a smaller --storage"
        )
    began = time.perf_counter()
    found = opened(table, backend, metric, storage=storage, trees=trees, force=force, progress=progress)
    recall = found.index.recall()
    return Indexed(
        found.path, backend, metric, storage, len(table), found.added,
        0 if found.path is None else found.path.stat().st_size, recall, time.perf_counter() - began, found.reused,
        found.note,
    )  # fmt: skip


@checked_keywords
def precompute(
    embeddings: Vectors,
    *,
    view: str | None = None,
    algorithms: Sequence[Reduction] = ("pca", "umap"),
    metrics: Sequence[Metric] = ("cosine",),
    backend: Backend = "hnsw",
    storage: Storage = "float32",
    trees: Trees = 100,
    max_places: Annotated[int, Limits(min=1)] | None = None,
    skip_projections: bool = False,
    skip_indexes: bool = False,
    force: bool = False,
    seed: Annotated[int, Limits(min=0)] = 0,
    progress: Progress = SILENT,
) -> Precomputed:
    """Compute projections and indexes once, and keep them next to the table for `explore`, the app and `similar`.

    They are named by the hash of the vectors, so a table that has changed never gets outdated results. A second run
    computes only what is missing.

    Args:
        embeddings: Table of vectors.
        view: View whose vectors are used if there are several (default: the fused vectors).
        algorithms: Projections, separated by commas.
        metrics: Distances to build indexes for, separated by commas.
        backend: Kind of index (exact builds none).
        storage: Precision of an index's first comparison.
        trees: Number of trees in an Annoy index.
        max_places: Maximum number of places in a projection, drawn at random (default: all).
        skip_projections: Compute no projections.
        skip_indexes: Build no indexes.
        force: Recompute what already exists.
        seed: Seed of the sample, t-SNE and UMAP.
        progress: Receives progress reports.

    Raises:
        UsageError: nothing left to compute, or a combination that does not exist.
        MissingExtraError: a library is not installed.

    >>> from placevec.embeddings import Embeddings, Provenance
    >>> import numpy as np
    >>> none, ids = [None] * 20, [str(row) for row in range(20)]
    >>> emb = Embeddings(ids, np.eye(20), [[24.9, 60.2]] * 20, none, none, "map", Provenance("m", "d"))
    >>> precompute(emb, algorithms=["pca"], backend="exact").projections[0].places
    20
    """
    from placevec.embeddings.precomputed import folder_of
    from placevec.embeddings.search.approximate import require_backend
    from placevec.embeddings.search.stored import Kind
    from placevec.explorer.precomputed import projection
    from placevec.explorer.reductions import require

    builds = not skip_indexes and (backend != "exact" or storage != "float32")
    if skip_projections and not builds:
        raise UsageError("there is nothing to compute: leave out --skip-projections or --skip-indexes")
    if builds:  # fails before any work
        require_backend(backend)
        for metric in metrics:
            Kind(backend, metric, storage)
    for method in () if skip_projections else algorithms:
        require(method)
    table = table_of(embeddings, view)
    projections, indexes = [], []
    for method in () if skip_projections else dict.fromkeys(algorithms):
        began = time.perf_counter()
        made = projection(table, method, seed=seed, max_places=max_places, force=force, progress=progress)
        seconds = time.perf_counter() - began
        projections.append(Projected(made.path, method, len(made.rows), seconds, made.reused))
    for metric in dict.fromkeys(metrics) if builds else ():
        indexes.append(_indexed(table, backend, metric, storage, trees, force, progress))
    notes = tuple(dict.fromkeys(one.note for one in indexes if one.note))
    return Precomputed(folder_of(table), tuple(projections), tuple(indexes), notes)


__all__ = ["Indexed", "PathLike", "Precomputed", "Projected", "index", "precompute"]
