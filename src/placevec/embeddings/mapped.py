"""Vectors that several processes share: mapped from a file beside the table instead of read into the memory of each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from placevec.embeddings import precomputed
from placevec.embeddings.of_views import EmbeddingsOfViews
from placevec.embeddings.table import Embeddings, load_tables
from placevec.errors import EmbeddingsError
from placevec.io import atomic

_SHAPE = {"table": str}
_NAME = "vectors"


def write_mapped(loaded: Embeddings | EmbeddingsOfViews) -> None:
    """Keep the vectors of each view beside their file, as numpy arrays that `load_mapped` maps.

    Raises:
        EmbeddingsError: the vectors have no file.
        OutputError: the folder cannot be written.
    """
    for view in loaded.views:
        table = loaded.of(view)
        facts = precomputed.facts_of(table, _NAME)
        if facts is None or table.path is None:
            raise EmbeddingsError("vectors without a file cannot be shared: save them first")
        digest = atomic.sha256_of_file(table.path)
        if _read(facts, digest) is None:
            precomputed.write(table, facts, ".npy", lambda path, of=table: _save(path, of), {"table": digest})  # type: ignore[misc]


def load_mapped(path: str | Path) -> Embeddings | EmbeddingsOfViews:
    """The tables of a file, with vectors mapped from what `write_mapped` kept.

    Raises:
        EmbeddingsError: they are not there, damaged, or of another table.

    >>> import tempfile
    >>> from placevec.embeddings import Provenance
    >>> file = Path(tempfile.mkdtemp()) / "two.parquet"
    >>> none, made = [None, None], Provenance("m", "d")
    >>> emb = Embeddings(["a", "b"], [[1, 0], [0, 1]], [[24.9, 60.2]] * 2, none, none, "map", made)
    >>> emb.save(file)
    >>> write_mapped(emb)
    >>> load_mapped(file).of().vectors.tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    path = Path(path)
    digest = atomic.sha256_of_file(path)

    def vectors(view: str, count: int, dim: int | None) -> NDArray[np.float32]:
        facts = precomputed.facts_of_view(path, view, _NAME)
        found = _read(facts, digest)
        if found is None or len(found) != count or dim not in (None, found.shape[1]):
            raise EmbeddingsError(
                f"the vectors stored next to {path} do not match it: start the service again"
            )
        return found

    tables = load_tables(path, vectors_of=vectors)
    return tables[0] if len(tables) == 1 else EmbeddingsOfViews({table.view: table for table in tables})


def _save(path: Path, table: Embeddings) -> None:
    with path.open("wb") as file:
        np.save(file, table.vectors)


def _read(facts: Path, digest: str) -> NDArray[np.float32] | None:
    """The mapped vectors, if they are there and of the table with this hash."""
    try:
        path, told = precomputed.read(facts, ".npy", _SHAPE)
        if told["table"] != digest:
            return None
        found = np.load(path, mmap_mode="r")
    except (EmbeddingsError, ValueError, OSError):
        return None
    return found if found.ndim == 2 and found.dtype == np.float32 else None
