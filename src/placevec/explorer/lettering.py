"""What every still picture shares: ink, paper, fonts, and texts out of data as one line that prints."""

from __future__ import annotations

from typing import Any

from placevec.progress import printable

INK, QUIET, PAPER, LINE = "#1b2024", "#626a70", "#ffffff", "#dcddd8"
"""Of words, of lesser words, of the page, and of frames."""


def fonts() -> list[str]:
    """Matplotlib's own, and those installed here that know further scripts."""
    from matplotlib.font_manager import get_font_names

    there = get_font_names()
    wanted = (
        "Noto Sans CJK",
        "Noto Sans",
        "Source Han Sans",
        "WenQuanYi",
        "PingFang",
        "Hiragino Sans",
        "Arial Unicode",
    )
    return ["DejaVu Sans", *sorted({name for name in there if name.startswith(wanted)})[:40]]


def shown(text: Any, most: int) -> str:
    """One line that prints, cut to ``most`` characters."""
    line = printable(" ".join(str(text).split()))
    return line if len(line) <= most else line[: most - 1] + "…"


def latin(text: str) -> str:
    """What a PNG's text may hold: Latin-1."""
    return text.encode("latin-1", "replace").decode("latin-1")[:1000]
