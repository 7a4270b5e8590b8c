"""Batches of places with their images, and of background points in the order that the losses expect."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from placevec.core import ROW_SYNTHETIC
from placevec.errors import InputError
from placevec.training.samplers.background import Sphere
from placevec.training.samplers.image_pairs import ImagePairs

LONLAT = np.random.default_rng(0).uniform(-50, 50, (20, 2))
ROWS = [1, 3, 5, 7, 11, 13, 17]


def pairs(**options: object) -> ImagePairs:
    chosen: dict[str, object] = {
        "batch_size": 3,
        "seed": 4,
        "twins": True,
        "background": Sphere(),
        "negatives": 2,
    }
    return ImagePairs(ROWS, LONLAT, **{**chosen, **options})  # type: ignore[arg-type]


def test_slots_hold_the_same_places() -> None:
    """Oracle: the table of coordinates that was given, and each row once an epoch."""
    sampler, seen = pairs(), []
    for step in range(2):
        looks = sampler.draw(step).looks
        assert torch.equal(looks["point"].rows, looks["image"].rows)
        assert torch.equal(looks["point"].rows, looks["twin"].rows)
        for name in ("point", "twin"):
            lonlat = looks[name].lonlat
            assert lonlat is not None
            assert np.array_equal(lonlat.numpy(), LONLAT[looks[name].rows.numpy()])
        assert len(looks["background"]) == 6
        assert bool((looks["background"].rows == ROW_SYNTHETIC).all())
        seen += looks["point"].rows.tolist()
    assert len(set(seen)) == 6
    assert set(seen) <= set(ROWS)
    assert sampler.steps_per_epoch == 2


def test_pure_in_the_step_and_split_between_processes() -> None:
    """Oracle: the batch of one process; its k-th background point of place b is row k * B + b."""
    sampler = pairs()
    whole = sampler.draw(5)
    again = pairs().draw(5)
    parts = [sampler.draw(5, rank, 2) for rank in range(2)]
    background = whole.looks["background"].lonlat
    assert background is not None
    for name in ("point", "image", "twin"):
        together = torch.cat([part.looks[name].rows for part in parts])
        assert torch.equal(together, whole.looks[name].rows)
        assert torch.equal(again.looks[name].rows, whole.looks[name].rows)
    split = [part.looks["background"].lonlat for part in parts]
    joined = torch.cat([one.reshape(2, -1, 2) for one in split if one is not None], 1).reshape(-1, 2)
    assert torch.equal(joined, background)


def test_without_what_is_not_asked_for() -> None:
    assert sorted(pairs(twins=False, background=None).draw(0).looks) == ["image", "point"]
    small = pairs().with_batch_size(2)
    assert (small.batch_size, len(small.draw(0).looks["background"])) == (2, 4)
    with pytest.raises(InputError, match="negatives must be at least 1"):
        pairs(negatives=0)
    with pytest.raises(InputError, match="empty"):
        ImagePairs([], LONLAT, batch_size=3, seed=0)
