"""`explore`: shows vectors as a page, a map or plots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

from placevec.api.asking import model_behind, vectors_of_texts, view_of_images
from placevec.api.inputs import PathLike, Vectors, load_embeddings, recorded_dataset, window_m
from placevec.errors import InputError, UsageError
from placevec.io import atomic
from placevec.io.progress import SILENT, Progress
from placevec.options import Limits, Reads, checked_keywords
from placevec.options.choices import Reduction

if TYPE_CHECKING:
    import pandas as pd

    from placevec.datasets.dataset import Dataset
    from placevec.embeddings import Embeddings
    from placevec.explorer.figures.plots import PlotsReport
    from placevec.explorer.pages.map_page import MapReport
    from placevec.explorer.pages.page import PageReport
    from placevec.explorer.sample import Drawn
    from placevec.explorer.words import WordQuery
    from placevec.models.model import Model


def read_queries(value: Any) -> tuple[str, ...]:
    """Queries in words: separated by semicolons, a text file (.txt) with one per line, or a sequence of texts."""
    from placevec.explorer.words import checked_queries

    if value is None or value == ():
        return ()
    if isinstance(value, str) and value.lower().endswith(".txt"):
        try:
            value = Path(value).read_text("utf-8").splitlines()
        except (OSError, ValueError) as error:
            raise InputError(f"cannot read the queries in {value}: {error}") from error
    texts = value.split(";") if isinstance(value, str) else list(value)
    return checked_queries([str(text) for text in texts if str(text).strip()])


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
    queries: Annotated[Sequence[str], Reads(read_queries)] = (),
    model: Model | PathLike | None = None,
    serve: bool = False,
    port: Annotated[int, Limits(min=0, max=65535)] | None = None,
    started: Callable[[str], None] | None = None,
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
        queries: Words to color places by, "park;harbor" or a text file with one query per line (for models that read
            texts; the view is then the only one of images, unless --view is given).
        model: Run or model to embed words with, if it has moved.
        serve: Serve the page on this machine, where any words can be asked for, until stopped.
        port: Port of 127.0.0.1 to serve at (default 8765; 0 takes any that is free).
        started: Called with the address once the page is served.
        progress: Receives progress reports.

    Raises:
        UsageError: nothing to write, an invalid value, or an option for an output that is not written.
    """
    from placevec.explorer.figures.plots import plots_of, require_plots
    from placevec.explorer.pages.map_page import map_of
    from placevec.explorer.pages.page import page_of
    from placevec.explorer.reductions import require
    from placevec.explorer.sample import Drawn

    if html is None and map is None and png is None and not serve:
        raise UsageError(
            "choose what to write: a page (--html FILE), a map (--map DIR) or plots (--png DIR); or --serve"
        )
    if port is not None and not serve:
        raise UsageError("--port applies only to --serve")
    if queries and html is None and map is None and not serve:
        raise UsageError("--queries applies only to --html, --map and --serve")
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
    loaded = load_embeddings(embeddings) if isinstance(embeddings, str | Path) else embeddings
    asked = None if not queries and not serve else model_behind(loaded, model, "a text")
    table = loaded.of(view) if asked is None else view_of_images(loaded, asked, view)
    drawn = Drawn.of(
        table, dataset=recorded_dataset(table, dataset), columns=columns, clusters=clusters,
        window_m=window_m(table), max_places=max_places, seed=seed, progress=progress,
    )  # fmt: skip
    if asked is not None:
        drawn.queries = _queries(table, queries, asked, progress)
    written = Explored(
        None if html is None else page_of(drawn, Path(html), title=title),
        None if map is None else map_of(drawn, map, title=title, method=method),
        None if png is None else plots_of(drawn, png, title=title, methods=projections),
    )
    if serve:
        assert asked is not None
        _serve(drawn, table, asked, title, 8765 if port is None else port, started)
    return written


def _queries(
    table: Embeddings, texts: Sequence[str], model: Model, progress: Progress = SILENT
) -> list[WordQuery]:
    """The queries with their vectors."""
    from placevec.explorer.words import WordQuery

    if not texts:
        vectors_of_texts(table, ["words"], model)  # fails before anything is served
        return []
    vectors, notes = vectors_of_texts(table, texts, model)
    for note in notes:
        progress.say(f"Note: {note}")
    return [WordQuery(text, vector) for text, vector in zip(texts, vectors, strict=True)]


def _serve(
    drawn: Drawn,
    table: Embeddings,
    model: Model,
    title: str | None,
    port: int,
    started: Callable[[str], None] | None,
) -> None:
    """Serve the page until stopped."""
    import tempfile

    from placevec.explorer.pages.page import page_of
    from placevec.explorer.serving import PageServer

    with tempfile.TemporaryDirectory() as folder:
        page = page_of(drawn, Path(folder) / "page.html", title=title, served=True).path.read_text("utf-8")

    def answer(text: str) -> dict[str, Any]:
        return _queries(table, [text], model)[0].content(drawn)

    server = PageServer(page, answer, port)
    if started is not None:
        started(server.url)
    server.run()
