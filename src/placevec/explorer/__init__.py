"""Looking at embeddings: one self-contained page with the embedding space beside the map.

The page opens from ``file://`` with the network blocked and carries everything it shows: see `page.write_page`.
Its front end is the JavaScript and CSS in ``assets``: no library, so that it needs neither an extra nor
``eval``, and weighs kilobytes.
"""

from placevec.explorer.page import PageReport, write_page

__all__ = ["PageReport", "write_page"]
