"""The whole evaluation of an invented town whose truth is known, and what its report says of it."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from placevec.api.training import _pairs_of
from placevec.datasets.dataset import Dataset
from placevec.datasets.splits import RunSplit, Split, write_split
from placevec.distributed.executors import IN_THIS_PROCESS
from placevec.embeddings import Provenance
from placevec.errors import EvaluationError, InputError
from placevec.evaluation import Report, engine, evaluate
from placevec.evaluation.baselines import COVERAGE
from placevec.evaluation.engine import BUDGETS
from placevec.evaluation.intrinsic import ELSEWHERE, HELD_OUT, TRAINED_ON, UNKNOWN
from placevec.evaluation.osm_tasks import landuse_task
from placevec.evaluation.probes import Effort
from placevec.evaluation.vectors import _Features, _kept, _Places, buffer_m_of
from placevec.geo import Area, hold_out_blocks
from placevec.io.progress import SILENT
from placevec.training.samplers.near_far import NearFarSampler
from tests.evaluation.standin import Network, Town, embeddings, town

CHEAP = replace(BUDGETS["quick"], effort=Effort(6, (0.1,), (10,), process_places=60), draws=300)


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(engine.BUDGETS, "quick", CHEAP)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Town:
    return town(tmp_path_factory.mktemp("town"), km=8)


@pytest.fixture(scope="module")
def corner(tmp_path_factory: pytest.TempPathFactory) -> Town:
    """A quarter of it: for what needs no claim."""
    return town(tmp_path_factory.mktemp("corner"), km=4)


def run(place: Town, vectors: np.ndarray, model: Network | None = None, **options: Any) -> Report:
    model = model or Network()
    return evaluate(
        embeddings(place, vectors), dataset=place, model=model, tasks=options.pop("tasks", ["landuse"]),
        budget="quick", seeds=options.pop("seeds", 1), **options,
    )  # type: ignore[arg-type]  # fmt: skip


def leak(place: Town) -> np.ndarray:
    """Vectors that hold the label, and some noise."""
    task = landuse_task(place)  # type: ignore[arg-type]
    vectors = np.random.default_rng(0).normal(size=(len(place), 6))
    vectors[task.rows, :3] += 6 * np.eye(3)[task.target]
    return vectors


def noise(place: Town) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(len(place), 6))


@pytest.fixture(scope="module")
def excellent(place: Town) -> Report:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(
            engine.BUDGETS,
            "quick",
            replace(BUDGETS["quick"], effort=Effort(15, (0.1,), (10,), process_places=60), draws=300),
        )
        return run(place, leak(place), seeds=2)


def verdicts(report: Report) -> dict[str, str]:
    return {item.against: item.verdict for item in report.results[0].comparisons if item.of == "vectors"}


def test_vectors_that_hold_the_label_are_better_than_every_baseline(excellent: Report) -> None:
    """Differences of labels' size are found although they are alike over kilometers."""
    (judged,) = excellent.results
    assert judged.claims
    assert set(verdicts(excellent).values()) == {"better"}
    assert set(verdicts(excellent)) == {"chance", "coordinates", "coverage fractions", "untrained encoder"}
    assert judged.verdict == (
        "Vectors: better than chance, coordinates, coverage fractions, untrained encoder. "
        "Coverage beside vectors: better than coverage fractions."
    )
    rows = {row.name: row.score for row in judged.rows}
    assert rows["vectors"].value > 0.95
    assert rows["vectors"].low > 0.9
    assert rows["chance"].value < 0.45
    assert rows["coverage beside vectors"].value > rows[COVERAGE].value


def test_what_the_figures_rest_on_is_said(excellent: Report) -> None:
    (judged,) = excellent.results
    assert judged.places == sum(judged.classes.values()) > 500
    assert judged.effective_blocks >= 20
    assert judged.buffer_m == pytest.approx(250 * 2**0.5 + 200)
    assert (judged.folds, judged.seeds) == (5, 2)
    for item in judged.comparisons:
        assert item.difference.low <= item.difference.value <= item.difference.high
        assert item.half_width == pytest.approx((item.difference.high - item.difference.low) / 2)


def test_noise_is_not_significant_from_chance(place: Town) -> None:
    report = run(place, noise(place))
    assert verdicts(report)["chance"] == "no significant difference"
    assert verdicts(report)[COVERAGE] == "worse"
    assert "worse than coverage fractions" in report.results[0].verdict


def test_the_same_features_are_not_significant(place: Town) -> None:
    """The coverage fractions handed in as vectors equal the floor exactly: the paired interval is zero wide."""
    from placevec.evaluation.baselines import coverage_fractions

    fractions = coverage_fractions(place, Network().seen, np.arange(len(place)))  # type: ignore[arg-type]
    assert fractions is not None
    report = run(place, fractions)
    (pair,) = [
        item for item in report.results[0].comparisons if item.against == COVERAGE and item.of == "vectors"
    ]
    assert pair.difference.value == pytest.approx(0.0, abs=0.02)
    assert pair.half_width < 0.03
    assert pair.verdict == "no significant difference"


def test_a_leaking_model_is_not_evaluated_and_reported_how_to_train(corner: Town) -> None:
    seeing = Network(channels=("roads", "landcover"))
    report = run(corner, noise(corner), seeing)
    assert report.results == []
    (line,) = report.skipped
    assert "the model sees landcover" in line
    assert "--drop-layers landcover,natural-features,leisure,amenities" in line
    marked = run(corner, noise(corner), seeing, allow_leaks=True)
    assert marked.results[0].leaks == ("landcover",)
    assert not marked.results[0].claims
    assert marked.results[0].verdict.startswith("No claim: the model sees landcover")


def test_without_the_model_a_leak_cannot_be_ruled_out(corner: Town) -> None:
    report = evaluate(
        embeddings(corner, leak(corner)), dataset=corner, tasks=["landuse"], budget="quick", seeds=1
    )  # type: ignore[arg-type]  # fmt: skip
    assert any("cannot be ruled out" in note for note in report.results[0].notes)
    assert "untrained encoder" not in verdicts(report)
    assert any("no untrained encoder" in note for note in report.notes)


def test_a_small_extent_shows_the_path_and_claims_nothing(tmp_path: Path) -> None:
    small = town(tmp_path, km=3.2)
    report = run(small, leak(small))
    (judged,) = report.results
    assert not judged.claims
    assert judged.verdict.startswith(
        f"No claim: {judged.places} labeled places are too few; at least 500 are needed"
    )
    assert "at least 30 are needed: use labels from a wider area" in judged.why_no_claim
    assert judged.blocks >= 10
    assert all(np.isfinite(item.half_width) for item in judged.comparisons)


def test_an_extent_that_the_buffer_eats_says_so(corner: Town) -> None:
    report = run(corner, noise(corner), Network(near_m=20_000.0))
    assert report.results == []
    assert "leaves no training places" in report.skipped[0]


def test_fewer_vectors_than_places(corner: Town) -> None:
    """Only places with a vector count, matched by id whatever the order."""
    emb = embeddings(corner, leak(corner))
    order = np.random.default_rng(1).permutation(len(corner))[: len(corner) * 2 // 3]
    report = evaluate(
        emb[order], dataset=corner, model=Network(), tasks=["landuse"], budget="quick", seeds=1
    )  # type: ignore[arg-type]  # fmt: skip
    assert report.results[0].rows[1].name == "vectors"
    assert report.results[0].rows[1].score.value > 0.95
    assert report.results[0].places <= len(order)


def test_labels_of_ones_own(corner: Town, tmp_path: Path) -> None:
    vectors = leak(corner)
    values = vectors[:, 0] * 2 + 1
    pd.DataFrame({"place_id": corner.place_ids, "rent": values}).to_csv(tmp_path / "labels.csv", index=False)
    report = run(corner, vectors, tasks=[], labels=tmp_path / "labels.csv")
    (judged,) = report.results
    assert (judged.task, judged.metric) == ("rent", "R²")
    assert judged.row("vectors").score.value > 0.9


def test_own_labels_on_ground_that_was_trained_are_evaluated_with_a_warning(
    corner: Town, tmp_path: Path
) -> None:
    """Nobody knows whether rents hang together with land use; elsewhere the lessons gave nothing away."""
    given = pd.DataFrame({"place_id": corner.place_ids, "rent": noise(corner)[:, 0]})
    given.to_csv(tmp_path / "labels.csv", index=False)
    here, away = Area(-180.0, -85.0, 180.0, 85.0).as_dict(), Area(100.0, 10.0, 101.0, 11.0).as_dict()
    warnings = []
    for area in (here, away):
        model = Network(trained_labels=("landuse",), record={"areas": [area]})
        (judged,) = run(corner, noise(corner), model, tasks=[], labels=tmp_path / "labels.csv").results
        warnings.append([note for note in judged.notes if "trained on landuse of these places" in note])
    assert [len(found) for found in warnings] == [1, 0]
    beside = {"other": Network(trained_labels=("tags",), record={"areas": [here]}, seed=5)}
    tables = {"theirs": embeddings(corner, corner.lonlat)}
    report = run(
        corner, noise(corner), tasks=[], labels=tmp_path / "labels.csv", others=beside, tables=tables
    )
    (judged,) = report.results
    assert "theirs" in [row.name for row in judged.rows]
    assert any(note.startswith("theirs has vectors of ") for note in report.notes)
    assert any(note.startswith("other: the model was trained on tags") for note in judged.notes)


def test_labels_that_a_dataset_lacks_are_reported_once(corner: Town, tmp_path: Path) -> None:
    bare: Any = replace(corner, path=tmp_path)
    report = evaluate(embeddings(corner, noise(corner)), dataset=bare, budget="quick", seeds=1)
    (line,) = report.skipped
    assert line.startswith("tasks landuse and pois: ")
    assert "holds no landuse_coverage.tif and pois.parquet" in line


def held_out(place: Town, folder: Path, by: Any = "blocks") -> tuple[Path, np.ndarray]:
    """A run's folder with the split that held blocks out of a town, and the rows in them."""
    kept, held = hold_out_blocks(place.lonlat, size_m=1000.0, share=0.4, buffer_m=300.0, seed=3)
    split = Split.of(len(place), train=kept, validation=held, by=by)
    write_split(folder, RunSplit.of_datasets([place], split))  # type: ignore[list-item]
    return folder, held


def test_blocks_that_the_run_held_out_are_measured(corner: Town, tmp_path: Path) -> None:
    path, held = held_out(corner, tmp_path / "run")
    model = Network(record={"dataset_hash": corner.hash}, path=path)
    report = run(corner, noise(corner), model)
    assert report.label_free is not None
    assert (report.label_free.basis, report.label_free.places) == (HELD_OUT, len(held))
    assert 0.3 * len(corner) < len(held) < 0.6 * len(corner)
    by_itself, _ = held_out(corner, tmp_path / "by itself", by="dataset")
    found = run(corner, noise(corner), Network(path=by_itself), tasks=[]).label_free
    assert found is not None
    assert (found.basis, found.places) == (TRAINED_ON, len(corner))


def test_a_dataset_that_the_run_did_not_see_lies_elsewhere(corner: Town, tmp_path: Path) -> None:
    path, _ = held_out(replace(corner, places_hash="d" * 64), tmp_path)
    other = run(corner, noise(corner), Network(record={"dataset_hash": "another"}, path=path), tasks=[])
    assert other.label_free is not None
    assert other.label_free.basis == ELSEWHERE
    assert not any("split.parquet" in note for note in other.notes)


def test_a_model_that_keeps_no_split_may_have_seen_any_place(corner: Town) -> None:
    """A run of before, an imported model, and none at all."""
    for model in (Network(record={"dataset_hash": corner.hash}), Network()):
        report = run(corner, noise(corner), model, tasks=[])
        assert report.label_free is not None
        assert report.label_free.basis == UNKNOWN
        assert any("keeps no split.parquet" in note for note in report.notes)
    nobody = evaluate(embeddings(corner, noise(corner)), dataset=corner, tasks=[], budget="quick", seeds=1)  # type: ignore[arg-type]
    unknown = nobody.label_free
    assert unknown is not None
    assert unknown.basis == UNKNOWN


def test_lessons_leave_the_blocks_that_were_held_out_to_ask_about(corner: Town, tmp_path: Path) -> None:
    """On places trained on a task that was taught is refused; on those held out alone it is not."""
    path, held = held_out(corner, tmp_path)
    here = Area(-180.0, -85.0, 180.0, 85.0).as_dict()
    model = Network(
        trained_labels=("landuse",), record={"areas": [here], "dataset_hash": corner.hash}, path=path
    )
    refused = run(corner, noise(corner), model)
    assert any("of these places, so evaluating" in line for line in refused.skipped)
    emb = embeddings(corner, noise(corner))[held]
    asked = evaluate(emb, dataset=corner, model=model, tasks=["landuse"], budget="quick", seeds=1)  # type: ignore[arg-type]
    assert not any("of these places, so evaluating" in line for line in asked.skipped)


def test_the_budget_bounds_the_places(place: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(engine.BUDGETS, "quick", replace(CHEAP, places=400))
    report = run(place, noise(place))
    assert report.results[0].places <= 400
    assert any("400 of" in note and "drawn at random" in note for note in report.results[0].notes)


@pytest.mark.slow
def test_the_real_center_of_helsinki(helsinki_dataset: Dataset) -> None:
    """The demo's path on its own extract, with an encoder that has learned nothing: nothing is claimed of it."""
    import placevec as pv
    from placevec import encoders
    from placevec.core import ViewSpec
    from placevec.models.model import Model
    from placevec.models.reading import Reading

    dataset = helsinki_dataset
    channels = ("buildings", "roads", "railways", "water", "power")
    tile = encoders.build("compact-tile-cnn", channels=len(channels), dim=16, width=8)
    spec = replace(dataset.spec("map"), channels=channels, size_px=64, size_m=120.0)
    assert isinstance(spec, ViewSpec)
    model = Model({"tile": tile}, {"map": Reading("tile", spec)}, {}, {"near_m": 75.0})
    emb = pv.embed(model, dataset)
    report = evaluate(emb, dataset=dataset, model=model, budget="quick", seeds=1)
    assert [item.task for item in report.results] == ["landuse", "pois"]
    for judged in report.results:
        assert not judged.claims
        assert judged.verdict.startswith("No claim")
        assert judged.blocks >= 10
        assert judged.buffer_m > 120 * 2**0.5
        counts = (
            ["counts"] if judged.task == "landuse" else []
        )  # the task of points of interest is about them
        assert [row.name for row in judged.rows] == [
            "chance", "vectors", "coordinates", *counts, "coverage fractions", "untrained encoder",
            "coverage beside vectors",
        ]  # fmt: skip
        assert all(0 <= row.score.value <= 1 for row in judged.rows)
    assert report.label_free is not None
    assert "OpenStreetMap" in report.to_markdown()


def test_nonsense_is_rejected(place: Town) -> None:
    with pytest.raises(EvaluationError, match="unknown task 'weather'"):
        run(place, noise(place), tasks=["weather"])
    with pytest.raises(InputError, match="at least one seed"):
        run(place, noise(place), seeds=0)
    other = embeddings(place, noise(place))
    other.place_id = np.array([f"x{row}" for row in range(len(other))], object)
    with pytest.raises(EvaluationError, match="no place of the dataset has a vector"):
        evaluate(other, dataset=place, tasks=["landuse"])  # type: ignore[arg-type]


def test_the_same_call_gives_the_same_report(corner: Town) -> None:
    first, again = (run(corner, noise(corner)).as_dict() for _ in range(2))
    first.pop("created"), again.pop("created")
    assert first == again


def test_saved_as_json_and_markdown(excellent: Report, tmp_path: Path) -> None:
    excellent.save(tmp_path / "report")
    content = json.loads((tmp_path / "report" / "report.json").read_text("utf-8"))
    assert content == excellent.as_dict()
    task = content["tasks"][0]
    assert task["comparisons"][0].keys() >= {"difference", "low", "high", "half_width", "verdict"}
    assert content["label_free"]["rows"][0]["name"] == "vectors"
    assert (tmp_path / "report" / "report.md").read_text("utf-8") == excellent.to_markdown()
    assert not list((tmp_path / "report").glob(".tmp*"))


def test_not_a_number_becomes_null(excellent: Report) -> None:
    row = replace(excellent.results[0].row("vectors"), by_probe={"linear": float("nan")})
    spoiled = replace(excellent, results=[replace(excellent.results[0], rows=[row])])
    assert spoiled.as_dict()["tasks"][0]["rows"][0]["by_probe"] == {"linear": None}


def test_why_there_is_no_model_to_compare_with(corner: Town, tmp_path: Path) -> None:
    """A model that merely changed is not said to be gone."""
    emb = embeddings(corner, noise(corner))
    (tmp_path / "config.json").write_text("{}")
    for path, expected in (
        (str(tmp_path), "has changed since it made these vectors"),
        ("gone", "was not found"),
    ):
        made = replace(emb, provenance=replace(emb.provenance, model_path=path))
        report = evaluate(made, dataset=corner, tasks=[], budget="quick", seeds=1)  # type: ignore[arg-type]
        assert any(expected in note for note in report.notes)


def test_the_buffer_follows_the_pairs_that_a_run_records(place: Town) -> None:
    """The footprint's diagonal plus the distance of pairs; one footprint where none is recorded, or none that can be."""
    sampler = NearFarSampler(place.lonlat, near_m=90.0, batch_size=4, seed=0)
    assert _pairs_of(sampler) == {"near_m": 90.0}
    assert _pairs_of(object()) == {}
    for recorded, radius in ((90.0, 90.0), (None, 250.0), (float("nan"), 250.0)):
        found = buffer_m_of(place, Network(record={"near_m": recorded}))  # type: ignore[arg-type]
        assert found == pytest.approx(250.0 * 2**0.5 + radius)


def test_folds_are_kept_for_the_same_model_and_dataset_alone(tmp_path: Path) -> None:
    """Stopped four times, each with one thing changed; oracle: what was kept."""
    for model, dataset, places, is_kept in (
        ("m", "d", "p", False), ("m", "d", "p", True), ("n", "d", "p", False), ("n", "e", "p", False),
        ("n", "e", "q", False), ("n", "e", "q", True),
    ):  # fmt: skip
        source: Any = SimpleNamespace(hash=model)
        ground: Any = SimpleNamespace(hash=dataset, places_hash=places)
        with contextlib.suppress(KeyboardInterrupt), _kept(tmp_path, source, ground, SILENT) as job:
            assert job is not None
            assert (job.get("fold-0") is not None) == is_kept
            job.put("fold-0", b"vectors")
            raise KeyboardInterrupt


def test_tables_of_others_are_rows_joined_by_place(place: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """By place_id where they are of the dataset, else by location; what they lack is told. Oracle: the lonlat itself."""
    monkeypatch.setattr("placevec.evaluation.vectors.baselines", lambda *given, **options: {})
    own = embeddings(place, place.lonlat)[::2]
    foreign = replace(embeddings(place, place.lonlat), provenance=Provenance("x" * 64, "y" * 64))
    foreign.place_id = np.array([f"other {number}" for number in range(len(place))], object)
    places: Any = _Places(embeddings(place, noise(place)), place)  # type: ignore[arg-type]
    features = _Features(places, None, [places.rows], 1, IN_THIS_PROCESS, SILENT)
    told = features.add_tables(places, {"half": own, "moved": foreign})
    np.testing.assert_array_equal(features.sets["moved"][0], place.lonlat.astype(np.float32))
    half = features.sets["half"][0]
    np.testing.assert_array_equal(half[::2, :2], place.lonlat[::2].astype(np.float32))
    assert (half[:, 2] == (np.arange(len(half)) % 2 == 0)).all()
    assert told["half"].startswith(
        f"half has vectors of {len(own):,} of {len(place):,} places; what their model was"
    )
    away = replace(foreign, lonlat=foreign.lonlat - 20, geometry=np.full(len(foreign), None, object))
    with pytest.raises(EvaluationError, match="away has no vector at any of the places"):
        features.add_tables(places, {"away": away})
    with pytest.raises(InputError, match="already a row 'moved'"):
        features.add_tables(places, {"moved": own})
