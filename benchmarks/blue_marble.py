"""Named things of Natural Earth on NASA's Blue Marble: entities of thirteen types, their names, chips and blocks.

Chips have a fixed side on the ground: each pixel is looked up where the azimuthal equidistant projection around the place
puts it. Blocks of 20 degrees are shared out among three folds; what is trained on lies farther from every test place than
two chips reach, so that no pixel is in both.

Needs ``PLACEVEC_DATA`` with ``more/natural_earth`` and ``more/bluemarble``, and py7zr.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.spatial import cKDTree
from shapely.geometry import shape

from benchmarks import extracts
from placevec.core import ViewSpec
from placevec.datasets.dataset import Dataset
from placevec.datasets.places import Places
from placevec.datasets.views import text
from placevec.datasets.writer import write_dataset
from placevec.geo import Area, to_ecef
from placevec.preparation.chips.shards import ChipWriter

TYPES = {
    "River": "river", "Lake": "lake", "Reservoir": "reservoir", "Alkaline Lake": "salt lake", "Island": "island",
    "Island group": "group of islands", "Range/mtn": "mountain range", "Plateau": "plateau", "Desert": "desert",
    "Pen/cape": "cape", "Coast": "coast", "Plain": "plain",
}  # fmt: skip
"""Natural Earth's classes with 28 named entities or more, without those that are no kind of thing (Geoarea) or repeat
another file (Lake Centerline)."""
CITY, CITIES = "city", 1500
LANGUAGES = ("en", "de", "es", "fr", "pt", "ru", "zh")
FILES = ("ne_10m_geography_regions_polys", "ne_10m_lakes", "ne_10m_rivers_lake_centerlines")
BLOCK_DEG, FOLDS, VALIDATION = 20.0, 3, 0.15
RADIUS_KM = 6371.0


@dataclass(frozen=True)
class Entities:
    """N entities: (N,) types, (N, 2) lon/lat in degrees, names by language."""

    types: np.ndarray
    lonlat: np.ndarray
    names: list[dict[str, str]]

    @property
    def blocks(self) -> np.ndarray:
        """(N,) number of the block of 20 degrees."""
        across, up = np.floor((self.lonlat + np.array([180.0, 90.0])) / BLOCK_DEG).astype(np.int64).T
        return np.minimum(across, 17) * 9 + np.minimum(up, 8)


def entities() -> Entities:
    """What is named in Natural Earth of these types, and the 1,500 largest cities."""
    types, lonlat, names = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for file in FILES:
            for feature in _features(file, Path(folder)):
                about = feature["properties"]
                if about["featurecla"] in TYPES and about.get("name") and feature["geometry"]:
                    point = shape(feature["geometry"]).representative_point()
                    types.append(TYPES[about["featurecla"]])
                    lonlat.append((point.x, point.y))
                    names.append({"en": str(about["name"])})
        cities = _features("ne_10m_populated_places", Path(folder))
        cities.sort(key=lambda one: -float(one["properties"]["POP_MAX"]))
        for feature in cities[:CITIES]:
            about = feature["properties"]
            types.append(CITY)
            lonlat.append((float(about["LONGITUDE"]), float(about["LATITUDE"])))
            found = {code: about.get(f"NAME_{code.upper()}") for code in LANGUAGES}
            names.append({"en": about["NAME"], **{code: name for code, name in found.items() if name}})
    return Entities(np.array(types), np.array(lonlat), names)


def _features(name: str, folder: Path) -> list[dict[str, Any]]:
    import py7zr

    with py7zr.SevenZipFile(extracts.folder() / "more" / "natural_earth" / f"{name}.json.7z") as archive:
        archive.extractall(folder)
    found: list[dict[str, Any]] = json.loads(next(folder.rglob(f"{name}.json")).read_text("utf-8"))[
        "features"
    ]
    return found


def chips(lonlat: np.ndarray, side_km: float, size_px: int) -> np.ndarray:
    """(N, 3, size_px, size_px) uint8 RGB around points, north up, ``side_km`` wide and high."""
    image = cv2.imread(str(extracts.folder() / "more" / "bluemarble" / "bmng_5400x2700.jpg"))[:, :, ::-1]
    height, width = image.shape[:2]
    margin = 400
    wide = np.ascontiguousarray(np.concatenate([image[:, -margin:], image, image[:, :margin]], axis=1))
    coarser = side_km / size_px / (2 * np.pi * RADIUS_KM / width)
    if coarser > 1.5:
        wide = cv2.GaussianBlur(wide, (0, 0), coarser / 2)
    along = (np.arange(size_px) - (size_px - 1) / 2) * side_km / size_px
    east, north = np.meshgrid(along, -along)
    angle = np.hypot(east, north) / RADIUS_KM
    ratio = np.sinc(angle / np.pi) / RADIUS_KM  # sin(c) / rho
    out = np.empty((len(lonlat), 3, size_px, size_px), np.uint8)
    for row, (lon, lat) in enumerate(np.radians(lonlat)):
        sine = np.cos(angle) * np.sin(lat) + north * ratio * np.cos(lat)
        lats = np.degrees(np.arcsin(np.clip(sine, -1, 1)))
        turned = np.arctan2(east * ratio, np.cos(angle) * np.cos(lat) - north * ratio * np.sin(lat))
        column = (np.degrees(lon + turned) + 180.0) % 360.0 / 360.0 * width - 0.5 + margin
        line = (90.0 - lats) / 180.0 * height - 0.5
        looked = cv2.remap(
            wide, column.astype(np.float32), line.astype(np.float32), cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        out[row] = looked.transpose(2, 0, 1)
    return out


def statistics(pixels: np.ndarray) -> np.ndarray:
    """(N, 5 C): mean, standard deviation and three percentiles of each band."""
    flat = pixels.reshape(*pixels.shape[:2], -1).astype(np.float32)
    return np.concatenate([flat.mean(2), flat.std(2), *np.percentile(flat, [10, 50, 90], axis=2)], axis=1)


def folds(of: Entities, buffer_km: float) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Rows of (train, validation, test) of each fold; every entity is tested once."""
    blocks = of.blocks
    names, counts = np.unique(blocks, return_counts=True)
    order = np.random.default_rng(0).permutation(len(names))
    sizes, fold_of = np.zeros(FOLDS), {}
    for at in order[np.argsort(-counts[order], kind="stable")]:  # the largest first, to the smallest fold
        fold_of[int(names[at])] = int(sizes.argmin())
        sizes[sizes.argmin()] += counts[at]
    fold = np.array([fold_of[int(block)] for block in blocks])
    xyz = to_ecef(of.lonlat[:, 0], of.lonlat[:, 1])
    found = []
    for seed in range(FOLDS):
        test = np.flatnonzero(fold == seed)
        rest = np.flatnonzero(fold != seed)
        mixed = np.random.default_rng(seed + 1).permutation(np.unique(blocks[rest]))
        held = np.isin(blocks[rest], mixed[: round(VALIDATION * len(mixed))])
        train = _far(rest[~held], np.concatenate([test, rest[held]]), xyz, buffer_km)
        found.append((train, _far(rest[held], test, xyz, buffer_km), test))
    return found


def _far(rows: np.ndarray, others: np.ndarray, xyz: np.ndarray, buffer_km: float) -> np.ndarray:
    distances, _ = cKDTree(xyz[others]).query(xyz[rows])
    return rows[distances > buffer_km * 1000.0]


def texts_of(of: Entities, row: int, languages: Sequence[str]) -> list[tuple[str, str, str]]:
    """(language, kind, text) of an entity: its names, and its type with its name."""
    names = [(code, "name", name) for code, name in of.names[row].items() if code in languages]
    return [*names, ("en", "words", f"{of.types[row]} called {of.names[row]['en']}")]


def all_texts(of: Entities, languages: Sequence[str]) -> list[str]:
    """Every text once, names of types among them, sorted."""
    everything = {said for row in range(len(of.types)) for _, _, said in texts_of(of, row, languages)}
    return sorted(everything | set(map(str, of.types)))


def write(
    path: Path,
    of: Entities,
    rows: np.ndarray,
    pixels: np.ndarray,
    bands: Sequence[str],
    languages: Sequence[str],
) -> Dataset:
    """A dataset of some of the entities: chips, names and types."""
    if (path / "dataset.json").exists():
        return Dataset.open(path)
    path.mkdir(parents=True, exist_ok=True)
    ids = [f"e{row:05d}" for row in rows]
    writer = ChipWriter(path, "satellite", {"of": "Blue Marble", "bands": list(bands)})
    table: list[tuple[str, ...]] = []
    for name, row in zip(ids, rows.tolist(), strict=True):
        writer.add(name, pixels[row], tuple(bands), source=name)
        table += [(name, "text", code, kind, said, name) for code, kind, said in texts_of(of, row, languages)]
    written = writer.finish()
    columns = dict(
        zip(
            ("place_id", "view", "language", "kind", "text", "entity_id"),
            map(list, zip(*table, strict=True)),
            strict=True,
        )
    )
    pq.write_table(pa.table(columns), path / text.FILE)
    pq.write_table(
        pa.table({"entity_id": ids, "type": [str(of.types[row]) for row in rows]}), path / "entities.parquet"
    )
    views = {
        "satellite": {"spec": written.spec("satellite").as_dict(), "files": written.files},
        "text": {
            "spec": ViewSpec("text", "text", values=text.VALUES).as_dict(),
            "files": [text.FILE, "entities.parquet"],
        },
    }
    places = Places(
        np.array(ids, object), of.lonlat[rows], np.array([None] * len(rows), object), 1000.0, "given"
    )
    return write_dataset(
        path, name=path.name, area=Area(-180, -90, 180, 90), places=places, names=np.array(ids, object),
        sources=[{"kind": "natural-earth", "sha256": path.name, "attribution": "Natural Earth; NASA Blue Marble"}],
        views=views, report={}, created="2026-11-29T00:00:00+00:00",
    )  # fmt: skip
