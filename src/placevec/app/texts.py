"""Names from maps as text that Streamlit's Markdown shows as it is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from placevec.io.progress import printable

if TYPE_CHECKING:
    from placevec.embeddings import Embeddings

LONGEST = 120
"""Characters of a name."""
_MARKUP = re.compile(r"([\\`*_{}\[\]()#+\-.!|~$:<>&^=\"'])")


def plain(text: object, longest: int = 1_000) -> str:
    """Untrusted text so that Markdown shows every character and makes nothing of it.

    >>> plain("<b>[a](b)</b>")
    '\\\\<b\\\\>\\\\[a\\\\]\\\\(b\\\\)\\\\</b\\\\>'
    """
    shown = printable(str(text))
    return _MARKUP.sub(r"\\\1", shown if len(shown) <= longest else shown[: longest - 1] + "…")


def name_of(table: Embeddings, row: int) -> str:
    """The name of a place, else its ID: untrusted, as it is."""
    name = table.names[row]
    shown = printable(str(name if name else table.place_id[row]))
    return shown if len(shown) <= LONGEST else shown[: LONGEST - 1] + "…"
