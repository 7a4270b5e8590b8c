"""Encoders as ONNX, for servers and languages without PyTorch: any batch size, and the same vectors within 1e-5.

`torch.onnx.export` traces a module as `torch.export` does. What it cannot trace, the counting of bits in `ShapeTileCNN`,
is written again below in plain arithmetic. The file says in its metadata what it reads and whose data it was trained on.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from placevec.encoders.locations.times import time_of
from placevec.encoders.shape_cnn import ShapeTileCNN
from placevec.errors import InputError, MissingExtraError, ModelError, UsageError
from placevec.io import atomic
from placevec.models.model import Model

TOLERANCE = 1e-5
"""Most that a number may differ from PyTorch's, relative to the largest where that is above 1."""
_TRIED = 5


@dataclass(frozen=True)
class Written:
    """What `write_onnx` wrote.

    Attributes:
        path: of the file.
        input: name of its input; the output is called ``vectors``.
        shape: of the input without the batch.
        dtype: of the input.
        difference: the largest from PyTorch's vectors, on inputs drawn at random; None without onnxruntime.
    """

    path: Path
    input: str
    shape: tuple[int, ...]
    dtype: str
    difference: float | None


class _Points(nn.Module):
    """(N, 2) float64 lon, lat degrees -> vectors."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, lonlat: Tensor) -> Tensor:
        found: Tensor = self.encoder.unchecked(lonlat)
        return found


class PlainShapeCNN(nn.Module):
    """`ShapeTileCNN` without bit tricks: the same numbers from (N, C, H, W) uint8 in float arithmetic."""

    def __init__(self, encoder: ShapeTileCNN) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, tiles: Tensor) -> Tensor:
        """(N, dim) vectors."""
        encoder = self.encoder
        dtype: Any = encoder.head[0].weight.dtype
        measured = encoder.standard(plain_measures(tiles).to(dtype))
        height, width = tiles.shape[2:]
        padded = F.pad(tiles.to(dtype), (0, -width % 8, 0, -height % 8))
        features = encoder.body(F.pixel_unshuffle(F.avg_pool2d(padded, 2) / 255.0, encoder.patch))
        pooled = torch.cat([features.mean((2, 3)), features.amax((2, 3)), measured], dim=1)
        vectors = torch.cat(
            [encoder.set_apart(measured, tiles.amax((2, 3)) > 0), encoder.head(pooled)], dim=1
        )
        return F.normalize(vectors, dim=1) if encoder.unit_norm else vectors


def plain_measures(tiles: Tensor) -> Tensor:
    """`shape_measures` of (N, C, H, W) uint8 in float arithmetic, for tracing.

    >>> from placevec.encoders.shape_cnn import shape_measures
    >>> tiles = (torch.rand(2, 3, 24, 40, generator=torch.Generator().manual_seed(0)) > 0.6).to(torch.uint8) * 255
    >>> bool((plain_measures(tiles) - shape_measures(tiles)).abs().max() < 1e-6)
    True
    """
    height, width = tiles.shape[2:]
    drawn = F.pad((tiles > 127).to(torch.float32), (1, 1, 1, 1))
    northwest, northeast = drawn[..., :-1, :-1], drawn[..., :-1, 1:]
    southwest, southeast = drawn[..., 1:, :-1], drawn[..., 1:, 1:]
    held = northwest + northeast + southwest + southeast  # at each corner between pixels
    odd = (held == 1).to(torch.float32) + (held == 3).to(torch.float32)
    triple = (held == 3).to(torch.float32)
    falling, rising = (northwest - southeast).abs(), (northeast - southwest).abs()
    diagonal = (held == 2).to(torch.float32) * (1 - falling) * (1 - rising)
    across, along = (northeast - northwest).abs(), (southeast - northeast).abs()

    def total(values: Tensor) -> Tensor:
        return values.sum((2, 3))

    area = total(drawn) / (height * width)
    straight, slanted = total(across) + total(along), total(falling) + total(rising)
    perimeter = math.pi / 8.0 * (straight + slanted / math.sqrt(2.0)) / (2.0 * (height + width))
    euler = (total(odd) - 2.0 * total(triple) - 2.0 * total(diagonal)) / 4.0
    spread = [area.sqrt(), perimeter.sqrt(), euler.sign() * euler.abs().log1p()]
    return torch.stack([area, perimeter, euler, *spread], dim=2).transpose(1, 2).flatten(1)


def write_onnx(model: Model, path: Path, view: str | None = None) -> Written:
    """Write the encoder of one view, atomically, and compare it with PyTorch where onnxruntime is installed.

    Raises:
        UsageError: another ending, several views and none named, or fused vectors.
        ModelError: an encoder that reads tokens, sets or seasons, that cannot be traced, or gives other vectors.
        MissingExtraError: onnxscript is not installed.
    """
    if path.suffix.lower() != ".onnx":
        raise UsageError(f"encoders are written as ONNX: the file name must end in .onnx; got {path.name}")
    if view is None and len(model.readings) > 1:
        raise UsageError(f"the model reads {' and '.join(model.readings)}: choose one with --view")
    name = view or next(iter(model.readings))
    if name not in model.readings:
        raise UsageError(
            f"there is no encoder for the view {name!r}: choose from {', '.join(model.readings)}"
        )
    reading = model.readings[name]
    encoder = model.modules[reading.encoder].eval().cpu()
    module, given, example = _traceable(encoder, reading.spec, name)
    program = _exported(module, given, example, name)
    proto = program.model_proto  # made anew whenever it is asked for
    proto.metadata_props.extend(_metadata(model, name))
    content = proto.SerializeToString()
    difference = _difference(content, given, module, example)
    if difference is not None and difference > TOLERANCE:
        raise ModelError(
            f"the encoder of {name!r} as ONNX differs by {difference:.2g} from PyTorch, more than {TOLERANCE:g}, so "
            f"it was not written"
        )
    atomic.write_bytes(path, content)
    return Written(
        path, given, tuple(example.shape[1:]), str(example.dtype).removeprefix("torch."), difference
    )


def _traceable(encoder: nn.Module, spec: Any, view: str) -> tuple[nn.Module, str, Tensor]:
    """(module, name of its input, a batch of it)."""
    draws = torch.Generator().manual_seed(0)
    if hasattr(encoder, "unchecked"):  # every encoder of coordinates has it
        if time_of(encoder) is not None:
            raise ModelError(
                "an encoder with features of the time reads a date too, which ONNX export does not support yet"
            )
        span = torch.tensor([360.0, 180.0], dtype=torch.float64)
        points = torch.rand((_TRIED, 2), generator=draws, dtype=torch.float64) * span - span / 2
        return _Points(encoder), "lonlat", points
    if spec.size_px is None or not spec.channels:
        raise ModelError(
            f"the encoder of {view!r} reads neither images nor coordinates, the only inputs that ONNX export supports"
        )
    shape = (_TRIED, len(spec.channels), spec.size_px, spec.size_px)
    if isinstance(encoder, ShapeTileCNN):
        return PlainShapeCNN(encoder), "tiles", _tiles(shape, draws)
    if "0..255" in spec.values:
        return encoder, "tiles", _tiles(shape, draws)
    return encoder, "images", torch.rand(shape, generator=draws)


def _tiles(shape: tuple[int, ...], draws: torch.Generator) -> Tensor:
    return (torch.rand(shape, generator=draws) > 0.7).to(torch.uint8) * 255


def _exported(module: nn.Module, given: str, example: Tensor, view: str) -> Any:
    try:
        import onnxscript  # noqa: F401
    except ImportError:
        raise MissingExtraError("onnxscript", "onnx") from None
    batch = torch.export.Dim("batch", min=1)
    try:
        with warnings.catch_warnings(), _quiet():
            warnings.simplefilter("ignore")
            return torch.onnx.export(
                module.eval(), (example,), dynamo=True, input_names=[given], output_names=["vectors"],
                dynamic_shapes=({0: batch},), verbose=False,
            )  # fmt: skip
    except torch.onnx.OnnxExporterError as error:
        first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ModelError(f"the encoder of {view!r} cannot be written as ONNX: {first[:200]}") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """PyTorch's exporter tells of packages that are not needed."""
    found = logging.getLogger("torch.onnx")
    before = found.level
    found.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        found.setLevel(before)


def _metadata(model: Model, view: str) -> list[Any]:
    import onnx

    spec = model.readings[view].spec
    told = {
        "model_hash": model.hash,
        "view": view,
        "spec": json.dumps(spec.as_dict(), ensure_ascii=False),
        "attribution": str(model.training.get("attribution", "")),
    }
    return [onnx.StringStringEntryProto(key=f"placevec:{key}", value=value) for key, value in told.items()]


def _difference(content: bytes, given: str, module: nn.Module, example: Tensor) -> float | None:
    """The largest difference of batches of one and of several; None without onnxruntime."""
    try:
        import onnxruntime
    except ImportError:
        return None
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    found = 0.0
    for part in (example[:1], example):
        with torch.inference_mode():
            wanted: NDArray[Any] = module(part).float().numpy()
        got = np.asarray(session.run(None, {given: part.numpy()})[0], np.float32)
        if got.shape != wanted.shape or not np.isfinite(got).all():
            raise InputError(f"ONNX gives vectors of {got.shape}, PyTorch of {wanted.shape}")
        found = max(found, float(np.abs(got - wanted).max()) / max(1.0, float(np.abs(wanted).max())))
    return found
