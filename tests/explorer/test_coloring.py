from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pandas as pd
import pytest

from placevec.errors import InputError
from placevec.explorer.coloring import COLORS, Coloring, of_blocks, of_columns, of_layers, of_nothing
from placevec.geo import metric_grid
from tests.explorer.standin import LAYERS, town_area

# Machado, Oliveira & Fernandes (2009), severity 1, on linear RGB.
BLINDNESS = {
    "none": np.eye(3),
    "protanopia": np.array([
        [0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998],
    ]),
    "deuteranopia": np.array([
        [0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881],
    ]),
}  # fmt: skip


def _lab(linear: np.ndarray) -> np.ndarray:
    """CIELAB (D65) of linear sRGB: CIE 15:2004."""
    to_xyz = np.array([
        [0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041],
    ])  # fmt: skip
    xyz = linear @ to_xyz.T / [0.95047, 1.0, 1.08883]
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


@pytest.mark.parametrize("blindness", BLINDNESS)
def test_colors_are_distinguished(blindness: str) -> None:
    """Oracle: CIELAB distance under a published simulation; 20 is about nine just noticeable differences."""
    srgb = np.array([[int(color[i : i + 2], 16) for i in (0, 2, 4)] for color in COLORS]) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    lab = _lab(np.clip(linear @ BLINDNESS[blindness].T, 0, 1))
    distance = np.linalg.norm(lab[:, None] - lab[None], axis=-1) + np.eye(len(COLORS)) * 1e3
    assert distance.min() > 20


def _codes(coloring: Coloring) -> list[int]:
    return np.frombuffer(base64.b64decode(coloring.content["codes"]), "<u2").tolist()


def _labels(coloring: Coloring) -> list[str]:
    kinds: list[dict[str, Any]] = coloring.content["categories"]
    return [kinds[code]["label"] for code in _codes(coloring)]


def test_dominant_layer_and_density() -> None:
    shares = np.zeros((4, len(LAYERS)), np.float32)
    shares[0, LAYERS.index("water")] = 0.4
    shares[0, LAYERS.index("roads")] = 0.1
    shares[1, LAYERS.index("buildings")] = 0.2
    shares[:3, LAYERS.index("places")] = 1.0
    shares[1, LAYERS.index("boundaries")] = 0.9
    shares[3] = np.nan
    layer, density = of_layers(LAYERS, shares)
    assert _labels(layer) == ["water", "buildings", "nothing", "nothing"]
    values = np.frombuffer(base64.b64decode(density.content["values"]), "<f4")
    np.testing.assert_allclose(values, [0.5, 0.2, 0.0, np.nan], atol=1e-6)
    assert [kind["count"] for kind in layer.content["categories"]] == [1, 1, 2]


def test_blocks_are_a_score_of_squares_whose_neighbors_differ() -> None:
    lonlat = metric_grid(town_area(), 25.0)
    blocks = of_blocks(lonlat)
    assert blocks is not None
    codes, kinds = np.array(_codes(blocks)), blocks.content["categories"]
    assert 8 <= len(kinds) <= 60
    assert sum(kind["count"] for kind in kinds) == len(lonlat)
    colors = np.array([kind["color"] for kind in kinds])[codes]
    # Beside each place, 25 m to the east: the same block, or another color.
    beside = (np.abs(np.diff(lonlat[:, 1])) < 1e-9) & (np.diff(lonlat[:, 0]) > 0)
    crossing = beside & (codes[1:] != codes[:-1])
    assert crossing.sum() > 20
    assert (colors[1:] != colors[:-1])[crossing].all()
    # The first block lies in the north-west: nothing is further north by more than a block.
    assert lonlat[codes == 0, 1].max() > np.percentile(lonlat[:, 1], 80)


def test_blocks_need_coordinates() -> None:
    assert of_blocks(np.full((5, 2), np.nan)) is None
    some = of_blocks(np.array([[24.9, 60.1], [24.95, 60.15], [np.nan, np.nan]]))
    assert some is not None
    assert _labels(some)[2] == "no coordinates"


IDS = np.array([f"p{number}" for number in range(6)], object)
ALL = np.arange(6)


def test_columns_by_order_and_by_id_agree() -> None:
    frame = pd.DataFrame({"kind": list("aabbbc"), "height": [1.5, 2.5, np.nan, 4.0, 5.0, 6.0]})
    by_order = of_columns(frame, IDS, ALL)
    keyed = frame.assign(place_id=IDS).sample(frac=1, random_state=0)
    by_id = of_columns(pd.concat([keyed, keyed.iloc[:2], pd.DataFrame({"place_id": ["other"]})]), IDS, ALL)
    assert [one.content for one in by_order] == [one.content for one in by_id]
    kind, height = by_order
    assert _labels(kind) == list("aabbbc")
    assert [(one["label"], one["count"]) for one in kind.content["categories"]] == [
        ("b", 3),
        ("a", 2),
        ("c", 1),
    ]
    assert (height.content["minimum"], height.content["maximum"]) == (1.5, 6.0)


def test_columns_of_a_sample() -> None:
    frame = pd.DataFrame({"kind": list("abcdef")})
    assert _labels(of_columns(frame, IDS, np.array([1, 4]))[0]) == ["b", "e"]


def test_kinds_of_columns() -> None:
    frame = pd.DataFrame({
        "flag": [True, False, True, True, False, True],
        "few": [1, 1, 2, 2, 2, 3],
        "many": np.arange(6) * 1000.0 + 0.5,
        "gaps": ["x", None, "x", "y", None, "y"],
        "category": pd.Categorical(["u", "v", "u", "v", "u", "v"]),
    })  # fmt: skip
    kinds = [one.content["kind"] for one in of_columns(frame, IDS, ALL)]
    assert kinds == ["category", "category", "number", "category", "category"]
    gaps = of_columns(frame[["gaps"]], IDS, ALL)[0]
    assert _labels(gaps) == ["x", "no value", "x", "y", "no value", "y"]
    assert gaps.content["categories"][-1]["color"] is None


def test_many_categories_become_others() -> None:
    ids = np.array([f"p{number}" for number in range(100)], object)
    values = [f"kind {number % 30}" for number in range(100)]
    coloring = of_columns(pd.DataFrame({"kind": values}), ids, np.arange(100))[0]
    kinds = coloring.content["categories"]
    assert len(kinds) == len(COLORS)
    assert kinds[-1]["label"] == f"other ({30 - len(COLORS) + 1} categories)"
    assert sum(kind["count"] for kind in kinds) == 100


def test_columns_that_do_not_fit() -> None:
    with pytest.raises(InputError, match="2 rows for 6 places, and no column place_id"):
        of_columns(pd.DataFrame({"a": [1, 2]}), IDS, ALL)
    with pytest.raises(InputError, match="the columns to color by matches none of the places by place_id"):
        of_columns(pd.DataFrame({"place_id": ["x"], "a": [1]}), IDS, ALL)


def test_nothing_to_color_by() -> None:
    assert _labels(of_nothing(3)) == ["all places"] * 3
