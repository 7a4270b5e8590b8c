"""The founding networks beside the original ones: numbers that their own code gave with the same weights.

They were obtained by running, outside of this repository, ``Loc2VecEncoder`` of model.py at commit 30a9b96 and
``Loc2Vec`` of src/model.py at ab35ba4 of https://github.com/klaipher/loc2vec with the weights and pixels below, in
float32 with torch 2.13 on a CPU.
"""

from __future__ import annotations

import numpy as np
import torch

from placevec.encoders.tile_cnn import FoundingRgbCNN, FoundingTileCNN


def fill(module: torch.nn.Module) -> None:
    """Weights from one stream of random numbers, in the order of the state dict, which is that of the layers."""
    random, state = np.random.default_rng(7), {}
    for key, value in module.state_dict().items():
        if value.dtype == torch.int64:
            state[key] = torch.zeros_like(value)
            continue
        numbers = random.standard_normal(tuple(value.shape), dtype=np.float32)
        if key.endswith("running_var"):
            numbers = 1 + np.abs(numbers)
        elif value.dim() > 1:
            numbers = 3 * numbers / np.sqrt(np.prod(value.shape[1:]))
        elif key.endswith("weight"):
            numbers = 1 + 0.1 * numbers
        else:
            numbers = 0.1 * numbers
        state[key] = torch.from_numpy(np.ascontiguousarray(numbers, dtype=np.float32))
    module.load_state_dict(state)


def pixels(channels: int, side: int) -> torch.Tensor:
    """Two windows, one sparse and one dense."""
    share = np.array([0.02, 0.9])[:, None, None, None]
    drawn = np.random.default_rng(8).random((2, channels, side, side)) < share
    return torch.from_numpy(drawn.astype(np.uint8) * 255)


def test_twelve_layers() -> None:
    network = FoundingTileCNN().eval()
    fill(network)
    with torch.no_grad():
        found = network(pixels(12, 256))
    theirs = [
        [0.03687424, 0.08706554, -0.02281979, -0.001962992],
        [0.02693688, -0.01498977, -0.03149731, 0.005616956],
    ]
    torch.testing.assert_close(found[:, :4], torch.tensor(theirs), rtol=1e-4, atol=2e-6)
    torch.testing.assert_close(found.sum(1), torch.tensor([0.09784274, 0.3665119]), rtol=1e-4, atol=2e-5)


def test_rgb() -> None:
    network = FoundingRgbCNN().eval()
    fill(network)
    with torch.no_grad():
        found = network(pixels(3, 64))
    theirs = [
        [0.03925033, -0.05576028, -0.02589988, -0.210293],
        [-0.01857688, -0.005979272, 0.06714964, -0.1254228],
    ]
    torch.testing.assert_close(found[:, :4], torch.tensor(theirs), rtol=1e-4, atol=2e-6)
    torch.testing.assert_close(found.sum(1), torch.tensor([-0.04255158, 0.05304289]), rtol=1e-4, atol=2e-5)


def test_rgb_in_training_and_its_gradient() -> None:
    """Batch statistics, and the order of pooling and rectifying, give the original's vectors and gradient too."""
    network = FoundingRgbCNN().train()
    fill(network)
    found = network(pixels(3, 64))
    theirs = torch.tensor([-0.1371279, 0.03921076, 0.04949651, -0.06801042])
    torch.testing.assert_close(found[0, :4].detach(), theirs, rtol=1e-4, atol=2e-6)
    found.square().mul(torch.arange(64)).sum().backward()
    gradient = network.convolutions[0].weight.grad
    assert isinstance(gradient, torch.Tensor)
    torch.testing.assert_close(gradient.abs().sum(), torch.tensor(393.0158), rtol=1e-3, atol=0)


def test_any_size_and_dim() -> None:
    for side, dim in ((32, 32), (100, 512)):
        network = FoundingRgbCNN(size_px=side, dim=dim).eval()
        vectors = network(pixels(3, side))
        assert vectors.shape == (2, dim)
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(2))
        assert network.config() == {"channels": 3, "size_px": side, "dim": dim}
