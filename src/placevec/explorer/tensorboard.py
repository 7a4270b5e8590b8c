"""TensorBoard's embedding projector: vectors, names and thumbnails of a sample of places."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from placevec.core import FUSED
from placevec.datasets.dataset import Dataset
from placevec.explorer.exported import one_line, pictures_of
from placevec.explorer.maps.pictures import MapPictures
from placevec.geo import Ints
from placevec.io.atomic import replacing_directory
from placevec.io.progress import SILENT, Progress
from placevec.models.model import Model

MAX_PLACES = 10_000
"""Maximum number of places: the sprite image may be at most 8192 px wide."""
_COLUMNS = ["place_id", "name", "lon", "lat"]


def write_projector(
    folder: Path,
    model: Model,
    datasets: Sequence[Dataset],
    places: int,
    *,
    view: str | None = None,
    seed: int = 0,
    progress: Progress = SILENT,
) -> int:
    """Write the data that ``tensorboard --logdir`` shows under Projector, replacing the contents of ``folder``.

    Args:
        folder: directory for ``tensors.tsv``, ``metadata.tsv``, ``projector_config.pbtxt`` and, if the datasets have
            maps, ``sprite.png``.
        model: the model that computes the vectors.
        datasets: the datasets whose places with coordinates are shown.
        places: number of places, drawn at random.
        view: the view whose vectors are shown (default: the fused vectors, else the first view).
        seed: random seed of the sample.
        progress: progress reporting.

    Returns:
        The number of places; nothing is written where none has coordinates. Names come from OpenStreetMap, so line
        breaks and control characters are replaced.
    """
    from torch.utils.tensorboard import SummaryWriter

    vectors, labels, pictures = [], [], []
    view = view or (FUSED if model.fuse is not None else model.views[0])
    drawn = _drawn(datasets, min(places, MAX_PLACES), seed)
    if not drawn:  # chips without coordinates
        return 0
    for dataset, rows in drawn:
        found = model.vectors(dataset, rows, view=view, label="Projecting", progress=progress)
        there = np.isfinite(found).all(axis=1)
        rows = rows[there]
        vectors.append(found[there])
        labels += _labels(dataset, rows)
        if dataset.base_map is not None:
            pictures.append(_pictures(dataset, rows))
    with replacing_directory(folder) as temporary:
        writer = SummaryWriter(str(temporary))  # type: ignore[no-untyped-call]
        writer.add_embedding(  # type: ignore[no-untyped-call]
            torch.from_numpy(np.concatenate(vectors)),
            metadata=labels,
            metadata_header=_COLUMNS,
            label_img=torch.from_numpy(np.concatenate(pictures)) if len(pictures) == len(vectors) else None,
            tag="places",
        )
        writer.close()  # type: ignore[no-untyped-call]
    return len(labels)


def _drawn(datasets: Sequence[Dataset], places: int, seed: int) -> list[tuple[Dataset, Ints]]:
    """A uniform random sample of places: rows of each dataset, in order."""
    known = [np.flatnonzero(np.isfinite(dataset.lonlat).all(axis=1)) for dataset in datasets]
    first = np.cumsum([0, *map(len, known)])
    chosen = np.sort(np.random.default_rng(seed).permutation(int(first[-1]))[:places])
    parts = [
        rows[chosen[(chosen >= at) & (chosen < at + len(rows))] - at]
        for rows, at in zip(known, first, strict=False)
    ]
    return [(dataset, rows) for dataset, rows in zip(datasets, parts, strict=True) if len(rows)]


def _labels(dataset: Dataset, rows: Ints) -> list[list[str]]:
    table = dataset.places.iloc[rows]
    return [
        [one_line(place), one_line(name or ""), f"{lon:.6f}", f"{lat:.6f}"]
        for place, name, lon, lat in zip(
            table["place_id"], table["name"], table["lon"], table["lat"], strict=True
        )
    ]


def _pictures(dataset: Dataset, rows: Ints) -> NDArray[np.float32]:
    """(N, 3, 32, 32) float32 map thumbnails of places, 0 to 1."""
    drawn = pictures_of(MapPictures.of(dataset), dataset.footprints()[rows])
    return drawn.transpose(0, 3, 1, 2).astype(np.float32) / 255.0
