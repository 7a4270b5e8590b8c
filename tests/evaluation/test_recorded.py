"""Small evaluations whose figures are kept: merging or moving code changes none of them.

Oracle: JSON files under ``recorded/``, written by the three evaluations as they were before they became one. A change
that means to change a figure writes them anew (``python -m tests.evaluation.test_recorded``) and says why in its
commit.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from placevec import api
from placevec.api.evaluating import evaluate_model
from placevec.evaluation.engine import OURS, Budget, evaluate_task
from placevec.evaluation.location_encoders import run as running
from placevec.evaluation.location_encoders.candidates import candidates
from placevec.evaluation.location_encoders.compare import (
    EDGES,
    GEO_BIAS,
    compared,
    corrections,
    mean_ranks,
    reachable,
)
from placevec.evaluation.location_encoders.country_task import sphere_points
from placevec.evaluation.location_encoders.run import Benchmark
from placevec.evaluation.probes import Effort
from placevec.evaluation.tasks import Task, point_task
from placevec.evaluation.transfer import evaluate_elsewhere, landuse_elsewhere
from tests.evaluation.standin import town
from tests.evaluation.test_splits import town as town_points
from tests.preparation.points.tables import add_predictions, globe, octant_points, octants, write_points

FOLDER = Path(__file__).parent / "recorded"
TRAINING = {
    "epochs": 4, "scales": 4, "r_min": 0.1, "hidden": 16, "dim": 8, "batch_size": 128, "learning_rate": 0.02,
    "projector": 0, "steps_per_epoch": 10,
}  # fmt: skip


# --- a report of vectors ------------------------------------------------------------------------------------


def _kinds(count: int = 500) -> tuple[np.ndarray, dict[str, Task]]:
    """((n, 5) features, one task of each kind)."""
    random = np.random.default_rng(7)
    features = random.normal(size=(count, 5))
    signal = features[:, 0] + 0.5 * features[:, 1]
    rows = np.arange(count)
    return features, {
        "classification": Task(
            "c", "classification", np.digitize(signal + random.normal(size=count), [-0.5, 0.7]), rows, ("a", "b", "c")
        ),
        "multilabel": Task(
            "m", "multilabel", np.stack([signal > 0.3, features[:, 2] > 1.0], axis=-1), rows, ("x", "y")
        ),
        "regression": Task("r", "regression", signal + random.normal(size=count), rows),
    }  # fmt: skip


def _evaluated(found: Any) -> dict[str, Any]:
    return {
        "places": found.places,
        "blocks": found.blocks,
        "rows": {
            row.name: [row.probe, row.score.value, row.score.low, row.score.high, row.further, row.by_probe]
            for row in found.rows
        },
        "comparisons": [
            [pair.of, pair.against, pair.difference.value, pair.difference.low, pair.difference.high]
            for pair in found.comparisons
        ],
    }  # fmt: skip


def vectors(folder: Path) -> dict[str, Any]:
    """`judge` on every kind of task, and `evaluate_elsewhere` on four small towns."""
    features, tasks = _kinds()
    noise = np.random.default_rng(8).normal(size=(2, *features.shape))
    lonlat = town_points(24.9, 60.2, km=10, count=500, seed=0)
    budget = Budget(Effort(5, (0.1, 1.0), (5, 20)), 200, 10_000)
    found = {
        name: _evaluated(
            evaluate_task(
                task, {OURS: (features,), "noise": (noise[0], noise[1])}, lonlat,
                pairs=((OURS, "chance"), (OURS, "noise")), buffer_m=300.0, folds=4, seeds=2, budget=budget,
                follow_range=False,
            )
        )
        for name, task in tasks.items()
    }  # fmt: skip
    towns: list[Any] = []
    for number in range(4):
        (folder / f"town {number}").mkdir()
        towns.append(town(folder / f"town {number}", seed=10 * number, km=3.0))
    task = landuse_elsewhere(towns)
    truth = np.eye(len(task.classes))[task.target] + np.random.default_rng(9).normal(size=(len(task), 3))
    found["elsewhere"] = _evaluated(
        evaluate_elsewhere(task, towns, {OURS: [lambda _: truth]}, pairs=((OURS, "chance"),), budget=budget)
    )
    return found


# --- predictions of a head ----------------------------------------------------------------------------------


def _measured(report: Any) -> dict[str, Any]:
    (result,) = report.results
    return {
        "places": result.places,
        "blocks": result.blocks,
        "rows": {
            row.name: {what: [one.value, one.low, one.high] for what, one in row.scores.items()}
            for row in result.rows
        },
    }


def predictions(folder: Path) -> dict[str, Any]:
    """`evaluate_model` of heads of classes (with photos), of numbers and of presence."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums of two threads differ in the last digit, and training makes more of it
    try:
        return _predictions(folder)
    finally:
        torch.set_num_threads(threads)


def _predictions(folder: Path) -> dict[str, Any]:
    lonlat = globe(800)
    split = np.random.default_rng(3).choice(3, 800, p=[0.6, 0.2, 0.2])
    classes = octant_points(folder / "classes", 800, split=split)
    test = np.flatnonzero(split == 2)
    image = np.random.default_rng(8).dirichlet(np.ones(8), len(test)).astype(np.float32)
    rows = np.full(800, -1, np.int32)
    rows[test] = np.arange(len(test))
    np.save(folder / "classes" / "test.npy", image)
    add_predictions(classes.path, {"test": "test.npy"}, rows)
    api.train("sphere2vec", folder / "classes", out=folder / "c", loss="cross-entropy", **TRAINING)
    noise = np.random.default_rng(4).normal(0, 5, 800)
    numbers = write_points(folder / "numbers", lonlat, 20 - 0.5 * np.abs(lonlat[:, 1]) + noise, split=split)
    api.train("sphere2vec", numbers, out=folder / "n", **TRAINING)
    here = globe(2500)
    here = here[octants(here) == 5][:250]
    sides = np.repeat([0, 1, 2], [150, 20, len(here) - 170])
    seen = write_points(folder / "seen", here, np.zeros(len(here), int), classes=("bear",), split=sides)
    api.train("sphere2vec", seen, out=folder / "s", **TRAINING)
    return {name: _measured(evaluate_model(folder / name[0])) for name in ("classes", "numbers", "seen")}


# --- a benchmark of location encoders -----------------------------------------------------------------------


def _points(kind: Any, points: int = 260) -> Task:
    random = np.random.default_rng(3)
    lonlat = sphere_points(random, points)
    value = np.sin(np.radians(lonlat[:, 1])) * 3 + random.normal(0, 1.0, points)
    further = np.arange(points) >= points - 40
    if kind == "regression":
        return point_task("number", kind, lonlat, value, extra=further)
    if kind == "classification":
        return point_task(
            "classes", kind, lonlat, np.digitize(value, [-1.5, 0, 1.5]), tuple("abcd"), extra=further
        )
    return point_task(kind, kind, lonlat, (value > 0.5).astype(np.int64), ("background", "seen"))


def _against_best(one: Any, group: Any) -> tuple[float, ...]:
    """(difference from the best baseline, low, high, p); p is unknown for baselines."""
    difference = one.score - group.row(group.best_baseline).score
    pair = group.against_best(one.name)
    p = float("nan") if pair is None else pair.p
    return difference.value, difference.low, difference.high, p


def encoders(folder: Path) -> dict[str, Any]:
    """A contest of three encoders on numbers, classes and presence, by two probes, in blocks."""
    tasks = [_points(kind) for kind in ("regression", "classification", "presence")]
    held = Benchmark(
        tasks, candidates(["xyz", "wrap", "rff"]), folder, ("ridge", "kNN"), ("blocks",), seeds=2, folds=3
    )  # fmt: skip
    groups = compared(held, running.run(held).done)
    found: dict[str, Any] = {}
    for group in groups:
        ranks = {row.name: place + 1 for place, row in enumerate(group.encoders)}
        split = held.split(group.task, group.scheme, 0)
        found[f"{group.task}, {group.scheme}, {group.probe}"] = {
            "best": group.best_baseline,
            "reachable": reachable(held.task(group.task), split),
            "rows": {
                one.name: [
                    one.score.value, one.score.low, one.score.high, *_against_best(one, group),
                    one.name in group.like_best, ranks.get(one.name, 0), one.further[GEO_BIAS],
                    int(one.further.get(EDGES, 0)), len(one.scores),
                ]
                for one in group.rows
            },
        }  # fmt: skip
    found["corrections"] = [
        [one.encoder, one.task, one.stratum, one.difference.value, one.difference.low, one.difference.high]
        for one in corrections(groups)
        if one.stratum == "overall"
    ]
    found["ranks"] = {name: [one.value, one.low, one.high] for name, one in mean_ranks(groups).items()}
    return found


# --- kept and compared --------------------------------------------------------------------------------------

CASES: dict[str, Callable[[Path], dict[str, Any]]] = {
    "vectors": vectors,
    "predictions": predictions,
    "encoders": encoders,
}


def plain(value: Any) -> Any:
    """JSON with ten significant digits: what is left after that is the order of sums of a linear algebra library."""
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, float | np.floating):
        return None if value != value else 0.0 if abs(value) < 1e-12 else float(f"{value:.10g}")
    return int(value) if isinstance(value, np.integer) else value


AMPLIFIES = re.compile(r"/rows/(model|[^/]*random forest)/")
"""Rows of figures that depend on the processor: training in float32, and forests whose features are sines, make much of
the last digit, in which processors differ."""


def tolerance(where: str) -> dict[str, float]:
    """Tolerances of the figure at a path."""
    return {"rel": 0.02, "abs": 0.02} if AMPLIFIES.search(where) else {"rel": 1e-5, "abs": 1e-7}


def differences(kept: Any, found: Any, where: str = "") -> list[str]:
    """One line for each place in which two JSON documents differ."""
    if isinstance(kept, dict) and isinstance(found, dict):
        lines = [f"{where}: {sorted(kept.keys() ^ found.keys())}"] if kept.keys() != found.keys() else []
        return lines + [
            line for key in kept if key in found for line in differences(kept[key], found[key], f"{where}/{key}")
        ]  # fmt: skip
    if isinstance(kept, list) and isinstance(found, list) and len(kept) == len(found):
        return [
            line
            for number, pair in enumerate(zip(kept, found, strict=True))
            for line in differences(*pair, f"{where}/{number}")
        ]
    if isinstance(kept, float) and isinstance(found, float):
        return [] if found == pytest.approx(kept, **tolerance(where)) else [f"{where}: {kept} became {found}"]
    return [] if kept == found else [f"{where}: {kept} became {found}"]


@pytest.mark.parametrize("name", CASES)
def test_figures_are_those_recorded(name: str, tmp_path: Path) -> None:
    kept = json.loads((FOLDER / f"{name}.json").read_text())
    found = json.loads(json.dumps(plain(CASES[name](tmp_path))))
    assert differences(kept, found) == []


def test_a_figure_that_changed_is_named() -> None:
    kept = {"a": [1.0, 2.0], "b": "x"}
    assert differences(kept, {"a": [1.0, 2.0001], "b": "y"}) == [
        "/a/1: 2.0 became 2.0001",
        "/b: x became y",
    ]
    assert differences(kept, {"a": [1.0]}) != []


if __name__ == "__main__":
    for title, case in CASES.items():
        with tempfile.TemporaryDirectory() as scratch:
            text = json.dumps(plain(case(Path(scratch))), separators=(",", ":"))
        (FOLDER / f"{title}.json").write_text(text.replace("},", "},\n") + "\n")
