"""The split of a run. Oracles: what its own samplers draw, distances on the ground, pandas reading the file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from placevec import api
from placevec.datasets.dataset import Dataset
from placevec.datasets.joined import JoinedDataset
from placevec.datasets.splits import EXCLUDED, FILE, RunSplit, Split, read_split, write_split
from placevec.errors import ModelError
from placevec.geo import distance_m, spatial_blocks
from placevec.recipes import recipe
from placevec.recipes.loc2vec.build import build
from placevec.recipes.sphere2vec import build as points_recipe
from tests.preparation.points.tables import globe, octant_points, octants, write_points

configure = recipe("loc2vec").configure
SMALL: dict[str, Any] = {
    "epochs": 1, "steps_per_epoch": 1, "batch_size": 16, "size_px": 32, "size_m": 60, "near_m": 20, "far_m": 100,
    "encoder": "compact-tile-cnn", "width": 8, "dim": 8,
}  # fmt: skip
QUICK: dict[str, Any] = {
    "epochs": 1, "scales": 4, "r_min": 0.1, "hidden": 8, "dim": 8, "batch_size": 64, "projector": 0,
    "steps_per_epoch": 1, "seed": 5,
}  # fmt: skip


def drawn(sampler: Any, slot: str, steps: int) -> set[int]:
    rows = [row for step in range(steps) for row in sampler.draw(step).looks[slot].rows.tolist()]
    return {row for row in rows if row >= 0}


# --- what it says is what was done --------------------------------------------------------------------------


def test_the_split_of_blocks_is_what_is_drawn(helsinki_dataset: Dataset) -> None:
    """All rows that anchors are drawn from are of it, and no training window comes near a validation window."""
    config, training = configure("default", {**SMALL, "block_m": 300.0, "validation_share": 0.15})
    built = build(helsinki_dataset, config, training)
    split, lonlat = built.split, helsinki_dataset.lonlat
    assert split.by == "blocks"
    train, held = split.rows("train"), split.rows("validation")
    assert built.places == len(train)
    assert drawn(built.recipe.sampler, "anchor", 200) == set(train)
    assert drawn(built.recipe.validation, "anchor", 100) == set(held)
    buffer = np.flatnonzero(split.excluded == EXCLUDED.index("buffer"))
    assert len(train) + len(held) + len(buffer) == len(helsinki_dataset)

    def nearest(rows: np.ndarray) -> np.ndarray:
        away = distance_m(
            lonlat[rows, None, 0], lonlat[rows, None, 1], lonlat[None, held, 0], lonlat[None, held, 1]
        )
        return np.asarray(away.min(axis=1))

    # straight-line distances fall short of the ground's by up to 1 part in 100,000
    assert nearest(train).min() > split.options["buffer_m"] * 0.9999
    assert nearest(buffer).max() < split.options["buffer_m"] * 1.0001
    assert split.block is not None
    assert set(split.block[held]).isdisjoint(split.block[train])
    np.testing.assert_array_equal(split.block, spatial_blocks(*lonlat.T, 300.0))


def test_places_that_were_not_drawn_are_no_training_places(helsinki_dataset: Dataset) -> None:
    config, training = configure("default", {**SMALL, "max_places": 40, "validation_share": 0.0})
    split = build(helsinki_dataset, config, training).split
    assert (split.by, split.held_out, len(split.rows("train"))) == ("nothing", {}, 40)
    assert (split.excluded == EXCLUDED.index("sample")).sum() == len(helsinki_dataset) - 40


@pytest.mark.parametrize("given", [False, True])
def test_the_split_of_labeled_points_is_what_is_drawn(tmp_path: Path, given: bool) -> None:
    lonlat = globe(900)
    values = octants(lonlat)
    values[:9], lonlat[9:14] = -1, np.nan
    dates = np.linspace(0, 1, 900)
    dates[14:20] = np.nan
    sides = np.random.default_rng(0).choice(3, 900, p=[0.6, 0.2, 0.2])
    dataset = write_points(
        tmp_path / "ds",
        lonlat,
        values,
        classes=tuple("abcdefgh"),
        dates=dates,
        split=sides if given else None,
    )
    config, training = recipe("sphere2vec").configure(
        "default", {"seasons": 1, "few_shot": 0.5, "batch_size": 50}
    )
    built = points_recipe.build(dataset, config, training)
    split = built.split
    train, held = split.rows("train"), split.rows("validation")
    assert drawn(built.recipe.sampler, "point", 60) == set(train)
    assert drawn(built.recipe.validation, "point", 60) == set(held)
    usable = np.arange(900) >= 20
    if given:
        assert split.by == "dataset"
        np.testing.assert_array_equal(split.rows("test"), np.flatnonzero(sides == 2))
        np.testing.assert_array_equal(held, np.flatnonzero(usable & (sides == 1)))
    else:
        assert split.by == "blocks"
        assert set(split.block[held]).isdisjoint(split.block[train])
    counts = {why: int((split.excluded == code).sum()) for code, why in enumerate(EXCLUDED)}
    kept = np.flatnonzero(split.code == 2)  # a test place is kept, whatever it lacks
    assert counts["label"] == 9 - (kept < 9).sum()
    assert counts["coordinates"] == 5 - ((kept >= 9) & (kept < 14)).sum()
    assert counts["date"] == 6 - ((kept >= 14) & (kept < 20)).sum()
    assert (
        counts["sample"]
        == (split.code == -1).sum() - counts["label"] - counts["coordinates"] - counts["date"]
    )
    assert counts["sample"] == pytest.approx(len(train), abs=8)


# --- on disk ------------------------------------------------------------------------------------------------


def test_training_writes_it_before_its_first_step(
    helsinki_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import placevec.training

    def never(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(placevec.training, "train", never)
    with pytest.raises(KeyboardInterrupt):
        api.train("loc2vec", helsinki_dataset, out=tmp_path / "run", projector=0, **SMALL)
    kept = read_split(tmp_path / "run")
    assert kept is not None
    split = kept.split_of(helsinki_dataset)
    assert split is not None
    config, training = configure("default", SMALL)
    np.testing.assert_array_equal(split.code, build(helsinki_dataset, config, training).split.code)
    monkeypatch.undo()
    with pytest.raises(ModelError, match="already holds a run"):
        api.train("loc2vec", helsinki_dataset, out=tmp_path / "run", projector=0, **SMALL)
    api.train("loc2vec", helsinki_dataset, out=tmp_path / "run", projector=0, resume=True, **SMALL)


def test_the_table_opens_anywhere(tmp_path: Path) -> None:
    dataset = octant_points(tmp_path / "ds", 300, split=np.random.default_rng(1).choice(3, 300))
    api.train("sphere2vec", dataset, out=tmp_path / "run", save_every=1, few_shot=0.5, **QUICK)
    table = pd.read_parquet(tmp_path / "run" / FILE)
    assert list(table.columns) == ["dataset", "place_id", "split", "excluded", "block"]
    assert table["place_id"].tolist() == dataset.places["place_id"].tolist()
    assert set(table["dataset"]) == {dataset.hash}
    labels = dataset.labels()
    assert (table["split"] == "test").tolist() == (labels.split == 2).tolist()
    assert table["split"].isna().equals(table["excluded"] == "sample")
    about = json.loads(pq.read_schema(tmp_path / "run" / FILE).metadata[b"placevec"])
    assert about["by"] == "dataset"
    checkpoint = tmp_path / "run" / "checkpoints" / "epoch-001" / FILE
    assert checkpoint.read_bytes() == (tmp_path / "run" / FILE).read_bytes()


def test_joined_datasets_and_one_to_validate_on_have_a_part_each(
    helsinki_dataset: Dataset, tmp_path: Path
) -> None:
    halves = [
        api.prepare(
            "loc2vec", osm_name="helsinki-center", out=tmp_path / name, bbox=box, spacing=80, size_m=60
        )
        for name, box in (("west", "24.93,60.16,24.944,60.184"), ("east", "24.944,60.16,24.958,60.184"))
    ]
    config, training = configure("default", {**SMALL, "block_m": 300.0})
    whole = build(JoinedDataset(halves), config, training).split
    options = {"projector": 0, "block_m": 300.0, **SMALL}
    api.train("loc2vec", halves, out=tmp_path / "run", **options)
    kept = read_split(tmp_path / "run")
    assert kept is not None
    found = [kept.split_of(half) for half in halves]
    np.testing.assert_array_equal(np.concatenate([one.code for one in found if one]), whole.code)
    assert kept.split_of(helsinki_dataset) is None
    api.train("loc2vec", halves[0], out=tmp_path / "other", validation=halves[1], **options)
    kept = read_split(tmp_path / "other")
    assert kept is not None
    first, second = (kept.split_of(half) for half in halves)
    assert first is not None and second is not None  # noqa: PT018
    assert (first.by, set(first.code), set(second.code)) == ("other dataset", {0}, {1})


def test_it_is_that_of_the_places_wherever_they_lie(tmp_path: Path) -> None:
    dataset = octant_points(tmp_path / "ds", 50)
    write_split(tmp_path, RunSplit.of_datasets([dataset], Split.of(50, train=np.arange(40))))
    shutil.copytree(tmp_path / "ds", tmp_path / "copy")
    kept = read_split(tmp_path)
    assert kept is not None
    assert kept.split_of(Dataset.open(tmp_path / "copy")) is not None
    assert kept.split_of(octant_points(tmp_path / "other", 51)) is None
    assert read_split(tmp_path / "nowhere") is None
    assert read_split(None) is None


@pytest.mark.parametrize(
    ("column", "values", "words"),
    [
        ("split", ["dev"], "values must be train, validation, test"),
        ("excluded", ["tired"], "values must be coordinates, label, date, image, sample, buffer"),
        ("place_id", [None], "a place has no ID"),
        ("block", ["one"], "it has no integer column named block"),
        ("dataset", [3], "it has no text column dataset"),
    ],
)
def test_damaged_columns_are_named(column: str, values: list[Any], words: str, tmp_path: Path) -> None:
    dataset = octant_points(tmp_path / "ds", 20)
    write_split(tmp_path, RunSplit.of_datasets([dataset], Split.of(20, train=np.arange(20))))
    table = pq.read_table(tmp_path / FILE)
    spoiled = table.set_column(
        table.column_names.index(column), column, pa.array(values * 20 if values[0] else [None, *"b" * 19])
    )
    pq.write_table(spoiled, tmp_path / FILE)
    with pytest.raises(ModelError, match=words):
        read_split(tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema_version": 2}, "has schema 2"),
        ({"by": "chance"}, "its metadata is not that of a split"),
        ({"datasets": []}, "it has 20 places"),
        ({"datasets": [{"name": "a"}]}, "hash is missing"),
        (None, "its metadata"),
    ],
)
def test_damaged_metadata_are_named(change: dict[str, Any] | None, words: str, tmp_path: Path) -> None:
    dataset = octant_points(tmp_path / "ds", 20)
    write_split(tmp_path, RunSplit.of_datasets([dataset], Split.of(20, train=np.arange(20))))
    table = pq.read_table(tmp_path / FILE)
    about = json.loads(table.schema.metadata[b"placevec"])
    metadata = None if change is None else {"placevec": json.dumps({**about, **change})}
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / FILE)
    with pytest.raises(ModelError, match=words):
        read_split(tmp_path)


# --- going on -----------------------------------------------------------------------------------------------


def test_a_run_goes_on_with_the_split_that_it_began_with(tmp_path: Path) -> None:
    """Another split is refused; a run of before splits were kept gets its own; another option is named first."""
    dataset = octant_points(tmp_path / "ds", 300)
    run = tmp_path / "run"
    api.train("sphere2vec", dataset, out=run, **QUICK)
    written = (run / FILE).read_bytes()
    longer = {**QUICK, "epochs": 2}
    (run / FILE).unlink()
    api.train("sphere2vec", dataset, out=run, resume=True, **longer)
    assert (run / FILE).read_bytes() == written
    with pytest.raises(ModelError, match="seed was 5, now 6"):
        api.train("sphere2vec", dataset, out=run, resume=True, **{**longer, "seed": 6})
    write_split(run, RunSplit.of_datasets([dataset], Split.of(300, train=np.arange(300))))
    with pytest.raises(ModelError, match=r"were split differently .*were in another split"):
        api.train("sphere2vec", dataset, out=run, resume=True, **{**longer, "epochs": 3})
    checkpointed = tmp_path / "checkpointed"
    api.train("sphere2vec", dataset, out=checkpointed, save_every=1, **QUICK)
    checkpoint = checkpointed / "checkpoints" / "epoch-001"
    api.train("sphere2vec", dataset, out=tmp_path / "on", resume=checkpoint, save_every=1, **longer)
    assert (tmp_path / "on" / FILE).read_bytes() == written
