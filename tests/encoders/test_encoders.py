"""The registry: building by name, and back."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from placevec import encoders
from placevec.errors import ModelError

SMALL = {
    "compact-tile-cnn": {"channels": 2, "dim": 3, "width": 8},
    "founding-tile-cnn": {"channels": 2, "size_px": 32},
}


@pytest.mark.parametrize("name", SMALL)
def test_name_config_and_weights_rebuild_the_same_encoder(name: str) -> None:
    """Oracle: identity. What a model directory stores (name, JSON config, weights) gives equal vectors."""
    first = encoders.build(name, **SMALL[name]).eval()
    config = json.loads(json.dumps(first.config()))  # type: ignore[operator]
    second = encoders.build(encoders.name_of(first), **config).eval()
    second.load_state_dict(first.state_dict())
    tiles = torch.randint(0, 256, (2, 2, 32, 32), dtype=torch.uint8)
    assert torch.equal(first(tiles), second(tiles))
    assert second.config() == config  # type: ignore[operator]


def test_every_name_is_listed_and_builds() -> None:
    assert set(encoders.names()) >= set(SMALL)
    assert list(encoders.names()) == sorted(encoders.names())


def test_a_wrong_name_or_option_names_the_near_ones() -> None:
    with pytest.raises(ModelError, match="did you mean compact-tile-cnn"):
        encoders.build("compact-tile-cn")
    with pytest.raises(ModelError, match=r"choose from .*founding-tile-cnn"):
        encoders.build("zzz")
    with pytest.raises(ModelError, match="no option 'chanels'; did you mean channels"):
        encoders.build("compact-tile-cnn", chanels=3)


def test_only_registered_encoders_have_a_name() -> None:
    """A class that merely shares the title of a registered one has no name."""
    stranger = type("CompactTileCNN", (nn.Module,), {})
    with pytest.raises(ModelError, match="not a registered encoder"):
        encoders.name_of(stranger())
