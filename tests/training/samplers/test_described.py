"""Places with images and words: pure draws, distinct places, quotas of types by hand, texts and disturbances in range."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from placevec.errors import InputError
from placevec.training.samplers.described import Choices, DescribedSampler, Disturbed, quotas

TYPES = np.repeat([0, 1, 2, -1], [60, 9, 20, 11])
ROWS = np.setdiff1d(np.arange(100), [5, 65])
CHOICES = Choices(np.concatenate([[0], np.cumsum(np.arange(100) % 3 + 1)]), np.arange(200) % 7)


def sampler(**options: object) -> DescribedSampler:
    given = {"batch_size": 24, "seed": 3, "choices": CHOICES, **options}
    return DescribedSampler(ROWS, TYPES, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("balanced", [False, True])
def test_draws_are_pure_and_of_the_given_rows_once(balanced: bool) -> None:
    """Oracle: a second sampler; the batch of one process as the ranks' put together."""
    first, second = (
        sampler(balanced=balanced, disturbed=Disturbed(flip=True)),
        sampler(balanced=balanced, disturbed=Disturbed(flip=True)),
    )
    for step in (7, 0, 123):
        whole = first.draw(step)
        rows = whole.looks["image"].rows
        assert len(set(rows.tolist())) == 24
        assert set(rows.tolist()) <= set(ROWS.tolist())
        assert torch.equal(whole.targets["type"], torch.from_numpy(TYPES)[rows])
        parts = [second.draw(step, rank, 3) for rank in range(3)]
        for name in ("image", "words", "types"):
            assert torch.equal(torch.cat([part.looks[name].rows for part in parts]), rows)
        for name, warp in (("words", "text"), ("image", "flip")):
            found = torch.cat([part.looks[name].warp[warp] for part in parts])
            assert torch.equal(found, whole.looks[name].warp[warp])


def test_every_place_comes_and_types_have_their_quota() -> None:
    """Oracle: by hand: of 24 places 6 are of each type, and 98 of 100 places come within 60 steps."""
    balanced = sampler(balanced=True)
    seen: set[int] = set()
    for step in range(60):
        draw = balanced.draw(step)
        assert np.unique(draw.targets["type"].numpy(), return_counts=True)[1].tolist() == [6, 6, 6, 6]
        seen |= set(draw.looks["image"].rows.tolist())
    assert seen == set(ROWS.tolist())
    assert balanced.steps_per_epoch == 4
    assert quotas([8, 59, 20, 11], 60).tolist() == [8, 21, 20, 11]
    with pytest.raises(InputError, match="99 of 98 places"):
        quotas([8, 59, 20, 11], 99)


def test_texts_are_those_of_the_place_each_as_likely() -> None:
    """Oracle: the choices themselves; the shares of three texts within 4 standard deviations."""
    drawing, counts = sampler(disturbed=Disturbed()), np.zeros(3)
    for step in range(100):
        look = drawing.draw(step).looks["words"]
        for row, text in zip(look.rows.tolist(), look.warp["text"].tolist(), strict=True):
            allowed = CHOICES.texts[CHOICES.starts[row] : CHOICES.starts[row + 1]].tolist()
            assert text in allowed
            if len(allowed) == 3:
                counts[allowed.index(text)] += 1
    assert np.abs(counts / counts.sum() - 1 / 3).max() < 4 * np.sqrt(2 / 9 / counts.sum())
    still = sampler().draw(0).looks
    assert torch.equal(
        still["words"].warp["text"],
        torch.from_numpy(CHOICES.texts[CHOICES.starts[still["words"].rows.numpy()]]),
    )
    assert not still["image"].warp


def test_images_are_disturbed_within_bounds() -> None:
    """Oracle: the bounds: all eight symmetries occur, one channel at least stays, chips are counted."""
    chips = np.arange(100) % 4 + 1
    disturbed = Disturbed(angle=True, turn=True, flip=True, drop=0.9, channels=3, chips=chips)
    looks = [sampler(disturbed=disturbed).draw(step).looks["image"] for step in range(40)]
    warp = {name: torch.cat([look.warp[name] for look in looks]) for name in looks[0].warp}
    rows = torch.cat([look.rows for look in looks])
    assert set(warp) == {"angle", "turn", "flip", "keep", "chip"}
    kinds = {(int(turn), *flip) for turn, flip in zip(warp["turn"], warp["flip"].tolist(), strict=True)}
    assert len(kinds) == 16
    assert bool(warp["keep"].any(dim=1).all())
    assert 0.2 < float(warp["keep"].float().mean()) < 0.5
    assert bool((warp["chip"] < torch.from_numpy(chips)[rows]).all())
    assert float(warp["angle"].abs().max()) <= np.pi + 1e-6
    with pytest.raises(InputError, match="at least 2 channels"):
        Disturbed(drop=0.5, channels=1)


def test_chips_are_cropped_and_lit_within_bounds() -> None:
    """Oracle: the bounds, and the shares of binomial draws: four in five jittered, one in four gray."""
    disturbed = Disturbed(crop=0.25, jitter=0.4, gray=0.25)
    looks = [sampler(disturbed=disturbed).draw(step).looks["image"] for step in range(100)]
    crop, light = (torch.cat([look.warp[name] for look in looks]).numpy() for name in ("crop", "light"))
    assert len(light) >= 1_000
    assert 0.5 <= crop[:, 0].min() < 0.55 < 0.95 < crop[:, 0].max() <= 1.0
    assert 0.0 <= crop[:, 1:].min() < 0.05 < 0.95 < crop[:, 1:].max() < 1.0
    assert 0.6 <= light[:, :2].min() < 0.65 < 1.35 < light[:, :2].max() <= 1.4
    assert abs((light[:, 0] != 1.0).mean() - 0.8) < 0.05
    assert abs((light[:, 2] == 0.0).mean() - 0.25) < 0.05
    assert not {"crop", "light"} & set(sampler(disturbed=Disturbed(flip=True)).draw(0).looks["image"].warp)


def test_smaller_batches_and_places_without_a_text() -> None:
    assert len(sampler(balanced=True).with_batch_size(6).draw(0).looks["image"]) == 6
    with pytest.raises(InputError, match="without a text"):
        sampler(choices=Choices(np.zeros(101, np.int64), np.zeros(0, np.int64)))
