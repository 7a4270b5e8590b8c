"""Chips without georeference, in the folders of the original MMGR: a dataset of images and points without coordinates.

::

    NAME_img/ID.png or ID.jpg     the image of a cell
    NAME_emb/ID.tensor            float (points, D): the vector of each point's category, by torch.save
    NAME_edge/ID.tensor           integer (2, E): neighboring points, by torch.save; may be missing

Equal vectors are one category. Their table is kept beside the points, for ``--category-vectors``.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from torch import Tensor

from placevec.core import ViewSpec
from placevec.datasets.additions import PLACES_PART, Joining, Made, add, is_made
from placevec.datasets.dataset import Dataset
from placevec.datasets.places import Places
from placevec.datasets.views import poi_rows
from placevec.datasets.writer import begin, write_dataset
from placevec.encoders.poi_set import MAX_CATEGORIES
from placevec.errors import ModelError, SourceError
from placevec.geo import Area
from placevec.io import atomic, parquet
from placevec.io.checkpoints import read_checkpoint
from placevec.io.progress import Progress
from placevec.preparation.chips.aerial import NAME as AERIAL
from placevec.preparation.chips.shards import ChipWriter
from placevec.preparation.pois import NAME as POIS
from placevec.sources.imagery.chips import unreadable
from placevec.sources.imagery.single_image import read_image
from placevec.sources.tables.losses import Losses

KIND = "chip folder"
CATEGORY_VECTORS = "category_vectors.parquet"
_IMAGES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
_EARTH = Area(-180.0, -90.0, 180.0, 90.0)


def prepare(out: Path, folder: Path, *, attribution: str, created: str, progress: Progress) -> Dataset:
    """A dataset of the cells in a folder; or the existing one, if it was made from the same.

    Raises:
        SourceError: the folders are missing, or nothing in them can be read.
        DatasetError: ``out`` holds something else.
    """
    images, vectors, edges = (_files(folder, kind) for kind in ("img", "emb", "edge"))
    ids = sorted({*images, *vectors})
    if not ids:
        raise SourceError(f"{folder} has no cells: expected NAME_img/ID.png or .jpg, and NAME_emb/ID.tensor")
    of = Made(KIND, {"chip_folder": _fingerprint([*images.values(), *vectors.values(), *edges.values()])})
    dataset = begin(out, {PLACES_PART: of}, progress)
    if dataset is None:
        nowhere = np.full((len(ids), 2), np.nan)
        laid = Places(np.array(ids, object), nowhere, np.full(len(ids), None, object), None, "given")
        source = {
            "kind": KIND,
            "name": folder.name,
            "attribution": attribution,
            "sha256": of.inputs["chip_folder"],
        }
        dataset = write_dataset(
            out, name=folder.name, area=_EARTH, places=laid, names=None, sources=[source], views={}, report={},
            parts={PLACES_PART: of}, created=created,
        )  # fmt: skip
    if images and not is_made(dataset, AERIAL, of):
        dataset = _with_images(dataset, images, of, created, progress)
    if vectors and not is_made(dataset, POIS, of):
        dataset = _with_points(dataset, vectors, edges, of, created, progress)
    return dataset


def _files(folder: Path, kind: str) -> dict[str, Path]:
    """ID -> file, of the folder whose name ends with a kind."""
    if not folder.is_dir():
        raise SourceError(f"there is no folder {folder}")
    found = sorted(path for path in folder.iterdir() if path.is_dir() and path.name.endswith(f"_{kind}"))
    if len(found) > 1:
        raise SourceError(f"{folder} has several folders *_{kind}: {found[0].name} and {found[1].name}")
    endings = _IMAGES if kind == "img" else (".tensor",)
    files: dict[str, Path] = {}
    for path in sorted(found[0].iterdir()) if found else ():
        if path.suffix.lower() in endings and path.is_file():
            if path.stem in files:
                raise SourceError(
                    f"{found[0]} has two files for the cell {path.stem!r}: {path.name} is one of them"
                )
            files[path.stem] = path
    return files


def _fingerprint(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(files):
        status = path.stat()
        digest.update(f"{path.parent.name}/{path.name}\0{status.st_size} {status.st_mtime_ns}\0".encode())
    return digest.hexdigest()


def _with_images(
    dataset: Dataset, images: dict[str, Path], of: Made, created: str, progress: Progress
) -> Dataset:
    def write(folder: Path) -> Joining:
        writer = ChipWriter(folder, AERIAL, of.inputs, beside=dataset.path)
        losses = Losses("the folder of images", "images")
        with progress.task("Storing images", total=len(images)) as advance:
            for name, path in images.items():
                if name not in writer.done_places:
                    try:
                        chip = read_image(path)
                        writer.add(name, chip.pixels, chip.bands, source=name)
                    except SourceError as error:
                        losses.add(*unreadable(error))
                advance()
        losses.settle(len(images), progress)
        written = writer.finish()
        source = {"kind": KIND, "name": "images", "attribution": "", "sha256": written.sha256}
        what = f"{written.table.num_rows:,} images of {len(dataset):,} cells"
        return written.joining(AERIAL, what, source)

    return add(dataset, AERIAL, of, write, created=created, progress=progress)


def _with_points(
    dataset: Dataset,
    vectors: dict[str, Path],
    edges: dict[str, Path],
    of: Made,
    created: str,
    progress: Progress,
) -> Dataset:
    def write(folder: Path) -> Joining:
        table, rows = _categories(vectors, progress)
        names = tuple(f"category-{number:04d}" for number in range(len(table)))
        content = _as_table(dataset.place_ids.tolist(), rows, edges, progress)
        with atomic.replacing(folder / poi_rows.FILE) as temporary:
            parquet.write_table(content, temporary)
        known = pa.table(
            {"category": list(names), "vector": pa.array(table.tolist(), pa.list_(pa.float32()))}
        )
        with atomic.replacing(folder / CATEGORY_VECTORS) as temporary:
            parquet.write_table(known, temporary)
        files = [poi_rows.FILE, CATEGORY_VECTORS]
        spec = ViewSpec(POIS, poi_rows.KIND, names, poi_rows.VALUES)
        content_hash = atomic.sha256_of_file(folder / poi_rows.FILE)
        source = {"kind": KIND, "name": "points", "attribution": "", "sha256": content_hash}
        points = sum(map(len, rows.values()))
        what = (
            f"{points:,} points of interest of {len(names):,} categories, with their vectors of {table.shape[1]} "
            f"dimensions ({CATEGORY_VECTORS}, for --category-vectors),"
        )
        return Joining(what, files, [source], views={POIS: {"spec": spec.as_dict(), "files": files}})

    return add(dataset, POIS, of, write, created=created, progress=progress)


def _tensor(path: Path) -> NDArray[Any]:
    """A tensor that torch.save wrote; SourceError for anything else. Nothing is unpickled but tensors."""
    try:
        content = read_checkpoint(path)
    except ModelError as error:
        raise SourceError(str(error)) from error
    if not isinstance(content, Tensor) or content.ndim != 2 or content.is_sparse:
        raise SourceError(f"{path} is not a two-dimensional tensor")
    return content.detach().cpu().numpy()


def _categories(
    files: dict[str, Path], progress: Progress
) -> tuple[NDArray[np.float32], dict[str, NDArray[np.int64]]]:
    """((K, D) distinct vectors, ID -> the category of each point)."""
    known: dict[bytes, int] = {}
    rows: dict[str, NDArray[np.int64]] = {}
    dim = None
    with progress.task("Reading points", total=len(files)) as advance:
        for name, path in files.items():
            vectors = _tensor(path)
            if vectors.dtype.kind != "f" or not np.isfinite(vectors).all():
                raise SourceError(f"{path} must have finite numbers, one row per point")
            dim = dim or vectors.shape[1]
            if vectors.shape[1] != dim:
                raise SourceError(
                    f"{path} has vectors of {vectors.shape[1]} dimensions, but the first file has {dim}"
                )
            keys = [row.tobytes() for row in np.ascontiguousarray(vectors, np.float32)]
            rows[name] = np.array([known.setdefault(key, len(known)) for key in keys], np.int64)
            if len(known) > MAX_CATEGORIES:
                raise SourceError(
                    f"the points have more than {MAX_CATEGORIES:,} distinct vectors: are these category vectors?"
                )
            advance()
    if not known:
        raise SourceError("no cell has a point of interest")
    return np.frombuffer(b"".join(known), np.float32).reshape(len(known), -1), rows


def _as_table(
    place_ids: list[str], rows: dict[str, NDArray[np.int64]], edges: dict[str, Path], progress: Progress
) -> pa.Table:
    columns: dict[str, list[Any]] = {name: [] for name in poi_rows.SCHEMA.names}
    wrong: list[str] = []
    for name in place_ids:
        categories = rows.get(name, np.zeros(0, np.int64))
        pairs = np.zeros((2, 0), np.int64)
        if name in edges:
            pairs = _tensor(edges[name]).astype(np.int64)
            if len(pairs) != 2 or (pairs.size and (pairs.min() < 0 or pairs.max() >= len(categories))):
                wrong.append(name)
                pairs = np.zeros((2, 0), np.int64)
        pairs = np.unique(np.concatenate([pairs, pairs[::-1]], axis=1), axis=1)
        for column, values in zip(columns, (name, categories, pairs[0], pairs[1]), strict=True):
            columns[column].append(values)
    if wrong:
        progress.say(
            f"Note: the edges of {len(wrong):,} cells, such as {wrong[0]}, refer to points that do not exist"
        )
    return pa.table(columns, schema=poi_rows.SCHEMA)
