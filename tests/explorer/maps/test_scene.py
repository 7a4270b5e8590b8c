from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from placevec.errors import InputError
from placevec.explorer.maps import scene as module
from placevec.explorer.maps.mercator import mercator_meters
from placevec.explorer.maps.scene import draw_scene
from placevec.geo import Area
from tests.explorer.standin import StandInDataset


def test_previews_are_cut_from_a_sharp_map(dataset: StandInDataset) -> None:
    scene = draw_scene(dataset, dataset.places["place_id"].to_numpy(object))  # type: ignore[arg-type]
    assert scene.previews is None
    assert scene.preview_content() == {"sheets": None}
    assert scene.preview_px == pytest.approx(120 / 0.594, rel=0.02)  # 120 m at 0.594 m a pixel
    origin, mercator = mercator_meters(dataset.lonlat)
    content = scene.basemap_content(origin)
    assert content is not None
    west, south, east, north = content["frame"]
    inside = (mercator - origin >= [west, south]) & (mercator - origin <= [east, north])
    assert inside.all()


def test_a_map_that_is_not_sharp_brings_previews(
    dataset: StandInDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SHARP_PX", 10_000)
    scene = draw_scene(dataset, dataset.places["place_id"].to_numpy(object)[:20])  # type: ignore[arg-type]
    assert scene.previews is not None
    assert scene.preview_px == scene.previews.px == 64
    assert len(scene.preview_content()["sheets"]) == 1
    monkeypatch.setattr(module, "MAX_IN_SHEETS", 10)  # many places: cut from the map, though it is not sharp
    many = draw_scene(dataset, dataset.places["place_id"].to_numpy(object)[:20])  # type: ignore[arg-type]
    assert many.preview_content() == {"sheets": None}


def test_places_of_another_dataset(dataset: StandInDataset) -> None:
    with pytest.raises(InputError, match="none of the embedded places"):
        draw_scene(dataset, np.array(["x", "y"], object))  # type: ignore[arg-type]
    some = draw_scene(dataset, np.array(["x", "place-00001"], object))  # type: ignore[arg-type]
    assert np.isfinite(some.footprints).all(axis=1).tolist() == [False, True]


def test_frame_of_an_area_across_the_antimeridian(dataset: StandInDataset) -> None:
    turned = replace(dataset, area=Area(179.0, -20.0, -179.0, -10.0))
    scene = draw_scene(turned, dataset.places["place_id"].to_numpy(object)[:5])  # type: ignore[arg-type]
    x0, y0, x1, y1 = scene.frame
    assert x1 - x0 == pytest.approx(2 / 360 * 2**17)
    assert y0 < y1
