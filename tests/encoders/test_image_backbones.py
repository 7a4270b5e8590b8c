"""ResNet-18. Oracle: that of transformers, with the same weights under its own names."""

from __future__ import annotations

import pytest
import torch

from placevec import encoders
from placevec.encoders.image_backbones import MobileNetV2, ResNet18
from placevec.errors import ModelError


def theirs(name: str) -> str:
    """The name of a weight of ours in transformers' ResNet."""
    for ours, other in (
        ("conv1", "convolution"), ("bn1", "normalization"), ("conv2", "convolution"), ("bn2", "normalization"),
    ):  # fmt: skip
        if name.startswith(f"{ours}."):
            return f"embedder.embedder.{other}.{name.split('.')[-1]}"
        if f".{ours}." in name:
            stage, block, layer, kind = name.split(".")
            which = 0 if layer.endswith("1") else 1
            return f"encoder.stages.{int(stage[-1]) - 1}.layers.{block}.layer.{which}.{other}.{kind}"
    stage, block, _, which, kind = name.split(".")
    part = ("convolution", "normalization")[int(which)]
    return f"encoder.stages.{int(stage[-1]) - 1}.layers.{block}.shortcut.{part}.{kind}"


def test_it_is_the_published_network() -> None:
    """Features of random weights and statistics, to 1e-4 of values of about 1; 11,176,512 weights as published."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    network = ResNet18(["red", "green", "blue"], dim=8, full_scale=1.0).eval()
    for norm in (one for one in network.modules() if isinstance(one, torch.nn.BatchNorm2d)):
        norm.running_mean.normal_(0, 0.1)
        norm.running_var.uniform_(0.5, 1.5)
    config = transformers.ResNetConfig(
        depths=[2, 2, 2, 2], hidden_sizes=[64, 128, 256, 512], layer_type="basic", embedding_size=64
    )
    other = transformers.ResNetModel(config).eval()
    weights = {
        theirs(name): value
        for name, value in network.state_dict().items()
        if not name.startswith(("standard", "project"))
    }
    assert set(weights) == set(other.state_dict())
    other.load_state_dict(weights)
    assert sum(value.numel() for value in other.parameters()) == 11_176_512
    chips = torch.rand(2, 3, 64, 64)
    mean, spread = network.standard.running_mean, (network.standard.running_var + 1e-5).sqrt()
    with torch.no_grad():
        wanted = other((chips - mean[:, None, None]) / spread[:, None, None]).last_hidden_state
        torch.testing.assert_close(network.features(chips), wanted, atol=1e-4, rtol=1e-4)


def test_stems_and_options() -> None:
    """The small stem keeps the resolution: an eighth of the side at the end, instead of a thirty-second."""
    small = encoders.build("resnet-18", bands=["a", "b"], dim=4, stem="small")
    assert encoders.name_of(small) == "resnet-18"
    assert small.features(torch.zeros(1, 2, 32, 32)).shape == (1, 512, 4, 4)
    again = encoders.build("resnet-18", **small.config())
    assert again.config() == small.config()
    vectors = small.eval()(torch.full((2, 2, 16, 16), float("nan")))
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(2))
    for options in ({"stem": "wide"}, {"bands": []}, {"full_scale": 0}, {"dim": 0}, {"unit_norm": 1}):
        with pytest.raises(ModelError):
            ResNet18(**options)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="chips must have shape"):
        small(torch.zeros(1, 3, 32, 32))


@pytest.mark.parametrize(("name", "weights"), [("resnet-34", 21_284_672), ("resnet-50", 23_508_032)])
def test_deeper_ones_have_the_published_numbers_of_weights(name: str, weights: int) -> None:
    """torchvision's numbers (21,797,672 and 25,557,032) less their last layer of 1,000 classes."""
    with torch.device("meta"):
        network = encoders.build(name, bands=["red", "green", "blue"], dim=None)
    assert sum(value.numel() for value in network.parameters()) == weights


def test_features_of_the_deepest_one() -> None:
    network = encoders.build("resnet-50", bands=["a"], dim=None, unit_norm=False).eval()
    assert network(torch.zeros(1, 1, 64, 64)).shape == (1, 2048)
    again = encoders.build("resnet-50", **network.config())
    assert again.load_state_dict(network.state_dict()) is not None
    assert again.config() == network.config()


def test_mobilenet_is_the_published_network() -> None:
    """2,223,872 weights before the classifier, as published (3.5 million with its 1.28 million); a side of 1/32."""
    network = MobileNetV2(["red", "green", "blue"], dim=None, full_scale=1.0).eval()
    assert sum(value.numel() for value in network.parameters()) == 3_504_872 - 1_281_000
    assert network.features(torch.rand(1, 3, 64, 64)).shape == (1, 1280, 2, 2)
    assert encoders.name_of(encoders.build("mobilenet-v2", **network.config())) == "mobilenet-v2"
