"""Pages, maps and plots of a table, as `placevec.explore` writes them, without its options and checks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from placevec.embeddings import Embeddings
from placevec.explorer import Drawn, MapReport, PageReport, PlotsReport, map_of, page_of, plots_of
from placevec.explorer.figures.plots import METHODS, require_plots


def write_page(emb: Embeddings, target: Path, *, title: str | None = None, **drawn: Any) -> PageReport:
    return page_of(Drawn.of(emb, **drawn), target, title=title)


def write_map(emb: Embeddings, folder: Path, *, method: Any = "pca", **drawn: Any) -> MapReport:
    return map_of(Drawn.of(emb, **drawn), folder, method=method)


def write_plots(
    emb: Embeddings, folder: Path, *, methods: Sequence[Any] = METHODS, title: str | None = None, **drawn: Any
) -> PlotsReport:
    require_plots(methods)
    return plots_of(Drawn.of(emb, **drawn), folder, title=title, methods=methods)
