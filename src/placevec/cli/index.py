"""``placevec index``: an index beside a table of vectors."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from placevec.api.indexing import index
from placevec.cli.output import print_json, progress_for, remark, say
from placevec.cli.signature import taking_keywords_of

if TYPE_CHECKING:
    from placevec.api.indexing import Indexed

HELP = """\
The index is kept in a folder beside the table (malta.parquet: malta.precomputed) and used by `search` with the same
--backend, --metric and --storage. Search is exact without one, which takes tens of milliseconds for a million places.
An index misses some places: its recall is measured against exact search and printed.

For example:

  placevec index malta.parquet

  placevec index malta.parquet --backend annoy --metric euclidean --trees 200

  placevec index malta.parquet --backend exact --storage int8"""


@taking_keywords_of(index)
def command(embeddings: Path, /, *, as_json: bool = False, quiet: bool = False, **options: Any) -> None:
    """Print what was built."""
    found = index(embeddings, progress=progress_for(as_json, quiet), **options)
    if as_json:
        print_json({**asdict(found), "path": None if found.path is None else str(found.path)})
        return
    if found.note:
        remark(f"Note: {found.note}", quiet)
    say(described(found))


def described(found: Indexed) -> str:
    """An index in words."""
    kind = f"{found.backend}, {found.metric}" + ("" if found.storage == "float32" else f", {found.storage}")
    how = "built"
    if found.reused:
        how = f"{found.added:,} places added" if found.added else "already there"
    size = f"{found.bytes / 1e6:,.1f} MB" if found.path is not None else "in memory only"
    return (
        f"Index ({kind}): {found.places:,} places, {size}, {how} in {found.seconds:.1f} s; finds {found.recall:.1%} of"
        " the ten nearest places (measured against exact search)" + (f": {found.path}" if found.path else "")
    )
