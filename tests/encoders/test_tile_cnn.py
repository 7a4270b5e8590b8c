"""The two tile encoders: sizes, counts, invariants, and that they learn."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from placevec.encoders.tile_cnn import CompactTileCNN, FoundingRgbCNN, FoundingTileCNN
from placevec.errors import ModelError


def tiles(count: int, channels: int, height: int, width: int | None = None, seed: int = 0) -> torch.Tensor:
    shape = (count, channels, height, width or height)
    return (torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < 0.2).to(torch.uint8) * 255


def founding_weights(channels: int, size_px: int, dim: int) -> int:
    """Closed form: 9 io + o a convolution, 2 o a batch norm, io + o a matrix."""
    widths = (channels, 64, 128, 256, 512, 512)
    convolutions = sum(9 * i * o + o + 2 * o for i, o in pairwise(widths))
    units = ((size_px // 32) ** 2 * 512, 1024, 512)
    dense = sum(i * o + o + 2 * o for i, o in pairwise(units))
    return convolutions + dense + 512 * dim + dim


@pytest.mark.parametrize(("channels", "size_px", "dim"), [(12, 256, 128), (3, 128, 16), (5, 100, 7)])
def test_founding_has_as_many_weights_as_the_closed_form(channels: int, size_px: int, dim: int) -> None:
    """Oracle: closed form, and the published 38.07 million at the defaults."""
    network = FoundingTileCNN(channels, size_px, dim)
    assert sum(weight.numel() for weight in network.parameters()) == founding_weights(channels, size_px, dim)
    assert founding_weights(12, 256, 128) == 38_067_904


def test_founding_equals_its_layers_written_out() -> None:
    """Oracle: the same network as functional calls, layer by layer, from the founding description."""
    network = FoundingTileCNN(channels=2, size_px=64, dim=5).eval()
    weights = network.state_dict()
    batch = tiles(3, 2, 64)
    x = batch.float() / 255

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        part = {key: weights[f"{name}.{key}"] for key in ("running_mean", "running_var", "weight", "bias")}
        return F.leaky_relu(F.batch_norm(x, **part), 0.2)

    for block in range(5):
        at = f"convolutions.{5 * block}"
        x = F.conv2d(x, weights[f"{at}.weight"], weights[f"{at}.bias"], padding=1)
        x = F.max_pool2d(norm(x, f"convolutions.{5 * block + 1}"), 2)
    x = x.flatten(1)
    for at in (1, 5):
        x = norm(F.linear(x, weights[f"head.{at}.weight"], weights[f"head.{at}.bias"]), f"head.{at + 1}")
    x = F.linear(x, weights["head.9.weight"], weights["head.9.bias"])
    expected = x / x.norm(dim=1, keepdim=True)
    torch.testing.assert_close(network(batch), expected, atol=1e-5, rtol=1e-4)


def test_founding_starts_kaiming_by_fan_out() -> None:
    """Oracle: He et al. 2015: standard deviation sqrt(2 / fan out), sampled within 3 %."""
    network = FoundingTileCNN(size_px=32)
    convolution, matrix = network.convolutions[15], network.head[5]
    assert float(convolution.weight.detach().std()) == pytest.approx(math.sqrt(2 / (512 * 9)), rel=0.03)  # type: ignore[operator, union-attr]
    assert float(matrix.weight.detach().std()) == pytest.approx(math.sqrt(2 / 512), rel=0.03)  # type: ignore[operator, union-attr]
    assert not convolution.bias.any()  # type: ignore[operator, union-attr]


def test_founding_drops_in_training_only() -> None:
    network = FoundingTileCNN(channels=1, size_px=32, dim=4)
    batch = tiles(4, 1, 32)
    assert not torch.equal(network(batch), network(batch))
    network.eval()
    assert torch.equal(network(batch), network(batch))


@pytest.mark.parametrize("make", [lambda: FoundingTileCNN(2, 32, 8), lambda: CompactTileCNN(2, 8, 8)])
def test_vectors_have_length_one(make: Any) -> None:
    network = make().eval()
    vectors = network(tiles(3, 2, 32))
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))
    assert network.dim == vectors.shape[1] == 8


def test_blank_tiles_have_a_finite_vector() -> None:
    """Every missing place is read as blank. The founding network, all biases 0 at first, starts there at 0 / 0 = 0."""
    blank = torch.zeros(2, 2, 32, 32, dtype=torch.uint8)
    torch.testing.assert_close(CompactTileCNN(2, 8, 8).eval()(blank).norm(dim=1), torch.ones(2))
    assert not FoundingTileCNN(2, 32, 8).eval()(blank).any()


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 31), (64, 64), (100, 130)])
def test_compact_takes_any_size(height: int, width: int) -> None:
    network = CompactTileCNN(channels=3, dim=6, width=8).eval()
    vectors = network(tiles(2, 3, height, width))
    assert vectors.shape == (2, 6)
    assert torch.isfinite(vectors).all()


def test_compact_pads_with_blank_map_in_the_east_and_south() -> None:
    """Invariant: a 30 x 29 tile is the 32 x 32 tile that is blank beyond it."""
    network = CompactTileCNN(channels=2, dim=6, width=8).eval()
    small = tiles(2, 2, 30, 29)
    padded = torch.zeros(2, 2, 32, 32, dtype=torch.uint8)
    padded[:, :, :30, :29] = small
    assert torch.equal(network(small), network(padded))


def test_compact_equals_its_layers_written_out() -> None:
    """Oracle: the same network as functional calls; folding and mixing is one convolution of stride 4."""
    network = CompactTileCNN(channels=2, dim=5, width=8).eval()
    weights = network.state_dict()
    batch = tiles(3, 2, 40)

    def layer(x: torch.Tensor, name: str, weight: torch.Tensor, stride: int, padding: int) -> torch.Tensor:
        part = {key: weights[f"{name}.1.{key}"] for key in ("running_mean", "running_var", "weight", "bias")}
        return F.batch_norm(F.conv2d(x, weight, stride=stride, padding=padding), **part).relu()

    x = layer(batch.float() / 255, "stem", weights["stem.0.weight"].view(8, 2, 4, 4), 4, 0)
    for i, stride in enumerate((1, 2, 1, 2, 1)):
        x = layer(x, f"body.{i}", weights[f"body.{i}.0.weight"], stride, 1)
    assert x.shape == (3, 32, 3, 3)
    x = torch.cat([x.flatten(2).mean(2), x.flatten(2).max(2).values], dim=1)
    x = F.linear(x, weights["head.0.weight"], weights["head.0.bias"]).relu()
    x = F.linear(x, weights["head.2.weight"], weights["head.2.bias"])
    torch.testing.assert_close(network(batch), x / x.norm(dim=1, keepdim=True), atol=1e-5, rtol=1e-4)


def test_compact_sees_every_pixel() -> None:
    """Invariant: folding into channels loses nothing: switching any single pixel moves the vector."""
    torch.manual_seed(0)
    network = CompactTileCNN(channels=1, dim=16, unit_norm=False).eval()
    single = torch.zeros(64, 1, 8, 8, dtype=torch.uint8)
    single.view(64, 64).fill_diagonal_(255)
    moved = (network(single) - network(torch.zeros(1, 1, 8, 8, dtype=torch.uint8))).abs().amax(dim=1)
    assert (moved > 0).all()


def test_compact_without_unit_norm_is_the_same_vector_before_scaling() -> None:
    """Invariant: the option only leaves the scaling out."""
    torch.manual_seed(0)
    free = CompactTileCNN(channels=2, dim=6, width=8, unit_norm=False).eval()
    bound = CompactTileCNN(channels=2, dim=6, width=8).eval()
    bound.load_state_dict(free.state_dict())
    batch = tiles(4, 2, 32)
    torch.testing.assert_close(bound(batch), F.normalize(free(batch), dim=1))
    assert (free(batch).norm(dim=1) - 1).abs().min() > 1e-3


@pytest.mark.parametrize("width", [8, 32, 48, 64])
def test_compact_has_as_many_weights_as_the_closed_form(width: int) -> None:
    """Oracle: closed form; 0.39 million at the defaults, a hundredth of the founding network."""
    network = CompactTileCNN(width=width)
    stem = 12 * 16 * width + 2 * width
    pairs = ((1, 1), (1, 2), (2, 2), (2, 4), (4, 4))
    body = sum(9 * i * o * width**2 + 2 * o * width for i, o in pairs)
    head = (8 * width + 1) * 8 * width + (8 * width + 1) * 128
    assert sum(weight.numel() for weight in network.parameters()) == stem + body + head


@pytest.mark.parametrize("make", [lambda: FoundingTileCNN(2, 32, 8, 0.1), lambda: CompactTileCNN(2, 8, 8)])
def test_compiles_as_one_graph_and_keeps_its_values(make: Any) -> None:
    """Oracle: the eager network. ``fullgraph`` fails on any control flow that depends on data."""
    network = make().eval().to(memory_format=torch.channels_last)
    compiled = torch.compile(network, fullgraph=True, backend="eager")
    batch = tiles(3, 2, 32)
    torch.testing.assert_close(compiled(batch), network(batch), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("make", [lambda: FoundingTileCNN(2, 32, 8, 0.0), lambda: CompactTileCNN(2, 8, 8)])
def test_memory_format_and_autocast_keep_the_vectors(make: Any) -> None:
    """Oracle: the contiguous float32 network; bfloat16 has 8 bits of mantissa."""
    network = make().eval()
    batch = tiles(4, 2, 32)
    plain = network(batch)
    network.to(memory_format=torch.channels_last)
    torch.testing.assert_close(network(batch), plain, atol=1e-5, rtol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        assert float(F.cosine_similarity(network(batch).float(), plain).detach().min()) > 0.995


@pytest.mark.parametrize(
    "make",
    [
        lambda: FoundingTileCNN(2, 32, 8, 0.0),
        lambda: FoundingRgbCNN(2, 32, 8),
        lambda: CompactTileCNN(2, 8, 8),
    ],
)
def test_vectors_are_not_rounded_under_autocast(make: Any) -> None:
    """Invariant: lengths are 1 to float32's rounding; of bf16's eight bits they would be off by up to 0.4 %."""
    network = make().train()
    with torch.autocast("cpu", torch.bfloat16):
        vectors = network(tiles(64, 2, 32))
    assert vectors.dtype == torch.float32
    lengths = vectors.detach().norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones(64), atol=1e-6, rtol=0)
    vectors[:, 0].sum().backward()
    assert all(value.grad is not None and value.grad.isfinite().all() for value in network.parameters())


@pytest.mark.parametrize("make", [lambda: FoundingTileCNN(2, 32, 8), lambda: CompactTileCNN(2, 8, 8)])
def test_wrong_batches_end_in_one_clear_line(make: Any) -> None:
    network = make().eval()
    with pytest.raises(ModelError, match="uint8"):
        network(tiles(1, 2, 32).float())
    with pytest.raises(ModelError, match="2, height, width"):
        network(tiles(1, 3, 32))
    with pytest.raises(ModelError, match="built for tiles of 32 x 32"):
        FoundingTileCNN(2, 32).eval()(tiles(1, 2, 64))


@pytest.mark.parametrize(
    "options",
    [
        {"channels": 0},
        {"dim": 10**9},
        {"channels": "12"},
        {"width": 12},
        {"width": True},
        {"unit_norm": "no"},
    ],
)
def test_compact_rejects_hostile_configs(options: dict[str, Any]) -> None:
    with pytest.raises(ModelError):
        CompactTileCNN(**options)


@pytest.mark.parametrize("options", [{"size_px": 16}, {"size_px": 10**6}, {"dropout": 1.0}, {"dropout": "x"}])
def test_founding_rejects_hostile_configs(options: dict[str, Any]) -> None:
    with pytest.raises(ModelError):
        FoundingTileCNN(**options)


def test_every_weight_of_the_founding_network_takes_part() -> None:
    network = FoundingTileCNN(2, 32, 8, 0.0)
    (network(tiles(4, 2, 32)) @ torch.randn(8)).pow(2).sum().backward()
    silent = [
        name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()
    ]
    assert silent == []


def test_compact_learns_to_show_coarse_from_fine() -> None:
    """A signal that counting misses: blobs against single pixels, both covering a fifth of the tile."""
    torch.manual_seed(0)
    network = CompactTileCNN(2, 8, 16)
    head = torch.nn.Linear(8, 2)
    optimizer = torch.optim.AdamW([*network.parameters(), *head.parameters()], lr=3e-3)
    fine = tiles(16, 2, 32, seed=1)
    coarse = tiles(16, 2, 4, seed=2).repeat_interleave(8, 2).repeat_interleave(8, 3)
    batch, label = torch.cat([fine, coarse]), torch.arange(2).repeat_interleave(16)
    losses = []
    for _ in range(12):
        loss = F.cross_entropy(4 * head(network(batch)), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
