from __future__ import annotations

import io

import numpy as np
from PIL import Image

from placevec.explorer.maps.cartography import PAPER, paint
from placevec.explorer.maps.pictures import MapPictures
from placevec.explorer.maps.previews import SHEET_COLUMNS, draw_previews, typical_meters
from tests.explorer.standin import LAYERS, StandInDataset


def test_each_place_has_its_square(dataset: StandInDataset) -> None:
    """Oracle: each footprint painted alone."""
    pictures = MapPictures.of(dataset)  # type: ignore[arg-type]
    footprints = dataset.footprints()[:300]
    footprints[5] = np.nan
    previews = draw_previews(pictures, footprints)
    assert len(previews.sheets) == 2
    meters = typical_meters(pictures, footprints) / previews.px
    for number in (0, 5, 17, 255, 256, 299):
        sheet = np.asarray(
            Image.open(io.BytesIO(previews.sheets[number // 256]), formats=["WEBP"]).convert("RGB")
        )
        row, column = divmod(number % 256, SHEET_COLUMNS)
        px = previews.px
        square = sheet[row * px : (row + 1) * px, column * px : (column + 1) * px].astype(float)
        if number == 5:
            assert np.abs(square[4:-4, 4:-4] - PAPER).mean() < 8
            continue
        expected = paint(pictures.read(tuple(footprints[number].tolist()), px), LAYERS, meters)
        assert np.abs(square - expected).mean() < 12


def test_typical_size(dataset: StandInDataset) -> None:
    pictures = MapPictures.of(dataset)  # type: ignore[arg-type]
    assert abs(typical_meters(pictures, dataset.footprints()) - 120.0) < 0.5
    assert typical_meters(pictures, np.full((2, 4), np.nan)) == 1.0
