"""Vectors of categories. Oracles: the trace form of the graph Laplacian, the published loop over pairs, closed forms."""

from __future__ import annotations

import math

import pytest
import torch

from placevec.core import Encoded
from placevec.errors import InputError
from placevec.training.objectives.skip_gram import SkipGram, hierarchy_term
from placevec.training.samplers.walks import CONTEXT, EVERY, NEGATIVE, TARGET

PARENTS = torch.tensor([0, 0, 1, 0, 1, -1])
VECTORS = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_the_paper_s_form_is_the_trace_of_the_laplacian() -> None:
    weights = ((PARENTS[:, None] == PARENTS) & (PARENTS >= 0)).double()
    laplacian = torch.diag(weights.sum(1)) - weights
    expected = torch.trace(VECTORS.T @ laplacian @ VECTORS)
    assert float(hierarchy_term(VECTORS, PARENTS)) == pytest.approx(float(expected), rel=1e-12)


def test_the_published_code_sums_norms_first() -> None:
    total = 0.0
    for i in range(6):
        for j in range(6):
            if i != j and PARENTS[i] == PARENTS[j] >= 0:
                total += math.dist(VECTORS[i].tolist(), VECTORS[j].tolist())
    assert float(hierarchy_term(VECTORS, PARENTS, "code")) == pytest.approx(total**2 / 2, rel=1e-12)


def slots(negative: torch.Tensor) -> dict[str, Encoded]:
    def held(values: torch.Tensor, present: torch.Tensor | None = None) -> Encoded:
        return Encoded(values, torch.ones(len(values), dtype=torch.bool) if present is None else present)

    return {
        TARGET: held(torch.ones(2, 3)), CONTEXT: held(torch.ones(2, 3)), EVERY: held(torch.ones(4, 3)),
        NEGATIVE: held(-torch.ones(4, 3), negative),
    }  # fmt: skip


def test_the_loss_in_closed_form() -> None:
    """Products of 3 with contexts, of -3 with negatives: each term is log(1 + e^-3); missing negatives add nothing."""
    term = math.log1p(math.exp(-3))
    there = torch.ones(4, dtype=torch.bool)
    assert float(SkipGram([-1] * 4)(slots(there), {})) == pytest.approx(3 * term, rel=1e-6)
    assert float(SkipGram([-1] * 4)(slots(~there), {})) == pytest.approx(term, rel=1e-6)


def test_an_unknown_form() -> None:
    with pytest.raises(InputError, match="unknown form of the hierarchy"):
        SkipGram([0], hierarchy="other")  # type: ignore[arg-type]
