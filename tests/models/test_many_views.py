"""Where2Vec and MMGR in miniature: trained, saved, loaded, embedded with every subset of their views, and searched."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import placevec as pv
from placevec.core import FUSED, Recipe, ViewSpec
from placevec.datasets.dataset import Dataset
from placevec.datasets.joined import JoinedDataset
from placevec.embeddings import Embeddings, EmbeddingsOfViews
from placevec.embeddings import load as load_embeddings
from placevec.errors import EmbeddingsError, InputError, ModelError, UsageError
from placevec.estimators import PlaceFeatures
from placevec.models.fusion import LinearFusion, MeanFusion
from placevec.models.model import Model
from placevec.models.reading import Reading
from placevec.training import TrainingOptions, train
from tests.models import many_views
from tests.models.many_views import KINDS, NO_IMAGE, NO_TEXT, PLACES

SYSTEMS = {"where2vec": many_views.where2vec, "mmgr": many_views.mmgr}
System = Callable[[Dataset], tuple[Recipe, dict[str, ViewSpec]]]


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    many_views.register(monkeypatch)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return many_views.write(tmp_path / "data")


def model_of(system: System, dataset: Dataset) -> tuple[Model, Recipe]:
    recipe, specs = system(dataset)
    encoder_of = {slot.view: slot.encoder for slot in recipe.slots.values()}
    readings = {name: Reading(encoder_of[name], spec) for name, spec in specs.items()}
    return Model(recipe.encoders, readings, {"name": "miniature"}, fuse=recipe.fuse), recipe


def trained(system: System, dataset: Dataset, run: Path) -> Model:
    import torch

    torch.manual_seed(0)
    model, recipe = model_of(system, dataset)
    options = TrainingOptions(
        epochs=6, steps_per_epoch=20, learning_rate=1e-2, device="cpu", precision="fp32", validation_steps=0
    )
    views = {name: dataset.view(name) for name in model.views}
    train(recipe, views, run, options, config={"miniature": True}, save=model.save)
    return Model.load(run)


def same_kind_share(table: Embeddings, ids: dict[str, int]) -> float:
    """Share of places whose nearest other vector is of a place of their kind."""
    kinds = KINDS[[ids[one] for one in table.place_id]]
    unit = table.vectors / np.linalg.norm(table.vectors, axis=1, keepdims=True)
    alike = unit @ unit.T
    np.fill_diagonal(alike, -np.inf)
    return float((kinds[alike.argmax(axis=1)] == kinds).mean())


@pytest.mark.parametrize("name", SYSTEMS)
def test_trained_saved_loaded_embedded_and_searched(name: str, dataset: Dataset, tmp_path: Path) -> None:
    """Oracle: a place's nearest vector is of its own kind, which a third of all are by chance; and counting: each view
    has exactly the places that it knows, whatever subset is asked for, with the same vectors.
    """
    model = trained(SYSTEMS[name], dataset, tmp_path / "run")
    known = {"satellite": ~NO_IMAGE, "text": ~NO_TEXT, "pois": np.ones(PLACES, bool)}
    ids = {place: row for row, place in enumerate(dataset.places["place_id"])}
    whole = pv.embed(model, dataset, out=tmp_path / "e.parquet")
    assert isinstance(whole, EmbeddingsOfViews)
    fused = (FUSED,) if model.fuse is not None else ()
    assert set(whole.views) == {*model.views, *fused}
    for view in model.views:
        assert list(whole.of(view).place_id) == list(np.array(list(ids))[known[view]])
        assert same_kind_share(whole.of(view), ids) > 0.9
    if fused:
        assert len(whole.of()) == PLACES
        assert same_kind_share(whole.of(), ids) > 0.9
    for size in range(1, len(model.views) + 1):
        for views in combinations(model.views, size):
            found = pv.embed(model, dataset, views=views)
            for view in views:
                np.testing.assert_array_equal(found.of(view).vectors, whole.of(view).vectors)
            assert set(found.views) == {*views, *fused}
            if fused and size == 1:  # nothing but this view was fused: it is the view itself, of unit length
                alone = found.of(views[0]).vectors
                unit = alone / np.linalg.norm(alone, axis=1, keepdims=True)
                np.testing.assert_allclose(found.of(FUSED).vectors, unit, atol=1e-6)
    again = load_embeddings(tmp_path / "e.parquet")
    for view in whole.views:
        np.testing.assert_array_equal(again.of(view).vectors, whole.of(view).vectors)
    for view in whole.views:
        place = str(whole.of(view).place_id[0])
        nearest = pv.similar(tmp_path / "e.parquet", view=view, place=place, k=3)
        assert {int(KINDS[ids[one]]) for one in nearest["place_id"]} == {int(KINDS[ids[place]])}


def test_features_of_points_need_a_view_that_is_read_at_points(dataset: Dataset) -> None:
    """Chips and texts are known for the places alone: no column of NaN in their place."""
    model, _ = model_of(many_views.where2vec, dataset)
    features = PlaceFeatures(model=model, dataset=dataset, view="text")
    with pytest.raises(InputError, match="the view 'text' is known only for the places of the dataset"):
        features.fit_transform(dataset.lonlat)


def test_a_view_that_a_place_lacks_has_no_influence(dataset: Dataset, tmp_path: Path) -> None:
    """Oracle: places without a text have the fused vector of a model that reads images alone, bit for bit."""
    model, _ = model_of(many_views.where2vec, dataset)
    found = model.encode(dataset)
    image_only = model.encode(dataset, views=["satellite"])
    rows = np.flatnonzero(NO_TEXT & ~NO_IMAGE)
    assert len(rows) > 3
    np.testing.assert_array_equal(found[FUSED][rows], image_only[FUSED][rows])
    assert np.isnan(found["text"][NO_TEXT]).all()
    assert np.isfinite(found["text"][~NO_TEXT]).all()


@pytest.mark.parametrize("threads", [1, 2])
def test_a_process_of_one_thread_reads_in_it(
    threads: int, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Oracles: the threads in which views were read, and the vectors of all places at once; five batches otherwise."""
    import threading

    import torch

    model, _ = model_of(many_views.where2vec, dataset)
    whole = model.encode(dataset, batch_size=PLACES)
    readers, read = set[str](), Model._read

    def noted(self: Model, *given: Any) -> Any:
        readers.add(threading.current_thread().name.split("_")[0])
        return read(self, *given)

    monkeypatch.setattr(Model, "_read", noted)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    found = model.encode(dataset, batch_size=-(-PLACES // 5))
    assert readers == {threading.current_thread().name if threads == 1 else "placevec-read"}
    assert set(found) == set(whole)
    for view in whole:
        np.testing.assert_allclose(found[view], whole[view], atol=1e-6)


def test_what_a_model_is_survives_the_disk(dataset: Dataset, tmp_path: Path) -> None:
    model, _ = model_of(many_views.where2vec, dataset)
    model.save(tmp_path / "m")
    again = Model.load(tmp_path / "m")
    assert again.hash == model.hash
    assert again.dims == {"satellite": 8, "text": 8, FUSED: 8}
    assert again.dim == 8
    assert "satellite: 8" in repr(again)
    card = (tmp_path / "m" / "MODEL_CARD.md").read_text()
    assert "satellite" in card
    assert "Fused views: satellite, text" in card


@pytest.mark.parametrize("fusion", ["mean", "linear"])
def test_fusions_survive_the_disk_and_take_any_subset(fusion: str, dataset: Dataset, tmp_path: Path) -> None:
    """Oracle: a linear fusion of one view is that view's matrix, computed by numpy."""
    model, _ = model_of(many_views.where2vec, dataset)
    if fusion == "linear":
        model.fuse = LinearFusion(["satellite", "text"], [8, 8], 5)
    model.save(tmp_path / "m")
    again = Model.load(tmp_path / "m")
    np.testing.assert_array_equal(again.encode(dataset)[FUSED], model.encode(dataset)[FUSED])
    if fusion == "linear":
        alone = again.encode(dataset, views=["text"])
        layer = again.fuse.weights[1]  # type: ignore[union-attr, index]
        wanted = alone["text"] @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
        np.testing.assert_allclose(alone[FUSED], wanted, atol=1e-5)


def test_vectors_of_different_lengths_lie_in_one_file(dataset: Dataset, tmp_path: Path) -> None:
    """Padded with zeros, and read back at their own length; in eight bits too, within half a step of their scale."""
    model, recipe = model_of(many_views.mmgr, dataset)
    model.modules["pois"] = many_views.SetMean(recipe.encoders["pois"].categories, 3)
    assert model.dims == {"satellite": 8, "pois": 3}
    with pytest.raises(ModelError, match="different lengths: satellite 8, pois 3"):
        _ = model.dim
    assert "pois: 3" in repr(model)
    found = pv.embed(model, dataset, out=tmp_path / "e.parquet", dtype="int8")
    again = load_embeddings(tmp_path / "e.parquet")
    assert again.dims == {"satellite": 8, "pois": 3}
    for view in again.views:
        step = np.abs(found.of(view).vectors).max() / 127
        assert np.abs(again.of(view).vectors - found.of(view).vectors).max() <= 0.51 * step


def test_several_views_and_no_fusion_must_be_chosen_from(dataset: Dataset, tmp_path: Path) -> None:
    model, _ = model_of(many_views.mmgr, dataset)
    pv.embed(model, dataset, out=tmp_path / "e.parquet")
    with pytest.raises(UsageError, match="choose one with --view"):
        pv.similar(tmp_path / "e.parquet", place="p00")
    with pytest.raises(UsageError, match="no vectors of view 'map': choose from satellite, pois"):
        pv.similar(tmp_path / "e.parquet", place="p00", view="map")
    with pytest.raises(EmbeddingsError, match=r"several views \(satellite, pois\)"):
        Embeddings.load(tmp_path / "e.parquet")


def test_a_dataset_that_lacks_a_view(dataset: Dataset, tmp_path: Path) -> None:
    """Any subset is enough, and said; a view asked for, and none at all, are errors that name them."""
    model, _ = model_of(many_views.where2vec, dataset)
    model.save(tmp_path / "m")
    fewer = many_views.write(tmp_path / "fewer", views=("text",), lat=61.0)
    found = pv.embed(model, fewer)
    assert set(found.views) == {"text", FUSED}
    with pytest.raises(ModelError, match="has no view 'satellite'"):
        pv.embed(model, fewer, views=["satellite"])
    with pytest.raises(UsageError, match="choose from satellite, text"):
        pv.embed(model, fewer, views=["map"])
    other = many_views.write(tmp_path / "other", views=("pois",), lat=62.0)
    with pytest.raises(ModelError, match="it needs satellite and text, but the dataset has pois"):
        pv.embed(model, other)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"values": "12 numbers, uint8"}, "with 12 numbers, uint8, but the dataset has 12 numbers, float32"),
        ({"channels": ("x",)}, "reads x of 'satellite', which the dataset lacks"),
        ({"rules": "abc"}, "drawn by known rules"),
        ({"kind": "chips"}, "the dataset has it as features"),
    ],
)
def test_a_view_of_another_specification_is_rejected(
    change: dict[str, object], said: str, dataset: Dataset, tmp_path: Path
) -> None:
    model, _ = model_of(many_views.where2vec, dataset)
    reading = model.readings["satellite"]
    model.readings["satellite"] = Reading(reading.encoder, replace(reading.spec, **change))  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=said):
        pv.embed(model, dataset)


def test_a_fusion_that_lacks_a_view_is_rejected(dataset: Dataset, tmp_path: Path) -> None:
    model, _ = model_of(many_views.where2vec, dataset)
    model.fuse = MeanFusion(["satellite", "aerial"], 8)
    model.save(tmp_path / "m")
    with pytest.raises(ModelError, match="the fusion uses the view 'aerial', which the model does not have"):
        Model.load(tmp_path / "m")


@pytest.mark.parametrize("flip", [0, 1, 2])
def test_flipped_bits_in_the_weights_are_noticed(flip: int, dataset: Dataset, tmp_path: Path) -> None:
    model, _ = model_of(many_views.where2vec, dataset)
    model.save(tmp_path / "m")
    content = bytearray((tmp_path / "m" / "model.safetensors").read_bytes())
    content[-1 - 40 * flip] ^= 1 << flip
    (tmp_path / "m" / "model.safetensors").write_bytes(bytes(content))
    with pytest.raises(ModelError, match=r"its SHA-256 differs from the one in config\.json"):
        Model.load(tmp_path / "m")


def test_a_kill_between_configuration_and_weights_leaves_a_model(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old weights still belong to the new configuration."""
    from placevec.models import files

    first, _ = model_of(many_views.where2vec, dataset)
    first.save(tmp_path / "m")
    second, _ = model_of(many_views.where2vec, dataset)
    real = files.write_sealed

    def killed(target: Path, content: object) -> None:
        real(target, content)
        raise KeyboardInterrupt

    monkeypatch.setattr(files, "write_sealed", killed)
    with pytest.raises(KeyboardInterrupt):
        second.save(tmp_path / "m")
    assert Model.load(tmp_path / "m").hash == first.hash
    assert files.damage(tmp_path / "m") == []
    monkeypatch.undo()
    many_views.register(monkeypatch)
    second.save(tmp_path / "m")
    assert Model.load(tmp_path / "m").hash == second.hash
    assert len(json.loads((tmp_path / "m" / "config.json").read_text())["weights_sha256"]) == 2


def test_datasets_are_joined_for_every_view(dataset: Dataset, tmp_path: Path) -> None:
    """Oracle: each half read alone."""
    import torch

    from placevec.core import Look, Ragged

    other = many_views.write(tmp_path / "other", lat=61.0)
    joined = JoinedDataset([dataset, other])
    rows = np.array([0, 120, 5, 191, -2, 95, 96])
    lonlat = torch.from_numpy(np.where((rows >= 0)[:, None], joined.lonlat[rows], np.nan))
    for name in joined.view_names:
        batch = joined.view(name).read(Look(torch.from_numpy(rows), lonlat))
        for position, row in enumerate(rows.tolist()):
            part, own = (dataset, row) if row < PLACES else (other, row - PLACES)
            at = Look(torch.tensor([own]), lonlat[position : position + 1])
            alone = part.view(name).read(at)
            if isinstance(batch, Ragged):
                start, end = batch.offsets[position], batch.offsets[position + 1]
                torch.testing.assert_close(batch.values[start:end], alone.values)  # type: ignore[union-attr]
            elif isinstance(batch, torch.Tensor):
                torch.testing.assert_close(batch[position], alone[0])  # type: ignore[index]
            else:
                ids = alone["input_ids"][0]  # type: ignore[call-overload, index]
                torch.testing.assert_close(batch["input_ids"][position, : len(ids)], ids)
                assert int(batch["attention_mask"][position].sum()) == int(alone["attention_mask"][0].sum())  # type: ignore[call-overload, index]


@pytest.mark.usefixtures("small_probes")
def test_evaluation_measures_the_view_that_is_asked_for(dataset: Dataset, tmp_path: Path) -> None:
    model = trained(many_views.where2vec, dataset, tmp_path / "run")
    pv.embed(model, dataset, out=tmp_path / "e.parquet")
    labels = tmp_path / "labels.csv"
    rows = [f"{place},{'abc'[kind]}" for place, kind in zip(dataset.places["place_id"], KINDS, strict=True)]
    labels.write_text("place_id,kind\n" + "\n".join(rows) + "\n")
    for view, places in (("text", int((~NO_TEXT).sum())), (None, PLACES)):
        report = pv.evaluate(
            tmp_path / "e.parquet", view=view, labels=labels, tasks=[], seeds=1, folds=3, budget="quick"
        )
        assert [one.places for one in report.results] == [places]
