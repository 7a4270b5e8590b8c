"""Progress of long jobs: silent by default, progress bars on the command line.

A long function takes ``progress: Progress = SILENT`` and does ``with progress.task("Burning", total=n) as advance``.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from rich.progress import ProgressColumn, Task

Advance = Callable[..., None]
"""``advance(steps=1, note="")``: reports finished steps; the note is shown at the end of the bar."""


def no_advance(steps: float = 1, note: str | None = None) -> None:
    """Report nothing."""


def printable(text: str) -> str:
    """Text without control or direction characters that could disturb a terminal.

    >>> printable("a" + chr(27) + "[31m" + chr(0x202e) + "b")
    'a?[31m?b'
    """
    return "".join(character if character.isprintable() else "?" for character in text)


class Progress(Protocol):
    """Receives progress reports."""

    def task(self, label: str, total: float | None = None) -> contextlib.AbstractContextManager[Advance]:
        """Open a bar of ``total`` steps (unknown when None); the context yields the function that advances it."""
        ...

    def say(self, message: str) -> None:
        """One line for people."""
        ...


def say_notes(notes: Iterable[str], progress: Progress) -> None:
    """Report remarks, one line each."""
    for note in notes:
        progress.say(f"Note: {note}")


class Silent:
    """Reports nowhere."""

    @contextlib.contextmanager
    def task(self, label: str, total: float | None = None) -> Iterator[Advance]:
        """Report nothing."""
        yield no_advance

    def say(self, message: str) -> None:
        """Print nothing."""


SILENT = Silent()


_ROOMY = 100
"""Minimum columns for all parts of a bar."""
_UNBOUNDED = 240
"""Columns without a terminal."""


class Bars:
    """Rich progress bars and lines on standard error, so that standard output stays clean for results.

    Nothing is cut: a narrow terminal gets a shorter bar and less beside it, a file or a pipe whole lines.
    """

    def __init__(self) -> None:
        from rich.console import Console

        self.console = Console(stderr=True, highlight=False)
        if not self.console.is_terminal:
            self.console.width = _UNBOUNDED

    @contextlib.contextmanager
    def task(self, label: str, total: float | None = None) -> Iterator[Advance]:
        """Show a bar while the context is open, and leave one line with the elapsed time."""
        from rich.progress import Progress as RichProgress

        with RichProgress(*self._columns(), console=self.console) as bars:
            identifier = bars.add_task(printable(label), total=total, note="")

            def advance(steps: float = 1, note: str | None = None) -> None:
                bars.update(identifier, advance=steps)
                if note is not None:
                    bars.update(identifier, note=printable(note))

            yield advance

    def _columns(self) -> list[ProgressColumn]:
        """The parts of a bar that fit the width; the note, such as the loss, precedes the remaining time."""
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.table import Column
        from rich.text import Text

        class Count(MofNCompleteColumn):
            """Finished steps, of how many if that is known."""

            def render(self, task: Task) -> Text:
                if task.total is None:
                    return Text(f"{int(task.completed)}", style="progress.download")
                return super().render(task)

        width = min(self.console.width, _UNBOUNDED)
        label, bar = (22, 24) if width >= _ROOMY else (16, 10)
        columns: list[ProgressColumn] = [
            TextColumn(
                "{task.description}", markup=False, table_column=Column(min_width=label, no_wrap=True)
            ),
            BarColumn(bar_width=bar),
            Count(table_column=Column(no_wrap=True)),
            TimeElapsedColumn(table_column=Column(no_wrap=True)),
        ]
        if width >= _ROOMY:
            columns.append(TimeRemainingColumn(table_column=Column(no_wrap=True)))
        columns.append(TextColumn("{task.fields[note]}", markup=False, table_column=Column(no_wrap=True)))
        return columns

    def say(self, message: str) -> None:
        """Print one line, its text taken literally."""
        lines = "\n".join(printable(line) for line in message.split("\n"))
        self.console.print(lines, markup=False, soft_wrap=True)


class JsonLines:
    """One JSON object a line on standard error, for programs that collect logs.

    Each has ``time`` (UTC, ISO 8601), ``level``, ``event`` and ``message``. Tasks have the events ``start``, ``progress``
    and ``end`` with ``done`` and ``total``; ``progress`` at most every ``every_s`` seconds.

    >>> import io, json
    >>> lines = JsonLines(io.StringIO())
    >>> with lines.task("Embedding", total=2) as advance:
    ...     advance(2)
    >>> [json.loads(line)["event"] for line in lines.file.getvalue().splitlines()]
    ['start', 'end']
    """

    def __init__(self, file: TextIO | None = None, every_s: float = 10.0) -> None:
        self.file, self._every_s = sys.stderr if file is None else file, every_s

    def write(self, event: str, message: str, level: str = "info", **more: object) -> None:
        """Write a line."""
        import datetime
        import json

        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        entry = {"time": now, "level": level, "event": event, "message": printable(message), **more}
        self.file.write(json.dumps(entry, ensure_ascii=False) + "\n")
        self.file.flush()

    @contextlib.contextmanager
    def task(self, label: str, total: float | None = None) -> Iterator[Advance]:
        """Write when it starts, how far it is, and when it ends."""
        began = last = time.monotonic()
        done = 0.0
        self.write("start", label, total=total)

        def advance(steps: float = 1, note: str | None = None) -> None:
            nonlocal done, last
            done += steps
            if time.monotonic() - last >= self._every_s:
                last = time.monotonic()
                more = {} if note is None else {"note": printable(note)}
                self.write("progress", label, done=done, total=total, seconds=round(last - began, 3), **more)

        yield advance
        self.write("end", label, done=done, total=total, seconds=round(time.monotonic() - began, 3))

    def say(self, message: str) -> None:
        """Write a line for people."""
        self.write("note", message)
