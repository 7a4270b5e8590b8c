"""``placevec cluster``: groups of similar places."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from placevec.api.clustering import cluster
from placevec.cli.output import plain_rows, print_json, print_table, progress_for, remark, say
from placevec.cli.signature import taking_keywords_of

HELP = """\
k-means assigns every place to one of K clusters; without --clusters, K is whichever of 2 to 20 gives the largest
silhouette on a seeded sample of 2,000 places. HDBSCAN finds any number of dense regions and labels the rest as -1.
Clusters are numbered from the largest to the smallest. `explore --columns` takes the output file.

For example:

  placevec cluster malta.parquet -o clusters.parquet

  placevec cluster malta.parquet -o clusters.geojson --method hdbscan --smallest 50

  placevec explore malta.parquet --html malta.html --columns clusters.parquet"""


@taking_keywords_of(cluster)
def command(
    embeddings: Path, /, *, out: Path, as_json: bool = False, quiet: bool = False, **options: Any
) -> None:
    """Print the clusters."""
    found = cluster(embeddings, out=out, progress=progress_for(as_json, quiet), **options)
    summary = found.summary()
    rows = plain_rows(summary)
    if as_json:
        print_json({
            "file": str(out), "method": found.method, "vectors": found.vectors, "seed": found.seed,
            "places": len(found.label), "noise": found.noise, "silhouette": found.silhouette, "tried": found.tried,
            "notes": found.notes,
            "clusters": [dict(zip(summary.columns, row, strict=True)) for row in rows],
        })  # fmt: skip
        return
    print_table(list(summary.columns), rows)
    how = ""
    if found.tried:
        best = found.tried.get(len(found), 0.0) >= max(found.tried.values())
        how = f", the best for {min(found.tried)} to {max(found.tried)} clusters" if best else ""
    told = "not defined" if found.silhouette != found.silhouette else f"{found.silhouette:.3f}{how}"
    say(f"Silhouette {told}; {found.noise} of {len(found.label)} places are in no cluster")
    for note in found.notes:
        remark(f"Note: {note}", quiet)
    say(f"Clusters: {out}")
