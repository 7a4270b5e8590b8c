"""``placevec explore``: pages and plots of vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from placevec.api.exploring import Explored, explore
from placevec.cli.output import print_json, progress_for, remark, say, say_now
from placevec.cli.signature import taking_keywords_of
from placevec.errors import UsageError

HELP = """\
--html FILE: the embedding space linked to the map; several tables or --views of the same places side by side.
--dashboard DIR: one such page per table (places and models may differ), and index.html, which shows them all.
--map DIR: embeddings_map.html, one marker per place in the color of its vector, and embeddings.geojson with all
dimensions, components, colors and clusters.
--png DIR: PCA, t-SNE and UMAP in every coloring.
Pages open without a network or a server. --serve: the page at 127.0.0.1, which can be searched for any words.
--app: the live app at 127.0.0.1, with projector, similarity search, sets, gallery, labels and statistics.

For example:

  placevec explore malta.parquet --html malta.html

  placevec explore malta.parquet --html malta.html --projections pca,tsne,umap

  placevec explore malta.parquet helsinki.parquet --dashboard cities

  placevec explore malta.parquet --map malta-map --method tsne --max-places 5000

  placevec explore malta.parquet --png plots --columns clusters.parquet

  placevec explore named.parquet --html named.html --queries "park;harbor;a street with shops"

  placevec explore named.parquet --serve

  placevec explore malta.parquet --app"""


@taking_keywords_of(explore)
def command(
    *embeddings: Path,
    html: Path | None = None,
    app: bool = False,
    no_browser: bool = False,
    as_json: bool = False,
    quiet: bool = False,
    **options: Any,
) -> None:
    """Print what was written.

    Args:
        app: Start the live app on this machine, until stopped.
        no_browser: Do not open a browser for --app.
    """
    if app:
        if len(embeddings) > 1:
            raise UsageError("--app takes one table of vectors")
        _start_app(embeddings[0], html, no_browser, as_json, quiet, options)
        return
    if no_browser:
        raise UsageError("--no-browser applies only to --app")
    if (
        html is None
        and not options.get("serve")
        and all(options.get(name) is None for name in ("map", "png", "dashboard"))
    ):
        raise UsageError(
            "choose what to write: a page (--html FILE), pages for several tables (--dashboard DIR), a map (--map "
            "DIR) or"
            " plots (--png DIR); or --serve or --app"
        )
    found = explore(
        embeddings[0] if len(embeddings) == 1 else embeddings, html, progress=progress_for(as_json, quiet),
        started=None if as_json else lambda url: say_now(f"{url}: open it in a browser; Ctrl-C stops"), **options,
    )  # fmt: skip
    if as_json:
        print_json(_content(found))
        return
    _print(found, quiet)


OF_APP = ("view", "dataset", "columns", "clusters", "max_places", "seed", "model")
"""Options of explore that the app takes, besides --port."""


def _start_app(
    embeddings: Path, html: Path | None, no_browser: bool, as_json: bool, quiet: bool, options: dict[str, Any]
) -> None:
    others = sorted({*options} - {*OF_APP, "port"} | ({"html"} if html is not None else set()))
    if others or as_json:
        raise UsageError(
            f"--{(others or ['json'])[0].replace('_', '-')} does not apply to --app: run explore without --app"
        )
    from placevec.app.project import open_project
    from placevec.app.server import PORT, require_streamlit, run

    require_streamlit()
    port = options.pop("port", None)
    progress = progress_for(as_json, quiet)
    project = open_project(embeddings, progress=progress, **options)
    for note in project.remarks:
        remark(f"Note: {note}", quiet)
    run(
        project, port=PORT if port is None else port, browser=not no_browser,
        started=lambda url: say_now(f"{url}: open it in a browser; Ctrl-C stops"), progress=progress,
    )  # fmt: skip


def _content(found: Explored) -> dict[str, Any]:
    """JSON of what was written, by its option."""
    content: dict[str, Any] = {}
    if found.page is not None:
        content["html"] = vars(found.page)
    if found.dashboard is not None:
        content["dashboard"] = {
            "folder": found.dashboard.folder,
            "pages": [vars(page) for page in found.dashboard.pages],
        }
    if found.map is not None:
        content["map"] = {**vars(found.map), "page": vars(found.map.page)}
    if found.plots is not None:
        content["png"] = vars(found.plots)
    return content


def _print(found: Explored, quiet: bool) -> None:
    of_map = None if found.map is None else found.map.page
    of_dashboard = () if found.dashboard is None else found.dashboard.pages
    pages = [page for page in (found.page, of_map, *of_dashboard) if page is not None]
    if any(not page.map_drawn for page in pages):
        remark(
            "Note: there is no map, because the dataset of the vectors has none or is not at its recorded path (if "
            "it has moved, set --dataset)",
            quiet,
        )
    any_of_them = pages[0] if pages else found.plots
    if any_of_them is not None and any_of_them.places_drawn < any_of_them.places_total:
        drawn, total = any_of_them.places_drawn, any_of_them.places_total
        remark(
            f"Note: {drawn:,} of {total:,} places are drawn, chosen at random; raise --max-places to draw more",
            quiet,
        )
    for page in pages:
        say(f"{page.path} ({page.size_bytes / 1e6:.1f} MB): open it in a browser")
    if found.dashboard is not None:
        say(f"{found.dashboard.master}: {len(found.dashboard.pages)} pages")
    if found.map is not None:
        made = found.map
        size = f"{made.geojson_bytes / 1e6:.1f} MB"
        say(f"{made.geojson} ({size}): all {made.dimensions} dimensions; clusters: {made.found_by}")
    if found.plots is not None:
        for note in found.plots.skipped:
            remark(f"Note: {note}", quiet)
        say(f"{found.plots.folder}: {len(found.plots.files)} plots")
