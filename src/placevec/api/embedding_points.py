"""`embed_points`: turns a table of points into a table of vectors, in batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from placevec._version import __version__
from placevec.api.inputs import PathLike, model_of, now
from placevec.errors import ModelError, SourceError, UsageError
from placevec.io import atomic
from placevec.io.folders import shared_path
from placevec.io.jobs import opened
from placevec.io.progress import SILENT, Progress, say_notes
from placevec.options import checked_keywords
from placevec.options.choices import StoredType

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from placevec.geo import Floats
    from placevec.models.model import Model
    from placevec.sources.tables.labeled_points import PointTable


@dataclass(frozen=True)
class PointsEmbedded:
    """Summary of the table that `embed_points` wrote.

    Attributes:
        path: the table of vectors.
        count: number of vectors.
        dim: length of a vector.
        left_out: rows without coordinates, or without a usable date if the model needs one.
        model_hash: hash of the model.
        undated: those of the rows left out that have coordinates, but no usable date.
    """

    path: Path
    count: int
    dim: int
    left_out: int
    model_hash: str
    undated: int = 0


@checked_keywords
def embed_points(
    model: Model | PathLike,
    points: PathLike,
    *,
    out: PathLike,
    lon: str | None = None,
    lat: str | None = None,
    crs: str | None = None,
    id: str | None = None,
    date: str | None = None,
    dtype: StoredType = "float32",
    wait: bool = False,
    progress: Progress = SILENT,
) -> PointsEmbedded:
    """Write the vectors of a table's points, for any number of rows, in constant memory.

    Args:
        model: Model that reads only coordinates: a run of ``sphere2vec``, or imported location encoders.
        points: CSV, TSV, Parquet, GeoJSON, GeoPackage, Shapefile or FlatGeobuf.
        out: GeoParquet file to write, atomically.
        lon: Column of longitudes (default: found by name).
        lat: Column of latitudes (default: found by name).
        crs: Coordinate reference system, such as EPSG:3067 (default: the file's own, otherwise degrees).
        id: Column of unique IDs (default: place_id, id, or the row number).
        date: Column of dates and times, or of fractions of the year, for a model trained with dates.
        dtype: Data type in which the vectors are stored; int8 reads the points twice.
        wait: Wait for another process that is writing --out, instead of stopping.
        progress: Receives progress reports.

    Raises:
        SourceError: not a table of points, coordinates off the Earth, or missing or duplicate IDs.
        ModelError: the model reads other views.
    """
    import numpy as np

    from placevec.embeddings import Provenance
    from placevec.embeddings.streaming import EmbeddingsWriter
    from placevec.sources.tables.labeled_points import PointTable

    path = Path(out)
    if path.suffix not in (".parquet", ".geoparquet"):
        raise UsageError(
            f"vectors are written as GeoParquet: the file name must end in .parquet; got {path.name}"
        )
    atomic.check_writable(path)
    found = model_of(model)
    if not found.bare or len(found.readings) > 1:
        raise ModelError(
            f"this model reads {' and '.join(map(repr, found.readings))}, not only coordinates: prepare a dataset of "
            "these places and embed that"
        )
    (view,) = found.readings
    if bool(found.times) != (date is not None):
        raise UsageError(
            "this model needs dates: set their column with --date"
            if found.times
            else "--date has no effect: the model was trained without dates"
        )
    table = PointTable(points, {"lon": lon, "lat": lat, "id": id, "date": date}, crs)
    provenance = Provenance(
        model_hash=found.hash,
        dataset_hash=atomic.sha256_of_file(Path(points)),
        model_path="" if found.path is None else shared_path(found.path),
        attribution=str(found.training.get("attribution", "")),
        created=now(),
        placevec_version=__version__,
    )
    read = _Read(found, table)
    largest = 0.0
    if dtype == "int8":
        for _, _, _, vectors in read.batches(progress, "Finding the range of the vectors"):
            largest = max(largest, float(np.abs(vectors).max(initial=0.0)))
    with (
        opened(path, {}, wait=wait, progress=progress) as job,
        job.scratch("ids") as folder,
        EmbeddingsWriter(path, found.dim, view, provenance, dtype, largest) as writer,
    ):
        distinct = _Distinct(folder, table)
        for ids, names, lonlat, vectors in read.batches(progress, "Embedding"):
            distinct.add(ids)
            writer.write(ids, names, lonlat, vectors)
        distinct.check()
        if writer.count == 0:
            needed = " and a time that the model can use" if read.undated else ""
            raise SourceError(f"{points} has no row with coordinates{needed} to embed")
    say_notes((*table.notes, *read.times.notes), progress)
    return PointsEmbedded(path, writer.count, found.dim, read.left_out, found.hash, read.undated)


class _Read:
    """The rows of a table, with the vectors of a model."""

    def __init__(self, model: Model, table: PointTable) -> None:
        from placevec.inference.timed_rows import TimedRows

        self.model, self.table, self.left_out, self.undated = model, table, 0, 0
        self.times = TimedRows(model, table)

    def batches(
        self, progress: Progress, label: str
    ) -> Iterator[tuple[pa.Array, pa.Array, Floats, NDArray[np.float32]]]:
        """(ids, names, (N, 2) lon, lat, (N, D) vectors) of the rows with coordinates."""
        import numpy as np
        import pyarrow as pa

        from placevec.sources.tables.dates import known_rows
        from placevec.sources.tables.values import texts

        self.left_out = self.undated = done = 0
        self.times.forget()
        with progress.task(label, total=self.table.total) as advance:
            for rows in self.table.batches():
                known = np.isfinite(rows.lonlat).all(axis=1)
                years = self.times.of(rows)
                if years is not None:
                    dated = known_rows(years)
                    self.undated += int((known & ~dated).sum())
                    known &= dated
                    years = years[known]
                keep = pa.array(known)
                numbers = pa.array(np.arange(rows.first, rows.first + len(rows))).cast(pa.string())
                ids = texts(rows.cells["id"]) if "id" in rows.cells else numbers
                ids = ids.filter(keep)
                if ids.null_count:
                    raise SourceError(f"{self.table.path}: {ids.null_count:,} rows have no ID")
                names = (
                    texts(rows.cells["name"]) if "name" in rows.cells else pa.nulls(len(rows), pa.string())
                )
                lonlat = rows.lonlat[known]
                self.left_out += len(rows) - len(lonlat)
                yield ids, names.filter(keep), lonlat, self.model.embed_lonlat(lonlat, years)
                advance(rows.done - done)
                done = rows.done


class _Distinct:
    """Detects duplicate IDs; for tables without an ID column, nothing is stored."""

    def __init__(self, folder: Path, table: PointTable) -> None:
        from placevec.sources.tables.duplicates import Repeats

        self.table, self.rows = table, 0
        self.repeats = None if table.columns.id is None else Repeats(folder)

    def add(self, ids: pa.Array) -> None:
        """Add the IDs of more rows."""
        from placevec.sources.tables.duplicates import hashed

        if self.repeats is not None:
            key = hashed([ids])
            self.repeats.add(key, key, self.rows)
        self.rows += len(ids)

    def check(self) -> None:
        """SourceError if there is a duplicate."""
        if self.repeats is not None and bool(self.repeats.found(self.rows)[0].any()):
            raise SourceError(
                f"{self.table.path}: the column {self.table.columns.id!r} has duplicate IDs: "
                "choose another column with --id"
            )
