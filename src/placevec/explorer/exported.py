"""Tables of vectors for other tools: the TensorFlow Embedding Projector, and embedding-atlas."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from placevec.embeddings import Embeddings
from placevec.embeddings.search.exact import ExactIndex
from placevec.explorer.maps.mercator import mercator_meters
from placevec.explorer.maps.pictures import MapPictures
from placevec.explorer.maps.previews import typical_meters
from placevec.explorer.maps.scene import footprints_of, has_map
from placevec.explorer.precomputed import projection
from placevec.explorer.reductions import Method
from placevec.explorer.sample import Drawn
from placevec.geo import Floats
from placevec.io import atomic
from placevec.io.parquet import write_table
from placevec.io.progress import SILENT, Progress, printable

PICTURE_PX = 32
MAX_SPRITE_PX = 8_192
"""Maximum side of the sprite image, which the browser keeps as one texture."""
NEIGHBORS = 15
_BATCH = 512
_COLUMNS = ("place_id", "name", "lon", "lat")


def one_line(text: str) -> str:
    """Text without line breaks, tabs and control characters: names come from OpenStreetMap.

    >>> one_line("two" + chr(10) + "lines")
    'two lines'
    """
    return printable(" ".join(str(text).split()))


def metadata_rows(emb: Embeddings, rows: NDArray[np.int64]) -> list[list[str]]:
    """place_id, name, lon and lat of some places, as text."""
    return [
        [one_line(emb.place_id[row]), one_line(emb.names[row] or ""), f"{lon:.6f}", f"{lat:.6f}"]
        for row, (lon, lat) in zip(rows.tolist(), emb.lonlat[rows].tolist(), strict=True)
    ]


def pictures_of(reader: MapPictures, footprints: Floats) -> NDArray[np.uint8]:
    """(N, 32, 32, 3) map thumbnails of (N, 4) footprints; white without a footprint."""
    meters = typical_meters(reader, footprints) / PICTURE_PX
    found = np.full((len(footprints), PICTURE_PX, PICTURE_PX, 3), 255, np.uint8)
    for row, box in enumerate(footprints.tolist()):
        if np.isfinite(box).all():
            found[row] = reader.picture(reader.read(tuple(box), PICTURE_PX), meters)
    return found


def write_projector_files(drawn: Drawn, folder: Path) -> int:
    """Write what the TensorFlow Embedding Projector opens, each file atomically; returns the number of places.

    ``tensors.tsv`` and ``metadata.tsv`` are for its Load button; ``projector_config.json`` is for the standalone
    projector, beside ``tensors.bytes`` (float32, little endian, row by row); ``projector_config.pbtxt`` is for
    ``tensorboard --logdir``. ``sprite.png`` has the thumbnails, if there is a map and no more places than fit into it.
    """
    vectors = np.ascontiguousarray(drawn.vectors, "<f4")
    across = math.ceil(math.sqrt(len(drawn)))
    pictured = has_map(drawn.dataset) and across * PICTURE_PX <= MAX_SPRITE_PX
    sprite = {"image_path": "sprite.png", "single_image_dim": [PICTURE_PX, PICTURE_PX]} if pictured else None
    folder.mkdir(parents=True, exist_ok=True)
    with atomic.replacing(folder / "tensors.bytes") as temporary:
        Path(temporary).write_bytes(vectors.tobytes())
    _write_tsv(folder / "tensors.tsv", ([f"{value:.9g}" for value in row] for row in vectors.tolist()))
    _write_tsv(folder / "metadata.tsv", [list(_COLUMNS), *metadata_rows(drawn.emb, drawn.rows)])
    if pictured:
        with atomic.replacing(folder / "sprite.png") as temporary:
            _write_sprite(drawn, Path(temporary), across)
    name = one_line(drawn.title)
    entry = {"embeddings": [_standalone(name, vectors.shape, sprite)]}
    atomic.write_text(folder / "projector_config.json", json.dumps(entry, indent=1))
    atomic.write_text(folder / "projector_config.pbtxt", _pbtxt(name, sprite))
    return len(drawn)


def _write_tsv(path: Path, rows: Iterable[list[str]]) -> None:
    with atomic.replacing(path) as temporary, Path(temporary).open("w", encoding="utf-8") as file:
        file.writelines("\t".join(row) + "\n" for row in rows)


def _standalone(name: str, shape: tuple[int, ...], sprite: dict[str, Any] | None) -> dict[str, Any]:
    """An entry of the standalone projector's configuration."""
    entry: dict[str, Any] = {
        "tensorName": name, "tensorShape": list(shape), "tensorPath": "tensors.bytes", "metadataPath": "metadata.tsv",
    }  # fmt: skip
    if sprite is not None:
        entry["sprite"] = {"imagePath": sprite["image_path"], "singleImageDim": sprite["single_image_dim"]}
    return entry


def _pbtxt(name: str, sprite: dict[str, Any] | None) -> str:
    """The configuration of TensorBoard's projector, in the text format of protocol buffers."""
    lines = [
        "embeddings {",
        f"  tensor_name: {json.dumps(name)}",
        '  tensor_path: "tensors.tsv"',
        '  metadata_path: "metadata.tsv"',
    ]
    if sprite is not None:
        sides = "".join(f"    single_image_dim: {side}\n" for side in sprite["single_image_dim"])
        lines.append(f'  sprite {{\n    image_path: "{sprite["image_path"]}"\n{sides}  }}')
    return "\n".join([*lines, "}\n"])


def _write_sprite(drawn: Drawn, path: Path, across: int) -> None:
    assert drawn.dataset is not None
    footprints = footprints_of(drawn.dataset, drawn.place_id, drawn.window_m)
    reader, side = MapPictures.of(drawn.dataset), across * PICTURE_PX
    sheet = np.full((side, side, 3), 255, np.uint8)
    with drawn.progress.task("Drawing previews", total=len(drawn)) as advance:
        for start in range(0, len(drawn), across):
            part = pictures_of(reader, footprints[start : start + across])
            row = start // across * PICTURE_PX
            sheet[row : row + PICTURE_PX, : len(part) * PICTURE_PX] = np.hstack(list(part))
            advance(len(part))
    Image.fromarray(sheet).save(path, "PNG")


def write_atlas_file(
    emb: Embeddings,
    path: Path,
    *,
    method: Method = "umap",
    neighbors: int = NEIGHBORS,
    seed: int = 0,
    progress: Progress = SILENT,
) -> int:
    """Write a Parquet file that embedding-atlas opens, atomically; returns the number of places.

    Columns: place_id, name, lon, lat (float64 degrees); x, y, the projection; east_m, north_m, meters from the middle of
    the places, so that float32, which is what a browser draws with, keeps meters (as degrees they would be rounded to
    meters: 1.5 m at 180 degrees); and neighbors, ids (row numbers from 0) and cosine distances of the nearest places.
    """
    positions = projection(emb, method, dim=2, seed=seed, progress=progress).reduction.components
    k = min(neighbors + 1, len(emb))
    index, nearest, far = ExactIndex(emb.vectors, "cosine"), [], []
    with progress.task("Finding neighbors", total=len(emb)) as advance:
        for start in range(0, len(emb), _BATCH):
            rows, distances = index.query(emb.vectors[start : start + _BATCH], k)
            nearest += rows.tolist()
            far += distances.tolist()
            advance(len(rows))
    east_m, north_m = ground_meters(emb.lonlat).T
    lists = [{"ids": ids, "distances": values} for ids, values in zip(nearest, far, strict=True)]
    struct = pa.struct([("ids", pa.list_(pa.int64())), ("distances", pa.list_(pa.float64()))])
    columns = {
        "place_id": pa.array([str(one) for one in emb.place_id], pa.string()),
        "name": pa.array([one if isinstance(one, str) else None for one in emb.names], pa.string()),
        "lon": pa.array(emb.lonlat[:, 0], pa.float64()), "lat": pa.array(emb.lonlat[:, 1], pa.float64()),
        "x": pa.array(positions[:, 0].astype(np.float64)), "y": pa.array(positions[:, 1].astype(np.float64)),
        "east_m": pa.array(east_m), "north_m": pa.array(north_m), "neighbors": pa.array(lists, struct),
    }  # fmt: skip
    write_table(pa.table(columns), path)
    return len(emb)


def ground_meters(lonlat: Floats) -> Floats:
    """(N, 2) meters east and north of the middle of the places, true to scale in the middle; NaN without coordinates.

    >>> ground_meters(np.array([[24.94, 60.17], [24.94, 60.18]])).round(-1).tolist()
    [[0.0, -560.0], [0.0, 560.0]]
    """
    origin, meters = mercator_meters(lonlat)
    latitude = math.atan(math.sinh(float(origin[1]) / 6_378_137.0))
    return np.asarray((meters - origin) * math.cos(latitude))
