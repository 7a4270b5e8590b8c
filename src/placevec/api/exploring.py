"""`explore`: shows vectors as a page, a dashboard of pages, a map or plots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

from placevec.api.asking import model_behind, vectors_of_texts, view_of_images
from placevec.api.inputs import PathLike, Vectors, load_embeddings, recorded_dataset, window_m
from placevec.errors import InputError, UsageError
from placevec.io import atomic
from placevec.io.files import read_text
from placevec.io.progress import SILENT, Progress, say_notes
from placevec.options import Limits, Reads, checked_keywords
from placevec.options.choices import Reduction

if TYPE_CHECKING:
    import pandas as pd

    from placevec.datasets.dataset import Dataset
    from placevec.embeddings import Embeddings
    from placevec.explorer.figures.plots import PlotsReport
    from placevec.explorer.pages.dashboard import DashboardReport
    from placevec.explorer.pages.map_page import MapReport
    from placevec.explorer.pages.page import PageReport
    from placevec.explorer.sample import Drawn
    from placevec.explorer.words import WordQuery
    from placevec.models.model import Model


def read_queries(value: Any) -> tuple[str, ...]:
    """Queries in words: separated by semicolons, a text file (.txt) with one per line, or a sequence of texts.

    >>> read_queries("park;a street with shops")
    ('park', 'a street with shops')
    """
    from placevec.explorer.words import checked_queries

    if value is None or value == ():
        return ()
    texts: list[str] = []
    for one in [value] if isinstance(value, str | Path) else value:
        if not str(one).lower().endswith(".txt"):
            texts += str(one).split(";")
            continue
        try:
            texts += read_text(one, "list of queries").splitlines()
        except (OSError, ValueError) as error:
            raise InputError(f"cannot read the queries in {one}: {error}") from error
    return checked_queries([text for text in texts if text.strip()])


FRAME_PX = 640
"""Height of a page in a notebook in pixels."""
ALL_VIEWS = "all"
ON_PAGE, IN_NOTEBOOK = 100_000, 20_000
"""Places drawn by default: a page of 100,000 has about 35 MB, more than a notebook should keep."""
QUICK_PLACES = 2_000
"""Up to this many places, t-SNE takes seconds, so that a page has it by default."""


@dataclass(frozen=True)
class Explored:
    """The reports of `explore`; None for outputs that were not requested. Notebooks show the page.

    Attributes:
        page: the page.
        map: the map of markers.
        plots: the static plots.
        dashboard: the folder of pages.
        shown: the page as text, if it was not written to a file.
    """

    page: PageReport | None = None
    map: MapReport | None = None
    plots: PlotsReport | None = None
    dashboard: DashboardReport | None = None
    shown: str | None = field(default=None, repr=False)

    def _repr_html_(self) -> str | None:
        """The page in a frame; None if there is none."""
        from placevec.io.notebook import frame_html

        report = self.page or (None if self.map is None else self.map.page)
        if self.shown is None and report is None:
            return None
        page = report.path.read_text("utf-8") if self.shown is None and report is not None else self.shown
        return frame_html(str(page), FRAME_PX)


@checked_keywords
def explore(
    embeddings: Vectors | Sequence[Vectors],
    html: PathLike | None = None,
    *,
    map: PathLike | None = None,
    png: PathLike | None = None,
    dashboard: PathLike | None = None,
    view: str | None = None,
    views: Sequence[str] = (),
    dataset: Dataset | PathLike | None = None,
    columns: pd.DataFrame | PathLike | None = None,
    title: str | None = None,
    method: Reduction | None = None,
    projections: Sequence[Reduction] | None = None,
    clusters: Annotated[int, Limits(min=1)] | None = None,
    max_places: Annotated[int, Limits(min=1)] | None = None,
    seed: Annotated[int, Limits(min=0)] = 0,
    queries: Annotated[Sequence[str], Reads(read_queries)] = (),
    model: Model | PathLike | None = None,
    serve: bool = False,
    port: Annotated[int, Limits(min=0, max=65535)] | None = None,
    started: Callable[[str], None] | None = None,
    progress: Progress = SILENT,
) -> Explored:
    """Write a page, a dashboard, a map or plots of vectors; with none of them, the page is what a notebook shows.

    Args:
        embeddings: One or several tables of vectors: side by side on one page, or one page each in a dashboard.
        html: Page to write: the embedding space linked to the map.
        map: Folder for embeddings_map.html and embeddings.geojson: markers in the colors of the vectors, and the same
            places with all dimensions, components, colors and clusters.
        png: Folder for static plots: every projection in every coloring.
        dashboard: Folder for one page per table (or per view in --views), and index.html, which shows them all.
        view: View whose vectors are shown if there are several (default: the fused vectors).
        views: Views shown side by side on the page, separated by commas, or all.
        dataset: Dataset to draw the map from, if it has moved.
        columns: Table with place_id and columns to color by, such as the output of `placevec cluster`, whose column
            `cluster` then replaces k-means.
        title: Title of all outputs (default: the dataset's name).
        method: Projection whose three components are the red, green and blue of --map (default pca).
        projections: Projections of pages and plots, separated by commas (default: all for --png; for pages: pca,
            anything precomputed, and tsne for up to 2,000 places).
        clusters: Number of k-means clusters (default: the number with the best silhouette).
        max_places: Maximum number of places shown, drawn at random (default: 100,000; 20,000 in a notebook).
        seed: Seed of the sample, t-SNE, UMAP and k-means.
        queries: Words to color places by, "park;harbor" or a text file with one query per line (for models that read
            texts; the image view is then used, if there is only one or --view names it).
        model: Run or model to embed words with, if it has moved.
        serve: Serve the page on this machine until stopped; the served page can be searched for any words.
        port: Port on 127.0.0.1 to serve on (default 8765; 0 picks any free port).
        started: Called with the address once the page is served.
        progress: Receives progress reports.

    Raises:
        UsageError: an invalid value, or an option for an output that is not written.
        InputError: tables side by side without a common place.
        MissingExtraError: a projection or plots need a package that is not installed.
    """
    from placevec.explorer.figures.plots import plots_of
    from placevec.explorer.pages.dashboard import dashboard_of
    from placevec.explorer.pages.map_page import map_of
    from placevec.explorer.pages.page import page_of
    from placevec.explorer.pages.panels import Panel
    from placevec.explorer.sample import Drawn

    given = _listed(embeddings)
    outputs = {"html": html, "map": map, "png": png, "dashboard": dashboard}
    wanted = {name: Path(path) for name, path in outputs.items() if path is not None}
    inline = not wanted and not serve
    drawn_at_most = max_places or (IN_NOTEBOOK if inline else ON_PAGE)
    several = len(given) > 1 or len(views) > 0
    _check(wanted, inline, several, serve, port, queries, method, projections, views, view)
    _check_outputs(wanted, method, projections)
    if isinstance(columns, str | Path):
        from placevec.sources.tables.points import read_columns

        columns = read_columns(columns)
    first = load_embeddings(given[0]) if isinstance(given[0], str | Path) else given[0]
    asked = None if not queries and not serve else model_behind(first, model, "a text")
    if asked is not None and not several:
        tables = [("", view_of_images(first, asked, view))]
    else:
        tables = _tables([first, *given[1:]], view, views)
    drawn = [
        Drawn.of(
            table, dataset=recorded_dataset(table, dataset), columns=columns, clusters=clusters,
            window_m=window_m(table), max_places=drawn_at_most, seed=seed, progress=progress,
        )
        for _, table in (tables if dashboard is not None else tables[:1])
    ]  # fmt: skip
    (label, table), one = tables[0], drawn[0]
    if asked is not None:
        one.queries = _queries(table, queries, asked, progress)
    beside = [] if not inline and html is None else [Panel.beside(one, emb, name) for name, emb in tables[1:]]

    def page(target: Path, **how: Any) -> PageReport:
        return page_of(
            one, target, title=title, methods=_methods(one, projections), label=label, beside=beside, **how
        )

    written = Explored(
        None if html is None else page(Path(html)),
        None if map is None else map_of(one, map, title=title, method=method or "pca"),
        None if png is None else plots_of(one, png, title=title, methods=projections or get_args(Reduction)),
        None if dashboard is None else dashboard_of(
            [(name or made.title, made) for (name, _), made in zip(tables, drawn, strict=True)], Path(dashboard),
            title=title, methods=[_methods(made, projections) for made in drawn],
        ),
        _in_memory(page) if inline else None,
    )  # fmt: skip
    if serve:
        assert asked is not None
        _serve(
            _in_memory(lambda path: page(path, served=True)),
            one,
            table,
            asked,
            8765 if port is None else port,
            started,
        )
    return written


def _listed(embeddings: Vectors | Sequence[Vectors]) -> list[Vectors]:
    """Several tables as a list, one table as the only one of it; UsageError for none."""
    from placevec.embeddings import Embeddings, EmbeddingsOfViews

    if isinstance(embeddings, str | Path | Embeddings | EmbeddingsOfViews):
        return [embeddings]
    if not embeddings:
        raise UsageError("there are no tables of vectors to explore")
    return list(embeddings)


def _check(
    wanted: dict[str, Path],
    inline: bool,
    several: bool,
    serve: bool,
    port: int | None,
    queries: Sequence[str],
    method: Reduction | None,
    projections: Sequence[Reduction] | None,
    views: Sequence[str],
    view: str | None,
) -> None:
    """UsageError for an option without effect on what is written."""
    pages = inline or serve or "html" in wanted
    if port is not None and not serve:
        raise UsageError("--port applies only to --serve")
    if queries and not pages and "map" not in wanted:
        raise UsageError("--queries applies only to --html, --map and --serve")
    if method is not None and "map" not in wanted:
        raise UsageError(
            "--method applies only to --map, which has one projection: add --map DIR; pages take --projections"
        )
    if projections is not None and not pages and not {"png", "dashboard"} & set(wanted):
        raise UsageError(
            "--projections applies only to --html, --dashboard, --png and --serve: add one, or remove it"
        )
    if views and view is not None:
        raise UsageError("--view chooses one view, --views several side by side: give only one of the two")
    if several and ({"map", "png"} & set(wanted) or serve):
        raise UsageError(
            "--map, --png and --serve take one table and one --view; --html and --dashboard take several"
        )
    if several and queries:
        raise UsageError("--queries applies to one table and one --view")


def _check_outputs(
    wanted: dict[str, Path], method: Reduction | None, projections: Sequence[Reduction] | None
) -> None:
    """What fails does so before any work."""
    from placevec.explorer.figures.plots import require_plots
    from placevec.explorer.reductions import require

    for name, path in wanted.items():
        atomic.check_writable(path, directory=name != "html")
    for one in (*(projections or ()), *(() if method is None else (method,))):
        require(one)
    if "png" in wanted:
        require_plots(projections or get_args(Reduction))


def _tables(given: Sequence[Vectors], view: str | None, views: Sequence[str]) -> list[tuple[str, Embeddings]]:
    """(label, vectors of one view) of every table and view, with distinct labels if there are several."""
    from placevec.embeddings import Embeddings

    found: list[tuple[str, Embeddings]] = []
    for number, one in enumerate(given, 1):
        loaded = load_embeddings(one) if isinstance(one, str | Path) else one
        own = (loaded.view,) if isinstance(loaded, Embeddings) else loaded.views
        names = [view] if not views else list(own) if list(views) == [ALL_VIEWS] else list(views)
        for name in names:
            table = loaded.of(name)
            stem = table.path.stem if table.path is not None else f"table {number}"
            parts = [*([stem] if len(given) > 1 else []), *([table.view] if views else [])]
            label = ": ".join(parts)
            taken = sum(label == known or known.startswith(f"{label} (") for known, _ in found)
            found.append((label if not taken else f"{label} ({taken + 1})", table))
    return found


def _methods(drawn: Drawn, projections: Sequence[Reduction] | None) -> tuple[Reduction, ...]:
    """The projections of a page: those asked for, or PCA, what is there already, and what takes only seconds."""
    if projections is not None:
        return tuple(projections)
    ready = {
        one for one in ("tsne", "umap") if any(drawn.precomputed(one, dim) is not None for dim in (2, 3))
    }
    from placevec.explorer.reductions import MIN_PLACES

    quick = {"tsne"} if MIN_PLACES["tsne"] <= len(drawn) <= QUICK_PLACES else set()
    return tuple(one for one in get_args(Reduction) if one == "pca" or one in ready | quick)


def _in_memory(write: Callable[[Path], Any]) -> str:
    """The text of a page that is written to a file that does not stay."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "page.html")
        return (Path(folder) / "page.html").read_text("utf-8")


def _queries(
    table: Embeddings, texts: Sequence[str], model: Model, progress: Progress = SILENT
) -> list[WordQuery]:
    """The queries with their vectors."""
    from placevec.explorer.words import WordQuery

    if not texts:
        vectors_of_texts(table, ["words"], model)  # fails before anything is served
        return []
    vectors, notes = vectors_of_texts(table, texts, model)
    say_notes(notes, progress)
    return [WordQuery(text, vector) for text, vector in zip(texts, vectors, strict=True)]


def _serve(
    page: str,
    drawn: Drawn,
    table: Embeddings,
    model: Model,
    port: int,
    started: Callable[[str], None] | None,
) -> None:
    """Serve the page until stopped."""
    from placevec.explorer.serving import PageServer

    def answer(text: str) -> dict[str, Any]:
        return drawn.in_words(_queries(table, [text], model)[0])

    server = PageServer(page, answer, port)
    if started is not None:
        started(server.url)
    server.run()
