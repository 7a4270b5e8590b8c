"""Samplers: pure, disjoint over ranks, true in meters, inside the rows given."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from placevec import geo
from placevec.core import ROW_MISSING, ROW_SYNTHETIC, Draw, Look, Sampler
from placevec.errors import InputError
from placevec.training.samplers import NearFarSampler, PairSampler


def town(
    count: int = 400, lon: float = 24.9, lat: float = 60.2, extent_m: float = 6000, seed: int = 0
) -> np.ndarray:
    """(count, 2) lon, lat scattered over a square."""
    east, north = np.random.default_rng(seed).uniform(-extent_m / 2, extent_m / 2, (2, count))
    return geo.offset(np.full(count, lon), np.full(count, lat), east_m=east, north_m=north)


def flat(draw: Draw) -> dict[str, torch.Tensor]:
    """Everything a draw holds, by name."""
    found = {f"target {name}": values for name, values in draw.targets.items()}
    for slot, look in draw.looks.items():
        assert look.lonlat is not None
        found |= {f"{slot} rows": look.rows, f"{slot} lonlat": look.lonlat}
        found |= {f"{slot} {name}": values for name, values in look.warp.items()}
    return found


def apart(first: Look, second: Look) -> np.ndarray:
    """Geodesic meters between two looks, an oracle apart from the sampler's straight lines."""
    assert first.lonlat is not None
    assert second.lonlat is not None
    a, b = first.lonlat.numpy(), second.lonlat.numpy()
    return geo.distance_m(a[:, 0], a[:, 1], b[:, 0], b[:, 1])


EVERYTHING: dict[str, Any] = {
    "near_m": 300.0,
    "far_m": 1500.0,
    "negatives": True,
    "rotate": True,
    "shift_m": 40.0,
    "drop_channels": 0.3,
    "channels": 12,
}


@pytest.mark.parametrize("positives", ["disc", "places"])
def test_a_draw_follows_from_seed_and_step_alone(positives: Any) -> None:
    """Invariant: a fresh sampler, drawing steps in any order, draws the same: resuming needs no state."""
    options = {**EVERYTHING, "positives": positives, "batch_size": 32}
    first, second = NearFarSampler(town(), seed=5, **options), NearFarSampler(town(), seed=5, **options)
    forward = [flat(first.draw(step)) for step in range(30)]  # more than two epochs
    for step in (29, 3, 17, 0):
        again = flat(second.draw(step))
        assert again.keys() == forward[step].keys()
        assert all(torch.equal(again[name], forward[step][name]) for name in again)
    other = flat(NearFarSampler(town(), seed=6, **options).draw(0))
    assert not torch.equal(other["anchor rows"], forward[0]["anchor rows"])
    assert not torch.equal(forward[0]["positive angle"], forward[1]["positive angle"])


@pytest.mark.parametrize("world", [1, 2, 3, 7, 40])
def test_ranks_share_one_global_batch(world: int) -> None:
    """Invariant: the ranks' slices, put together, are the batch of a single process."""
    samplers: list[Sampler] = [
        NearFarSampler(town(), seed=1, batch_size=32, **EVERYTHING),
        PairSampler(range(50), batch_size=32, seed=1, slots=["a"], lonlat=town(), targets={"row": range(50)}),
    ]
    for sampler in samplers:
        whole = flat(sampler.draw(4))
        parts = [flat(sampler.draw(4, rank, world)) for rank in range(world)]
        for name, values in whole.items():
            assert torch.equal(torch.cat([part[name] for part in parts]), values)


def test_an_epoch_visits_every_place_once_in_a_new_order() -> None:
    sampler = NearFarSampler(town(96), batch_size=32, seed=0, near_m=100)
    assert sampler.steps_per_epoch == 3
    epochs = [
        torch.cat([sampler.draw(3 * epoch + i).looks["anchor"].rows for i in range(3)]) for epoch in range(2)
    ]
    for epoch in epochs:
        assert sorted(epoch.tolist()) == list(range(96))
    assert not torch.equal(*epochs)


def test_a_batch_holds_no_place_twice() -> None:
    """A place twice in a batch would be its own negative; a batch larger than the table shrinks to it."""
    sampler = NearFarSampler(town(10), batch_size=64, seed=0, near_m=100)
    assert sampler.batch_size == 10
    assert sampler.steps_per_epoch == 1
    for step in range(5):
        assert len(set(sampler.draw(step).looks["anchor"].rows.tolist())) == 10


@pytest.mark.parametrize(("lon", "lat"), [(24.9, 60.2), (-70.0, 0.0), (179.999, -17.0), (15.0, 78.2)])
def test_discs_and_far_places_in_meters(lon: float, lat: float) -> None:
    """Oracle: pyproj's geodesic, also at the equator, on the antimeridian and in Svalbard. Points in a disc are
    uniform by area: a quarter within half the radius, and centered."""
    sampler = NearFarSampler(town(800, lon, lat), seed=2, batch_size=800, **EVERYTHING)
    looks = [sampler.draw(step).looks for step in range(5)]
    near = np.concatenate([apart(look["anchor"], look["positive"]) for look in looks])
    far = np.concatenate([apart(look["anchor"], look["negative"]) for look in looks])
    assert near.max() <= 300.1
    assert near.max() > 295
    assert (near < 150).mean() == pytest.approx(0.25, abs=0.03)
    assert far.min() >= 1500
    assert (looks[0]["positive"].rows == ROW_SYNTHETIC).all()
    assert (looks[0]["negative"].rows >= 0).all()


def test_far_places_are_drawn_evenly() -> None:
    """Oracle: brute force: over many draws each place at least far_m away comes equally often, the others never."""
    lonlat = town(12, extent_m=4000)
    sampler = NearFarSampler(lonlat, seed=0, batch_size=12, near_m=100, far_m=1200, negatives=True)
    counts = np.zeros((12, 12))
    for step in range(1500):
        looks = sampler.draw(step).looks
        np.add.at(counts, (looks["anchor"].rows.numpy(), looks["negative"].rows.numpy()), 1)
    a, b = np.meshgrid(np.arange(12), np.arange(12), indexing="ij")
    far = geo.distance_m(lonlat[a, 0], lonlat[a, 1], lonlat[b, 0], lonlat[b, 1]) >= 1200
    assert not counts[~far].any()
    expected = np.broadcast_to(1500 / far.sum(1, keepdims=True), far.shape)[far]
    assert np.abs(counts[far] - expected).max() < 5 * np.sqrt(expected.max())


def test_a_single_far_place_is_found() -> None:
    """Rejection would give up: 999 of 1,000 places are near; the thousandth is every anchor's only negative."""
    lonlat = np.concatenate([town(999, extent_m=200), town(1, lat=60.3, extent_m=1)])
    sampler = NearFarSampler(
        lonlat, rows=np.arange(1000), seed=0, batch_size=1000, near_m=50, far_m=5000, negatives=True
    )
    looks = sampler.draw(0).looks
    others = looks["anchor"].rows != 999
    assert (looks["negative"].rows[others] == 999).all()
    assert looks["negative"].rows[~others].item() != 999


def test_positive_places_are_near_others_and_come_evenly() -> None:
    """Oracle: brute force over all pairs."""
    lonlat = town(60, extent_m=1500)
    sampler = NearFarSampler(lonlat, seed=0, batch_size=60, near_m=400, positives="places")
    counts = np.zeros((60, 60))
    for step in range(400):
        looks = sampler.draw(step).looks
        np.add.at(counts, (looks["anchor"].rows.numpy(), looks["positive"].rows.numpy()), 1)
    xyz = geo.to_ecef(lonlat[:, 0], lonlat[:, 1])
    near = np.linalg.norm(xyz[:, None] - xyz[None], axis=2) <= 400
    np.fill_diagonal(near, False)
    assert near.any(1).all()
    assert not counts[~near].any()
    expected = np.broadcast_to(400 / near.sum(1, keepdims=True), near.shape)[near]
    assert np.abs(counts[near] - expected).max() < 5.5 * np.sqrt(expected.max())


def test_a_lonely_place_is_its_own_positive_shifted() -> None:
    lonlat = np.concatenate([town(40, extent_m=200), town(1, lat=61.0, extent_m=1)])
    sampler = NearFarSampler(lonlat, seed=0, batch_size=41, near_m=300, positives="places", shift_m=5)
    assert sampler.reach_m == 305
    for step in range(5):
        looks = sampler.draw(step).looks
        lonely = looks["anchor"].rows == 40
        positive = looks["positive"]
        assert (positive.rows[lonely] == 40).all()
        assert (positive.rows[~lonely] != looks["anchor"].rows[~lonely]).all()
        moved = positive.warp["shift"].norm(dim=1)
        assert moved[lonely].item() > 5
        assert moved[~lonely].max() <= 5
    crowded = NearFarSampler(lonlat[:40], seed=0, batch_size=8, near_m=300, positives="places")
    assert crowded.reach_m == 0
    assert crowded.draw(0).looks["positive"].warp == {}


def test_many_neighbors_are_cut_to_the_nearest() -> None:
    lonlat = town(300, extent_m=500)
    sampler = NearFarSampler(lonlat, seed=0, batch_size=300, near_m=400, positives="places", max_neighbors=3)
    xyz = geo.to_ecef(lonlat[:, 0], lonlat[:, 1])
    order = np.argsort(np.linalg.norm(xyz[:, None] - xyz[None], axis=2), axis=1)[:, 1:4]
    looks = sampler.draw(0).looks
    for anchor, positive in zip(looks["anchor"].rows.tolist(), looks["positive"].rows.tolist(), strict=True):
        assert positive in order[anchor]


@pytest.mark.parametrize("positives", ["disc", "places"])
def test_held_out_rows_are_never_drawn_nor_reached(positives: Any) -> None:
    """Invariant: rows outside the split never come, and no window's center lies farther than reach_m from the rows,
    so that a buffer of that width keeps held-out ground unread. Places interleave, so a leak would show at once."""
    lonlat, rows = town(600), np.arange(0, 600, 3)
    sampler = NearFarSampler(lonlat, rows=rows, seed=0, batch_size=64, positives=positives, **EVERYTHING)
    for step in range(10):
        for look in sampler.draw(step).looks.values():
            placed = look.rows[look.rows >= 0]
            assert np.isin(placed.numpy(), rows).all()
            assert look.lonlat is not None
            read = geo.offset(
                look.lonlat[:, 0].numpy(),
                look.lonlat[:, 1].numpy(),
                east_m=look.warp["shift"][:, 0].numpy(),
                north_m=look.warp["shift"][:, 1].numpy(),
            )
            assert geo.within_distance(read, lonlat[rows], sampler.reach_m * 1.0001).all()


def test_targets_are_the_positions_of_what_is_read() -> None:
    """Oracle: geo.to_ecef of the looks themselves."""
    for positives in ("disc", "places"):
        sampler = NearFarSampler(town(), seed=0, batch_size=16, near_m=200, positives=positives)  # type: ignore[arg-type]
        draw = sampler.draw(1)
        for slot in ("anchor", "positive"):
            lonlat = draw.looks[slot].lonlat
            assert lonlat is not None
            expected = geo.to_ecef(lonlat[:, 0].numpy(), lonlat[:, 1].numpy())
            assert draw.targets[f"{slot}_xyz"].dtype == torch.float64
            np.testing.assert_allclose(draw.targets[f"{slot}_xyz"].numpy(), expected, atol=1e-6)


def test_warps() -> None:
    """Angles over the full circle, shifts uniform in their disc, dropped channels at their rate and never all."""
    options = {**EVERYTHING, "drop_in": ("anchor", "positive"), "batch_size": 400, "seed": 0}
    looks = [NearFarSampler(town(), **options).draw(step).looks for step in range(8)]
    for slot in ("anchor", "positive", "negative"):
        angle = torch.cat([look[slot].warp["angle"] for look in looks])
        shift = torch.cat([look[slot].warp["shift"] for look in looks])
        assert angle.dtype == shift.dtype == torch.float32
        assert angle.abs().max() <= np.pi + 1e-6
        assert abs(angle.cos().mean()) < 0.05
        assert shift.norm(dim=1).max() <= 40.001
        assert (shift.norm(dim=1) < 20).float().mean() == pytest.approx(0.25, abs=0.04)
        assert ("keep" in looks[0][slot].warp) == (slot != "negative")
    keep = torch.cat([look["positive"].warp["keep"] for look in looks])
    assert keep.shape == (3200, 12)
    assert (~keep).float().mean() == pytest.approx(0.3, abs=0.01)
    harsh = NearFarSampler(town(), batch_size=400, seed=0, near_m=9, drop_channels=0.99, channels=3)
    kept = harsh.draw(0).looks["positive"].warp["keep"]
    assert kept.any(dim=1).all()
    assert kept.float().mean() < 0.4
    assert "keep" not in harsh.draw(0).looks["anchor"].warp


def test_an_area_too_small_for_negatives_says_what_to_lower() -> None:
    """The message names the extent and a far_m, and that far_m works."""
    lonlat = town(60, extent_m=1000)
    with pytest.raises(InputError, match="lower far_m to") as caught:
        NearFarSampler(lonlat, seed=0, batch_size=8, near_m=100, far_m=2000, negatives=True)
    words = str(caught.value).replace(",", "").split()
    workable = float(words[words.index("to", words.index("far_m")) + 1])
    assert 400 < workable < 1000
    sampler = NearFarSampler(lonlat, seed=0, batch_size=60, near_m=100, far_m=workable, negatives=True)
    looks = sampler.draw(0).looks
    assert apart(looks["anchor"], looks["negative"]).min() >= workable


@given(count=st.integers(2, 40), far_m=st.floats(100, 3000), seed=st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_construction_rejects_exactly_when_a_negative_is_missing(count: int, far_m: float, seed: int) -> None:
    """Oracle: brute force over all pairs."""
    lonlat = town(count, extent_m=2000, seed=seed)
    xyz = geo.to_ecef(lonlat[:, 0], lonlat[:, 1])
    possible = bool((np.linalg.norm(xyz[:, None] - xyz[None], axis=2).max(axis=1) >= far_m).all())
    options: dict[str, Any] = {"batch_size": 8, "seed": 0, "near_m": 50, "far_m": far_m, "negatives": True}
    if possible:
        looks = NearFarSampler(lonlat, **options).draw(0).looks
        assert apart(looks["anchor"], looks["negative"]).min() >= far_m * 0.99999
    else:
        with pytest.raises(InputError, match="lower far_m"):
            NearFarSampler(lonlat, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"near_m": 0}, "near_m must be a positive"),
        ({"negatives": True}, "negatives need far_m"),
        ({"negatives": True, "far_m": 10}, "at least near_m"),
        ({"positives": "elsewhere"}, "disc or places"),
        ({"drop_channels": 0.5}, "drop_channels must be"),
        ({"drop_channels": 1.0, "channels": 12}, "drop_channels must be"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"seed": -1}, "seed"),
        ({"rows": []}, "rows is empty"),
        ({"rows": [400]}, "rows must be integers"),
        ({"rows": np.ones(400, bool)}, "flatnonzero"),
    ],
)
def test_nonsense_is_rejected(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        NearFarSampler(town(), **{"batch_size": 8, "seed": 0, "near_m": 100, **options})


def test_places_without_coordinates_are_rejected_unless_left_out() -> None:
    lonlat = town(10)
    lonlat[3] = np.nan
    with pytest.raises(InputError, match="1 of 10 places have none \\(the first is row 3\\)"):
        NearFarSampler(lonlat, batch_size=4, seed=0, near_m=10)
    rows = [0, 1, 2, 4, 5]
    assert NearFarSampler(lonlat, rows=rows, batch_size=4, seed=0, near_m=10).draw(0).looks


def test_wrong_steps_and_ranks_are_rejected() -> None:
    sampler = PairSampler([0, 1], batch_size=2, seed=0, slots=["a"])
    with pytest.raises(InputError, match=r"rank must be.*got 2"):
        sampler.draw(0, 2, 2)
    with pytest.raises(InputError, match="step"):
        sampler.draw(-1)


def test_pair_sampler_reads_one_row_in_every_slot() -> None:
    """Unknown places are missing in their slot only; targets and coordinates belong to the drawn rows."""
    known = np.arange(30) % 3 > 0
    labels, lonlat = np.arange(30) * 10, town(30)
    sampler = PairSampler(
        range(30),
        batch_size=10,
        seed=0,
        slots={"image": None, "words": known},
        lonlat=lonlat,
        targets={"label": labels},
    )
    seen = []
    for step in range(sampler.steps_per_epoch):
        draw = sampler.draw(step)
        rows = draw.looks["image"].rows
        words = draw.looks["words"].rows
        assert torch.equal(words, torch.where(torch.from_numpy(known)[rows], rows, ROW_MISSING))
        assert torch.equal(draw.targets["label"], rows * 10)
        assert draw.looks["words"].lonlat is not None
        assert torch.equal(draw.looks["words"].lonlat, torch.from_numpy(lonlat)[rows])
        seen += rows.tolist()
    assert sorted(seen) == list(range(30))
    with pytest.raises(InputError, match="label has 3 entries"):
        PairSampler([0, 5], batch_size=1, seed=0, slots=["a"], targets={"label": [1, 2, 3]})


def test_drawing_is_fast() -> None:
    """Under 5 microseconds a pair where the founding sampler took 16,600; a generous bound for busy machines."""
    sampler = NearFarSampler(
        town(16000, extent_m=40000), seed=0, batch_size=256, positives="places", **EVERYTHING
    )
    best = float("inf")
    for step in range(100):
        began = time.perf_counter()
        sampler.draw(step)
        best = min(best, time.perf_counter() - began)
    assert best / 256 < 25e-6
