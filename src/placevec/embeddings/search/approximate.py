"""Indexes that find nearly all neighbors by looking at few vectors: graphs and lists of faiss, trees of Annoy.

They only propose candidates: distances are computed from the vectors themselves, and a query that a filter would leave
short is answered exactly (filters inside of such indexes lose results: faiss #3186, #4727, #5504; usearch #447).
"""

from __future__ import annotations

import importlib.util
from abc import abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from placevec.embeddings.search.measured import MeasuredIndex
from placevec.embeddings.search.metrics import (
    Distances,
    Floats32,
    Mask,
    Rows,
    by_direction,
    never_zero,
    norms,
    sorted_exactly,
)
from placevec.errors import InputError, MissingExtraError
from placevec.io.progress import SILENT, Progress
from placevec.options.choices import Approximate, Metric, Storage

_PACKAGES = {"hnsw": ("faiss", "faiss-cpu", "search"), "ivf": ("faiss", "faiss-cpu", "search"),
             "annoy": ("annoy", "annoy", "annoy")}  # fmt: skip
_SHARE = 0.25  # of the rows must pass a filter; of fewer, all are compared
_SPARE, _SPARE_CODES = 8, 4  # more candidates than results; times as many where the index holds codes
_BLOCK = 20_000  # vectors added between two reports


def available(backend: str) -> bool:
    """Whether the package of a kind of index is installed.

    >>> available("exact")
    True
    """
    return backend not in _PACKAGES or importlib.util.find_spec(_PACKAGES[backend][0]) is not None


def require_backend(backend: str) -> None:
    """MissingExtraError if the package of a kind of index is not installed."""
    if not available(backend):
        _, package, extra = _PACKAGES[backend]
        raise MissingExtraError(package, extra)


class ApproximateIndex(MeasuredIndex):
    """The part that all have in common: candidates from the library, everything else exact."""

    backend: Approximate
    ending = ""
    coarse = False
    """Whether its own distances are too coarse to order vectors that hardly differ."""

    def _found(
        self, asked: Floats32, k: int, where: Mask | None, allowed: int, quality: int | None
    ) -> tuple[Rows, Distances]:
        if allowed < _SHARE * len(self) or 2 * k > allowed:
            return self.exact._found(asked, k, where, allowed, None)
        wanted = min(allowed, (_SPARE_CODES * k if self.coarse else k) + _SPARE)
        candidates = self._candidates(asked, wanted, where, allowed, quality)
        found = (candidates >= 0).sum(axis=1)
        rows, far = np.empty((len(asked), k), np.int64), np.empty((len(asked), k))
        whole = found == candidates.shape[1]
        if whole.any():
            rows[whole], far[whole] = sorted_exactly(
                asked[whole], candidates[whole], self.vectors, self.metric, k
            )
        for one in np.flatnonzero(~whole):
            query, few = asked[one : one + 1], candidates[one][candidates[one] >= 0][None]
            if found[one] < k:
                rows[one], far[one] = (part[0] for part in self.exact._found(query, k, where, allowed, None))
            else:
                rows[one], far[one] = (
                    part[0] for part in sorted_exactly(query, few, self.vectors, self.metric, k)
                )
        return rows, far

    def _searched(self, vectors: Floats32) -> Floats32:
        """Vectors as the library compares them: unit vectors where the length does not count."""
        if not by_direction(self.metric):
            return vectors
        return np.asarray(vectors / never_zero(norms(vectors))[:, None], np.float32)

    @abstractmethod
    def _candidates(
        self, asked: Floats32, wanted: int, where: Mask | None, allowed: int, quality: int | None
    ) -> Rows:
        """(Q, wanted) rows that pass the mask, -1 where there are no more."""

    @abstractmethod
    def write(self, path: Path) -> None:
        """Write what the library has built."""


class FaissIndex(ApproximateIndex):
    """A graph (HNSW) or inverted lists (IVF) of faiss, which can grow.

    Args:
        vectors: (N, D) float32.
        metric: IVF lacks manhattan.
        backend: ``hnsw`` or ``ivf``.
        storage: ``float32``, or ``int8`` for a quarter of the bytes.
        read: file of the same index that `write` wrote; None: build it.
        progress: receives progress reports.
    """

    ending = ".faiss"

    def __init__(
        self,
        vectors: ArrayLike,
        metric: Metric,
        backend: Approximate,
        storage: Storage = "float32",
        *,
        read: Path | None = None,
        progress: Progress = SILENT,
    ) -> None:
        require_backend(backend)
        super().__init__(vectors, metric)
        self.backend, self.storage = backend, storage
        self.coarse = storage != "float32"
        self._read = read
        if read is None:
            self._native = self._empty()
            self._append(self.vectors, progress)
        else:
            import faiss

            self._native = faiss.read_index(str(read), faiss.IO_FLAG_MMAP_IFC)

    def _empty(self) -> Any:
        import faiss

        dim, inner = self.vectors.shape[1], self.metric == "dot"
        kind = faiss.METRIC_INNER_PRODUCT if inner else faiss.METRIC_L2
        codes = self.storage == "int8"
        if self.backend == "hnsw":
            kind = faiss.METRIC_L1 if self.metric == "manhattan" else kind
            if codes:
                made = faiss.IndexHNSWSQ(dim, faiss.ScalarQuantizer.QT_8bit, LINKS, kind)
            else:
                made = faiss.IndexHNSWFlat(dim, LINKS, kind)
            made.hnsw.efConstruction = EFFORT
        else:
            lists = max(1, min(int(4 * np.sqrt(len(self))), len(self) // 40))
            coarse = faiss.IndexFlatIP(dim) if inner else faiss.IndexFlatL2(dim)
            if codes:
                made = faiss.IndexIVFScalarQuantizer(coarse, dim, lists, faiss.ScalarQuantizer.QT_8bit, kind)
            else:
                made = faiss.IndexIVFFlat(coarse, dim, lists, kind)
            made.cp.min_points_per_centroid = 1
            self._coarse = coarse  # or Python frees what faiss points to
        return made

    def _append(self, vectors: Floats32, progress: Progress) -> None:
        if not self._native.is_trained and len(vectors):
            some = np.linspace(0, len(vectors) - 1, min(len(vectors), TRAINED_ON)).astype(np.int64)
            self._native.train(self._searched(vectors[np.unique(some)]))
        with progress.task(f"Index {self.backend}", total=len(vectors)) as advance:
            for start in range(0, len(vectors), _BLOCK):
                block = vectors[start : start + _BLOCK]
                self._native.add(self._searched(block))
                advance(len(block))

    def _candidates(
        self, asked: Floats32, wanted: int, where: Mask | None, allowed: int, quality: int | None
    ) -> Rows:
        import faiss

        keep: dict[str, Any] = {}
        if where is not None:
            keep["sel"] = faiss.IDSelectorBitmap(np.packbits(where, bitorder="little"))
        if self.backend == "hnsw":
            effort = max(quality or 2 * wanted, 64 if quality is None else 1)
            effort = max(int(effort * len(self) / allowed), wanted)
            options = faiss.SearchParametersHNSW(efSearch=effort, **keep)
        else:
            lists = quality or max(16, self._native.nlist // 24)
            options = faiss.SearchParametersIVF(nprobe=min(lists, self._native.nlist), **keep)
        _, rows = self._native.search(self._searched(asked), wanted, params=options)
        return np.asarray(rows, np.int64)

    def _grown(self, vectors: Floats32) -> None:
        import faiss

        if self._read is not None:  # what is mapped from a file cannot grow
            self._native, self._read = faiss.read_index(str(self._read)), None
        before = len(self.vectors)
        self.vectors = vectors
        self.__dict__.pop("exact", None)
        self._append(vectors[before:], SILENT)

    def write(self, path: Path) -> None:
        """Write the index of faiss."""
        import faiss

        faiss.write_index(self._native, str(path))


LINKS, EFFORT = 16, 100
"""Links of a vector in the graph, and candidates looked at while it is built."""
TRAINED_ON = 100_000
"""Vectors that lists and codes are fitted to."""


class AnnoyIndex(ApproximateIndex):
    """Trees of Annoy, which cannot grow.

    Args:
        vectors: (N, D) float32.
        metric: any.
        trees: number of trees: more take longer to build and miss less.
        read: file of the same index that `write` wrote; None: build it.
        progress: receives progress reports.
    """

    backend = "annoy"
    ending = ".ann"
    coarse = True  # angles in float32

    def __init__(
        self,
        vectors: ArrayLike,
        metric: Metric,
        trees: int,
        *,
        read: Path | None = None,
        progress: Progress = SILENT,
    ) -> None:
        require_backend("annoy")
        import annoy

        super().__init__(vectors, metric)
        self.trees = trees
        kind = "angular" if by_direction(metric) else metric
        self._native = annoy.AnnoyIndex(self.vectors.shape[1], kind)
        if read is not None:
            self._native.load(str(read))
            return
        self._native.set_seed(1)
        with progress.task("Index annoy", total=len(self)) as advance:
            for row, vector in enumerate(self._searched(self.vectors)):
                self._native.add_item(row, vector)
                if row % 1000 == 999 or row == len(self) - 1:
                    advance(row % 1000 + 1)
            self._native.build(trees)

    def _candidates(
        self, asked: Floats32, wanted: int, where: Mask | None, allowed: int, quality: int | None
    ) -> Rows:
        drawn = min(
            len(self), int(np.ceil(1.5 * wanted * len(self) / allowed)) if where is not None else wanted
        )
        rows = np.full((len(asked), wanted), -1, np.int64)
        for one, vector in enumerate(self._searched(asked)):
            found = np.asarray(self._native.get_nns_by_vector(vector, drawn, quality or -1), np.int64)
            found = found if where is None else found[where[found]]
            found = found[:wanted]
            rows[one, : len(found)] = found
        return rows

    def _grown(self, vectors: Floats32) -> None:
        raise InputError("an Annoy index cannot be extended: build it again")

    def write(self, path: Path) -> None:
        """Write the trees."""
        self._native.save(str(path))
