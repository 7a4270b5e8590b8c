"""Frozen features to vectors: plain linear algebra, saved with what it was fitted to."""

from __future__ import annotations

import pytest
import torch

from placevec.encoders.feature_projection import FeatureProjection, StandardFeatures
from placevec.errors import ModelError


def test_standardized_then_multiplied() -> None:
    """Oracle: the formula W (x - m) / s + b in float64; and a copy from config and weights alone."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(40, 5, generator=generator) * 3 + 100
    mean, deviation = features.mean(0), features.std(0)
    encoder = FeatureProjection(5, 3).fit(mean, deviation)
    weight, bias = (value.detach().double() for value in (encoder.project.weight, encoder.project.bias))
    expected = ((features.double() - mean) / deviation) @ weight.T + bias
    torch.testing.assert_close(encoder(features).double(), expected, rtol=1e-4, atol=1e-5)
    copy = FeatureProjection(**encoder.config())
    copy.load_state_dict(encoder.state_dict())
    assert torch.equal(copy(features), encoder(features))
    plain = StandardFeatures(5).fit(mean, deviation)
    assert plain(features).mean(0).abs().max() < 1e-5
    assert not list(plain.parameters())
    assert plain.config() == {"inputs": 5}


@pytest.mark.parametrize(
    "options", [{"inputs": 0, "dim": 3}, {"inputs": 3, "dim": True}, {"inputs": 10**9, "dim": 3}]
)
def test_sizes_out_of_range(options: dict[str, int]) -> None:
    with pytest.raises(ModelError, match="must be an integer"):
        FeatureProjection(**options)
