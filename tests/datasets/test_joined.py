"""Several datasets learned from together, the labels used in training, and what is then evaluated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from placevec import api
from placevec.core import Look
from placevec.datasets.joined import JoinedDataset
from placevec.datasets.views.pois import read_pois
from placevec.datasets.views.raster.coverage import Coverage
from placevec.errors import DatasetError, InputError
from placevec.evaluation.intrinsic import ELSEWHERE, TRAINED_ON
from placevec.evaluation.vectors import trained_on
from placevec.geo import Area
from placevec.models.model import Model
from placevec.recipes.loc2vec.targets import PlacesOf, landuse_contents, layer_contents, tag_contents

if TYPE_CHECKING:
    from placevec.datasets.dataset import Dataset

DROPPED = ("landcover", "natural-features", "leisure", "amenities")
WEST, EAST = "24.93,60.16,24.944,60.184", "24.944,60.16,24.958,60.184"


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> list[Dataset]:
    """Central Helsinki cut in two."""
    folder = tmp_path_factory.mktemp("halves")
    options: dict[str, Any] = {"osm_name": "helsinki-center", "spacing": 80, "size_m": 120}
    return [
        api.prepare("loc2vec", out=folder / name, bbox=box, **options)
        for name, box in (("west", WEST), ("east", EAST))
    ]


@pytest.fixture(scope="module")
def trained_labels(halves: list[Dataset], tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A model of both halves that learned what places hold, and no contrast."""
    return api.train(
        "loc2vec", halves, out=tmp_path_factory.mktemp("taught") / "run", epochs=2, steps_per_epoch=3, batch_size=16,
        size_px=32, size_m=120, drop_layers=DROPPED, predict=("layers", "landuse", "tags"),
        contrast_weight=0.0, max_places=60, encoder="shape-tile-cnn",
    )  # fmt: skip


def look_at(lonlat: np.ndarray) -> Look:
    return Look(torch.full((len(lonlat),), -1), torch.from_numpy(lonlat))


def test_every_place_is_read_from_its_own_map(halves: list[Dataset]) -> None:
    """Oracle: each dataset's own view; places of both in one batch, shuffled, turned and with layers off."""
    joined = JoinedDataset(halves)
    rows = np.random.default_rng(0).permutation(len(joined))[:40]
    view = joined.view("map").window(size_px=32, size_m=120.0)
    angle = torch.linspace(-1, 1, len(rows))
    keep = torch.rand(len(rows), 12, generator=torch.Generator().manual_seed(0)) > 0.3
    warp = {"angle": angle, "keep": keep}
    read = view.read(Look(torch.from_numpy(rows), torch.from_numpy(joined.lonlat[rows]), warp))
    owners = set()
    for at, row in enumerate(rows):
        number = int(row >= len(halves[0]))
        own = halves[number].view("map").window(size_px=32, size_m=120.0)
        one = {name: values[at : at + 1] for name, values in warp.items()}
        alone = own.read(Look(torch.tensor([row]), torch.from_numpy(joined.lonlat[rows[at : at + 1]]), one))
        assert torch.equal(read[at], alone[0])
        owners.add(number)
    assert owners == {0, 1}
    assert read.float().mean() > 0


def test_a_point_of_no_area_is_read_from_the_nearest(halves: list[Dataset]) -> None:
    view = JoinedDataset(halves).view("map")
    points = np.array([[24.92, 60.17], [24.97, 60.17], [np.nan, np.nan]])
    assert view.owner(points).tolist() == [0, 1, 0]


def test_joined_is_the_sum_of_its_parts(halves: list[Dataset], helsinki_dataset: Dataset) -> None:
    joined = JoinedDataset(halves)
    assert len(joined) == len(halves[0]) + len(halves[1]) == joined.first_row[-1]
    assert np.array_equal(joined.lonlat, np.concatenate([half.lonlat for half in halves]))
    assert joined.attribution == halves[0].attribution
    assert joined.hash not in {half.hash for half in halves}
    assert JoinedDataset(halves[:1]).hash == halves[0].hash
    with pytest.raises(InputError, match="given twice"):
        JoinedDataset([halves[0], halves[0]])
    with pytest.raises(InputError, match="no dataset"):
        JoinedDataset([])
    other = api.prepare(
        "loc2vec", osm_name="helsinki-center", out=halves[0].path.parent / "coarse", zoom=15, bbox=WEST
    )
    with pytest.raises(DatasetError, match="cannot be trained on together"):
        JoinedDataset([halves[0], other]).view("map")


def test_contents_are_what_lies_in_the_footprint(halves: list[Dataset]) -> None:
    """Oracles: the coverage grid read directly, and points counted in degrees one place at a time."""
    halves_of = [PlacesOf(half.path, half.footprints(), half.zoom) for half in halves]
    layers = layer_contents(halves_of, DROPPED)
    coverage = Coverage(halves[1].path / "map_coverage.tif")
    expected = coverage.fractions(halves[1].footprints(), halves[1].zoom)
    column = coverage.channels.index("leisure")
    assert np.array_equal(layers.shares[len(halves[0]) :, 2], expected[:, column])
    landuse = landuse_contents(halves_of)
    assert landuse.shares.shape == (len(halves[0]) + len(halves[1]), 8)
    assert np.nanmax(landuse.shares) <= 1.0

    tags = tag_contents(halves_of)
    pois = read_pois(halves[0].path / "pois.parquet")
    cafes = pois[(pois["key"] == "amenity") & (pois["value"] == "cafe")]
    found = tags.shares[: len(halves[0]), tags.names.index("amenity=cafe")]
    for row in range(0, len(halves[0]), 7):
        lon, lat = halves[0].lonlat[row]
        east = np.abs(cafes["lon"] - lon) * 111_320 * np.cos(np.radians(lat))
        north = np.abs(cafes["lat"] - lat) * 111_320
        away = np.maximum(east, north).to_numpy()
        if (
            len(away) and np.abs(away - 60.0).min() > 1.5
        ):  # not on the edge, where a sphere and an ellipsoid differ
            assert found[row] == float((away < 60.0).any())
    held = tags.shares.sum(axis=0)
    assert (held >= 20).all()
    assert (np.diff(held) <= 0).all()


def test_a_model_is_trained_and_says_so(trained_labels: Model, halves: list[Dataset]) -> None:
    assert trained_labels.recipe["config"]["predict"] == ["layers", "landuse", "tags"]
    assert trained_labels.training["areas"] == [half.area.as_dict() for half in halves]
    assert trained_labels.training["places"] <= 120
    assert set(trained_labels.seen).isdisjoint(DROPPED)
    vectors = trained_labels.vectors(halves[0], np.arange(4))
    assert vectors.shape == (4, 128)
    assert not np.allclose(np.linalg.norm(vectors, axis=1), 1.0)


@pytest.mark.usefixtures("small_probes")
def test_what_was_trained_is_not_asked_on_the_same_ground(
    trained_labels: Model, halves: list[Dataset]
) -> None:
    table = api.embed(trained_labels, halves[0])
    options: dict[str, Any] = {"dataset": halves[0], "model": trained_labels, "budget": "quick", "seeds": 1}
    report = api.evaluate(table, **options)
    assert not report.results
    assert sum("of these places, so evaluating" in line for line in report.skipped) == 2
    assert any("trained on layers and landuse" in line for line in report.skipped)
    assert any("these places are among them" in note for note in report.notes)
    assert report.label_free is not None
    assert report.label_free.basis == TRAINED_ON
    allowed = api.evaluate(table, **options, allow_leaks=True)
    assert not any("of these places, so evaluating" in line for line in allowed.skipped)
    assert any("was trained on layers" in note for note in allowed.notes)


@pytest.mark.usefixtures("small_probes")
def test_elsewhere_it_may_be_asked(trained_labels: Model, halves: list[Dataset]) -> None:
    """The same model, had it been trained far away; one that does not tell where is trusted nowhere."""
    places = halves[0].lonlat
    assert trained_on(trained_labels, places).all()
    far = replace(
        trained_labels, training={"areas": [Area(0, 0, 1, 1).as_dict()], "dataset_hash": "f" * 64}, path=None
    )
    assert not trained_on(far, places).any()
    table = api.embed(far, halves[0])
    report = api.evaluate(table, dataset=halves[0], model=far, budget="quick", seeds=1)
    assert not any("of these places, so evaluating" in line for line in report.skipped)
    assert any("these places are not among them" in note for note in report.notes)
    assert report.label_free is not None
    assert report.label_free.basis == ELSEWHERE
    for told in ({}, {"areas": "everywhere"}, {"areas": [{"west": "x"}]}):
        assert trained_on(replace(trained_labels, training=told), places).all()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"predict": ("weather",)}, "--predict 'weather' is unknown"),
        ({"contrast_weight": 0.0}, "there is no objective"),
        ({"max_places": 1}, "--max-places must be an integer of at least 2"),
        ({"predict": ("layers",)}, "drop_layers"),
    ],
)
def test_senseless_options_are_rejected(
    options: dict[str, Any], said: str, halves: list[Dataset], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=said):
        api.train("loc2vec", halves, out=tmp_path / "run", size_px=32, size_m=120, **options)
    assert not (tmp_path / "run").exists()
