"""Indexes on disk, beside the table of vectors: opened where they fit, extended where places were added, else built.

`city.parquet` keeps its indexes (and projections) in the folder `city.precomputed`: for each, a file of the library that
made it, which is mapped into memory, and a JSON file that says which vectors it is of and what its bytes must be.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec._version import __version__
from placevec.embeddings.search.approximate import AnnoyIndex, FaissIndex, require_backend
from placevec.embeddings.search.exact import ExactIndex
from placevec.embeddings.search.index import Index
from placevec.embeddings.search.quantized import CodesIndex
from placevec.embeddings.table import Embeddings, hash_of_vectors
from placevec.errors import EmbeddingsError, PlacevecError, UsageError, other_schema
from placevec.io import atomic
from placevec.io.json_documents import check, read_json
from placevec.io.progress import SILENT, Progress, printable
from placevec.options.choices import Backend, Metric, Storage

SCHEMA = 1
FOLDER = ".precomputed"
_SHAPE = {
    "schema": int, "placevec": str, "backend": str, "metric": str, "storage": str, "trees": int, "view": str,
    "places": int, "dim": int, "vectors": str, "bytes": int, "sha256": str,
    "recall_at_10": float,
}  # fmt: skip


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
            raise UsageError("an index of kind ivf does not know the metric manhattan: use exact, hnsw or annoy")
        if self.backend == "annoy" and self.storage != "float32":
            raise UsageError("an index of Annoy stores float32 only: use exact, hnsw or ivf")
        if self.backend in ("hnsw", "ivf") and self.storage == "bits":
            raise UsageError("one bit a number is for the backend exact, which compares all places")
        if self.storage != "float32" and self.metric == "manhattan":
            raise UsageError("short codes are for the metrics cosine, angular, euclidean and dot")

    @property
    def name(self) -> str:
        """A name for files.

        >>> Kind("annoy", trees=100).name
        'annoy-cosine-100'
        """
        more = f"-{self.trees}" if self.backend == "annoy" else ""
        return f"{self.backend}-{self.metric}{'' if self.storage == 'float32' else '-' + self.storage}{more}"

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


def folder_of(emb: Embeddings) -> Path | None:
    """The folder of what is precomputed for a table; None if it has no file.

    >>> folder_of(Embeddings(["a"], [[1.0]], [[24.9, 60.2]], [None], [None], "map", None)) is None
    True
    """
    return None if emb.path is None else emb.path.with_name(emb.path.stem + FOLDER)


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
    folder = folder_of(emb)
    if folder is None or not kind.kept or len(emb) == 0:
        return Opened(kind.build(emb.vectors, progress), None, False)
    facts = folder / f"{_named(emb.view)}-{kind.name}.json"
    note = ""
    if facts.exists() and not force:
        try:
            return _read(emb, kind, facts)
        except PlacevecError as error:
            note = f"{error}; it is built again"
    index = kind.build(emb.vectors, progress)
    try:
        return Opened(index, _write(emb, kind, index, facts), False, note=note)
    except OSError as error:  # a folder that cannot be written to: the index serves from memory
        why = f"the index cannot be kept in {printable(str(folder))}: {error.strerror or error}"
        return Opened(index, None, False, note=why)


def _named(view: str) -> str:
    """A view in a file name: views come from files, whose texts never become paths."""
    plain = re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,40}", view)
    return view if plain else hashlib.sha256(view.encode()).hexdigest()[:16]


def _read(emb: Embeddings, kind: Kind, facts: Path) -> Opened:
    """The stored index, grown if the table has grown; EmbeddingsError in one line if it cannot be used."""
    path, told = checked_index(facts, kind)
    count = int(told["places"])
    if told["dim"] != emb.dim or count > len(emb):
        raise EmbeddingsError(f"{printable(str(path))} is an index of other vectors")
    of = emb.content_hash if count == len(emb) else hash_of_vectors(emb.vectors[:count])
    if told["vectors"] != of:
        raise EmbeddingsError(f"{printable(str(path))} is an index of other vectors")
    index = kind.read(emb.vectors[:count], path)
    if count == len(emb):
        index.recalls[10, None] = float(told["recall_at_10"])
        return Opened(index, path, True)
    index.add(emb.vectors[count:])
    index.vectors = emb.vectors  # instead of a copy
    return Opened(index, _write(emb, kind, index, facts), True, added=len(emb) - count)


def checked_index(facts: Path, kind: Kind) -> tuple[Path, dict[str, Any]]:
    """(file of an index, its facts), after a look at every byte.

    Raises:
        EmbeddingsError: in one line, for another version, another kind, or a file that is damaged or cut short.
    """
    shown = printable(str(facts))
    try:
        told = read_json(facts)
        version = told.get("schema") if isinstance(told, dict) else None
        if version != SCHEMA:
            raise EmbeddingsError(other_schema(shown, version, SCHEMA, "build the index again"))
        check(told, _SHAPE)
    except (OSError, ValueError, RecursionError) as error:
        raise EmbeddingsError(f"{shown} is damaged: {error}") from error
    asked = (kind.backend, kind.metric, kind.storage, kind.trees)
    if tuple(told[name] for name in ("backend", "metric", "storage", "trees")) != asked:
        raise EmbeddingsError(f"{shown} describes another kind of index")
    path = facts.with_suffix(_ending(kind))
    try:
        size = path.stat().st_size
        if size != told["bytes"]:
            raise EmbeddingsError(
                f"{printable(str(path))} has {size:,} of {told['bytes']:,} bytes: it is not complete"
            )
        if atomic.sha256_of_file(path) != told["sha256"]:
            raise EmbeddingsError(f"{printable(str(path))} is damaged")
    except OSError as error:
        raise EmbeddingsError(f"{printable(str(path))} cannot be read: {error.strerror}") from error
    return path, told


def _ending(kind: Kind) -> str:
    return {"exact": CodesIndex.ending, "annoy": AnnoyIndex.ending}.get(kind.backend, FaissIndex.ending)


def _write(emb: Embeddings, kind: Kind, index: Any, facts: Path) -> Path:
    """Write an index and then its facts: a kill in between leaves facts that do not fit, and it is built again."""
    path = facts.with_suffix(_ending(kind))
    facts.parent.mkdir(exist_ok=True)
    with atomic.replacing(path) as temporary:
        index.write(temporary)
    atomic.write_json(
        facts,
        {
            "schema": SCHEMA, "placevec": __version__, "backend": kind.backend, "metric": kind.metric,
            "storage": kind.storage, "trees": kind.trees, "view": emb.view, "places": len(emb), "dim": emb.dim,
            "vectors": emb.content_hash, "bytes": path.stat().st_size, "sha256": atomic.sha256_of_file(path),
            "recall_at_10": index.recall(),
        },
    )  # fmt: skip
    return path
