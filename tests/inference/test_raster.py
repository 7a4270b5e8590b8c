"""GeoTIFFs of answers: every cell is what the model says at its middle, wherever the box lies."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from shapely.geometry import box
from shapely.geometry.base import BaseGeometry

from placevec.errors import PlacevecError
from placevec.geo import Area
from placevec.inference import raster
from placevec.inference.grid import WORLD, Grid
from placevec.inference.query import Question, ask
from placevec.inference.raster import write_raster
from placevec.io.progress import Silent
from placevec.models.heads import HeadKind
from tests.inference.closed_form import HOSTILE, closed_form, expected


def middles(path: Path) -> np.ndarray:
    """(H * W, 2) lon, lat of the cells as GDAL places them."""
    with rasterio.open(path) as file:
        rows, columns = np.indices((file.height, file.width)).reshape(2, -1)
        return np.stack(rasterio.transform.xy(file.transform, rows, columns), axis=1)


@pytest.mark.parametrize(
    ("area", "resolution", "shape"),
    [
        (WORLD, 1.5, (120, 240)),
        (Area(24.0, 59.0, 26.0, 61.5), 0.1, (25, 20)),
        (Area(170.0, -20.0, -170.0, 10.0), 1.0, (30, 20)),
        (Area(-10.0, 80.0, 10.0, 90.0), 3.0, (3, 7)),
        (Area(5.0, 5.0, 5.4, 5.2), 10.0, (1, 1)),
    ],
)
def test_cells_hold_what_the_model_says_at_their_middle(
    area: Area, resolution: float, shape: tuple[int, int], tmp_path: Path
) -> None:
    """Oracle: the closed form at the coordinates that GDAL reads out of the file."""
    question = ask(closed_form(tmp_path / "m"), ["north", "east"])
    report = write_raster(question, Grid.of(area, resolution), tmp_path / "a.tif")
    with rasterio.open(report.path) as file:
        assert (file.height, file.width) == shape == (report.height, report.width)
        assert file.crs.to_epsg() == 4326
        values = file.read().reshape(2, -1).T
        assert file.bounds.left == area.west
        assert file.bounds.top == area.north
    wanted = expected(middles(report.path))[:, [2, 0]]
    np.testing.assert_allclose(values, wanted, atol=2e-6)
    assert (report.lowest, report.highest) == pytest.approx((wanted.min(), wanted.max()), abs=2e-6)


def test_it_is_tiled_compressed_has_overviews_and_says_what_it_is(tmp_path: Path) -> None:
    question = ask(closed_form(tmp_path / "m", classes=HOSTILE), [HOSTILE[0], HOSTILE[1]])
    report = write_raster(question, Grid.of(WORLD, 0.6), tmp_path / "a.tif")
    with rasterio.open(report.path) as file:
        assert file.profile["tiled"]
        assert file.block_shapes == [(256, 256)] * 2
        assert file.compression.name == "deflate"
        assert file.overviews(1) == [2]
        assert file.dtypes == ("float32", "float32")
        assert file.descriptions[0] == HOSTILE[0]
        assert "\u202e" not in file.descriptions[1]
        assert file.tags(1)["CLASS"] == HOSTILE[0]
        assert file.tags()["ATTRIBUTION"] == "<b>nobody</b> & all"
        assert "probability" in file.tags()["VALUES"]


def test_a_number_is_called_as_its_label(tmp_path: Path) -> None:
    """Oracle: the training record, as GDAL reads it out of the file."""
    model = closed_form(tmp_path / "m", "number")
    model.training["label"] = HOSTILE[1]
    report = write_raster(ask(model), Grid.of(WORLD, 10.0), tmp_path / "a.tif")
    with rasterio.open(report.path) as file:
        assert file.descriptions[0] == file.tags(1)["CLASS"] == raster.tag(HOSTILE[1])


@pytest.mark.parametrize("rows_at_once", [256, 16])
def test_only_the_land_has_values(rows_at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the box crosses the antimeridian, the land lies on its far side and in two strips. Oracle: the box."""
    monkeypatch.setattr(raster, "TILE", rows_at_once)
    question = ask(closed_form(tmp_path / "m"), ["north"])
    land = box(-178, -10, -172, 0)
    grid = Grid.of(Area(170.0, -20.0, -170.0, 10.0), 1.0)
    report = write_raster(question, grid, tmp_path / "a.tif", land=land)
    with rasterio.open(report.path) as file:
        known = np.isfinite(file.read(1)).ravel()
        assert np.isnan(file.nodata)
    places = middles(report.path)
    inside = (places[:, 0] > 182) & (places[:, 0] < 188) & (places[:, 1] > -10) & (places[:, 1] < 0)
    np.testing.assert_array_equal(known, inside)
    nowhere = write_raster(question, grid, tmp_path / "b.tif", land=box(0, 0, 1, 1))
    assert np.isnan(nowhere.lowest)


def test_memory_does_not_grow_with_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than a strip of cells is ever asked for at once, however many there are."""
    asked: list[int] = []
    answers = Question.answers

    def noted(self: Question, lonlat: np.ndarray) -> np.ndarray:
        asked.append(len(lonlat))
        return answers(self, lonlat)

    monkeypatch.setattr(Question, "answers", noted)
    grid = Grid.of(WORLD, 0.25)
    write_raster(ask(closed_form(tmp_path / "m"), ["north"]), grid, tmp_path / "a.tif")
    assert max(asked) == raster.TILE * grid.width
    assert sum(asked) == grid.width * grid.height


def test_a_broken_off_raster_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Question, lonlat: np.ndarray) -> np.ndarray:
        raise KeyboardInterrupt

    question = ask(closed_form(tmp_path / "m"), ["north"])
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.tif").write_text("older")
    monkeypatch.setattr(Question, "answers", broken)
    with pytest.raises(KeyboardInterrupt):
        write_raster(question, Grid.of(WORLD, 10.0), tmp_path / "out" / "a.tif")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.tif"]
    assert (tmp_path / "out" / "a.tif").read_text() == "older"


@pytest.mark.parametrize("resolution", [0.0, -1.0, float("nan"), float("inf"), 1e-9])
def test_resolutions_that_are_none(resolution: float) -> None:
    with pytest.raises(PlacevecError, match="--resolution"):
        Grid.of(WORLD, resolution)


def _stopped_after(monkeypatch: pytest.MonkeyPatch, calls: int) -> list[int]:
    """Questions that are answered ``calls`` times and then interrupted; returns how many places each was of."""
    answers, asked = Question.answers, []

    def once(self: Question, lonlat: np.ndarray) -> np.ndarray:
        if len(asked) == calls:
            raise KeyboardInterrupt
        asked.append(len(lonlat))
        return answers(self, lonlat)

    monkeypatch.setattr(Question, "answers", once)
    return asked


class Told(Silent):
    """What was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


def test_a_stopped_raster_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three strips, the first two done. Oracle: the file of a call that was not stopped."""
    question, grid = ask(closed_form(tmp_path / "m"), ["north", "east"]), Grid.of(WORLD, 0.3)
    whole = write_raster(question, grid, tmp_path / "whole.tif", progress=(told := Told())).path.read_bytes()
    assert told.lines == []
    with monkeypatch.context() as patch:
        _stopped_after(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            write_raster(question, grid, tmp_path / "a.tif")
    assert not (tmp_path / "a.tif").exists()
    parts = sorted((tmp_path / ".a.tif.work").glob("rows-*"))
    assert len(parts) == 2
    parts[1].write_bytes(parts[1].read_bytes()[:1000])  # a damaged one is worked out again
    with monkeypatch.context() as patch:
        asked = _stopped_after(patch, 3)
        report = write_raster(question, grid, tmp_path / "a.tif", progress=(told := Told()))
        assert report.path.read_bytes() == whole
    assert told.lines == [
        "Note: 2 of 3 strips were already finished; continuing from there",
        "Note: rows-000000256 of the unfinished work is damaged and will be recreated",
    ]
    assert asked == [256 * 1200, 88 * 1200]
    assert not (tmp_path / ".a.tif.work").exists()


def test_whatever_strips_depend_on_tells_them_apart(tmp_path: Path) -> None:
    """Land, number of cells, area, season, class: strips of an unfinished raster are only used for the same of all."""
    question, grid = ask(closed_form(tmp_path / "m"), ["north"]), Grid.of(WORLD, 1.0)

    def inputs(question: Question, grid: Grid, land: BaseGeometry | None) -> dict[str, Any]:
        return raster._inputs(question, grid, land, question.names)

    asked = [
        raster._inputs(question, grid, None, (*question.names, "supported")),
        inputs(question, grid, None), inputs(question, grid, box(0, 0, 9, 9)),
        inputs(question, grid, box(0, 0, 9, 8)), inputs(question, Grid.of(WORLD, 0.5), None),
        inputs(question, Grid.of(Area(-180.0, -90.0, 0.0, 90.0), 0.5), None),
        inputs(replace(question, year=(0.25,)), grid, None),
        inputs(replace(question, year=(0.75,)), grid, None),
        inputs(replace(question, columns=(1,)), grid, None),
    ]  # fmt: skip
    assert len({json.dumps(one, sort_keys=True) for one in asked}) == len(asked)


@pytest.mark.parametrize(("kind", "name"), [("presence", "east"), ("classes", "north")])
def test_strips_of_another_question_are_not_used(
    kind: HeadKind, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of another class, or of the same class of another model. Oracle: the file of a call that was not stopped."""
    model, other = closed_form(tmp_path / "m"), closed_form(tmp_path / "other", kind)
    grid = Grid.of(WORLD, 0.5)
    with monkeypatch.context() as patch:
        _stopped_after(patch, 1)
        with pytest.raises(KeyboardInterrupt):
            write_raster(ask(model, ["north"]), grid, tmp_path / "a.tif")
    whole = write_raster(ask(other, [name]), grid, tmp_path / "whole.tif").path.read_bytes()
    assert write_raster(ask(other, [name]), grid, tmp_path / "a.tif").path.read_bytes() == whole
