"""``placevec cluster``: which places are of a kind."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import typer

from placevec.cli.output import JSON, QUIET, print_json, print_table, progress_for, say

NAME = "cluster"
HELP = """Group places by their vectors, and name the place in the middle of each group.

k-means gives every place to one of K clusters; without --clusters, K is the one of 2 to 20 with the largest silhouette
on a seeded sample of 2,000 places. HDBSCAN finds dense regions, however many, and leaves the rest out as -1. Clusters are
numbered from the largest on. The file is what `explore --columns` takes.

Examples:

  placevec cluster malta.parquet -o clusters.parquet

  placevec cluster malta.parquet -o clusters.geojson --method hdbscan --smallest 50

  placevec explore malta.parquet --html malta.html --columns clusters.parquet
"""


def command(
    embeddings: Path = typer.Argument(..., help="Table of vectors."),
    out: Path = typer.Option(..., "--out", "-o", help="File to write: .parquet, .csv or .geojson."),
    method: Literal["kmeans", "hdbscan"] = typer.Option("kmeans", help="How clusters are found."),
    clusters: int | None = typer.Option(
        None, min=1, help="Clusters of k-means; by default chosen by silhouette."
    ),
    smallest: int | None = typer.Option(
        None, min=2, help="For hdbscan: places that make a cluster; by default a hundredth of all."
    ),
    vectors: Literal["unit", "standardized", "raw"] = typer.Option(
        "unit",
        help="How vectors are compared: by direction as search does, every dimension alike, as they are.",
    ),
    seed: int = typer.Option(0, min=0, help="The same seed gives the same clusters."),
    as_json: bool = JSON,
    quiet: bool = QUIET,
) -> None:
    """Call `placevec.api.cluster` and print the clusters."""
    from placevec import api
    from placevec.cli.search import plain_rows

    found = api.cluster(
        embeddings, method=method, clusters=clusters, smallest=smallest, vectors=vectors, seed=seed, out=out,
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
