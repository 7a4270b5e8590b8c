"""``placevec explore``: pages and plots that show vectors to people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from placevec.cli.output import JSON, QUIET, print_json, progress_for, say

if TYPE_CHECKING:
    from placevec.api import Explored

NAME = "explore"
HELP = """Write what shows the vectors: a page, a map with a GeoJSON, still plots. At least one of them.

--html FILE: the embedding space beside the map, linked.
--map DIR: embeddings_map.html, a marker for every place in the color of its vector, and embeddings.geojson with all
dimensions, components, colors and clusters.
--png DIR: PCA, t-SNE and UMAP in every coloring.
Pages open without a network or server.

Examples:

  placevec explore malta.parquet --html malta.html

  placevec explore malta.parquet --map malta-map --method tsne --max-places 5000

  placevec explore malta.parquet --png plots --columns clusters.parquet
"""


def command(
    embeddings: Path = typer.Argument(..., help="Table of vectors."),
    html: Path | None = typer.Option(None, "--html", help="Page to write."),
    map_folder: Path | None = typer.Option(
        None, "--map", help="Folder for embeddings_map.html and embeddings.geojson."
    ),
    png: Path | None = typer.Option(None, "--png", help="Folder for still plots."),
    dataset: Path | None = typer.Option(None, help="Dataset to draw the map from, if it has moved."),
    columns: Path | None = typer.Option(
        None, help="Table with place_id and columns to color by, such as that of placevec cluster."
    ),
    title: str | None = typer.Option(None, help="Title of all of them."),
    method: Literal["pca", "tsne", "umap"] = typer.Option(
        "pca", help="For --map: what makes the three components that become red, green and blue."
    ),
    projection: list[str] = typer.Option(
        [], help="For --png: only this projection (may be repeated): pca, tsne, umap."
    ),
    clusters: int | None = typer.Option(
        None, min=1, help="For --map and --png: clusters of k-means; by default chosen by silhouette."
    ),
    max_places: int = typer.Option(20_000, min=1, help="Draw at most so many places, a seeded sample."),
    seed: int = typer.Option(0, min=0, help="Seed of the sample, of t-SNE, UMAP and k-means."),
    as_json: bool = JSON,
    quiet: bool = QUIET,
) -> None:
    """Call `placevec.api.explore` and print what was written."""
    from placevec import api

    extra = None
    if columns is not None:
        from placevec.sources.tables.points import read_columns

        extra = read_columns(columns)
    chosen: Any = {"projections": tuple(projection)} if projection else {}
    found = api.explore(
        embeddings, html, map=map_folder, png=png, dataset=dataset, columns=extra, title=title, method=method,
        clusters=clusters, max_places=max_places, seed=seed, progress=progress_for(as_json, quiet), **chosen,
    )  # fmt: skip
    if as_json:
        print_json(_content(found))
        return
    _print(found)


def _content(found: Explored) -> dict[str, Any]:
    """JSON of what was written, by the option that asked for it."""
    content: dict[str, Any] = {}
    if found.page is not None:
        content["html"] = vars(found.page)
    if found.map is not None:
        content["map"] = {**vars(found.map), "page": vars(found.map.page)}
    if found.plots is not None:
        content["png"] = vars(found.plots)
    return content


def _print(found: Explored) -> None:
    of_map = None if found.map is None else found.map.page
    pages = [page for page in (found.page, of_map) if page is not None]
    if any(not page.map_drawn for page in pages):
        say(
            "No dataset lies where the vectors say, so the page has no map; if they are of one, --dataset names it."
        )
    any_of_them = pages[0] if pages else found.plots
    if any_of_them is not None and any_of_them.places_drawn < any_of_them.places_total:
        drawn, total = any_of_them.places_drawn, any_of_them.places_total
        say(f"{drawn:,} of {total:,} places are drawn, a seeded sample; --max-places draws more")
    for page in pages:
        say(f"{page.path} ({page.size_bytes / 1e6:.1f} MB): open it in a browser")
    if found.map is not None:
        made = found.map
        size = f"{made.geojson_bytes / 1e6:.1f} MB"
        say(f"{made.geojson} ({size}): all {made.dimensions} dimensions; clusters: {made.found_by}")
    if found.plots is not None:
        for note in found.plots.skipped:
            say(f"Note: {note}")
        say(f"{found.plots.folder}: {len(found.plots.files)} plots")
