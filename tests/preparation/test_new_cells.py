"""Cells alone, as places of a new dataset. Oracles: h3's own functions, areas in closed form, the table itself."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from shapely.geometry import Point

from placevec import api
from placevec.core import Look
from placevec.errors import UsageError
from placevec.geo import Area

BOX = Area(24.93, 60.16, 24.97, 60.18)


def test_h3_cells_of_an_area(tmp_path: Path) -> None:
    """Every cell holds its own center, none is missing, and their areas add up to that of the box."""
    h3 = pytest.importorskip("h3")
    dataset = api.prepare("mmgr", out=tmp_path / "cells", bbox=BOX, h3=8)
    shapes = dataset.geometry()
    for name, (lon, lat), shape in zip(dataset.place_ids, dataset.lonlat, shapes, strict=True):
        assert h3.latlng_to_cell(lat, lon, 8) == name
        assert shape.contains(Point(lon, lat))
    inside = {
        h3.latlng_to_cell(lat, lon, 8)
        for lon in np.linspace(24.931, 24.969, 40)
        for lat in np.linspace(60.161, 60.179, 40)
    }
    centers = [h3.cell_to_latlng(name) for name in inside]
    expected = {
        name for name, (lat, lon) in zip(inside, centers, strict=True) if BOX.contains(lon, lat).all()
    }
    assert set(dataset.place_ids) == expected


def test_h3_across_the_antimeridian(tmp_path: Path) -> None:
    pytest.importorskip("h3")
    dataset = api.prepare("mmgr", out=tmp_path / "cells", bbox=Area(179.9, -16.6, -179.9, -16.4), h3=6)
    assert {bool(lon > 0) for lon in dataset.lonlat[:, 0]} == {True, False}
    assert max(shape.bounds[2] - shape.bounds[0] for shape in dataset.geometry()) < 1.0


def test_polygons_that_are_odd(tmp_path: Path) -> None:
    """An invalid one is mended, overlapping ones are counted; the side is that of the mean area."""
    rings = {
        "bow": [[0, 0], [0.02, 0.02], [0.02, 0], [0, 0.02], [0, 0]],
        "square": [[0.1, 0], [0.12, 0], [0.12, 0.02], [0.1, 0.02], [0.1, 0]],
        "over": [[0.11, 0], [0.13, 0], [0.13, 0.02], [0.11, 0.02], [0.11, 0]],
    }
    features = [
        {
            "type": "Feature",
            "properties": {"id": name},
            "geometry": {"type": "Polygon", "coordinates": [ring]},
        }
        for name, ring in rings.items()
    ]
    (tmp_path / "tracts.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    dataset = api.prepare("mmgr", out=tmp_path / "cells", places=tmp_path / "tracts.geojson")
    notes = " ".join(dataset.manifest["report"]["cells"]["notes"])
    assert "1 of 3 polygons were invalid and have been repaired" in notes
    assert "1 pairs of polygons overlap" in notes
    side = 0.02 * 111_195
    assert dataset.footprint_m == pytest.approx(side * np.sqrt((0.5 + 1 + 1) / 3), rel=0.01)
    assert (
        api.prepare("mmgr", out=tmp_path / "cells", places=tmp_path / "tracts.geojson").hash == dataset.hash
    )


def test_polygons_without_area_of_parts_and_across_the_antimeridian(tmp_path: Path) -> None:
    """Counted by hand: both sides of the meridian are one polygon, as are both parts; what has no area is told."""
    shapes = {
        "flat": "POLYGON((150 1, 150.01 1, 150.02 1, 150 1))",
        "parts": "MULTIPOLYGON(((170 0, 170.01 0, 170.01 0.01, 170 0)), ((170.02 0, 170.03 0, 170.03 0.01, 170.02 0)))",
        "across": "POLYGON((179.995 0, -179.995 0, -179.995 0.01, 179.995 0.01, 179.995 0))",
    }
    rows = [f'{name};"{shape}"' for name, shape in shapes.items()]
    (tmp_path / "tracts.csv").write_text("\n".join(["place_id;geometry", *rows]))
    points = (
        "179.999,0.005",
        "-179.999,0.005",
        "179.99,0.005",
        "170.009,0.001",
        "170.029,0.001",
        "170.015,0.001",
    )
    (tmp_path / "pois.csv").write_text("lon,lat,kind\n" + "".join(f"{point},bar\n" for point in points))
    dataset = api.prepare(
        "mmgr", out=tmp_path / "d", places=tmp_path / "tracts.csv", pois=tmp_path / "pois.csv"
    )
    assert "1 polygons have no area" in " ".join(dataset.manifest["report"]["cells"]["notes"])
    look = Look(torch.arange(3), torch.from_numpy(dataset.lonlat))
    assert dataset.view("pois").read(look).offsets.diff().tolist() == [0, 2, 2]  # type: ignore[union-attr]


def test_what_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("lon,lat\n1,2\n")
    for options in ({}, {"bbox": BOX}, {"bbox": BOX, "h3": 8, "spacing": 100.0}):
        with pytest.raises(UsageError, match="new cells need --places TABLE, or an area"):
            api.prepare("mmgr", out=tmp_path / "new", **options)
    with pytest.raises(UsageError, match="--places already lists the cells: --h3 does not apply"):
        api.prepare("mmgr", out=tmp_path / "new", places=tmp_path / "p.csv", h3=8)
    with pytest.raises(UsageError, match="cells without a map"):
        api.prepare("mmgr", out=tmp_path / "new", osm_name="helsinki-center", h3=8)
