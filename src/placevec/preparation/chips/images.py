"""Places known by their images: chips become a dataset, and images or ready features join one of points.

Where a chip lies is read first and laid out as any table of points; the chips are stored next, then what is seen in them.
A run that was killed leaves a dataset without images, and the same command adds them.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from placevec.core import Look, ViewSpec
from placevec.datasets.dataset import MANIFEST, Dataset
from placevec.datasets.views.chips import ChipsView
from placevec.datasets.views.features import write_features
from placevec.errors import DatasetError, SourceError
from placevec.io import atomic
from placevec.io.progress import Progress
from placevec.preparation.chips.shards import WORK, ChipWriter
from placevec.preparation.chips.statistics import chip_features, feature_names, scale_of
from placevec.preparation.points import table as points
from placevec.preparation.points.options import FOLDER, ImageOptions
from placevec.sources.imagery.chips import ChipFiles, Ground, chip_centers, folders_of, open_chips
from placevec.sources.tables.features import read_feature_table

CHIPS = "chips"
IMAGE_FEATURES = "image_features"
UNKNOWN_ATTRIBUTION = "unknown: the images name no source"
_AT_ONCE = 64
"""Chips whose statistics are computed together."""


def prepare(out: Path, options: ImageOptions, *, created: str, progress: Progress) -> Dataset:
    """A dataset of points, as `placevec.preparation.points.table.prepare` makes it, with images where some are named.

    Images are folders or zip files of GeoTIFF chips, each of which is a place, instead of a table of points; without
    features that a network of the user's made, those of `placevec.preparation.chips.statistics` are computed of them.

    Args:
        out: the dataset directory.
        options: which points and images.
        created: when, in ISO 8601.
        progress: where to report.
    """
    path = options.image_features
    features = None if path is None else read_feature_table(path)
    if not options.images:
        dataset = points.prepare(out, options, created=created, progress=progress)
    else:
        files = [open_chips(folder, options.bands) for folder in options.images]
        dataset = _of_images(out, options, files, created=created, progress=progress)
        dataset = _with_chips(dataset, files, options.bands, options.attribution, progress)
        if features is None:
            return _with_chip_features(dataset, progress)
    if features is None or path is None:
        return dataset
    ids = dataset.places["place_id"].to_numpy(object)
    rows, places = features.of(ids, path)
    if len(places) < len(ids):
        progress.say(f"Note: {len(ids) - len(places):,} of {len(ids):,} places have no image features")
    parts = (features.numbers[rows[at : at + 65_536]] for at in range(0, len(rows), 65_536))
    made = {"features": atomic.sha256_of_file(path)}
    return _with_features(dataset, ids[places], parts, (), path.name, made)


def _of_images(
    out: Path, options: ImageOptions, files: Sequence[ChipFiles], *, created: str, progress: Progress
) -> Dataset:
    """The places where the chips lie, and their labels."""
    names, grounds = _laid_out(files, progress)
    lonlat, sides = chip_centers(grounds)
    if not np.isfinite(sides).any():
        raise SourceError(
            f"no image in {', '.join(str(one.path) for one in files)} says where it lies: georeferenced GeoTIFFs are "
            "needed, or a table of points with --image-features"
        )
    columns = {"place_id": names, "lon": lonlat[:, 0], "lat": lonlat[:, 1]}
    if options.label is not None:
        columns[FOLDER] = [folder or None for folder in folders_of(names)]
    size_m = round(float(np.nanmin(sides)), 1) if options.size_m is None else options.size_m
    with tempfile.TemporaryDirectory(prefix="placevec-") as folder:
        table = Path(folder) / f"{_named(files)}.parquet"
        pq.write_table(pa.table(columns), table)
        of_table = replace(
            options, images=(), bands=None, image_features=None, points=table, id="place_id", keep_duplicates=True,
            size_m=size_m, attribution=options.attribution or UNKNOWN_ATTRIBUTION,
        )  # fmt: skip
        return points.prepare(out, of_table, created=created, progress=progress)


def _laid_out(files: Sequence[ChipFiles], progress: Progress) -> tuple[list[str], list[Ground]]:
    """(what each chip is called, where it lies); one that cannot be read lies nowhere."""
    names, grounds, broken = [], [], []
    with progress.task("Finding images", total=sum(map(len, files))) as advance:
        for source in files:
            for position, name in enumerate(source.names):
                names.append(_called(source, name, files))
                try:
                    grounds.append(source.ground(position))
                except SourceError as error:
                    broken.append(str(error))
                    grounds.append(Ground("", None, (0, 0)))
                advance()
    if len(broken) == len(names):
        raise SourceError(f"none of {len(names):,} images can be read: {broken[0]}")
    if broken:
        progress.say(f"Note: {len(broken):,} images cannot be read and are left out, such as {broken[0]}")
    if len(set(names)) < len(names):
        raise SourceError("two of the folders or zip files have one name and hold images of one name")
    return names, grounds


def _named(files: Sequence[ChipFiles]) -> str:
    """What people call images of these folders and zip files."""
    names = [one.path.stem or "images" for one in files]
    return (
        names[0]
        if len(names) == 1
        else f"{names[0]} and {names[1]}"
        if len(names) == 2
        else f"{names[0]} and others"
    )


def _called(source: ChipFiles, name: str, files: Sequence[ChipFiles]) -> str:
    return name if len(files) == 1 else f"{source.path.stem}/{name}"


def _with_chips(
    dataset: Dataset,
    files: Sequence[ChipFiles],
    bands: str | None,
    attribution: str | None,
    progress: Progress,
) -> Dataset:
    """The dataset with its chips stored; DatasetError when it has those of other images."""
    inputs = {"images": [source.fingerprint for source in files], "bands": bands}
    before = dataset.manifest["report"].get(CHIPS)
    if before is not None:
        if before != inputs:
            raise DatasetError(f"{dataset.path} has chips of other images: choose another --out, or --force")
        return dataset
    writer = ChipWriter(dataset.path, CHIPS, inputs)
    places = set(dataset.places["place_id"])
    broken = []
    with progress.task("Storing images", total=sum(map(len, files))) as advance:
        for source in files:
            for position, name in enumerate(source.names):
                called = _called(source, name, files)
                if called in places and called not in writer.done:
                    try:
                        chip = source.read(position)
                        writer.add(
                            called, chip.pixels, chip.bands, source=called, crs=chip.crs, transform=chip.transform,
                            date=chip.date,
                        )  # fmt: skip
                    except SourceError as error:
                        broken.append(str(error))
                advance()
    if broken:
        progress.say(f"Note: {len(broken):,} places have no image, such as {broken[0]}")
    written = writer.finish()
    about = {
        "kind": "images", "name": _named(files), "path": ", ".join(one.path.name for one in files), "url": None,
        "sha256": written.sha256, "timestamp": None, "licence": None,
        "bytes": sum((dataset.path / name).stat().st_size for name in written.files),
        "attribution": attribution or UNKNOWN_ATTRIBUTION,
    }  # fmt: skip
    found = _amended(dataset, written.spec(CHIPS), written.files, about, {CHIPS: inputs})
    shutil.rmtree(dataset.path / WORK, ignore_errors=True)
    return found


def _with_chip_features(dataset: Dataset, progress: Progress) -> Dataset:
    """The dataset with statistics of its chips as features of their places: of the first chip of each."""
    made = {"statistics": dataset.spec(CHIPS).hash}
    if dataset.manifest["report"].get(IMAGE_FEATURES) == made:
        return dataset
    ids = dataset.places["place_id"].to_numpy(object)
    view = ChipsView(dataset.path, dataset.spec(CHIPS), ids)
    rows, bands = np.flatnonzero(view.known), view.spec.channels
    scale = scale_of(view.spec.values)

    def parts() -> Iterator[NDArray[Any]]:
        with progress.task("Looking at images", total=len(rows)) as advance:
            for at in range(0, len(rows), _AT_ONCE):
                look = Look(torch.from_numpy(rows[at : at + _AT_ONCE]))
                yield chip_features(view.read(look), bands, scale).numpy()
                advance(len(look))

    return _with_features(
        dataset, ids[rows], parts(), feature_names(bands), "statistics of the chips' bands", made
    )


def _with_features(
    dataset: Dataset,
    place_ids: NDArray[np.object_],
    parts: Iterator[NDArray[Any]],
    names: tuple[str, ...],
    what: str,
    made: dict[str, Any],
) -> Dataset:
    before = dataset.manifest["report"].get(IMAGE_FEATURES)
    if before is not None:
        if before != made:
            raise DatasetError(f"{dataset.path} has other image features: choose another --out, or --force")
        return dataset
    files, dim, sha256 = write_features(dataset.path, IMAGE_FEATURES, place_ids, parts)
    spec = ViewSpec(IMAGE_FEATURES, "features", names, f"{dim} numbers, float32")
    source = {
        "kind": "features", "name": what, "path": what, "url": None, "sha256": sha256, "timestamp": None, "licence": None,
        "bytes": sum((dataset.path / file).stat().st_size for file in files),
        "attribution": dataset.manifest["sources"][-1]["attribution"],
    }  # fmt: skip
    return _amended(dataset, spec, files, source, {IMAGE_FEATURES: made})


def _amended(
    dataset: Dataset, spec: ViewSpec, files: list[str], source: dict[str, Any], report: dict[str, Any]
) -> Dataset:
    """The dataset with one view more."""
    manifest = dataset.manifest
    changed = {
        **manifest,
        "sources": [*manifest["sources"], source],
        "views": {**manifest["views"], spec.name: {"spec": spec.as_dict(), "files": files}},
        "report": {**manifest["report"], **report},
    }
    atomic.write_json(dataset.path / MANIFEST, changed)
    return Dataset.open(dataset.path)
