"""The type-aware objective: the founding formula pair by pair, closed forms of the corrected ones, missing rows."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.special import logsumexp

from placevec.core import Encoded
from placevec.errors import InputError
from placevec.training.objectives.contrastive import info_nce
from placevec.training.objectives.type_aware import UNKNOWN, Form, TypeAware, contrast

FORMS: tuple[Form, ...] = ("founding", "log", "unicl", "sigmoid")


def batch(count: int = 24, dim: int = 16, kinds: int = 3, seed: int = 0) -> tuple[torch.Tensor, ...]:
    random = torch.Generator().manual_seed(seed)
    z, t, s = (F.normalize(torch.randn(count, dim, generator=random), dim=1) for _ in range(3))
    return z, t, s, torch.randint(0, kinds, (count,), generator=random)


def founding(z: torch.Tensor, t: torch.Tensor, y: torch.Tensor, temperature: float, alpha: float) -> float:
    """The founding loss in float64 by numpy and SciPy, one pair after the other, as the founding code loops."""
    z_, t_, y_ = z.double().numpy(), t.double().numpy(), y.tolist()
    logits = np.empty((len(y_), len(y_)))
    for i, own in enumerate(y_):
        for j, other in enumerate(y_):
            weight = 1.0 if i == j or own != other else 1.0 - alpha
            logits[i, j] = float(z_[i] @ t_[j]) / temperature * weight
    rows = [logsumexp(logits[i]) - logits[i, i] for i in range(len(y_))]
    columns = [logsumexp(logits[:, i]) - logits[i, i] for i in range(len(y_))]
    return float(np.mean(rows) + np.mean(columns)) / 2


@pytest.mark.parametrize(("alpha", "weight"), [(0.5, 0.3), (0.0, 1.0), (1.0, 0.0)])
def test_founding_form_equals_the_founding_loop(alpha: float, weight: float) -> None:
    """Oracle: `founding`, to 1e-6."""
    z, t, s, y = batch()
    here = torch.ones(len(y), dtype=torch.bool)
    objective = TypeAware(instance="founding", semantic="founding", alpha=alpha, semantic_weight=weight)
    slots = {"image": Encoded(3 * z, here), "words": Encoded(t, here), "types": Encoded(2 * s, here)}
    wanted = founding(z, t, y, 0.07, alpha) + weight * founding(z, s, y, 0.07, alpha)
    assert float(objective(slots, {"type": y})) == pytest.approx(wanted, rel=1e-6)


def test_log_form_counts_negatives_of_the_type_less_whatever_their_sign() -> None:
    """Oracle: a softmax whose terms are multiplied by 1 - alpha, in numpy; at 0 InfoNCE, at 1 without those terms."""
    z, t, _, y = batch()
    same = (y[:, None] == y) & ~torch.eye(len(y), dtype=torch.bool)
    for alpha in (0.0, 0.5, 1.0):
        terms = np.exp((z.double() @ t.double().T).numpy() / 0.1) * np.where(same.numpy(), 1 - alpha, 1.0)
        own = np.log(terms.diagonal())
        wanted = (np.log(terms.sum(1)) - own).mean() / 2 + (np.log(terms.sum(0)) - own).mean() / 2
        assert float(contrast(z, t, y, 10.0, alpha=alpha)) == pytest.approx(wanted, rel=1e-5)
    everything = torch.ones(len(y), dtype=torch.bool)
    torch.testing.assert_close(contrast(z, t, y, 10.0, alpha=0.0), info_nce(z, t, 10.0, everything))
    torch.testing.assert_close(contrast(z, t, y, 10.0, alpha=1.0), info_nce(z, t, 10.0, everything, same))


def test_founding_weight_raises_what_it_should_lower() -> None:
    """The defect that the form log mends. Oracle: by hand: a negative of the type at cosine -1 counts for less the
    smaller its weight, but the founding loss grows."""
    z, t, y = torch.tensor([[1.0, 0.0], [-1.0, 0.0]]), torch.tensor([[1.0, 0.0], [-1.0, 0.0]]), torch.zeros(2)
    plain, discounted = (contrast(z, t, y.long(), 2.0, form="founding", alpha=a) for a in (0.0, 0.9))
    assert discounted > plain
    plain, discounted = (contrast(z, t, y.long(), 2.0, form="log", alpha=a) for a in (0.0, 0.9))
    assert discounted < plain


def test_unicl_is_cross_entropy_with_probabilities() -> None:
    """Oracle: torch's cross-entropy with soft targets, and its entropy as the lower bound, reached by texts of a type."""
    z, t, _, y = batch(kinds=2)
    targets = (y[:, None] == y).float()
    targets /= targets.sum(1, keepdim=True)
    logits = z @ t.T * 5.0
    wanted = (F.cross_entropy(logits, targets) + F.cross_entropy(logits.T, targets)) / 2
    torch.testing.assert_close(contrast(z, t, y, 5.0, form="unicl"), wanted)
    ideal = F.one_hot(y).float()
    entropy = -(targets * targets.clamp(min=1e-9).log()).sum(1).mean()
    assert float(contrast(ideal, ideal, y, 100.0, form="unicl")) == pytest.approx(float(entropy), abs=1e-5)


@pytest.mark.parametrize("alike", [False, True])
def test_sigmoid_is_a_sum_of_decisions(alike: bool) -> None:
    """Oracle: torch's binary cross-entropy with weights, pair by pair."""
    z, t, _, y = batch()
    own = torch.eye(len(y))
    same = (y[:, None] == y).float()
    weight = torch.ones_like(own) if alike else 1 - 0.3 * (same - own)
    wanted = F.binary_cross_entropy_with_logits(
        z @ t.T * 10 - 10, same if alike else own, weight, reduction="sum"
    )
    found = contrast(z, t, y, 10.0, form="sigmoid", alpha=0.3, bias=-10.0, alike=alike)
    torch.testing.assert_close(found, wanted / len(y))


@pytest.mark.parametrize("form", FORMS)
def test_what_is_missing_has_no_influence(form: Form) -> None:
    """Bit for bit: loss and gradients of a batch with rows that are NaN and not there, and of the batch without."""
    z, t, s, y = batch()
    lacking_words, lacking_image, unknown = 3, 7, 11
    y[unknown] = UNKNOWN
    keep = torch.tensor([row for row in range(len(y)) if row not in (lacking_words, lacking_image)])
    results = []
    for rows in (torch.arange(len(y)), keep):
        parts = {name: value[rows].clone() for name, value in (("image", z), ("words", t), ("types", s))}
        here = {name: torch.ones(len(rows), dtype=torch.bool) for name in parts}
        if len(rows) == len(y):
            here["words"][lacking_words] = here["image"][lacking_image] = here["types"][lacking_words] = False
            parts["words"][lacking_words] = parts["image"][lacking_image] = torch.nan
        for value in parts.values():
            value.requires_grad_()
        objective = TypeAware(instance=form, semantic=form, learnable=True)
        loss = objective({name: Encoded(parts[name], here[name]) for name in parts}, {"type": y[rows]})
        loss.backward()
        at = keep if len(rows) == len(y) else slice(None)
        assert parts["image"].grad is not None
        results.append((loss.detach(), parts["image"].grad[at], objective.log_scales.grad))
    for one, other in zip(*results, strict=True):
        assert one is not None
        assert torch.equal(one, other)


def test_nothing_whole_is_no_loss_and_temperature_learns() -> None:
    z, t, s, y = batch()
    away = torch.zeros(len(y), dtype=torch.bool)
    objective = TypeAware(learnable=True, temperature=0.02)
    empty = {"image": Encoded(z, away), "words": Encoded(t, away), "types": Encoded(s, away)}
    assert float(objective(empty, {"type": y})) == 0.0
    whole = {name: Encoded(part.z, ~away) for name, part in empty.items()}
    objective(whole, {"type": y}).backward()
    assert objective.log_scales.grad is not None
    assert bool((objective.log_scales.grad != 0).all())
    assert float(objective.watch(whole, {})["temperature"]) == pytest.approx(0.02)
    assert objective.learned() == pytest.approx({"temperature": 0.02, "type_temperature": 0.02})
    assert TypeAware(semantic_weight=0.0).learned() == pytest.approx({"temperature": 0.07})
    objective.log_scales.data.fill_(50.0)
    assert float(objective.scales.detach().max()) == pytest.approx(100.0)


@pytest.mark.parametrize("form", FORMS)
def test_finite_in_bf16(form: Form) -> None:
    """Oracle: the same in float32, within the 8 bits of the vectors."""
    z, t, _, y = batch()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = contrast(z.bfloat16(), t.bfloat16(), y, 100.0, form=form)
    assert math.isfinite(float(rough))
    torch.testing.assert_close(rough, contrast(z, t, y, 100.0, form=form), rtol=0.05, atol=0.05)


def test_options_that_do_not_fit() -> None:
    for options, problem in (
        ({"temperature": 0.001}, "temperature must be at least"),
        ({"alpha": 1.5}, "alpha must be 0 to 1"),
        ({"semantic_weight": -1.0}, "semantic_weight at least 0"),
        ({"instance": "x"}, "unknown form 'x'"),
    ):
        with pytest.raises(InputError, match=problem):
            TypeAware(**options)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="target 'type' is missing"):
        TypeAware()({}, {})
