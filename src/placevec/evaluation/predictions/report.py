"""A report on a model's answers for people: a table for the terminal, Markdown for files. Names are hostile text."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from placevec.evaluation.predictions.scores import Measured
from placevec.evaluation.predictions.scores import plain as plain_scores
from placevec.evaluation.report import literal, number, plain
from placevec.io import atomic

if TYPE_CHECKING:
    from rich.console import RenderableType


METHOD = (
    "Every row is measured on the same places. Intervals are 95 % by a bootstrap over blocks of ground: how results "
    "would vary on other places of this kind, not how they would vary had the encoder been trained again."
)


@dataclass
class AnswerReport:
    """What was measured.

    Attributes:
        model: where it lies.
        dataset: its name.
        kind: of the head: ``presence``, ``classes`` or ``number``.
        side: which places: ``test``, ``validation``, ``held-out blocks`` or ``all``.
        places: how many.
        taught: how many floors could be taught on.
        classes: that are answered for.
        unseen: places whose class is none of them: always wrong.
        blocks: of ground that intervals resample.
        block_m: their side.
        rows: what -> measure -> value and interval.
        notes: what the reader should know.
    """

    model: str
    dataset: str
    kind: str
    side: str
    places: int
    taught: int
    classes: int
    unseen: int
    blocks: int
    block_m: float
    rows: dict[str, dict[str, Measured]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {**self.__dict__, "rows": {name: plain_scores(row) for name, row in self.rows.items()}}

    def to_table(self) -> RenderableType:
        """For the terminal."""
        return table(self)

    def to_markdown(self) -> str:
        """The same as Markdown."""
        return markdown(self)

    def save(self, folder: Path) -> None:
        """``report.json`` and ``report.md``."""
        atomic.write_json(folder / "report.json", self.as_dict())
        atomic.write_text(folder / "report.md", self.to_markdown())


def ground(report: AnswerReport) -> str:
    """What the figures rest on, in one line."""
    unseen = f", {report.unseen:,} of classes never learned (wrong always)" if report.unseen else ""
    classes = f", {report.classes:,} class{'' if report.classes == 1 else 'es'}" if report.classes else ""
    places = f"{report.places:,} place{'' if report.places == 1 else 's'}"
    return (
        f"{places} ({report.side}){classes}{unseen}; floors taught on {report.taught:,}; "
        f"intervals resample {report.blocks:,} block{'' if report.blocks == 1 else 's'} of {report.block_m / 1000:.3g} km"
    )


def table(report: AnswerReport) -> RenderableType:
    """For the terminal."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, pad_edge=False, header_style="bold")
    measures = list(next(iter(report.rows.values())))
    for name in ("", *measures):
        drawn.add_column(name, justify="right" if name else "left", no_wrap=True)
    for name, row in report.rows.items():
        drawn.add_row(Text(plain(name)), *(Text(_cell(row[measure])) for measure in measures))
    told = [Text(line) for line in ("", METHOD, *map(plain_line, report.notes))]
    return Group(Text(f"{plain(report.dataset)}: {ground(report)}"), Text(""), drawn, *told)


def markdown(report: AnswerReport) -> str:
    """The same as Markdown."""
    measures = list(next(iter(report.rows.values())))
    lines = [
        f"# Answers of {literal(report.model or 'a model')}",
        "",
        f"{literal(report.dataset)}: {literal(ground(report))}.",
        "",
        f"| | {' | '.join(measures)} |",
        f"| --- |{' ---: |' * len(measures)}",
        *(
            f"| {literal(name)} | {' | '.join(_cell(row[one]) for one in measures)} |"
            for name, row in report.rows.items()
        ),
        "",
        METHOD,
        *(f"\n{literal(note)}." for note in report.notes),
        "",
    ]
    return "\n".join(lines)


def plain_line(text: str) -> str:
    """A note on one line."""
    return plain(f"Note: {text}", 400)


def _cell(measured: Measured) -> str:
    value, low, high = (
        number(one if abs(one) >= 5e-4 else 0.0) for one in (measured.value, measured.low, measured.high)
    )
    return value if measured.low != measured.low else f"{value} ({low} to {high})"
