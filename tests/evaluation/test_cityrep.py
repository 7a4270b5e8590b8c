"""CityRep's folder: a small one of its layout, written here as its own scripts write it.

Oracle: its documents (commit 444bbff): registry, sample tables, fixed splits and manifest; scikit-learn for the score.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import shapely
from sklearn.metrics import r2_score

from placevec.embeddings import Embeddings, Provenance
from placevec.errors import EvaluationError, PlacevecError, SourceError
from placevec.evaluation import engine
from placevec.evaluation.cityrep import PROTOCOL, evaluate_cityrep, read_task, rows_of, write_embeddings
from tests.evaluation.test_kinds import SMALL

COUNT = 600
POPULATION, USE, AGES = "rome.population.2024", "rome.landuse.2026", "rome.age_distribution.2024"
SEEDS = (42, 24)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(engine.BUDGETS, "quick", SMALL)


def samples(task: str) -> tuple[pd.DataFrame, np.ndarray]:
    """(table, (n, 3) what vectors know); labels follow the first of three."""
    random = np.random.default_rng(3)
    known = random.normal(size=(COUNT, 3))
    table = pd.DataFrame(
        {
            "sample_id": [f"{task}:{n}" for n in range(COUNT)],
            "x": random.uniform(12.4, 12.6, COUNT), "y": random.uniform(41.8, 42.0, COUNT),
        }
    )  # fmt: skip
    label = known[:, 0] + 0.5 * random.normal(size=COUNT)
    if task == AGES:
        return table.assign(young=np.exp(label), old=1.0), known
    return table.assign(label=np.digitize(label, [-0.5, 0.5]) if task == USE else label), known


def block10(table: pd.DataFrame) -> np.ndarray:
    """As its `_block_ids`: x and y scaled to the extent, times ten, rounded down."""
    cell = [
        np.clip(np.floor((table[one] - table[one].min()) / np.ptp(table[one]) * 10), 0, 9)
        for one in ("x", "y")
    ]
    return (cell[1] * 10 + cell[0]).to_numpy(int)


def write(folder: Path, tasks: tuple[str, ...] = (POPULATION, USE, AGES)) -> Path:
    entries = {
        POPULATION: {"task_type": "regression", "label_col": "label", "normalization": "zscore"},
        USE: {"task_type": "classification", "label_col": "label", "class_names": ["Water", "Mixed", "Other"]},
        AGES: {"task_type": "distribution", "label_cols": ["young", "old"], "renormalize_distribution": True},
    }  # fmt: skip
    registry: dict[str, Any] = {"tasks": {}}
    (folder / "splits" / PROTOCOL).mkdir(parents=True)
    for task in tasks:
        city, name, _ = task.split(".")
        registry["tasks"][task] = {
            "task_id": task, "source_type": "samples", "samples_path": f"tasks/{task}/samples.parquet", "city": city,
            "task": name, "sample_id_col": "sample_id", "crs": "EPSG:4326", "n_blocks": 10, **entries[task],
        }  # fmt: skip
        table, _ = samples(task)
        (folder / "data" / "tasks" / task).mkdir(parents=True)
        table.to_parquet(folder / "data" / "tasks" / task / "samples.parquet", index=False)
        block, folds = block10(table), []
        for seed in SEEDS:
            order = np.random.default_rng(seed).permutation(np.unique(block))
            part = {"test": order[:20], "val": order[20:28], "train": order[28:]}
            ids = {key: table["sample_id"][np.isin(block, held)].tolist() for key, held in part.items()}
            folds.append({"seed": seed, "meta": {"n_blocks_x": 10, "n_blocks_y": 10}, **ids})
        (folder / "splits" / PROTOCOL / f"{task}.json").write_text(json.dumps({"folds": folds}))
    (folder / "data" / "tasks.json").write_text(json.dumps(registry))
    return folder


def vectors(task: str = POPULATION, ids: bool = True, shift: float = 0.0) -> Embeddings:
    table, known = samples(task)
    lonlat = table[["x", "y"]].to_numpy() + shift
    names = table["sample_id"] if ids else [f"other {n}" for n in range(COUNT)]
    return Embeddings(
        np.array(names, object), np.hstack([known, np.ones((COUNT, 1))]).astype(np.float32), lonlat,
        np.asarray(shapely.points(lonlat), object), np.full(COUNT, None, object), "map", Provenance("a" * 64, "b" * 64),
    )  # fmt: skip


# --- reading ------------------------------------------------------------------------------------------------


def test_tasks_splits_and_blocks_are_those_of_the_folder(tmp_path: Path) -> None:
    folder = write(tmp_path)
    table, _ = samples(POPULATION)
    found = read_task(folder, POPULATION)
    np.testing.assert_array_equal(found.task.target, table["label"])
    np.testing.assert_array_equal(found.task.points, table[["x", "y"]])
    assert (found.task.metric, found.blocks.count) == ("R²", len(np.unique(block10(table))))
    same = pd.Series(found.blocks.number).groupby(block10(table)).nunique()
    assert (same == 1).all()
    fold = json.loads((folder / "splits" / PROTOCOL / f"{POPULATION}.json").read_text())["folds"][1]
    assert found.sample_id[found.splits[1].folds[0].test].tolist() == fold["test"]
    assert set(found.sample_id[found.splits[1].folds[0].train]) == {*fold["train"], *fold["val"]}
    assert read_task(folder, USE).task.classes == ("Water", "Mixed", "Other")
    ages = read_task(folder, AGES).task
    np.testing.assert_allclose(ages.target[:, 0], samples(AGES)[0].eval("young / (young + old)"))
    assert ages.metric == "KL"


def test_vectors_meet_samples_by_id_or_within_a_meter(tmp_path: Path) -> None:
    found = read_task(write(tmp_path, (POPULATION,)), POPULATION)
    for emb in (vectors(), vectors(ids=False)):
        np.testing.assert_array_equal(rows_of(emb, found), np.arange(COUNT))
    with pytest.raises(EvaluationError, match=r"600 of 600 samples of rome\.population\.2024 have no vector"):
        rows_of(vectors(ids=False, shift=0.01), found)


# --- evaluating and writing ---------------------------------------------------------------------------------


def test_our_vectors_are_a_row_beside_chance_and_coordinates(tmp_path: Path) -> None:
    """Oracle for R²: scikit-learn's ridge on rows of length 1, on the same division, mean of the seeds."""
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import StandardScaler

    folder = write(tmp_path)
    report = evaluate_cityrep(vectors(), folder, tasks=[POPULATION], budget="quick")
    (result,) = report.results
    assert [row.name for row in result.rows] == ["chance", "vectors", "coordinates"]
    unit = vectors().vectors / np.linalg.norm(vectors().vectors, axis=1, keepdims=True)
    found, target = read_task(folder, POPULATION), samples(POPULATION)[0]["label"].to_numpy()
    expected = []
    for split in found.splits:
        (fold,) = split.folds
        scaler = StandardScaler().fit(unit[fold.train])
        known = Ridge(1.0).fit(scaler.transform(unit[fold.train]), target[fold.train])
        expected.append(r2_score(target[fold.test], known.predict(scaler.transform(unit[fold.test]))))
    assert result.row("vectors").by_probe["linear"] == pytest.approx(np.mean(expected), abs=0.02)
    assert "Splits and metric are CityRep's".lower() in " ".join(result.notes).lower()
    (folder / "data" / "tasks" / AGES / "samples.parquet").unlink()
    some = evaluate_cityrep(vectors(), folder, budget="quick")
    assert [one.task for one in some.results] == [USE, POPULATION]
    assert len(some.skipped) == 1, "without a task, what cannot be evaluated is listed"


def test_vectors_are_written_as_a_model_of_the_folder(tmp_path: Path) -> None:
    folder = write(tmp_path, (POPULATION,))
    for _ in range(2):  # a second time replaces the row
        path = write_embeddings(vectors(), folder, "placevec", task=POPULATION)
    table = pd.read_parquet(path)
    assert list(table.columns) == ["sample_id", "x", "y", "e0", "e1", "e2", "e3"]
    np.testing.assert_array_equal(table[["e0", "e1", "e2", "e3"]].to_numpy(np.float32), vectors().vectors)
    with (folder / "baselines" / "registry" / "embedding_manifest.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    config = json.loads(row["embedding_config"])
    assert (row["model"], row["task_id"], row["available"]) == ("placevec", POPULATION, "True")
    assert (config["type"], config["entity_id_col"], config["path"]) == (
        "entity",
        "sample_id",
        row["embedding_path"],
    )
    assert folder / row["embedding_path"] == path


# --- bad input ----------------------------------------------------------------------------------------------


def _edit(path: Path, change: Any) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


SPLIT = Path("splits", PROTOCOL, f"{POPULATION}.json")
SAMPLES = Path("data", "tasks", POPULATION, "samples.parquet")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda at: (at / "data" / "tasks.json").unlink(), r"has no tasks\.json"),
        (lambda at: (at / SAMPLES).unlink(), "samples.parquet does not exist"),
        (lambda at: (at / SPLIT).unlink(), rf"has no {POPULATION}\.json"),
        (lambda at: (at / "data" / "tasks.json").write_text("[1]"), "is not a CityRep registry"),
        (lambda at: (at / SAMPLES).write_bytes(b"PAR1 no"), "is not a Parquet table"),
        (lambda at: (at / SPLIT).write_text('{"folds": 3}'), "is not a CityRep split: folds"),
        (
            lambda at: _edit(at / SPLIT, lambda one: one["folds"][0]["meta"].update(n_blocks_x=5)),
            "seed 42 has 5 x 10 blocks; 10 x 10 are needed",
        ),
        (
            lambda at: _edit(
                at / SPLIT, lambda one: one["folds"][0]["train"].append(one["folds"][0]["test"].pop())
            ),
            "divides a block of the 10 x 10 between train and test",
        ),
        (
            lambda at: _edit(at / SPLIT, lambda one: one["folds"][0]["test"].pop()),
            "does not contain every sample exactly once",
        ),
        (
            lambda at: _edit(at / SPLIT, lambda one: one["folds"][0]["val"].append("x")),
            "samples that are not in samples.parquet",
        ),
        (
            lambda at: samples(POPULATION)[0].assign(label=np.inf).to_parquet(at / SAMPLES),
            "the label of row 1 is missing or infinite",
        ),
        (
            lambda at: samples(POPULATION)[0].assign(label=1.0).to_parquet(at / SAMPLES),
            "all labels are the same",
        ),
        (
            lambda at: samples(POPULATION)[0].drop(columns="x").to_parquet(at / SAMPLES),
            "need WKT in geometry, or x",
        ),
    ],
)
def test_a_folder_that_cannot_be_used_says_so_in_one_line(tmp_path: Path, spoil: Any, message: str) -> None:
    folder = write(tmp_path, (POPULATION,))
    spoil(folder)
    with pytest.raises(PlacevecError, match=message) as caught:
        evaluate_cityrep(vectors(), folder, tasks=[POPULATION], budget="quick")
    assert "\n" not in str(caught.value)


def test_names_that_lead_elsewhere_are_not_followed(tmp_path: Path) -> None:
    folder = write(tmp_path, (POPULATION,))
    _edit(
        folder / "data" / "tasks.json",
        lambda one: one["tasks"].update({"../../x.y": one["tasks"][POPULATION]}),
    )
    with pytest.raises(SourceError, match=r"does not have the form CITY\.TASK\.YEAR"):
        read_task(folder, "../../x.y")
    with pytest.raises(EvaluationError, match="letters, digits"):
        write_embeddings(vectors(), folder, "../model", task=POPULATION)
    _edit(folder / "data" / "tasks.json", lambda one: one["tasks"][POPULATION].update(city="../.."))
    with pytest.raises(SourceError, match="must consist of letters"):
        write_embeddings(vectors(), folder, "model", task=POPULATION)
