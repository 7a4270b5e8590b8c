"""Datasets of images: where they lie, what they show, labels by folder, and killed runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rasterio
import torch
from rasterio.transform import from_origin

from placevec.core import Look
from placevec.datasets import additions
from placevec.datasets.additions import Addition
from placevec.datasets.dataset import Dataset
from placevec.datasets.views.chips import ChipsView
from placevec.datasets.views.features import FeaturesView
from placevec.errors import DatasetError, SourceError, UsageError
from placevec.io import atomic
from placevec.io.progress import SILENT
from placevec.preparation.chips import images as image_points
from placevec.preparation.chips.shards import ChipWriter
from placevec.preparation.chips.statistics import chip_features
from placevec.preparation.points.options import ImageOptions

pytestmark = pytest.mark.filterwarnings("ignore:Dataset has no geotransform")


def image(seed: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(1, 4000, (3, 6, 6)).astype(np.uint16)


def write(path: Path, seed: int, **where: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    size = {"width": 6, "height": 6, "count": 3, "dtype": "uint16"}
    with rasterio.open(path, "w", driver="GTiff", **size, **where) as file:
        file.write(image(seed))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve chips of two classes in UTM zone 35, one that lies nowhere, and one that is damaged."""
    folder = tmp_path / "chips"
    for number in range(12):
        where = from_origin(400_000 + 5000 * number, 6_700_000 - 9000 * number, 10, 10)
        path = folder / ("Forest" if number % 2 else "River") / f"{number:02d}.tif"
        write(path, number, crs="EPSG:32635", transform=where)
    write(folder / "nowhere.tif", 99)
    (folder / "River" / "broken.tif").write_bytes(b"II*\0 and no more")
    return folder


def prepare(out: Path, **options: Any) -> Dataset:
    progress = options.pop("progress", SILENT)
    return image_points.prepare(
        out, ImageOptions(**options), created="2026-01-01T00:00:00+00:00", progress=progress
    )


def test_chips_become_places_with_images_and_labels(folder: Path, tmp_path: Path) -> None:
    """Oracle: what was written: pixels, folders, the projection of the middle; statistics of the same pixels."""
    from pyproj import Transformer

    dataset = prepare(tmp_path / "ds", images=folder, label="folder", attribution="us")
    assert len(dataset) == 12
    assert dataset.attribution == "us"
    assert dataset.view_names == ("coordinates", "chips", "image_features")
    ids = dataset.places["place_id"].tolist()
    there = Transformer.from_crs("EPSG:32635", "EPSG:4326", always_xy=True)
    labels = dataset.labels()
    chips, features = dataset.view("chips"), dataset.view("image_features")
    assert isinstance(chips, ChipsView)
    assert isinstance(features, FeaturesView)
    assert dataset.manifest["places"]["size_m"] == pytest.approx(60, abs=0.5)
    for row, name in enumerate(ids):
        number = int(name.split("/")[1])
        assert labels.classes[labels.values[row]] == ("Forest" if number % 2 else "River")
        middle = (400_030 + 5000 * number, 6_699_970 - 9000 * number)
        assert dataset.lonlat[row].tolist() == pytest.approx(there.transform(*middle), abs=1e-9)
        pixels = torch.from_numpy(image(number)[None].astype(np.float32))
        look = Look(torch.tensor([row]))
        assert torch.equal(chips.read(look), pixels)
        torch.testing.assert_close(features.read(look), chip_features(pixels, chips.spec.channels, 1e-4))
    again = prepare(tmp_path / "ds", images=folder, label="folder", attribution="us")
    assert again.hash == dataset.hash


def test_a_run_killed_at_any_stage_goes_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Oracle: the dataset of a run that was not killed."""
    whole = prepare(tmp_path / "whole", images=folder)
    stages: list[tuple[Any, str]] = [(image_points, name) for name in ("_with_chips", "_with_chip_features")]
    stages += [(ChipWriter, "finish"), (image_points, "write_features")]
    stages += [(Addition, "ready"), (Addition, "join"), (atomic, "move_files")]
    for number, (owner, stage) in enumerate(stages):
        out = tmp_path / str(number)
        with monkeypatch.context() as patched:

            def dies(*args: Any, **options: Any) -> Any:
                raise KeyboardInterrupt

            patched.setattr(owner, stage, dies)
            with pytest.raises(KeyboardInterrupt):
                prepare(out, images=folder)
        assert prepare(out, images=folder).hash == whole.hash
        assert not list(out.glob(".*"))


def test_a_run_killed_right_after_a_part_joined_leaves_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = prepare(tmp_path / "whole", images=folder)
    with monkeypatch.context() as patched:
        patched.setattr(additions, "settled", lambda dataset, *_: dataset)
        prepare(tmp_path / "ds", images=folder)
    assert additions.unfinished(tmp_path / "ds") == ["chips", "image_features"]
    assert prepare(tmp_path / "ds", images=folder).hash == whole.hash
    assert not list((tmp_path / "ds").glob(".*"))


def test_other_images_are_rejected(folder: Path, tmp_path: Path) -> None:
    prepare(tmp_path / "ds", images=folder)
    for path in (folder / "Forest").iterdir():
        path.unlink()
    with pytest.raises(DatasetError, match="--force"):
        prepare(tmp_path / "ds", images=folder)


def test_two_folders_and_features_of_ones_own(folder: Path, tmp_path: Path) -> None:
    """Oracle: the numbers that were brought, found by name."""
    names = [
        f"{side}/{number:02d}" for side, odd in (("Forest", 1), ("River", 0)) for number in range(odd, 12, 2)
    ]
    numbers = np.random.default_rng(3).standard_normal((12, 5)).astype(np.float32)
    table = pa.table({"place_id": [f"chips/{name}" for name in names[:11]], "vector": numbers[:11].tolist()})
    pq.write_table(table, tmp_path / "f.parquet")
    (tmp_path / "more").mkdir()
    (folder / "nowhere.tif").rename(tmp_path / "more" / "nowhere.tif")
    dataset = prepare(
        tmp_path / "ds", images=[folder, tmp_path / "more"], image_features=tmp_path / "f.parquet"
    )
    assert dataset.places["place_id"][0] == "chips/Forest/01"
    features = dataset.view("image_features")
    assert isinstance(features, FeaturesView)
    assert int(features.known.sum()) == 11
    found = features.read(Look(torch.arange(12))).numpy()
    rows = {name: row for row, name in enumerate(dataset.places["place_id"])}
    for name, vector in zip(names[:11], numbers, strict=False):
        assert np.array_equal(found[rows[f"chips/{name}"]], vector)


def test_features_join_a_table_of_points(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("lon,lat\n" + "".join(f"{lon},{lon / 2}\n" for lon in range(6)))
    numbers = np.arange(18.0).reshape(6, 3)
    np.save(tmp_path / "f.npy", numbers)
    dataset = prepare(tmp_path / "ds", points=tmp_path / "p.csv", image_features=tmp_path / "f.npy")
    view = dataset.view("image_features")
    assert np.array_equal(view.read(Look(torch.arange(6))).numpy(), numbers.astype(np.float32))  # type: ignore[union-attr]
    assert (
        prepare(tmp_path / "ds", points=tmp_path / "p.csv", image_features=tmp_path / "f.npy").hash
        == dataset.hash
    )
    np.save(tmp_path / "f.npy", numbers + 1)
    with pytest.raises(DatasetError, match=r"made from other inputs: .*features"):
        prepare(tmp_path / "ds", points=tmp_path / "p.csv", image_features=tmp_path / "f.npy")


def test_what_does_not_go_together(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "ds"
    with pytest.raises(UsageError, match="--points applies to a table"):
        prepare(out, images=folder, points="p.csv")
    with pytest.raises(UsageError, match="--label folder"):
        prepare(out, images=folder, label="species")
    with pytest.raises(UsageError, match="needs --images"):
        prepare(out, points="p.csv", bands="rgb")
    with pytest.raises(SourceError, match="features"):
        prepare(out, images=folder, image_features=tmp_path / "none.npy")
    (tmp_path / "only").mkdir()
    (folder / "nowhere.tif").rename(tmp_path / "only" / "a.tif")
    with pytest.raises(SourceError, match="has a location"):
        prepare(out, images=tmp_path / "only")
    (tmp_path / "only" / "a.tif").write_bytes(b"no image")
    with pytest.raises(SourceError, match="1 of 1 images have content that cannot be read"):
        prepare(out, images=tmp_path / "only")
    assert not out.exists()


def test_chips_of_earlier_versions_stay_beside_new_ones(tmp_path: Path) -> None:
    """Oracle: the rows that were there, in a table without the columns that came since."""
    first = ChipWriter(tmp_path, "old", {"of": "before"})
    first.add("a", image(1), ("B02", "B03", "B04"), source="1.tif", date="2020-05-01")
    first.finish()
    table = pq.read_table(tmp_path / "chips.parquet").drop_columns(["offset_applied", "nodata", "cloud"])
    pq.write_table(table, tmp_path / "chips.parquet")
    second = ChipWriter(tmp_path, "new", {"of": "now"})
    second.add(
        "a", image(2), ("B02", "B03", "B04"), source="2.tif", offset_applied=-1000, nodata=0.25, cloud=0.5
    )
    second.finish()
    both = pq.read_table(tmp_path / "chips.parquet")
    assert both.select(table.column_names).slice(0, 1).to_pylist() == table.to_pylist()
    assert both["offset_applied"].to_pylist() == [None, -1000.0]
    assert both["nodata"].to_pylist() == [None, 0.25]
    assert both["shard"].to_pylist() == [0, 1]
