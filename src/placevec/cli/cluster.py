"""``placevec cluster``: which places are of a kind."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from placevec.cli.output import plain_rows, print_json, print_table, progress_for, say
from placevec.cli.signature import Json, Quiet, at_least

HELP = """\
k-means gives every place to one of K clusters; without --clusters, K is the one of 2 to 20 with the largest
silhouette on a seeded sample of 2,000 places. HDBSCAN finds dense regions, however many, and leaves the
rest out as -1. Clusters are numbered from the largest on. The file is what `explore --columns` takes.

For example:

  placevec cluster malta.parquet -o clusters.parquet

  placevec cluster malta.parquet -o clusters.geojson --method hdbscan --smallest 50

  placevec explore malta.parquet --html malta.html --columns clusters.parquet"""


def command(
    embeddings: Path,
    /,
    *,
    view: str | None = None,
    out: Annotated[Path, Parameter(name=("--out", "-o"))],
    method: Literal["kmeans", "hdbscan"] = "kmeans",
    clusters: Annotated[int | None, Parameter(validator=at_least(1))] = None,
    smallest: Annotated[int | None, Parameter(validator=at_least(2))] = None,
    vectors: Literal["unit", "standardized", "raw"] = "unit",
    seed: Annotated[int, Parameter(validator=at_least(0))] = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Call `placevec.api.cluster` and print the clusters.

    Args:
        embeddings: Table of vectors.
        view: View whose vectors are clustered, where the table holds several (default: the fused ones).
        out: File to write: .parquet, .csv or .geojson.
        method: Clustering method.
        clusters: Number of k-means clusters (default: by silhouette).
        smallest: Minimum places of an HDBSCAN cluster (default: a hundredth of all).
        vectors: Scaling of the vectors (unit: by direction, as search does; standardized: every dimension alike).
        seed: Seed of k-means and of the sample.
    """
    from placevec import api

    found = api.cluster(
        embeddings, view=view, method=method, clusters=clusters, smallest=smallest, vectors=vectors, seed=seed, out=out,
        progress=progress_for(as_json, quiet),
    )  # fmt: skip
    summary = found.summary()
    rows = plain_rows(summary)
    if as_json:
        print_json({
            "file": str(out), "method": method, "vectors": vectors, "seed": seed, "places": len(found.label),
            "noise": found.noise, "silhouette": found.silhouette, "tried": found.tried, "notes": found.notes,
            "clusters": [dict(zip(summary.columns, row, strict=True)) for row in rows],
        })  # fmt: skip
        return
    print_table(list(summary.columns), rows)
    how = ""
    if found.tried:
        how = f", the best of {min(found.tried)} to {max(found.tried)} clusters"
    told = "not defined" if found.silhouette != found.silhouette else f"{found.silhouette:.3f}{how}"
    say(f"Silhouette {told}; {found.noise} of {len(found.label)} places in no cluster")
    for note in found.notes:
        say(f"Note: {note}")
    say(f"Clusters: {out}")
