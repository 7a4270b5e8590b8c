"""Loc2Vec beside the founding 12-layer system's own code: drawing pairs, loading triplets, a training step.

The original has no licence and is no part of this repository. To compare, check its commit 30a9b96 out of
https://github.com/klaipher/loc2vec into a folder ``loc2vec-12`` and name the folder above it in ``PLACEVEC_ORIGINALS``.
Without it these rows are left out, which is said.

Its loader reads the very pixels that ours reads: the dataset, exported to its layout as PNG files of one bit a pixel,
which decode faster than the colored tiles that it was written for.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import itertools
import os
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from benchmarks.extracts import extract
from benchmarks.measure import Row, Timing, interleaved
from placevec import api, encoders
from placevec.core import Encoded, Recipe, Slot
from placevec.geo import tile_xy_to_lonlat
from placevec.recipes import recipe
from placevec.recipes.loc2vec.build import build
from placevec.training.batches import batches_of, layout, to_device
from placevec.training.objectives.triplet import TripletLoss
from placevec.training.precision import chosen
from placevec.training.samplers import TileSampler

ORIGINALS = "PLACEVEC_ORIGINALS"
BATCH, PAIRS, WORKERS, PLACES = 16, 64, 2, 16_000
BBOX = "14.44,35.85,14.54,35.92"
"""Valletta and around, about 1,200 tiles of zoom 17."""


def original(name: str) -> ModuleType | None:
    """A module of the original's, or None where it is not at hand."""
    path = Path(os.environ.get(ORIGINALS, "")) / "loc2vec-12" / f"{name}.py"
    if not os.environ.get(ORIGINALS) or not path.is_file():
        return None
    spec = importlib.util.spec_from_file_location(f"original_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its loader's processes look for it
    spec.loader.exec_module(module)
    return module


def _row(what: str, ours: Timing, theirs: Timing, count: tuple[int, int], counted: str) -> Row:
    a, b = ours.median / count[0] * 1e6, theirs.median / count[1] * 1e6
    spread = f"{min(ours.seconds) / count[0] * 1e6:,.3g} to {max(ours.seconds) / count[0] * 1e6:,.3g}"
    return Row(what, a, b, "microseconds", "the original", b / a, spread, counted)


def pairs(loader: ModuleType) -> Row:
    """Anchor, positive and negative as places, of 16,000 tiles; nothing is read."""
    side = 127
    y, x = np.divmod(np.arange(side * side)[:PLACES], side)
    lonlat = tile_xy_to_lonlat(np.stack([76_500.5 + x, 44_100.5 + y], axis=1), 17)
    sampler = TileSampler(lonlat, zoom=17, near_tiles=2, far_tiles=10, batch_size=PAIRS, seed=0)
    steps, drawn = itertools.count(), 200

    theirs = loader.KyivTileDataset.__new__(
        loader.KyivTileDataset
    )  # not its constructor, which lists folders
    theirs.common_coords = [(17, 76_500 + int(a), 44_100 + int(b)) for a, b in zip(x, y, strict=True)]
    theirs.positive_radius, theirs.negative_radius = 2, 10
    blank = np.zeros(1, np.float32)
    theirs._load_tile_stack = lambda place: blank
    random.seed(0)
    ours, founding = interleaved(
        3,
        lambda: [sampler.draw(next(steps)) for _ in range(drawn)],
        lambda: [theirs[0] for _ in range(10)],
    )
    counted = f"a triplet of {PLACES:,} places drawn, in batches of {PAIRS}; nothing is read"
    return _row("pair sampling", ours, founding, (drawn * PAIRS, 10), counted)


def loading(loader: ModuleType) -> Row:
    """Triplets of 12 layers from disk to the training step, both with two workers, no augmentation."""
    with tempfile.TemporaryDirectory() as folder:
        dataset = api.prepare("loc2vec", osm=extract("malta"), bbox=BBOX, out=Path(folder) / "data")
        api.export(dataset, tile_folder=Path(folder) / "png")
        config, training = recipe("loc2vec").configure(
            "founding", {"batch_size": BATCH, "validation_share": 0.0}
        )
        built = build(dataset, config, training)
        with contextlib.redirect_stdout(io.StringIO()):
            theirs = loader.create_data_loader(
                str(Path(folder) / "png" / "tiles"), batch_size=BATCH, num_workers=WORKERS,
                max_samples_per_epoch=10**6,
            )  # fmt: skip
            founding = iter(theirs)
        ours = _ours(built.recipe, built.views)
        many, few = 60, 12  # some of them read ahead while the other side runs: 4 on either
        mine, other = interleaved(
            2,
            lambda: [next(ours) for _ in range(many)],
            lambda: [next(founding) for _ in range(few)],
        )
        counted = (
            f"a triplet of 12 x 256 x 256 px, batches of {BATCH}, {WORKERS} workers, {len(dataset):,} tiles, no"
            " augmentation; ours are bytes, which the network scales, theirs float32 from PNG of one bit"
        )
        return _row("loading to the training step", mine, other, (many * BATCH, few * BATCH), counted)


def _ours(recipe: Recipe, views: Any) -> Iterator[object]:
    device = torch.device("cpu")
    form = layout(recipe.encoders["tile"], device, fp32=True)
    reading = batches_of(
        recipe, recipe.sampler, views, range(10**6), 0, 1, prefetch=2 * WORKERS, workers=WORKERS
    )
    for _, _, batches in reading:
        yield {name: to_device(batch, device, form) for name, batch in batches.items()}


def step(model: ModuleType) -> Row:
    """One step of the founding network on the same tiles: theirs in float32, ours in bf16 where that is hardware."""
    tiles = (torch.rand(3 * BATCH, 12, 256, 256) < 0.1).to(torch.uint8) * 255
    founding = [encoders.class_of("founding-tile-cnn")]
    bf16 = chosen("auto", torch.device("cpu"), founding) == "bf16"
    precision = "bf16" if bf16 else "float32 (no bf16 in hardware)"
    ours, theirs = interleaved(1, _our_step(tiles, bf16), _their_step(model, tiles))
    counted = (
        f"a step of {BATCH} triplets, 12 x 256 x 256, ours in {precision}, {torch.get_num_threads()} threads"
    )
    return _row("training step, founding network", ours, theirs, (1, 1), counted)


def _our_step(tiles: torch.Tensor, bf16: bool) -> Callable[[], float]:
    device = torch.device("cpu")
    encoder = encoders.build("founding-tile-cnn")
    form = layout(encoder, device, fp32=not bf16)
    encoder = encoder.train().to(memory_format=form)  # type: ignore[call-overload]
    optimizer = torch.optim.Adam(encoder.parameters(), lr=1e-3, weight_decay=1e-5, fused=True)
    objective, present = TripletLoss(swap=True, reduction="active"), torch.ones(BATCH, dtype=torch.bool)
    slots = {name: Slot("map", "tile") for name in ("anchor", "positive", "negative")}

    def once() -> float:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            vectors = encoder(to_device(tiles, device, form)).float().split(BATCH)
        encoded = {name: Encoded(z, present) for name, z in zip(slots, vectors, strict=True)}
        loss = objective(encoded, {})
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimizer.step()
        return float(loss.detach())

    return once


def _their_step(model: ModuleType, tiles: torch.Tensor) -> Callable[[], float]:
    network = model.create_model().train()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, weight_decay=1e-5)
    parts = [part.float() / 255 for part in tiles.split(BATCH)]

    def once() -> float:
        optimizer.zero_grad()
        loss = network(*parts)[3]
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), max_norm=1.0)
        optimizer.step()
        return float(loss.detach())

    return once


def rows() -> list[Row]:
    """The three rows; none, and a line that says why, without the original."""
    loader, model = original("data_loader"), original("model")
    if loader is None or model is None:
        print(
            f"loc2vec: {ORIGINALS} names no folder with loc2vec-12: not compared with the original",
            file=sys.stderr,
        )
        return []
    found = [pairs(loader)]
    if extract("malta") is None:
        print("loc2vec: no extract of Malta (PLACEVEC_DATA): loading is not compared", file=sys.stderr)
    else:
        found.append(loading(loader))
    return [*found, step(model)]
