"""Benchmarks are run by hand, so that what they import may be renamed under them: each module is imported here."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from pathlib import Path

import benchmarks
import numpy as np
import pytest

MODULES = [
    module.name
    for module in pkgutil.iter_modules(benchmarks.__path__, "benchmarks.")
    if not module.name.endswith(("__main__", ".peers"))
]


@pytest.mark.parametrize("name", MODULES)
def test_a_benchmark_can_be_imported(name: str) -> None:
    assert import_module(name).__doc__


def test_an_unknown_benchmark_is_rejected_with_the_known_ones(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmarks.__main__ import main

    monkeypatch.setattr("sys.argv", ["benchmarks", "nothing"])
    assert main() == 2
    told = capsys.readouterr().err
    assert "no benchmark is called 'nothing'" in told
    assert "precision" in told


@pytest.mark.parametrize(("backend", "package"), [("annoy", "annoy"), ("hnsw", "faiss-cpu")])
def test_a_missing_package_is_said_before_anything_is_measured(
    backend: str, package: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Issue: without Annoy, `search` measured for 90 s, and then ended in a traceback."""
    from benchmarks import __main__ as command

    monkeypatch.setattr("placevec.embeddings.search.approximate.available", lambda one: one != backend)
    monkeypatch.setitem(command.ON_REQUEST, "search", lambda: pytest.fail("measured"))
    monkeypatch.setattr("sys.argv", ["benchmarks", "search"])
    assert command.main() == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith(f"the benchmark search cannot run: {package} is not installed")


def test_no_seen_layer_draws_a_type_that_is_asked_about() -> None:
    """Oracle: the rules of the layers: what the layers that stay draw by a tag of the groups is left out by name."""
    from benchmarks.where2vec_quality import DRAWN_ELSEWHERE, DROPPED, GROUPS

    from placevec.sources.osm.entities.types import TypeTable
    from placevec.sources.osm.layers import LayerTable
    from placevec.sources.osm.objects import Kind

    table, drawn, layers = TypeTable.default(), set(), LayerTable.default()
    for layer, rules in zip(layers.layers, layers.rules, strict=True):
        for rule in rules:
            if layer not in DROPPED and rule.key in GROUPS:
                assert rule.values, f"{layer} draws every {rule.key}"
                for value in rule.values:
                    for kind in (Kind.AREA, Kind.LINE, Kind.POINT):
                        found = table.classify({rule.key: value}, kind)
                        drawn |= set() if found is None else {found.type}
    assert {one for one in drawn if one.split("/")[0] in GROUPS} <= set(DRAWN_ELSEWHERE)


def test_the_choice_looks_at_no_city_of_the_test() -> None:
    """Oracle: cities of the test are those whose number modulo three is the fold."""
    from benchmarks.where2vec_choice import HELD_OUT, held_out

    seen: set[int] = set()
    for fold in range(3):
        held = held_out([city for city in range(18) if city % 3 != fold], fold)
        assert all(city % 3 != fold for city in held)
        assert len(set(held)) == HELD_OUT
        seen |= set(held)
    assert len(seen) == 3 * HELD_OUT


def test_a_choice_is_resumed_and_takes_the_best(tmp_path: Path) -> None:
    """Oracle: scores made up here, of which those of one candidate are the highest in both measures."""
    from benchmarks.where2vec_choice import CANDIDATES, Setting, tried

    scored: list[Setting] = []

    def score(setting: Setting) -> tuple[float, float]:
        if len(scored) == 2:
            scored.append(setting)
            raise KeyboardInterrupt
        scored.append(setting)
        return (0.3, 0.4) if setting == CANDIDATES[-2] else (0.1, 0.2)

    file = tmp_path / "new" / "fold.json"
    with pytest.raises(KeyboardInterrupt):
        tried(file, ["Helsinki"], CANDIDATES, score)
    assert tried(file, ["Helsinki"], CANDIDATES, score).setting == CANDIDATES[-2]
    assert scored == [*CANDIDATES[:3], *CANDIDATES[2:]]


def test_cells_that_are_tested_are_not_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Oracle: set arithmetic, on what training would read and on the folds of a task that has some of the cells."""
    from benchmarks import mmgr_quality

    from placevec.evaluation.splits import Fold, Split
    from placevec.recipes.mmgr import build

    nothing = np.zeros(10, bool)
    side = build._Side(None, None, None, nothing, nothing, np.arange(1, 10))  # type: ignore[arg-type]
    monkeypatch.setattr(build, "_side", lambda *_: side)
    with mmgr_quality.only(np.array([0, 3, 5])):
        assert build._side(None, None, 0).rows.tolist() == [3, 5]  # type: ignore[arg-type]
    assert build._side(None, None, 0) is side  # type: ignore[arg-type]

    rows, random = np.sort(np.random.default_rng(0).permutation(100)[:80]), np.random.default_rng(1)
    order = random.permutation(100)
    split = Split((Fold(order[:50], order[60:]), Fold(order[50:], order[:40])))
    found = mmgr_quality.of_rows(split, rows, 100)
    for whole, part in zip(split.folds, found.folds, strict=True):
        assert set(rows[part.train]) == set(whole.train) & set(rows)
        assert set(rows[part.test]) == set(whole.test) & set(rows)
    with pytest.raises(SystemExit, match="to learn from"):
        mmgr_quality.of_rows(split, rows[:10], 100)


def test_predictions_are_kept_by_what_they_are_made_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Oracle: equal inputs are not predicted again, with notes; another seed is."""
    from benchmarks import mmgr_quality

    from placevec.evaluation.probes import PROBES, Effort, Training

    asked: list[int] = []

    def probe(training: Training, tested: np.ndarray, effort: Effort) -> np.ndarray:
        asked.append(training.seed)
        training.notes.append("a note")
        return tested + training.seed

    monkeypatch.setitem(PROBES, "linear", probe)
    for _ in range(2):
        with mmgr_quality.kept(tmp_path):
            for seed in (0, 1):
                training = Training("regression", np.eye(3), np.arange(3.0), 1, np.arange(3), seed)
                assert (PROBES["linear"](training, np.ones((2, 1)), Effort()) == 1 + seed).all()
                assert training.notes == ["a note"]
    assert asked == [0, 1]
    assert PROBES["linear"] is probe
