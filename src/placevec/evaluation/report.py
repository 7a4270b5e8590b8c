"""A report for people: Markdown for files, a table for the terminal. Class names are hostile text."""

from __future__ import annotations

import html
import math
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from placevec.evaluation.compare import Comparison, Judgement, Row
from placevec.evaluation.intrinsic import CLUSTERS, NEIGHBORS, LabelFree
from placevec.io import atomic

SCHEMA_VERSION = 1
if TYPE_CHECKING:
    from rich.console import RenderableType


METHOD = (
    "Each row is judged by the best of a linear, a kNN and a random-forest probe. Folds are spatial blocks; training "
    "places within the buffer of a tested one are left out. Intervals are 95 % by a bootstrap over blocks and "
    "shufflings, paired between rows; they say how results would vary on other ground of this kind, not how they "
    "would vary had the encoder been trained again."
)


@dataclass
class Report:
    """What an evaluation found.

    Attributes:
        judgements: one a task.
        label_free: measures without labels, or None where the extent is too small.
        skipped: one line a task that was not judged, and why.
        notes: what else must be known to read it.
    """

    judgements: list[Judgement]
    label_free: LabelFree | None
    skipped: list[str]
    notes: list[str]
    model_hash: str
    dataset_hash: str
    attribution: str
    budget: str
    created: str
    places: int
    dim: int

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON; not-a-number is null."""
        content = {
            "schema_version": SCHEMA_VERSION,
            "created": self.created,
            "model_hash": self.model_hash,
            "dataset_hash": self.dataset_hash,
            "attribution": self.attribution,
            "budget": self.budget,
            "places": self.places,
            "dim": self.dim,
            "tasks": [item.as_dict() for item in self.judgements],
            "label_free": None if self.label_free is None else self.label_free.as_dict(),
            "skipped": self.skipped,
            "notes": self.notes,
        }
        plain: dict[str, Any] = _plain(content)
        return plain

    def to_markdown(self) -> str:
        """Tables and verdicts as Markdown."""
        return markdown(self)

    def to_table(self) -> RenderableType:
        """Tables and verdicts for a rich console."""
        return terminal(self)

    def save(self, folder: str | Path) -> None:
        """Write ``report.json`` and ``report.md``, each whole or not at all."""
        atomic.write_json(Path(folder) / "report.json", self.as_dict())
        atomic.write_text(Path(folder) / "report.md", self.to_markdown())


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def plain(text: str, most: int = 60) -> str:
    """One line without control characters, cut to ``most``."""
    line = "".join(" " if unicodedata.category(letter)[0] in "CZ" else letter for letter in text)
    return line if len(line) <= most else line[: most - 1] + "…"


def literal(text: str, most: int = 2_000) -> str:
    """Text that stays text in Markdown."""
    escaped = html.escape(plain(text, most), quote=False)
    for letter in "\\`*_[]|~#!":
        escaped = escaped.replace(letter, "\\" + letter)
    return escaped


def number(value: float) -> str:
    """Three decimals without the leading zero; a dash for what is unknown."""
    if value != value:
        return "-"
    return f"{value:.3f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.4g}"


def _span(low: float, high: float) -> str:
    return f"{number(low)} to {number(high)}"


def ground(item: Judgement) -> str:
    """What the figures rest on, in one line."""
    classes = ", ".join(f"{plain(name, 30)} {count}" for name, count in item.classes.items())
    parts = [
        f"{item.places:,} places",
        f"{item.blocks} blocks of {item.block_m:.0f} m ({item.effective_blocks:.1f} effective)",
        f"buffer {item.buffer_m:.0f} m (keeps {item.kept:.0%} of the training)",
        f"{item.folds} folds, {item.seeds} shufflings",
    ]
    return ", ".join(parts) + (f"; {classes}" if classes else "")


def _comparison(item: Comparison) -> tuple[str, str, str, str, str]:
    return (
        f"{item.of} - {item.against}",
        f"{item.difference:+.3f}",
        f"{item.low:+.3f} to {item.high:+.3f}",
        f"{item.half_width:.3f}",
        item.verdict,
    )


ROW_HEADS = ("row", "score", "95 % interval", "best probe", "also")
COMPARISON_HEADS = ("difference", "mean", "95 % interval", "least visible", "verdict")
LABEL_FREE_HEADS = (
    "row", "effective rank", "triplet accuracy", "near among nearest", "distance coherence", "trustworthiness",
    "silhouette",
)  # fmt: skip


def _row(row: Row) -> tuple[str, str, str, str, str]:
    also = ", ".join(f"{name} {number(value)}" for name, value in row.further.items())
    return (row.name, number(row.score), _span(row.low, row.high), row.probe, also)


def _label_free(measured: LabelFree) -> list[tuple[str, ...]]:
    rows = [
        (
            row.name, f"{row.effective_rank:.1f}", *(number(value) for value in (
                row.triplet_accuracy, row.retrieval, row.coherence, row.trustworthiness, row.silhouette,
            )),
        )
        for row in measured.rows
    ]  # fmt: skip
    by_chance = measured.coherence_by_chance
    coherence = f"within ±{number(by_chance)}" if by_chance == by_chance else "-"
    return [
        *rows,
        ("chance", "", ".500", number(measured.retrieval_by_chance), coherence,
         number(measured.trustworthiness_by_chance), ""),
    ]  # fmt: skip


def _label_free_ground(measured: LabelFree) -> str:
    return (
        f"{measured.places:,} places {measured.basis}; near is {measured.apart_m:.0f} to {measured.near_m:.0f} m "
        f"apart, so that footprints do not touch, far beyond {measured.far_m:.0f} m; near among nearest: share of near "
        f"places among the {NEIGHBORS} nearest vectors; cosine. Distance coherence: Spearman correlation of "
        f"distances on the ground and between vectors, {measured.coherence_pairs:,} pairs. Trustworthiness: of a flat "
        f"picture by two principal components. Silhouette: of {CLUSTERS} clusters of k-means, on "
        f"{measured.looked_at:,} places"
    )


# --- Markdown ----------------------------------------------------------------------------------------------


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    return [*lines, *("| " + " | ".join(literal(cell, 60) for cell in row) + " |" for row in rows), ""]


def markdown(report: Report) -> str:
    """The whole report."""
    lines = ["# How good these vectors are", ""]
    lines += [
        f"Model `{report.model_hash[:16]}`, dataset `{report.dataset_hash[:16]}`, {report.created}.",
        "",
    ]
    for item in report.judgements:
        lines += [
            f"## {literal(item.task)}: {literal(item.metric)}",
            "",
            f"{literal(item.description)}.",
            "",
        ]
        lines += [f"**{literal(item.verdict)}**", ""]
        lines += _table(ROW_HEADS, [_row(row) for row in item.rows])
        lines += _table(COMPARISON_HEADS, [_comparison(pair) for pair in item.comparisons])
        lines += [f"{literal(ground(item))}.", ""]
        lines += [f"- {literal(note)}" for note in item.notes] + [""] * bool(item.notes)
    if report.label_free is not None:
        lines += ["## Without labels", ""]
        lines += _table(LABEL_FREE_HEADS, list(_label_free(report.label_free)))
        lines += [f"{_label_free_ground(report.label_free)}.", ""]
    if report.skipped:
        lines += ["## Not judged", ""] + [f"- {literal(line)}" for line in report.skipped] + [""]
    lines += [
        *(f"- {literal(note)}" for note in report.notes),
        "",
        METHOD,
        "",
        f"Data: {literal(report.attribution)}",
        "",
    ]
    return "\n".join(lines)


# --- terminal ----------------------------------------------------------------------------------------------


def _rich_table(
    title: str, heads: tuple[str, ...], rows: list[tuple[str, ...]], bold: str = ""
) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(plain(title, 200)), title_justify="left", box=None, pad_edge=False)
    for position, head in enumerate(heads):
        table.add_column(Text(head), justify="left" if position in (0, len(heads) - 1) else "right")
    for row in rows:
        style = "bold" if row[0] == bold else ""
        table.add_row(*(Text(plain(cell), style=style) for cell in row))
    return table


def terminal(report: Report) -> RenderableType:
    """The whole report as tables; nothing in it is read as markup."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = []
    for item in report.judgements:
        parts.append(
            _rich_table(f"{item.task}: {item.metric}", ROW_HEADS, [_row(row) for row in item.rows], "vectors")
        )
        parts.append(Text(""))
        parts.append(_rich_table("", COMPARISON_HEADS, [_comparison(pair) for pair in item.comparisons]))
        parts.append(Text(plain(ground(item), 2_000), style="dim"))
        parts += [Text(plain(note, 400), style="dim") for note in item.notes]
        parts += [Text(plain(item.verdict, 400), style="bold"), Text("")]
    if report.label_free is not None:
        parts.append(
            _rich_table("without labels", LABEL_FREE_HEADS, list(_label_free(report.label_free)), "vectors")
        )
        parts += [Text(_label_free_ground(report.label_free), style="dim"), Text("")]
    parts += [Text(f"Not judged: {plain(line, 400)}") for line in report.skipped]
    parts += [Text(plain(note, 400), style="dim") for note in report.notes]
    return Group(*parts)
