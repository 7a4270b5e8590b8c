"""The public functions together: what is recorded, reused, resumed and refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from placevec import api
from placevec.core import Look
from placevec.datasets.dataset import Dataset
from placevec.errors import DatasetError, InputError, ModelError, PlacevecError
from placevec.inference import embed as parts
from placevec.models.model import Model
from tests.unsealed import unsealed


def test_a_model_is_its_files(helsinki_run: Path, helsinki_dataset: Dataset, tmp_path: Path) -> None:
    """Saved, loaded and moved, it has the same hash and gives the same vectors."""
    model = Model.load(helsinki_run)
    model.save(tmp_path / "copy")
    again = Model.load(tmp_path / "copy")
    assert again.hash == model.hash
    rows = np.arange(20)
    assert np.array_equal(again.vectors(helsinki_dataset, rows), model.vectors(helsinki_dataset, rows))
    card = (tmp_path / "copy" / "MODEL_CARD.md").read_text()
    assert "OpenStreetMap contributors" in card
    assert "landcover" in card


def test_vectors_are_what_the_encoder_makes_of_the_view(
    helsinki_run: Path, helsinki_dataset: Dataset
) -> None:
    """Oracle: the encoder called by hand on the window read by hand, place by place."""
    model = Model.load(helsinki_run)
    spec = model.specs["map"]
    view = helsinki_dataset.view("map").window(size_px=64, size_m=120.0, channels=spec.channels)
    vectors = model.vectors(helsinki_dataset, np.arange(5))
    for row in range(5):
        look = Look(torch.tensor([row]), torch.from_numpy(helsinki_dataset.lonlat[[row]]))
        with torch.inference_mode():
            one = model.modules["tile"](view.read(look)).numpy()
        assert np.allclose(vectors[row], one[0], atol=1e-5)


def test_untrained_is_the_same_shape_with_other_weights(
    helsinki_run: Path, helsinki_dataset: Dataset
) -> None:
    model = Model.load(helsinki_run)
    before = torch.random.get_rng_state()
    fresh, same, other = model.untrained(1), model.untrained(1), model.untrained(2)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert fresh.hash == same.hash
    assert len({model.hash, fresh.hash, other.hash}) == 3
    assert fresh.parameters == model.parameters


def test_embedding_goes_on_where_it_was_killed(
    helsinki_run: Path, helsinki_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped in the second part, the next call reads the first from disk and ends with the same table."""
    monkeypatch.setattr(parts, "EMBED_PART", 100)
    whole = api.embed(helsinki_run, helsinki_dataset, out=tmp_path / "whole.parquet")
    calls = 0
    original = Model.encode

    def interrupted(*arguments: object, **options: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return original(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Model, "encode", interrupted)
    with pytest.raises(KeyboardInterrupt):
        api.embed(helsinki_run, helsinki_dataset, out=tmp_path / "cut.parquet")
    assert not (tmp_path / "cut.parquet").exists()
    monkeypatch.setattr(Model, "encode", original)
    resumed = api.embed(helsinki_run, helsinki_dataset, out=tmp_path / "cut.parquet")
    assert np.array_equal(whole.vectors, resumed.vectors)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut.parquet", "whole.parquet"]


def test_parts_of_another_model_are_not_reused(
    helsinki_run: Path, helsinki_dataset: Dataset, tmp_path: Path
) -> None:
    work = tmp_path / ".x.parquet.work"
    work.mkdir()
    (work / "inputs.json").write_text(json.dumps({"model": "another"}))
    np.save(work / "part-000000.npy", np.zeros((len(helsinki_dataset), 128), np.float32))
    table = api.embed(helsinki_run, helsinki_dataset, out=tmp_path / "x.parquet")
    assert np.abs(table.vectors).sum() > 0


def test_a_point_is_embedded_afresh_when_the_dataset_is_at_hand(helsinki_table: Path, tmp_path: Path) -> None:
    """Two meters from a place the fresh vector is nearly the table's; at the place it is the table's own."""
    table = api.load_embeddings(helsinki_table)
    lon, lat = table.lonlat[7]
    found = api.similar(table, lon=lon, lat=lat + 2 / 111_000, k=1, min_distance_m=0)
    assert found.attrs["query"]["embedded_afresh"]
    assert found.place_id[0] == table.place_id[7]
    assert found["distance"][0] == pytest.approx(0.0, abs=0.01)
    there = api.similar(table, lon=lon, lat=lat, k=1, min_distance_m=0).attrs["query"]
    assert (there["embedded_afresh"], there["place_id"]) == (False, table.place_id[7])
    lost = api.load_embeddings(helsinki_table)
    lost.provenance = type(lost.provenance)(
        **{**vars(lost.provenance), "dataset_path": str(tmp_path / "gone")}
    )
    nearest = api.similar(lost, lon=lon + 0.0001, lat=lat, k=1)
    assert not nearest.attrs["query"]["embedded_afresh"]
    assert 5 < nearest.attrs["query"]["distance_m"] < 6


def test_searching_by_name(helsinki_table: Path) -> None:
    table = api.load_embeddings(helsinki_table)
    name = next(str(item) for item in table.names if item)
    assert len(api.similar(table, name=name[:6].lower(), k=3)) == 3
    assert api.similar(table, name=name, k=1).attrs["query"]["name"]
    with pytest.raises(InputError, match="no place is named"):
        api.similar(table, name="Atlantis")
    with pytest.raises(InputError, match="did you mean"):
        api.similar(table, name=name[:-1] + "??")


def test_a_model_and_a_dataset_that_do_not_fit(
    helsinki_run: Path, helsinki_dataset: Dataset, tmp_path: Path
) -> None:
    """Another layer table, or layers that are not there, are refused in one line that says so."""
    other = tmp_path / "table.toml"
    other.write_text('[[layer]]\nname = "buildings"\nrules = [{ key = "building", fill = true }]\n')
    dataset = api.prepare(
        "loc2vec", osm_name="helsinki-center", out=tmp_path / "d", layers=other, spacing=200
    )
    with pytest.raises(ModelError, match="lacks"):
        api.embed(helsinki_run, dataset)
    config = json.loads((helsinki_run / "config.json").read_text())
    broken = Path(shutil.copytree(helsinki_run, tmp_path / "run"))
    config["reads"]["map"]["spec"]["rules"] = "0" * 64
    (broken / "config.json").write_text(json.dumps(unsealed(config)))
    with pytest.raises(ModelError, match="different rules"):
        api.embed(broken, helsinki_dataset)


def test_damaged_models_are_one_clear_error(helsinki_run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(helsinki_run, tmp_path / "run"))
    weights = (run / "model.safetensors").read_bytes()
    for content in (b"", weights[:100], weights[:-5], b"\xff" * 1000):
        (run / "model.safetensors").write_bytes(content)
        with pytest.raises(ModelError):
            Model.load(run)
    (run / "model.safetensors").write_bytes(weights)
    config = json.loads((run / "config.json").read_text())
    for change in (
        {"schema_version": 99}, {"format": "x"}, {"encoders": {}}, {"reads": {"map": {}}},
        {"encoders": {"tile": {"type": "os.system", "options": {}}}},
        {"encoders": {"tile": {"type": "compact-tile-cnn", "options": {"width": 10**9}}}},
    ):  # fmt: skip
        (run / "config.json").write_text(json.dumps(unsealed({**config, **change})))
        with pytest.raises(ModelError):
            Model.load(run)


def test_vectors_of_another_dataset_are_not_evaluated_against_this_one(
    helsinki_table: Path, tmp_path: Path
) -> None:
    other = api.prepare("loc2vec", osm_name="helsinki-center", out=tmp_path / "other", spacing=150)
    with pytest.raises(PlacevecError, match="a different dataset"):
        api.evaluate(helsinki_table, dataset=other)
    table = api.load_embeddings(helsinki_table)
    table.provenance = type(table.provenance)(**{**vars(table.provenance), "dataset_path": ""})
    with pytest.raises(DatasetError, match="--dataset"):
        api.evaluate(table)


@pytest.mark.parametrize(
    "wrong",
    [
        {"drop_layers": ("lava",)}, {"near_m": 500.0, "far_m": 100.0}, {"size_px": 2}, {"batch_size": 1},
        {"encoder": "resnet-9000"}, {"epochz": 3}, {"preset": "best"}, {"dim": 0},
        {"far_m": 90_000.0, "objective": "triplet"},
    ],
)  # fmt: skip
def test_wrong_options_end_before_anything_is_written(
    helsinki_dataset: Dataset, tmp_path: Path, wrong: dict[str, object]
) -> None:
    with pytest.raises(PlacevecError):
        api.train("loc2vec", helsinki_dataset, out=tmp_path / "run", **wrong)  # type: ignore[arg-type]
    assert not (tmp_path / "run" / "state").exists()


def test_the_founding_preset_trains(helsinki_dataset: Dataset, tmp_path: Path) -> None:
    """The original network and objective, on small tiles so that the test is quick."""
    model = api.train(
        "loc2vec", helsinki_dataset, out=tmp_path / "run", preset="founding", epochs=1, steps_per_epoch=2, batch_size=4,
        validation_steps=1, size_px=32, size_m=100.0, near_m=100.0, far_m=300.0,
    )  # fmt: skip
    assert model.recipe["config"]["objective"] == "triplet-swap"
    assert model.config()["encoders"]["tile"]["type"] == "founding-tile-cnn"


def test_a_run_interrupted_before_its_first_checkpoint(helsinki_dataset: Dataset, tmp_path: Path) -> None:
    """What it left is a run: refused without a word of what to do, resumed from the start, or replaced."""
    run = tmp_path / "run"
    options = {
        "epochs": 1,
        "steps_per_epoch": 2,
        "size_px": 32,
        "size_m": 100.0,
        "near_m": 40.0,
        "far_m": 200.0,
    }
    for again in ({"resume": True}, {"force": True}):
        run.mkdir(exist_ok=True)
        (run / "metrics.jsonl").write_text("")
        if not (run / "state").exists():
            with pytest.raises(ModelError, match="--resume"):
                api.train("loc2vec", helsinki_dataset, out=run, **options)  # type: ignore[arg-type]
        api.train("loc2vec", helsinki_dataset, out=run, **options, **again)  # type: ignore[arg-type]
        shutil.rmtree(run)
    run.mkdir()
    (run / "thesis.tex").touch()
    with pytest.raises(ModelError, match="is not a run"):
        api.train("loc2vec", helsinki_dataset, out=run, force=True, **options)  # type: ignore[arg-type]


def test_files_can_be_read_by_colleagues(helsinki_run: Path) -> None:
    """Invariant: every file a run wrote has the same permissions."""
    assert len({path.stat().st_mode for path in helsinki_run.iterdir() if path.is_file()}) == 1


def test_vectors_go_into_a_parquet_file(
    helsinki_run: Path, helsinki_dataset: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"y\.txt"):
        api.embed(helsinki_run, helsinki_dataset, out=tmp_path / "y.txt")


@pytest.mark.parametrize("objective", ["triplet", "softpn"])
def test_every_objective_trains(helsinki_dataset: Dataset, tmp_path: Path, objective: str) -> None:
    model = api.train(
        "loc2vec", helsinki_dataset, out=tmp_path / "run", objective=objective, epochs=1, steps_per_epoch=2,
        validation_steps=1, batch_size=8, size_px=32, size_m=100.0, near_m=40.0, far_m=200.0,
    )  # fmt: skip
    assert np.isfinite(model.vectors(helsinki_dataset, np.arange(3))).all()
