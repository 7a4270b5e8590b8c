"""Places defined by images: chips become a dataset, and images or existing features are added to an existing one.

The locations of the chips are read first and treated like any table of points; then the chips are added, then their
features. If a run is killed, it can leave a dataset without images, and the same command adds them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from placevec.core import Look, ViewSpec
from placevec.datasets.additions import PLACES_PART, Joining, Made, add, is_made, made, settled
from placevec.datasets.dataset import Dataset
from placevec.datasets.layout import MANIFEST, source_entry
from placevec.datasets.views.chips import NAME as CHIPS
from placevec.datasets.views.chips import ChipsView
from placevec.datasets.views.features import IMAGE_FEATURES, write_features
from placevec.datasets.views.features import KIND as FEATURES
from placevec.errors import DatasetError, SourceError
from placevec.geo import Floats, to_ecef
from placevec.io import atomic, parquet
from placevec.io.progress import Progress
from placevec.options import options_of
from placevec.preparation.chips.shards import ChipWriter, WrittenChips
from placevec.preparation.chips.statistics import chip_features, feature_names, scale_of
from placevec.preparation.existing_places import PlaceIds, refuse_others
from placevec.preparation.points import table as points
from placevec.preparation.points.join import NEAR_M
from placevec.preparation.points.options import FOLDER, ImageOptions
from placevec.sources.imagery.chips import ChipFiles, Ground, chip_centers, folders_of, open_chips, unreadable
from placevec.sources.tables.features import read_feature_table
from placevec.sources.tables.losses import Losses

KIND = "images"
UNKNOWN_ATTRIBUTION = "unknown: the images name no source"
_AT_ONCE = 64
"""Chips processed at a time to compute statistics."""


def prepare(out: Path, options: ImageOptions, *, created: str, progress: Progress) -> Dataset:
    """A dataset of points, as in `placevec.preparation.points.table.prepare`, with images if any are given.

    Images are folders or zip files of GeoTIFF chips. Each chip is a place, instead of a row in a table of points.
    Without features from the user's own network, those of `placevec.preparation.chips.statistics` are computed.

    An existing dataset keeps its places: images are matched by name, features by place_id.

    Args:
        out: the dataset directory.
        options: the points and images.
        created: time, in ISO 8601.
        progress: receives progress reports.
    """
    path = options.image_features
    features = None if path is None else read_feature_table(path)
    when: dict[str, Any] = {"created": created, "progress": progress}
    attribution, is_alone = options.attribution, False
    if options.images:
        dataset = prepare_view(out, options, CHIPS, **when)
        if features is None:
            return _with_chip_features(dataset, **when)
    elif is_alone := features is not None and (out / MANIFEST).exists() and not _names_rows(options):
        dataset, attribution = Dataset.open(out), attribution or UNKNOWN_ATTRIBUTION
    else:
        dataset = points.prepare(out, options, **when)
    if features is None or path is None:
        return dataset
    ids = dataset.places["place_id"].to_numpy(object)
    rows, places, note = features.of(ids, path)
    if note:
        progress.say(f"Note: {note}")
    parts = (features.numbers[rows[at : at + 65_536]] for at in range(0, len(rows), 65_536))
    credit = attribution or dataset.manifest["sources"][-1]["attribution"]
    made_of = {"features": atomic.sha256_of_file(path)}
    found = _with_features(dataset, ids[places], parts, (), Path(path).name, made_of, credit, **when)
    if found is dataset and is_alone:
        progress.say(f"Reusing {out}, which already has these features")
    return found


def _names_rows(options: ImageOptions) -> bool:
    """Whether some option applies to a table of points."""
    return any(
        getattr(options, one.name) != one.default
        for one in options_of(ImageOptions)
        if one.name not in ("attribution", "image_features")
    )


def prepare_view(out: Path, options: ImageOptions, view: str, *, created: str, progress: Progress) -> Dataset:
    """The locations of the chips as places, with labels; or, for an existing dataset, chips of its places.

    Args:
        out: the dataset directory.
        options: the images.
        view: name of the view that they become.
        created: time, in ISO 8601.
        progress: receives progress reports.
    """
    files = [open_chips(folder, options.bands) for folder in options.images]
    names, grounds = _laid_out(files, progress)
    lonlat, sides = chip_centers(grounds)
    when: dict[str, Any] = {"created": created, "progress": progress}
    of_table = replace(
        options, images=(), bands=None, image_features=None, id="place_id", points=None, keep_duplicates=True
    )
    with tempfile.TemporaryDirectory(prefix="placevec-") as folder:
        table = Path(folder) / f"{_named(files)}.parquet"
        called = _written(table, names, names, lonlat, labeled=options.label is not None)
        there = Dataset.open(out) if (out / MANIFEST).exists() else None
        if there is not None and not _is_of(there, table):
            refuse_others(there, {}, places=None, size_m=options.size_m)
            called = _called_as(there, names, lonlat, sides, _named(files))
            dataset = there
            if options.label is not None:
                own = [name for name in names if name in called]
                known = np.full((len(own), 2), np.nan)  # the dataset's places have their own coordinates
                _written(table, [called[name] for name in own], own, known, labeled=True)
                of_labels = replace(of_table, points=table, keep_duplicates=options.keep_duplicates)
                dataset = points.prepare(out, of_labels, **when)
        else:
            if not np.isfinite(sides).any():
                raise SourceError(
                    f"no image in {', '.join(str(one.path) for one in files)} has a location: use georeferenced "
                    "GeoTIFFs, or a table of points with --image-features"
                )
            size_m = round(float(np.nanmin(sides)), 1) if options.size_m is None else options.size_m
            credit = options.attribution or UNKNOWN_ATTRIBUTION
            of_places = replace(of_table, points=table, size_m=size_m, attribution=credit)
            dataset = points.prepare(out, of_places, **when)
    return _with_chips(dataset, files, called, options.bands, options.attribution, view, **when)


def _written(
    table: Path, ids: Sequence[str], names: Sequence[str], lonlat: Floats, *, labeled: bool
) -> dict[str, str]:
    """Write a table of the images' locations, like a table of points; image -> its place."""
    columns = {"place_id": list(ids), "lon": lonlat[:, 0], "lat": lonlat[:, 1]}
    if labeled:
        columns[FOLDER] = [folder or None for folder in folders_of(list(names))]
    parquet.write_table(pa.table(columns), table)
    return dict(zip(names, ids, strict=True))


def _is_of(dataset: Dataset, table: Path) -> bool:
    """Whether a dataset's places come from this table."""
    found = made(dataset, PLACES_PART)
    return found is not None and found.inputs.get("points") == atomic.sha256_of_file(table)


def _called_as(
    dataset: Dataset, names: Sequence[str], lonlat: Floats, sides: Floats, what: str
) -> dict[str, str]:
    """Image -> its place in a dataset: the place with the name of the image, with or without its folder.

    Raises:
        DatasetError: no image has the ID of a place as its name, or one has another location than its place.
    """
    bare = [name.rsplit("/", 1)[-1] for name in names]
    own_ids = PlaceIds(dataset)
    at = own_ids.rows(names)
    if len(set(bare)) == len(bare):
        at = np.where(at >= 0, at, own_ids.rows(bare))
    if not (at >= 0).any():
        raise DatasetError(
            f"{dataset.path}: its places do not match: none of {len(names):,} images in {what} has the ID "
            f"of a place as its name; the first is {names[0]!r}, the first place is "
            f"{str(dataset.places['place_id'].iloc[0])!r}"
        )
    own = dataset.lonlat[np.maximum(at, 0)]
    both = (at >= 0) & np.isfinite(lonlat).all(axis=1) & np.isfinite(own).all(axis=1)
    away = np.zeros(len(names))
    away[both] = np.linalg.norm(
        to_ecef(lonlat[both, 0], lonlat[both, 1]) - to_ecef(own[both, 0], own[both, 1]), axis=1
    )
    moved = np.flatnonzero(away > np.maximum(NEAR_M, np.nan_to_num(sides)))
    if len(moved):
        raise DatasetError(
            f"{dataset.path}: its places do not match: {len(moved):,} images in {what} are not at the location of "
            f"the place with the same name, such as {names[moved[0]]!r}, {away[moved[0]]:,.0f} m away"
        )
    ids = dataset.places["place_id"].to_numpy(object)
    return {name: str(ids[row]) for name, row in zip(names, at.tolist(), strict=True) if row >= 0}


def _laid_out(files: Sequence[ChipFiles], progress: Progress) -> tuple[list[str], list[Ground]]:
    """(name of each chip, location); an unreadable chip has no location."""
    names, grounds = [], []
    losses = Losses(_named(files), "images")
    with progress.task("Finding images", total=sum(map(len, files))) as advance:
        for source in files:
            for position, name in enumerate(source.names):
                names.append(_called(source, name, files))
                try:
                    grounds.append(source.ground(position))
                except SourceError as error:
                    losses.add(*unreadable(error))
                    grounds.append(Ground("", None, (0, 0)))
                advance()
    losses.settle(len(names), progress)
    if len(set(names)) < len(names):
        raise SourceError(
            "two folders or zip files with the same name have images with the same name: rename one"
        )
    return names, grounds


def _named(files: Sequence[ChipFiles]) -> str:
    """Display name for the images of these folders and zip files."""
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
    called: Mapping[str, str],
    bands: str | None,
    attribution: str | None,
    name: str,
    *,
    created: str,
    progress: Progress,
) -> Dataset:
    """The dataset with its chips stored, for the places in ``called``; DatasetError if it already has others."""
    of = Made(KIND, {"images": [source.fingerprint for source in files], "bands": bands})
    if is_made(dataset, name, of):
        return settled(dataset, name)

    def write(folder: Path) -> Joining:
        written = _stored(ChipWriter(folder, name, of.inputs, beside=dataset.path), files, called, progress)
        source = source_entry(
            KIND, _named(files), [folder / file for file in written.files],
            path=", ".join(one.path.name for one in files), sha256=written.sha256,
            attribution=attribution or UNKNOWN_ATTRIBUTION,
        )  # fmt: skip
        what = f"{written.table.num_rows:,} images of {len(dataset):,} places"
        return written.joining(name, what, source)

    places = set(dataset.places["place_id"])
    called = {image: place for image, place in called.items() if place in places}
    return add(dataset, name, of, write, created=created, progress=progress)


def _stored(
    writer: ChipWriter, files: Sequence[ChipFiles], called: Mapping[str, str], progress: Progress
) -> WrittenChips:
    """Store the images that belong to places, except those that are stored already."""
    losses = Losses(_named(files), "images")
    with progress.task("Storing images", total=sum(map(len, files))) as advance:
        for source in files:
            for position, name in enumerate(source.names):
                image = _called(source, name, files)
                if image in called and image not in writer.done:
                    try:
                        chip = source.read(position)
                        writer.add(
                            called[image], chip.pixels, chip.bands, source=image, crs=chip.crs, transform=chip.transform,
                            date=chip.date,
                        )  # fmt: skip
                    except SourceError as error:
                        losses.add(*unreadable(error))
                advance()
    losses.settle(len(called), progress)
    return writer.finish()


def _with_chip_features(dataset: Dataset, *, created: str, progress: Progress) -> Dataset:
    """The dataset with statistics of each place's first chip as features."""
    ids = dataset.places["place_id"].to_numpy(object)
    view = ChipsView(dataset.path, dataset.spec(CHIPS), ids)
    rows, bands = np.flatnonzero(view.known), view.spec.channels
    scale = scale_of(view.spec.values)

    def parts() -> Iterator[NDArray[Any]]:
        with progress.task("Computing image statistics", total=len(rows)) as advance:
            for at in range(0, len(rows), _AT_ONCE):
                look = Look(torch.from_numpy(rows[at : at + _AT_ONCE]))
                yield chip_features(view.read(look), bands, scale).numpy()
                advance(len(look))

    return _with_features(
        dataset, ids[rows], parts(), feature_names(bands), "statistics of the chips' bands",
        {"statistics": dataset.spec(CHIPS).hash}, _credit_of_chips(dataset), created=created, progress=progress,
    )  # fmt: skip


def _credit_of_chips(dataset: Dataset) -> str:
    sources = [one for one in dataset.manifest["sources"] if one.get("kind") == "images"]
    return str(sources[-1]["attribution"]) if sources else UNKNOWN_ATTRIBUTION


def _with_features(
    dataset: Dataset,
    place_ids: NDArray[np.object_],
    parts: Iterator[NDArray[Any]],
    names: tuple[str, ...],
    what: str,
    made_of: dict[str, Any],
    attribution: str,
    *,
    created: str,
    progress: Progress,
) -> Dataset:
    """The dataset with features of places; DatasetError if it already has others."""
    of = Made("features", made_of)
    if is_made(dataset, IMAGE_FEATURES, of):
        return settled(dataset, IMAGE_FEATURES)

    def write(folder: Path) -> Joining:
        files, dim, sha256 = write_features(folder, IMAGE_FEATURES, place_ids, parts)
        spec = ViewSpec(IMAGE_FEATURES, FEATURES, names, f"{dim} numbers, float32")
        source = source_entry(
            "features",
            what,
            [folder / file for file in files],
            path=what,
            sha256=sha256,
            attribution=attribution,
        )
        view = {"spec": spec.as_dict(), "files": files}
        said = f"{dim} image features of {len(place_ids):,} of {len(dataset):,} places"
        return Joining(said, files, [source], views={IMAGE_FEATURES: view})

    return add(dataset, IMAGE_FEATURES, of, write, created=created, progress=progress)
