"""Damage to bytes that placevec wrote is found when they are read, or by `validate`.

Oracle: what was read before. Each file of a dataset, a run and a table has bits flipped, one at a time, at random.
"""

from __future__ import annotations

import contextlib
import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import from_origin

from placevec import api, embeddings
from placevec.core import Look
from placevec.datasets.dataset import Dataset
from placevec.embeddings import precomputed
from placevec.errors import PlacevecError
from placevec.inference.cell_raster import CellRaster, write_cells
from placevec.io import gdal, parquet
from placevec.io.checksums import changes
from placevec.models.files import damage
from placevec.training.log import damage_of_log
from placevec.training.state import damage_of_state
from tests.inference.closed_form import closed_form
from tests.unsealed import unsealed

FLIPS = 200
VIEW = "image_features"


def flipped(path: Path, flips: int = FLIPS) -> Iterator[int]:
    """Flip one bit of a file at a time; in the end it is as before."""
    raw, draw = path.read_bytes(), random.Random(path.name)
    for _ in range(flips):
        at, bit = draw.randrange(len(raw)), 1 << draw.randrange(8)
        with open(path, "r+b") as file:
            file.seek(at)
            file.write(bytes([raw[at] ^ bit]))
        yield at
        with open(path, "r+b") as file:
            file.seek(at)
            file.write(raw[at : at + 1])


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def points(tmp_path: Path) -> Path:
    """Labeled chips."""
    for number in range(12):
        file = tmp_path / "photos" / "ab"[number % 2] / f"{number}.tif"
        file.parent.mkdir(parents=True, exist_ok=True)
        where = {"crs": "EPSG:32635", "transform": from_origin(400_000 + 5000 * number, 6_700_000, 10, 10)}
        with rasterio.open(
            file, "w", driver="GTiff", width=6, height=6, count=3, dtype="uint8", **where
        ) as made:
            made.write(np.random.default_rng(number).integers(1, 255, (3, 6, 6), np.uint8))
    api.prepare(
        "sphere2vec", images=tmp_path / "photos", bands="rgb", label="folder", out=tmp_path / "points"
    )
    return tmp_path / "points"


def test_every_file_of_a_dataset(helsinki_dataset: Dataset, points: Path, tmp_path: Path) -> None:
    """A few flips through `validate`, many through what it calls for each file."""
    held = set()
    for folder in (Path(shutil.copytree(helsinki_dataset.path, tmp_path / "ds")), points):
        assert api.validate(folder).problems == []
        manifest = Dataset.open(folder).manifest
        names = {path.relative_to(folder).as_posix() for path in files_of(folder)}
        assert names == {*manifest["files"], "dataset.json"}
        assert manifest["places"]["sha256"] == manifest["files"]["places.parquet"]
        held |= names
        for name in sorted(names):
            for at in flipped(folder / name, 1):
                assert not api.validate(folder).usable, (name, at)
            for at in flipped(folder / name) if name in manifest["files"] else ():
                assert changes(folder, {name: manifest["files"][name]}), (name, at)
    assert {"chips/0000.npy", "chips.parquet", "labels.parquet", "map.vrt", "pois.parquet"} <= held


def test_a_manifest_that_lost_its_checksum_is_read_but_not_valid(points: Path) -> None:
    """As somebody who edits it does; `validate` no longer can say that it is as written."""
    channels = Dataset.open(points).spec(VIEW).channels
    manifest = json.loads((points / "dataset.json").read_text())
    manifest["views"][VIEW]["spec"]["channels"].reverse()
    (points / "dataset.json").write_text(json.dumps(manifest))
    with pytest.raises(PlacevecError, match="has changed since placevec wrote it"):
        Dataset.open(points)
    (points / "dataset.json").write_text(json.dumps(unsealed(manifest)))
    assert Dataset.open(points).spec(VIEW).channels == channels[::-1]
    assert api.validate(points).problems == [f"{points / 'dataset.json'} has no checksum"]


def test_the_hash_covers_content(points: Path) -> None:
    """A shard struck from the manifest, reversed channels and another file each make another dataset."""
    dataset = Dataset.open(points)
    hashes = {dataset.hash}
    for change in ("channels", "shard", "content"):
        manifest = json.loads((points / "dataset.json").read_text())
        if change == "channels":
            manifest["views"][VIEW]["spec"]["channels"].reverse()
        elif change == "shard":
            del manifest["files"]["chips/0000.npy"]
        else:
            manifest["files"]["chips/0000.npy"] = "0" * 64
        hashes.add(Dataset(points, manifest).hash)
    assert len(hashes) == 4


def test_flips_in_a_map_never_change_what_is_read(helsinki_dataset: Dataset, tmp_path: Path) -> None:
    """Flips in blocks are found on reading them (ZSTD has checksums); others in the table, or by `validate`."""
    folder = Path(shutil.copytree(helsinki_dataset.path, tmp_path / "ds"))
    look = Look(
        torch.arange(0, len(helsinki_dataset), 9), torch.from_numpy(helsinki_dataset.lonlat[::9].copy())
    )
    before = helsinki_dataset.view("map").read(look)
    assert isinstance(before, torch.Tensor)
    found = 0
    for _ in flipped(next((folder / "map").glob("*.tif")), 8):
        try:
            after = Dataset.open(folder).view("map").read(look)
        except PlacevecError:
            found += 1
        else:
            assert torch.equal(before, after)
    assert found > 3


def test_every_file_of_a_run(helsinki_run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(helsinki_run, tmp_path / "run"))
    assert api.validate(run).problems == []
    assert api.validate(run).kind == "run"
    state = next(run.glob("state/step-*"))
    for path in files_of(run):
        for at in flipped(path, 1):
            assert not api.validate(run).usable, (path, at)
        look: Callable[[Path], object] = (
            (lambda _: damage_of_state(state)) if path.parent == state
            else (lambda _: parquet.damage(run / "split.parquet")) if path.name == "split.parquet"
            else damage if path.name in ("model.safetensors", "MODEL_CARD.md")
            else damage_of_log
        )  # fmt: skip
        for at in flipped(path) if path.name != "config.json" else ():
            assert look(run), (path, at)
    for at in flipped(run / "config.json"):
        with contextlib.suppress(PlacevecError):
            assert damage(run), at
    assert api.validate(run).problems == []


def test_every_flip_in_a_table_of_vectors(helsinki_table: Path, tmp_path: Path) -> None:
    """`validate` finds each; whoever reads it gets an error or the same vectors."""
    table = Path(shutil.copy(helsinki_table, tmp_path / "e.parquet"))
    before = embeddings.load(table)
    assert api.validate(table).problems == []
    assert api.validate(table).kind == "embeddings"
    for at in flipped(table):
        assert parquet.damage(table), at
    found = 0
    for _ in flipped(table, 60):
        try:
            after = embeddings.load(table)
        except PlacevecError:
            found += 1
        else:
            assert np.array_equal(before.of().vectors, after.of().vectors)
            assert before.of().provenance == after.of().provenance
    assert found > 50
    (tmp_path / "none.parquet").write_bytes(b"PAR1")
    assert not api.validate(tmp_path / "none.parquet").usable
    assert not api.validate(tmp_path / "absent.parquet").usable


def test_every_flip_in_indexes_and_projections(tmp_path: Path) -> None:
    """`validate` of the table, of their folder or of one of them finds each; whoever uses one gets the same answer."""
    draw = np.random.default_rng(0)
    none = [None] * 300
    table = embeddings.Embeddings(
        [str(row) for row in range(300)], draw.normal(size=(300, 8)), draw.uniform(-80, 80, (300, 2)), none, none, "map",
        embeddings.Provenance("m", "d"),
    )  # fmt: skip
    table.save(tmp_path / "e.parquet")
    api.precompute(tmp_path / "e.parquet", algorithms=["pca"], backend="exact", storage="int8")
    folder = tmp_path / "e.precomputed"
    assert len(files_of(folder)) == 4
    for path in (tmp_path / "e.parquet", folder, *files_of(folder)):
        assert api.validate(path).problems == []
    assert api.validate(folder).kind == "precomputed"
    asked = {"place": "7", "k": 5, "storage": "int8"}
    before = api.similar(embeddings.load(tmp_path / "e.parquet"), **asked)["distance"].tolist()
    for path in files_of(folder):
        for at in flipped(path):
            assert precomputed.damage(folder), (path, at)
    for path in files_of(folder):
        for at in flipped(path, 1):
            assert not api.validate(tmp_path / "e.parquet").usable
            after = api.similar(embeddings.load(tmp_path / "e.parquet"), **asked)["distance"].tolist()
            assert after == before, (path, at)
    files_of(folder)[0].rename(folder / "other.npy")
    assert len(api.validate(folder).problems) == 2


def test_every_flip_in_predicted_rasters(tmp_path: Path) -> None:
    """Both writers; a file that another program wrote again is not called as it was written, and opens as before."""
    place = np.arange(300 * 40).reshape(300, 40) % 7 - 1
    cells = CellRaster("EPSG:3857", 2.7e6, 8.4e6, 50.0, place)
    write_cells(
        cells, {"share": np.random.default_rng(0).random(6)}, tmp_path / "cells.tif", {"ATTRIBUTION": "n"}
    )
    closed_form(tmp_path / "model")
    api.predict(tmp_path / "model", out=tmp_path / "world.tif", classes=["east"], resolution=0.5)
    for name in ("cells.tif", "world.tif"):
        path = tmp_path / name
        assert api.validate(path).problems == []
        assert api.validate(path).kind == "raster"
        for at in flipped(path):
            assert gdal.damage(path), (name, at)
        with rasterio.open(path, "r+") as file:
            file.update_tags(MORE="x" * 500)
        assert "its size has changed" in api.validate(path).problems[0]
    assert not api.validate(tmp_path / "absent.tif").usable
