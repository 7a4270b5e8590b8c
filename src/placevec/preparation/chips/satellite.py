"""Chips out of scenes of Sentinel-2 as the ``satellite`` view of a dataset whose places are there already.

Places are worked through in batches of neighbors. What a batch gave is written before the next one begins, so that a
killed job goes on with the batch that it was at, over the scenes that it had found.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec.datasets.additions import Joining, Made, add
from placevec.datasets.dataset import Dataset
from placevec.datasets.layout import source_entry
from placevec.errors import MissingExtraError, SourceError
from placevec.geo import Floats
from placevec.io import atomic
from placevec.io.jobs import Job
from placevec.io.progress import Progress
from placevec.preparation.chips.mosaic import CLOUDS, SCENE_CLASSES, Finished, Limits, Outcome, mosaics
from placevec.preparation.chips.options import SatelliteOptions
from placevec.preparation.chips.shards import ChipWriter, WrittenChips
from placevec.preparation.existing_places import box_around
from placevec.sources.imagery import clouds
from placevec.sources.imagery.ground import Square, square_around
from placevec.sources.imagery.local_scenes import fingerprint_of, local_scenes, within_dates
from placevec.sources.imagery.scenes import Found, Scene
from placevec.sources.imagery.sentinel2 import Chip, SceneReader
from placevec.sources.imagery.stac import Box, StacQuery, client_for, find_scenes, is_address
from placevec.sources.web_address import printable_address

NAME = "satellite"
KIND = "sentinel-2"
VALUES = "uint16 reflectance x 10,000, 0 without data"
LICENCE = "Copernicus Sentinel Data Terms and Conditions"
ATTRIBUTION = "Contains modified Copernicus Sentinel data"
_METHOD = 1
"""Raised whenever the same inputs would give other chips."""
_BATCH, _BATCH_BYTES = 256, 2**27
_BLOCK_M = 100_000.0
"""Side of the squares whose places are worked through together: about a tile."""
_ONE_SEARCH = 4.0
"""Degrees: places within a box of this side are searched at once, others in boxes of half of it."""
_SEEN = 85.0
"""Degrees of latitude: Sentinel-2 sees nothing beyond 84."""
_SCENES = "scenes"
MAX_IN_A_ROW = 10
"""Scenes of a server that fail one after the other before the job stops, to go on later."""


def prepare(dataset: Dataset, options: SatelliteOptions, *, created: str, progress: Progress) -> Dataset:
    """The dataset with chips around its places; see `placevec.prepare`.

    Raises:
        SourceError: the scenes cannot be read, or none shows a place.
        DatasetError: it has other chips of that name, or no place has coordinates.
        MissingExtraError: the cloud model that was asked for is not installed.
    """
    if options.cloud_model == clouds.MODEL and not clouds.has_model():
        raise MissingExtraError(f"the cloud model {clouds.MODEL}", "clouds")
    of = _made(options)
    job = _Work(dataset, options, of, progress)
    return add(dataset, NAME, of, job.write, created=created, progress=progress)


def _made(options: SatelliteOptions) -> Made:
    """What the chips depend on."""
    inputs = {name: value for name, value in options.as_json().items() if name in _fields()}
    inputs["method"] = _METHOD
    if options.catalog is None:
        inputs["satellite"] = fingerprint_of([Path(text) for text in options.satellite])
    elif is_address(options.catalog):
        inputs["satellite"] = printable_address(options.catalog)
    else:
        try:
            inputs["satellite"] = atomic.sha256_of_file(options.catalog)
        except OSError as error:
            raise SourceError(f"cannot read {options.catalog}: {error.strerror}") from error
    return Made(KIND, inputs)


def _fields() -> set[str]:
    from placevec.options import options_of

    return {one.name for one in options_of(SatelliteOptions)} - {"connections", "sign"}


class _Work:
    """One job: the scenes, then the batches."""

    def __init__(self, dataset: Dataset, options: SatelliteOptions, of: Made, progress: Progress) -> None:
        self.dataset, self.options, self.of, self.progress = dataset, options, of, progress
        self.bands = options.band_names()
        self.outcome = Outcome()
        self.decisions: dict[str, dict[str, Any]] = {}

    def write(self, folder: Path) -> Joining:
        """Write the chips into a folder."""
        squares = self._squares()
        job = Job(folder.parent / "batches", self.of.inputs, progress=self.progress)
        found = self._found(job, squares)
        writer = ChipWriter(folder, NAME, self.of.inputs, beside=self.dataset.path, values=VALUES)
        with (
            ExitStack() as stack,
            self.progress.task("Reading chips", total=len(squares)) as advance,
        ):
            reader: SceneReader | None = None
            for number, batch in enumerate(self._batches(squares)):
                told = job.get_json(f"batch-{number}")
                if told is None:
                    if reader is None:
                        reader = stack.enter_context(self._reader(found.scenes))
                    told = self._batch(batch, found.scenes, reader, writer)
                    job.put_json(f"batch-{number}", told)
                self._count(told)
                advance(len(batch), f"{len(writer.done_places):,} with chips")
        self._say()
        if not writer.done_places:
            raise SourceError(f"no place got a chip: {self._told() or 'there is no scene'}{_left_out(found)}")
        return self._joining(folder, writer.finish(), found)

    def _squares(self) -> dict[str, Square]:
        """place_id -> the square that its chip shows."""
        rows = self.dataset.require_coordinates(np.arange(len(self.dataset)), "a chip of a scene")
        if len(rows) < len(self.dataset):
            self.progress.say(
                f"Note: {len(self.dataset) - len(rows):,} places without coordinates get no chip"
            )
        ids, lonlat = self.dataset.places["place_id"].to_numpy(object), self.dataset.lonlat
        size_px, pixel_m = self.options.chip_px, self.options.pixel_m
        return {
            str(ids[row]): square_around(*lonlat[row].tolist(), size_px=size_px, resolution=pixel_m)
            for row in rows.tolist()
        }

    def _found(self, job: Job, squares: dict[str, Square]) -> Found:
        """The scenes: those that a killed job had found, or a new search."""
        if (told := job.get_json(_SCENES)) is not None:
            return Found([Scene.from_dict(one) for one in told["scenes"]], told["left_out"])
        start, end = self.options.interval()
        if self.options.catalog is None:
            paths = [Path(text) for text in self.options.satellite]
            found = within_dates(local_scenes(paths, self.bands, self._named()), start, end)
            found = _not_cloudier(found, self.options.max_cloud)
        else:
            client = client_for(self.options.catalog)
            query = StacQuery(
                search_boxes(self.dataset.lonlat, self.options.chip_px * self.options.pixel_m), self.bands, start, end,
                self.options.max_cloud, self.options.collection,
            )  # fmt: skip
            try:
                found = find_scenes(self.options.catalog, query, client, progress=self.progress)
            finally:
                client.close()
        if not found.scenes:
            raise SourceError(f"there is no usable scene around the places{_left_out(found)}")
        self.progress.say(f"{len(found.scenes):,} scenes{_left_out(found)}")
        job.put_json(_SCENES, {"scenes": [one.as_dict() for one in found.scenes], "left_out": found.left_out})
        return found

    def _named(self) -> tuple[str, ...]:
        """The bands as the user orders them: for files that have just those and do not name them."""
        return self.bands if self.options.bands != SatelliteOptions().bands else ()

    def _batches(self, squares: dict[str, Square]) -> Iterator[dict[str, Square]]:
        """Places near one another, few enough to be held in memory."""

        def block(name: str) -> tuple[int, int, int]:
            one = squares[name]
            return one.epsg, math.floor(one.top / _BLOCK_M), math.floor(one.left / _BLOCK_M)

        names = sorted(squares, key=lambda name: (*block(name), name))
        bytes_a_chip = 8 * (len(self.bands) + 3) * self.options.chip_px**2
        most = max(1, min(_BATCH, _BATCH_BYTES // bytes_a_chip))
        for at in range(0, len(names), most):
            yield {name: squares[name] for name in names[at : at + most]}

    def _reader(self, scenes: Sequence[Scene]) -> SceneReader:
        catalog = self.options.catalog or ""
        return SceneReader(
            catalog, (*self.bands, *self._bands_for_clouds(scenes)), connections=self.options.connections,
            forced=self.options.forced_offset, signer=self.options.signer,
        )  # fmt: skip

    def _bands_for_clouds(self, scenes: Sequence[Scene]) -> list[str]:
        """Further bands that the cloud model needs; none where it is not used."""
        lacking = [scene for scene in scenes if scene.classes is None]
        if self.options.cloud_model == "none" or not lacking or not clouds.has_model():
            return []
        wanted = clouds.SIX if all(band in self.bands for band in clouds.SIX) else clouds.FOUR
        more = [band for band in wanted if band not in self.bands]
        return more if all(band in scene.bands for band in more for scene in scenes) else []

    def _batch(
        self, batch: dict[str, Square], scenes: Sequence[Scene], reader: SceneReader, writer: ChipWriter
    ) -> dict[str, Any]:
        """Make the chips of some places; what became of them, as JSON."""
        catalog = self.options.catalog
        most = MAX_IN_A_ROW if catalog is not None and is_address(catalog) else None
        outcome = Outcome(dead=dict(self.outcome.dead), max_in_a_row=most)
        limits = Limits(self.options.max_chip_cloud, self.options.max_nodata, self.options.max_chips)
        missing = {name: square for name, square in batch.items() if name not in writer.done_places}

        def clouds_of(scene: Scene, chip: Chip) -> NDArray[np.bool_] | None:
            return self._clouds(scene, chip, reader.bands)

        for one in mosaics(missing, scenes, reader, limits, clouds_of, outcome):
            decided = reader.decisions[one.scenes[0].id]
            writer.add(
                one.place_id, one.pixels[: len(self.bands)], self.bands, source=_source(one),
                crs=f"EPSG:{one.square.epsg}", transform=one.square.transform, date=one.scenes[0].date or None,
                offset_applied=decided.added, nodata=one.nodata, cloud=one.cloud,
            )  # fmt: skip
        writer.flush()
        decisions = {name: decision.as_dict() for name, decision in reader.decisions.items()}
        cloudy_by = dict(outcome.cloudy_by)
        return {
            "without": dict(outcome.without), "dead": outcome.dead, "decisions": decisions, "cloudy_by": cloudy_by
        }  # fmt: skip

    def _clouds(self, scene: Scene, chip: Chip, bands: tuple[str, ...]) -> NDArray[np.bool_] | None:
        """Where a chip shows cloud or shadow: by its classes, else by the model, else nobody knows."""
        if chip.classes is not None:
            return clouds.cloudy_classes(chip.classes)
        is_able = clouds.has_model() and all(band in bands for band in clouds.FOUR)
        if self.options.cloud_model == "none" or not is_able:
            return None
        return clouds.cloudy_pixels(chip.pixels, bands, scene.product)

    def _clouds_by(self, scenes: Sequence[Scene]) -> list[str]:
        """How clouds are known: by the classes of scenes, the model, or nothing for some."""
        ways = [] if all(scene.classes is None for scene in scenes) else [SCENE_CLASSES]
        if any(scene.classes is None for scene in scenes):
            is_able = self.options.cloud_model != "none" and clouds.has_model()
            ways.append(clouds.MODEL if is_able else "nothing")
        return ways

    def _count(self, told: dict[str, Any]) -> None:
        self.outcome.without.update(told["without"])
        self.outcome.dead.update(told["dead"])
        self.outcome.cloudy_by.update(told.get("cloudy_by", {}))  # absent in a job of an earlier version
        self.decisions.update(told["decisions"])

    def _told(self) -> str:
        seen_by = ", ".join(
            f"{name}: {number:,} chips" for name, number in self.outcome.cloudy_by.most_common()
        )
        reasons = [
            f"{number:,}: {reason}{f' (rejected by {seen_by})' if reason == CLOUDS and seen_by else ''}"
            for reason, number in self.outcome.without.most_common()
        ]
        dead = [f"such as {next(iter(self.outcome.dead.values()))}"] if self.outcome.dead else []
        return "; ".join([*reasons, *dead])

    def _say(self) -> None:
        lost = sum(self.outcome.without.values())
        if lost:
            self.progress.say(f"Note: {lost:,} places have no chip ({self._told()})")
        elif self.outcome.dead:
            dead = self.outcome.dead
            self.progress.say(
                f"Note: {len(dead):,} scenes could not be read, such as {next(iter(dead.values()))}"
            )
        doubtful = [name for name, one in self.decisions.items() if one["doubtful"]]
        if doubtful:
            one = self.decisions[doubtful[0]]
            self.progress.say(
                f"Note: it is unclear whether {len(doubtful):,} scenes have the offset of processing baseline 04.00, "
                f"such as {doubtful[0]} ({'removed' if one['added'] else 'nothing removed'}: {one['reason']}); "
                "set it with --boa-offset"
            )

    def _joining(self, folder: Path, written: WrittenChips, found: Found) -> Joining:
        """What the manifest says of the chips."""
        table, options = written.table, self.options
        years = sorted({date.year for date in table["date"].to_pylist() if date is not None})
        span = f" {years[0]}" if len(years) == 1 else f" {years[0]}-{years[-1]}" if years else ""
        catalog = options.catalog
        remote = catalog is not None and is_address(catalog)
        given = ", ".join(Path(one).name for one in options.satellite)
        source = source_entry(
            KIND, printable_address(catalog) if catalog else given, [folder / name for name in written.files],
            path=None if remote else given, url=printable_address(str(catalog)) if remote else None,
            sha256=written.sha256, licence=LICENCE, attribution=ATTRIBUTION + span,
        )  # fmt: skip
        used = {name for text in table["source"].to_pylist() for name in _scenes_in(text)}
        report = {
            "stored": table.num_rows,
            "clouds_by": self._clouds_by(found.scenes),
            "places_without": dict(self.outcome.without),
            "rejected_for_clouds_by": dict(self.outcome.cloudy_by),
            "scenes_left_out": found.left_out,
            "unreadable": self.outcome.dead,
            "offsets": {name: one for name, one in self.decisions.items() if name in used},
        }
        what = f"{table.num_rows:,} chips of {len(set(table['place_id'].to_pylist())):,} places"
        return written.joining(
            NAME, what, source, size_m=options.chip_px * options.pixel_m, report={NAME: report}
        )


def search_boxes(lonlat: Floats, side_m: float) -> list[Box]:
    """The boxes to search: one around places that lie together, otherwise one per group; each may cross the
    antimeridian.

    >>> search_boxes(np.array([[24.9, 60.1], [25.0, 60.2]]), 0.0)
    [(24.9, 60.1, 25.0, 60.2)]
    >>> len(search_boxes(np.array([[24.9, 60.1], [25.0, 60.2], [-51.0, -30.0]]), 1000.0))
    2
    """
    lonlat = lonlat[np.isfinite(lonlat).all(axis=1) & (np.abs(lonlat[:, 1]) < _SEEN)]
    if not len(lonlat):
        return []
    margin = side_m / math.sqrt(2.0)
    whole = box_around(lonlat, margin).bounds
    if (whole[2] - whole[0]) % 360.0 <= _ONE_SEARCH and whole[3] - whole[1] <= _ONE_SEARCH:
        return [whole]
    groups: dict[tuple[float, ...], list[int]] = defaultdict(list)
    for row, cell in enumerate(np.floor(lonlat / (_ONE_SEARCH / 2)).tolist()):
        groups[tuple(cell)].append(row)
    return [box_around(lonlat[rows], margin).bounds for _, rows in sorted(groups.items())]


def _not_cloudier(found: Found, most: float) -> Found:
    """The local scenes without those that say that they are cloudier, in percent."""
    kept = [scene for scene in found.scenes if scene.cloud is None or scene.cloud <= most]
    left_out = dict(found.left_out)
    if len(kept) < len(found.scenes):
        left_out[f"cloudier than {most:g} %"] = len(found.scenes) - len(kept)
    return Found(kept, left_out)


def _left_out(found: Found) -> str:
    told = "; ".join(f"{number:,} {reason}" for reason, number in found.left_out.items())
    return f" (left out: {told})" if told else ""


def _source(one: Finished) -> str:
    """The scenes of a chip, and its place, which makes it unique."""
    return f"{'+'.join(scene.id for scene in one.scenes)} at {one.place_id}"


def _scenes_in(text: str) -> list[str]:
    return text.split(" at ", 1)[0].split("+")
