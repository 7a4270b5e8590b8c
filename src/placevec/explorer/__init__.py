"""Visualizing embeddings: an interactive page with the embedding space and the map, a map of markers, static plots.

The pages are self-contained and work offline from ``file://``: see `page.page_of` and `map_page.map_of`. Their
front end is the plain JavaScript and CSS in ``assets``, a few kilobytes without any library or ``eval``. Plots
(`plots.plots_of`) need Matplotlib, from the extra ``explore``.
"""

from placevec.explorer.figures.plots import PlotsReport, plots_of
from placevec.explorer.pages.map_page import MapReport, map_of
from placevec.explorer.pages.page import PageReport, page_of
from placevec.explorer.sample import Drawn

__all__ = ["Drawn", "MapReport", "PageReport", "PlotsReport", "map_of", "page_of", "plots_of"]
