"""Outlines of places on a page. Oracles: pyproj's Web Mercator, and shapely's areas of what is read back."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest
import shapely
from pyproj import Transformer

from placevec.explorer.maps import shapes
from placevec.explorer.maps.mercator import mercator_meters
from placevec.explorer.maps.shapes import shapes_content


def read_back(content: dict[str, Any], row: int) -> Any:
    """The area of a place, from what the page gets: rings by the even-odd rule."""
    place, starts = (np.frombuffer(base64.b64decode(content[key]), np.uint32) for key in ("place", "starts"))
    xy = np.frombuffer(base64.b64decode(content["xy"]), np.float32).reshape(-1, 2).astype(np.float64)
    rings = [xy[starts[ring] : starts[ring + 1]] for ring in np.flatnonzero(place == row)]
    area = shapely.Polygon()
    for ring in rings:
        area = area.symmetric_difference(shapely.Polygon(ring))
    return area


def content_of(areas: list[Any], **options: Any) -> tuple[dict[str, Any] | None, str, np.ndarray]:
    geometry = np.array(areas, object)
    lonlat = np.array([[np.nan] * 2 if one is None else one.centroid.coords[0] for one in areas])
    lonlat[:, 0] = (lonlat[:, 0] + 180) % 360 - 180
    origin, mercator = mercator_meters(lonlat)
    return *shapes_content(geometry, mercator, origin, **options), origin


def hexagons(count: int, side: float = 0.01) -> list[Any]:
    """Cells in a row that touch."""
    ring = np.stack([np.cos(np.arange(6) * np.pi / 3), np.sin(np.arange(6) * np.pi / 3)], axis=1) * side
    return [shapely.Polygon(ring + np.array([24.9 + 2 * side * n, 60.2])) for n in range(count)]


def test_holes_parts_and_places_without_an_area() -> None:
    ring = shapely.Point(24.9, 60.2).buffer(0.01)
    holed = ring.difference(shapely.Point(24.9, 60.2).buffer(0.004))
    two = shapely.MultiPolygon([shapely.box(25, 60.2, 25.01, 60.21), shapely.box(25.02, 60.2, 25.03, 60.21)])
    areas = [holed, None, shapely.Point(24.95, 60.2), two]
    content, note, origin = content_of(areas)
    assert content is not None
    assert note == ""
    to_mercator = Transformer.from_crs(4326, 3857, always_xy=True)
    for row in (0, 3):
        expected = shapely.transform(
            areas[row], lambda at: np.stack(to_mercator.transform(*at.T), 1) - origin
        )
        assert shapely.symmetric_difference(read_back(content, row), expected).area < 1e-4 * expected.area
    assert read_back(content, 1).is_empty
    assert read_back(content, 2).is_empty


def test_across_the_antimeridian_an_area_stays_beside_its_place() -> None:
    """Oracle: its width in meters, 0.02 degrees of longitude."""
    content, _, _ = content_of(
        [shapely.box(179.97, 10, 179.99, 10.1), shapely.box(-179.99, 10, -179.97, 10.1)]
    )
    assert content is not None
    west, _, east, _ = shapely.union(read_back(content, 0), read_back(content, 1)).bounds
    assert east - west == pytest.approx(0.06 * 111_319.5, rel=1e-3)


def test_windows_are_no_areas() -> None:
    """Those that overlap would hide each other; beside a map, boxes are what a model reads."""
    boxes = [shapely.box(24.9 + n / 1000, 60.2, 24.91 + n / 1000, 60.21) for n in range(20)]
    assert content_of(boxes)[:2] == (None, "")
    apart = [shapely.box(24.9 + n / 10, 60.2, 24.91 + n / 10, 60.21) for n in range(5)]
    assert content_of(apart)[0] is not None
    assert content_of(apart, boxes=False)[:2] == (None, "")
    assert content_of(hexagons(5), boxes=False)[0] is not None


def test_too_many_vertices_are_simplified_then_said(monkeypatch: pytest.MonkeyPatch) -> None:
    coast = [shapely.Point(24.9 + n / 10, 60.2).buffer(0.04, quad_segs=400) for n in range(3)]
    monkeypatch.setattr(shapes, "MAX_VERTICES", 600)
    content, note, _ = content_of(coast)
    assert content is not None
    assert note == ""
    assert 9 <= len(base64.b64decode(content["xy"])) // 8 <= 600
    monkeypatch.setattr(shapes, "MAX_VERTICES", 10)
    content, note, _ = content_of(coast)
    assert content is None
    assert "more than 10, so places are drawn as dots" in note
