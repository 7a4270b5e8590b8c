from __future__ import annotations

import io

import numpy as np
from PIL import Image

from placevec.explorer.maps.cartography import INKS, PAPER, encode_picture, paint
from tests.explorer.standin import LAYERS


def _with(**areas: slice) -> np.ndarray:
    coverage = np.zeros((len(LAYERS), 20, 20), np.uint8)
    for name, rows in areas.items():
        coverage[LAYERS.index(name.replace("_", "-")), rows, :10] = 255
    return coverage


def test_nothing_is_paper() -> None:
    assert (paint(_with(), LAYERS, 1.0) == PAPER).all()


def test_colors_lie_where_the_layer_does() -> None:
    picture = paint(_with(water=slice(0, 5)), LAYERS, 1.0)
    assert (picture[:5, :10] == INKS["water"].color).all()
    assert (picture[5:] == PAPER).all()
    assert (picture[:, 10:] == PAPER).all()


def test_roads_lie_over_water_and_half_coverage_is_between() -> None:
    coverage = _with(water=slice(0, 20), roads=slice(8, 12))
    near = paint(coverage, LAYERS, 1.0)
    assert (near[10, 5] == INKS["roads"].color).all()
    far = paint(coverage, LAYERS, 10.0)
    assert (far[10, 5] == INKS["roads"].far).all()
    half = paint(coverage // 2, LAYERS, 1.0)[2, 5].astype(int)
    assert (np.abs(half - (np.array(INKS["water"].color) + PAPER) / 2) <= 2).all()


def test_edges_are_drawn_near_and_not_far() -> None:
    coverage = _with(buildings=slice(5, 15))
    near, far = paint(coverage, LAYERS, 1.0), paint(coverage, LAYERS, 5.0)
    assert near[4, 5].sum() < far[4, 5].sum() == sum(PAPER)


def test_layers_of_whole_districts_are_not_painted_and_unknown_ones_are() -> None:
    assert (paint(_with(places=slice(0, 20)), LAYERS, 1.0) == PAPER).all()
    other = paint(np.full((1, 4, 4), 255, np.uint8), ("trees I made up",), 1.0)
    assert (other != PAPER).any()


def test_encoded_pictures_decode_to_nearly_the_same() -> None:
    picture = paint(_with(water=slice(0, 20)), LAYERS, 1.0)
    back = np.asarray(Image.open(io.BytesIO(encode_picture(picture, 80)), formats=["WEBP"]))
    assert np.abs(back.astype(int) - picture).mean() < 6
