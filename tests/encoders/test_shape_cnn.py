"""Measures of shape against closed forms and scipy, and the network around them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from placevec.encoders.shape_cnn import ShapeTileCNN, _drawn, _folded, shape_measures
from placevec.errors import ModelError


def tile(*layers: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.stack(layers)[None].astype(np.uint8) * 255)


def disc(radius: float, px: int = 128) -> np.ndarray:
    y, x = np.mgrid[:px, :px] - (px - 1) / 2.0
    return x**2 + y**2 <= radius**2


def test_a_disc_has_its_area_and_perimeter() -> None:
    """Closed form: pi r^2 and 2 pi r, by the tile's own area and sides; one part, no hole."""
    for radius in (10.3, 25.7, 50.1):
        area, perimeter, euler = shape_measures(tile(disc(radius)))[0, :3].tolist()
        assert area * 128**2 == pytest.approx(math.pi * radius**2, rel=0.02)
        assert perimeter * 4 * 128 == pytest.approx(2 * math.pi * radius, rel=0.02)
        assert euler == 1.0


@pytest.mark.parametrize("angle", [0, 15, 30, 45, 60, 80])
def test_a_perimeter_hardly_depends_on_the_angle(angle: int) -> None:
    """Closed form: a square of 60 x 60 px has 240 px at any angle; four directions err by at most 8 %."""
    square = np.zeros((128, 128))
    square[34:94, 34:94] = 1
    turned = ndimage.rotate(square, angle, reshape=False, order=1) > 0.5
    perimeter = shape_measures(tile(turned))[0, 1].item() * 4 * 128
    assert perimeter == pytest.approx(240, rel=0.08)


def test_euler_is_parts_less_holes() -> None:
    """Oracle: scipy's labeling, parts by 8 neighbors and holes by 4, on random shapes."""
    random = np.random.default_rng(0)
    for width in (0.5, 1.0, 2.0, 4.0):
        shape = ndimage.gaussian_filter(random.normal(size=(96, 80)), width) > 0
        parts = ndimage.label(shape, structure=np.ones((3, 3)))[1]
        around = np.pad(
            ~shape, 1, constant_values=True
        )  # beyond the edge is one background, which is no hole
        holes = ndimage.label(around)[1] - 1
        assert shape_measures(tile(shape))[0, 2].item() == parts - holes


def test_measures_do_not_depend_on_place_or_quarter_turns() -> None:
    """Invariant: a shape moved, mirrored or turned by right angles away from the edge has the same measures."""
    shape = np.zeros((64, 64), bool)
    shape[10:20, 12:40] = True
    shape[14:30, 30:33] = True
    shape[15:17, 15:17] = False
    first = shape_measures(tile(shape))
    for other in (np.roll(shape, (9, 11), (0, 1)), np.rot90(shape), shape[:, ::-1]):
        assert torch.equal(first, shape_measures(tile(np.ascontiguousarray(other))))


def test_an_empty_and_a_full_tile() -> None:
    measures = shape_measures(tile(np.zeros((32, 32)), np.ones((32, 32))))[0].view(6, 2)
    assert measures[:, 0].tolist() == [0.0] * 6
    assert measures[0, 1].item() == 1.0
    assert measures[2, 1].item() == 1.0


def test_vectors_begin_with_the_measures_on_the_scale_of_the_training_places() -> None:
    """After training batches, evaluation standardizes by their mean and deviation: closed form."""
    torch.manual_seed(0)
    network = ShapeTileCNN(channels=2, dim=40, width=8)
    batch = (torch.rand(256, 2, 32, 32) ** 3 > torch.rand(256, 2, 1, 1)).to(torch.uint8) * 255
    network.train()
    for _ in range(200):
        network(batch)
    vectors = network.eval()(batch)
    assert vectors.shape == (256, 40)
    raw = shape_measures(batch)
    expected = (raw - raw.mean(0)) / raw.std(0)
    assert torch.allclose(vectors[:, :12], expected, atol=0.02)
    assert torch.allclose(vectors[:, 12:].mean(0), torch.zeros(28), atol=0.3)


def test_only_the_learned_part_has_gradients_and_sizes_are_free() -> None:
    network = ShapeTileCNN(channels=3, dim=64, width=8).train()
    out = network((torch.rand(4, 3, 50, 70) > 0.5).to(torch.uint8) * 255)
    out.square().sum().backward()
    assert all(weight.grad is not None for weight in network.parameters())
    assert ShapeTileCNN(**network.config()).config() == network.config()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"dim": 40}, "dim must be at least 52"),
        ({"width": 12}, "multiple of 8"),
        ({"dropout": 1.0}, "dropout"),
    ],
)
def test_senseless_sizes_are_rejected(options: dict[str, float], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        ShapeTileCNN(**{"channels": 6, **options})  # type: ignore[arg-type]


def test_counts_do_not_overflow_their_bytes() -> None:
    """Invariant: 700 rows of ones are more than a byte holds."""
    full = shape_measures(torch.full((1, 1, 700, 300), 255, dtype=torch.uint8))[0]
    assert full[0].item() == 1.0
    assert full[2].item() == 1.0


@pytest.mark.parametrize("size", [(5, 7), (1, 1), (40, 63), (33, 64), (20, 65), (128, 128)])
@pytest.mark.parametrize("has_count", [True, False], ids=["numpy's count", "counting by arithmetic"])
def test_any_size_and_gray(size: tuple[int, int], has_count: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Oracle: the definitions, pixel by pixel in numpy; also of a part of a batch, and where NumPy cannot count bits."""
    if not has_count:
        monkeypatch.delattr(np, "bitwise_count", raising=False)
    height, width = size
    random = np.random.default_rng(height)
    for share in (0.05, 0.5, 0.95):
        gray = random.integers(0, 128, (2, 3, height, width)) + 128 * (random.random((2, 3, *size)) < share)
        whole = torch.from_numpy(np.pad(gray, ((1, 0), (0, 0), (2, 0), (3, 0))).astype(np.uint8))
        inside = np.pad(gray > 127, ((0, 0), (0, 0), (1, 1), (1, 1)))
        corners = np.stack(
            [inside[:, :, y : y + height + 1, x : x + width + 1] for y in (0, 1) for x in (0, 1)]
        )
        count = corners.sum(0)
        diagonal = (count == 2) & (corners[0] == corners[3])
        euler = ((count == 1).sum((2, 3)) - (count == 3).sum((2, 3)) - 2 * diagonal.sum((2, 3))) / 4
        straight = sum(np.diff(inside.astype(int), axis=axis).astype(bool).sum((2, 3)) for axis in (2, 3))
        slanted = (corners[0] != corners[3]).sum((2, 3)) + (corners[1] != corners[2]).sum((2, 3))
        perimeter = math.pi / 8 * (straight + slanted / math.sqrt(2)) / (2 * (height + width))
        expected = np.concatenate([(gray > 127).mean((2, 3)), perimeter, euler], axis=1)
        seen = shape_measures(whole[1:, :, 2:, 3:])[:, :9].numpy()
        np.testing.assert_allclose(seen, expected, rtol=1e-6)


def test_presence_sets_apart_whether_anything_of_a_layer_is_there() -> None:
    """Oracle: numpy's any over the pixels, on tiles of layers that are empty, touched faintly, or drawn in full."""
    torch.manual_seed(0)
    batch = (torch.rand(40, 3, 32, 32) > 0.8).to(torch.uint8) * 255
    plain = ShapeTileCNN(channels=3, dim=40)
    plain.train()(batch)
    apart = ShapeTileCNN(channels=3, dim=40, presence=4.0)
    apart.load_state_dict(plain.state_dict())
    batch[::2, 1] = 0
    batch[::4, 1, 31, 31] = 1  # one pixel, covered by less than half: no measure sees it
    with torch.no_grad():
        before, after = plain.eval()(batch), apart.eval()(batch)
    there = np.where((batch.numpy() > 0).any(axis=(2, 3)), 4.0, -4.0)
    step = np.zeros((40, 40))
    step[:, 12:15] = there
    np.testing.assert_allclose((after - before).numpy(), step, atol=1e-5)
    assert plain.config() == {"channels": 3, "dim": 40, "width": 32, "dropout": 0.1, "unit_norm": False}
    assert ShapeTileCNN(**apart.config()).presence == 4.0
    with pytest.raises(ModelError, match="presence must be a weight"):
        ShapeTileCNN(channels=3, dim=40, presence=-1.0)


def test_empty_layers_and_parts_of_a_batch_do_not_matter() -> None:
    """Oracle: pooling and unshuffling all layers in floats, as the network was defined; 40 tiles are two parts."""
    torch.manual_seed(0)
    batch = torch.randint(0, 256, (40, 3, 48, 41), dtype=torch.uint8)
    batch[::3, 1], batch[5] = 0, 0
    network = ShapeTileCNN(channels=3, dim=40).eval()
    padded = torch.nn.functional.pad(batch, (0, 7, 0, 0)).float() / 255.0
    patches = torch.nn.functional.pixel_unshuffle(torch.nn.functional.avg_pool2d(padded, 2), 4)
    torch.testing.assert_close(_folded(_drawn(batch), torch.float32), patches)
    with torch.no_grad():
        torch.testing.assert_close(
            network(batch), torch.cat([network(one[None]) for one in batch]), rtol=1e-5, atol=1e-5
        )
    whole = network(batch)  # with gradients: the norm is a layer of its own
    with torch.no_grad():
        torch.testing.assert_close(network(batch), whole, rtol=1e-4, atol=1e-5)
