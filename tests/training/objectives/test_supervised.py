"""Cross-entropy and regression. Oracles: scikit-learn's log_loss, numpy, and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from placevec.core import Encoded
from placevec.errors import InputError
from placevec.models.heads import Head
from placevec.training.objectives.supervised import ClassLoss, NumberLoss


def slots_of(z: torch.Tensor, present: torch.Tensor | None = None) -> dict[str, Encoded]:
    return {"point": Encoded(z, torch.ones(len(z), dtype=torch.bool) if present is None else present)}


def test_cross_entropy_is_scikit_learn_s() -> None:
    torch.manual_seed(0)
    head = Head(4, "classes", ["a", "b", "c"]).double()
    z, label = torch.randn(30, 4).double(), torch.randint(0, 3, (30,))
    label[:2] = -1
    present = torch.arange(30) != 5
    counted = (label >= 0) & present
    wanted = log_loss(
        label[counted].numpy(), head.answers(z).detach().numpy()[counted.numpy()], labels=[0, 1, 2]
    )
    found = ClassLoss(head)(slots_of(z, present), {"label": label.int()})
    assert float(found.detach()) == pytest.approx(wanted, rel=1e-10)


def test_smoothing_is_the_formula() -> None:
    head = Head(4, "classes", ["a", "b", "c"]).double()
    z, label = torch.randn(30, 4).double(), torch.randint(0, 3, (30,))
    share = np.full((30, 3), 0.2 / 3)
    share[np.arange(30), label.numpy()] += 0.8
    wanted = -(share * np.log(head.answers(z).detach().numpy())).sum(axis=1).mean()
    found = ClassLoss(head, label_smoothing=0.2)(slots_of(z), {"label": label})
    assert float(found.detach()) == pytest.approx(wanted, rel=1e-10)


def test_numbers_are_standardized_and_the_unknown_left_out() -> None:
    """A large mean with small deviations: float32 would lose them."""
    head = Head(4, "number", mean=1e8, deviation=0.01)
    z = torch.randn(30, 4)
    label = 1e8 + 0.01 * torch.randn(30).double()
    label[4] = float("nan")
    known = torch.isfinite(label)
    wanted = (((label[known] - 1e8) / 0.01 - head(z)[known, 0]) ** 2).mean()
    assert float(NumberLoss(head)(slots_of(z), {"label": label})) == pytest.approx(
        float(wanted.detach()), rel=1e-5
    )


def test_the_mean_achieves_one() -> None:
    label = torch.randn(1000).double() * 7 + 3
    head = Head(2, "number", mean=float(label.mean()), deviation=float(label.std(unbiased=False)))
    with torch.no_grad():
        head.linear.weight.zero_()
        head.linear.bias.zero_()  # type: ignore[union-attr]
    assert float(NumberLoss(head)(slots_of(torch.randn(1000, 2)), {"label": label})) == pytest.approx(
        1.0, abs=1e-6
    )


@pytest.mark.parametrize("kind", ["classes", "number"])
def test_finite_in_bf16_and_without_anything_known(kind: str) -> None:
    head = Head(4, "number") if kind == "number" else Head(4, "classes", ["a", "b"])  # type: ignore[arg-type]
    loss = NumberLoss(head) if kind == "number" else ClassLoss(head)
    z = 1e4 * torch.randn(30, 4)
    label = torch.randn(30).double() if kind == "number" else torch.randint(0, 2, (30,))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(slots_of(z), {"label": label})
    value.backward()
    assert torch.isfinite(value)
    assert all(torch.isfinite(one.grad).all() for one in head.parameters())  # type: ignore[union-attr]
    nothing = torch.full((30,), float("nan")) if kind == "number" else torch.full((30,), -1)
    assert float(loss(slots_of(z), {"label": nothing}).detach()) == 0.0


def test_what_makes_no_sense_is_rejected() -> None:
    number, classes = Head(2, "number"), Head(2, "classes", ["a"])
    with pytest.raises(InputError, match="needs a head of kind 'classes'"):
        ClassLoss(number)
    with pytest.raises(InputError, match="needs a head of kind 'number'"):
        NumberLoss(classes)
    with pytest.raises(InputError, match="smoothing"):
        ClassLoss(classes, label_smoothing=1.0)
    with pytest.raises(InputError, match="target 'label' is missing"):
        NumberLoss(number)(slots_of(torch.zeros(2, 2)), {})
