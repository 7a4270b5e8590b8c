"""Indexes on disk, beside the table of vectors: opened where they fit, extended where places were added, else built.

Their files are those of the libraries that made them, and are mapped into memory; see `placevec.embeddings.precomputed`.
"""

from __future__ import annotations

from dataclasses import asdict, astuple, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from placevec.embeddings import precomputed
from placevec.embeddings.search.approximate import AnnoyIndex, FaissIndex, require_backend
from placevec.embeddings.search.exact import ExactIndex
from placevec.embeddings.search.index import Index
from placevec.embeddings.search.quantized import CodesIndex
from placevec.embeddings.table import Embeddings, hash_of_vectors
from placevec.errors import EmbeddingsError, OutputError, PlacevecError, UsageError
from placevec.io.progress import SILENT, Progress, printable
from placevec.options.choices import Backend, Metric, Storage

_SHAPE = {"backend": str, "metric": str, "storage": str, "trees": int, "recall_at_10": float}


@dataclass(frozen=True)
class Kind:
    """What an index is, apart from its vectors.

    Attributes:
        backend: how neighbors are found.
        metric: distance between vectors.
        storage: the numbers that are compared first.
        trees: number of trees of Annoy; 0 for others.
    """

    backend: Backend
    metric: Metric = "cosine"
    storage: Storage = "float32"
    trees: int = 0

    def __post_init__(self) -> None:
        if self.backend == "ivf" and self.metric == "manhattan":
            raise UsageError("ivf does not support the metric manhattan: use exact, hnsw or annoy")
        if self.backend == "annoy" and self.storage != "float32":
            raise UsageError("an Annoy index stores only float32: use exact, hnsw or ivf")
        if self.backend in ("hnsw", "ivf") and self.storage == "bits":
            raise UsageError("bits are supported only by the exact backend, which compares all places")
        if self.storage != "float32" and self.metric == "manhattan":
            raise UsageError(
                "int8 and bits are supported only for the metrics cosine, angular, euclidean and dot"
            )

    @property
    def name(self) -> str:
        """A name for files.

        >>> Kind("annoy", trees=100).name
        'annoy-cosine-100'
        """
        more = f"-{self.trees}" if self.backend == "annoy" else ""
        return f"{self.backend}-{self.metric}{'' if self.storage == 'float32' else '-' + self.storage}{more}"

    @property
    def ending(self) -> str:
        """Ending of its file."""
        return {"exact": CodesIndex.ending, "annoy": AnnoyIndex.ending}.get(self.backend, FaissIndex.ending)

    @property
    def kept(self) -> bool:
        """Whether building it takes long enough to keep it on disk."""
        return self.backend != "exact" or self.storage != "float32"

    def build(self, vectors: NDArray[np.float32], progress: Progress = SILENT) -> Index:
        """Build it."""
        return self._made(vectors, None, progress)

    def read(self, vectors: NDArray[np.float32], path: Path) -> Index:
        """Map it from its file."""
        return self._made(vectors, path, SILENT)

    def _made(self, vectors: NDArray[np.float32], path: Path | None, progress: Progress) -> Index:
        if self.backend == "annoy":
            return AnnoyIndex(vectors, self.metric, self.trees, read=path, progress=progress)
        if self.backend in ("hnsw", "ivf"):
            return FaissIndex(vectors, self.metric, self.backend, self.storage, read=path, progress=progress)
        if self.storage != "float32":
            return CodesIndex(vectors, self.metric, self.storage, read=path)
        return ExactIndex(vectors, self.metric)


@dataclass(frozen=True)
class Opened:
    """An index, and where it is from.

    Attributes:
        index: the index.
        path: its file; None if it is in memory only.
        reused: whether it was read instead of built.
        added: number of places that were added to the one that was read.
        note: why the one on disk was not used, for the user; empty otherwise.
    """

    index: Index
    path: Path | None
    reused: bool
    added: int = 0
    note: str = ""


def open_index(
    emb: Embeddings,
    backend: Backend = "exact",
    metric: Metric = "cosine",
    *,
    storage: Storage = "float32",
    trees: int = 100,
    force: bool = False,
    progress: Progress = SILENT,
) -> Index:
    """The index of a table: the one that it already has, the one stored beside its file, or a new one.

    Args:
        emb: vectors of one view.
        backend: ``exact`` compares all vectors; ``hnsw`` and ``ivf`` need the extra ``search``, ``annoy`` its own.
        metric: distance between vectors.
        storage: numbers that are compared first; the best candidates are compared again in full.
        trees: number of trees of Annoy.
        force: build it again.
        progress: receives progress reports.

    Raises:
        UsageError: a combination that does not exist, such as IVF with the metric manhattan.
        MissingExtraError: the library is not installed.

    >>> none, lonlat = [None, None], [[24.9, 60.2], [24.9, 60.3]]
    >>> emb = Embeddings(["a", "b"], [[1, 0], [0, 1]], lonlat, none, none, "map", None)
    >>> open_index(emb).query([[0.0, 2.0]], 1)[0].tolist(), open_index(emb) is open_index(emb)
    ([[1]], True)
    """
    return opened(emb, backend, metric, storage=storage, trees=trees, force=force, progress=progress).index


def opened(
    emb: Embeddings,
    backend: Backend = "exact",
    metric: Metric = "cosine",
    *,
    storage: Storage = "float32",
    trees: int = 100,
    force: bool = False,
    progress: Progress = SILENT,
) -> Opened:
    """`open_index`, and where the index is from."""
    kind = Kind(backend, metric, storage, trees if backend == "annoy" else 0)
    require_backend(backend)
    if force:
        emb.forget(f"index {kind.name}")
    return emb.derived(f"index {kind.name}", lambda: _opened(emb, kind, force, progress))


def _opened(emb: Embeddings, kind: Kind, force: bool, progress: Progress) -> Opened:
    facts = precomputed.facts_of(emb, kind.name)
    if facts is None or not kind.kept or len(emb) == 0:
        return Opened(kind.build(emb.vectors, progress), None, False)
    note = ""
    if facts.exists() and not force:
        try:
            return _read(emb, kind, facts)
        except PlacevecError as error:
            note = f"{error}; building it again"
    index = kind.build(emb.vectors, progress)
    try:
        return Opened(index, _write(emb, kind, index, facts), False, note=note)
    except (
        OSError,
        OutputError,
    ) as error:  # a folder that cannot be written to: the index serves from memory
        why = error.strerror if isinstance(error, OSError) else str(error)
        return Opened(index, None, False, note=f"the index cannot be saved next to the table: {why}")


def _read(emb: Embeddings, kind: Kind, facts: Path) -> Opened:
    """The stored index, grown if the table has grown; EmbeddingsError in one line if it cannot be used."""
    path, told = precomputed.read(facts, kind.ending, _SHAPE)
    if tuple(told[name] for name in _SHAPE if name != "recall_at_10") != astuple(kind):
        raise EmbeddingsError(f"{printable(str(facts))} describes another kind of index")
    count = int(told["places"])
    if told["dim"] != emb.dim or count > len(emb) or told["vectors"] != _hash_of(emb, count):
        raise EmbeddingsError(f"{printable(str(path))} is an index for other vectors")
    grown = count < len(emb)
    if grown and kind.backend == "annoy":
        raise EmbeddingsError(
            f"{printable(str(path))} lacks {len(emb) - count:,} places and cannot be extended"
        )
    index = kind.read(emb.vectors[:count], path)
    if not grown:
        index.recalls[10, None] = float(told["recall_at_10"])
        return Opened(index, path, True)
    index.grow(emb.vectors)
    return Opened(index, _write(emb, kind, index, facts), True, added=len(emb) - count)


def _hash_of(emb: Embeddings, count: int) -> str:
    """Hash of the first vectors."""
    return emb.content_hash if count == len(emb) else hash_of_vectors(emb.vectors[:count])


def _write(emb: Embeddings, kind: Kind, index: Index, facts: Path) -> Path:
    return precomputed.write(
        emb, facts, kind.ending, index.write, {**asdict(kind), "recall_at_10": index.recall()}
    )
