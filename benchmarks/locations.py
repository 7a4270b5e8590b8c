"""Location encoders beside the founding Sphere2Vec's own code: positional features of a million points, and vectors.

The original has no licence and is no part of this repository. To compare, check its commit babd338 out of
https://github.com/gengchenmai/sphere2vec into a folder ``sphere2vec`` and name the folder above it in ``PLACEVEC_ORIGINALS``.
Without it these rows are left out, which is said.

Seconds are those of the processor, on one thread: a busy machine hardly changes them. Nothing is kept on either side: the
original works in batches of 1,024, as it trains and evaluates, ours in parts of 8,192. Beside each row: the lower bound, as
many sines of float64 as the features have, in one pass, laid out nowhere, by torch and by numpy (which the original uses).
"""

from __future__ import annotations

import importlib
import inspect
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from benchmarks.measure import Row, interleaved, rate_row
from placevec import encoders

ORIGINALS = "PLACEVEC_ORIGINALS"
POINTS, THEIR_POINTS, BATCH = 262_144, 51_200, 1024
FORWARD, THEIR_FORWARD, KEPT = 51_200, 20_480, 8192
REPEATS = 7
CLASSES = {
    "grid": "GridCellSpatialRelationEncoder", "theory": "TheoryGridCellSpatialRelationEncoder",
    "NeRF": "NERFSpatialRelationEncoder", "sphereC": "SphereSpatialRelationEncoder",
    "sphereC+": "SphereGirdSpatialRelationEncoder", "sphereM": "SphereMixScaleSpatialRelationEncoder",
    "sphereM+": "SphereGridMixScaleSpatialRelationEncoder", "dfs": "DFTSpatialRelationEncoder",
}  # fmt: skip
SCALES = {"NeRF": 16, "dfs": 8}
"""Instead of 32: NeRF's bands beyond 24 are noise, and a million rows of dfs would be 34 GB."""
SINES = {"grid": 4, "theory": 6, "NeRF": 6}
"""Sines and cosines a scale; 4 of the others."""


@contextmanager
def original() -> Iterator[dict[str, ModuleType] | None]:
    """Its modules of encoders and of networks, or None where they are not at hand; they import each other by bare names."""
    folder = Path(os.environ.get(ORIGINALS, "")) / "sphere2vec" / "main"
    names = ("SpatialRelationEncoder", "module", "data_utils", "paths")
    if not os.environ.get(ORIGINALS) or not (folder / "SpatialRelationEncoder.py").is_file():
        yield None
        return
    sys.path.insert(0, str(folder))
    try:
        yield {name: importlib.import_module(name) for name in names[:2]}
    finally:
        sys.path.remove(str(folder))
        for name in names:
            sys.modules.pop(name, None)


def points(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Longitudes and latitudes, even on the sphere."""
    random = np.random.default_rng(0)
    return random.uniform(-180, 180, count), np.degrees(np.arcsin(random.uniform(-1, 1, count)))


def rows() -> list[Row]:
    """Features of every multi-scale encoder, then vectors; none, and a line that says why, without the original."""
    with original() as modules:
        if modules is None:
            print(
                f"locations: {ORIGINALS} names no folder with sphere2vec: not compared with it",
                file=sys.stderr,
            )
            return []
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            floor = sines_a_second()
            return [
                *(features(name, modules, floor) for name in CLASSES),
                *(vectors(name, modules) for name in CLASSES),
            ]
        finally:
            torch.set_num_threads(threads)


def features(name: str, modules: dict[str, ModuleType], floor: tuple[float, float]) -> Row:
    """Positional features alone."""
    lon, lat = points(POINTS)
    scales = SCALES.get(name, 32)
    theirs, coordinates = _theirs(name, modules, scales, None), _coordinates(THEIR_POINTS)
    encoder = encoders.location(name, scales=scales, network="none")

    def streamed() -> None:
        for start in range(0, POINTS, KEPT):
            encoder.features(lon[start : start + KEPT], lat[start : start + KEPT])

    def founding() -> None:
        for start in range(0, THEIR_POINTS, BATCH):
            theirs.make_input_embeds(coordinates[start : start + BATCH])

    with torch.no_grad():
        ours, other = interleaved(REPEATS, streamed, founding, clock=time.process_time)
    sines = scales * SINES.get(name, 4)
    counted = (
        f"float64 features of {POINTS:,} points, processor time of one thread, S = {scales}, {encoder.dim} numbers, nothing"
        f" kept; lower bound, {sines} sines a point alone: torch {floor[0] / sines:,.0f}, numpy"
        f" {floor[1] / sines:,.0f} points/s"
    )
    return rate_row(
        f"features, {name}", ours, POINTS, other, THEIR_POINTS, "points/s", "the original", counted
    )


def vectors(name: str, modules: dict[str, ModuleType]) -> Row:
    """Coordinates to vectors of 256 numbers through one hidden layer of 512, nothing learned."""
    lon, lat = points(FORWARD)
    scales = SCALES.get(name, 32)
    encoder = encoders.location(name, scales=scales, hidden=512, layers=1, dim=256).eval()
    network = modules["module"].MultiLayerFeedForwardNN(
        encoder.positional.dim, 256, 1, 0.5, 512, "relu", True, True, name
    )
    theirs, coordinates = _theirs(name, modules, scales, network).eval(), _coordinates(THEIR_FORWARD)

    def founding() -> None:
        for start in range(0, THEIR_FORWARD, BATCH):
            theirs(coordinates[start : start + BATCH])

    with torch.no_grad():
        ours, other = interleaved(REPEATS, lambda: encoder(lon, lat), founding, clock=time.process_time)
    counted = (
        f"{FORWARD:,} points to float32 vectors of 256, 512 hidden units, processor time of one thread, S = {scales}; most"
        " of it is the network, the same on both sides"
    )
    return rate_row(
        f"vectors, {name}", ours, FORWARD, other, THEIR_FORWARD, "points/s", "the original", counted
    )


def sines_a_second() -> tuple[float, float]:
    """(torch, numpy): sines of float64 angles of up to a thousand turns a second, block by block in the cache."""
    angles = np.random.default_rng(1).uniform(-1000 * math.pi, 1000 * math.pi, 16_384)
    block, into, blocks = torch.from_numpy(angles), np.empty_like(angles), 100
    out = torch.empty_like(block)

    def torches() -> None:
        for _ in range(blocks):
            torch.sin(block, out=out)

    def numpys() -> None:
        for _ in range(blocks):
            np.sin(angles, out=into)

    ours, theirs = interleaved(REPEATS, torches, numpys, clock=time.process_time)
    return blocks * len(angles) / ours.median, blocks * len(angles) / theirs.median


def _theirs(name: str, modules: dict[str, ModuleType], scales: int, network: Any) -> Any:
    """Its encoder with radii that suit it: 0.1 to 360 degrees of grid and theory, 0.001 to 1 of the sphere's."""
    maker: Callable[..., Any] = getattr(modules["SpatialRelationEncoder"], CLASSES[name])
    r_min, r_max = (0.1, 360.0) if name in ("grid", "theory") else (1e-3, 1.0)
    given = {
        "spa_embed_dim": 256, "coord_dim": 2, "frequency_num": scales, "max_radius": r_max, "min_radius": r_min,
        "freq_init": "geometric", "ffn": network, "device": "cpu",
    }  # fmt: skip
    known = inspect.signature(maker).parameters
    return maker(**{key: value for key, value in given.items() if key in known})


def _coordinates(count: int) -> np.ndarray:
    """(N, 1, 2), as it wants them."""
    return np.stack(points(count), axis=-1)[:, None]
