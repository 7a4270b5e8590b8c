"""New probes on the vectors of a run. Oracles: which places a probe was given, by their vectors; scikit-learn's ridge."""

from __future__ import annotations

import json
from collections import Counter
from types import SimpleNamespace
from typing import Any

import geopandas
import numpy as np
import pytest
import shapely
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score

from placevec import api
from placevec.cli import main
from placevec.errors import EvaluationError
from placevec.evaluation import engine
from placevec.evaluation.engine import OURS, Budget
from placevec.evaluation.predictions import evaluate as evaluating
from placevec.evaluation.predictions.probed import evaluate_probes
from placevec.evaluation.predictions.split import held_out
from placevec.evaluation.probes import PROBES, Effort
from tests.preparation.points.tables import globe, write_points

SMALL = Budget(Effort(5, (0.1,), (10,), process_places=40), 50, 10_000)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """(model, dataset, split): a model of a number that depends on latitude, so that longitudes carry."""
    folder = tmp_path_factory.mktemp("numbers")
    lonlat, random = globe(500), np.random.default_rng(1)
    values = 20 - 0.5 * np.abs(lonlat[:, 1]) + random.normal(0, 2, 500)
    dataset = write_points(folder / "ds", lonlat, values, split=random.choice(3, 500, p=[0.6, 0.1, 0.3]))
    model = api.train(
        "sphere2vec", dataset, out=folder / "run", epochs=2, scales=4, r_min=0.1, hidden=16, dim=8, batch_size=64,
        projector=0, steps_per_epoch=5,
    )  # fmt: skip
    return model, dataset, held_out(model, dataset, dataset.labels())


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[tuple[np.ndarray, np.ndarray]]:
    """(features learned from, features tested) of every fit of the only probe that is left, a ridge."""
    seen: list[tuple[np.ndarray, np.ndarray]] = []

    def ridge(training: Any, tested: Any, effort: Effort) -> np.ndarray:
        seen.append((training.features, tested))
        return Ridge(1.0).fit(training.features, training.target).predict(tested)[:, None]

    for name in ("PROBES", "POSITION_PROBES"):
        monkeypatch.setattr(engine, name, {"ridge": ridge})
    return seen


def rows_of(features: np.ndarray, vectors: np.ndarray) -> list[int]:
    """Which rows of a table features are."""
    known = {row.tobytes(): number for number, row in enumerate(vectors)}
    return [known[row.tobytes()] for row in np.ascontiguousarray(features)]


def test_a_learning_curve_learns_from_shares_of_the_training_places(run: Any, given: Any) -> None:
    model, dataset, split = run
    found = evaluate_probes(
        model, split, dataset.lonlat, 500_000.0, name="ds", curve=(0.25, 0.5), budget=SMALL
    )
    vectors = model.embed_lonlat(dataset.lonlat)
    ours = [
        one for one in given if one[0].shape[1] == model.dim and one[0].tobytes() and _is_of(one[0], vectors)
    ]
    assert len(ours) == 3 * 3  # three draws of 25%, 50% and all
    many = Counter(len(train) for train, _ in ours)
    assert many == {round(share * len(split.train)): 3 for share in (0.25, 0.5, 1.0)}
    for train, tested in ours:
        assert set(rows_of(train, vectors)) <= set(split.train)
        assert rows_of(tested, vectors) == sorted(split.test)
    last = Ridge(1.0).fit(vectors[split.train], split.labels[split.train]).predict(vectors[split.test])
    assert found.row(OURS).score.value == pytest.approx(r2_score(split.labels[split.test], last), abs=1e-5)
    assert [point.share for point in found.curve] == [0.25, 0.5, 1.0]
    assert found.places == len(split.test)
    assert found.effective_blocks <= found.blocks <= len(split.test)


def _is_of(features: np.ndarray, vectors: np.ndarray) -> bool:
    return bool((vectors == features[0]).all(axis=1).any())


def test_a_region_is_tested_by_probes_that_learned_outside_of_it(run: Any, given: Any) -> None:
    """And only on places that the run held out; places in no region take no part."""
    model, dataset, split = run
    lon = dataset.lonlat[:, 0]
    regions = np.where(lon < -60, "west", np.where(lon < 60, "middle", "east")).astype(object)
    regions[:20] = None
    found = evaluate_probes(model, split, dataset.lonlat, 500_000.0, name="ds", regions=regions, budget=SMALL)
    vectors = model.embed_lonlat(dataset.lonlat)
    ours = [one for one in given if one[0].shape[1] == model.dim and _is_of(one[0], vectors)]
    assert len(ours) == 3  # a fold a region; the same in every shuffling
    for train, tested in ours:
        trained, asked = rows_of(train, vectors), rows_of(tested, vectors)
        (region,) = set(regions[asked])
        assert set(asked) == {row for row in split.test if regions[row] == region}
        assert set(trained) == {row for row in split.train if regions[row] not in (region, None)}
    assert set(found.row(OURS).by_region) == {"west", "middle", "east"}
    assert any("only the probes are new" in note for note in found.notes)


def test_what_no_probe_can_learn_is_one_line(run: Any) -> None:
    model, dataset, split = run

    def refused(message: str, head: Any, **changed: Any) -> None:
        other = SimpleNamespace(**{**split.__dict__, **changed})
        with pytest.raises(EvaluationError, match=message):
            evaluate_probes(
                SimpleNamespace(head=head), other, dataset.lonlat, 1e6, name="ds", curve=(0.5,), budget=SMALL
            )  # type: ignore[arg-type]

    for outputs in (1, 5_000):
        refused("2 to 100 classes", SimpleNamespace(kind="classes", outputs=outputs, classes=()))
    refused("unknown, so no probe", model.head, train=split.train[:0])
    refused("all labels are the same", model.head, labels=np.zeros(len(split.labels)))


def test_the_command_takes_both_and_no_budget_alone(
    run: Any, tmp_path: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _, _ = run
    monkeypatch.setitem(evaluating.BUDGETS, "quick", SMALL)
    monkeypatch.setattr(engine, "POSITION_PROBES", {"linear": PROBES["linear"]})
    halves = [shapely.box(-180, -90, 0, 90), shapely.box(0, -90, 180, 90)]
    table = geopandas.GeoDataFrame({"region": ["west", "east"]}, geometry=halves, crs=4326)
    table.to_file(tmp_path / "halves.geojson")
    path = str(model.path)
    asked = ["evaluate", path, "--learning-curve", "--regions", str(tmp_path / "halves.geojson")]
    assert main([*asked, "--budget", "quick", "--json", "-q"]) == 0
    first, curve, regions = json.loads(capsys.readouterr().out)["tasks"]
    assert first["subject"] == "model"
    assert [point["share"] for point in curve["curve"]] == [0.1, 0.25, 0.5, 1.0]
    assert "5% of the labels are too few to train on: left out of the learning curve" in curve["notes"]
    assert set(regions["rows"][1]["by_region"]) == {"west", "east"}
    assert main(["evaluate", path, "--budget", "quick"]) == 2
    assert "--budget applies to --regions and --learning-curve" in capsys.readouterr().err
