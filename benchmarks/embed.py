"""Embedding a dataset with the model that comes with placevec, beside its parts: reading the windows, the convolutions.

Places of a small country, 2,048 in a row from the middle of the table, one thread, blocks of the map in memory from the
second turn on, as they are for all but the first places of a shard. *Convolutions alone*: the network's body on folded
windows of one batch, again and again, nothing else.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.extracts import embedded, extract
from benchmarks.measure import Row, interleaved, rate_row
from placevec import api
from placevec.core import Look
from placevec.datasets.dataset import Dataset
from placevec.encoders.tile_cnn import as_share
from placevec.models.model import Model

PLACES, BATCH = 2048, 64


def rows() -> list[Row]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    source = extract("malta") or embedded()
    try:
        with tempfile.TemporaryDirectory() as folder:
            dataset = api.prepare("loc2vec", osm=source, out=Path(folder) / "places", zoom=17)
            return _rows(dataset, source.name.removesuffix(".osm.pbf"))
    finally:
        torch.set_num_threads(threads)


def _rows(dataset: Dataset, name: str) -> list[Row]:
    model = Model.load("base")
    first = max(0, (len(dataset) - PLACES) // 2)
    chosen = np.arange(first, min(first + PLACES, len(dataset)))
    view = model.views_of(dataset)["map"]
    looks = [
        Look(torch.from_numpy(part), torch.from_numpy(dataset.lonlat[part]))
        for part in np.split(chosen, range(BATCH, len(chosen), BATCH))
    ]
    body = model.modules["tile"].eval().body
    with torch.inference_mode():
        halved = F.avg_pool2d(as_share(view.read(looks[0]), torch.float32), 2)
        folded = F.pixel_unshuffle(halved, 4).contiguous(memory_format=torch.channels_last)

    def read() -> None:
        for look in looks:
            view.read(look)

    @torch.inference_mode()
    def convolve() -> None:
        for _ in looks:
            body(folded)

    whole, reading, convolving = interleaved(5, lambda: model.encode(dataset, chosen), read, convolve)
    count = len(chosen)
    counted = f"{count:,} places of {name}, windows of 6 x 128 x 128, batches of {BATCH}, one thread"
    what = "embedding with the included model"
    return [
        rate_row(what, whole, count, reading, count, "places/s", "reading the windows alone", counted),
        rate_row(what, whole, count, convolving, count, "places/s", "its convolutions alone", counted),
    ]
