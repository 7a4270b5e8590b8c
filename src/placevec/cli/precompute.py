"""``placevec precompute``: projections and indexes beside a table of vectors."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from placevec.api.indexing import precompute
from placevec.cli.index import described
from placevec.cli.output import print_json, progress_for, remark, say
from placevec.cli.signature import taking_keywords_of

HELP = """\
Pages, plots and the app then show projections at once, and `search` finds its index. Everything is kept in a folder
beside the table (malta.parquet: malta.precomputed), named by the hash of the vectors; a second run computes only what
is missing.

For example:

  placevec precompute malta.parquet

  placevec precompute malta.parquet --algorithms pca,umap,tsne --backend annoy --trees 200 --metrics cosine,euclidean

  placevec precompute malta.parquet --skip-projections --force"""


@taking_keywords_of(precompute)
def command(embeddings: Path, /, *, as_json: bool = False, quiet: bool = False, **options: Any) -> None:
    """Print what was computed."""
    found = precompute(embeddings, progress=progress_for(as_json, quiet), **options)
    if as_json:
        print_json({
            "folder": str(found.folder), "notes": list(found.notes),
            "projections": [{**asdict(one), "path": str(one.path)} for one in found.projections],
            "indexes": [{**asdict(one), "path": str(one.path)} for one in found.indexes],
        })  # fmt: skip
        return
    for note in found.notes:
        remark(f"Note: {note}", quiet)
    for one in found.projections:
        how = "already there" if one.reused else f"computed in {one.seconds:.1f} s"
        say(f"Projection {one.method}: {one.places:,} places, {how}: {one.path}")
    for index in found.indexes:
        say(described(index))
