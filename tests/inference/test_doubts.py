"""Bands, deviations and support in rasters, figures and pages. Oracles: the closed form of the answers, distances by the
haversine formula, and the delta method in NumPy.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch

from placevec.explorer.figures.predictions import ModelQuery
from placevec.explorer.pages.prediction_page import write_distribution_page
from placevec.geo import Area
from placevec.inference.grid import Grid
from placevec.inference.query import DISTANCE, SUPPORT, ask
from placevec.inference.raster import write_raster
from placevec.models.model import Model
from placevec.models.reliability import Vectors, fitted
from tests.inference.closed_form import closed_form, expected
from tests.models.test_reliability import haversine_km

HERE = np.array([[5.0, 5.0], [8.0, 7.0], [12.0, 3.0]])
AREA = Area(0.0, 0.0, 40.0, 20.0)


def doubting(path: Path, kind: str = "presence") -> Model:
    """The closed form, which knows three training points and reaches 1,000 km."""
    model = closed_form(path, kind)  # type: ignore[arg-type]
    assert model.head is not None
    z = torch.from_numpy(model.embed_lonlat(HERE))
    error = torch.tensor([0.1, -0.1, 0.05]) if kind == "number" else None
    model.head.reliability = fitted(model.head, Vectors(HERE, z, error), None, 2000.0)
    model.head.reliability.reach_km.fill_(1000.0)
    model.save(path)
    return Model.load(path)


def read(path: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """(band names, (bands, cells) values, (cells, 2) lon, lat)."""
    with rasterio.open(path) as file:
        rows, columns = np.indices((file.height, file.width)).reshape(2, -1)
        lonlat = np.stack(rasterio.transform.xy(file.transform, rows, columns), axis=1)
        return list(file.descriptions), file.read().reshape(file.count, -1), lonlat


def test_bands_of_a_number(tmp_path: Path) -> None:
    model = doubting(tmp_path / "m", "number")
    report = write_raster(ask(model), Grid.of(AREA, 2.0), tmp_path / "a.tif")
    names, values, lonlat = read(report.path)
    assert (
        names == ["number", "number: lower 90%", "number: upper 90%", DISTANCE, SUPPORT] == list(report.bands)
    )
    wanted = expected(lonlat, "number")[:, 0]
    np.testing.assert_allclose(values[0], wanted, atol=1e-4)
    np.testing.assert_allclose((values[1] + values[2]) / 2, wanted, atol=1e-4)
    assert (values[2] - values[1] > 0).all()
    far = haversine_km(lonlat, HERE).min(axis=1)
    np.testing.assert_allclose(values[3], far, rtol=1e-4)
    np.testing.assert_array_equal(values[4], far <= 1000)
    assert 0 < values[4].mean() < 1
    assert report.highest == pytest.approx(wanted.max(), abs=1e-4)  # of the answers alone
    plain = write_raster(ask(model), Grid.of(AREA, 2.0), tmp_path / "plain.tif", doubts=False)
    assert plain.bands == ("number",)


@pytest.mark.parametrize("kind", ["presence", "classes"])
def test_deviations_of_classes(kind: str, tmp_path: Path) -> None:
    model = doubting(tmp_path / "m", kind)
    report = write_raster(ask(model, ["north", "east"]), Grid.of(AREA, 4.0), tmp_path / "a.tif")
    names, values, lonlat = read(report.path)
    assert names[:4] == ["north", "east", "north: standard deviation", "east: standard deviation"]
    wanted = expected(lonlat, kind)[:, [2, 0]]  # type: ignore[arg-type]
    np.testing.assert_allclose(values[:2].T, wanted, atol=1e-5)
    assert model.head is not None
    assert model.head.reliability is not None
    deviation = model.head.reliability.deviation(torch.from_numpy(model.embed_lonlat(lonlat))).numpy()[
        :, [2, 0]
    ]
    np.testing.assert_allclose(values[2:4].T, deviation * wanted * (1 - wanted), rtol=1e-3)


def test_a_page_holds_where_no_point_is_near(tmp_path: Path) -> None:
    model = doubting(tmp_path / "m", "number")
    grid = Grid.of(AREA, 2.0)
    for support in (True, False):
        write_distribution_page([ModelQuery("m", ask(model))], grid, tmp_path / "a.html", support=support)
        text = (tmp_path / "a.html").read_text()
        content = json.loads(text.split('id="placevec-maps">')[1].split("</script>")[0])
        if not support:
            assert (content["bare"], content["hatched"]) == ([None], "")
            continue
        bits = np.unpackbits(np.frombuffer(base64.b64decode(content["bare"][0]), np.uint8))
        cells = grid.width * grid.height
        np.testing.assert_array_equal(
            bits[:cells].astype(bool), haversine_km(grid.rows(0, grid.height), HERE).min(axis=1) > 1000
        )
        assert content["hatched"] == "Hatched: no training point within 1,000 km"


def test_a_figure_is_hatched_there(tmp_path: Path) -> None:
    """Pixels differ from those of the figure without hatching only where no point is near."""
    pytest.importorskip("matplotlib")
    from PIL import Image

    from placevec.explorer.figures.prediction_figure import write_figure

    model = doubting(tmp_path / "m", "number")
    pictures = []
    for support in (True, False):
        write_figure([ModelQuery("m", ask(model))], AREA, tmp_path / "a.png", support=support)
        pictures.append(np.asarray(Image.open(tmp_path / "a.png").convert("L"), int))
    height = pictures[0].shape[0]
    changed = np.abs(pictures[0] - pictures[1])[int(0.5 * height) : int(0.8 * height)] > 10
    width = changed.shape[1]
    assert changed[:, int(0.6 * width) : int(0.9 * width)].mean() > 0.02
    assert changed[:, int(0.1 * width) : int(0.25 * width)].mean() == 0
