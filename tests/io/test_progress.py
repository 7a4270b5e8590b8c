"""Bars that people can read: whole on a wide terminal, on one of 80 columns, and in a file."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from placevec.io.progress import Bars


def drawn(width: int | None, label: str, total: float | None, note: str) -> list[str]:
    """The last state of a bar, line by line, on a terminal of that width; None: in a file."""
    bars, file = Bars(), io.StringIO()
    if width is None:
        bars.console.file = file
    else:
        bars.console = Console(
            file=file, width=width, force_terminal=True, color_system=None, highlight=False
        )
    with bars.task(label, total=total) as advance:
        advance(total or 123_456, note=note)
    frames = file.getvalue().replace("\x1b[?25l", "").replace("\x1b[?25h", "").replace("\x1b[2K", "")
    return [line.rstrip() for line in frames.replace("\r", "\n").split("\n") if label[:8] in line]


@pytest.mark.parametrize("width", [None, 80, 100, 120, 200])
@pytest.mark.parametrize(
    ("label", "total", "note"),
    [
        ("Training", 120_000, "loss 12.34, held out 12.34"),
        ("Burning shards", 12_345, ""),
        ("Reading OSM", None, ""),
        ("Downloading monaco-latest.osm", 123_456_789, ""),
        ("Judging population", 45, "untrained encoder"),
    ],
)
def test_nothing_is_cut(width: int | None, label: str, total: float | None, note: str) -> None:
    last = drawn(width, label, total, note)[-1]
    assert "…" not in last
    assert label in last
    assert note in last
    assert (" 123456 " if total is None else f"{total:.0f}/{total:.0f}") in last
    assert "0:00:0" in last
    assert len(last) <= (width or 240)


def test_wide_terminals_show_what_remains() -> None:
    assert drawn(120, "Training", 10, "")[-1].count("0:00:0") == 2
    assert drawn(80, "Training", 10, "")[-1].count("0:00:0") == 1


def test_notes_and_lines_are_text() -> None:
    """Names of tasks come from the user's table."""
    shown = "\n".join(drawn(120, "Judging [red]\x1b[31m", 1, "[b]\u202e\x9b1m"))
    assert "[red]?[31m" in shown
    assert "[b]??1m" in shown
    bars = Bars()
    bars.console.file = io.StringIO()
    bars.say("a [b]\x1b[31m\u202e\nsecond " + "x" * 300)
    assert bars.console.file.getvalue() == "a [b]?[31m?\nsecond " + "x" * 300 + "\n"
