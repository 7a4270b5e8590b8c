from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from placevec.explorer.maps import basemap as module
from placevec.explorer.maps.basemap import Basemap, draw_basemap
from placevec.explorer.maps.cartography import INKS, PAPER
from placevec.explorer.maps.pictures import MapPictures
from placevec.geo import TILE_PX
from tests.explorer.standin import CORNER, LAYERS, StandInDataset, write_map


def decoded(picture: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture), formats=["WEBP"]).convert("RGB")).astype(int)


@pytest.fixture(scope="module")
def flag(tmp_path_factory: pytest.TempPathFactory) -> MapPictures:
    """Four by four tiles: sea in the north, a park in the south-west, nothing else, one building in the south-east."""
    pixels = np.zeros((len(LAYERS), 4 * TILE_PX, 4 * TILE_PX), bool)
    pixels[LAYERS.index("water"), : 2 * TILE_PX] = True
    pixels[LAYERS.index("leisure"), 2 * TILE_PX :, : 2 * TILE_PX] = True
    pixels[
        LAYERS.index("buildings"), 3 * TILE_PX + 40 : 3 * TILE_PX + 200, 3 * TILE_PX + 40 : 3 * TILE_PX + 200
    ] = True
    folder = tmp_path_factory.mktemp("flag")
    write_map(folder, pixels)
    import pandas as pd

    return MapPictures.of(StandInDataset(folder, pd.DataFrame(), None))  # type: ignore[arg-type]


WHOLE = np.array([[CORNER[0], CORNER[1], CORNER[0] + 4.0, CORNER[1] + 4.0]])


def drawn(pictures: MapPictures) -> Basemap:
    found = draw_basemap(pictures, WHOLE)
    assert found is not None
    return found


def test_overview_shows_what_lies_where(flag: MapPictures) -> None:
    (x0, y0, x1, y1), picture = drawn(flag).overview
    pixels = decoded(picture)
    scale = pixels.shape[1] / (x1 - x0), pixels.shape[0] / (y1 - y0)

    def at(x: float, y: float) -> np.ndarray:
        return pixels[int((CORNER[1] + y - y0) * scale[1]), int((CORNER[0] + x - x0) * scale[0])]

    assert np.abs(at(1, 1) - INKS["water"].color).max() < 8
    assert np.abs(at(3, 0.5) - INKS["water"].color).max() < 8
    assert np.abs(at(0.5, 3) - INKS["leisure"].color).max() < 8
    assert np.abs(at(2.5, 2.5) - PAPER).max() < 8
    assert np.abs(at(3.5, 3.5) - INKS["buildings"].color).max() < 12


def test_only_details_take_a_piece_of_their_own(flag: MapPictures, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of one tile: fifteen of the sixteen tiles are all alike, and the overview shows them."""
    monkeypatch.setattr(module, "PIECE_PX", TILE_PX)
    found = drawn(flag)
    assert [box for box, _ in found.pieces] == [
        (CORNER[0] + 3.0, CORNER[1] + 3.0, CORNER[0] + 4.0, CORNER[1] + 4.0)
    ]
    assert found.px_per_tile == TILE_PX
    sharp = decoded(found.pieces[0][1])
    assert np.abs(sharp[100, 100] - INKS["buildings"].color).max() < 12
    assert np.abs(sharp[10, 10] - PAPER).max() < 8


def test_resolution_follows_the_budget(dataset: StandInDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = MapPictures.of(dataset)  # type: ignore[arg-type]
    monkeypatch.setattr(module, "MAX_PIXELS", 48 * 40 * 40)
    found = draw_basemap(pictures, dataset.footprints())
    assert found is not None
    assert found.px_per_tile == 32
    pixels = sum(decoded(picture).size / 3 for _, picture in found.pieces)
    assert pixels <= 48 * 40 * 40 * 1.5


def test_only_the_map_around_the_places_is_drawn(dataset: StandInDataset) -> None:
    pictures = MapPictures.of(dataset)  # type: ignore[arg-type]
    found = draw_basemap(
        pictures, np.array([[CORNER[0] + 1.0, CORNER[1] + 1.0, CORNER[0] + 1.5, CORNER[1] + 1.5]])
    )
    assert found is not None
    boxes = np.array([box for box, _ in found.pieces])
    assert (boxes[:, 2:].max(axis=0) <= np.add(CORNER, 3)).all()


def test_nothing_to_draw(dataset: StandInDataset, tmp_path: Path) -> None:
    pictures = MapPictures.of(dataset)  # type: ignore[arg-type]
    assert draw_basemap(pictures, np.full((3, 4), np.nan)) is None
    assert draw_basemap(pictures, np.array([[10.0, 10.0, 11.0, 11.0]])) is None
