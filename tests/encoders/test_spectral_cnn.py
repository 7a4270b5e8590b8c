"""The two encoders of satellite chips: the original's arithmetic written out, bands by name, what must not matter."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from placevec import encoders
from placevec.encoders.spectral_cnn import FoundingSpectralCNN, SpectralCNN, band_statistics, index_bands
from placevec.errors import ModelError

BANDS = ("B02", "B03", "B04", "B08")


def chips(count: int, channels: int = 4, side: int = 20) -> torch.Tensor:
    return (
        torch.rand(count, channels, side, side, generator=torch.Generator().manual_seed(3)) * 14_000 - 1_000
    )


def test_founding_has_the_published_number_of_weights() -> None:
    """Oracle: closed form, and the count read from the founding model, 438,088."""
    closed = 2 * 4 + sum(9 * i * o + o + 2 * o for i, o in ((4, 64), (64, 128), (128, 256))) + 256 * 256 + 256
    assert closed == 438_088 == sum(weight.numel() for weight in FoundingSpectralCNN().parameters())


@pytest.mark.parametrize("training", [False, True])
def test_founding_equals_its_layers_written_out(training: bool) -> None:
    """Oracle: the founding description as functional calls, pooling after ReLU as there."""
    network = FoundingSpectralCNN(dim=7).train(training)
    weights = {key: value.clone() for key, value in network.state_dict().items()}
    batch = chips(3)
    x = batch.clamp(0, 10_000) / 10_000
    hidden = F.relu(x.mean((2, 3)) @ weights["attention.squeeze.weight"].T)
    x = x * torch.sigmoid(hidden @ weights["attention.excite.weight"].T)[:, :, None, None]
    for block in range(3):
        at = f"convolutions.{3 * block + 1}"
        norm = {key: weights[f"{at}.{key}"] for key in ("running_mean", "running_var", "weight", "bias")}
        convolve = f"convolutions.{3 * block}"
        x = F.conv2d(x, weights[f"{convolve}.weight"], weights[f"{convolve}.bias"], padding=1)
        x = F.relu(F.batch_norm(x, **norm, training=training))
        x = F.max_pool2d(x, 2) if block < 2 else x
    x = x.mean((2, 3)) @ weights["project.weight"].T + weights["project.bias"]
    torch.testing.assert_close(network(batch), x / x.norm(dim=1, keepdim=True), atol=1e-5, rtol=1e-4)


def test_statistics_of_bands_are_those_of_numpy() -> None:
    """Oracle: numpy's mean, standard deviation and percentiles by nearest rank, of 32 x 32 pixels."""
    batch = chips(2, side=32)
    found = band_statistics(batch).reshape(2, 5, 4)
    flat = batch.numpy().reshape(2, 4, -1).astype(np.float64)
    ranks = np.percentile(flat, [10, 50, 90], axis=2, method="nearest")
    wanted = np.stack([flat.mean(2), flat.std(2), *ranks], axis=1)
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-4)


def test_statistics_reach_the_vectors() -> None:
    """Invariant: without convolutions, vectors of mirrored chips are equal and those of brighter ones are not."""
    torch.manual_seed(0)
    network = SpectralCNN(BANDS, dim=4, width=8, statistics=True).eval()
    batch = chips(3)
    with torch.no_grad():
        network.head[0].weight[:, : 8 * 8].zero_()
        plain, mirrored, brighter = (network(one) for one in (batch, batch.flip(3), batch + 2_000.0))
    torch.testing.assert_close(plain, mirrored)
    assert (plain - brighter).abs().max() > 1e-3


def test_indices_are_computed_from_bands_by_name() -> None:
    """Oracle: NDVI and NDWI of two reflectances by hand, seen by the first layer, standardized by nothing yet."""
    network = SpectralCNN(["B08", "B04", "B03"], dim=4, width=8, indices=["ndvi", "ndwi"]).eval()
    seen: list[torch.Tensor] = []
    network.standard.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    batch = torch.tensor([5_000.0, 1_000.0, 2_000.0])[None, :, None, None].expand(1, 3, 8, 8)
    network(batch)
    assert seen[0][0, :, 0, 0].tolist() == pytest.approx([0.5, 0.1, 0.2, 4 / 6, -3 / 7])
    network(torch.zeros(1, 3, 8, 8))
    assert torch.equal(seen[1], torch.zeros(1, 5, 8, 8))  # 0 / 0 is no NaN
    assert index_bands("ndwi", ["nir", "green"]) == (1, 0)


def test_any_size_and_what_is_damaged_stays_where_it_is() -> None:
    """Invariants: unit length at odd sizes; a chip of NaN changes no other chip's vector in use."""
    network = SpectralCNN(BANDS, dim=6, width=8).eval()
    batch = chips(3, side=37)
    clean = network(batch)
    torch.testing.assert_close(clean.norm(dim=1), torch.ones(3))
    batch[1] = torch.nan
    dirty = network(batch)
    assert torch.equal(dirty[[0, 2]], clean[[0, 2]])
    assert torch.isfinite(dirty).all()


@pytest.mark.parametrize("name", ["founding-spectral-cnn", "spectral-cnn"])
def test_gradients_reach_every_weight_and_the_config_builds_it_again(name: str) -> None:
    torch.manual_seed(0)
    network: torch.nn.Module = (
        FoundingSpectralCNN(dim=8)
        if name == "founding-spectral-cnn"
        else SpectralCNN(BANDS, dim=8, width=8, indices=("ndvi",))
    )
    if isinstance(network, FoundingSpectralCNN):  # its only hidden unit is dead in half of all starts
        network.attention.squeeze.weight.data.abs_()
    (network(chips(4)) * torch.randn(4, 8)).sum().backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in network.parameters())
    assert encoders.name_of(network) == name
    again = encoders.build(name, **network.config())  # type: ignore[operator]
    again.load_state_dict(network.state_dict())
    assert torch.equal(again.eval()(chips(2)), network.eval()(chips(2)))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"bands": ()}, "bands must be 1 to 64"),
        ({"bands": ["B02", "B02"]}, "different names"),
        ({"bands": "B02"}, "different names"),
        ({"indices": ["ndsi"]}, "unknown index 'ndsi'"),
        ({"bands": ["B02"], "indices": ["ndvi"]}, "ndvi needs the band B08; there are B02"),
        ({"width": 12}, "multiple of 8"),
        ({"dim": 10**12}, "dim must be"),
        ({"full_scale": 0}, "full_scale must be a positive number"),
        ({"unit_norm": 1}, "unit_norm"),
    ],
)
def test_options_that_do_not_fit(options: dict[str, object], problem: str) -> None:
    with pytest.raises(ModelError, match=problem):
        SpectralCNN(**options)  # type: ignore[arg-type]


def test_chips_of_another_shape_are_rejected() -> None:
    with pytest.raises(ModelError, match=r"shape \(N, 4, height, width\)"):
        FoundingSpectralCNN()(torch.zeros(2, 3, 8, 8))
    with pytest.raises(ModelError, match="4 px at least"):
        SpectralCNN(BANDS)(torch.zeros(2, 4, 2, 8))
