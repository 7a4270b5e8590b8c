"""Triplets in tiles and in degrees, as the two founding systems drew them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from placevec import geo
from placevec.core import ROW_SYNTHETIC
from placevec.errors import InputError
from placevec.training.samplers import BoxSampler, TileSampler

ZOOM = 17


def grid(side: int = 30, west: int = 76_500, north: int = 44_100) -> np.ndarray:
    """Centers of a square of tiles in Kyiv."""
    y, x = np.divmod(np.arange(side * side), side)
    return geo.tile_xy_to_lonlat(np.stack([west + x + 0.5, north + y + 0.5], axis=1), ZOOM)


def tiles_of(lonlat: torch.Tensor | None) -> np.ndarray:
    assert lonlat is not None
    return np.floor(geo.lonlat_to_tile_xy(*lonlat.numpy().T, ZOOM)).astype(int)


@pytest.mark.parametrize("west", [76_500, 2**ZOOM - 15])
def test_tiles_near_and_far(west: int) -> None:
    """Oracle: whole tile numbers. All 24 neighbors come, equally often; none beyond; also over the antimeridian."""
    lonlat = grid(west=west)
    sampler = TileSampler(lonlat, zoom=ZOOM, near_tiles=2, far_tiles=10, batch_size=100, seed=0)
    seen: dict[tuple[int, int], int] = {}
    inner = np.zeros((30, 30), bool)
    inner[2:-2, 2:-2] = True
    for step in range(100):
        looks = sampler.draw(step).looks
        anchor, positive, negative = (
            tiles_of(looks[slot].lonlat) for slot in ("anchor", "positive", "negative")
        )
        away = (positive - anchor + 2 ** (ZOOM - 1)) % 2**ZOOM - 2 ** (ZOOM - 1)
        assert (np.abs(away).max(axis=1) <= 2).all()
        assert np.abs(away).any(axis=1).all()
        far = (negative - anchor + 2 ** (ZOOM - 1)) % 2**ZOOM - 2 ** (ZOOM - 1)
        assert (np.hypot(*far.T) > 10).all()
        for row, (x, y) in zip(looks["anchor"].rows.tolist(), away.tolist(), strict=True):
            if inner.ravel()[row]:
                seen[x, y] = seen.get((x, y), 0) + 1
    assert len(seen) == 24
    counts = np.array(list(seen.values()))
    expected = counts.sum() / 24
    assert ((counts - expected) ** 2 / expected).sum() < 52  # chi squared, 23 degrees of freedom, p = 0.0005


def test_a_lonely_tile_is_its_own_positive_moved() -> None:
    lonlat = grid()[[0, 1, 29, 870]]
    sampler = TileSampler(lonlat, zoom=ZOOM, near_tiles=2, far_tiles=10, batch_size=4, seed=0)
    draw = sampler.draw(0)
    lonely = (draw.looks["anchor"].rows >= 2).numpy()
    assert torch.equal(draw.looks["anchor"].rows[lonely], draw.looks["positive"].rows[lonely])
    shift = draw.looks["positive"].warp["shift"].numpy()
    tile_m = float(geo.meters_per_pixel(lonlat[0, 1], ZOOM)) * 256
    assert (np.hypot(*shift[lonely].T) <= 2.01 * tile_m).all()
    assert (np.hypot(*shift[lonely].T) > 0).all()
    assert not shift[~lonely].any()
    assert sampler.reach_m == pytest.approx(2 * tile_m, rel=5e-3)


def test_tiles_too_few_for_negatives_are_rejected() -> None:
    with pytest.raises(InputError, match="far_tiles"):
        TileSampler(grid(8), zoom=ZOOM, near_tiles=2, far_tiles=10, batch_size=4, seed=0)


BOX = (30.3, 50.3, 30.7, 50.6)


def places(count: int = 400, box: tuple[float, ...] = BOX) -> np.ndarray:
    random = np.random.default_rng(0).random((count, 2))
    width = box[2] - box[0] if box[2] > box[0] else box[2] - box[0] + 360
    lon = (box[0] + random[:, 0] * width + 180) % 360 - 180
    return np.stack([lon, box[1] + random[:, 1] * (box[3] - box[1])], axis=1)


@pytest.mark.parametrize("box", [BOX, (179.9, -17.2, -179.9, -16.9)])
def test_degrees_near_and_far(box: tuple[float, float, float, float]) -> None:
    """Oracle: plain differences of degrees; a positive fills the square around its anchor, a negative the box."""
    lonlat = places(box=box)
    sampler = BoxSampler(lonlat, boxes=box, near_degrees=0.001, far_degrees=0.01, batch_size=200, seed=1)
    steps, negatives = [], []
    for step in range(20):
        looks = sampler.draw(step).looks
        anchor, positive, negative = (
            looks[slot].lonlat.numpy() for slot in ("anchor", "positive", "negative")
        )  # type: ignore[union-attr]
        near, far = ((other - anchor + 180) % 360 - 180 for other in (positive, negative))
        assert (np.abs(near) <= 0.001 + 1e-12).all()
        assert (np.hypot(*far.T) > 0.01).all()
        assert (looks["negative"].rows == ROW_SYNTHETIC).all()
        for points in (positive, negative):
            inside = (points - box[:2] + 180) % 360 - 180
            assert (inside >= -1e-9).all()
            assert (inside <= np.array([(box[2] - box[0]) % 360, box[3] - box[1]]) + 1e-9).all()
        steps.append(near)
        negatives.append((negative - box[:2]) % 360)
    every = np.concatenate(steps)
    assert np.allclose(every.std(axis=0), 0.001 / np.sqrt(3), rtol=0.05)  # of a uniform distribution
    size = ((box[2] - box[0]) % 360, box[3] - box[1])
    assert np.allclose(np.concatenate(negatives).mean(axis=0), np.array(size) / 2, rtol=0.05)


def test_positives_stay_inside_the_box() -> None:
    corner = np.array([[30.3, 50.3], [30.7, 50.6]])
    sampler = BoxSampler(corner, boxes=BOX, near_degrees=0.01, far_degrees=0.02, batch_size=2, seed=0)
    looks = [sampler.draw(step).looks["positive"].lonlat.numpy() for step in range(50)]  # type: ignore[union-attr]
    found = np.concatenate(looks)
    assert geo.Area(*BOX).contains(found[:, 0], found[:, 1]).all()


def test_negatives_keep_off_what_is_held_out() -> None:
    """Invariant: no negative within 3 km of a held-out place, while without it many are."""
    lonlat, held = places(), np.array([[30.5, 50.45], [30.4, 50.4]])
    nearest = []
    for keep_off in (None, held):
        sampler = BoxSampler(
            lonlat, boxes=BOX, near_degrees=0.001, far_degrees=0.01, keep_off=keep_off, keep_off_m=3000,
            batch_size=300, seed=0,
        )  # fmt: skip
        found = sampler.draw(0).looks["negative"].lonlat.numpy()  # type: ignore[union-attr]
        nearest.append(min(geo.distance_m(*found.T, *place).min() for place in held))
    assert nearest[0] < 3000 <= nearest[1] + 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"near_degrees": 0.0}, {"near_degrees": 0.1, "far_degrees": 0.01}, {"far_degrees": 0.6},
        {"near_degrees": float("nan")},
    ],
)  # fmt: skip
def test_impossible_degrees_are_rejected(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        BoxSampler(
            places(), boxes=BOX, batch_size=4, seed=0, **{"near_degrees": 0.001, "far_degrees": 0.01, **wrong}
        )


def test_windows_are_mirrored_in_all_four_ways_and_nothing_else_changes() -> None:
    """Invariant: each of four mirrorings comes; places and angles are those drawn without."""
    options: dict[str, Any] = {
        "boxes": BOX, "near_degrees": 0.001, "far_degrees": 0.01, "batch_size": 200, "seed": 0, "rotate": True,
    }  # fmt: skip
    plain, flipped = BoxSampler(places(), **options), BoxSampler(places(), flip=True, **options)
    looks = flipped.draw(0).looks
    for slot in ("anchor", "positive", "negative"):
        kinds = looks[slot].warp["flip"].int() @ torch.tensor([2, 1], dtype=torch.int32)
        assert (torch.bincount(kinds, minlength=4) > 25).all()
    assert not torch.equal(looks["anchor"].warp["flip"], looks["positive"].warp["flip"])
    assert torch.equal(looks["anchor"].rows, plain.draw(0).looks["anchor"].rows)


def test_smaller_batches_of_the_same_sampler() -> None:
    sampler = TileSampler(grid(), zoom=ZOOM, near_tiles=2, far_tiles=10, batch_size=64, seed=0)
    smaller = sampler.with_batch_size(16)
    assert (sampler.batch_size, smaller.batch_size) == (64, 16)
    assert len(smaller.draw(3).looks["anchor"]) == 16
    assert smaller.steps_per_epoch == 900 // 16
