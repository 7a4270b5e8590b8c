"""Output of commands: tables for people, JSON for scripts. OSM text is printed literally, on one line."""

from __future__ import annotations

import math
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from placevec.io.json_documents import plain_json
from placevec.io.progress import SILENT, Bars, JsonLines, Progress, printable

if TYPE_CHECKING:
    from rich.console import Console

_WIDE = 240


LOG = "PLACEVEC_LOG"
"""``json``: progress, notes and errors as JSON lines."""


def logs_json() -> bool:
    """Whether progress, notes and errors go to standard error as JSON lines."""
    return os.environ.get(LOG, "").strip().lower() == "json"


def progress_for(as_json: bool, quiet: bool) -> Progress:
    """Progress bars on standard error, JSON lines there, or none."""
    if logs_json() and not quiet:
        return JsonLines()
    return SILENT if as_json or quiet else Bars()


def print_json(content: Any) -> None:
    """One JSON document on standard output; NaN becomes null, and unprintable characters are escaped."""
    import json

    lines = json.dumps(plain_json(content), indent=2, ensure_ascii=False).split("\n")
    say("\n".join(line if line.isprintable() else _escaped(line) for line in lines))


def _escaped(line: str) -> str:
    """A line of JSON with terminal codes and direction marks, which occur only in texts, written as \\u escapes."""
    import json

    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in line)


def clean(text: Any, width: int = 60) -> str:
    """One line of printable characters, at most ``width`` long."""
    line = printable(" ".join(str(text).split()))
    return line if len(line) <= width else line[: width - 1] + "…"


def counted(count: int, one: str, many: str | None = None) -> str:
    """A number and its noun.

    >>> counted(1, "place"), counted(2_000, "class", "classes")
    ('1 place', '2,000 classes')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def console() -> Console:
    """The console for tables: standard output; files and pipes have no width limit."""
    from rich.console import Console

    made = Console(highlight=False)
    if not made.is_terminal:
        made.width = _WIDE
    return made


def print_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table on standard output, with numbers aligned right."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for position, name in enumerate(header):
        numeric = all(isinstance(row[position], int | float) for row in rows) and rows
        table.add_column(name, justify="right" if numeric else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(_cell(name, value)) for name, value in zip(header, row, strict=True)))
    console().print(table)


def _cell(name: str, value: Any) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6f}" if name in ("lon", "lat") else f"{value:.4g}"
    return clean(value)


def print_facts(facts: Mapping[str, Any]) -> None:
    """Names and values on standard output, one per line; long values wrap and are never cut."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(Text(name), Text(clean(_fact(value), width=20_000)))
    console().print(table)


def _fact(value: Any) -> str:
    """A value on one line.

    >>> _fact({"map": {"count": 40, "dim": 32}}), _fact(["roads", "water"])
    ('map (count 40, dim 32)', 'roads, water')
    """
    if isinstance(value, dict):
        parts = (
            f"{name} ({', '.join(f'{key} {one}' for key, one in item.items())})"
            if isinstance(item, dict)
            else f"{name}: {item}"
            for name, item in value.items()
        )
        return ", ".join(parts)
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def plain_rows(found: Any) -> list[list[Any]]:
    """Rows of a result, with an empty text for missing values."""
    return [
        ["" if cell is None or cell != cell else cell for cell in row]
        for row in found.itertuples(index=False)
    ]


def say(line: str) -> None:
    """One line on standard output."""
    sys.stdout.write(f"{line}\n")


def remark(line: str, quiet: bool) -> None:
    """A note or a next step on standard output, which ``--quiet`` leaves out."""
    if not quiet:
        say(line)


def say_now(line: str) -> None:
    """One line on standard output, which is not held back."""
    say(line)
    sys.stdout.flush()


def spelled(options: Mapping[str, Any]) -> str:
    """Options in command-line syntax.

    >>> spelled({"osm_name": "Monaco", "size_m": 120.0, "drop_layers": ("roads", "water"), "force": True})
    '--osm-name Monaco --size-m 120 --drop-layers roads,water --force'
    """
    words = []
    for name, value in options.items():
        text = f"{value:g}" if isinstance(value, float) else value
        text = ",".join(value) if isinstance(value, tuple) else str(text)
        words += [f"--{name.replace('_', '-')}", *([] if value is True else [shlex.quote(text)])]
    return " ".join(words)
