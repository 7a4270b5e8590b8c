"""Encoders as ONNX. Oracle: the model's own vectors in PyTorch, beside onnxruntime's, in batches of several sizes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from placevec import encoders
from placevec.core import ViewSpec
from placevec.encoders.shape_cnn import ShapeTileCNN, shape_measures
from placevec.errors import PlacevecError
from placevec.models.model import Model
from placevec.models.onnx_files import PlainShapeCNN, plain_measures, write_onnx
from placevec.models.reading import Reading

TILES = ViewSpec("map", "raster", ("roads", "water"), "coverage 0..255", size_px=24, size_m=100.0, zoom=17)
POINTS = ViewSpec("coordinates", "coordinates")


def model_of(encoder: torch.nn.Module, spec: ViewSpec) -> Model:
    readings = {spec.name: Reading("one", spec)}
    return Model({"one": encoder}, readings, {"name": "test"}, {"attribution": "© an inventor"})


def tiles(count: int, side: int = 24, seed: int = 0) -> torch.Tensor:
    draws = torch.rand((count, 2, side, side), generator=torch.Generator().manual_seed(seed))
    return torch.where(draws > 0.6, (draws * 255).to(torch.uint8), torch.zeros((), dtype=torch.uint8))


def test_an_encoder_of_coordinates(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    ort = pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    model = model_of(encoders.location("sphereC+", dim=8, scales=4, hidden=16), POINTS)
    made = write_onnx(model, tmp_path / "points.onnx")
    assert (made.input, made.shape, made.dtype) == ("lonlat", (2,), "float64")
    assert made.difference is not None
    assert made.difference < 1e-5
    session = ort.InferenceSession(tmp_path / "points.onnx")
    for count in (1, 3, 50):
        draws = np.random.default_rng(count).uniform(-1, 1, (count, 2)) * (180, 90)
        got = session.run(None, {"lonlat": draws})[0]
        np.testing.assert_allclose(got, model.embed_lonlat(draws), atol=1e-5)
    told = session.get_modelmeta().custom_metadata_map
    assert told["placevec:model_hash"] == model.hash
    assert told["placevec:attribution"] == "© an inventor"
    assert ViewSpec.from_dict(json.loads(told["placevec:spec"])) == POINTS


def test_an_encoder_of_tiles(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    ort = pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    encoder = ShapeTileCNN(channels=2, dim=32, width=8, presence=3.0).eval()
    assert write_onnx(model_of(encoder, TILES), tmp_path / "map.onnx", "map").input == "tiles"
    session = ort.InferenceSession(tmp_path / "map.onnx")
    for count in (1, 7):
        batch = tiles(count, seed=count)
        with torch.inference_mode():
            wanted = encoder(batch).numpy()
        np.testing.assert_allclose(session.run(None, {"tiles": batch.numpy()})[0], wanted, atol=1e-5)


@pytest.mark.parametrize("side", [24, 37, 64])
def test_the_same_numbers_without_bit_tricks(side: int) -> None:
    """What the file of tiles computes, in PyTorch; empty tiles and full ones too."""
    batch = torch.cat([tiles(4, side), torch.zeros(1, 2, side, side, dtype=torch.uint8), 255 + torch.zeros(
        1, 2, side, side, dtype=torch.uint8)])  # fmt: skip
    torch.testing.assert_close(plain_measures(batch), shape_measures(batch), atol=1e-6, rtol=0)
    encoder = ShapeTileCNN(channels=2, dim=32, width=8).eval()
    with torch.inference_mode():
        torch.testing.assert_close(PlainShapeCNN(encoder)(batch), encoder(batch), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("model", "name", "said"),
    [
        (model_of(encoders.location("grid", dim=4, scales=2), POINTS), "a.pt", "must end in .onnx; got a.pt"),
        (
            model_of(encoders.location("grid", dim=4, scales=2, seasons=1), POINTS),
            "a.onnx",
            "reads a date too",
        ),
        (
            model_of(torch.nn.Linear(2, 2), ViewSpec("pois", "pois")),
            "a.onnx",
            "neither images nor coordinates",
        ),
    ],
)
def test_what_cannot_be_written_is_said(tmp_path: Path, model: Model, name: str, said: str) -> None:
    with pytest.raises(PlacevecError, match=said):
        write_onnx(model, tmp_path / name)
    with pytest.raises(PlacevecError, match="there is no encoder for the view 'satellite': choose from"):
        write_onnx(model, tmp_path / "a.onnx", "satellite")
