"""Pictures of places with outlines: where the lines lie, on a map and on a chip."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from pyproj import Transformer

from placevec.explorer.maps.place_pictures import ACCENT, _onto_chip, outlined, place_pictures
from placevec.geo import offset
from tests.explorer.standin import StandInDataset


def reds(picture: np.ndarray) -> tuple[int, int, int, int]:
    """First and last column and row in the color of the outline."""
    rows, columns = np.nonzero((picture == ACCENT).all(axis=2))
    return columns.min(), columns.max(), rows.min(), rows.max()


def test_a_square_of_half_the_window_lies_in_its_middle(
    dataset: StandInDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Oracle: meters by hand: 50 m to each side of the center in a window of 200 m are a quarter of the picture."""
    monkeypatch.setattr(dataset, "view_names", (), raising=False)
    row = 100
    lon, lat = dataset.lonlat[row]
    corners = offset(
        np.full(4, lon),
        np.full(4, lat),
        east_m=np.array([-50, 50, 50, -50]),
        north_m=np.array([-50, -50, 50, 50]),
    )
    place = str(dataset.places["place_id"].iloc[row])
    shapes = {place: shapely.Polygon(corners)}
    drawn, bare = place_pictures(
        dataset,
        [place, "other"],
        dataset.lonlat[[row, row]],
        shapes,
        view="map",
        window_m=200.0,
        px=256,  # type: ignore[arg-type]
    )
    assert drawn is not None
    assert bare is not None
    left, right, top, bottom = reds(drawn)
    for edge, wanted in ((left, 64), (right, 192), (top, 64), (bottom, 192)):
        assert abs(int(edge) - wanted) <= 3
    assert not (bare == ACCENT).all(axis=2).any()
    nowhere = place_pictures(dataset, [place], np.full((1, 2), np.nan), {}, view="map", window_m=200.0)  # type: ignore[arg-type]
    assert nowhere == [None]


def test_degrees_onto_a_chip() -> None:
    """Oracle: a point placed by pyproj: 20 m east and 30 m south of the corner are pixels 2 and 3 of 10 m."""
    transform = (10.0, 0.0, 386_000.0, 0.0, -10.0, 6_672_000.0)
    point = Transformer.from_crs("EPSG:32635", "OGC:CRS84", always_xy=True).transform(386_020.0, 6_671_970.0)
    project = _onto_chip("EPSG:32635", transform, (16, 16), 160)
    assert project is not None
    assert np.allclose(project(np.array([point])), [[20.0, 30.0]], atol=1e-3)
    assert _onto_chip("EPSG:32635", (0.0,) * 6, (16, 16), 160) is None
    assert _onto_chip("nonsense", transform, (16, 16), 160) is None


def test_shapes_of_any_kind_are_drawn_or_left_out() -> None:
    """Points, lines, collections and what lies far outside; the picture that was given stays as it was."""
    paper = np.full((64, 64, 3), 250, np.uint8)
    shapes = {
        "point": shapely.Point(32, 32),
        "line": shapely.LineString([(-1e9, 32), (1e9, 32)]),
        "both": shapely.GeometryCollection([shapely.Point(3, 3), shapely.box(10, 10, 50, 50)]),
        "hole": shapely.box(8, 8, 56, 56) - shapely.box(20, 20, 44, 44),
    }
    for name, shape in shapes.items():
        assert (outlined(paper, shape, lambda places: places) == ACCENT).all(axis=2).any(), name
    for shape in (None, shapely.Point(), shapely.Point(1e12, 0), shapely.box(500, 500, 600, 600)):
        assert np.array_equal(outlined(paper, shape, lambda places: places), paper)
    assert (paper == 250).all()
