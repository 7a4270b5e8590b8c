"""What verbs print: tables for people, JSON for scripts. OSM text is taken literally and kept on one line."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import typer

from placevec.cli import printable
from placevec.progress import SILENT, Bars, Progress

JSON = typer.Option(False, "--json", help="Print the result as JSON, and no progress.")
QUIET = typer.Option(False, "--quiet", "-q", help="Show no progress.")


def progress_for(as_json: bool, quiet: bool) -> Progress:
    """Bars on standard error, or silence."""
    return SILENT if as_json or quiet else Bars()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def print_json(content: Any) -> None:
    """One JSON document on standard output; not-a-number becomes null."""
    typer.echo(json.dumps(_plain(content), indent=2, ensure_ascii=False))


def clean(text: Any, width: int = 60) -> str:
    """One line of printable characters, cut to ``width``."""
    line = printable(" ".join(str(text).split()))
    return line if len(line) <= width else line[: width - 1] + "…"


def print_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table on standard output; numbers to the right."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for position, name in enumerate(header):
        numeric = all(isinstance(row[position], int | float) for row in rows) and rows
        table.add_column(name, justify="right" if numeric else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(_cell(name, value)) for name, value in zip(header, row, strict=True)))
    console = Console(highlight=False)
    if not console.is_terminal:  # a file or a pipe has no width
        console.width = 240
    console.print(table)


def _cell(name: str, value: Any) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6f}" if name in ("lon", "lat") else f"{value:.4g}"
    return clean(value)


def say(line: str) -> None:
    """One line on standard output."""
    typer.echo(line)
