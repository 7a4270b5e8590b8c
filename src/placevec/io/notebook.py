"""What notebooks show of an object: facts as a small table, and pages in a frame. Text from data never becomes markup."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from placevec.io.progress import printable

_LONGEST = 300
_CELL = "text-align:left;vertical-align:top;padding:2px 12px 2px 0"


def facts_html(title: str, facts: Mapping[str, Any], rows: Sequence[Mapping[str, Any]] = ()) -> str:
    """A table of facts below a title, and one of a few rows below that; facts that are None or empty are left out.

    >>> shown = facts_html("Places", {"places": 12_000, "name": "<b>", "model": None})
    >>> "12,000" in shown, "&lt;b&gt;" in shown, "model" in shown
    (True, True, False)
    """
    known = {name: value for name, value in facts.items() if value not in (None, "", (), [], {})}
    lines = "".join(_row([_cell("th", name), _cell("td", value)]) for name, value in known.items())
    text = f"<div><strong>{_text(title)}</strong><table>{lines}</table>"
    if rows:
        head = _row([_cell("th", name) for name in rows[0]])
        text += f"<table>{head}{''.join(_row([_cell('td', value) for value in row.values()]) for row in rows)}</table>"
    return text + "</div>"


def frame_html(page: str, height_px: int) -> str:
    """A page inside a frame, without access to the notebook around it.

    >>> frame_html('<p title="a">', 400)[-48:]
    'srcdoc="&lt;p title=&quot;a&quot;&gt;"></iframe>'
    """
    allowed = "allow-scripts allow-downloads"
    style = f"width:100%;height:{height_px}px;border:1px solid #8884;border-radius:8px"
    return f'<iframe sandbox="{allowed}" style="{style}" srcdoc="{html.escape(page)}"></iframe>'


def _row(cells: Sequence[str]) -> str:
    return f"<tr>{''.join(cells)}</tr>"


def _cell(tag: str, value: Any) -> str:
    return f'<{tag} style="{_CELL}">{_text(value)}</{tag}>'


def _text(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        shown = "" if value is None else str(value)
    elif isinstance(value, int):
        shown = f"{value:,}"
    elif isinstance(value, float):
        shown = f"{value:.6g}"
    elif isinstance(value, str):
        shown = value
    elif isinstance(value, Mapping):
        shown = ", ".join(f"{name}: {one}" for name, one in value.items())
    else:
        shown = ", ".join(map(str, value))
    shown = printable(shown)
    return html.escape(shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…")
