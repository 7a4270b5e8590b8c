"""One presence-only epoch beside the founding Sphere2Vec's own code: sphereC+, 512 hidden units, 500 classes, batch 1,024.

The original has no licence and is no part of this repository. To compare, check its commit babd338 out of
https://github.com/gengchenmai/sphere2vec into a folder ``sphere2vec`` and name the folder above it in ``PLACEVEC_ORIGINALS``.
Without it the row is left out, which is said, and ours is printed alone. What runs of it: its data set and loader, its
sampling of background points, its encoder, network and loss, with Adam, as its trainer calls them (which itself does not
import). Ours is the whole training loop. An epoch is 262,144 samples; some steps of one are timed and told as samples a second.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from benchmarks.locations import ORIGINALS, points
from benchmarks.measure import Row, Timing, interleaved, rate_row
from placevec.datasets.dataset import Dataset
from placevec.datasets.labels import LABELS
from placevec.datasets.layout import PLACES
from placevec.datasets.views.coordinates import SPEC
from placevec.datasets.writer import write_manifest
from placevec.geo import Area
from placevec.geo.geoparquet import geo_of_points, wkb_points
from placevec.recipes import recipe
from placevec.recipes.sphere2vec import build as sphere2vec
from placevec.training import train

EPOCH, CLASSES, BATCH, SCALES, HIDDEN, DIM = 262_144, 500, 1024, 32, 512, 256
STEPS, THEIR_STEPS, REPEATS, THREADS = 48, 12, 3, 2
TARGET_S = 25.0


def rows() -> list[Row]:
    """The row; none without the original."""
    threads = torch.get_num_threads()
    torch.set_num_threads(min(THREADS, threads))
    try:
        with tempfile.TemporaryDirectory() as folder:
            ours = _ours(Path(folder))
            theirs = _theirs()
            if theirs is None:
                (alone,) = interleaved(REPEATS, ours)
                print(
                    f"presence: {_epoch_s(alone):.1f} s an epoch; {ORIGINALS} names no folder with sphere2vec: "
                    "not compared with it",
                    file=sys.stderr,
                )
                return []
            mine, other = interleaved(REPEATS, ours, theirs)
    finally:
        torch.set_num_threads(threads)
    counted = (
        f"sphereC+, S = {SCALES}, {HIDDEN} hidden units, {CLASSES} classes, batch {BATCH:,}, float32, "
        f"{min(THREADS, threads)} threads; an epoch of {EPOCH:,} takes {_epoch_s(mine):.1f} s (at most {TARGET_S:g} s "
        f"asked for), the original's {EPOCH / BATCH / THEIR_STEPS * other.median:.0f} s"
    )
    return [
        rate_row(
            "presence-only training",
            mine,
            STEPS * BATCH,
            other,
            THEIR_STEPS * BATCH,
            "samples/s",
            "the original",
            counted,
        )
    ]


def _epoch_s(timing: Timing) -> float:
    return EPOCH / BATCH / STEPS * timing.median


def _ours(folder: Path) -> Callable[[], object]:
    """Some steps of our loop, with all that it does around them, over a data set of an epoch's size."""
    dataset = _dataset(folder / "points")
    config, training = recipe("sphere2vec").configure(
        "default",
        {
            "encoder": "sphereC+", "scales": SCALES, "hidden": HIDDEN, "dim": DIM, "batch_size": BATCH, "epochs": 1,
            "steps_per_epoch": STEPS, "validation_share": 0.0, "loss": "presence", "precision": "fp32", "device": "cpu",
        },
    )  # fmt: skip
    built = sphere2vec.build(dataset, config, training)
    built.recipe.measure = None

    def steps() -> None:
        with tempfile.TemporaryDirectory() as run:
            train(built.recipe, built.views, Path(run), built.training, config={}, save=lambda _: None)

    return steps


def _dataset(path: Path) -> Dataset:
    lon, lat = points(EPOCH)
    path.mkdir(parents=True)
    columns = {
        "place_id": pa.array(np.arange(EPOCH)).cast(pa.string()), "lon": pa.array(lon), "lat": pa.array(lat),
        "name": pa.nulls(EPOCH, pa.string()), "geometry": wkb_points(lon, lat),
    }  # fmt: skip
    with pq.ParquetWriter(path / PLACES, pa.table(columns).schema) as writer:
        writer.write_table(pa.table(columns))
        writer.add_key_value_metadata({"geo": json.dumps(geo_of_points([-180.0, -90.0, 180.0, 90.0]))})
    labels = np.random.default_rng(1).integers(0, CLASSES, EPOCH).astype(np.int32)
    pq.write_table(pa.table({"label": labels}), path / LABELS)
    return write_manifest(
        path, name="points", area=Area(-180.0, -90.0, 180.0, 90.0), sources=[{"attribution": "made up"}],
        places={"count": EPOCH, "grid": "given", "zoom": None, "size_m": None, "spacing_m": None},
        views={"coordinates": {"spec": SPEC.as_dict(), "files": []}}, report={}, created="2026-01-01T00:00:00+00:00",
        labels={
            "file": LABELS, "kind": "classes", "column": "label", "classes": [f"c{number}" for number in range(CLASSES)],
        },
    )  # fmt: skip


def _theirs() -> Callable[[], object] | None:
    """Some steps of the original, or None where it is not at hand."""
    folder = Path(os.environ.get(ORIGINALS, "")) / "sphere2vec" / "main"
    if not os.environ.get(ORIGINALS) or not (folder / "losses.py").is_file():
        return None
    names = (
        "SpatialRelationEncoder",
        "module",
        "models",
        "losses",
        "dataloader",
        "utils",
        "data_utils",
        "paths",
    )
    sys.path.insert(0, str(folder))
    try:
        found = {name: importlib.import_module(name) for name in names[:5]}
    finally:
        sys.path.remove(str(folder))
        for name in names:
            with suppress(KeyError):
                del sys.modules[name]
    return _their_steps(found)


def _their_steps(found: dict[str, ModuleType]) -> Callable[[], object]:
    network = found["module"].MultiLayerFeedForwardNN(
        6 * SCALES, DIM, 1, 0.5, HIDDEN, "relu", True, True, "spheregrid"
    )
    encoder = found["SpatialRelationEncoder"].SphereGirdSpatialRelationEncoder(
        DIM, coord_dim=2, frequency_num=SCALES, max_radius=1.0, min_radius=1e-3, freq_init="geometric", ffn=network,
        device="cpu",
    )  # fmt: skip
    model = found["models"].LocationEncoder(encoder, 2, CLASSES, DIM, 1)
    lonlat = torch.from_numpy(np.stack(points(EPOCH), axis=1).astype(np.float32))
    labels = torch.from_numpy(np.random.default_rng(1).integers(0, CLASSES, EPOCH))
    data = found["dataloader"].LocationDataLoader(lonlat, labels, torch.zeros(EPOCH).long(), CLASSES, True)
    loader = torch.utils.data.DataLoader(data, BATCH, shuffle=True, num_workers=0, drop_last=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    settings: dict[str, Any] = {
        "num_classes": CLASSES, "train_loss": "full_loss", "rand_sample_weight": 1.0, "device": "cpu",
        "spa_enc_type": "spheregrid", "batch_size": BATCH,
    }  # fmt: skip
    numbers = torch.arange(BATCH)

    def steps() -> None:
        model.train()
        for step, (place, label, user) in enumerate(loader):
            if step == THEIR_STEPS:
                return
            optimizer.zero_grad()
            found["losses"].embedding_loss(model, settings, place, label, user, numbers).backward()
            optimizer.step()

    return steps
