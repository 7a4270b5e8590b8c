"""A report on a model's answers for people: a table for the terminal, Markdown for files. Names are hostile text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from placevec.evaluation.answer_scores import Measured
from placevec.evaluation.render import literal, number, plain

if TYPE_CHECKING:
    from rich.console import RenderableType

    from placevec.evaluation.answers import AnswerReport

METHOD = (
    "Every row is measured on the same places. Intervals are 95 % by a bootstrap over blocks of ground: how results "
    "would vary on other places of this kind, not how they would vary had the encoder been trained again."
)


def ground(report: AnswerReport) -> str:
    """What the figures rest on, in one line."""
    unseen = f", {report.unseen:,} of classes never learnt (wrong always)" if report.unseen else ""
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
