"""Reports as text: everything is said, and hostile names stay names."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from placevec.evaluation.bootstrap import Score
from placevec.evaluation.compare import Comparison
from placevec.evaluation.intrinsic import HELD_OUT, LabelFree, LabelFreeRow
from placevec.evaluation.report import METHOD, Report, number, plain
from placevec.evaluation.results import Result, Row

HOSTILE = "[bold]x[/bold] | <script>alert(1)</script>\x1b[31m\n# y `z`"


def report(name: str = "landuse") -> Report:
    """Two rows, one comparison, and measures without labels; ``name`` stands wherever text of others does."""
    rows = [
        Row("chance", {"macro-F1": Score(0.25, known=(0.2, 0.3))}, 0, "stratified", {"accuracy": 0.4},
            {"stratified": 0.25}),
        Row("vectors", {"macro-F1": Score(0.625, known=(0.6, float("nan")))}, 128, "linear", {"accuracy": 0.75},
            {"linear": 0.625, "kNN": 0.5}),
    ]  # fmt: skip
    found = Result(
        task=name, kind="classification", description=name, metric="macro-F1", places=1234, classes={name: 5, "b": 7},
        blocks=50, effective_blocks=41.4, block_m=1200.0, buffer_m=300.0, folds=5, seeds=3, kept=0.81, rows=rows,
        comparisons=[Comparison("vectors", "chance", Score(0.375, known=(0.3, 0.4)), 0.002)], notes=[name],
    )  # fmt: skip
    free = LabelFree([LabelFreeRow("vectors", 20.5, 0.9, 0.3)], 900, HELD_OUT, 212.1, 424.3, 848.5, 0.05)
    about = {"model_hash": "a" * 64, "attribution": name, "created": "2026-01-01T00:00:00"}
    return Report([found], free, [name], [name], about)


def shown(found: Report) -> str:
    console = Console(file=io.StringIO(), width=200, force_terminal=True, color_system=None)
    console.print(found.to_table())
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("as_text", [Report.to_markdown, shown])
def test_what_must_be_said_is_said(as_text: object) -> None:
    text = as_text(report())  # type: ignore[operator]
    for said in (
        "landuse: macro-F1", "1,234 places", "50 blocks of 1200 m (41.4 effective)", "buffer 300 m", "5 folds",
        "3 shuffles",
        "landuse 5, b 7", ".625 (.600 to -)", "linear", "accuracy .750", "+0.375", "+0.300 to +0.400", ".002", "better",
        "the vectors predict it better than everything they are compared with", "held out", "20.5", ".050",
    ):  # fmt: skip
        assert said in text.replace("\\", ""), said


def test_the_sentence_leads_and_the_method_stands_in_the_file() -> None:
    first = shown(report()).strip().splitlines()[0]
    assert first.startswith(
        "landuse: the vectors predict it better than everything they are compared with: macro-F1"
    )
    assert METHOD[:40] in report().to_markdown()
    assert METHOD[:40] not in shown(report())


def test_hostile_names_stay_text_in_markdown() -> None:
    text = report(HOSTILE).to_markdown()
    assert "<script" not in text
    assert "\x1b" not in text
    assert "\\[bold\\]x" in text
    assert not any(line.startswith("# y") for line in text.splitlines())
    rows = [line.replace("\\|", "") for line in text.splitlines() if line.startswith("| ")]
    assert {line.count("|") for line in rows} == {5, 7, 8}, "no cell breaks out of its table"


def test_hostile_names_stay_text_in_the_terminal() -> None:
    text = shown(report(HOSTILE))
    assert "[bold]x[/bold]" in text
    assert "\x1b[31m" not in text


def test_plain_is_one_short_line() -> None:
    assert plain("a\n\tb\u202e") == "a  b "
    assert plain("x" * 99, 10) == "x" * 9 + "…"


def test_numbers() -> None:
    assert [number(value) for value in (0.5, -0.25, 1.0, 12.3456, float("nan"))] == [
        ".500",
        "-.250",
        "1",
        "12.35",
        "-",
    ]
