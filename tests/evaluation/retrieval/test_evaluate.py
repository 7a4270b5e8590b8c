"""Words and images of a run: brute force, perfect vectors, closed forms, held-out places, files and the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from placevec import api, cli
from placevec.datasets.dataset import Dataset
from placevec.datasets.splits import read_split
from placevec.errors import EvaluationError, UsageError
from placevec.evaluation.retrieval.evaluate import embedded, evaluate_words, reads_words, views_of
from placevec.evaluation.retrieval.held import held_of
from placevec.evaluation.retrieval.report import WordsReport
from placevec.evaluation.retrieval.rows import CHANCE, COUNTS, MODEL, ORACLE, STATISTICS, UNTRAINED
from placevec.evaluation.retrieval.said import NO_LETTERS, Said, said_of, script_of
from placevec.explorer.figures import modalities
from placevec.models.model import Model
from tests.encoders import tiny_text_model
from tests.recipes.where2vec import small


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained for a few steps on chips whose colors tell water, forest and fields; a third held out in blocks."""
    folder = tmp_path_factory.mktemp("words")
    dataset = small.write(folder / "data")
    base = tiny_text_model.write(folder / "base")
    api.train(
        "where2vec", dataset, out=folder / "run", text_model=str(base), lora_rank=0, dim=16, width=8, batch_size=16,
        epochs=2, steps_per_epoch=8, validation_share=0.35, block_m=4_000.0,
    )  # fmt: skip
    return folder / "run"


@pytest.fixture(scope="module")
def ground(run: Path) -> tuple[Model, Dataset]:
    return Model.load(run), Dataset.open(run.parent / "data")


@pytest.fixture(scope="module")
def report(ground: tuple[Model, Dataset]) -> WordsReport:
    return evaluate_words(*ground, seeds=2)


def _sides(model: Model, dataset: Dataset, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors of chips and of the text drawn for each place, without the evaluation."""
    said = said_of(dataset, "text")
    words = embedded(model, [said.texts[one] for one in said.one_each(rows)])
    images = model.encode(dataset, rows, views=("satellite",))["satellite"].astype(np.float64)
    return tuple(one / np.linalg.norm(one, axis=1, keepdims=True) for one in (images, words))  # type: ignore[return-value]


def test_figures_are_those_of_brute_force(report: WordsReport, ground: tuple[Model, Dataset]) -> None:
    """Oracle: ranks by sorting the cosines of held-out places, which the run's own split names."""
    model, dataset = ground
    split = read_split(model.path).split_of(dataset)  # type: ignore[union-attr]
    rows = np.setdiff1d(split.rows("validation"), [small.NO_TEXT, small.NO_CHIP])
    images, words = _sides(model, dataset, rows)
    cosines = words @ images.T
    ranks = np.array([1 + (one > one[at] + 1e-6).sum() for at, one in enumerate(cosines)])
    founding = report.founding["Text->Image"]
    assert report.founding["NumSamples"] == len(rows)
    assert founding["MeanRank"] == pytest.approx(ranks.mean())
    assert founding["MedianRank"] == np.median(ranks)
    to_image = report.results[0].row(MODEL)
    for k in (1, 5, 10):
        assert founding[f"R@{k}"] == pytest.approx((ranks <= k).mean())
        assert to_image.scores[f"R@{k}"].value == pytest.approx((ranks <= k).mean())
    types = small.KINDS[rows]
    within = np.array([
        1 + (one[types == types[at]] > one[at] + 1e-6).sum() for at, one in enumerate(cosines)
    ])  # fmt: skip
    known = rows != small.NO_TYPE
    found = next(one for one in report.results if one.task == "text to image within a type")
    if known.all():  # a place of unknown type would change the pools
        assert found.row(MODEL).score.value == pytest.approx((within <= 1).mean())
    assert found.row(CHANCE).score.value == pytest.approx(np.mean(1 / np.bincount(types)[types]), abs=0.02)


def test_baselines_score_what_their_closed_form_says(report: WordsReport) -> None:
    """Closed forms: k of the pool by chance, k of the type for the oracle, a third of three types; colors tell types."""
    to_image, types = report.results[0], report.results[3]
    count = report.founding["NumSamples"]
    assert [one.task for one in report.results[:4]] == [
        "text to image", "image to text", "text to image within a type", "types by name",
    ]  # fmt: skip
    assert to_image.row(CHANCE).score.value == pytest.approx(10 / count)
    assert to_image.row(CHANCE).scores["mean rank"].value == pytest.approx((count + 1) / 2)
    assert to_image.row(ORACLE).score.value > to_image.row(CHANCE).score.value
    assert {row.name for row in to_image.rows} == {MODEL, CHANCE, ORACLE, STATISTICS, COUNTS, UNTRAINED}
    assert types.row(CHANCE).score.value == pytest.approx(1 / 3)
    assert types.row(COUNTS).score.value > 0.9  # "lake" is a word of every lake
    assert all(one.scores["macro recall"].value <= 1 for one in types.rows)
    words = {row.name: row.scores for row in report.results[4].rows}
    assert {"kind name", "kind words", "language en", "language fi"} <= set(words)
    assert words["language fi"]["by chance"].value == pytest.approx(10 / count, abs=0.02)


def test_perfect_and_random_images(ground: tuple[Model, Dataset]) -> None:
    """Images that are the words' own vectors are found at once; those of one vector score as chance does."""
    model, dataset = ground
    rows = np.setdiff1d(np.arange(len(dataset)), [small.NO_TEXT, small.NO_CHIP])
    for which, wanted in (("perfect", 1.0), ("collapsed", None)):
        images = np.full((len(dataset), 16), np.nan)
        images[rows] = _sides(model, dataset, rows)[1] if which == "perfect" else 1.0
        found = evaluate_words(model, dataset, images=images, baselines=False)
        count = found.founding["NumSamples"]
        if wanted is None:
            assert found.founding["Text->Image"]["R@10"] == pytest.approx(10 / count)
            assert found.founding["Text->Image"]["MeanRank"] == (count + 1) / 2
        else:  # words such as "lake" are said of many: they tie
            assert found.founding["Image->Text"]["MedianRank"] == 1.0
            assert found.founding["Text->Image"]["R@10"] == 1.0


def test_places_asked_about_were_not_trained_on(ground: tuple[Model, Dataset]) -> None:
    """Invariants: no training place is asked about, both pools are of equal size, blocks lie within the held-out ones."""
    model, dataset = ground
    usable = np.ones(len(dataset), bool)
    held = held_of(model, dataset, usable, "text")
    split = read_split(model.path).split_of(dataset)  # type: ignore[union-attr]
    assert set(held.blocks) <= set(split.rows("validation"))
    assert not set(held.entities) & set(split.rows("train"))
    assert len(held.blocks) == len(held.entities)
    assert not held.seen
    with pytest.raises(EvaluationError, match="at least 10 are needed"):
        held_of(model, dataset, np.arange(len(dataset)) < 9, "text")


def test_files_and_the_command_line(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], report: WordsReport,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The names of the founding system's figures, a sentence first, and a picture."""
    monkeypatch.setattr(modalities, "method_for", lambda places: "pca")  # UMAP takes seconds to load
    assert cli.main(["evaluate", str(run), "--out", str(tmp_path / "report"), "--quiet"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("Words find the image of their place among the first 10 of")
    figures = json.loads((tmp_path / "report" / "test_metrics.json").read_text())
    assert set(figures) == {"Image->Text", "Text->Image", "NumSamples", "Checkpoint"}
    assert set(figures["Image->Text"]) == {"R@1", "R@5", "R@10", "MedianRank", "MeanRank"}
    assert figures["Text->Image"] == report.founding["Text->Image"]
    assert cli.main(["evaluate", str(run), "--learning-curve"]) == 2
    assert "apply to models trained on labels" in capsys.readouterr().err
    pytest.importorskip("matplotlib")
    assert (tmp_path / "report" / "words-and-images.png").read_bytes()[:4] == b"\x89PNG"


def test_a_table_of_vectors_gives_the_same(
    run: Path, ground: tuple[Model, Dataset], report: WordsReport
) -> None:
    """Oracle: the figures of vectors that are made in the evaluation."""
    table = api.embed(run, ground[1])
    found = api.evaluate_words(run, embeddings=table, baselines=False)
    assert found.founding == report.founding


def test_models_without_words_or_images_are_refused(ground: tuple[Model, Dataset]) -> None:
    model = ground[0]
    assert reads_words(model)
    for view in ("satellite", "text"):
        alone = Model({"one": model.modules[model.readings[view].encoder]}, {view: model.readings[view]})
        assert not reads_words(alone)
        with pytest.raises(UsageError, match="one view of texts and one of images"):
            views_of(alone)
    with pytest.raises(UsageError, match="no images called 'map'"):
        views_of(model, "map")


def test_texts_are_drawn_alike_and_scripts_are_told() -> None:
    """Oracle: counts of 3,000 draws of three texts; scripts by Unicode."""
    said = Said(np.array([0, 0, 0, 2]), ("a", "b", "c", "d"), ("en",) * 4, ("name",) * 4)
    drawn = np.array([said.one_each(np.arange(4), seed=seed) for seed in range(300)])
    assert (drawn[:, 1] == -1).all()
    assert (drawn[:, 2] == 3).all()
    assert (drawn[:, 3] == -1).all()
    assert abs(np.bincount(drawn[:, 0]) - 100).max() < 40  # 5 standard deviations
    assert said.one_each(np.array([0]), among=[False, True, False, False])[0] == 1
    assert [script_of(text) for text in ("مالطا", "תל אביב", "ヘルシンキ", "", "Köln")] == [
        "Arabic", "Hebrew", "Katakana", NO_LETTERS, "Latin",
    ]  # fmt: skip
