"""Every reader of bytes from outside, each with a use of what it read, and what must hold of them.

Whatever the bytes: either a `PlacevecError` of one line, or a result that can be used. Never another exception,
and no file is made.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from placevec.core import Look
from placevec.datasets.dataset import Dataset
from placevec.datasets.labels import SPLITS
from placevec.errors import PlacevecError
from placevec.io.progress import SILENT
from tests.fuzz.corpus import STATE_CONFIG, Corpus, toy

LONGEST_MESSAGE = 2000
"""Characters of an error: more is no line that anybody reads."""

VALID, REFUSED, FAILED = "valid", "refused", "failed"


@dataclass(frozen=True)
class Reader:
    """What is fuzzed: ``home`` is the folder of the corpus that holds the files, ``files`` a pattern in it."""

    home: str
    files: str
    read: Callable[[Path, Path], object]
    """Called with the folder and the damaged file in it."""


def checked(reader: Reader, folder: Path, file: Path) -> tuple[str, str]:
    """(outcome, what was said) of one reading; FAILED comes with the traceback or the broken promise."""
    before = _listing(folder)
    try:
        reader.read(folder, file)
        outcome, said = VALID, ""
    except PlacevecError as error:
        outcome, said = REFUSED, str(error)
        if len(said.splitlines()) != 1 or len(said) > LONGEST_MESSAGE:
            outcome, said = FAILED, f"not one line of sane length: {said[:3000]!r}\n{traceback.format_exc()}"
    except Exception:
        return FAILED, traceback.format_exc()
    made = _listing(folder) ^ before
    return (FAILED, f"files were made or changed: {sorted(made)}") if made else (outcome, said)


def _listing(folder: Path) -> set[tuple[str, int]]:
    found = set()
    for where, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(where, name)
            found.add((path, os.stat(path).st_size))
    return found


# --- one function a reader ---------------------------------------------------------------------------------


def read_extract(folder: Path, file: Path) -> None:
    from placevec.sources.osm.layers import LayerTable
    from placevec.sources.osm.reader import extent, read_features, read_header

    table = LayerTable.default()
    problem = None
    for look in (read_header, extent):
        try:
            look(file)
        except PlacevecError as error:
            problem = error
    for features in read_features(file, keys=table.keys, wanted=lambda t, k: table.classify(t, k) or None):
        assert np.isfinite(features.paths.xy).all()
        assert (np.abs(features.paths.xy) <= (180.0, 90.0)).all()
        features.paths.centers()
    if problem is not None:
        raise problem


def read_layers(folder: Path, file: Path) -> None:
    from placevec.sources.osm.layers import LayerTable
    from placevec.sources.osm.objects import Kind

    table = LayerTable.from_toml(file)
    assert len(table.hash) == 64
    tags = {"building": "yes", "highway": "residential", "amenity": "cafe", "tunnel": "yes"}
    for kind in Kind:
        table.classify(tags, kind)


def read_types(folder: Path, file: Path) -> None:
    from placevec.sources.osm.entities.types import TypeTable
    from placevec.sources.osm.objects import Kind

    table = TypeTable.of(file)
    assert len(table.hash) == 64
    for kind in Kind:
        found = table.classify({"amenity": "cafe", "highway": "road", "area": "yes"}, kind)
        assert found is None or found.type.partition("/")[0] in table.groups


def read_entities(folder: Path, file: Path) -> None:
    """A dataset of entities: what is told of them, and their texts."""
    from placevec.cli.info import describe
    from placevec.preparation.validate import validate

    describe(folder)
    validate(folder)
    view = Dataset.open(folder).view("text")
    view.read(Look(torch.arange(len(view))))  # type: ignore[arg-type]


def read_templates(folder: Path, file: Path) -> None:
    from placevec.datasets.sentences.templates import Templates

    for sentence in Templates.of(file).fitting("water/lake", None):
        assert "Aa" in sentence.filled({"name": "Aa", "aliases": "b", "type": "c", "description": "d"})


def read_wikidata(folder: Path, file: Path) -> None:
    """A dump: its items can be kept and read again."""
    from placevec.sources.wikidata.dump import read_dump
    from placevec.sources.wikidata.items import Item

    for item in read_dump(file, range(1, 3_000)):
        assert Item.of_stored(item.stored()) == item
        assert item.lonlat is None or (abs(item.lonlat[0]) <= 180 and abs(item.lonlat[1]) <= 90)


def read_described(folder: Path, file: Path) -> None:
    from placevec.preparation.described.table import read_described as read

    found = read(file)
    assert len(found.ids) == len(set(found.ids)) == len(found.lonlat) == len(found.chips)
    assert all(text.isprintable() or text for _, _, text in found.texts)


def read_options(folder: Path, file: Path) -> None:
    from placevec.options import toml_options
    from placevec.recipes import recipe

    config, _ = recipe("loc2vec").configure("default", toml_options(file))
    config.as_json()


def read_places(folder: Path, file: Path) -> None:
    from placevec.sources.tables.points import read_columns, read_points

    points = read_points(file)
    assert len({len(points.table), len(points.lonlat), len(points.geometry), len(points.place_id)}) == 1
    assert all(isinstance(name, str) for name in points.place_id)
    assert points.lonlat.shape == (len(points.table), 2)
    known = points.lonlat[~np.isnan(points.lonlat[:, 0])]
    assert (np.abs(known) <= (180.0, 90.0)).all()
    with contextlib.suppress(PlacevecError):  # it may well have no place_id
        read_columns(file)


def read_labels(folder: Path, file: Path) -> None:
    from placevec.evaluation.user_labels import label_tasks

    for task in label_tasks(file, Dataset.open(folder / "dataset")):
        assert len(task) == len(task.rows)


def read_labeled_points(folder: Path, file: Path) -> None:
    """A table becomes a dataset, or nothing is written."""
    _prepared(folder / "out", points=file, label="label", kind="classes")


def read_layout(folder: Path, file: Path) -> None:
    _prepared(folder / "out", layout="inat2018", folder=folder)


def _prepared(out: Path, **options: object) -> None:
    from placevec import api

    shutil.rmtree(out, ignore_errors=True)
    try:
        dataset = api.prepare("sphere2vec", out=out, **options)  # type: ignore[arg-type]
    except PlacevecError:
        assert not out.exists()
        raise
    assert len(dataset.labels()) == len(dataset) == len(dataset.lonlat) == len(dataset.places)
    shutil.rmtree(out)


def read_labeled_dataset(folder: Path, file: Path) -> None:
    """A dataset of labeled points: what it says of itself, its labels and predictions."""
    from placevec.cli.info import describe
    from placevec.preparation.validate import validate

    describe(folder)
    validate(folder)
    dataset = Dataset.open(folder)
    labels = dataset.labels()
    assert len(labels) == len(dataset) == len(dataset.lonlat) == len(dataset.places)
    assert not dataset.descends_from("f" * 64)
    assert labels.user_count >= 0
    for side in SPLITS:
        labels.rows(side)
        dataset.image_predictions(side)


def read_split_of_run(folder: Path, file: Path) -> None:
    """What a run learned from, as evaluation asks of it."""
    from placevec.datasets.splits import read_split

    kept = read_split(folder)
    assert kept is not None
    for part in kept.parts:
        assert len(part.place_id) == len(part.split)
        rows = np.concatenate([part.split.rows(side) for side in SPLITS])
        assert len(np.unique(rows)) == len(rows) == (part.split.code >= 0).sum()
        assert isinstance(part.split.held_out, dict)
    assert kept.difference(kept) == ""


def read_polygon(folder: Path, file: Path) -> None:
    from placevec.geo import Area

    area = Area.from_geojson(file)
    area.contains([24.94], [60.17])
    Area.from_dict(area.as_dict())


def read_dataset(folder: Path, file: Path) -> None:
    """The manifest, the places, the map, its shares and the points of interest."""
    from placevec.datasets.views.pois import place_names, poi_counts, read_pois
    from placevec.datasets.views.raster.coverage import Coverage

    dataset = Dataset.open(folder)
    assert (len(dataset.name), len(dataset.hash), len(dataset.attribution)) >= (0, 64, 0)
    assert dataset.footprint_m > 0
    dataset.geometry()
    rows = dataset.require_coordinates(np.arange(len(dataset)), "fuzzing")[:2]
    footprints = dataset.footprints()
    view = dataset.view("map")
    look = Look(torch.from_numpy(rows), torch.from_numpy(dataset.lonlat[rows]))
    assert view.read(look).shape[1] == len(view.spec.channels)
    view.window(size_px=16, size_m=60.0).read(look)
    for name in ("map", "landuse"):
        shares = Coverage(folder / f"{name}_coverage.tif")
        assert np.isfinite(shares.fractions(footprints, dataset.zoom)).all()
        shares.overview(64)
    pois = read_pois(folder / "pois.parquet")
    poi_counts(pois, footprints, dataset.zoom)
    place_names(pois, footprints, dataset.zoom)


def read_model(folder: Path, file: Path) -> None:
    from placevec.models.model import Model

    model = Model.load(folder)
    assert len(model.hash) == 64
    repr(model)
    views = model.views_of(Dataset.open(folder / "dataset"))
    look = Look(torch.tensor([0]), torch.tensor([[24.941, 60.1702]], dtype=torch.float64))
    for vectors in model.encode_looks(views, [look]):
        assert {name: one.shape for name, one in vectors.items()} == {
            name: (1, model.dims[name]) for name in vectors
        }


def read_state(folder: Path, file: Path) -> None:
    from placevec.training.state import load_state, newest_state

    state = newest_state(folder)
    assert state is not None
    module, optimizer = toy()
    counters = load_state(state, module, optimizer, STATE_CONFIG)
    assert all(isinstance(value, int | float) for value in counters.history)
    assert counters.step + counters.waited + counters.best_step >= 0
    optimizer.step()


def read_embeddings(folder: Path, file: Path) -> None:
    from placevec.embeddings import Embeddings
    from placevec.embeddings.search.query import similar

    table = Embeddings.load(file)
    table.to_geodataframe()
    if len(table) > 1:
        similar(table, place=str(table.place_id[0]), k=2)


def read_metrics(folder: Path, file: Path) -> None:
    from placevec.training.log import read_metrics

    for row in read_metrics(folder):
        assert isinstance(row["step"], int)


def read_report(folder: Path, file: Path) -> None:
    from placevec.cli.demo.steps import evaluated

    class _Known:
        hash = "m"

    evaluated(folder, _Known(), "d")  # type: ignore[arg-type]


def read_tiles(folder: Path, file: Path) -> None:
    """A folder of tiles, or MBTiles, as `placevec validate` and `placevec prepare` read them."""
    from placevec.preparation.tiles.decode import TileReader, how_to_read, open_tiles

    is_mbtiles = file.suffix == ".mbtiles"
    tiles = open_tiles(None if is_mbtiles else folder, file if is_mbtiles else None, 3, SILENT)
    every = tiles.tiles()
    assert ((every >= 0) & (every < 8)).all()
    reading = how_to_read(tiles)
    assert reading.side in (256, 512)
    reader = TileReader(tiles, reading, max_damaged=None)
    for x, y in every.tolist():
        pixels = reader.read(x, y)
        assert pixels is None or (pixels.shape, pixels.dtype) == ((256, 256, len(reading.channels)), np.uint8)
    assert all(len(line.splitlines()) == 1 for line in reader.damaged.values())


def read_scene(folder: Path, file: Path) -> None:
    """A STAC item, and a chip of the scene that it leads to."""
    from placevec.sources.imagery.ground import Square
    from placevec.sources.imagery.sentinel2 import SceneReader
    from placevec.sources.imagery.stac import StacQuery, client_for, find_scenes

    address = str(folder / "item.json")
    found = find_scenes(address, StacQuery([(24.0, 60.0, 26.0, 61.0)], ["B02"]), client_for(address))
    with SceneReader(address, ["B02"], connections=1) as reader:
        for scene in found.scenes:
            if any("://" in asset.href for asset in scene.bands.values()):
                continue  # damaged into an address: no test asks for it
            chip = reader.read(scene, [Square(32635, 384_100.0, 6_673_900.0, 10.0, 8)])[0]
            assert (chip.pixels.shape, chip.pixels.dtype) == ((1, 8, 8), np.uint16)
            assert reader.decisions[scene.id].added in (0, -1000)


def read_founding_chip(folder: Path, file: Path) -> None:
    from placevec.sources.imagery.founding_chips import read_founding_chip

    chip = read_founding_chip(file)
    assert chip.ndim == 3
    assert chip.size > 0


def read_metadata(folder: Path, file: Path) -> None:
    from placevec.sources.tiles.loc2vec_metadata import read_loc2vec_metadata

    found = read_loc2vec_metadata(file)
    assert (np.abs(found.lonlat) <= (180.0, 90.0)).all()
    assert 0 <= found.zoom <= 22


READERS = {
    "extract": Reader("extract", "*", read_extract),
    "layers": Reader("layers", "*.toml", read_layers),
    "types": Reader("types", "*.toml", read_types),
    "templates": Reader("templates", "*.toml", read_templates),
    "wikidata": Reader("wikidata", "*", read_wikidata),
    "described": Reader("described", "*.csv", read_described),
    "entities": Reader("entities", "entities.parquet", read_entities),
    "texts": Reader("entities", "text.parquet", read_entities),
    "options": Reader("options", "*.toml", read_options),
    "places": Reader("places", "table.*", read_places),
    "labels": Reader("labels", "table.*", read_labels),
    "points": Reader("points", "table.*", read_labeled_points),
    "layout": Reader("layout", "**/*", read_layout),
    "labeled": Reader("labeled", "**/[!p]*", read_labeled_dataset),
    "split": Reader("split", "split.parquet", read_split_of_run),
    "polygon": Reader("polygon", "*", read_polygon),
    "manifest": Reader("dataset", "dataset.json", read_dataset),
    "place-table": Reader("dataset", "places.parquet", read_dataset),
    "shard": Reader("dataset", "map/*.tif", read_dataset),
    "coverage": Reader("dataset", "*_coverage.tif", read_dataset),
    "pois": Reader("dataset", "pois.parquet", read_dataset),
    "model-config": Reader("model", "config.json", read_model),
    "model-weights": Reader("model", "model.safetensors", read_model),
    "state-json": Reader("state", "*/state.json", read_state),
    "state-tensors": Reader("state", "*/tensors.safetensors", read_state),
    "embeddings": Reader("embeddings", "*", read_embeddings),
    "metrics": Reader("run", "metrics.jsonl", read_metrics),
    "report": Reader("report", "report.json", read_report),
    "mbtiles": Reader("mbtiles", "*.mbtiles", read_tiles),
    "tile-picture": Reader("tile-folder", "roads/**/*", read_tiles),
    "tilejson": Reader("tile-folder", "tiles.json", read_tiles),
    "stac": Reader("scene", "item.json", read_scene),
    "scene": Reader("scene", "*.tif", read_scene),
    "founding-chip": Reader("founding-chip", "*.npz", read_founding_chip),
    "metadata": Reader("metadata", "metadata.json", read_metadata),
}
"""Readers by name. ``labels`` and the models also get a copy of the valid dataset beside the damaged file."""


def seeds(name: str, corpus: Corpus) -> list[Path]:
    """The valid files of a reader, relative to its home."""
    home = corpus.folder / READERS[name].home
    return sorted(path.relative_to(home) for path in home.glob(READERS[name].files) if path.is_file())


def settle(name: str, corpus: Corpus, scratch: Path) -> Path:
    """A folder of its own for a reader: what its home holds, and the valid dataset where it needs one."""
    folder = scratch / name
    shutil.copytree(corpus.folder / READERS[name].home, folder)
    if name in ("labels", "model-config", "model-weights"):
        shutil.copytree(corpus.dataset, folder / "dataset")
    return folder
