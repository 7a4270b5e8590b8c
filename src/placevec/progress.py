"""How long jobs tell how far they are: silent by default, bars for people at the command line.

A long function takes ``progress: Progress = SILENT`` and does ``with progress.task("Burning", total=n) as advance``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Protocol

Advance = Callable[..., None]
"""``advance(steps=1, note="")``: so many steps more are done; the note is shown at the end of the bar."""


def no_advance(steps: float = 1, note: str | None = None) -> None:
    """Tell nobody."""


class Progress(Protocol):
    """Where long work reports."""

    def task(self, label: str, total: float | None = None) -> contextlib.AbstractContextManager[Advance]:
        """Open a bar of ``total`` steps (unknown when None); the context yields the function that advances it."""
        ...

    def say(self, message: str) -> None:
        """One line for people."""
        ...


class Silent:
    """Reports nowhere."""

    @contextlib.contextmanager
    def task(self, label: str, total: float | None = None) -> Iterator[Advance]:
        """Open nothing."""
        yield no_advance

    def say(self, message: str) -> None:
        """Say nothing."""


SILENT = Silent()


class Bars:
    """Rich progress bars and lines on standard error, so that standard output stays clean for results."""

    def __init__(self) -> None:
        from rich.console import Console

        self.console = Console(stderr=True, highlight=False)

    @contextlib.contextmanager
    def task(self, label: str, total: float | None = None) -> Iterator[Advance]:
        """Draw a bar while the context is open, and leave one line with the time it took."""
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as RichProgress
        from rich.table import Column

        columns = (
            TextColumn("{task.description}", markup=False, table_column=Column(min_width=22)),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
        )
        with RichProgress(*columns, console=self.console) as bars:
            identifier = bars.add_task(label, total=total, note="")

            def advance(steps: float = 1, note: str | None = None) -> None:
                bars.update(identifier, advance=steps)
                if note is not None:
                    bars.update(identifier, note=note)

            yield advance

    def say(self, message: str) -> None:
        """Print one line, its text taken literally."""
        self.console.print(message, markup=False, soft_wrap=True)
