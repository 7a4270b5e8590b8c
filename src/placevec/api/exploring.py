"""`explore`: shows vectors as a page, a map or plots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

from placevec.api.inputs import PathLike, Vectors, recorded_dataset, table_of, window_m
from placevec.errors import UsageError
from placevec.io import atomic
from placevec.io.progress import SILENT, Progress
from placevec.options import Limits, checked_keywords
from placevec.options.choices import Reduction

if TYPE_CHECKING:
    import pandas as pd

    from placevec.datasets.dataset import Dataset
    from placevec.explorer.figures.plots import PlotsReport
    from placevec.explorer.pages.map_page import MapReport
    from placevec.explorer.pages.page import PageReport


@dataclass(frozen=True)
class Explored:
    """The reports of `explore`; None for outputs that were not requested."""

    page: PageReport | None
    map: MapReport | None
    plots: PlotsReport | None


@checked_keywords
def explore(
    embeddings: Vectors,
    html: PathLike | None = None,
    *,
    map: PathLike | None = None,
    png: PathLike | None = None,
    view: str | None = None,
    dataset: Dataset | PathLike | None = None,
    columns: pd.DataFrame | PathLike | None = None,
    title: str | None = None,
    method: Reduction | None = None,
    projections: Sequence[Reduction] | None = None,
    clusters: Annotated[int, Limits(min=1)] | None = None,
    max_places: Annotated[int, Limits(min=1)] = 20_000,
    seed: Annotated[int, Limits(min=0)] = 0,
    progress: Progress = SILENT,
) -> Explored:
    """Write a page, a map or plots of vectors, at least one of them; pages open without a network.

    Args:
        embeddings: Table of vectors.
        html: Page to write: the embedding space linked to the map.
        map: Folder for embeddings_map.html and embeddings.geojson: markers in the colors of the vectors, and the same
            places with all dimensions, components, colors and clusters.
        png: Folder for static plots: every projection in every coloring.
        view: View whose vectors are shown if there are several (default: the fused ones).
        dataset: Dataset to draw the map from, if it has moved.
        columns: Table with place_id and columns to color by, such as that of cluster, whose column cluster replaces
            k-means.
        title: Title of all outputs (default: the name of the dataset).
        method: Method of --map that gives three components as red, green and blue (default pca).
        projections: Projections for --png, separated by commas (default: pca, tsne and umap).
        clusters: Number of k-means clusters (default: by silhouette).
        max_places: Maximum number of places drawn, a seeded sample.
        seed: Seed of the sample, of t-SNE, UMAP and k-means.
        progress: Receives progress reports.

    Raises:
        UsageError: nothing to write, an invalid value, or an option for an output that is not written.
    """
    from placevec.explorer.figures.plots import plots_of, require_plots
    from placevec.explorer.pages.map_page import map_of
    from placevec.explorer.pages.page import page_of
    from placevec.explorer.reductions import require
    from placevec.explorer.sample import Drawn

    if html is None and map is None and png is None:
        raise UsageError("choose what to write: a page (--html FILE), a map (--map DIR) or plots (--png DIR)")
    if method is not None and map is None:
        raise UsageError("--method applies only to --map: add --map DIR, or remove it")
    if projections is not None and png is None:
        raise UsageError("--projections applies only to --png: add --png DIR, or remove it")
    method, projections = method or "pca", projections or get_args(Reduction)
    if html is not None:
        atomic.check_writable(html)
    for folder in (map, png):
        if folder is not None:
            atomic.check_writable(folder, directory=True)
    if map is not None:
        require(method)
    if png is not None:
        require_plots(projections)
    if isinstance(columns, str | Path):
        from placevec.sources.tables.points import read_columns

        columns = read_columns(columns)
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
