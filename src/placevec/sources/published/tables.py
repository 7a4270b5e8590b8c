"""Tables of vectors with places of their own: GeoParquet of Clay, Earth Index and Major TOM, and CityRep's baselines.

| product | columns |
| --- | --- |
| Clay v0 | source_url, date, embeddings, geometry (https://clay-foundation.github.io/model) |
| Clay v1.5 | chips_id, cell_id, datetime, embedding, geometry (https://source.coop/clay) |
| Earth Index | id, geometry, embedding (https://source.coop/earthgenome/earthindexembeddings) |
| Major TOM | unique_id, embedding, timestamp, product_id, grid_cell, coordinates (arXiv 2412.05600) |
| CityRep | sample_id, x, y, e0, e1, ... |
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from placevec.errors import SourceError
from placevec.geo import Area, Floats
from placevec.geo.antimeridian import Objects, points_within
from placevec.geo.geometry_columns import GeometryColumn, of_schema, shapes_of
from placevec.geo.parquet_bounds import check_unpacked
from placevec.geo.parquet_footer import footer_of
from placevec.geo.systems import shapes_to_degrees, to_degrees
from placevec.io import parquet
from placevec.io.json_documents import parse_json
from placevec.io.progress import SILENT, Progress
from placevec.sources.published.products import (
    CITYREP,
    CLAY,
    EARTH_INDEX,
    MAJOR_TOM,
    UNKNOWN,
    Edition,
    Product,
    agreed,
    year_of_period,
)

ENDINGS = (".parquet", ".gpq", ".geoparquet")
MAX_DIM = 65_536
_BATCH = 4_096
_CLAY_VERSION = re.compile(r"_v(\d+)$")
_MANIFEST = Path("registry", "embedding_manifest.csv")


@dataclass
class VectorTable:
    """What tables of one edition hold of an area.

    Attributes:
        place_id: (N,) distinct strings.
        lonlat: (N, 2) degrees.
        shapes: (N,) geometries in degrees, or None.
        vectors: (N, D) float32.
        date: (N,) texts that sort by time; empty where none is given.
        edition: what they are of.
        lost: reason -> rows.
    """

    place_id: Objects
    lonlat: Floats
    shapes: Objects
    vectors: NDArray[np.float32]
    date: Objects
    edition: Edition
    lost: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Layout:
    product: Product
    vectors: str
    id: str | None = None
    date: str | None = None
    degrees: tuple[str, str] | None = None


_LAYOUTS = (
    (("unique_id", "embedding", "grid_cell"),
     _Layout(MAJOR_TOM, "embedding", "unique_id", "timestamp")),
    (("chips_id", "embedding", "geometry"), _Layout(CLAY, "embedding", "chips_id", "datetime")),
    (("embeddings", "geometry"), _Layout(CLAY, "embeddings", None, "date")),
    (("id", "embedding", "geometry"), _Layout(EARTH_INDEX, "embedding", "id")),
)  # fmt: skip


def read_tables(
    paths: Sequence[Path],
    *,
    area: Area | None = None,
    crs: str | None = None,
    version: str | None = None,
    progress: Progress = SILENT,
) -> VectorTable:
    """The rows of tables of one product and version, batch by batch, of an area or of all.

    Args:
        paths: Parquet files.
        area: of the places that are kept.
        crs: of CityRep's x and y, where its registry does not say it.
        version: of tables that do not say theirs.
        progress: receives progress reports.

    Raises:
        SourceError: a file is damaged or of no known layout, several products or versions, vectors of different lengths,
            ids that occur twice, or nothing in the area.
    """
    parts: list[VectorTable] = []
    editions: list[tuple[object, Edition]] = []
    lost: dict[str, int] = {}
    with progress.task("Reading tables of vectors", total=len(paths)) as advance:
        for path in paths:
            for part in _Table(path, crs).batches(area, lost):
                if not len(part.place_id):
                    continue
                editions.append((path, part.edition))
                agreed([*editions[:1], editions[-1]], version)
                parts.append(part)
            advance()
    if not parts:
        told = "; ".join(f"{count:,} rows {why}" for why, count in lost.items())
        raise SourceError(
            f"{', '.join(map(str, paths[:3]))} has no vector to import{f' ({told})' if told else ''}"
        )
    found = VectorTable(
        place_id=np.concatenate([part.place_id for part in parts]),
        lonlat=np.concatenate([part.lonlat for part in parts]),
        shapes=np.concatenate([part.shapes for part in parts]),
        vectors=np.concatenate([part.vectors for part in parts]),
        date=np.concatenate([part.date for part in parts]),
        edition=agreed([editions[0]], version),
        lost=lost,
    )
    ids, count = np.unique(found.place_id.astype(str), return_counts=True)
    if (count > 1).any():
        raise SourceError(
            f"{ids[count > 1][0][:60]!r} occurs in {int(count.max()):,} rows of {', '.join(map(str, paths[:3]))}: import "
            f"files that contain each place only once"
        )
    return found


class _Table:
    """One file; what it holds is recognized by its columns."""

    def __init__(self, path: Path, crs: str | None) -> None:
        self.path = path
        try:
            footer = footer_of(path)
            with parquet.opened(path) as file:
                self.schema: pa.Schema = file.schema_arrow
        except (pa.ArrowException, OSError, ValueError, RecursionError) as error:
            raise SourceError(f"{path} is not a Parquet table, or is damaged: {str(error)[:200]}") from error
        if b"placevec" in (self.schema.metadata or {}):
            raise SourceError(f"{path} is already a placevec table of vectors: use it as it is")
        names = set(self.schema.names)
        numbers = sorted((one for one in names if re.fullmatch(r"e\d+", one)), key=lambda one: int(one[1:]))
        self.wide = numbers if {"sample_id", "x", "y"} <= names and numbers else []
        self.geometry: GeometryColumn | None = None
        if self.wide:
            self.layout = _Layout(CITYREP, "", "sample_id", None, ("x", "y"))
            self.system = crs or _registered(path)
            if self.system is None:
                raise SourceError(
                    f"{path}: nothing states the coordinate reference system of x and y: add --crs, such as "
                    "EPSG:32630"
                )
        else:
            self.layout = next((how for needed, how in _LAYOUTS if set(needed) <= names), None)  # type: ignore[assignment]
            if self.layout is None:
                raise SourceError(
                    f"{path} has no known layout (Clay, Earth Index, Major TOM, CityRep); its columns are: "
                    f"{', '.join(self.schema.names[:12])[:200]}"
                )
            if self.layout.product is MAJOR_TOM:
                self.layout = replace(self.layout, degrees=_centers_in(names))
            self.system = None
            self.geometry = of_schema(self.schema, footer, path)
            if self.geometry is None and "geometry" in names:
                self.geometry = GeometryColumn("geometry", "wkb")
        self.version = self._version()
        self.year = year_of_period(path.stem) if self.layout.product is EARTH_INDEX else ""

    def _version(self) -> str:
        """What the file says of the model: Clay names it in the file's name, or has other columns since v1.5."""
        if self.layout.product is CLAY:
            found = _CLAY_VERSION.search(self.path.stem)
            return "v1.5" if self.layout.id else (f"v0 ({found[1]})" if found else "v0")
        return UNKNOWN

    def batches(self, area: Area | None, lost: dict[str, int]) -> Any:
        """A `VectorTable` for each batch of rows in the area."""
        how, first = self.layout, 0
        columns = [one for one in (how.vectors, how.id, how.date, *(how.degrees or ())) if one]
        columns = [one for one in columns if one in self.schema.names] + self.wide
        columns += ["product_id"] if how.product is MAJOR_TOM and "product_id" in self.schema.names else []
        columns += [self.geometry.name] if self.geometry is not None else []
        try:
            check_unpacked(self.path, columns)
            with parquet.opened(self.path, buffer_size=2**20, pre_buffer=False) as file:
                for batch in file.iter_batches(_BATCH, columns=columns):
                    batch.validate(full=True)
                    yield self._part(batch, area, lost, first)
                    first += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            raise SourceError(
                f"{self.path} is not a Parquet table, or is damaged: {str(error)[:200]}"
            ) from error

    def _part(
        self, batch: pa.RecordBatch, area: Area | None, lost: dict[str, int], first: int
    ) -> VectorTable:
        how = self.layout
        lonlat, shapes = self._located(batch, first)
        known: NDArray[np.bool_] = np.asarray(np.isfinite(lonlat).all(axis=1))
        known[known] = (np.abs(lonlat[known]) <= (180.0, 90.0)).all(axis=1)
        _count(lost, "without coordinates on Earth", ~known)
        if area is not None:
            inside: NDArray[np.bool_] = np.zeros(len(known), np.bool_)
            inside[known] = area.contains(lonlat[known, 0], lonlat[known, 1])
            _count(lost, "outside the area", known & ~inside)
            known = inside
        vectors, there = self._vectors(batch, known, first)
        _count(lost, "without a vector, or with one that is zero or infinite", known & ~there)
        keep = known & there
        ids = self._ids(batch, first)
        dates = np.full(len(keep), "", object)
        if how.date in self.schema.names:
            told = pc.fill_null(batch.column(how.date).cast(pa.string()), "")
            dates = np.asarray(told.to_numpy(zero_copy_only=False), object)
        return VectorTable(
            ids[keep], lonlat[keep], shapes[keep], vectors[keep[known]], dates[keep],
            Edition(how.product, vectors.shape[1], self._of_rows(batch), self.year),
        )  # fmt: skip

    def _of_rows(self, batch: pa.RecordBatch) -> str:
        """Major TOM's files differ by sensor, of which only the names of products tell."""
        if "product_id" not in batch.schema.names or not batch.num_rows:
            return self.version
        sensors = {str(one)[:2] for one in batch.column("product_id").to_pylist() if one}
        return " and ".join(sorted(sensors)) or self.version

    def _located(self, batch: pa.RecordBatch, first: int) -> tuple[Floats, Objects]:
        """((N, 2) lon, lat; (N,) geometries or None)."""
        how, count = self.layout, batch.num_rows
        shapes: Objects = np.full(count, None, object)
        if self.geometry is not None:
            shapes = shapes_of(batch.column(self.geometry.name), self.geometry, self.path, first)
            shapes = shapes_to_degrees(shapes, self.geometry.system)
        if how.degrees is None or not set(how.degrees) <= set(batch.schema.names):
            if self.geometry is None:
                raise SourceError(f"{self.path} has no coordinates")
            return points_within(shapes), shapes
        x, y = (np.array(batch.column(one).cast(pa.float64()), np.float64) for one in how.degrees)
        return np.stack(to_degrees(x, y, self.system), axis=1), shapes

    def _ids(self, batch: pa.RecordBatch, first: int) -> Objects:
        if self.layout.id is None:
            return np.array([f"{self.path.stem}:{first + row}" for row in range(batch.num_rows)], object)
        ids = batch.column(self.layout.id)
        if ids.null_count:
            row = first + int(np.flatnonzero(np.asarray(ids.is_null()))[0])
            raise SourceError(f"{self.path}, row {row + 1} has no {self.layout.id}")
        return np.asarray(ids.cast(pa.string()).to_numpy(zero_copy_only=False), object)

    def _vectors(
        self, batch: pa.RecordBatch, wanted: NDArray[np.bool_], first: int
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """((W, D) vectors of the wanted rows; (N,) which rows have one)."""
        there = np.zeros(batch.num_rows, bool)
        if self.wide:
            found = np.stack(
                [np.array(batch.column(one).cast(pa.float32()), np.float32) for one in self.wide], 1
            )
            found = found[wanted]
        else:
            cells = batch.column(self.layout.vectors)
            if not (pa.types.is_list(cells.type) or pa.types.is_large_list(cells.type)
                    or pa.types.is_fixed_size_list(cells.type)):  # fmt: skip
                raise SourceError(
                    f"{self.path}: {self.layout.vectors} must be lists of numbers; it is {cells.type}"
                )
            lengths = np.asarray(pc.fill_null(pc.list_value_length(cells), 0), np.int64)
            dim = int(lengths.max(initial=0))
            other = np.flatnonzero((lengths != dim) & (lengths > 0))
            if len(other) or dim > MAX_DIM:
                row = first + int(other[0]) if len(other) else first
                raise SourceError(
                    f"{self.path}, row {row + 1}: {self.layout.vectors} has {int(lengths[row - first]):,} numbers, "
                    f"but others have {dim:,}: all must have the same number, at most {MAX_DIM:,}"
                )
            found = np.full((int(wanted.sum()), dim), np.nan, np.float32)
            full = lengths[wanted] == dim if dim else np.zeros(len(found), bool)
            held = cells.filter(pa.array(wanted & (lengths == dim))).flatten().cast(pa.float32())
            found[full] = (
                np.array(pc.fill_null(held, np.nan), np.float32).reshape(-1, max(dim, 1)) if dim else 0
            )
        good = np.isfinite(found).all(axis=1) & (found != 0).any(axis=1)
        there[wanted] = good
        return found, there


def _centers_in(names: set[str]) -> tuple[str, str] | None:
    """Columns of the degrees of a patch's center, in either spelling."""
    found = [
        next((one for one in names if re.fullmatch(f"cent(er|re)_{axis}", one)), None)
        for axis in ("lon", "lat")
    ]
    return (found[0], found[1]) if found[0] and found[1] else None


def _count(lost: dict[str, int], why: str, rows: NDArray[np.bool_]) -> None:
    if rows.any():
        lost[why] = lost.get(why, 0) + int(rows.sum())


def _registered(path: Path) -> str | None:
    """The coordinate reference system of a baseline of CityRep, from the registry of its folder."""
    for folder in path.resolve().parents:
        manifest = folder / _MANIFEST
        if not manifest.exists():
            continue
        try:
            with manifest.open(encoding="utf-8", newline="") as file:
                for row in csv.DictReader(file):
                    if (
                        Path(row.get("artifact_path") or "-").name == path.name
                        and (row.get("model") or "-") in path.parts
                    ):
                        told = parse_json((row.get("embedding_config") or "{}").encode()).get("crs")
                        return str(told) if told else None
        except (OSError, ValueError, AttributeError, csv.Error) as error:
            raise SourceError(f"{manifest} is damaged: {str(error)[:200]}") from error
    return None
