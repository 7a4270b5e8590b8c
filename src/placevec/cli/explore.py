"""``placevec explore``: pages and plots that show vectors to people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from placevec.cli.output import print_json, progress_for, say
from placevec.cli.signature import Json, Quiet, at_least

if TYPE_CHECKING:
    from placevec.api import Explored

HELP = """\
--html FILE: the embedding space beside the map, linked.
--map DIR: embeddings_map.html, a marker for every place in the color of its vector, and embeddings.geojson with all
dimensions, components, colors and clusters.
--png DIR: PCA, t-SNE and UMAP in every coloring.
Pages open without a network or server.

For example:

  placevec explore malta.parquet --html malta.html

  placevec explore malta.parquet --map malta-map --method tsne --max-places 5000

  placevec explore malta.parquet --png plots --columns clusters.parquet"""


def command(
    embeddings: Path,
    /,
    *,
    view: str | None = None,
    html: Path | None = None,
    map_folder: Annotated[Path | None, Parameter(name="--map")] = None,
    png: Path | None = None,
    dataset: Path | None = None,
    columns: Path | None = None,
    title: str | None = None,
    method: Literal["pca", "tsne", "umap"] = "pca",
    projection: tuple[str, ...] = (),
    clusters: Annotated[int | None, Parameter(validator=at_least(1))] = None,
    max_places: Annotated[int, Parameter(validator=at_least(1))] = 20_000,
    seed: Annotated[int, Parameter(validator=at_least(0))] = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Call `placevec.api.explore` and print what was written.

    Args:
        embeddings: Table of vectors.
        view: View whose vectors are shown, where the table holds several (default: the fused ones).
        html: Page to write.
        map_folder: Folder for embeddings_map.html and embeddings.geojson.
        png: Folder for still plots.
        dataset: Dataset to draw the map from, if it has moved.
        columns: Table with place_id and columns to color by, such as that of placevec cluster.
        title: Title of all of them.
        method: Three components of --map that become red, green and blue.
        projection: Only this projection of --png: pca, tsne or umap (may be repeated).
        clusters: Number of k-means clusters, of --map and --png (default: by silhouette).
        max_places: Maximum number of places drawn, a seeded sample.
        seed: Seed of the sample, of t-SNE, UMAP and k-means.
    """
    from placevec import api

    extra = None
    if columns is not None:
        from placevec.sources.tables.points import read_columns

        extra = read_columns(columns)
    chosen: Any = {"projections": tuple(projection)} if projection else {}
    found = api.explore(
        embeddings, html, view=view, map=map_folder, png=png, dataset=dataset, columns=extra, title=title, method=method,
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
