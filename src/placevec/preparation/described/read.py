"""A table of chips and texts becomes a dataset: places, types as labels, texts, and chips where given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from placevec.core import ViewSpec
from placevec.datasets.additions import LABELS_PART, PLACES_PART, Joining, Made, add, is_made, reused, settled
from placevec.datasets.dataset import Dataset
from placevec.datasets.labels import LABELS
from placevec.datasets.layout import WORK, source_entry
from placevec.datasets.places import Places
from placevec.datasets.views import text
from placevec.datasets.writer import begun, write_dataset
from placevec.errors import SourceError
from placevec.geo import Area
from placevec.io import atomic, parquet
from placevec.io.files import refuse_pipe
from placevec.io.progress import Progress, say_notes
from placevec.preparation.chips.shards import ChipWriter
from placevec.preparation.described.table import Described, read_described
from placevec.sources.imagery.chips import decode_chip, unreadable
from placevec.sources.imagery.founding_chips import BANDS, read_founding_chip
from placevec.sources.tables.losses import Losses

KIND = "described"
VIEW = "satellite"
TEXT_KIND = "sentence"
ATTRIBUTION = "unknown: the table names no source"
_WORLD = Area(-180.0, -90.0, 180.0, 90.0)
_NPZ, _TIFF = ".npz", (".tif", ".tiff")
MAX_CHIPS = 10_000_000


def prepare(out: Path, table: Path, chips: Path | None, *, created: str, progress: Progress) -> Dataset:
    """Make a dataset of a table of chips and texts, or add its chips to one that was made of it.

    Args:
        out: the dataset directory.
        table: with the columns of `placevec.preparation.described.COLUMNS`; ``lon`` and ``lat`` are read too.
        chips: folder of the chips that it names, ``.npz`` of the founding system or GeoTIFF.
        created: when, in ISO 8601.
        progress: where to report.

    Raises:
        SourceError: the table or the chips cannot be used.
    """
    found = read_described(table)
    files = None if chips is None else _Files.of_table(chips, found)
    made = Made(KIND, {"table": atomic.sha256_of_file(table)})
    parts = {PLACES_PART: made, text.NAME: made}
    there = begun(out)
    dataset = reused(there, parts, progress) if there is not None else _new(out, table, found, parts, created)
    say_notes(found.notes if there is None else (), progress)
    if any(found.types) and not is_made(dataset, LABELS_PART, made):
        dataset = _with_labels(dataset, found, made, created, progress)
    return dataset if files is None else _with_chips(dataset, found, files, created, progress)


def _new(out: Path, table: Path, found: Described, parts: dict[str, Made], created: str) -> Dataset:
    (out / WORK).mkdir(parents=True, exist_ok=True)
    with atomic.replacing(out / text.FILE) as temporary, text.TextWriter(temporary) as writer:
        writer.add([(found.ids[row], None, TEXT_KIND, said, entity) for row, entity, said in found.texts])
    count = len(found.ids)
    places = Places(np.array(found.ids, object), found.lonlat, _points(found.lonlat), None, "given")
    source = source_entry(
        KIND,
        table.stem,
        [table],
        path=table.name,
        sha256=atomic.sha256_of_file(table),
        attribution=ATTRIBUTION,
    )
    spec = ViewSpec(text.NAME, text.KIND, (), text.VALUES)
    dataset = write_dataset(
        out, name=table.stem, area=_around(found), places=places, names=None, sources=[source],
        views={text.NAME: {"spec": spec.as_dict(), "files": [text.FILE]}},
        report={KIND: {"observations": count, "texts": len(found.texts), "not used": found.notes}}, parts=parts,
        created=created,
    )  # fmt: skip
    return settled(dataset)


def _points(lonlat: Any) -> np.ndarray[Any, Any]:
    """(N,) points; None without coordinates."""
    import shapely

    held = np.full(len(lonlat), None, object)
    known = np.isfinite(lonlat).all(axis=1)
    held[known] = shapely.points(lonlat[known])
    return held


def _around(found: Described) -> Area:
    """The area of the observations; the world where nobody knows."""
    known = found.lonlat[np.isfinite(found.lonlat).all(axis=1)]
    if not len(known):
        return _WORLD
    (west, south), (east, north) = known.min(axis=0), known.max(axis=0)
    margin = 1e-3
    return Area(
        max(west - margin, -180), max(south - margin, -90), min(east + margin, 180), min(north + margin, 90)
    )


def _with_labels(dataset: Dataset, found: Described, made: Made, created: str, progress: Progress) -> Dataset:
    classes = sorted(set(found.types) - {""})
    codes = {name: number for number, name in enumerate(classes)}

    def write(folder: Path) -> Joining:
        label = np.array([codes.get(name, -1) for name in found.types], np.int32)
        parquet.write_table(pa.table({"label": label}), folder / LABELS)
        about = {"file": LABELS, "kind": "classes", "column": "entity_type", "classes": classes}
        return Joining(f"types of {len(label):,} places", [LABELS], [], labels=about)

    return add(dataset, LABELS_PART, made, write, created=created, progress=progress)


# --- chips -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Files:
    """The chips below a folder: nothing else is ever opened, whatever paths a table has."""

    folder: Path
    paths: dict[tuple[str, ...], Path]
    by_name: dict[str, Path | None]

    @classmethod
    def of_table(cls, folder: Path, found: Described) -> _Files:
        """The files below a folder; SourceError if the table names none of them."""
        files = cls.below(folder)
        if all(files.of(parts) is None for parts in found.chips):
            raise SourceError(
                f"{folder} has none of the {len(found.chips):,} chips that the table names, such as "
                f"{'/'.join(found.chips[0])!r}"
            )
        return files

    @classmethod
    def below(cls, folder: Path) -> _Files:
        if not folder.is_dir():
            raise SourceError(f"there is no folder of chips {folder}")
        paths: dict[tuple[str, ...], Path] = {}
        by_name: dict[str, Path | None] = {}
        for path in _walked(folder):
            if len(paths) >= MAX_CHIPS:
                raise SourceError(
                    f"{folder} has more than {MAX_CHIPS:,} chips: leave only those that the table names"
                )
            paths[path.relative_to(folder).parts] = path
            by_name[path.name] = None if path.name in by_name else path
        if not paths:
            raise SourceError(f"there is no chip (.npz, .tif) in {folder}")
        return cls(folder, paths, by_name)

    def of(self, parts: Sequence[str]) -> Path | None:
        """The file that a table's path means: at that place, below that place, or the only one of that name."""
        for first in range(len(parts)):
            if (found := self.paths.get(tuple(parts[first:]))) is not None:
                return found
        return self.by_name.get(parts[-1]) if parts else None


def _walked(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in (_NPZ, *_TIFF) and path.is_file() and not path.is_symlink():
            yield path


def _with_chips(
    dataset: Dataset, found: Described, files: _Files, created: str, progress: Progress
) -> Dataset:
    folder = files.folder
    named = [(number, files.of(parts)) for number, parts in zip(found.ids, found.chips, strict=True)]
    stamps = [
        None
        if path is None
        else (str(path.relative_to(folder)), path.stat().st_size, path.stat().st_mtime_ns)
        for _, path in named
    ]
    made = Made(KIND, {"files": atomic.sha256_of_json(stamps)})
    if is_made(dataset, VIEW, made):
        return settled(dataset, VIEW)
    lacking = [parts for (_, path), parts in zip(named, found.chips, strict=True) if path is None]

    def write(into: Path) -> Joining:
        writer = ChipWriter(into, VIEW, made.inputs, beside=dataset.path)
        losses = Losses(folder, "images")
        with progress.task("Storing chips", total=len(named)) as advance:
            for number, path in named:
                advance()
                if path is None or f"{number}/{path.name}" in writer.done:
                    continue
                try:
                    _store(writer, number, path)
                except SourceError as error:
                    losses.add(*unreadable(error))
        losses.settle(len(named) - len(lacking), progress)
        if lacking:
            progress.say(
                f"Note: {len(lacking):,} chips were not found in {folder} (for example, {'/'.join(lacking[0])!r})"
            )
        written = writer.finish()
        source = source_entry(
            KIND, folder.name, [into / name for name in written.files], path=folder.name, sha256=written.sha256,
            attribution=ATTRIBUTION,
        )  # fmt: skip
        report = {f"{KIND} chips": {"broken": losses.count, "missing": len(lacking)}}
        return written.joining(VIEW, f"{written.table.num_rows:,} chips", source, report=report)

    return add(dataset, VIEW, made, write, created=created, progress=progress)


def _store(writer: ChipWriter, number: str, path: Path) -> None:
    source = f"{number}/{path.name}"
    if path.suffix.lower() == _NPZ:
        pixels = read_founding_chip(path)
        names = BANDS if len(pixels) == len(BANDS) else tuple(f"band{n}" for n in range(1, len(pixels) + 1))
        writer.add(number, pixels, names, source=source)
        return
    refuse_pipe(path, "chip")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from error
    chip = decode_chip(path.name, content, {len(BANDS): BANDS})
    writer.add(number, chip.pixels, chip.bands, source=source, crs=chip.crs, transform=chip.transform)
