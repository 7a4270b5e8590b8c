"""Leaving one region out, and learning curves: what is trained on what, against shapely, geodesics and scikit-learn."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely
from sklearn.metrics import r2_score

from placevec.distributed.ray_executor import RayExecutor
from placevec.errors import EvaluationError, PlacevecError
from placevec.evaluation import engine, evaluate
from placevec.evaluation.engine import CURVE, OURS, Budget, evaluate_task
from placevec.evaluation.probes import Effort
from placevec.evaluation.regions import regions_of
from placevec.evaluation.splits import random_split, region_split, thinned
from placevec.evaluation.tasks import Task
from placevec.io.progress import SILENT
from tests.distributed.pretended_ray import PretendedRay
from tests.evaluation.standin import Network, Town, embeddings, town
from tests.evaluation.test_splits import nearest_pair
from tests.evaluation.test_splits import town as town_points

SMALL = Budget(Effort(5, (0.1,), (10,), process_places=60), 50, 10_000)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return town(tmp_path_factory.mktemp("town"), km=5)


def thirds(place: Town) -> np.ndarray:
    """West, middle or east."""
    edges = np.quantile(place.lonlat[:, 0], [1 / 3, 2 / 3])
    return np.array(["west", "middle", "east"])[np.digitize(place.lonlat[:, 0], edges)]


# --- splits -------------------------------------------------------------------------------------------------


def test_a_region_is_left_out_whole_and_training_keeps_its_distance() -> None:
    lonlat = town_points(24.9, 60.2, km=10, count=400, seed=0)
    region = np.digitize(lonlat[:, 0], np.quantile(lonlat[:, 0], [0.3, 0.7]))
    split = region_split(region, lonlat, buffer_m=500.0)
    assert [set(region[fold.test]) for fold in split.folds] == [{0}, {1}, {2}]
    for fold in split.folds:
        assert not set(region[fold.train]) & set(region[fold.test])
        assert nearest_pair(lonlat[fold.train], lonlat[fold.test]) >= 500.0


def test_smaller_shares_lie_in_larger_ones() -> None:
    split = random_split(200, folds=4, seed=0)
    tenth, half = thinned(split, 0.1, 1), thinned(split, 0.5, 1)
    for whole, more, less in zip(split.folds, half.folds, tenth.folds, strict=True):
        assert (len(less.train), len(more.train), len(whole.train)) == (15, 75, 150)
        assert set(less.train) < set(more.train) < set(whole.train)
        np.testing.assert_array_equal(less.test, whole.test)


# --- the engine ---------------------------------------------------------------------------------------------


def measured(**options: Any) -> tuple[Any, Task, np.ndarray, np.ndarray]:
    random = np.random.default_rng(7)
    features, lonlat = random.normal(size=(500, 5)), town_points(24.9, 60.2, km=10, count=500, seed=0)
    task = Task("r", "regression", features[:, 0] + random.normal(size=500), np.arange(500))
    region = np.where(lonlat[:, 0] < 24.87, "west", np.where(lonlat[:, 1] < 60.2, "south", "north"))
    if "regions" in options:
        options["regions"] = region
    found = evaluate_task(
        task, {OURS: (features,), "noise": (random.normal(size=(500, 5)),)}, lonlat, pairs=((OURS, "noise"),),
        buffer_m=200.0, folds=4, seeds=2, budget=SMALL, **options,
    )  # fmt: skip
    return found, task, features, region


def test_a_learning_curve_rises_to_the_row_itself() -> None:
    found, *_ = measured(curve=CURVE)
    assert [point.share for point in found.curve] == [0.1, 0.25, 0.5, 1.0], "17 places of 5 % are too few"
    assert any("5% of the labels are too few" in note for note in found.notes)
    assert found.curve[-1].scores[OURS] == found.row(OURS).score
    values = [point.scores[OURS].value for point in found.curve]
    assert values[0] < values[-1]
    labels = [point.labels for point in found.curve]
    assert labels == sorted(labels)
    assert labels[0] == pytest.approx(0.1 * labels[-1], abs=2)
    assert "With 10% of the labels" in found.curve_sentence
    plain, *_ = measured()
    assert plain.row(OURS).score == found.row(OURS).score, "asking for a curve changes nothing else"


@pytest.mark.parametrize("options", [{"curve": (0.5,)}, {"regions": True}])
def test_workers_of_a_cluster_give_the_same_report(options: dict[str, Any]) -> None:
    """Folds end in another order, and the second of each row kills its worker once. Oracle: this process alone."""
    asked: Counter[object] = Counter()

    def dies(actor: Any, method: str, given: tuple[Any, ...]) -> bool:
        if method == "open":
            return False
        asked[given[0]] += 1
        return given[0][2:] == (0, 1) and asked[given[0]] == 1

    workers = RayExecutor(PretendedRay(dies, seed=3), 3, 0.0, SILENT)
    there, here = measured(executor=workers, **options)[0], measured(**options)[0]
    assert there.as_dict() == here.as_dict()
    assert [row.name for row in there.rows] == [row.name for row in here.rows]
    assert sum(asked.values()) - len(asked) == workers.died >= 3


def test_regions_are_scored_one_by_one() -> None:
    """Oracle: a ridge of scikit-learn trained on the other regions, scored by scikit-learn inside each."""
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import StandardScaler

    found, task, features, region = measured(regions=True)
    assert (found.folds, found.row(OURS).probe) == (3, "linear")
    assert list(found.row(OURS).by_region) == ["north", "south", "west"]
    for name, value in found.row(OURS).by_region.items():
        train = region != name
        scaler = StandardScaler().fit(features[train])
        known = Ridge(1.0).fit(scaler.transform(features[train]), task.target[train])
        given = known.predict(scaler.transform(features[~train]))
        assert value == pytest.approx(r2_score(task.target[~train], given), abs=0.03), "less the buffer"
    assert any(f"north ({(region == 'north').sum()})" in note for note in found.notes)


# --- which region -------------------------------------------------------------------------------------------


def test_regions_from_polygons_and_columns(tmp_path: Path, place: Any) -> None:
    """Oracle: which box holds the point."""
    (west, south), middle = place.lonlat.min(axis=0) - 0.01, float(place.lonlat[:, 0].mean())
    boxes = [shapely.box(west, south, middle, 61), shapely.box(middle, south, 26, 61)]
    frame = geopandas.GeoDataFrame({"name": ["left", "right"], "people": [1, 2]}, geometry=boxes, crs=4326)
    frame.to_file(tmp_path / "quarters.gpkg")
    found = regions_of(tmp_path / "quarters.gpkg", place)
    np.testing.assert_array_equal(found, np.where(place.lonlat[:, 0] < middle, "left", "right"))
    labels = pd.DataFrame({"place_id": place.place_ids, "third": thirds(place)})[:300]
    labels.to_csv(tmp_path / "labels.csv", index=False)
    by_column = regions_of("third", place, tmp_path / "labels.csv")
    np.testing.assert_array_equal(by_column[:300], thirds(place)[:300])
    assert all(one is None for one in by_column[300:])


@pytest.mark.parametrize(
    ("named", "frame", "message"),
    [
        ("absent.gpkg", {"region": ["a"]}, "does not exist"),
        (
            "quarter",
            {"region": ["a"]},
            "--regions quarter: neither a table .* nor a column; there are place_id, region",
        ),
        ("r.csv", {"one": ["a"], "two": ["b"]}, r"2 columns that could name the regions \(one, two\)"),
        ("r.csv", {"region": ["a"]}, "places lie in 1 region; leaving one out at a time needs 2 to 50"),
    ],
)
def test_regions_that_cannot_be_used_say_so(
    tmp_path: Path, place: Any, named: str, frame: dict[str, list[str]], message: str
) -> None:
    pd.DataFrame({"place_id": place.place_ids[:1], **frame}).to_csv(tmp_path / "r.csv", index=False)
    file = tmp_path / named if "." in named else named
    with pytest.raises(PlacevecError, match=message) as caught:
        regions_of(file, place, tmp_path / "r.csv")
    assert "\n" not in str(caught.value)


# --- through the report -------------------------------------------------------------------------------------


def test_a_report_with_both(tmp_path: Path, place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(engine.BUDGETS, "quick", SMALL)
    random = np.random.default_rng(0)
    vectors = random.normal(size=(len(place), 4)).astype(np.float32)
    rent = vectors[:, 0] + random.normal(size=len(place))
    frame = pd.DataFrame({"place_id": place.place_ids, "rent": rent, "third": thirds(place)})
    frame[frame["third"] != "middle"].to_csv(tmp_path / "labels.csv", index=False)
    report = evaluate(
        embeddings(place, vectors), dataset=place, model=replace(Network(), near_m=100.0), tasks=[],  # type: ignore[arg-type]
        labels=tmp_path / "labels.csv", regions="third", learning_curve=True, seeds=1, budget="quick",
    )  # fmt: skip
    (result,) = report.results
    assert result.task == "rent", "the column of regions is no task"
    assert set(result.row(OURS).by_region) == {"east", "west"}
    text = report.to_markdown()
    assert "| region left out | chance | vectors | coordinates |" in text
    assert "| share of the labels |" in text
    assert result.curve_sentence in text
    assert report.as_dict()["tasks"][0]["curve"][-1]["share"] == 1.0
    with pytest.raises(EvaluationError, match="--regions elsewhere"):
        evaluate(embeddings(place, vectors), dataset=place, regions="elsewhere", budget="quick")
