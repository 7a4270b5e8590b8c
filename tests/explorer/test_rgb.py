"""Maps made of ready tiles are shown as they are: no cartography, no layers, and paper where a tile is missing."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from placevec.explorer.maps.cartography import PAPER
from placevec.explorer.maps.pictures import MapPictures
from placevec.explorer.maps.previews import draw_previews
from placevec.explorer.maps.scene import draw_scene
from placevec.geo import TILE_PX
from tests.explorer.conftest import Opened
from tests.explorer.pages.test_page import block
from tests.explorer.rgb import MISSING, colored, colors
from tests.explorer.standin import CORNER, TILES, StandInDataset, embeddings_of
from tests.explorer.writers import write_map, write_page, write_plots


@pytest.fixture(scope="module")
def colored_dataset(tmp_path_factory: pytest.TempPathFactory) -> StandInDataset:
    return colored(tmp_path_factory.mktemp("colored") / "dataset")


@pytest.fixture(scope="module")
def pictures(colored_dataset: StandInDataset) -> MapPictures:
    return MapPictures.of(colored_dataset)  # type: ignore[arg-type]


def expected() -> np.ndarray:
    """The town's colors with paper where the tile is missing."""
    picture = colors()
    left, top = (MISSING[0] - CORNER[0]) * TILE_PX, (MISSING[1] - CORNER[1]) * TILE_PX
    picture[top : top + TILE_PX, left : left + TILE_PX] = PAPER
    return picture


def test_native_pixels_come_as_they_are_and_black_stays_black(pictures: MapPictures) -> None:
    """Oracle: the drawn colors; a window over four tiles, of which one is missing."""
    assert pictures.is_rgb
    x, y = MISSING
    read = pictures.picture(pictures.read((x - 0.5, y - 0.5, x + 0.5, y + 0.5), TILE_PX), 1.0)
    left, top = (x - CORNER[0]) * TILE_PX - TILE_PX // 2, (y - CORNER[1]) * TILE_PX - TILE_PX // 2
    np.testing.assert_array_equal(read, expected()[top : top + TILE_PX, left : left + TILE_PX])
    assert (read == 0).all(axis=2).any()


@pytest.mark.parametrize("size", [64, 8])
def test_shrunk_pictures_are_means(pictures: MapPictures, size: int) -> None:
    """Oracle: area means of the drawn colors; 64 from the shards, 8 from the coverage raster."""
    x, y = CORNER[0] + 1, CORNER[1]
    read = pictures.picture(pictures.read((x, y, x + 1.0, y + 1.0), size), 1.0).astype(float)
    truth = cv2.resize(
        expected()[:TILE_PX, TILE_PX : 2 * TILE_PX], (size, size), interpolation=cv2.INTER_AREA
    )
    assert np.abs(read - truth).max() <= 2
    beyond = pictures.picture(pictures.read((x + 100, y, x + 101.0, y + 1.0), size), 1.0)
    assert (beyond == PAPER).all()


def test_the_ground_is_the_tiles(colored_dataset: StandInDataset) -> None:
    scene = draw_scene(colored_dataset, colored_dataset.places["place_id"].to_numpy(object))  # type: ignore[arg-type]
    assert scene.shares is None
    assert scene.basemap is not None
    margin = 8 * TILE_PX
    truth = np.full((TILES[1] * TILE_PX + 2 * margin, TILES[0] * TILE_PX + 2 * margin, 3), PAPER, float)
    truth[margin:-margin, margin:-margin] = expected()
    for (x0, y0, x1, y1), data in scene.basemap.pieces:
        drawn = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), float)
        left, top = (round((v - c) * TILE_PX) + margin for v, c in zip((x0, y0), CORNER, strict=True))
        part = truth[top : top + drawn.shape[0], left : left + drawn.shape[1]]
        assert np.abs(drawn - part).mean() < 12, (x0, y0, x1, y1)  # WebP


def test_previews_are_the_tiles(colored_dataset: StandInDataset, pictures: MapPictures) -> None:
    sheet = draw_previews(pictures, colored_dataset.footprints()).sheets[0]
    drawn = np.asarray(Image.open(io.BytesIO(sheet)).convert("RGB"), float)[:64, 64:128]
    assert np.abs(drawn - (255, 0, 0)).mean() < 12


def test_page_map_and_plots_without_layers(colored_dataset: StandInDataset, tmp_path: Path) -> None:
    emb = embeddings_of(colored_dataset)
    write_page(emb, tmp_path / "page.html", dataset=colored_dataset)  # type: ignore[arg-type]
    keys = [one["key"] for one in block(tmp_path / "page.html", "places")["colorings"]]
    assert keys == ["cluster", "rgb", "block"]
    report = write_map(emb, tmp_path / "map", dataset=colored_dataset, clusters=3)  # type: ignore[arg-type]
    assert report.page.map_drawn
    assert "© Somebody" in report.page.path.read_text("utf-8")
    plots = write_plots(emb, tmp_path / "png", dataset=colored_dataset, methods=["pca"], clusters=3)  # type: ignore[arg-type]
    assert len(plots.files) == 2


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_browser_shows_the_colors(
    colored_dataset: StandInDataset, tmp_path: Path, open_page: Callable[..., Opened], scheme: str
) -> None:
    """Oracle: the pixels that the tiles have, in a screenshot of the dots' absence, in both themes."""
    emb = embeddings_of(colored_dataset)
    report = write_map(emb, tmp_path, dataset=colored_dataset, clusters=3)  # type: ignore[arg-type]
    opened = open_page(report.page.path, color_scheme=scheme)
    opened.page.keyboard.press("d")
    red = emb.place_id[1]
    x, y = opened.at("map", str(red))
    opened.until("document.querySelector('#map canvas.ground')")
    opened.page.wait_for_timeout(800)
    shown = np.asarray(Image.open(io.BytesIO(opened.page.screenshot())).convert("RGB"))[
        int(y) - 8, int(x) - 8
    ]
    np.testing.assert_allclose(shown, (255, 0, 0), atol=14)
    assert opened.complaints == opened.requests == opened.dialogs == []
    assert TILES[0] * TILES[1] == len(emb)
