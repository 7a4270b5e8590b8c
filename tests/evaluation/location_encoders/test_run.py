"""Oracles: what must be the same (resuming), what must not meet (folds), answers known by construction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from placevec.evaluation import neighbors, ridge
from placevec.evaluation import point_baselines as baselines
from placevec.evaluation import scores as measures
from placevec.evaluation.location_encoders import results as cells
from placevec.evaluation.location_encoders import run as running
from placevec.evaluation.location_encoders.candidates import candidates
from placevec.evaluation.location_encoders.compare import compared
from placevec.evaluation.location_encoders.country_task import sphere_points
from placevec.evaluation.location_encoders.run import Benchmark
from placevec.evaluation.probes import Effort
from placevec.evaluation.splits import blocks_of, task_split
from placevec.evaluation.tasks import Task, point_task
from placevec.geo import within_distance


def smooth_task(points: int = 300, kind: str = "regression", name: str = "smooth") -> Task:
    """A function of the sphere that is linear in xyz, and noise."""
    random = np.random.default_rng(3)
    lonlat = sphere_points(random, points)
    value = np.sin(np.radians(lonlat[:, 1])) * 3 + random.normal(0, 0.1, points)
    further = np.arange(points) >= points - 40
    if kind == "regression":
        return point_task(name, "regression", lonlat, value, extra=further)
    return point_task(
        name,
        "classification",
        lonlat,
        np.digitize(value, [-1.5, 0, 1.5]),
        ("a", "b", "c", "d"),
        extra=further,
    )


@pytest.mark.parametrize("seed", [0, 1])
def test_blocks_do_not_leak(seed: int) -> None:
    """No training point is in a tested block or the buffer of a tested point; further points are never trained on."""
    task = smooth_task()
    blocks, folds = blocks_of(task).number, task_split(task, "blocks", 4, seed)
    for fold, parts in zip(folds.folds, folds.inner, strict=True):
        assert not np.isin(blocks[fold.train], blocks[fold.test]).any()
        assert not within_distance(
            task.lonlat[fold.train], task.lonlat[fold.test], blocks_of(task).size_m / 20
        ).any()
        assert not task.extra[fold.train].any()
        for part in np.unique(parts):  # a block is in one inner part
            assert not np.isin(blocks[fold.train[parts == part]], blocks[fold.train[parts != part]]).any()
    tested = np.concatenate([fold.test for fold in folds.folds])
    assert len(np.unique(tested)) == len(tested) == len(task)
    assert (folds.tested_in(len(task)) >= 0).all()


def test_a_stopped_run_goes_on_to_the_same_result(tmp_path: Path) -> None:
    """Cells deleted, cut short or made of other data are made again, equal bit by bit; the others stay as they are."""
    task = smooth_task()
    rivals = candidates(["xyz", "wrap"])

    def held(out: Path) -> Benchmark:
        return Benchmark([task], rivals, out, ("ridge", "kNN"), ("random",), seeds=1, folds=3)

    whole, broken = held(tmp_path / "whole"), held(tmp_path / "broken")
    running.run(whole)
    running.run(broken)
    files = sorted((tmp_path / "broken" / "cells").rglob("*.npz"))
    assert len(files) == len(baselines.names(task)) + 2 * 3  # xyz, wrap and its original, by two probes
    kept = files[0].stat().st_mtime_ns
    files[1].unlink()
    files[2].write_bytes(files[2].read_bytes()[:200])
    files[3].write_bytes(files[4].read_bytes())
    running.run(broken)
    assert files[0].stat().st_mtime_ns == kept
    for unit in whole.units():
        for row in whole.rows(unit):
            ours, theirs = whole.cell(row), broken.cell(row)
            assert ours is not None
            assert theirs is not None
            np.testing.assert_array_equal(ours.predicted, theirs.predicted)
            assert ours.choices == theirs.choices


def test_cells_of_other_data_are_not_taken(tmp_path: Path) -> None:
    key = cells.Unit("smooth", "random", 0, "ridge").file("sphereC+ (original)")
    cell = cells.Cell(np.zeros(5, np.float32), (), 1.0)
    cells.write(key, tmp_path, cell, "these")
    assert cells.read(key, tmp_path, "these") is not None
    assert cells.read(key, tmp_path, "others") is None


def test_a_budget_leaves_out_whole_units_and_says_which(tmp_path: Path) -> None:
    """Of no time at all: nothing is done, everything is named; the most telling first."""
    held = Benchmark(
        [smooth_task()], candidates(["xyz"]), tmp_path, ("ridge", "kNN"), ("random",), seeds=2, folds=3
    )
    outcome = running.run(held, budget_s=1e-9)
    assert outcome.done == ()
    assert [(unit.seed, unit.probe) for unit in outcome.left_out] == [
        (0, "ridge"), (0, "kNN"), (1, "ridge"), (1, "kNN"),
    ]  # fmt: skip
    assert not (tmp_path / "cells").exists()


def test_who_differs_by_its_network_only_is_trained_only(tmp_path: Path) -> None:
    held = Benchmark([smooth_task()], candidates(["wrap", "wrap+ffn", "cells"]), tmp_path)
    assert [one.name for one in held.competing("ridge")] == ["wrap", "wrap (original)"]
    assert len(held.competing("trained")) == 5


def test_a_probe_in_which_no_one_takes_part_is_not_run(tmp_path: Path) -> None:
    """Learned cells have no untrained features: of three probes only the trained one is left, and its tables."""
    held = Benchmark([smooth_task()], candidates(["cells"]), tmp_path, schemes=("random",), seeds=1)
    assert [unit.probe for unit in held.units()] == ["trained"]
    alone = Benchmark([smooth_task()], candidates(["cells"]), tmp_path, ("ridge",), ("random",), seeds=1)
    outcome = running.run(alone)
    assert outcome.done == ()
    assert compared(alone, outcome.done) == []


def test_a_damaged_cell_is_none_whatever_is_damaged(tmp_path: Path) -> None:
    """A bit of every byte in turn, and many bytes at once: no cell, or the same one, and never an error."""
    key = cells.Unit("smooth", "random", 0, "ridge").file("xyz")
    random = np.random.default_rng(0)
    cell = cells.Cell(random.normal(size=60).astype(np.float32), (ridge.Choice(1, 0.1),), 1.0)
    cells.write(key, tmp_path, cell, "these")
    path = cells.folder(tmp_path) / key
    whole = path.read_bytes()
    damaged = []
    for at in range(len(whole)):
        changed = bytearray(whole)
        changed[at] ^= 1 << at % 8
        damaged.append(bytes(changed))
    for _ in range(200):
        changed = bytearray(whole)
        for at in random.integers(0, len(whole), 20):
            changed[at] = random.integers(256)
        damaged.append(bytes(changed))
    lost = 0
    for content in damaged:
        path.write_bytes(content)
        found = cells.read(key, tmp_path, "these")
        lost += found is None
        if found is not None:
            np.testing.assert_array_equal(found.predicted, cell.predicted)
            assert (found.choices, found.seconds) == (cell.choices, cell.seconds)
    assert lost > len(damaged) / 2


def test_baselines_predict_what_they_must(monkeypatch: pytest.MonkeyPatch) -> None:
    """Means of the training; and a smooth function of the sphere within its noise, closest by the Gaussian process."""
    monkeypatch.setattr(baselines, "EFFORT", Effort(trees=20))
    task = smooth_task()
    folds = task_split(task, "random", 3, 0)
    mean, _ = baselines.predicted(baselines.MEAN, task, folds)
    for fold in folds.folds:
        np.testing.assert_allclose(mean[fold.test, 0], task.target[fold.train].mean())
    errors = {
        name: np.abs(baselines.predicted(name, task, folds)[0][:, 0] - task.target).mean()
        for name in baselines.names(task)[1:]
    }
    assert max(errors.values()) < 0.35, errors
    assert errors[baselines.PROCESS] < 0.1  # the noise alone is 0.08


def test_accuracy_is_asked_of_classes_as_common_as_they_are() -> None:
    """Oracle: Bayes. Where nine points of ten are of one class, wherever they lie, that class is predicted."""
    task = point_task(
        "rare", "classification", sphere_points(np.random.default_rng(0), 300),
        (np.random.default_rng(1).random(300) < 0.1).astype(np.int64), ("common", "rare"),
    )  # fmt: skip
    folds = task_split(task, "random", 3, 0)
    for name in (baselines.FOREST, baselines.PROCESS, baselines.NEAREST):
        found, _ = baselines.predicted(name, task, folds)
        assert (found.argmax(axis=1) == task.target).mean() > 0.8, name


def test_boosting_is_left_out_of_many_classes() -> None:
    labels = np.arange(240) % 12
    many = point_task("many", "classification", smooth_task(240).lonlat, labels, tuple("abcdefghijkl"))
    assert set(baselines.BASELINES) - set(baselines.names(many)) == {baselines.BOOSTING}


def test_neighbors_count_by_distance_where_that_is_better() -> None:
    """A peak between two far points: by equal votes k = 20 flattens it. k goes up to the points that there are."""
    assert max(neighbors.KS) == 1_000
    x = np.linspace(0, 1, 400)[:, None]
    parts = np.arange(400) % 4
    choice = neighbors.chosen([x], np.sin(20 * x), np.arange(400), parts, "regression")
    assert (choice.alpha, choice.votes) == (5.0, "distance")


def test_neighbors_are_those_of_scikit_learn() -> None:
    from sklearn.neighbors import KNeighborsRegressor

    random = np.random.default_rng(0)
    features, target, tested = (
        random.normal(size=(80, 4)),
        random.normal(size=(80, 2)),
        random.normal(size=(30, 4)),
    )
    for k, answers in zip((1, 7), neighbors.neighbor_means(features, target, tested, (1, 7)), strict=True):
        theirs = KNeighborsRegressor(n_neighbors=k).fit(features, target).predict(tested)
        np.testing.assert_allclose(answers, theirs, atol=1e-5)


def test_a_tie_goes_to_the_nearest_neighbor() -> None:
    features, target = np.array([[0.0], [1.0]]), np.eye(2)
    answers = neighbors.neighbor_means(features, target, np.array([[0.4], [0.6]]), (2,))[0]
    assert answers.argmax(axis=1).tolist() == [0, 1]


def test_measures_are_those_of_scikit_learn() -> None:
    """With every block drawn once; and twice drawn is twice counted."""
    from sklearn.metrics import accuracy_score, r2_score, roc_auc_score

    random = np.random.default_rng(1)
    block, fold = np.arange(200) % 10, np.zeros(200, np.int64)
    ones = np.ones((1, 10))
    target, given = random.normal(size=200), random.normal(size=200).astype(np.float32)
    assert measures.resampled("regression", target, given, block, ones, fold)[0] == pytest.approx(
        r2_score(target, given)
    )
    labels, named = random.integers(0, 4, 200), random.integers(0, 4, 200).astype(np.uint16)
    assert measures.resampled("accuracy", labels, named, block, ones, fold)[0] == accuracy_score(
        labels, named
    )
    seen = random.integers(0, 2, 200)
    scores = (random.normal(size=200) + seen).round(1).astype(np.float32)  # with ties
    assert measures.resampled("presence", seen, scores, block, ones, fold)[0] == pytest.approx(
        roc_auc_score(seen, scores)
    )
    weights = random.integers(0, 3, (1, 10)).astype(float)
    often = weights[0][block].astype(int)
    assert measures.resampled("presence", seen, scores, block, weights, fold)[0] == pytest.approx(
        roc_auc_score(np.repeat(seen, often), np.repeat(scores, often))
    )


def test_an_answer_that_only_separates_folds_is_worth_nothing() -> None:
    """The training's mean is low where many are tested: over all folds together that would be an AUC below a half."""
    seen = np.array([1, 1, 1, 0, 1, 0, 0, 0])
    fold = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    mean = np.where(fold == 0, 0.25, 0.75).astype(np.float32)
    assert measures.resampled("presence", seen, mean, np.arange(8), np.ones((1, 8)), fold)[0] == 0.5
