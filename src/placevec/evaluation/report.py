"""The one report: a sentence first, then tables, then what they rest on; as Markdown, JSON and for the terminal.

Names of classes, datasets and files are hostile text.
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from placevec.evaluation.bootstrap import Score
from placevec.evaluation.compare import Comparison
from placevec.evaluation.intrinsic import CLUSTERS, NEIGHBORS, LabelFree
from placevec.evaluation.layer_recall import NEAREST, LayerRecall
from placevec.evaluation.results import Result, Row
from placevec.io import atomic
from placevec.io.json_documents import plain_json

if TYPE_CHECKING:
    from rich.console import RenderableType

SCHEMA_VERSION = 2
_LONGEST_CELL = 160
METHOD = (
    "Each row of features uses the best of its probes. Folds are spatial blocks; training places within the buffer "
    "around a tested place are left out. Intervals are 95% intervals over blocks and shuffles, paired between rows; "
    "they concern this area and places like these, not other areas and not training the encoder again. Verdicts of a "
    "task hold jointly: Holm's rule keeps the chance of any false verdict at 5%. "
    "Standard errors are given for blocks of one, two and four times the side, and last for blocks with correlated "
    "errors; intervals and p-values use the widest. Nothing is claimed from fewer than 500 places or 30 effective "
    "blocks, nor where errors are alike over so much of the area that it counts as fewer than 5 independent blocks."
)


@dataclass
class Report:
    """What an evaluation found.

    Attributes:
        results: one a task.
        label_free: measures without labels, or None where there are none.
        skipped: one line a task that was not evaluated, and why.
        notes: what else must be known to read it.
        about: facts, such as hashes, the split, the date.
        method: how it was measured; in the file only.
        layers: which layers of the map the nearest vectors share, or None where there is no map.
    """

    results: list[Result]
    label_free: LabelFree | None = None
    skipped: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    about: dict[str, Any] = field(default_factory=dict)
    method: str = METHOD
    layers: LayerRecall | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON; not-a-number is null."""
        content = {
            "schema_version": SCHEMA_VERSION,
            **self.about,
            "tasks": [item.as_dict() for item in self.results],
            "label_free": None if self.label_free is None else self.label_free.as_dict(),
            "layer_recall": None if self.layers is None else self.layers.as_dict(),
            "skipped": self.skipped,
            "notes": self.notes,
        }
        made: dict[str, Any] = plain_json(content)
        return made

    def to_markdown(self) -> str:
        """Sentences, tables and the method as Markdown."""
        return markdown(self)

    def to_table(self) -> RenderableType:
        """Sentences and tables for a rich console."""
        return terminal(self)

    def save(self, folder: str | Path) -> None:
        """Write ``report.json`` and ``report.md``, each whole or not at all."""
        atomic.write_json(Path(folder) / "report.json", self.as_dict())
        atomic.write_text(Path(folder) / "report.md", self.to_markdown())


# --- cells -------------------------------------------------------------------------------------------------


def plain(text: str, most: int = 60) -> str:
    """One line without control characters, cut to ``most``.

    >>> plain("two\\nlines", most=6)
    'two l…'
    """
    line = "".join(" " if unicodedata.category(letter)[0] in "CZ" else letter for letter in text)
    return line if len(line) <= most else line[: most - 1] + "…"


def literal(text: str, most: int = 2_000) -> str:
    """Text that stays text in Markdown.

    >>> literal("a<b>|c")
    'a&lt;b&gt;\\\\|c'
    """
    escaped = html.escape(plain(text, most), quote=False)
    for letter in "\\`*_[]|~#!":
        escaped = escaped.replace(letter, "\\" + letter)
    return escaped


def number(value: float) -> str:
    """Three decimals without the leading zero; a dash for what is unknown.

    >>> number(0.5), number(-0.0001), number(12.3456), number(float("nan"))
    ('.500', '.000', '12.35', '-')
    """
    if value != value:
        return "-"
    value = 0.0 if abs(value) < 5e-4 else value
    return f"{value:.3f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.4g}"


def cell(score: Score) -> str:
    """A score and its interval, where there is one."""
    known = score.low == score.low or score.high == score.high
    return number(score.value) + (f" ({number(score.low)} to {number(score.high)})" if known else "")


def signed(difference: Score) -> str:
    """A difference and its interval, with signs."""
    return f"{difference.value:+.3f} ({difference.low:+.3f} to {difference.high:+.3f})"


COMPARISON_HEADS = ("difference", "mean", "95% interval", "p (Holm)", "standard error", "verdict")
LABEL_FREE_HEADS = (
    "row", "effective rank", "triplet accuracy", "near among nearest", "distance coherence", "trustworthiness",
    "silhouette",
)  # fmt: skip


def row_table(rows: Sequence[Row]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """(heads, cells) of rows: a column a measure, then the probe and further numbers where any row has them."""
    measures = list(dict.fromkeys(name for row in rows for name in row.scores))
    probed, more = any(row.probe for row in rows), any(row.further for row in rows)
    heads = ("row", *measures, *(("best probe",) if probed else ()), *(("also",) if more else ()))
    cells = []
    for row in rows:
        also = ", ".join(f"{name} {number(value)}" for name, value in row.further.items())
        scores = [cell(row.scores[name]) if name in row.scores else "" for name in measures]
        cells.append((row.name, *scores, *((row.probe,) if probed else ()), *((also,) if more else ())))
    return heads, cells


def comparison_cells(item: Comparison) -> tuple[str, ...]:
    """One line of the table of differences."""
    found = item.difference
    correlated = [one for one in [found.correlated_error] if one == one]
    return (
        f"{item.of} - {item.against}", f"{found.value:+.3f}", f"{found.low:+.3f} to {found.high:+.3f}",
        number(item.p), ", ".join(number(one) for one in (*found.errors, *correlated)), item.claim,
    )  # fmt: skip


def curve_table(
    item: Result, called: str = "share of the labels"
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """(heads, cells) of a learning curve: a column a share of the labels."""
    heads = (called, *(f"{point.share:.0%} ({point.labels:,})" for point in item.curve))
    return heads, [(row.name, *(cell(point.scores[row.name]) for point in item.curve)) for row in item.rows]


def region_table(item: Result) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """(heads, cells) of the score within each region that was left out: one line per region, one column per row of
    features.
    """
    names = dict.fromkeys(name for row in item.rows for name in row.by_region)
    lines = [(name, *(number(row.by_region.get(name, float("nan"))) for row in item.rows)) for name in names]
    return ("region left out", *(row.name for row in item.rows)), lines


def folds_table(item: Result, random: Result) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """(heads, cells) of both kinds of folds side by side: one line per row of features."""
    lines: list[tuple[str, ...]] = [
        (row.name, cell(row.score), cell(random.row(row.name).score)) for row in item.rows
    ]
    return ("row", f"{item.metric}, folds of {_folds_of(item)}", f"{item.metric}, random folds"), lines


def _folds_of(item: Result) -> str:
    return "regions" if any(row.by_region for row in item.rows) else "blocks"


def further_tables(item: Result) -> list[tuple[tuple[str, ...], list[tuple[str, ...]]]]:
    """Tables besides those of rows and differences, where there are any."""
    tables = [region_table(item)] if any(row.by_region for row in item.rows) else []
    tables += [curve_table(item)] if item.curve else []
    if item.random is None:
        return tables
    tables.append(folds_table(item, item.random))
    return [*tables, curve_table(item.random, "share, random folds")] if item.random.curve else tables


def doubts(item: Result) -> list[str]:
    """One line a reason for which nothing is claimed of some comparisons, though something is of the task."""
    if item.why_no_claim:
        return []
    reasons: dict[str, list[str]] = {}
    for one in item.comparisons:
        if one.doubt:
            reasons.setdefault(one.doubt, []).append(f"{one.of} - {one.against}")
    return [f"{', '.join(pairs)}: no claim, {reason}" for reason, pairs in reasons.items()]


def basis(item: Result) -> str:
    """What the figures of a task rest on, in one line."""
    classes = ", ".join(f"{plain(name, 30)} {count}" for name, count in list(item.classes.items())[:30])
    side = f"{item.block_m:.0f} m" if item.block_m < 10_000 else f"{item.block_m / 1000:.3g} km"
    plural = "" if item.blocks == 1 else "s"
    parts = [
        f"{item.places:,} place{'' if item.places == 1 else 's'}",
        f"{item.blocks} block{plural} of {side} ({item.effective_blocks:.1f} effective)",
    ]
    if item.label_range_m > 0:
        parts.append(f"labels correlated within {item.label_range_m:.0f} m")
    if item.buffer_m > 0:
        parts.append(f"buffer {item.buffer_m:.0f} m (keeps {item.kept:.0%} of the training)")
    if item.folds > 0:
        parts.append(f"{item.folds} folds, {item.seeds} shuffles")
    return ", ".join(parts) + (f"; {classes}" if classes else "")


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


def _label_free_basis(measured: LabelFree) -> str:
    return (
        f"{measured.places:,} places {measured.basis}; near is {measured.apart_m:.0f} to {measured.near_m:.0f} m "
        f"apart, so that footprints do not touch, far beyond {measured.far_m:.0f} m; near among nearest: share of "
        f"near places among the {NEIGHBORS} nearest vectors (cosine). Distance coherence: Spearman correlation of "
        f"distances between places and between vectors, {measured.coherence_pairs:,} pairs. Trustworthiness: of a "
        f"projection onto two principal components. Silhouette: of {CLUSTERS} k-means clusters, on "
        f"{measured.looked_at:,} places"
    )


def layer_table(found: LayerRecall) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """(heads, cells) of how many of the nearest vectors hold a layer: one line per layer, one column per row of
    features.
    """
    names = list(dict.fromkeys(name for row in found.rows for name in row.scores))
    cells = [
        (
            row.layer, "yes" if row.seen else "no", f"{row.places:,}",
            *(cell(row.scores[name]) for name in names), number(row.by_chance),
            *(() if row.comparison is None else (signed(row.comparison.difference), row.comparison.claim)),
        )
        for row in found.rows
    ]  # fmt: skip
    compared = any(row.comparison is not None for row in found.rows)
    last = ("vectors - coverage", "verdict") if compared else ()
    return ("layer", "seen", "places", *names, "chance", *last), cells


def layer_lines(found: LayerRecall) -> list[str]:
    """What the table of layers says, and what it rests on."""
    missed = (
        f"The nearest vectors miss {', '.join(found.missed)}, which coverage fractions find more often."
        if found.missed
        else "There is too little evidence here to say whether the nearest vectors miss a layer that the model reads."
        if found.doubtful
        else "For no layer that the model reads do coverage fractions find it significantly more often than the "
        "vectors."
    )
    return [
        missed,
        f"Of the {NEAREST} nearest vectors to a place that holds a layer, the share of places that hold it too; "
        f"{found.places:,} places; places nearer than {found.apart_m:.0f} m are left out; cosine; intervals over "
        f"blocks of "
        f"{found.block_m:.0f} m.",
    ]


# --- Markdown ----------------------------------------------------------------------------------------------


def markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table and an empty one; cells are hostile text.

    >>> markdown_table(("row", "R²"), [("model", ".5")])
    ['| row | R² |', '| --- | --- |', '| model | .5 |', '']
    """
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    cells = (
        " | ".join([literal(row[0], 60), *(literal(text, _LONGEST_CELL) for text in row[1:])]) for row in rows
    )
    return [*lines, *(f"| {line} |" for line in cells), ""]


def task_lines(item: Result) -> list[str]:
    """The section for one task: sentences, tables, and the data they are based on."""
    lines = [f"## {literal(item.title)}", "", f"**{literal(item.headline)}**", ""]
    lines += [f"{literal(item.description)}.", ""] if item.description else []
    lines += markdown_table(*row_table(item.rows))
    lines += [literal(item.verdict), ""] if item.verdict else []
    if item.comparisons:
        lines += markdown_table(COMPARISON_HEADS, [comparison_cells(pair) for pair in item.comparisons])
    for heads, cells in further_tables(item):
        lines += markdown_table([literal(head, 30) for head in heads], cells)
    lines += [literal(item.curve_sentence), ""] if item.curve_sentence else []
    notes = [*doubts(item), *item.notes]
    return [
        *lines,
        f"{literal(basis(item))}.",
        "",
        *(f"- {literal(note)}" for note in notes),
        *[""] * bool(notes),
    ]


def markdown(report: Report) -> str:
    """The whole report."""
    lines = [f"# {literal(str(report.about.get('title', 'How good these vectors are')))}", ""]
    facts = {
        name: value for name, value in report.about.items() if name not in ("title", "attribution") and value
    }
    lines += [
        ", ".join(f"{name.replace('_', ' ')} {literal(str(value), 60)}" for name, value in facts.items())
        + ".",
        "",
    ]
    for item in report.results:
        lines += task_lines(item)
    if report.label_free is not None:
        lines += ["## Without labels", ""]
        lines += markdown_table(LABEL_FREE_HEADS, list(_label_free(report.label_free)))
        lines += [f"{_label_free_basis(report.label_free)}.", ""]
    if report.layers is not None:
        says, rests_on = layer_lines(report.layers)
        lines += ["## Layers among the nearest", "", literal(says), ""]
        lines += [*markdown_table(*layer_table(report.layers)), literal(rests_on), ""]
    if report.skipped:
        lines += ["## Not evaluated", ""] + [f"- {literal(line)}" for line in report.skipped] + [""]
    lines += [*(f"- {literal(note)}" for note in report.notes), "", "## Method", "", report.method, ""]
    if attribution := report.about.get("attribution"):
        lines += [f"Data: {literal(str(attribution))}", ""]
    return "\n".join(lines)


# --- terminal ----------------------------------------------------------------------------------------------


def _rich_table(
    title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], bold: str = ""
) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text(plain(title, 200)) if title else None, title_justify="left", box=None, pad_edge=False
    )
    for position, head in enumerate(heads):
        table.add_column(Text(head), justify="left" if position in (0, len(heads) - 1) else "right")
    for row in rows:
        style = "bold" if row[0] == bold else ""
        table.add_row(
            *(Text(plain(text, _LONGEST_CELL if at else 60), style=style) for at, text in enumerate(row))
        )
    return table


def terminal(report: Report) -> RenderableType:
    """The whole report but its method; nothing in it is read as markup."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = []
    for item in report.results:
        parts.append(Text(plain(item.headline, 600), style="bold"))
        parts += [Text(f"No claim: {plain(item.why_no_claim, 600)}.")] if item.why_no_claim else []
        parts.append(Text(""))
        parts.append(_rich_table(item.title, *row_table(item.rows), item.subject))
        parts.append(Text(""))
        if item.comparisons:
            parts.append(
                _rich_table("", COMPARISON_HEADS, [comparison_cells(pair) for pair in item.comparisons])
            )
        for heads, cells in further_tables(item):
            parts += [_rich_table("", [plain(head, 30) for head in heads], cells, item.subject), Text("")]
        parts += [Text(plain(item.curve_sentence, 600))] if item.curve_sentence else []
        parts += [Text(plain(line, 2_000), style="dim") for line in (basis(item), *doubts(item), *item.notes)]
        parts.append(Text(""))
    if report.label_free is not None:
        parts.append(
            _rich_table("without labels", LABEL_FREE_HEADS, list(_label_free(report.label_free)), "vectors")
        )
        parts += [Text(_label_free_basis(report.label_free), style="dim"), Text("")]
    if report.layers is not None:
        says, rests_on = layer_lines(report.layers)
        parts.append(_rich_table("layers among the nearest", *layer_table(report.layers)))
        parts += [Text(plain(says, 600)), Text(plain(rests_on, 600), style="dim"), Text("")]
    parts += [Text(f"Not evaluated: {plain(line, 400)}") for line in report.skipped]
    parts += [Text(plain(note, 400), style="dim") for note in report.notes]
    return Group(*parts)
