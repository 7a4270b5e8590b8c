"""The recipe Where2Vec over a map and over chips: what is drawn and held out, that it learns, presets as published."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from placevec import api
from placevec.datasets.dataset import Dataset
from placevec.datasets.joined import JoinedDataset
from placevec.datasets.place_types import types_of
from placevec.datasets.views.chips import ChipsView
from placevec.encoders.image_backbones import ResNet18
from placevec.encoders.spectral_cnn import FoundingSpectralCNN
from placevec.errors import InputError, ModelError, PlacevecError, UsageError
from placevec.io.byte_texts import decoded, tokens_of
from placevec.models.model import Model
from placevec.options import Options
from placevec.recipes import RECIPES
from placevec.recipes.base import RecipeEntry
from placevec.recipes.built import Built
from placevec.recipes.where2vec.build import build
from placevec.recipes.where2vec.config import Where2VecConfig
from placevec.recipes.where2vec.presets import PRESETS
from placevec.training.bundle import Bundle
from placevec.training.log import read_metrics
from placevec.training.objectives.type_aware import TypeAware
from tests.encoders import tiny_text_model
from tests.recipes.where2vec import small
from tests.unsealed import unsealed

ENTRY = RecipeEntry(
    "where2vec", "", Where2VecConfig, Options, prepare="none:none",
    build="placevec.recipes.where2vec.build:build", presets=PRESETS,
)  # fmt: skip


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_text_model.write(tmp_path_factory.mktemp("text") / "base"))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return small.write(tmp_path_factory.mktemp("where2vec") / "small")


@pytest.fixture
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until preparing registers the recipe with its options."""
    if "where2vec" not in RECIPES:
        monkeypatch.setitem(RECIPES.builtin, "where2vec", f"{__name__}:ENTRY")


def config(base: str, **options: Any) -> Where2VecConfig:
    given = {
        "text_model": base,
        "dim": 16,
        "width": 8,
        "batch_size": 16,
        **options,
    }
    return Where2VecConfig(**given)


def weight_of_types(built: Built) -> float:
    """The weight in the objective, which the run's configuration has too."""
    objective = built.recipe.objectives["type-aware"][1]
    assert isinstance(objective, TypeAware)
    assert built.config.as_json()["semantic_weight"] == objective.semantic_weight
    return objective.semantic_weight


def test_what_is_drawn(dataset: Dataset, base: str) -> None:
    """Oracle: the table that was written: texts, types and chips of the same place in every slot."""
    built = build(dataset, config(base, languages=("fi",)), {})
    recipe = built.recipe
    assert {name: slot.view for name, slot in recipe.slots.items()} == {
        "image": "satellite", "words": "text", "types": "types",
    }  # fmt: skip
    assert set(built.specs) == {"satellite", "text"}
    assert built.config.as_json()["views"] == ["satellite", "text"]
    assert any("2 places without an image or a text" in note for note in built.notes)
    assert {"turn", "flip", "keep", "chip"} == set(recipe.sampler.draw(0).looks["image"].warp)
    for step in range(8):
        draw = recipe.sampler.draw(step)
        batches = {name: built.views[recipe.slots[name].view].read(look) for name, look in draw.looks.items()}
        rows = draw.looks["image"].rows.tolist()
        assert not {small.NO_TEXT, small.NO_CHIP} & set(rows)
        assert decoded(batches["words"]) == [small.texts_of(row)[1][2] for row in rows]  # type: ignore[arg-type]
        wanted = ["" if row == small.NO_TYPE else small.TYPES[row % 3].split("/")[1] for row in rows]
        assert decoded(batches["types"]) == wanted  # type: ignore[arg-type]
        assert [int(code) == -1 for code in draw.targets["type"]] == [row == small.NO_TYPE for row in rows]
    assert weight_of_types(built) == 3.0
    assert weight_of_types(build(dataset, config(base, semantic_weight=0.5), {})) == 0.5
    everything = build(dataset, config(base), {}).recipe.sampler
    seen = {int(pick) for step in range(20) for pick in everything.draw(step).looks["words"].warp["text"]}
    assert seen == {0, 1, 2}


def test_types_by_leaf_group_label_or_none(dataset: Dataset, tmp_path: Path) -> None:
    """Oracle: the entities that were written; several datasets have one list of types."""
    assert types_of(dataset, "text", "leaf").names == ("field", "forest", "lake")
    groups = types_of(dataset, "text", "group")
    assert groups.names == ("farmland", "natural", "water")
    wanted = np.array([2, 1, 0])[small.KINDS]
    wanted[[small.NO_TYPE, small.NO_TEXT]] = -1  # without a text nothing says which entity it is
    assert groups.codes.tolist() == wanted.tolist()
    shutil.copytree(dataset.path, tmp_path / "other")
    manifest = json.loads((tmp_path / "other" / "dataset.json").read_text())
    manifest["sources"][0]["sha256"] = "other"
    (tmp_path / "other" / "dataset.json").write_text(json.dumps(unsealed(manifest)))
    other = Dataset.open(tmp_path / "other")
    both = types_of(JoinedDataset([dataset, other]), "text", "leaf")
    assert np.array_equal(both.codes[: len(dataset)], both.codes[len(dataset) :])
    (other.path / "entities.parquet").unlink()
    assert types_of(other, "text", "leaf").names == ()


def test_held_out_places_share_no_window(dataset: Dataset, base: str, tmp_path: Path) -> None:
    """Oracle: distances between places of the two parts; without coordinates nothing is held out, and that is said."""
    built = build(dataset, config(base), {"seed": 1})
    train, held = built.split.rows("train"), built.split.rows("validation")
    assert len(held) >= 8
    drawn = {int(row) for step in range(10) for row in built.recipe.sampler.draw(step).looks["image"].rows}
    assert drawn <= set(train.tolist())
    assert built.recipe.validation is not None
    assert set(built.recipe.validation.draw(0).looks["image"].rows.tolist()) <= set(held.tolist())
    nowhere = build(small.write(tmp_path / "nowhere", located=False), config(base), {})
    assert not nowhere.split.held_out
    assert any("no blocks can be held out" in note for note in nowhere.notes)
    judged = build(dataset, config(base), {}, JoinedDataset([Dataset.open(tmp_path / "nowhere")]))
    assert judged.split.by == "other dataset"
    assert judged.validation_views is not None


@pytest.mark.usefixtures("_registered")
def test_it_learns_and_a_text_finds_its_images(dataset: Dataset, base: str, tmp_path: Path) -> None:
    """Oracle: the kinds that were written: images of the type that a text names come first."""
    run = tmp_path / "run"
    model = api.train(
        "where2vec", dataset, out=run, text_model=base, dim=16, width=8,
        batch_size=32, epochs=20, learning_rate=3e-3, balance_types=True, chunk_size=16, projector=0, device="cpu",
    )  # fmt: skip
    last = read_metrics(run)[-1]
    assert last["validation/type_accuracy"] > 0.8
    assert {"validation/image_to_text_recall_1", "train/temperature"} <= set(last)
    loaded = Model.load(run)
    assert set(loaded.dims) == {"satellite", "text", "fused"}
    assert 0.01 <= loaded.training["type_temperature"] != pytest.approx(0.07)
    split = pq.read_table(run / "split.parquet").to_pandas()
    rows = np.array([int(name[1:]) for name in split["place_id"][split["split"] == "train"]])
    kinds = small.KINDS[rows[rows != small.NO_TYPE]]
    shares = dict(zip(("lake", "forest", "field"), np.bincount(kinds) / len(kinds), strict=True))
    assert loaded.training["type_shares"] == pytest.approx(shares, rel=1e-3)
    vectors = loaded.encode(dataset)
    images = vectors["satellite"]
    with torch.no_grad():
        asked = loaded.modules["text"](tokens_of(["lake", "forest", "field"])).numpy()
    there = np.isfinite(images[:, 0])
    for query, kind in zip(asked, range(3), strict=True):
        order = np.argsort(-(images[there] @ query))[:10]
        assert (small.KINDS[there][order] == kind).mean() > 0.8
    assert np.isnan(vectors["text"][small.NO_TEXT]).all()
    assert np.isfinite(vectors["fused"]).all()
    again = api.train(
        "where2vec", dataset, out=run, text_model=base, dim=16, width=8, resume=True,
        batch_size=32, epochs=20, learning_rate=3e-3, balance_types=True, chunk_size=16, projector=0, device="cpu",
    )  # fmt: skip
    assert again.hash == model.hash


def test_the_map_of_an_extract(helsinki_dataset: Dataset, base: str, tmp_path: Path) -> None:
    """Real layers of Helsinki under invented names: one step of every objective, with windows turned by any angle."""
    shutil.copytree(helsinki_dataset.path, tmp_path / "map")
    ids = [str(one) for one in helsinki_dataset.places["place_id"]][: small.PLACES]
    small.write_texts(tmp_path / "map", ids)
    manifest = json.loads((tmp_path / "map" / "dataset.json").read_text())
    manifest["views"]["text"] = {
        "spec": {"name": "text", "kind": "text", "values": "UTF-8 bytes + 1, 0 pads"}, "files": ["text.parquet"],
    }  # fmt: skip
    (tmp_path / "map" / "dataset.json").write_text(json.dumps(unsealed(manifest)))
    dataset = Dataset.open(tmp_path / "map")
    options: dict[str, Any] = {"size_px": 32, "drop_layers": ("places",)}
    for objective in ("log", "founding", "unicl", "sigmoid"):
        built = build(dataset, config(base, objective=objective, **options), {})
        draw = built.recipe.sampler.draw(0)
        assert {"angle", "flip", "keep"} == set(draw.looks["image"].warp)
        assert weight_of_types(built) == 0.3
        batches = {
            name: built.views[built.recipe.slots[name].view].read(look) for name, look in draw.looks.items()
        }
        loss, _, _ = Bundle(built.recipe)(batches, draw)
        loss.backward()
        assert float(loss.detach()) > 0
    assert "places" not in built.specs["map"].channels
    for given, named in (
        ({"encoder": "spectral-cnn"}, "--encoder spectral-cnn"),
        ({"init": "geoembed"}, "--init geoembed"),
    ):
        with pytest.raises(UsageError, match=f"^{named}.* does not read map .*: tile encoders read maps"):
            build(dataset, config(base, views=("map", "text"), **given, **options), {})


def test_founding_preset_is_the_document(dataset: Dataset, base: str) -> None:
    """Oracle: the constants of the founding config.py, read there."""
    given, training = ENTRY.configure("founding", {"text_model": base})
    built = build(dataset, given, training)  # type: ignore[arg-type]
    options, objective = built.training, built.recipe.objectives["type-aware"][1]
    assert (options.epochs, options.learning_rate, options.weight_decay) == (500, 2e-4, 0.01)
    assert (options.optimizer, options.schedule, options.warmup) == ("adamw", "constant", 0.0)
    assert (options.clip_norm, options.save_every, options.seed) == (0.0, 50, 42)
    image, text = built.recipe.encoders["image"], built.recipe.encoders["text"]
    assert isinstance(image, FoundingSpectralCNN)
    assert image.config() == {"channels": 4, "dim": 256, "full_scale": 10_000.0}
    assert {key: text.config()[key] for key in ("rank", "alpha", "dropout", "dim")} == {  # type: ignore[operator]
        "rank": 8, "alpha": 16.0, "dropout": 0.1, "dim": 256,
    }  # fmt: skip
    assert isinstance(objective, TypeAware)
    assert (objective.instance, objective.semantic) == ("founding", "founding")
    assert (objective.alpha, objective.semantic_weight) == (0.5, 0.3)
    assert float(1 / objective.scales[0]) == pytest.approx(0.07)
    assert not list(objective.parameters())
    assert given.batch_size == 256  # type: ignore[attr-defined]
    draw = built.recipe.sampler.draw(3)
    assert not draw.looks["image"].warp
    assert not draw.looks["words"].warp["text"].any()
    assert isinstance(built.views["satellite"], ChipsView)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"views": ("satellite",)}, "--views must name two"),
        ({"views": ("satellite", "chips")}, "has no view 'chips'"),
        ({"views": ("text", "coordinates")}, "a map or chips, and texts, but small has the views text"),
        ({"languages": ("de",)}, "--languages 'de': no text has this value; available: en, fi"),
        ({"kinds": ("alias",)}, "--kinds 'alias'"),
        ({"bands": ("B11",)}, "has no 'B11'"),
        ({"drop_layers": small.BANDS}, "every layer was dropped"),
        ({"encoder": "compact-tile-cnn"}, "spectral encoders chips"),
        ({"indices": ("ndvi",), "bands": ("B02", "B03")}, "ndvi needs the band"),
        ({"text_model": "nowhere"}, "text model 'nowhere' is not on this machine"),
        ({"temperature": 0.001}, "--temperature"),
        ({"init_bands": ("red",)}, "--init-bands names the bands of the network in --init"),
    ],
)
def test_what_does_not_fit(dataset: Dataset, base: str, options: dict[str, Any], problem: str) -> None:
    with pytest.raises((InputError, ModelError, PlacevecError), match=problem):
        build(dataset, config(base, **options), {})


def test_an_image_encoder_starts_from_other_weights(dataset: Dataset, base: str, tmp_path: Path) -> None:
    """Oracle: the weights of the file; what was taken is said, and the encoder of a package is chosen."""
    source = build(dataset, config(base), {"seed": 5}).recipe.encoders["image"]
    torch.save(source.state_dict(), tmp_path / "image.pt")
    started = build(dataset, config(base, init=str(tmp_path / "image.pt")), {"seed": 6})
    for name, value in started.recipe.encoders["image"].state_dict().items():
        torch.testing.assert_close(value, source.state_dict()[name])
    assert any("--init image.pt" in note and "weights used" in note for note in started.notes)
    with pytest.raises(PlacevecError, match="belong to another network"):
        build(dataset, config(base, init=str(tmp_path / "image.pt"), encoder="resnet-18"), {})
    with pytest.raises(PlacevecError, match="neither a file"):
        build(dataset, config(base, init="nowhere"), {})
    if importlib.util.find_spec("geoembed") is not None:
        assert type(build(dataset, config(base, init="geoembed"), {}).recipe.encoders["image"]) is ResNet18


def test_what_is_left_out_is_said(dataset: Dataset, base: str) -> None:
    """Texts that are cut; types that are not known; that validation has the steps that the places allow."""
    built = build(dataset, config(base, max_tokens=8), {})
    assert any("texts are longer than the 8 tokens" in note for note in built.notes)
    assert built.training.validation_steps == 1


def test_without_validation_all_places_are_trained_on(dataset: Dataset, base: str) -> None:
    """Oracle: every place that has a chip and a text; with a share of 0 nothing is held out, and nothing said of it."""
    built = build(dataset, config(base, validation_share=0.0), {"validation_steps": 0})
    assert len(built.split.rows("train")) == small.PLACES - 2
    assert not built.split.held_out
    assert not any("validation" in note for note in built.notes)
