"""What is computed once for a table of vectors and kept beside its file: indexes and projections.

`city.parquet` has the folder `city.precomputed`. Each thing in it is a file and a JSON document of the same name: which
vectors it is of, by their hash, and what its bytes must be. A kill between the two leaves a pair that does not fit, which
is found when it is read.
"""

from __future__ import annotations

import glob
import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from placevec._version import __version__
from placevec.embeddings.table import Embeddings
from placevec.errors import EmbeddingsError, other_schema
from placevec.io import atomic
from placevec.io.checksums import OWN, read_sealed, write_sealed
from placevec.io.json_documents import check
from placevec.io.progress import printable

SCHEMA = 1
FOLDER = ".precomputed"
_SHAPE = {
    "schema": int, "placevec": str, "view": str, "places": int, "dim": int, "vectors": str, "bytes": int, "sha256": str,
}  # fmt: skip


def folder_of(emb: Embeddings) -> Path | None:
    """The folder of what is precomputed for a table; None if it has no file.

    >>> folder_of(Embeddings(["a"], [[1.0]], [[24.9, 60.2]], [None], [None], "map", None)) is None
    True
    """
    return None if emb.path is None else emb.path.with_name(emb.path.stem + FOLDER)


def facts_of(emb: Embeddings, name: str) -> Path | None:
    """The JSON document of something that is precomputed for the vectors of a view; None if the table has no file.

    Views come from files, whose texts never become paths: only plain names stand in that of the document.
    """
    return None if emb.path is None else facts_of_view(emb.path, emb.view, name)


def facts_of_view(table: Path, view: str, name: str) -> Path:
    """`facts_of` the vectors of a view in a file.

    >>> facts_of_view(Path("city.parquet"), "map", "pca-2d").as_posix()
    'city.precomputed/map-pca-2d.json'
    """
    plain = re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,40}", view)
    view = view if plain else hashlib.sha256(view.encode()).hexdigest()[:16]
    return table.with_name(table.stem + FOLDER) / f"{view}-{name}.json"


def write(
    emb: Embeddings, facts: Path, ending: str, save: Callable[[Path], None], more: Mapping[str, Any]
) -> Path:
    """Write a file, and then its document with ``more`` facts; returns the file."""
    path = facts.with_suffix(ending)
    facts.parent.mkdir(exist_ok=True)
    with atomic.replacing(path) as temporary:
        save(temporary)
    told = {
        "schema": SCHEMA, "placevec": __version__, "view": emb.view, "places": len(emb), "dim": emb.dim,
        "vectors": emb.content_hash, "bytes": path.stat().st_size, "sha256": atomic.sha256_of_file(path),
    }  # fmt: skip
    write_sealed(facts, {**told, **more})
    return path


def read(facts: Path, ending: str, more: Mapping[str, Any]) -> tuple[Path, dict[str, Any]]:
    """(file, facts), after a look at every byte of the file.

    Args:
        facts: the document.
        ending: ending of the file.
        more: names and types of further facts, see `placevec.io.json_documents.check`.

    Raises:
        EmbeddingsError: in one line, for another version, or a file or document that is damaged or cut short.
    """
    shown = printable(str(facts))
    try:
        told = read_sealed(facts)
        version = told.get("schema") if isinstance(told, dict) else None
        if version != SCHEMA:
            raise EmbeddingsError(other_schema(shown, version, SCHEMA, "compute it again"))
        check(told, {**_SHAPE, **more})
    except (OSError, ValueError, RecursionError) as error:
        raise EmbeddingsError(f"{shown} is damaged: {error}") from error
    path = facts.with_suffix(ending)
    try:
        size = path.stat().st_size
        if size != told["bytes"]:
            raise EmbeddingsError(
                f"{printable(str(path))} has {size:,} of {told['bytes']:,} bytes: it is incomplete"
            )
        if atomic.sha256_of_file(path) != told["sha256"]:
            raise EmbeddingsError(f"{printable(str(path))} is damaged")
    except OSError as error:
        raise EmbeddingsError(f"{printable(str(path))} cannot be read: {error.strerror}") from error
    return path, dict(told)


def damage(folder: Path) -> list[str]:
    """What is wrong with the bytes of all that is precomputed in a folder, one line each; empty if nothing is."""
    problems, known = [], set()
    for facts in sorted(folder.glob("*.json")):
        others = [path for path in folder.glob(f"{glob.escape(facts.stem)}.*") if path != facts]
        known |= {facts, *others}
        try:
            if len(others) != 1:
                raise EmbeddingsError(f"{printable(str(facts))} describes a file that is missing")
            _, told = read(facts, others[0].suffix, {})
            if OWN not in told:
                problems.append(f"{printable(str(facts))} has no checksum")
        except EmbeddingsError as error:
            problems.append(str(error))
    for path in sorted(set(folder.iterdir()) - known):
        if not path.name.startswith("."):
            problems.append(f"{printable(str(path))} has no {path.stem}.json next to it: compute it again")
    return problems
