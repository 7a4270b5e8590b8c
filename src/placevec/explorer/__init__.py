"""Visualizing embeddings: an interactive page with the embedding space and the map, a map of markers, static plots.

The pages are self-contained and work offline from ``file://``: see `page.write_page` and `map_page.write_map`. Their
front end is the plain JavaScript and CSS in ``assets``, a few kilobytes without any library or ``eval``. Plots
(`plots.write_plots`) need Matplotlib, from the extra ``explore``.
"""

from placevec.explorer.figures.plots import PlotsReport, write_plots
from placevec.explorer.pages.map_page import MapReport, write_map
from placevec.explorer.pages.page import PageReport, write_page

__all__ = ["MapReport", "PageReport", "PlotsReport", "write_map", "write_page", "write_plots"]
