"""The satellite view from scenes and ready chips to vectors: prepare, train, embed; chips that do not fit a model."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from placevec import api
from placevec.datasets.dataset import Dataset
from placevec.errors import PlacevecError, UsageError
from tests.encoders import tiny_text_model
from tests.osm_xml import OsmFile
from tests.sources.imagery.small_scenes import item_of, write_catalog, write_scene
from tests.sources.imagery.test_chip_layouts import npz

BANDS = ("B02", "B03", "B04", "B08")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_text_model.write(tmp_path_factory.mktemp("text") / "base"))


def trained(base: str, dataset: Dataset, out: Path, **options: Any) -> Any:
    given = {
        "views": ("satellite", "text"),
        "epochs": 1,
        "steps_per_epoch": 1,
        "batch_size": 16,
        "dim": 16,
        "width": 8,
    }
    return api.train("where2vec", dataset, out=out, text_model=base, **{**given, **options})


def named_places(path: Path) -> Path:
    """An extract of 24 named ponds and woods under the scenes of a test."""
    file = OsmFile()
    for number in range(24):
        lon, lat = 24.925 + 0.002 * (number % 6), 60.16 + 0.002 * (number // 6)
        corners = [(lon, lat), (lon + 0.0005, lat), (lon + 0.0005, lat + 0.0005), (lon, lat)]
        kind = {"natural": "water" if number % 2 else "wood"}
        file.way(corners, {"name": f"{'lake' if number % 2 else 'wood'} {number}", **kind})
    return file.write(path, (24.92, 60.155, 24.94, 60.17))


def test_one_command_for_entities_texts_and_chips(tmp_path: Path, base: str) -> None:
    """From an extract and a catalog to vectors of images; a model of pixels of 10 m refuses those of 20 m."""
    files = write_scene(tmp_path, "clear", added=1000, classes=lambda x, y: np.full(x.shape, 4))
    options = {
        "osm": named_places(tmp_path / "a.osm"), "chip_px": 16,
        "satellite": str(write_catalog(tmp_path, [item_of("clear", files, offset=-0.1)])),
    }  # fmt: skip
    dataset = api.prepare("where2vec", out=tmp_path / "ds", **options)
    assert dataset.view_names == ("text", "satellite")
    assert (len(dataset), dataset.manifest["report"]["satellite"]["stored"]) == (24, 24)
    model = trained(base, dataset, tmp_path / "run")
    vectors = api.embed(model, dataset, views="satellite").of("satellite")
    assert sorted(vectors.place_id) == sorted(dataset.places["place_id"])
    assert np.isfinite(vectors.vectors).all()
    coarser = api.prepare("where2vec", out=tmp_path / "coarser", pixel_m=20, **options)
    with pytest.raises(PlacevecError, match="pixels of 10 m, but the dataset's have 20 m"):
        api.embed(model, coarser, views="satellite")


def chips_dataset(path: Path, dtype: str, high: float) -> Dataset:
    """Places with founding chips of some numbers."""
    random = np.random.default_rng(0)
    folder = path.with_name(f"{path.name}_chips")
    table = path.with_name(f"{path.name}.csv")
    rows = ["place_id,lon,lat,kind"]
    for number in range(24):
        npz(folder / f"p{number}.npz", chip=(random.random((4, 16, 16)) * high).astype(dtype))
        rows.append(f"p{number},{25 + 0.05 * number},60,{'water' if number % 2 else 'forest'}")
    table.write_text("\n".join(rows))
    api.prepare("sphere2vec", points=table, label="kind", out=path)
    return api.prepare("where2vec", images=folder, out=path)


def test_numbers_of_another_range_are_refused(tmp_path: Path, base: str) -> None:
    """A model of reflectances is given raw numbers, as floats and as integers."""
    dataset = chips_dataset(tmp_path / "learned", "float32", 1.0)
    assert dataset.spec("satellite").values == "float32 as stored"
    write_words(dataset)
    model = trained(base, Dataset.open(dataset.path), tmp_path / "run")
    for dtype, told in (("float32", "float32 as stored, x 10,000"), ("uint16", "uint16 as stored")):
        other = chips_dataset(tmp_path / dtype, dtype, 28_000.0)
        with pytest.raises(
            PlacevecError, match=f"but the dataset has {told}: prepare the dataset in the same way"
        ):
            api.embed(model, other, views="satellite")


def write_words(dataset: Dataset) -> None:
    """Texts of places with classes, as ``--folder-words`` adds them."""
    from placevec.io.progress import SILENT
    from placevec.preparation.chips.folder_words import add_words

    add_words(dataset, created="2026-01-01T00:00:00+00:00", progress=SILENT)


def test_real_chips_of_two_collections(shared_data: Path, tmp_path: Path, base: str) -> None:
    """A smoke test: 200 EuroSAT chips are trained on with the words of their folders; 17 SatCLIP and 6 BigEarthNet chips
    get vectors. Twenty chips a class carry no claim."""
    folder = shared_data / "sentinel2"
    archive = folder / "BigEarthNet-S2-Example.tar.bz2"
    if not (folder / "eurosat_ms_200.zip").is_file() or not archive.is_file():
        pytest.skip("no chips of EuroSAT and BigEarthNet")
    dataset = api.prepare(
        "where2vec", images=folder / "eurosat_ms_200.zip", folder_words=True, out=tmp_path / "eurosat"
    )
    assert (len(dataset), dataset.spec("satellite").size_px, len(dataset.labels().classes)) == (200, 64, 10)
    model = trained(base, dataset, tmp_path / "run", bands=BANDS)
    assert len(api.embed(model, dataset, views="satellite").of("satellite")) == 200
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    given = (folder / "satclip_s2l2a", tmp_path / "BigEarthNet-S2-Example")
    others = api.prepare("where2vec", images=given, out=tmp_path / "others")
    vectors = api.embed(model, others, views="satellite").of("satellite")
    assert len(vectors) == 23
    assert np.isfinite(vectors.vectors).all()


def test_options_of_ready_chips(tmp_path: Path) -> None:
    for options, message in (
        ({"folder_words": True}, "--folder-words applies to existing chips"),
        ({"attribution": "us"}, "--attribution applies to existing chips"),
        ({"bands": "rgb"}, "--bands applies to chips"),
    ):
        with pytest.raises(UsageError, match=message):
            api.prepare("where2vec", osm_name="helsinki-center", out=tmp_path / "ds", **options)
