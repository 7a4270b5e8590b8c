"""Negatives of a batch: against a search one by one, and never near."""

from __future__ import annotations

import pytest
import torch

from placevec.core import Encoded
from placevec.errors import InputError
from placevec.training.objectives.mining import InBatchNegatives, mined
from placevec.training.objectives.triplet import SoftPN, TripletLoss


def batch(count: int = 12, seed: int = 0) -> tuple[dict[str, Encoded], dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    anchor = torch.randn(count, 4, generator=generator)
    positive = anchor + torch.randn(count, 4, generator=generator)
    here = torch.rand(count, 3, generator=generator, dtype=torch.float64) * 1000
    there = here + torch.randn(count, 3, generator=generator, dtype=torch.float64) * 30
    present = torch.ones(count, dtype=torch.bool)
    slots = {"anchor": Encoded(anchor, present), "positive": Encoded(positive, present)}
    return slots, {"anchor_xyz": here, "positive_xyz": there}


@pytest.mark.parametrize("rule", ["hard", "semi-hard"])
@pytest.mark.parametrize("exclusion_m", [0.0, 300.0, 700.0])
def test_mined_is_what_a_search_finds(rule: str, exclusion_m: float) -> None:
    """Oracle: each anchor's candidates one by one, in plain Python."""
    slots, targets = batch()
    both = torch.cat([slots["anchor"].z, slots["positive"].z])
    places = torch.cat([targets["anchor_xyz"], targets["positive_xyz"]])
    hinges, anchors = [], slots["anchor"].z
    for i in range(12):
        limit = float((anchors[i] - slots["positive"].z[i]).norm())
        candidates = [
            (float((anchors[i] - both[j]).norm()), j)
            for j in range(24)
            if j % 12 != i and float((places[j] - targets["anchor_xyz"][i]).norm()) >= exclusion_m
        ]
        if not candidates:
            continue
        farther = [one for one in candidates if one[0] > limit]
        best = min(candidates) if rule == "hard" else min(farther) if farther else max(candidates)
        hinges.append(max(0.0, limit - best[0] + 0.2))
    found = InBatchNegatives(TripletLoss(margin=0.2), rule=rule, exclusion_m=exclusion_m)(slots, targets)  # type: ignore[arg-type]
    assert len(hinges) > 3
    assert float(found) == pytest.approx(sum(hinges) / len(hinges), abs=2e-5)


def test_gradients_reach_the_negative() -> None:
    slots, targets = batch()
    for part in slots.values():
        part.z.requires_grad_()
    InBatchNegatives(SoftPN(), rule="hard", exclusion_m=0.0)(slots, targets).backward()
    assert slots["anchor"].z.grad is not None
    assert torch.isfinite(slots["anchor"].z.grad).all()
    assert slots["positive"].z.grad.abs().sum(1).gt(0).all()  # type: ignore[union-attr]


def test_what_is_missing_is_nobodys_negative_and_has_none() -> None:
    """Invariant: the loss is that of the batch without the missing row, even where it holds NaN."""
    slots, targets = batch()
    kept = [i for i in range(12) if i != 5]
    present = torch.ones(12, dtype=torch.bool)
    present[5] = False
    spoilt = {name: Encoded(part.z.clone(), present) for name, part in slots.items()}
    for part in spoilt.values():
        part.z[5] = float("nan")
    fewer = {name: Encoded(part.z[kept], part.present[kept]) for name, part in slots.items()}
    objective = InBatchNegatives(TripletLoss(), rule="semi-hard", exclusion_m=100.0)
    expected = objective(fewer, {name: value[kept] for name, value in targets.items()})
    assert float(objective(spoilt, targets)) == pytest.approx(float(expected), rel=1e-6)
    numbers = objective.watch(slots, targets)
    assert 0 < float(numbers["active_share"]) <= 1
    assert float(numbers["negative_distance"]) > 0


def test_hard_is_never_farther_than_semi_hard() -> None:
    slots, _ = batch(40)
    anchor, positive = slots["anchor"].z, slots["positive"].z
    allowed = ~torch.eye(40, dtype=torch.bool).repeat(1, 2)
    both = torch.cat([anchor, positive])
    hard, semi = (both[mined(anchor, positive, allowed, rule)[0]] for rule in ("hard", "semi-hard"))  # type: ignore[arg-type]
    assert ((anchor - hard).norm(dim=1) <= (anchor - semi).norm(dim=1) + 1e-6).all()
    assert not torch.equal(hard, semi)


def test_wrong_choices_are_rejected() -> None:
    for wrong in ({"rule": "soft", "exclusion_m": 1.0}, {"rule": "hard", "exclusion_m": -1.0}):
        with pytest.raises(InputError):
            InBatchNegatives(TripletLoss(), **wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="anchor_xyz"):
        InBatchNegatives(TripletLoss(), rule="hard", exclusion_m=1.0)(batch()[0], {})
