"""The command as a user runs it: own data in, tables out, going on, and one clear line for what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from placevec.errors import UsageError
from placevec.evaluation.location_encoders import trained_probe as trained
from placevec.evaluation.location_encoders.candidates import Candidate
from placevec.evaluation.splits import task_split
from placevec.options.durations import seconds_of
from tests.cli.commands import run
from tests.evaluation.location_encoders.test_run import smooth_task


@pytest.fixture
def table(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    rows = [
        (lon, lat, lat / 30 + random.normal(0, 0.1))
        for lon, lat in random.uniform((-170, -60), (170, 60), (150, 2))
    ]
    path = tmp_path / "warmth.csv"
    path.write_text("lon,lat,label\n" + "\n".join(",".join(f"{cell:.5f}" for cell in row) for row in rows))
    return path


def _run(*arguments: str) -> dict[str, object]:
    code, printed = run(["benchmark", "encoders", "--json", *arguments])
    assert code == 0, printed
    content: dict[str, object] = json.loads(printed)
    return content


def _refused(message: str, *arguments: str) -> None:
    """Whether a command line is refused, in one line that holds the message."""
    code, printed = run(["benchmark", "encoders", "--json", *arguments])
    assert code in (1, 2)
    assert message in printed
    assert printed.count("\n") == 1


def test_own_data_become_tables_and_a_second_run_says_the_same(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    asked = (
        "--files",
        str(table),
        "--out",
        str(out),
        "--encoders",
        "xyz,geo_net",
        "--probes",
        "ridge,kNN",
        "--seeds",
        "1",
        "--folds",
        "3",
    )
    first = _run(*asked)
    written = {path.name for path in out.iterdir()}
    assert {
        "table.md",
        "results.csv",
        "warmth.png",
        "corrected-against-original.png",
        "cells",
    } <= written
    assert [group["task"] for group in first["tasks"]] == ["warmth"] * 4  # type: ignore[attr-defined]
    best = first["tasks"][0]["rows"][0]  # type: ignore[index]
    assert best["scores"]["R²"]["value"] > 0.8
    again = _run(*asked)
    first.pop("seconds"), again.pop("seconds")
    assert first == again


def test_a_budget_of_nothing_says_what_was_left_out(table: Path, tmp_path: Path) -> None:
    found = _run(
        "--files",
        str(table),
        "--out",
        str(tmp_path / "out"),
        "--encoders",
        "xyz",
        "--budget",
        "0.001s",
        "--seeds",
        "1",
    )
    assert found["tasks"] == []
    assert len(found["left_out"]) == 6  # type: ignore[arg-type]
    assert "Nothing is complete yet" in (tmp_path / "out" / "table.md").read_text()


def test_the_last_line_says_what_is_in_the_folder(table: Path, tmp_path: Path) -> None:
    """Pictures are spoken of where there are some; oracle: the files."""
    out = tmp_path / "out"
    asked = [
        "benchmark",
        "encoders",
        "--files",
        str(table),
        "--out",
        str(out),
        "--encoders",
        "xyz",
        "--probes",
        "ridge",
    ]
    asked += ["--seeds", "1", "--folds", "3", "--quiet"]
    for more, words in (
        (["--budget", "0.001s"], "Tables in"),
        (["--no-plots"], "Tables in"),
        ([], "Tables and plots in"),
    ):
        last = run([*asked, *more])[1].strip().splitlines()[-1]
        assert last == f"{words} {out}: start with {out / 'table.md'}"
        assert bool(list(out.glob("*.png"))) == ("plots" in words)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--encoders", "sphereD"), "did you mean"),
        (("--tasks", "moon"), "unknown task 'moon'"),
        (("--probes", "magic"), "--probes 'magic' is unknown"),
        (("--budget", "soon"), "--budget must be a time such as"),
        (("--files", "none.csv"), "does not exist"),
    ],
)
def test_what_is_asked_wrongly_is_said_in_one_line(
    arguments: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    _refused(message, "--out", str(tmp_path / "out"), *arguments)


def test_a_run_that_was_rejected_binds_no_later_one(table: Path, tmp_path: Path) -> None:
    """A missing file, then encoders that nothing can compare; corrected, in the same folder, with other numbers."""
    out = tmp_path / "out"
    asked = ("--out", str(out), "--encoders", "xyz", "--probes", "ridge", "--seeds", "1")
    _refused("does not exist", *asked, "--files", "none.csv", "--points", "120", "--folds", "4")
    cells = ("--encoders", "cells", "--probes", "ridge", "--files", str(table))
    _refused("compare it only with --probes trained", "--out", str(out), *cells)
    assert not (out / "cells").exists()
    found = _run(*asked, "--files", str(table), "--folds", "3")
    assert len(found["tasks"]) == 2  # type: ignore[arg-type]
    assert json.loads((out / "cells" / "inputs.json").read_text()) == {"points": 5_000, "folds": 3}
    _refused("choose another --out", *asked, "--files", str(table), "--folds", "4")


def test_times() -> None:
    assert seconds_of("1.5h") == 5400
    for wrong in ("", "0m", "-3m", "5", "3 weeks"):
        with pytest.raises(UsageError):
            seconds_of(wrong)


@pytest.mark.parametrize("kind", ["regression", "classification"])
def test_an_encoder_is_trained_with_its_head(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On what is linear in xyz, and its bands: far better than the mean; the same seed gives the same answers."""
    monkeypatch.setattr(trained, "STEPS", 80)
    monkeypatch.setattr(trained, "EPOCHS", 2)
    task = smooth_task(kind=kind)
    folds = task_split(task, "random", 2, 0)
    answers, choices = trained.predicted(Candidate("xyz", "corrected"), task, folds, seed=0)
    assert len(choices) == 2
    assert np.isfinite(answers).all()
    if kind == "regression":
        assert 1 - ((answers[:, 0] - task.target) ** 2).mean() / task.target.var() > 0.9
    else:
        np.testing.assert_allclose(answers.sum(axis=1), 1.0, rtol=1e-5)
        assert (answers.argmax(axis=1) == task.target).mean() > 0.8
        again, _ = trained.predicted(Candidate("xyz", "corrected"), task, folds, seed=0)
        np.testing.assert_array_equal(answers, again)
