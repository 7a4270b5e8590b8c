"""The losses of contrastive spatial pre-training: literal formulas in numpy, closed forms, and the original's numbers.

Those were obtained by running, outside of this repository, ``contsoftmax_loss``, ``imgcontloss_loss`` and
``l2regress_loss`` of main/losses.py of https://github.com/gengchenmai/csp at commit 67f3407 with torch 2.13, in float32,
on the vectors below: a stand-in model handed them out in place of the encoded points, and no image decoder changed them.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from placevec.core import Encoded, Objective
from placevec.errors import InputError
from placevec.training.objectives.spatial_contrast import (
    DropoutTwins,
    ImageRegression,
    LocationImage,
    NegativeLocations,
    SigmoidDropoutTwins,
    SigmoidLocationImage,
    SigmoidNegativeLocations,
    background_softmax,
    directions,
    matched_sigmoid,
    matched_softmax,
)

B = 7


def vectors(seed: int, count: int, dim: int = 6) -> Tensor:
    random = np.random.default_rng(seed)
    return torch.from_numpy(random.standard_normal((count, dim)).astype(np.float32))


def slots(times: int = 1, **others: Tensor) -> dict[str, Encoded]:
    found = {
        "point": vectors(1, B), "image": vectors(2, B), "background": vectors(3, times * B), "twin": vectors(4, B),
        **others,
    }  # fmt: skip
    return {name: Encoded(z, torch.ones(len(z), dtype=torch.bool)) for name, z in found.items()}


def weighted(parts: list[tuple[float, Objective]], encoded: dict[str, Encoded]) -> float:
    return sum(weight * float(part(encoded, {})) for weight, part in parts)


@pytest.mark.parametrize(
    ("times", "temperatures", "weights", "theirs", "symmetric"),
    [
        (1, (1, 1, 1), (0, 0), 1.8028346300125122, 3.615476131439209),
        (1, (1, 1, 1), (1, 1), 4.478129863739014, 6.290771484375),
        (1, (20, 1, 1), (1, 1), 4.611398696899414, 6.547525405883789),
        (1, (1, 0.2, 0.05), (0.5, 0.1), 3.2306268215179443, 5.04326868057251),
        (3, (1, 1, 1), (1, 1), 5.063416481018066, 6.8760576248168945),
        (3, (20, 1, 1), (1, 1), 5.196685314178467, 7.132812023162842),
        (3, (1, 0.2, 0.05), (0.5, 0.1), 3.504596471786499, 5.3172383308410645),
    ],
)
def test_softmax_form_of_the_original(
    times: int,
    temperatures: tuple[float, float, float],
    weights: tuple[float, float],
    theirs: float,
    symmetric: float,
) -> None:
    first, second, third = temperatures
    rest = [(weights[0], NegativeLocations(second)), (weights[1], DropoutTwins(third))]
    for both, expected in ((False, theirs), (True, symmetric)):
        ours = weighted([(1.0, LocationImage(first, symmetric=both)), *rest], slots(times))
        assert ours == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize(
    ("times", "image_only", "without_twins", "all_three"),
    [
        (1, 1.3130308389663696, (2.1489195823669434, 1.7309751510620117), (3.528852939605713, 1.8689684867858887)),
        (3, 1.3130308389663696, (2.0622541904449463, 1.6876425743103027), (3.442187786102295, 1.8256359100341797)),
    ],
)  # fmt: skip
def test_sigmoid_form_of_the_original(
    times: int, image_only: float, without_twins: tuple[float, float], all_three: tuple[float, float]
) -> None:
    """Theirs adds 1e-5 inside each logarithm: up to 1e-5 / s(-1) = 3.8e-5 each, of which there are five."""
    encoded = slots(times)
    image = (1.0, SigmoidLocationImage())
    assert weighted([image], encoded) == pytest.approx(image_only, abs=1.9e-4)
    for number, (negative, twins) in enumerate([(1.0, 1.0), (0.5, 0.1)]):
        parts = [image, (negative, SigmoidNegativeLocations())]
        assert weighted(parts, encoded) == pytest.approx(without_twins[number], abs=1.9e-4)
        parts.append((twins, SigmoidDropoutTwins()))
        assert weighted(parts, encoded) == pytest.approx(all_three[number], abs=1.9e-4)


def test_regression_of_the_original() -> None:
    objective = ImageRegression(6, 4)
    with torch.no_grad():
        objective.predict.weight.copy_(vectors(5, 4))
        objective.predict.bias.copy_(vectors(6, 1, 4)[0])
    found = objective(slots(image=vectors(7, B, 4)), {}).detach()
    assert float(found) == pytest.approx(11.457061767578125, rel=1e-6)


def test_vectors_of_length_zero_where_the_original_is_not_a_number() -> None:
    """With one encoded point all zeros the original gave NaN. Oracle: cosines of 0 in the literal formula."""
    location = vectors(1, B).double()
    location[2] = 0
    location.requires_grad_()
    encoded = slots(point=location, image=vectors(2, B).double())
    loss = LocationImage()(encoded, {})
    loss.backward()
    rows = location.detach().numpy()
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    units = rows / np.where(lengths == 0, 1, lengths)
    images = vectors(2, B).double().numpy()
    cosines = units @ (images / np.linalg.norm(images, axis=1, keepdims=True)).T
    literal = np.mean(np.log(np.exp(cosines).sum(1)) - np.diag(cosines))
    assert float(loss.detach()) == pytest.approx(literal, rel=1e-12)
    assert location.grad is not None
    assert torch.isfinite(location.grad).all()
    assert location.grad[2].abs().sum() == 0


def test_literal_formulas_in_double_precision() -> None:
    """Oracle: the sums written out, element by element, in numpy float64."""
    location, image, background = (vectors(seed, count).double() for seed, count in ((1, 5), (2, 5), (3, 10)))
    temperature = 0.3
    whole = torch.ones(5, dtype=torch.bool)

    def cosine(a: Tensor, b: Tensor) -> float:
        return float(a @ b / (a.norm() * b.norm())) / temperature

    softmax, sigmoid, negatives = 0.0, 0.0, 0.0
    for i in range(5):
        row = [cosine(location[i], image[j]) for j in range(5)]
        softmax -= math.log(math.exp(row[i]) / sum(map(math.exp, row))) / 5
        sigmoid -= math.log(1 / (1 + math.exp(-row[i]))) / 5
        sigmoid -= sum(math.log(1 - 1 / (1 + math.exp(-row[j]))) for j in range(5) if j != i) / 4 / 5
        against = [cosine(background[k * 5 + i], image[i]) for k in range(2)]
        total = math.exp(row[i]) + sum(map(math.exp, against))
        negatives -= math.log(math.exp(row[i]) / total) / 5
    assert float(matched_softmax(location, image, temperature, whole)) == pytest.approx(softmax, rel=1e-12)
    assert float(matched_sigmoid(location, image, temperature, whole)) == pytest.approx(sigmoid, rel=1e-12)
    found = background_softmax(location, image, background, temperature, whole)
    assert float(found) == pytest.approx(negatives, rel=1e-12)


@pytest.mark.parametrize("temperature", [0.05, 1.0, 20.0])
def test_all_the_same(temperature: float) -> None:
    """Oracle: closed forms: no row tells from another, so log B, log(1 + K) and two logistic losses of 1/T."""
    same = torch.ones(B, 6)
    encoded = slots(point=same, image=same, twin=same, background=torch.ones(2 * B, 6))
    assert float(LocationImage(temperature)(encoded, {})) == pytest.approx(math.log(B), rel=1e-5)
    assert float(DropoutTwins(temperature)(encoded, {})) == pytest.approx(math.log(B), rel=1e-5)
    assert float(NegativeLocations(temperature)(encoded, {})) == pytest.approx(math.log(3), rel=1e-5)
    scale = 1 / temperature
    expected = math.log1p(math.exp(-scale)) + math.log1p(math.exp(scale))
    assert float(SigmoidLocationImage(temperature)(encoded, {})) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("family", [matched_softmax, matched_sigmoid])
def test_missing_rows_are_as_if_they_were_not_there(family: object) -> None:
    """Oracle: the same without those rows, and no gradient or NaN from them."""
    first, second = vectors(1, B).clone(), vectors(2, B)
    first[3] = math.nan
    first.requires_grad_()
    whole = torch.tensor([True] * 3 + [False] + [True] * 3)
    kept = whole.nonzero()[:, 0]
    loss = family(first, second, 0.5, whole)  # type: ignore[operator]
    loss.backward()
    alone = family(first[kept], second[kept], 0.5, whole[kept])  # type: ignore[operator]
    assert float(loss.detach()) == pytest.approx(float(alone.detach()), rel=1e-6)
    assert first.grad is not None
    assert torch.isfinite(first.grad).all()
    assert first.grad[3].abs().sum() == 0


def test_one_pair_and_none() -> None:
    """Oracle: closed forms: one row finds itself for nothing; none costs nothing and can be differentiated."""
    one, none = torch.ones(1, dtype=torch.bool), torch.zeros(B, dtype=torch.bool)
    assert float(matched_softmax(vectors(1, 1), vectors(2, 1), 0.1, one)) == pytest.approx(0, abs=1e-6)
    assert math.isfinite(float(matched_sigmoid(vectors(1, 1), vectors(2, 1), 0.1, one)))
    first = vectors(1, B).requires_grad_()
    loss = matched_softmax(first, vectors(2, B), 0.1, none)
    loss.backward()
    assert float(loss.detach()) == 0
    assert first.grad is not None
    assert first.grad.abs().sum() == 0


def test_gradients() -> None:
    """Oracle: finite differences (torch.autograd.gradcheck)."""
    whole = torch.ones(4, dtype=torch.bool)
    parts = [vectors(seed, count, 3).double().requires_grad_() for seed, count in ((1, 4), (2, 4), (3, 8))]
    assert torch.autograd.gradcheck(lambda a, b: matched_softmax(a, b, 0.2, whole), parts[:2])
    assert torch.autograd.gradcheck(lambda a, b: matched_sigmoid(a, b, 0.2, whole), parts[:2])
    assert torch.autograd.gradcheck(lambda a, b, c: background_softmax(a, b, c, 0.2, whole), parts)


def test_lengths_do_not_matter() -> None:
    """Oracle: invariance of cosines, over thirty orders of magnitude."""
    whole = torch.ones(B, dtype=torch.bool)
    first, second = vectors(1, B), vectors(2, B)
    expected = float(matched_softmax(first, second, 0.1, whole))
    for scale in (1e-18, 1e15):
        assert float(matched_softmax(first * scale, second, 0.1, whole)) == pytest.approx(expected, rel=1e-4)
    assert directions(first * 1e-18, whole).norm(dim=1).tolist() == pytest.approx([1.0] * B, rel=1e-5)


def test_what_cannot_be() -> None:
    with pytest.raises(InputError, match="temperature"):
        LocationImage(0.0)
    with pytest.raises(
        InputError, match="background points, 13, must be a multiple of the number of images, 7"
    ):
        NegativeLocations()(slots(background=vectors(3, 13)), {})
    with pytest.raises(InputError, match="background points, 0, must"):
        SigmoidNegativeLocations()(slots(background=vectors(3, 0)), {})
