"""Small valid files of every kind that placevec reads, built by code: what fuzzing damages."""

from __future__ import annotations

import bz2
import gzip
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import osmium
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import nn

from placevec import api, encoders
from placevec.core import ViewSpec
from placevec.datasets.additions import Joining, Made, add
from placevec.datasets.dataset import Dataset
from placevec.datasets.splits import RunSplit, Split, write_split
from placevec.embeddings import Embeddings, Provenance
from placevec.io.progress import SILENT
from placevec.models.model import Model
from placevec.models.reading import Reading
from placevec.sources.tiles.loc2vec_metadata import Loc2VecMetadata, write_loc2vec_metadata
from placevec.training.state import Counters, save_state
from tests.osm_xml import OsmFile, box
from tests.sources.benchmarks import layout_files as geo_prior_files
from tests.sources.imagery.small_scenes import item_of, write_scene
from tests.sources.tiles.tile_files import png, write_layers, write_mbtiles
from tests.unsealed import unsealed
from tests.wikibase import write_dump

LON, LAT = 24.94, 60.17
TEMPLATES = """extends = "founding"
[[template]]
language = "fi"
types = ["water", "water/lake"]
texts = ["{type} {name} ({aliases})", "{name}: {description}"]
[words.fi]
"water/lake" = "järvi"
"""
DESCRIBED = """obs_id,entity_id,entity_type,chip_path,text,lon,lat
o1,e1,water,s2_chips/a.npz,"a water body called Étang (also known as 湖, Lac)",2.6,48.9
o2,e2,forest,C:\\chips\\b.npz,'=a forest,,
"""
TYPES = """
extends = "default"

[[type]]
name = "amenity/snack"
by_value = false
lines = false
words = "snack {}"
rules = [{ key = "amenity", values = ["cafe"], unless = { access = ["private"] } }]
"""
LAYERS = """
[[layer]]
name = "buildings"
rules = [{ key = "building", fill = true, except = ["roof"], unless = { tunnel = ["yes"] } }]
[[layer]]
name = "roads"
content = false
rules = [{ key = "highway", values = ["residential"], width_m = 8 }, { key = "amenity", point_m = 9.0 }]
"""
STATE_CONFIG = {"recipe": "loc2vec", "dim": 4}
METRICS = '{"step": 4, "train/loss": 0.5, "validation/loss": 0.25}\n{"step": 8, "train/loss": null}\n'


@dataclass(frozen=True)
class Corpus:
    """A folder of valid files; `files` names those of one kind."""

    folder: Path

    @property
    def dataset(self) -> Path:
        return self.folder / "dataset"

    @property
    def model(self) -> Path:
        return self.folder / "model"

    def files(self, kind: str) -> list[Path]:
        return sorted(path for path in (self.folder / kind).rglob("*") if path.is_file())


def build(folder: Path) -> Corpus:
    """Write all of them; a fraction of a second."""
    for kind in (
        "extract",
        "layers",
        "types",
        "templates",
        "wikidata",
        "described",
        "places",
        "labels",
        "polygon",
        "embeddings",
        "run",
        "report",
        "options",
    ):
        (folder / kind).mkdir(parents=True)
    _extracts(folder / "extract")
    (folder / "layers" / "layers.toml").write_text(LAYERS)
    (folder / "options" / "train.toml").write_text('epochs = 3\nsize-m = 120.0\ndrop-layers = ["roads"]\n')
    dataset = api.prepare(
        "loc2vec", osm=folder / "extract" / "small.osm", layers=folder / "layers" / "layers.toml",
        out=folder / "dataset", spacing=6, size_m=60,
    )  # fmt: skip
    (folder / "types" / "types.toml").write_text(TYPES)
    (folder / "templates" / "own.toml").write_text(TEMPLATES)
    for ending in ("json", "json.gz", "json.bz2"):
        write_dump(folder / "wikidata" / f"dump.{ending}")
    (folder / "described" / "table.csv").write_text(DESCRIBED, "utf-8")
    api.prepare("where2vec", osm=folder / "extract" / "small.osm", out=folder / "entities")
    _tables(folder, dataset)
    _points(folder)
    _model(folder / "model")
    _state(folder / "state")
    _tiles(folder)
    _scenes(folder / "scene", folder / "founding-chip")
    (folder / "run" / "metrics.jsonl").write_text(METRICS)
    (folder / "report" / "report.json").write_text(json.dumps({"model_hash": "m", "dataset_hash": "d"}))
    (folder / "report" / "report.md").write_text("# report\n")
    # without their checksum, which would catch every damage before the readers do
    for path in (
        folder / "dataset" / "dataset.json",
        folder / "model" / "config.json",
        *folder.glob("state/*/state.json"),
    ):
        path.write_text(json.dumps(unsealed(json.loads(path.read_text()))))
    return Corpus(folder)


def _scenes(folder: Path, chips: Path) -> None:
    """A scene of Sentinel-2 with its STAC item, one file a band, and a chip of the original Where2Vec."""
    files = write_scene(folder, "scene", side_m=400, bands=("B02",), classes=lambda x, y: np.full(x.shape, 4))
    (folder / "item.json").write_text(json.dumps(item_of("scene", files, side_m=400, offset=-0.1)))
    chips.mkdir()
    np.savez_compressed(chips / "chip.npz", chip=np.full((4, 8, 8), 700, np.uint16))


def small_map() -> OsmFile:
    """Two buildings, one of them a multipolygon with a hole, a street with a missing node, a café."""
    osm = OsmFile()
    osm.way(box(LON, LAT, LON + 0.0005, LAT + 0.0004), {"building": "yes", "name": "Hall"})
    street = [(LON, LAT), (LON + 0.001, LAT + 0.0005), (LON + 0.002, LAT + 0.0005)]
    osm.way(street, {"highway": "residential", "name": "Street"})
    osm.way(street, {"highway": "residential"}, missing=[1])
    osm.node((LON + 0.0002, LAT + 0.0002), {"amenity": "cafe", "name": "Fazer"})
    outer = osm.way(box(LON + 0.001, LAT, LON + 0.0018, LAT + 0.0004))
    inner = osm.way(box(LON + 0.0012, LAT + 0.0001, LON + 0.0015, LAT + 0.0002))
    osm.relation([(outer, "outer"), (inner, "inner")], {"type": "multipolygon", "building": "yes"})
    return osm


def _extracts(folder: Path) -> None:
    xml = small_map().write(folder / "small.osm", (LON, LAT, LON + 0.002, LAT + 0.001))
    (folder / "small.osm.gz").write_bytes(gzip.compress(xml.read_bytes(), mtime=0))
    (folder / "small.osm.bz2").write_bytes(bz2.compress(xml.read_bytes()))
    for name, how in (("plain", "none"), ("sparse", "none,pbf_dense_nodes=false"), ("packed", "zlib")):
        target = osmium.io.File(str(folder / f"{name}.osm.pbf"), f"pbf,pbf_compression={how}")
        with osmium.SimpleWriter(target) as writer:
            for item in osmium.FileProcessor(str(xml)):
                writer.add(item)


def _tables(folder: Path, dataset: Dataset) -> None:
    """Places, labels, a polygon and vectors."""
    places = dataset.places
    header = "place_id,lon,lat,label,height\n"
    rows = [
        f"{row.place_id},{row.lon},{row.lat},{'ab'[number % 2]},{number}.5"
        for number, row in enumerate(places.itertuples())
    ]
    square = [[LON, LAT], [LON + 0.001, LAT], [LON + 0.001, LAT + 0.001], [LON, LAT]]
    features = [
        {"type": "Feature", "properties": {"id": n, "label": "ab"[n]}, "geometry": geometry}
        for n, geometry in enumerate(
            [{"type": "Point", "coordinates": square[0]}, {"type": "Polygon", "coordinates": [square]}]
        )
    ]
    collection = json.dumps({"type": "FeatureCollection", "features": features})
    for kind in ("places", "labels"):
        (folder / kind / "table.csv").write_text(header + "\n".join(rows) + "\n")
        (folder / kind / "table.geojson").write_text(collection)
        table = pq.read_table(dataset.path / "places.parquet")
        table = table.append_column("label", pa.array([number % 2 for number in range(len(table))]))
        pq.write_table(table, folder / kind / "table.parquet", compression="none")
    (folder / "polygon" / "area.geojson").write_text(collection)
    count = len(dataset)
    vectors = np.random.default_rng(0).normal(size=(count, 4)).astype(np.float32)
    table_of_vectors = Embeddings(
        dataset.places["place_id"].to_numpy(object), vectors, dataset.lonlat, dataset.geometry(),
        dataset.places["name"].to_numpy(object), "map", Provenance("m" * 64, dataset.hash),
    )  # fmt: skip
    for dtype in ("float32", "int8"):
        table_of_vectors.save(folder / "embeddings" / f"{dtype}.parquet", dtype=dtype)
    plain = pq.read_table(folder / "embeddings" / "float32.parquet")
    pq.write_table(plain, folder / "embeddings" / "plain.parquet", compression="none")


def _points(folder: Path) -> None:
    """Tables of labeled points, a benchmark's files, a dataset made of such that names joined, and a run's split."""
    (folder / "points").mkdir()
    for path in (folder / "labels").iterdir():
        (folder / "points" / path.name).write_bytes(path.read_bytes())
    (folder / "points" / "table.tsv").write_text("lon\tlat\tlabel\twho\n1\t2\ta\tx\n3\t4\tb\ty\n")
    geo_prior_files.inat(folder / "layout", 2018)
    dataset = api.prepare("sphere2vec", layout="inat2018", folder=folder / "layout", out=folder / "labeled")

    def names(folder: Path) -> Joining:
        called = pa.array([f"place {row}" for row in range(len(dataset))], pa.string())
        pq.write_table(pa.table({"place_id": called, "name": called}), folder / "names.parquet")
        return Joining("names", ["names.parquet"], [{"attribution": "nobody"}], names="names.parquet")

    add(dataset, "map_labels", Made("osm", {}), names, created="2026-01-01T00:00:00+00:00", progress=SILENT)
    (folder / "split").mkdir()
    row = np.arange(len(dataset))
    split = Split.of(len(dataset), train=row[::2], validation=row[1:2], block=row * 7, by="blocks")
    write_split(folder / "split", RunSplit.of_datasets([dataset], split))


def _tiles(folder: Path) -> None:
    """Pictures in every mode, in folders and in MBTiles, and what may lie beside them."""
    random = np.random.default_rng(0)
    mask = (random.random((32, 32)) < 0.2).repeat(8, axis=0).repeat(8, axis=1).astype(np.uint8) * 255
    modes = ("1", "L", "LA", "P", "RGB", "RGBA")
    pictures = {(x, 2): png(mask, mode=mode) for x, mode in enumerate(modes)}
    write_layers(folder / "tile-folder", {"roads": pictures}, 3)
    write_layers(folder / "tile-folder", {"buildings": {(1, 2): png(mask.astype(np.uint16) * 257)}}, 3)
    about = {"attribution": "nobody", "name": "a", "placevec": {"background": "black", "channels": ["roads"]}}
    (folder / "tile-folder" / "tiles.json").write_text(json.dumps(about))
    (folder / "mbtiles").mkdir()
    encoded = {(3, x, y): content for (x, y), content in pictures.items()}
    write_mbtiles(folder / "mbtiles" / "a.mbtiles", encoded, name="a", format="png", attribution="nobody")
    (folder / "metadata").mkdir()
    write_loc2vec_metadata(
        folder / "metadata" / "metadata.json", Loc2VecMetadata(17, np.array([[LON, LAT], [LON + 1, LAT]]))
    )


def _model(folder: Path) -> None:
    spec = ViewSpec("map", "raster", ("buildings", "roads"), "coverage 0..255", 16, 60.0, 17)
    torch.manual_seed(0)
    encoder = encoders.build("compact-tile-cnn", channels=2, dim=4, width=8)
    Model(
        {"tile": encoder}, {"map": Reading("tile", spec)},
        {"name": "loc2vec", "config": {"drop_layers": [], "near_m": 40.0}},
        {"dataset": "small", "dataset_hash": "d", "attribution": "nobody", "places": 3},
    ).save(folder)  # fmt: skip


def toy() -> tuple[nn.Module, torch.optim.Optimizer]:
    """A network of six numbers and its optimizer after one step."""
    torch.manual_seed(0)
    module = nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.1)
    module(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    return module, optimizer


def _state(folder: Path) -> None:
    folder.mkdir()
    save_state(folder, *toy(), Counters(step=4, best=0.5, history=[0.5]), STATE_CONFIG)
