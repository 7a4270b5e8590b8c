"""`explore`: vectors shown to people, as a page, a map or plots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from placevec.api.inputs import PathLike, Vectors, recorded_dataset, table_of, window_m
from placevec.datasets.dataset import Dataset
from placevec.errors import UsageError
from placevec.io import atomic
from placevec.io.progress import SILENT, Progress

if TYPE_CHECKING:
    import pandas as pd

    from placevec.explorer.figures.plots import PlotsReport
    from placevec.explorer.pages.map_page import MapReport
    from placevec.explorer.pages.page import PageReport
    from placevec.explorer.reductions import Method as ReductionMethod


@dataclass(frozen=True)
class Explored:
    """What `explore` wrote: None for what was not asked for."""

    page: PageReport | None
    map: MapReport | None
    plots: PlotsReport | None


def explore(
    embeddings: Vectors,
    html: PathLike | None = None,
    *,
    map: PathLike | None = None,
    png: PathLike | None = None,
    view: str | None = None,
    dataset: Dataset | PathLike | None = None,
    columns: pd.DataFrame | None = None,
    title: str | None = None,
    method: ReductionMethod = "pca",
    projections: Sequence[ReductionMethod] = ("pca", "tsne", "umap"),
    clusters: int | None = None,
    max_places: int = 20_000,
    seed: int = 0,
    progress: Progress = SILENT,
) -> Explored:
    """Write what shows vectors to people; pages open without a network. At least one of the three must be asked for.

    Args:
        embeddings: the places and their vectors, or the file that holds them.
        html: a page to write: the embedding space beside the map, linked.
        map: a folder for ``embeddings_map.html`` and ``embeddings.geojson``: markers in the colors of the vectors, and
            the same places with all dimensions, components, colors and clusters.
        png: a folder for still plots: every projection in every coloring.
        view: whose vectors, where the table holds several; ``fused`` by default.
        dataset: where the map comes from; by default the one that the vectors name, if it is still there.
        columns: a table to color by, such as `cluster` gives; its column ``cluster`` replaces k-means.
        title: of all of them; the dataset's name by default.
        method: what makes the colors of the map: ``pca``, ``tsne`` or ``umap``.
        projections: of the plots.
        clusters: of k-means, on the map and the plots; chosen by silhouette by default.
        max_places: more than these are drawn as a seeded sample, and everything says so.
        seed: of the sample, t-SNE, UMAP and k-means.
        progress: where to report.
    """
    from placevec.explorer.figures.plots import plots_of, require_plots
    from placevec.explorer.pages.map_page import map_of
    from placevec.explorer.pages.page import page_of
    from placevec.explorer.reductions import require
    from placevec.explorer.sample import Drawn

    if html is None and map is None and png is None:
        raise UsageError("name what to write: a page (--html FILE), a map (--map DIR) or plots (--png DIR)")
    if html is not None:
        atomic.check_writable(html)
    for folder in (map, png):
        if folder is not None:
            atomic.check_writable(folder, directory=True)
    if map is not None:
        require(method)
    if png is not None:
        require_plots(projections)
    table = table_of(embeddings, view)
    drawn = Drawn.of(
        table, dataset=recorded_dataset(table, dataset), columns=columns, clusters=clusters,
        window_m=window_m(table), max_places=max_places, seed=seed, progress=progress,
    )  # fmt: skip
    return Explored(
        None if html is None else page_of(drawn, Path(html), title=title),
        None if map is None else map_of(drawn, map, title=title, method=method),
        None if png is None else plots_of(drawn, png, title=title, methods=projections),
    )
