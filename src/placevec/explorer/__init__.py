"""Looking at embeddings: a page with the embedding space beside the map, a map of markers, still plots.

The pages open from ``file://`` with the network blocked and carry everything they show: see `page.write_page` and
`map_page.write_map`. Their front end is the JavaScript and CSS in ``assets``: no library, so that it needs neither an
extra nor ``eval``, and weighs kilobytes. Plots (`plots.write_plots`) are Matplotlib's, of the extra ``explore``.
"""

from placevec.explorer.figures.plots import PlotsReport, write_plots
from placevec.explorer.pages.map_page import MapReport, write_map
from placevec.explorer.pages.page import PageReport, write_page

__all__ = ["MapReport", "PageReport", "PlotsReport", "write_map", "write_page", "write_plots"]
