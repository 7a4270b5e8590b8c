"""``placevec explore``: a page to look at vectors and map together."""

from __future__ import annotations

from pathlib import Path

import typer

from placevec.cli.output import JSON, QUIET, print_json, progress_for, say

NAME = "explore"
HELP = """Write one page that shows the vectors beside the map, linked. It opens without a network or server.

Example:

  placevec explore malta.parquet --html malta.html
"""


def command(
    embeddings: Path = typer.Argument(..., help="Table of vectors."),
    html: Path = typer.Option(..., "--html", help="Page to write."),
    dataset: Path | None = typer.Option(None, help="Dataset to draw the map from, if it has moved."),
    columns: Path | None = typer.Option(None, help="Table with place_id and columns to colour by."),
    title: str | None = typer.Option(None, help="Title of the page."),
    max_places: int = typer.Option(20_000, min=1, help="Draw at most so many places, a seeded sample."),
    seed: int = typer.Option(0, help="Seed of the sample."),
    as_json: bool = JSON,
    quiet: bool = QUIET,
) -> None:
    """Call `placevec.api.explore` and print the page's path."""
    from placevec import api

    extra = None
    if columns is not None:
        from placevec.sources.points import read_columns

        extra = read_columns(columns)
    report = api.explore(
        embeddings, html, dataset=dataset, columns=extra, title=title, max_places=max_places, seed=seed,
        progress=progress_for(as_json, quiet),
    )  # fmt: skip
    if as_json:
        print_json({"page": str(html), **vars(report)})
        return
    if not report.map_drawn:
        say("The dataset is not where the vectors say: the page has no map. Name it with --dataset.")
    say(f"{html} ({html.stat().st_size / 1e6:.1f} MB): open it in a browser")
