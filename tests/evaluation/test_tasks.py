"""Tasks from OSM itself: labels, leaks, and what is too little."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

from placevec.datasets.views.pois import Poi, PoiTable, PoiWriter
from placevec.errors import EvaluationError
from placevec.evaluation.osm_tasks import LANDUSE_LEAKS, landuse_task, missing_labels, poi_task
from placevec.evaluation.tasks import Task, classes_task, leaking, sampled, without_leaking_groups
from placevec.geo import lonlat_to_tile_xy
from tests.evaluation.standin import USES, town


def test_land_use_is_the_dominant_class(tmp_path: Path) -> None:
    """Oracle: the class of most pixels under each footprint, counted with rasterio's own indexing."""
    dataset = town(tmp_path, km=6)
    task = landuse_task(dataset)  # type: ignore[arg-type]
    assert (task.name, task.kind, task.leaks) == ("landuse", "classification", LANDUSE_LEAKS)
    assert set(task.classes) == set(USES)
    assert len(task) > 400
    with rasterio.open(tmp_path / "landuse_coverage.tif") as file:
        shares, transform = file.read(), file.transform
    agreed = []
    for row, target in list(zip(task.rows, task.target, strict=True))[::7]:
        x0, y0, x1, y1 = dataset.footprints()[row]
        world = 2 * 20037508.342789244 / 2**14
        edges = (
            np.array([x0, x1]) * world - 20037508.342789244,
            20037508.342789244 - np.array([y0, y1]) * world,
        )
        left, right = (edges[0] - transform.c) / transform.a
        top, bottom = (edges[1] - transform.f) / transform.e
        window = shares[:, round(top) : round(bottom), round(left) : round(right)].reshape(3, -1).sum(axis=1)
        agreed.append(USES[int(window.argmax())] == task.classes[target])
    assert np.mean(agreed) > 0.95  # whole cells against parts of cells: ties may fall otherwise


def test_unlabeled_places_are_left_out(tmp_path: Path) -> None:
    dataset = town(tmp_path, km=6)
    with rasterio.open(tmp_path / "landuse_coverage.tif", "r+") as file:
        shares = file.read()
        shares[:, :, : shares.shape[2] // 2] = 0
        file.write(shares)
    task = landuse_task(dataset)  # type: ignore[arg-type]
    west = dataset.lonlat[:, 0] < np.median(dataset.lonlat[:, 0]) - 0.01
    assert not west[task.rows].any()
    assert len(task) > 150


def test_no_land_use_says_what_to_do(tmp_path: Path) -> None:
    dataset = town(tmp_path, km=2)
    (tmp_path / "landuse_coverage.tif").unlink()
    with pytest.raises(EvaluationError, match="prepare it from an OSM extract"):
        landuse_task(dataset)  # type: ignore[arg-type]
    with pytest.raises(EvaluationError, match=r"holds no pois\.parquet"):
        poi_task(dataset)  # type: ignore[arg-type]
    bare = missing_labels([tmp_path / "landuse_coverage.tif"], has_map=False)
    assert "OSM extract" not in bare, "of places without a map it would not help"
    assert "--labels" in bare


def test_rare_classes_are_left_out_and_one_class_is_no_task() -> None:
    labels = ["a"] * 30 + ["b"] * 25 + ["rare"] * 3 + [None] * 5
    task = classes_task("t", labels, np.arange(63) + 100)
    assert task.classes == ("a", "b")
    assert task.counts() == {"a": 30, "b": 25}
    assert list(task.rows) == list(range(100, 155))
    with pytest.raises(
        EvaluationError, match=r"two classes with 20 or more places .* there is only 1 .*a 30, rare 3"
    ):
        classes_task("t", ["a"] * 30 + ["rare"] * 3, np.arange(33))
    with pytest.raises(EvaluationError, match="largest classes: none"):
        classes_task("t", [None] * 9, np.arange(9))


def test_a_leak_is_what_is_seen_and_gives_away() -> None:
    task = classes_task("t", ["a", "b"] * 20, np.arange(40), leaks=("landcover", "leisure"))
    assert leaking(task, ("roads", "leisure")) == ("leisure",)
    assert leaking(task, ("roads",)) == ()


def test_a_place_twice_is_rejected() -> None:
    with pytest.raises(EvaluationError, match="each place may occur only once"):
        Task("t", "regression", np.zeros(2), np.array([1, 1]))


def test_selection_keeps_labels_with_their_places() -> None:
    task = classes_task("t", ["a", "b"] * 20, np.arange(40))
    part = task.taken(np.array([3, 5]))
    assert list(part.rows) == [3, 5]
    assert [part.classes[number] for number in part.target] == ["b", "b"]


def test_a_sample_loses_what_became_too_rare() -> None:
    """Classes keep their names and places, whatever their new numbers."""
    labels = np.array(["a"] * 300 + ["rare"] * 25 + ["z"] * 300, object)
    task = classes_task("t", labels, np.arange(625) * 2)
    part = sampled(task, 200)
    assert part.classes == ("a", "z")
    assert 150 < len(part) < 200
    assert [part.classes[number] for number in part.target] == list(labels[part.rows // 2])
    assert sampled(task, 625) is task
    groups = np.stack([np.arange(625) % 2 == 0, np.arange(625) < 25], axis=-1)
    several = sampled(Task("m", "multilabel", groups, np.arange(625), ("half", "rare")), 200)
    assert several.classes == ("half",)
    assert (several.target[:, 0] == (several.rows % 2 == 0)).all()


def test_points_of_interest(tmp_path: Path) -> None:
    """Closed form: a group is present exactly where one of its points lies in the footprint."""
    dataset = town(tmp_path, km=6)
    random = np.random.default_rng(0)
    points = random.uniform(dataset.lonlat.min(axis=0), dataset.lonlat.max(axis=0), (300, 2))
    often, other, seldom = PoiTable.default().groups[:3]
    groups = np.where(np.arange(300) < 3, seldom, np.where(np.arange(300) % 2 == 0, often, other))
    with PoiWriter(tmp_path / "pois.parquet") as writer:
        described = [Poi("amenity", "cafe", str(group), None, 0) for group in groups]
        writer.add(["node"] * 300, np.arange(300), points, described)
    task = poi_task(dataset)  # type: ignore[arg-type]
    assert (task.kind, task.leaks, task.classes) == ("multilabel", ("amenities",), (often, other))
    at = lonlat_to_tile_xy(points[:, 0], points[:, 1], dataset.zoom)
    box = dataset.footprints()[task.rows]
    inside = ((at[None] >= box[:, None, :2]) & (at[None] < box[:, None, 2:])).all(axis=2)
    for number, group in enumerate(task.classes):
        np.testing.assert_array_equal(task.target[:, number], inside[:, groups == group].any(axis=1))


def test_a_group_everywhere_or_nowhere_is_no_task(tmp_path: Path) -> None:
    dataset = town(tmp_path, km=2)
    group = PoiTable.default().groups[0]
    with PoiWriter(tmp_path / "pois.parquet") as writer:
        writer.add(["node"], np.arange(1), dataset.lonlat[:1], [Poi("amenity", "cafe", group, None, 0)])
    with pytest.raises(EvaluationError, match="no group is present at 20 or more of"):
        poi_task(dataset)  # type: ignore[arg-type]


def test_groups_that_other_layers_show_are_not_asked_about(tmp_path: Path) -> None:
    """A bus stop is a dot in the roads layer: a model that sees roads is not asked where bus stops are."""
    dataset = town(tmp_path, km=6)
    random = np.random.default_rng(0)
    points = random.uniform(dataset.lonlat.min(axis=0), dataset.lonlat.max(axis=0), (300, 2))
    kinds = [Poi("highway", "bus_stop", "transport", None, 0), Poi("amenity", "cafe", "food", None, 0)]
    with PoiWriter(tmp_path / "pois.parquet") as writer:
        writer.add(["node"] * 300, np.arange(300), points, [kinds[number % 2] for number in range(300)])
    task = poi_task(dataset)  # type: ignore[arg-type]
    assert dict(zip(task.classes, task.class_leaks, strict=True)) == {"food": (), "transport": ("roads",)}
    kept, given_away = without_leaking_groups(task, ("roads", "water"))
    assert (kept.classes, given_away) == (("food",), {"transport": ("roads",)})
    assert kept.target.shape == (len(task), 1)
    assert without_leaking_groups(task, ("water",)) == (task, {})
