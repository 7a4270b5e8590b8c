"""What is background and what is drawn. Oracle: masks that we draw in known styles, which must come back as they were."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from placevec.errors import InputError, SourceError
from placevec.preparation.tiles.masks import (
    Mask,
    color_name,
    contrast,
    find_backgrounds,
    find_masks,
    over,
    parse_background,
)

SIDE = 64
Draw = Callable[[np.ndarray], np.ndarray]


def flat(background: tuple[int, ...], ink: tuple[int, ...]) -> Draw:
    def draw(mask: np.ndarray) -> np.ndarray:
        rgba = np.empty((*mask.shape, 4), np.uint8)
        rgba[:] = (*background, 255)[:4] if len(background) == 3 else background
        rgba[mask] = (*ink, 255)[:4] if len(ink) == 3 else ink
        return rgba

    return draw


STYLES = {
    "white on black": (flat((0, 0, 0), (255, 255, 255)), (0, 0, 0)),
    "black on white": (flat((255, 255, 255), (0, 0, 0)), (255, 255, 255)),
    "pale green on white": (flat((255, 255, 255), (205, 235, 176)), (255, 255, 255)),
    "gray on white": (flat((255, 255, 255), (240, 240, 240)), (255, 255, 255)),
    "red on the carto style's land": (flat((242, 239, 233), (200, 30, 30)), (242, 239, 233)),
    "black on nothing": (flat((0, 0, 0, 0), (0, 0, 0)), None),
    "white on nothing": (flat((255, 255, 255, 0), (255, 255, 255)), None),
    "dark on dark": (flat((10, 10, 10), (60, 60, 60)), (10, 10, 10)),
}


def layers() -> dict[str, list[np.ndarray]]:
    """Layers as they are: lines, blocks, a few dots, one that covers most of the ground, one that is empty."""
    random = np.random.default_rng(0)
    found: dict[str, list[np.ndarray]] = {}
    for name in ("roads", "buildings", "power", "landcover", "aeroways"):
        tiles = []
        for _ in range(6):
            mask = np.zeros((SIDE, SIDE), np.uint8)
            if name == "roads":
                cv2.line(
                    mask,
                    tuple(random.integers(0, SIDE, 2).tolist()),
                    tuple(random.integers(0, SIDE, 2).tolist()),
                    1,
                    3,
                )
            elif name == "buildings":
                for x, y in random.integers(0, SIDE - 8, (9, 2)):
                    mask[y : y + 7, x : x + 7] = 1
            elif name == "power":
                mask[random.integers(SIDE), random.integers(SIDE)] = 1
            elif name == "landcover":
                mask[:] = 1
                mask[: random.integers(0, 12)] = 0
            tiles.append(mask.astype(bool))
        found[name] = tiles
    return found


@pytest.mark.parametrize("style", STYLES)
def test_masks_come_back_in_every_style(style: str) -> None:
    draw, background = STYLES[style]
    masks = layers()
    found = find_masks(
        {name: [draw(mask) for mask in some] for name, some in masks.items()}, background={"": "auto"}
    )
    for name, some in masks.items():
        assert found[name].background == background, name
        for mask in some:
            assert np.array_equal(found[name].bits(draw(mask)), mask), name


def test_a_layer_drawn_in_another_style_is_distinguished() -> None:
    masks = layers()
    pictures = {name: [STYLES["black on white"][0](mask) for mask in some] for name, some in masks.items()}
    pictures["power"] = [STYLES["white on nothing"][0](mask) for mask in masks["power"]]
    found = find_masks(pictures, background={"": "auto"})
    assert found["power"].background is None
    assert found["roads"].background == (255, 255, 255)
    assert found["landcover"].background == (255, 255, 255)


def test_a_shade_that_is_less_than_half_there_is_transparent() -> None:
    pale = flat((200, 200, 200, 60), (0, 0, 0))
    pictures = {name: [pale(mask) for mask in layers()[name]] for name in ("roads", "buildings")}
    assert find_backgrounds(pictures) == {"roads": None, "buildings": None}


def test_where_others_are_transparent_a_layer_of_one_color_covers_everything() -> None:
    clear = STYLES["black on nothing"][0]
    masks = layers()
    pictures = {name: [clear(mask) for mask in masks[name]] for name in ("roads", "buildings")}
    pictures["sea"] = [clear(np.ones((SIDE, SIDE), bool))] * 3
    assert find_masks(pictures, background={"": "auto"})["sea"].bits(pictures["sea"][0]).all()


@pytest.mark.parametrize("rows", [1, 2])
def test_a_layer_that_covers_nearly_everything_has_the_background_of_the_others(rows: int) -> None:
    """The sea in all but one row of 64: most of its pixels are ink, but what remains is the others' white."""
    draw = STYLES["black on white"][0]
    covered = np.ones((SIDE, SIDE), bool)
    covered[:rows] = False
    pictures = {name: [draw(mask) for mask in layers()[name]] for name in ("roads", "buildings", "power")}
    found = find_masks({**pictures, "sea": [draw(covered)]}, background={"": "auto"})
    assert found["sea"].background == (255, 255, 255)
    assert np.array_equal(found["sea"].bits(draw(covered)), covered)


def test_what_cannot_be_reported_is_not_guessed() -> None:
    draw = STYLES["black on white"][0]
    half = np.zeros((SIDE, SIDE), bool)
    half[: SIDE // 2] = True
    with pytest.raises(SourceError, match="--background"):
        find_backgrounds({"land": [draw(half)]})
    with pytest.raises(SourceError, match="1 of 2 layers"):
        find_backgrounds({"a": [draw(half | True)], "b": [draw(half & False)]})
    with pytest.raises(SourceError, match="all tiles are blank"):
        find_backgrounds({"a": [], "b": []})
    assert find_masks({"land": [draw(half)]}, background={"": "white"})["land"].background == (255, 255, 255)
    assert find_masks({"land": [draw(half)]}, background={"land": "black"})["land"].background == (0, 0, 0)


def test_an_antialiased_edge_is_cut_in_the_middle() -> None:
    """Oracle: a disc drawn eight times larger and shrunk by areas: a pixel is set when half of it is covered."""
    large = np.zeros((SIDE * 8, SIDE * 8), np.uint8)
    cv2.circle(large, (SIDE * 4, SIDE * 4), SIDE * 3, 255, -1)
    share = cv2.resize(large, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    for ink in (0, 128):  # black, and a gray whose threshold must be half of 128
        gray = (255 - share.astype(float) / 255 * (255 - ink)).round().astype(np.uint8)
        rgba = np.dstack([gray, gray, gray, np.full_like(gray, 255)])
        mask = find_masks({"a": [rgba], "b": [rgba * 0 + 255]}, background={"": "white"})["a"]
        assert abs(mask.threshold - (255 - ink) / 2) <= 1
        assert np.abs(mask.bits(rgba).astype(int) - (share >= 128)).sum() <= 4


def test_contrast_and_shading() -> None:
    pixel = np.array([[[200, 100, 50, 255], [200, 100, 50, 0], [0, 0, 0, 128]]], np.uint8)
    assert contrast(pixel, None).tolist() == [[255, 0, 128]]
    assert contrast(pixel, (255, 255, 255)).tolist() == [[205, 0, 128]]
    assert over(pixel).tolist() == [[[200, 100, 50], [255, 255, 255], [127, 127, 127]]]
    assert (color_name(None), color_name((242, 239, 233))) == ("transparent", "#f2efe9")
    assert Mask((0, 0, 0), 201).bits(pixel).tolist() == [[0, 0, 0]]
    assert Mask((0, 0, 0), 200).bits(pixel).tolist()[0][0] == 1


def test_options_are_checked() -> None:
    assert parse_background("white,landcover=black") == {"": "white", "landcover": "black"}
    with pytest.raises(InputError, match="--background must be auto,"):
        parse_background("purple")
    with pytest.raises(InputError, match="unknown layer 'sea'"):
        find_masks({"a": []}, background={"": "white", "sea": "black"})
    with pytest.raises(InputError, match="1 to 255"):
        find_masks({"a": []}, background={"": "white"}, threshold=0)
