"""Labeled points. Oracles: counts of classes, and the founding BalancedSampler's rule, min(count, most) of each."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from placevec.errors import InputError
from placevec.training.samplers.background import Sphere
from placevec.training.samplers.labeled import LabeledSampler, few_shot

COUNT = 1000
LABELS = np.random.default_rng(0).choice(5, COUNT, p=[0.5, 0.3, 0.15, 0.045, 0.005]).astype(np.int32)
LONLAT = np.stack([np.linspace(-180, 180, COUNT), np.linspace(-90, 90, COUNT)], axis=1)


def sampler_of(**changed) -> LabeledSampler:
    options = {"batch_size": 100, "seed": 1, "targets": {"label": LABELS}, "background": Sphere()} | changed
    return LabeledSampler(np.arange(COUNT), LONLAT, **options)


def epoch_of(sampler: LabeledSampler, epoch: int = 0) -> np.ndarray:
    steps = range(epoch * sampler.steps_per_epoch, (epoch + 1) * sampler.steps_per_epoch)
    return torch.cat([sampler.draw(step).looks["point"].rows for step in steps]).numpy()


def test_every_place_comes_once_an_epoch_with_its_own_coordinates_and_label() -> None:
    sampler = sampler_of()
    assert sorted(epoch_of(sampler)) == list(range(COUNT))
    assert epoch_of(sampler).tolist() != epoch_of(sampler, 1).tolist()
    draw = sampler.draw(3)
    rows = draw.looks["point"].rows.numpy()
    np.testing.assert_array_equal(draw.looks["point"].lonlat, LONLAT[rows])
    np.testing.assert_array_equal(draw.targets["label"], LABELS[rows])
    assert draw.looks["background"].lonlat.shape == (100, 2)
    assert set(draw.looks["background"].rows.tolist()) == {-1}


def test_an_incomplete_last_batch_is_left_out_and_a_small_table_is_one_batch() -> None:
    assert sampler_of(batch_size=300).steps_per_epoch == 3
    assert sampler_of(batch_size=5000).batch_size == COUNT


@pytest.mark.parametrize("most", [1, 20, 100, 10_000])
def test_balance_takes_the_least_of_count_and_most(most: int) -> None:
    sampler = sampler_of(max_per_class=most, classes=LABELS, batch_size=1)
    rows = epoch_of(sampler)
    assert len(set(rows)) == len(rows) == sampler.samples_per_epoch
    assert np.bincount(LABELS[rows], minlength=5).tolist() == np.minimum(np.bincount(LABELS), most).tolist()
    if most == 20:  # other places every epoch, and every place at some time
        seen = np.unique(np.concatenate([epoch_of(sampler, epoch) for epoch in range(200)]))
        assert len(seen) > 0.97 * COUNT


def test_draws_are_pure_and_ranks_share_the_batch() -> None:
    one, other = (
        sampler_of(max_per_class=30, classes=LABELS),
        sampler_of(max_per_class=30, classes=LABELS),
    )
    for step in (5, 0, 7, 5):
        for name in ("point", "background"):
            assert torch.equal(one.draw(step).looks[name].lonlat, other.draw(step).looks[name].lonlat)
        other.draw(0)
    whole = one.draw(4)
    parts = [other.draw(4, rank, 3) for rank in range(3)]
    for name, look in whole.looks.items():
        assert torch.equal(look.lonlat, torch.cat([part.looks[name].lonlat for part in parts]))
    assert torch.equal(whole.targets["label"], torch.cat([part.targets["label"] for part in parts]))
    assert not torch.equal(
        sampler_of(seed=2).draw(0).looks["point"].rows, sampler_of().draw(0).looks["point"].rows
    )


def test_other_batch_sizes_draw_the_same_order() -> None:
    halved = sampler_of().with_batch_size(50)
    assert halved.batch_size == 50
    np.testing.assert_array_equal(epoch_of(halved), epoch_of(sampler_of()))


def test_dates_come_with_points_and_are_uniform_elsewhere() -> None:
    sampler = sampler_of(times=np.linspace(0, 1, COUNT))
    draw = sampler.draw(0)
    rows = draw.looks["point"].rows.numpy()
    np.testing.assert_array_equal(draw.looks["point"].warp["year"], np.linspace(0, 1, COUNT)[rows])
    years = torch.cat([sampler.draw(step).looks["background"].warp["year"] for step in range(10)])
    assert 0 <= years.min() < 0.05 < 0.95 < years.max() <= 1
    assert list(draw.targets) == ["label"]


@pytest.mark.parametrize("ratio", [0.01, 0.1, 0.5, 1.0])
def test_few_shot_takes_a_share_of_every_class(ratio: float) -> None:
    rows = np.arange(COUNT)[::2]
    kept = few_shot(rows, LABELS, ratio, 3, classes=True)
    counts = np.bincount(LABELS[rows], minlength=5)
    wanted = np.where(counts, np.maximum(1, np.round(ratio * counts)), 0)
    assert np.bincount(LABELS[kept], minlength=5).tolist() == wanted.tolist()
    assert set(kept) <= set(rows)
    assert kept.tolist() == few_shot(rows, LABELS, ratio, 3, classes=True).tolist()
    if ratio < 1:
        assert kept.tolist() != few_shot(rows, LABELS, ratio, 4, classes=True).tolist()


def test_few_shot_of_numbers_takes_a_share_of_all() -> None:
    assert len(few_shot(np.arange(COUNT), np.linspace(0, 1, COUNT), 0.1, 0, classes=False)) == 100


def test_what_makes_no_sense_is_rejected() -> None:
    with pytest.raises(InputError, match="max_per_class"):
        sampler_of(max_per_class=3)
    with pytest.raises(InputError, match="max_per_class"):
        sampler_of(max_per_class=0, classes=LABELS)
    with pytest.raises(InputError, match="entries for"):
        sampler_of(targets={"label": LABELS[:5]})
    with pytest.raises(InputError, match="batch_size must be at least 1"):
        sampler_of(batch_size=0)
    with pytest.raises(InputError, match="no places to draw"):
        LabeledSampler([], LONLAT, batch_size=3, seed=0)
    with pytest.raises(InputError, match="at least 0"):
        sampler_of().draw(-1)
    for ratio in (0.0, 1.5, float("nan")):
        with pytest.raises(InputError, match="few-shot"):
            few_shot(np.arange(3), LABELS, ratio, 0, classes=True)
