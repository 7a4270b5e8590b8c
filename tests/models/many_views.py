"""Datasets of several views and miniature recipes over them, with one learnable signal: a kind of place, 0, 1 or 2."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from placevec.core import Encoded, Objective, Ragged, Recipe, Slot, ViewSpec
from placevec.datasets.dataset import Dataset
from placevec.datasets.places import Places
from placevec.datasets.views import poi_sets, text
from placevec.datasets.views.features import write_features
from placevec.datasets.views.pois import Poi, PoiTable, PoiWriter
from placevec.datasets.writer import write_dataset
from placevec.encoders import ENCODERS
from placevec.geo import Area, offset
from placevec.models.fusion import MeanFusion
from placevec.training.samplers import PairSampler

PLACES = 96
KINDS = np.arange(PLACES) % 3
WORDS = ("café bakery tearoom", "station, tramway, platform", "woodland стежка metsä")
NO_TEXT = np.arange(PLACES) % 8 == 5
NO_IMAGE = np.arange(PLACES) % 8 == 6


class Columns(nn.Module):
    """Features to vectors."""

    def __init__(self, inputs: int, dim: int) -> None:
        super().__init__()
        self.inputs, self.dim = inputs, dim
        self.layer = nn.Sequential(nn.Linear(inputs, 32), nn.ReLU(), nn.Linear(32, dim))

    def forward(self, batch: Tensor) -> Tensor:
        return self.layer(batch)  # type: ignore[no-any-return]

    def config(self) -> dict[str, Any]:
        return {"inputs": self.inputs, "dim": self.dim}


class Letters(nn.Module):
    """The mean of the letters' embeddings."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim, self.table = dim, nn.Embedding(257, dim)

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        mask = batch["attention_mask"][:, :, None].float()
        return (self.table(batch["input_ids"]) * mask).sum(1) / mask.sum(1).clamp(min=1)  # type: ignore[no-any-return]

    def config(self) -> dict[str, Any]:
        return {"dim": self.dim}


class SetMean(nn.Module):
    """The mean of the categories' embeddings; zeros of an empty set."""

    def __init__(self, categories: int, dim: int) -> None:
        super().__init__()
        self.categories, self.dim = categories, dim
        self.table = nn.EmbeddingBag(categories, dim, mode="mean", include_last_offset=True)

    def forward(self, batch: Ragged) -> Tensor:
        return self.table(batch.values[:, 0].long(), batch.offsets)  # type: ignore[no-any-return]

    def config(self) -> dict[str, Any]:
        return {"categories": self.categories, "dim": self.dim}


class Pairs(Objective):
    """The two slots of a place belong together, those of other places do not (InfoNCE, Oord et al. 2018)."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> Tensor:
        first, second = slots[self.first], slots[self.second]
        rows = torch.nonzero(first.present & second.present).squeeze(1)
        logits = F.normalize(first.z[rows]) @ F.normalize(second.z[rows]).T / 0.2
        same = (targets["kind"][rows][:, None] == targets["kind"][rows]).float()
        return -(F.log_softmax(logits, 1) * same).sum(1).div(same.sum(1)).mean()


def register(monkeypatch: Any) -> None:
    """Make the miniature encoders known by name, as an entry point would."""
    here = __name__
    for name, title in (("columns", "Columns"), ("letters", "Letters"), ("set-mean", "SetMean")):
        monkeypatch.setitem(ENCODERS.builtin, name, f"{here}:{title}")


def write(
    path: Path, *, views: tuple[str, ...] = ("satellite", "text", "pois"), lat: float = 60.0
) -> Dataset:
    """A dataset of 96 places 2 km apart, each of a kind that its image features, its text and its POIs show."""
    path.mkdir(parents=True)
    random = np.random.default_rng(0)
    east, north = np.meshgrid(np.arange(12) * 2000.0, np.arange(8) * 2000.0)
    lonlat = offset(np.full(PLACES, 25.0), np.full(PLACES, lat), east_m=east.ravel(), north_m=north.ravel())
    ids = np.array([f"p{row:02d}" for row in range(PLACES)], object)
    entries: dict[str, dict[str, Any]] = {}
    if "satellite" in views:
        there = ~NO_IMAGE
        values = np.eye(3)[KINDS[there]].repeat(4, axis=1) + 0.2 * random.normal(size=(int(there.sum()), 12))
        files, dim, _ = write_features(path, "satellite", ids[there], [values])
        names = tuple(f"b{band}" for band in range(dim))
        spec = ViewSpec("satellite", "features", names, f"{dim} numbers, float32")
        entries["satellite"] = {"spec": spec.as_dict(), "files": files}
    if "text" in views:
        there = ~NO_TEXT
        rows = pa.table({
            "place_id": pa.array(ids[there], pa.string()), "view": ["text"] * int(there.sum()),
            "language": pa.array([None] * int(there.sum()), pa.string()),
            "kind": pa.array([None] * int(there.sum()), pa.string()),
            "text": [WORDS[kind] for kind in KINDS[there]],
        })  # fmt: skip
        text.write_texts(path / text.FILE, rows)
        spec = ViewSpec("text", "text", values=text.VALUES)
        entries["text"] = {"spec": spec.as_dict(), "files": [text.FILE]}
    if "pois" in views:
        write_pois(path / poi_sets.FILE, lonlat)
        spec = ViewSpec("pois", "pois", PoiTable.default().groups, poi_sets.VALUES, size_m=400.0)
        entries["pois"] = {"spec": spec.as_dict(), "files": [poi_sets.FILE]}
    places = Places(ids, lonlat, np.array([None] * PLACES, object), 200.0, "given")
    west, south = lonlat.min(axis=0) - 0.05
    east_, north_ = lonlat.max(axis=0) + 0.05
    source = {"kind": "test", "attribution": "nobody", "sha256": f"{lat}"}
    return write_dataset(
        path, name="miniature", area=Area(west, south, east_, north_), places=places, names=ids, sources=[source],
        views=entries, report={}, created="2026-01-01T00:00:00+00:00",
    )  # fmt: skip


def write_pois(path: Path, lonlat: np.ndarray) -> None:
    """Three points of the group of a place's kind around each place."""
    groups = PoiTable.default().groups
    around = offset(
        lonlat[:, 0].repeat(3), lonlat[:, 1].repeat(3), east_m=np.tile([0.0, 120.0, -150.0], PLACES),
        north_m=np.tile([30.0, -60.0, 150.0], PLACES),
    )  # fmt: skip
    pois = [Poi("amenity", "x", groups[kind], None, 0) for kind in KINDS.repeat(3)]
    with PoiWriter(path) as writer:
        writer.add(["node"] * len(pois), np.arange(len(pois)), around, pois)


def where2vec(dataset: Dataset) -> tuple[Recipe, dict[str, ViewSpec]]:
    """Images and words, fused."""
    sampler = PairSampler(
        range(PLACES), batch_size=24, seed=0, slots={"image": ~NO_IMAGE, "words": ~NO_TEXT},
        targets={"kind": KINDS},
    )  # fmt: skip
    recipe = Recipe(
        slots={"image": Slot("satellite", "image"), "words": Slot("text", "text")},
        encoders={"image": Columns(12, 8), "text": Letters(8)},
        objectives={"pairs": (1.0, Pairs("image", "words"))},
        sampler=sampler,
        fuse=MeanFusion(["satellite", "text"], 8),
    )
    return recipe, {name: dataset.spec(name) for name in ("satellite", "text")}


def mmgr(dataset: Dataset) -> tuple[Recipe, dict[str, ViewSpec]]:
    """Images and points of interest, not fused."""
    sampler = PairSampler(
        range(PLACES), batch_size=24, seed=0, slots={"image": ~NO_IMAGE, "pois": None}, lonlat=dataset.lonlat,
        targets={"kind": KINDS},
    )  # fmt: skip
    recipe = Recipe(
        slots={"image": Slot("satellite", "image"), "pois": Slot("pois", "pois")},
        encoders={"image": Columns(12, 8), "pois": SetMean(len(PoiTable.default().groups), 8)},
        objectives={"inter": (1.0, Pairs("image", "pois"))},
        sampler=sampler,
    )
    return recipe, {name: dataset.spec(name) for name in ("satellite", "pois")}
