"""How good answers are. Oracles: scikit-learn's scores, closed forms, and a task whose floors are known."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.stats import t
from sklearn.metrics import f1_score, mean_absolute_error, r2_score, roc_auc_score, top_k_accuracy_score
from sklearn.neighbors import KNeighborsClassifier

from placevec import api
from placevec.api.evaluating import evaluate_model
from placevec.cli import main
from placevec.errors import DatasetError, EvaluationError
from placevec.evaluation.bootstrap import Resampling
from placevec.evaluation.neighbors import neighbor_means
from placevec.evaluation.point_baselines import frequencies, linear_layer, sines
from placevec.evaluation.predictions.evaluate import mean_of, of_classes, of_numbers, shares_above
from placevec.evaluation.predictions.ranking import TrueRanks
from placevec.evaluation.report import Report, basis
from placevec.geo.coordinates import xyz_of
from placevec.models.model import Model
from tests.cheaper import try_little
from tests.preparation.points.tables import add_predictions, globe, octant_points, octants, write_points

SMALL = {
    "epochs": 12, "scales": 4, "r_min": 0.1, "hidden": 32, "dim": 16, "batch_size": 128, "learning_rate": 0.01,
    "projector": 0, "steps_per_epoch": 10,
}  # fmt: skip
NAMES = tuple(f"octant {n}" for n in range(8))


@pytest.fixture(scope="module")
def split_points(tmp_path_factory: pytest.TempPathFactory):
    split = np.random.default_rng(3).choice(3, 1500, p=[0.7, 0.1, 0.2])
    return octant_points(tmp_path_factory.mktemp("split"), 1500, split=split)


@pytest.fixture(scope="module")
def trained_model(split_points, tmp_path_factory: pytest.TempPathFactory) -> Model:
    return api.train(
        "sphere2vec", split_points, out=tmp_path_factory.mktemp("run") / "r", loss="cross-entropy", **SMALL
    )


@pytest.fixture(scope="module")
def trained_report(trained_model: Model) -> Report:
    """Its report, of small baselines."""
    with pytest.MonkeyPatch.context() as patch:
        try_little(patch)
        return evaluate_model(trained_model)


def mean_reciprocal(scores: np.ndarray, truth: np.ndarray) -> float:
    """Of the position of the true class in each row, sorted from the largest score on."""
    order = (-scores).argsort(axis=1)
    place = np.array([list(row).index(true) + 1 for row, true in zip(order, truth, strict=True)])
    return float((1 / place).mean())


# --- scores -------------------------------------------------------------------------------------------------


def test_measures_of_classes_are_scikit_learn_s() -> None:
    random = np.random.default_rng(0)
    scores, truth = random.normal(size=(300, 12)), random.integers(0, 12, 300)
    said = scores.argmax(axis=1)
    found = of_classes(
        TrueRanks.of(scores, truth), truth, 12, Resampling(random.integers(0, 20, 300), draws=400)
    )
    for top in (1, 3, 5, 10):
        assert found[f"top-{top}"].value == pytest.approx(top_k_accuracy_score(truth, scores, k=top))
    assert found["macro-F1"].value == pytest.approx(f1_score(truth, said, average="macro"))
    assert found["MRR"].value == pytest.approx(mean_reciprocal(scores, truth))
    for one in found.values():
        assert one.low <= one.value <= one.high


def test_ties_have_no_order_and_what_was_never_trained_on_ranks_nowhere() -> None:
    """Expectations over all orders of three equal scores: 1/3 to be first, (1 + 1/2 + 1/3) / 3 of 1 / rank."""
    scores = np.array([[1.0, 1.0, 1.0], [0.0, 2.0, 1.0], [0.0, np.nan, 1.0], [0.5, 0.1, 0.2]])
    ranks = TrueRanks.of(scores, np.array([2, 2, 1, 7]))
    assert ranks.within(1).tolist() == [1 / 3, 0, 0, 0]
    assert ranks.within(2).tolist() == [2 / 3, 1, 0, 0]
    np.testing.assert_allclose(ranks.reciprocal(), [(1 + 1 / 2 + 1 / 3) / 3, 1 / 2, 0, 0])
    truth = np.array([0, 7, 8])
    scores = np.array([[1.0, 0, 0], [0, 1.0, 0], [0, 1.0, 0]])
    found = of_classes(TrueRanks.of(scores, truth), truth, 3, Resampling(np.arange(3), draws=400))
    assert found["top-1"].value == pytest.approx(1 / 3)
    assert found["MRR"].value == pytest.approx(1 / 3)
    assert found["macro-F1"].value == pytest.approx(f1_score(truth, [0, 1, 1], average="macro"))
    assert "top-3" not in found


def test_measures_of_numbers_are_scikit_learn_s() -> None:
    random = np.random.default_rng(1)
    wanted = random.normal(10, 3, 500)
    said = wanted + random.normal(0, 1, 500)
    found = of_numbers(wanted, said, Resampling(random.integers(0, 30, 500), draws=400))
    assert found["R²"].value == pytest.approx(r2_score(wanted, said))
    assert found["MAE"].value == pytest.approx(mean_absolute_error(wanted, said))


def test_r2_of_large_labels_keeps_its_digits() -> None:
    """Seconds since 1970 with a deviation of one. Oracle: scikit-learn, and the interval of the labels less 1.6e9."""
    random = np.random.default_rng(1)
    small, errors = random.normal(size=500), random.normal(0, 0.1, 500)
    wanted, over = small + 1.6e9, Resampling(random.integers(0, 30, 500), draws=400)
    found, plain = (of_numbers(one, one + errors, over)["R²"] for one in (wanted, small))
    assert found.value == pytest.approx(r2_score(wanted, wanted + errors), abs=1e-9)
    assert [found.low, found.high] == pytest.approx([plain.low, plain.high], abs=1e-6)


def test_intervals_of_independent_blocks_are_those_of_the_normal_law() -> None:
    """A mean of 400 blocks of one: 1.96 standard errors either way. Blocks of 20 equal places: as of 20 places."""
    values = np.random.default_rng(2).normal(5, 2, 400)
    one = mean_of(values, Resampling(np.arange(400), draws=20), "identity")
    error = values.std() / 20
    assert one.high - one.low == pytest.approx(2 * 1.966 * error, rel=0.01)
    alike = np.repeat(values[:20], 20)
    other = mean_of(alike, Resampling(np.repeat(np.arange(20), 20), draws=20), "identity")
    wide = 2 * t.ppf(0.975, 19) * values[:20].std(ddof=1) / 20**0.5
    assert other.high - other.low == pytest.approx(wide, rel=1e-6)
    assert np.isnan(mean_of(values[:9], Resampling(np.zeros(9, int), draws=400)).low)
    few = mean_of(np.array([1.0, 1.0, 0.0]), Resampling(np.arange(3), draws=400))
    assert 0 <= few.low < few.high <= 1


def test_auc_is_scikit_learn_s() -> None:
    random = np.random.default_rng(3)
    here, away = random.normal(1, 1, 200).round(1), random.normal(0, 1, 300).round(1)  # ties too
    wanted = roc_auc_score(np.r_[np.ones(200), np.zeros(300)], np.r_[here, away])
    assert shares_above(here, away).mean() == pytest.approx(wanted)


# --- floors -------------------------------------------------------------------------------------------------


def test_the_nearest_place_answers_across_the_antimeridian() -> None:
    known = xyz_of(np.array([[179.9, 0.0], [0.0, 0.0]]))
    asked = xyz_of(np.array([[-179.9, 0.0], [1.0, 1.0]]))
    votes, all_of_them = neighbor_means(known, np.array([1, 0]), asked, (1, 5), classes=3)
    assert votes.argmax(axis=1).tolist() == [1, 0]
    assert all_of_them.shape == (2, 3)
    lonlat = np.array([[0.0, 0.0], [1.0, 0.0], [50.0, 0.0]])
    numbers = np.array([[1.0], [3.0], [90.0]])
    found = neighbor_means(xyz_of(lonlat), numbers, xyz_of(np.array([[0.4, 0.0]])), (2,))[0]
    assert found[0, 0] == pytest.approx(2.0, abs=1e-5)
    assert frequencies(np.array([0, 0, 2]), 3).tolist() == [2 / 3, 0, 1 / 3]


def test_a_linear_layer_learns_what_is_linear() -> None:
    """Hemispheres are linear in sin(lat); a number that is sin(lat) is found exactly."""
    lonlat = globe(2000)
    train, test = sines(lonlat[:1500]), sines(lonlat[1500:])
    north = (lonlat[:, 1] > 0).astype(int)
    scores = linear_layer(train, north[:1500], test, 2, 0, np.arange(1500) % 4)
    assert (scores.argmax(axis=1) == north[1500:]).mean() > 0.97
    target = np.sin(np.radians(lonlat[:1500, 1]))
    found = linear_layer(train, target, test, 0, 0, np.arange(1500) % 4)
    np.testing.assert_allclose(found[:, 0], np.sin(np.radians(lonlat[1500:, 1])), atol=1e-4)


# --- whole --------------------------------------------------------------------------------------------------


def scores(report: Report, name: str) -> dict[str, Any]:
    return report.results[0].row(name).scores


def names(report: Report) -> list[str]:
    return [row.name for row in report.results[0].rows]


@pytest.mark.usefixtures("small_probes")
def test_a_model_is_evaluated_on_the_test_side_beside_its_baselines(
    split_points, trained_model, trained_report, tmp_path
) -> None:
    report = trained_report
    labels = split_points.labels()
    rows = labels.rows("test")
    assert (
        report.about["split"],
        report.about["places"],
        report.about["classes"],
        report.about["unseen"],
    ) == ("test", len(rows), 8, 0)
    assert report.about["trained"] == len(labels.rows("train"))
    right = trained_model.predict_lonlat(split_points.lonlat[rows]).argmax(axis=1) == labels.values[rows]
    assert scores(report, "model")["top-1"].value == pytest.approx(right.mean())
    assert names(report)[1] == "class frequency"
    assert names(report)[2:] == [
        "nearest places", "lon, lat + random forest", "lon, lat + gradient boosting",
        "lon, lat + Gaussian process", "sin, cos + linear",
        "untrained encoder + linear",
    ]  # fmt: skip
    common = np.bincount(labels.values[labels.rows("train")], minlength=8).argmax()
    assert scores(report, "class frequency")["top-1"].value == pytest.approx(
        (labels.values[rows] == common).mean()
    )
    report.save(tmp_path / "report")
    told = json.loads((tmp_path / "report" / "report.json").read_text())
    assert told["tasks"][0]["rows"][0]["scores"]["MRR"]["value"] == scores(report, "model")["MRR"].value
    text = (tmp_path / "report" / "report.md").read_text()
    assert "| model |" in text
    assert evaluate_model(trained_model).as_dict() == report.as_dict()


@pytest.mark.usefixtures("small_probes")
def test_numbers_without_a_split_are_evaluated_on_the_blocks_held_out(tmp_path) -> None:
    lonlat = globe(1200)
    dataset = write_points(tmp_path / "ds", lonlat, 20 - 0.5 * np.abs(lonlat[:, 1]))
    api.train("sphere2vec", dataset, out=tmp_path / "run", **SMALL)
    report = evaluate_model(tmp_path / "run", seed=4)
    assert report.about["split"] == "held-out blocks"
    assert 60 < report.about["places"] < 240
    assert report.about["places"] + report.about["trained"] == 1200
    assert scores(report, "model")["R²"].value > 0.7
    assert scores(report, "mean")["R²"].value == pytest.approx(0.0, abs=0.05)
    assert any("selected the best epoch" in note for note in report.results[0].notes)


@pytest.mark.usefixtures("small_probes")
def test_one_class_is_evaluated_against_the_sphere(tmp_path) -> None:
    lonlat = globe(3000)
    lonlat = lonlat[octants(lonlat) == 5][:300]
    split = np.repeat([0, 1, 2], [200, 20, len(lonlat) - 220])
    dataset = write_points(
        tmp_path / "ds", lonlat, np.zeros(len(lonlat), int), classes=("bear",), split=split
    )
    api.train("sphere2vec", dataset, out=tmp_path / "run", **SMALL)
    report = evaluate_model(tmp_path / "run")
    assert names(report) == ["model", "nearness to a training place", "kernel density", "grid cells"]
    assert scores(report, "nearness to a training place")["AUC"].value > 0.9


@pytest.mark.usefixtures("small_probes")
def test_another_dataset_with_classes_never_trained_on(trained_model, tmp_path) -> None:
    """The same classes in another order are found by name; others are wrong always."""
    lonlat = globe(200, seed=5)
    backwards = tuple(reversed(NAMES))
    values = 7 - octants(lonlat)
    other = write_points(tmp_path / "other", lonlat, values, classes=backwards)
    report = evaluate_model(trained_model, dataset=other)
    assert (report.about["split"], report.about["places"], names(report)) == ("all", 200, ["model"])
    right = trained_model.predict_lonlat(lonlat).argmax(axis=1) == octants(lonlat)
    assert scores(report, "model")["top-1"].value == pytest.approx(right.mean())
    renamed = write_points(tmp_path / "renamed", lonlat, values, classes=("moon", *backwards[1:]))
    less = evaluate_model(trained_model, dataset=renamed)
    assert less.about["unseen"] == (values == 0).sum()
    assert scores(less, "model")["top-1"].value == pytest.approx((right & (values != 0)).mean())
    strange = write_points(tmp_path / "strange", lonlat, values, classes=tuple("abcdefgh"))
    with pytest.raises(EvaluationError, match="any of the tested classes"):
        evaluate_model(trained_model, dataset=strange)


@pytest.mark.usefixtures("small_probes")
def test_images_are_combined_where_the_dataset_has_them(tmp_path) -> None:
    """Against scikit-learn and sorting; a photo with NaN predictions is decided by its place."""
    lonlat = globe(600)
    split = np.repeat([0, 1, 2], [400, 50, 150])
    dataset = octant_points(tmp_path / "ds", 600, split=split)
    random = np.random.default_rng(8)
    predictions = random.dirichlet(np.ones(8), 150).astype(np.float32)
    predictions[np.arange(150), octants(lonlat)[450:]] += 0.1
    predictions[5] = np.nan
    rows = np.full(600, -1, np.int32)
    rows[450:] = random.permutation(150)
    np.save(tmp_path / "ds" / "test.npy", predictions)
    add_predictions(dataset.path, {"test": "test.npy"}, rows)
    model = api.train("sphere2vec", tmp_path / "ds", out=tmp_path / "run", **SMALL)
    report = evaluate_model(model)
    image = np.where(np.isnan(predictions), 1.0, predictions)[rows[450:]]
    placed, truth = model.predict_lonlat(lonlat[450:]), octants(lonlat)[450:]
    for name, wanted in (("image x model", image * placed), ("model", placed)):
        assert scores(report, name)["MRR"].value == pytest.approx(mean_reciprocal(wanted, truth), abs=1e-6)
        for top in (1, 3, 5):
            among = top_k_accuracy_score(truth, wanted, k=top, labels=range(8))
            assert scores(report, name)[f"top-{top}"].value == pytest.approx(among)
    assert scores(report, "image x model")["MRR"].value > scores(report, "image alone")["MRR"].value
    seen = rows[450:] != 5
    flat = (1 / np.arange(1, 9)).mean()  # the photo without predictions
    assert scores(report, "image alone")["MRR"].value == pytest.approx(
        (mean_reciprocal(image[seen], truth[seen]) * 149 + flat) / 150, abs=1e-6
    )


@pytest.mark.usefixtures("small_probes")
def test_photos_without_coordinates_are_reported_by_their_image_alone(tmp_path) -> None:
    """Against sorting; all photos by their image, and those with coordinates count as they did."""
    lonlat = globe(600)
    values = octants(lonlat)
    lonlat[580:] = np.nan
    split = np.repeat([0, 1, 2], [400, 50, 150])
    dataset = write_points(tmp_path / "ds", lonlat, values, classes=NAMES, split=split)
    predictions = np.random.default_rng(9).dirichlet(np.ones(8), 150).astype(np.float32)
    predictions[np.arange(150), values[450:]] += 0.1
    rows = np.full(600, -1, np.int32)
    rows[450:] = np.arange(150)
    np.save(tmp_path / "ds" / "test.npy", predictions)
    add_predictions(dataset.path, {"test": "test.npy"}, rows)
    model = api.train("sphere2vec", tmp_path / "ds", out=tmp_path / "run", **SMALL)
    report = evaluate_model(model)
    assert report.about["places"] == 130
    for ending, many in (("", 130), (", every photo", 150)):
        part = slice(450, 450 + many)
        image, placed = predictions[:many], np.ones((many, 8))
        placed[:130] = model.predict_lonlat(lonlat[450:580])
        for name, wanted in (("image x model", image * placed), ("image alone", image)):
            found = scores(report, name + ending)["MRR"].value
            assert found == pytest.approx(mean_reciprocal(wanted, values[part]), abs=1e-6)
    assert scores(report, "image alone, every photo")["MRR"].low > 0
    assert any("20 labeled photos without coordinates" in note for note in report.results[0].notes)


@pytest.mark.usefixtures("small_probes")
def test_what_cannot_be_evaluated_is_one_line(split_points, trained_model, tmp_path) -> None:
    headless = Model(
        trained_model.modules, trained_model.readings, trained_model.recipe, trained_model.training
    )
    with pytest.raises(EvaluationError, match="has no head"):
        evaluate_model(headless)
    lonlat = globe(50)
    numbers = write_points(tmp_path / "numbers", lonlat, lonlat[:, 0])
    with pytest.raises(EvaluationError, match="predicts classes"):
        evaluate_model(trained_model, dataset=numbers)
    whole = octant_points(tmp_path / "whole", 100)
    api.train("sphere2vec", whole, out=tmp_path / "run", validation_share=0.0, **{**SMALL, "epochs": 1})
    with pytest.raises(EvaluationError, match="trained on all of these places"):
        evaluate_model(tmp_path / "run")
    moved = Model.load(tmp_path / "run")
    moved.training["dataset_path"] = str(tmp_path / "gone")
    with pytest.raises(DatasetError, match="--dataset"):
        evaluate_model(moved)


@pytest.mark.usefixtures("small_probes")
def test_the_command(trained_model, tmp_path, capsys) -> None:
    run = str(trained_model.path)
    assert main(["evaluate", run, "--out", str(tmp_path / "report")]) == 0
    printed = capsys.readouterr().out
    assert "untrained encoder" in printed
    assert (tmp_path / "report" / "report.md").exists()
    assert main(["evaluate", run, "--tasks", "landuse"]) == 2
    assert "--tasks applies to tables of vectors" in capsys.readouterr().err
    assert main(["evaluate", run, "--json", "-q"]) == 0
    assert json.loads(capsys.readouterr().out)["split"] == "test"


def test_each_measure_has_its_own_neighbors(trained_report, split_points) -> None:
    """Oracle: scikit-learn's classifier for every k and weight, the best of the validation places by top-1."""
    (result,) = trained_report.results
    labels = split_points.labels()
    xyz, values = xyz_of(split_points.lonlat), labels.values
    train, validation, test = (labels.rows(name) for name in ("train", "validation", "test"))
    best, found = -1.0, 0.0
    for k in (1, 3, 10, 30, 100, 300, 1_000):
        for weights in ("uniform", "distance"):
            model = KNeighborsClassifier(k, weights=weights).fit(xyz[train], values[train])
            quality = model.score(xyz[validation], values[validation])
            if quality > best + 1e-9:
                best, found = quality, model.score(xyz[test], values[test])
    assert result.row("nearest places").scores["top-1"].value == pytest.approx(found, abs=0.015)  # ties
    assert any(note.startswith("nearest places by measure: top-1 ") for note in result.notes)


def test_the_model_is_compared_with_every_baseline_and_claims_need_blocks(trained_report) -> None:
    """Oracle: a jackknife of the difference of top-1 over its blocks, made here by hand."""
    (result,) = trained_report.results
    pairs = {item.against: item for item in result.comparisons}
    assert set(pairs) == {row.name for row in result.rows} - {"model"}
    apart = pairs["class frequency"].difference
    one, other = (result.row(name).scores["top-1"] for name in ("model", "class frequency"))
    assert apart.value == pytest.approx(one.value - other.value)
    left_out = one.left_out[0] - other.left_out[0]
    many = len(left_out)
    error = ((many - 1) / many * ((left_out - left_out.mean()) ** 2).sum()) ** 0.5
    assert apart.errors[0] == pytest.approx(error)
    assert apart.low <= apart.value - t.ppf(0.975, apart.effective[0] - 1) * error + 1e-12
    assert apart.value > 0.5
    assert apart.independent < 5, (
        "the most frequent class is one octant: its errors are alike over all the others"
    )
    assert pairs["class frequency"].claim == "no claim"
    assert not result.claims, "300 places are too few"
    assert result.verdict.startswith("No claim")


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (1, "1 place, 1 block of 500 km (1.0 effective)"),
        (135, "135 places, 135 blocks of 500 km (9.0 effective)"),
    ],
)
def test_what_intervals_rest_on_is_said(count: int, words: str) -> None:
    result = SimpleNamespace(
        places=count, classes={}, blocks=count, block_m=500_000.0, buffer_m=0.0, folds=0,
        effective_blocks=1.0 if count == 1 else 9.0, label_range_m=float("nan"),
    )  # fmt: skip
    assert basis(result) == words  # type: ignore[arg-type]
