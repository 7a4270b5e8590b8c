"""InfoNCE against torch's cross-entropy, explicit cases and invariants."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from placevec import geo
from placevec.core import Encoded
from placevec.errors import InputError
from placevec.training.objectives.contrastive import InfoNCE, info_nce, nearer_than


def pair(count: int, dim: int = 4, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    first = torch.randn(count, dim, generator=generator, dtype=torch.float64)
    return first, torch.randn(count, dim, generator=generator, dtype=torch.float64)


def slots(first: Tensor, second: Tensor, present: Tensor | None = None) -> dict[str, Encoded]:
    here = torch.ones(len(first), dtype=torch.bool)
    return {
        "anchor": Encoded(first, here),
        "positive": Encoded(second, here if present is None else present),
    }


def reference(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    logits = F.normalize(first) @ F.normalize(second).T / temperature
    labels = torch.arange(len(first))
    return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2


@pytest.mark.parametrize("temperature", [0.07, 0.1, 1.0])
def test_equals_cross_entropy_in_both_directions(temperature: float) -> None:
    """Oracle: F.cross_entropy on the logits and their transpose."""
    first, second = pair(30)
    found = InfoNCE(temperature=temperature)(slots(first, second), {})
    torch.testing.assert_close(found, reference(first, second, temperature), rtol=1e-6, atol=0)


def test_two_pairs_by_hand() -> None:
    """Oracle: closed form: cosines 1 on and 0 off the diagonal give log(1 + e^(-1/t))."""
    basis = torch.eye(2)
    loss = InfoNCE(temperature=0.5)(slots(basis, 7 * basis), {})
    assert float(loss) == pytest.approx(math.log1p(math.exp(-2)), rel=1e-6)


def test_collapse_costs_the_logarithm_of_the_batch() -> None:
    """Oracle: closed form: all vectors equal give log B."""
    same = torch.ones(16, 3)
    assert float(InfoNCE()(slots(same, same), {})) == pytest.approx(math.log(16), rel=1e-5)


def meters_apart(meters: list[float]) -> Tensor:
    """(B, 3) positions eastwards along 60 N."""
    east = np.array(meters)
    lonlat = geo.offset(np.full(len(east), 24.9), np.full(len(east), 60.0), east_m=east, north_m=0.0 * east)
    return torch.from_numpy(geo.to_ecef(lonlat[:, 0], lonlat[:, 1]))


def test_near_pairs_are_no_negatives() -> None:
    """Oracle: explicit sums. Places at 0, 60 and 5,000 m: the first two are no negatives of each other."""
    first, second = pair(3, seed=2)
    xyz = meters_apart([0, 60, 5000])
    found = InfoNCE(exclusion_m=100)(slots(first, second), {"anchor_xyz": xyz, "positive_xyz": xyz})
    logits = F.normalize(first) @ F.normalize(second).T / 0.1
    allowed = [[0, 2], [1, 2], [0, 1, 2]]
    rows = [logits[i, allowed[i]].logsumexp(0) - logits[i, i] for i in range(3)]
    columns = [logits[allowed[i], i].logsumexp(0) - logits[i, i] for i in range(3)]
    torch.testing.assert_close(found, (sum(rows) + sum(columns)) / 6, rtol=1e-6, atol=0)


def test_a_pair_is_its_own_positive_however_near() -> None:
    """Limit: when all excludes all, nothing is left to tell apart and the loss is 0; a radius of 0 excludes none."""
    first, second = pair(5)
    xyz = meters_apart([0, 1, 2, 3, 4])
    targets = {"anchor_xyz": xyz, "positive_xyz": xyz}
    assert float(InfoNCE(exclusion_m=1000)(slots(first, second), targets)) == pytest.approx(0, abs=1e-12)
    torch.testing.assert_close(
        InfoNCE(exclusion_m=0)(slots(first, second), targets),
        reference(first, second, 0.1),
        rtol=1e-6,
        atol=0,
    )


def test_distances_agree_with_the_geodesic() -> None:
    """Oracle: pyproj's geodesic, with many pairs within centimeters of the radius, in a batch large enough for torch
    to prefer its matrix product, which is off by hundreds of meters where coordinates are millions (in float32)."""
    meters = [0.0, 99.95, 100.05, 200.0, 299.97, 300.02, *(7.0 * i for i in range(60))]
    near = nearer_than(meters_apart(meters), meters_apart(meters[::-1]), 100.0)
    expected = np.abs(np.subtract.outer(meters, meters[::-1])) < 100.0
    assert near.tolist() == expected.tolist()


def test_the_exclusion_needs_positions() -> None:
    with pytest.raises(InputError, match="anchor_xyz"):
        InfoNCE(exclusion_m=100)(slots(*pair(3)), {})


def test_missing_rows_take_no_part() -> None:
    """Oracle: the loss of the present pairs alone, as rows and as negatives, though the missing one is NaN."""
    first, second = pair(9, seed=3)
    expected = reference(first[2:], second[2:], 0.1)
    given = second.clone()
    given[:2] = torch.nan
    first.requires_grad_()
    given.requires_grad_()
    loss = InfoNCE()(slots(first, given, torch.arange(9) >= 2), {})
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=0)
    loss.backward()
    for part in (first, given):
        assert part.grad is not None
        assert not part.grad[:2].any()
        assert torch.isfinite(part.grad).all()


@pytest.mark.parametrize("count", [0, 1, 3])
def test_without_anything_to_compare_the_loss_is_zero(count: int) -> None:
    first, second = (part.requires_grad_() for part in pair(count))
    xyz = meters_apart([0.0] * count)
    present = torch.arange(count) < 1  # one pair at most
    loss = InfoNCE(exclusion_m=10)(slots(first, second, present), {"anchor_xyz": xyz, "positive_xyz": xyz})
    loss.backward()
    assert loss.item() == 0


def test_gradient() -> None:
    """Oracle: finite differences, with a missing and an excluded pair."""
    first, second = (part.requires_grad_() for part in pair(5, seed=4))
    whole = torch.tensor([True, True, False, True, True])
    excluded = torch.zeros(5, 5, dtype=torch.bool)
    excluded[0, 1] = True
    scale = torch.tensor(4.0, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda a, p, s: info_nce(a, p, s, whole, excluded), (first, second, scale)
    )


def test_order_rotation_and_length_do_not_matter() -> None:
    """Invariants: permutation of pairs, isometry of space, length of vectors, exchange of the two slots."""
    first, second = pair(12, seed=5)
    objective = InfoNCE()
    expected = objective(slots(first, second), {})
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    turn, _ = torch.linalg.qr(pair(4, seed=6)[0])
    for a, p in [
        (first[order], second[order]),
        (first @ turn, second @ turn),
        (3 * first, 0.1 * second),
        (second, first),
    ]:
        torch.testing.assert_close(objective(slots(a, p), {}), expected)


def test_a_learnable_temperature_learns_and_ends() -> None:
    """Well separated pairs want a small temperature; it stops at 0.01. A fixed one has no parameters."""
    assert list(InfoNCE().parameters()) == []
    objective = InfoNCE(temperature=0.5, learnable=True)
    optimizer = torch.optim.SGD(objective.parameters(), lr=50.0)
    first, _ = pair(6, dim=6, seed=7)
    for _ in range(40):
        loss = objective(slots(first, first), {})
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(objective.scale.detach()) > 4
    objective.log_scale.data.fill_(99.0)
    assert float(objective.scale.detach()) == pytest.approx(100)


def test_nonsense_is_rejected() -> None:
    for temperature in (0.0, -1.0, float("nan")):
        with pytest.raises(InputError, match="temperature"):
            InfoNCE(temperature=temperature)
    with pytest.raises(InputError, match="exclusion_m must be"):
        InfoNCE(exclusion_m=-1)
