"""Fine-tuning on the labels of a fold: any model of views, honest, repeatable, resumable.

Oracles: ridge regression in closed form, scikit-learn's logistic regression, and invariants (labels of tested places do
not matter, the model stays as it was, a finished fold is not trained again).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression

import placevec as pv
from placevec.core import FUSED
from placevec.datasets.dataset import Dataset
from placevec.errors import UsageError
from placevec.evaluation import engine, fine_tuning, ridge, vectors
from placevec.evaluation.fine_tuning import FineTuning, fit, predictions
from placevec.evaluation.probes import standardized
from placevec.evaluation.splits import Fold
from placevec.evaluation.tasks import Task
from placevec.io.jobs import opened
from placevec.models.model import Model
from tests.evaluation.test_kinds import SMALL
from tests.models import many_views
from tests.models.many_views import KINDS, NO_TEXT, PLACES
from tests.models.test_many_views import model_of

ROWS = np.arange(PLACES)
FOLD = Fold(ROWS[ROWS % 4 != 1], ROWS[ROWS % 4 == 1])
BLOCKS = ROWS // 8


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    many_views.register(monkeypatch)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return many_views.write(tmp_path_factory.mktemp("views") / "data")


@pytest.fixture
def model(dataset: Dataset) -> Model:
    torch.manual_seed(0)
    return model_of(many_views.where2vec, dataset)[0]


def task_of(kind: str, target: np.ndarray, names: tuple[str, ...] = ()) -> Task:
    return Task("made up", kind, target, ROWS, names)  # type: ignore[arg-type]


def use() -> Task:
    return task_of("classification", KINDS.copy(), ("a", "b", "c"))


def test_the_head_starts_as_the_linear_probe(dataset: Dataset, model: Model) -> None:
    """Closed form and scikit-learn, on the frozen vectors; none of the encoders is trained with no epochs."""
    vectors = model.vectors(dataset, view=FUSED)
    train, test = (vectors[part].astype(float) for part in (FOLD.train, FOLD.test))
    scaled, tested = standardized(train, test)
    rent = vectors @ np.linspace(-1, 1, vectors.shape[1]) + np.random.default_rng(0).normal(0, 0.1, PLACES)
    number = fine_tuning._Places.of(
        model, dataset, FUSED, task_of("regression", rent.astype(float)), FOLD.train
    )
    everything = np.arange(len(FOLD.train))
    weights, intercept = ridge.fitted(scaled, rent[FOLD.train, None].astype(float), 0.01)
    head = fine_tuning._probed(number, everything, 0.01)
    with torch.no_grad():
        found = head.answers(torch.from_numpy(test.astype(np.float32))).numpy()
    np.testing.assert_allclose(found, tested @ weights + intercept, atol=2e-4)
    classes = fine_tuning._Places.of(model, dataset, FUSED, use(), FOLD.train)
    ours = fine_tuning._probed(classes, everything, 0.01)
    theirs = LogisticRegression(C=1 / (2 * 0.01 * len(scaled)), tol=1e-8, max_iter=2000).fit(
        scaled, KINDS[FOLD.train]
    )
    with torch.no_grad():
        found = ours.answers(torch.from_numpy(test.astype(np.float32))).numpy()
    np.testing.assert_allclose(found, theirs.predict_proba(tested), atol=2e-3)
    before = {name: value.clone() for name, value in model.modules["image"].state_dict().items()}
    fitted, epochs = fit(
        model, dataset, FUSED, use(), FOLD.train, BLOCKS[FOLD.train], epochs=0, rate=1e-2, seed=0
    )
    assert epochs == 0
    for name, value in fitted.modules["image"].state_dict().items():
        torch.testing.assert_close(value, before[name])


def test_a_model_learns_labels_of_a_fold_and_those_of_tested_places_do_not_matter(
    dataset: Dataset, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert NO_TEXT[FOLD.test].any(), "places that a view lacks are among them"
    row = FineTuning(model, dataset, FUSED, epochs=12)
    monkeypatch.setattr(fine_tuning, "RATE", 1e-2)
    kept = model.hash
    scores, notes = row.learned(use(), FOLD, BLOCKS[FOLD.train], 0)
    assert (scores.argmax(axis=1) == KINDS[FOLD.test]).mean() > 0.95
    model.__dict__.pop("hash")
    assert model.hash == kept, "the model stays as it was"
    assert fine_tuning.NO_EPOCHS not in notes
    other = use()
    other.target[FOLD.test] = np.roll(other.target[FOLD.test], 1)
    inputs = {"model": kept}
    with opened(tmp_path / "report.json", inputs) as job:
        again, _ = FineTuning(model, dataset, FUSED, 12, job).learned(other, FOLD, BLOCKS[FOLD.train], 0)
    np.testing.assert_array_equal(again, scores)

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("a finished fold is not trained again")

    monkeypatch.setattr(fine_tuning, "fit", never)
    with opened(tmp_path / "report.json", inputs) as job:
        resumed = FineTuning(model, dataset, FUSED, 12, job)
        np.testing.assert_array_equal(resumed.learned(use(), FOLD, BLOCKS[FOLD.train], 0)[0], scores)
        with pytest.raises(AssertionError):
            resumed.learned(use(), FOLD, BLOCKS[FOLD.train], 1)
        job.finish()


def test_labels_without_a_signal_are_not_predicted(dataset: Dataset, model: Model) -> None:
    """Numbers drawn at random: validation keeps epochs few, and the error on other places is about that of the mean."""
    noise = np.random.default_rng(1).normal(size=PLACES)
    row = FineTuning(model, dataset, "satellite", epochs=4, scratch=True)
    assert row.dim == model.dims["satellite"]
    seen = Fold(FOLD.train[~many_views.NO_IMAGE[FOLD.train]], FOLD.test[~many_views.NO_IMAGE[FOLD.test]])
    scores, _ = row.learned(task_of("regression", noise), seen, BLOCKS[seen.train], 0)
    lost = ((scores[:, 0] - noise[seen.test]) ** 2).mean() / (
        (noise[seen.train].mean() - noise[seen.test]) ** 2
    ).mean()
    assert 0.8 < lost < 1.6


def test_shares_flags_and_presence_have_a_loss(dataset: Dataset, model: Model) -> None:
    soft = np.where(np.eye(3)[KINDS] > 0, 0.8, 0.1)
    flags = np.eye(3, dtype=bool)[KINDS][:, :2]
    tasks = {
        "distribution": task_of("distribution", soft, ("a", "b", "c")),
        "multilabel": task_of("multilabel", flags, ("a", "b")),
        "presence": task_of("presence", (KINDS == 0).astype(int), ("absent", "present")),
    }
    for kind, task in tasks.items():
        fitted, _ = fit(
            model, dataset, FUSED, task, FOLD.train, BLOCKS[FOLD.train], epochs=1, rate=1e-3, seed=0
        )
        found = predictions(fitted, dataset, FUSED, FOLD.test)
        truth = task.columns()[FOLD.test]
        assert found.shape == truth.shape, kind
        assert np.corrcoef(found[:, 0], truth[:, 0])[0, 1] > 0.7, kind
        if kind == "distribution":
            np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-5)


def test_rows_of_the_report_and_going_on_after_a_kill(
    dataset: Dataset, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fine-tuned rows stand beside frozen ones, on blocks and at random, with a learning curve; what was done stays."""
    monkeypatch.setitem(engine.BUDGETS, "quick", SMALL)
    monkeypatch.setattr(vectors, "CURVE", (0.5,))
    number = KINDS + np.random.default_rng(0).normal(0, 0.05, PLACES)
    pd.DataFrame({"place_id": dataset.place_ids, "rent": number}).to_csv(tmp_path / "rents.csv", index=False)
    model.save(tmp_path / "model")
    how: dict[str, Any] = {
        "dataset": dataset, "model": tmp_path / "model", "labels": tmp_path / "rents.csv", "tasks": [], "fine_tune": True,
        "fine_tune_epochs": 1, "schemes": ("blocks", "random"), "seeds": 1, "folds": 2, "budget": "quick",
        "resume_in": tmp_path / "out",
    }  # fmt: skip
    table = model.embed(dataset)
    done: list[int] = []
    fitted = fine_tuning.fit

    def killed(*arguments: Any, **options: Any) -> Any:
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(1)
        return fitted(*arguments, **options)

    monkeypatch.setattr(fine_tuning, "fit", killed)
    with pytest.raises(KeyboardInterrupt):
        pv.evaluate(table, **how)
    monkeypatch.setattr(fine_tuning, "fit", lambda *a, **o: (done.append(1), fitted(*a, **o))[1])
    (found,) = pv.evaluate(table, **how).results
    assert len(done) == 2 * 2 * 2 * 2, "rows x kinds of folds x folds x shares, each once"
    assert not list((tmp_path / "out").glob(".*.work"))
    assert found.random is not None
    for one in (found, found.random):
        rows = {row.name: row for row in one.rows}
        assert {"fine-tuned", "trained from scratch", "satellite only", "text only", "vectors"} < set(rows)
        assert rows["fine-tuned"].score.value > 0.5 > rows["coordinates"].score.value
        assert [set(point.scores) for point in one.curve] == [set(rows)] * 2
    assert found.random.scheme == "random"
    with pytest.raises(UsageError, match="fine_tune_epochs applies to fine_tune"):
        pv.evaluate(table, **{**how, "fine_tune": False})
