"""Checks whether a folder of tiles, MBTiles or a dataset is usable, before training.

It prints what the data check of founding document 004 prints: layers, tiles per layer, common coordinates, shapes of a
sample batch, and problems.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import torch

from placevec.core import Look
from placevec.datasets.dataset import Dataset
from placevec.datasets.entities import FILE as ENTITIES
from placevec.datasets.entities import has_entities, read_entities, summary_of
from placevec.datasets.labels import SPLITS
from placevec.datasets.layout import MANIFEST
from placevec.datasets.views.raster.coverage import Coverage
from placevec.datasets.views.raster.shards import SHARD_NAME, read_shard_table
from placevec.datasets.views.registry import reader_of
from placevec.errors import PlacevecError, SourceError
from placevec.geo import TILE_PX
from placevec.io.files import refuse_pipe
from placevec.io.progress import SILENT, Progress
from placevec.preparation.tiles.decode import MAX_DAMAGED, TileReader, how_to_read, notes_of, open_tiles
from placevec.sources.osm.layers import LayerTable
from placevec.sources.tiles.mbtiles import ENDING
from placevec.sources.tiles.schemes import asked_scheme

BATCH = 4
FAR_TILES = 10
SAMPLED = 4096
"""Maximum tiles that are decoded, in all layers: smaller folders are decoded completely, as in preparation."""


@dataclass
class Layer:
    """One layer.

    Attributes:
        name: name of the layer or channel.
        tiles: number of its tiles; for a dataset, the number of sampled places with content.
        set_share: share of set pixels in the sample; for colors, the mean intensity.
        background: background of the pictures; empty for datasets and colors.
        threshold: minimum contrast of a set pixel; None for datasets and colors.
    """

    name: str
    tiles: int
    set_share: float
    background: str = ""
    threshold: int | None = None


@dataclass
class Validation:
    """The result of a check.

    Attributes:
        path: the checked path.
        kind: ``tiles`` or ``dataset``.
        layout: naming of the tiles, or layout of the places.
        zoom: zoom of the tiles.
        layers: the layers.
        measure: meaning of ``Layer.set_share``: ``share set``, or ``mean`` for 8 bits.
        coordinates: number of tiles in any layer, or of places.
        common: number of tiles in all layers, or of places with coordinates.
        labels: for labeled places: label, kind, rows in each split, and other fields.
        entities: for datasets with entities: number of all, of those with a name, of those with a Wikidata item, counts
            by type and by language.
        batch: role -> shape of a sample batch.
        problems: reasons why it is not usable.
        notes: remarks for the user.
    """

    path: str
    kind: str
    layout: str = ""
    zoom: int | None = None
    layers: list[Layer] = field(default_factory=list)
    measure: str = "share set"
    coordinates: int = 0
    common: int = 0
    labels: dict[str, str] = field(default_factory=dict)
    entities: dict[str, Any] = field(default_factory=dict)
    batch: dict[str, list[int]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def usable(self) -> bool:
        """Whether a dataset can be made from it, or a model trained on it."""
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {**asdict(self), "usable": self.usable}


def validate(
    path: str | Path, *, zoom: int | None = None, scheme: str = "auto", progress: Progress = SILENT
) -> Validation:
    """Check a folder of tiles, MBTiles (a file or a folder of them) or a dataset; nothing is written.

    Args:
        path: the path to check.
        zoom: zoom of the tiles, if there are several.
        scheme: ``xyz`` if rows of tiles are counted from the north, ``tms`` from the south; ``auto`` reads it from the
            files next to them.
        progress: receives progress reports.
    """
    path = Path(path)
    asked_scheme(scheme)
    is_dataset = path.is_dir() and ((path / MANIFEST).exists() or (path / ".work").is_dir())
    found = Validation(str(path), "dataset" if is_dataset else "tiles")
    try:
        if not path.exists():
            raise SourceError(f"{path} does not exist")
        refuse_pipe(path)
        if is_dataset:
            _dataset(path, found)
        else:
            _tiles(path, zoom, scheme, found, progress)
    except PlacevecError as error:
        found.problems.append(str(error))
    return found


def _tiles(path: Path, zoom: int | None, scheme: str, found: Validation, progress: Progress) -> None:
    is_mbtiles = path.is_file() or any(one.suffix == ENDING for one in path.iterdir())
    tiles = open_tiles(None if is_mbtiles else path, path if is_mbtiles else None, zoom, progress, scheme)
    every = tiles.tiles()
    found.layout, found.zoom = tiles.layout, tiles.zoom
    found.coordinates, found.common = len(every), len(tiles.tiles(in_all=True))
    found.notes += notes_of(tiles)
    if tiles.kind == "layers":
        known = LayerTable.default().layers
        if missing := [name for name in known if name not in tiles.layers]:
            found.notes.append(f"of the original twelve layers, these are missing: {', '.join(missing)}")
        found.notes += [
            f"the layer {name} has no tiles"
            for name, keys in zip(tiles.layers, tiles.keys, strict=True)
            if not len(keys)
        ]
        if not found.common:
            found.notes.append("no tile exists in all layers: --require-all-layers would find no place")
    reading = how_to_read(tiles)
    found.notes += [note for note in reading.notes(tiles) if note not in found.notes]
    reader = TileReader(tiles, reading, max_damaged=None)
    read = failed = 0
    sums = np.zeros(len(reading.channels))
    chosen = every[np.unique(np.linspace(0, len(every) - 1, min(SAMPLED, len(every))).astype(int))]
    with progress.task("Decoding tiles", total=len(chosen)) as advance:
        for x, y in chosen.tolist():
            tile = reader.read(x, y)
            failed += tile is None
            if tile is not None:
                read, sums = read + 1, sums + tile.mean(axis=(0, 1))
            advance(1)
    full = 1 if reading.bits == 1 else 255
    found.measure = "share set" if reading.bits == 1 else "mean"
    means = sums / full / max(read, 1)
    for number, name in enumerate(reading.channels):
        mask = reading.masks[number] if reading.masks else None
        count = len(tiles.keys[number if reading.masks else 0])
        found.layers.append(
            Layer(
                name,
                count,
                float(means[number]),
                mask.called if mask else "",
                mask.threshold if mask else None,
            )
        )
        if mask and means[number] > 0.5:
            found.notes.append(
                f"{means[number]:.0%} of the pixels of {name} are set: check whether its background is "
                f"really {mask.called}"
            )
    if failed:
        first = next(iter(reader.damaged.values()))
        line = f"{failed} of {len(chosen)} sampled tiles are damaged, such as {first}"
        (found.problems if failed > MAX_DAMAGED * len(chosen) else found.notes).append(line)
    if read:
        shape = [min(BATCH, read), len(reading.channels), TILE_PX, TILE_PX]
        found.batch = {role: list(shape) for role in ("anchor", "positive", "negative")}
        if max(np.ptp(every[:, 0]), np.ptp(every[:, 1])) <= FAR_TILES:
            found.notes.append(
                f"no two tiles are more than {FAR_TILES} tiles apart, as the original negatives must be"
            )


def _dataset(path: Path, found: Validation) -> None:
    dataset = Dataset.open(path)
    found.problems += dataset.damage()
    if found.problems:
        return
    found.layout = str(dataset.manifest["places"]["grid"])
    known = np.flatnonzero(np.isfinite(dataset.lonlat).all(axis=1))
    found.coordinates, found.common = len(dataset), len(known)
    if not len(known):
        raise SourceError(f"no place of {path} has coordinates")
    rows = known[np.unique(np.linspace(0, len(known) - 1, min(BATCH, len(known))).astype(int))]
    if dataset.has_labels:
        _labels(dataset, found)
    if has_entities(dataset):
        _entities(dataset, found)
    for name in dataset.view_names:
        look = Look(torch.from_numpy(rows))
        view = dataset.view(name)
        if reader_of(view.spec).by_coordinates:
            look.lonlat = torch.from_numpy(dataset.lonlat[rows])
        read = view.read(look)
        slot = "anchor" if name == dataset.base_map else name
        found.batch[slot] = list(read.shape) if isinstance(read, torch.Tensor) else [len(rows)]
    if dataset.base_map is None:
        return
    found.zoom = dataset.zoom
    spec = dataset.view(dataset.base_map).spec
    for shard in sorted((path / dataset.base_map).glob("*.tif")):  # each must have a valid table
        if SHARD_NAME.fullmatch(shard.name):
            read_shard_table(shard, dataset.zoom, len(dataset.base_map_spec.channels))
    found.measure = "share set" if spec.values.startswith("coverage") else "mean"
    some = known[np.unique(np.linspace(0, len(known) - 1, min(4096, len(known))).astype(int))]
    shares = Coverage(path / "map_coverage.tif").fractions(dataset.footprints()[some], dataset.zoom)
    for number, name in enumerate(dataset.base_map_spec.channels):
        found.layers.append(Layer(name, int((shares[:, number] > 0).sum()), float(shares[:, number].mean())))
    found.notes += [f"no place has anything in {layer.name}" for layer in found.layers if layer.tiles == 0]
    for name, why in (
        ("landuse_coverage.tif", "no land-use task"),
        ("pois.parquet", "no tasks of points of interest"),
    ):
        if not (path / name).is_file():
            found.notes.append(
                f"there is no {name}: evaluation has {why} of its own, so give labels with --labels FILE"
            )


def _entities(dataset: Dataset, found: Validation) -> None:
    path = dataset.path / ENTITIES
    about = summary_of(path)
    found.entities = {
        "count": about.count, "named": about.named, "with_item": about.with_item, "types": about.types,
        "languages": about.languages,
    }  # fmt: skip
    ids = read_entities(path, ["entity_id"])["entity_id"]
    if (twice := about.count - pc.count_distinct(ids).as_py()) > 0:
        found.problems.append(f"{path} is damaged: {twice:,} entities share the ID of another")
    if unnamed := about.count - about.named:
        found.notes.append(f"{unnamed:,} of {about.count:,} entities have no name, only a Wikidata item")


def _labels(dataset: Dataset, found: Validation) -> None:
    labels = dataset.labels()
    rows = {side: labels.rows(side) for side in SPLITS}
    found.labels = {
        "label": str(dataset.manifest["labels"]["column"]),
        "kind": f"{len(labels.classes):,} classes" if labels.kind == "classes" else "number",
        **{side: f"{int(labels.known[of_side].sum()):,}" for side, of_side in rows.items()},
        **({"unlabeled": f"{missing:,}"} if (missing := int((~labels.known).sum())) else {}),
        **({"users": f"{labels.user_count:,}"} if labels.users is not None else {}),
    }
    if not labels.known[rows["train"]].any():
        found.problems.append("no training place has a label")
    if not len(rows["validation"]) and labels.split is not None:
        found.notes.append("the split has no validation set: training will hold out blocks")
    if labels.kind == "classes":
        seen = np.zeros(len(labels.classes), bool)
        seen[labels.values[rows["train"]][labels.known[rows["train"]]]] = True
        if not seen.all():
            first = labels.classes[int(np.flatnonzero(~seen)[0])]
            found.notes.append(
                f"classes that are not in the training set: {int((~seen).sum()):,}, such as {first[:60]!r}"
            )
    for side, of_side in rows.items():
        predictions = dataset.image_predictions(side)
        if predictions is None:
            continue
        found.labels[f"{side} image predictions"] = f"{predictions.shape[0]:,} x {predictions.shape[1]:,}"
        images = None if labels.image_rows is None else labels.image_rows[of_side]
        if images is None or (len(images) and int(images.max()) >= predictions.shape[0]):
            found.problems.append(f"image predictions of {side} do not say which place each belongs to")
