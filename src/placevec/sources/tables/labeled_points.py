"""A table of labeled points, read in batches: ten million rows take no more memory than a few.

CSV, TSV and Parquet are streamed; formats that must be read as a whole (GeoJSON, GeoPackage, Shapefile, FlatGeobuf)
have at most `WHOLE_BYTES`.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from placevec.errors import SourceError
from placevec.geo import Floats
from placevec.geo.geoparquet import read_summary
from placevec.geo.systems import to_degrees, transformer
from placevec.io.json_documents import NONE, check, parse_json
from placevec.sources.tables.columns import found_columns
from placevec.sources.tables.points import DELIMITED, PARQUET, coordinates_of, read_table
from placevec.sources.tables.values import Longitudes, numbers, plain, texts

BATCH_ROWS = 131_072
WHOLE_BYTES = 512 * 2**20
"""Maximum size of a file that is read as a whole."""
_BLOCK_BYTES = 2 * 2**20
"""Block size; Arrow prefetches about thirty blocks."""
_LONGEST_HEADER = 2**20
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # starts like the mark of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_GEO = {"primary_column": str, "columns": {str: {"encoding": str, "crs?": (dict, NONE)}}}
_ENCODINGS = ("WKB", "point")
_WGS84 = "EPSG:4326"


@dataclass
class PointRows:
    """Some rows of a table.

    Attributes:
        first: index of the first row in the table, from 0.
        lonlat: (N, 2) float64 degrees, longitudes from -180 to 180; not finite if there are no coordinates.
        unreadable: number of rows with coordinates that are infinite or not numbers.
        cells: the other requested columns (``id``, ``name``, ``label``, ``user``, ``date``, ``split``), N cells each.
        done: bytes of the file, or rows of a table read as a whole, that have been read so far.
    """

    first: int
    lonlat: Floats
    unreadable: int
    cells: dict[str, pa.Array]
    done: int

    def __len__(self) -> int:
        return len(self.lonlat)


class PointTable:
    """A table of points that can be read several times, in batches.

    Args:
        path: CSV, TSV, Parquet, GeoJSON, GeoPackage, Shapefile or FlatGeobuf.
        wanted: role -> column, for the roles in `Columns`; None finds a column by its usual name.
        crs: coordinate reference system of the coordinate columns, such as ``EPSG:3067``; default is degrees.
        ids_are_enough: a table with IDs can lack coordinates, because the places are known.

    Raises:
        SourceError: the file does not exist, is not a table, or lacks the columns.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "trees.csv"
    >>> _ = file.write_text("lon,lat,species\\n24.94,60.17,oak\\n24.95,60.18,elm\\n")
    >>> (batch,) = PointTable(file, {"label": "species"}).batches()
    >>> batch.lonlat.tolist(), batch.cells["label"].to_pylist()
    ([[24.94, 60.17], [24.95, 60.18]], ['oak', 'elm'])
    """

    def __init__(
        self,
        path: str | Path,
        wanted: Mapping[str, str | None],
        crs: str | None = None,
        *,
        ids_are_enough: bool = False,
    ) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise SourceError(
                f"the table {path} does not exist" if not self.path.exists() else f"{path} is not a file"
            )
        transformer(crs)
        suffix, self._crs, self._encoding = self.path.suffix.lower(), crs, ""
        self.total = self.path.stat().st_size
        if self.total == 0:
            raise SourceError(f"{path} is empty")
        if suffix in DELIMITED:
            self._delimiter, names = _header(self.path)
            self.columns = found_columns(names, wanted, path, ids_are_enough=ids_are_enough)
            self._read = self._delimited
        elif suffix in PARQUET:
            schema, self.total = read_summary(self.path)
            geometry, self._encoding, own = _geometry(schema, self.path)
            self.columns = found_columns(
                schema.names, wanted, path, geometry=geometry, ids_are_enough=ids_are_enough
            )
            if self.columns.geometry is not None and crs is None:
                self._crs = own
            self._read = self._parquet
        else:
            if self.total > WHOLE_BYTES:
                raise SourceError(
                    f"{path} has {self.total / 2**20:,.0f} MiB, and {suffix or 'such a file'} must be read as a whole: "
                    f"convert it, for example with ogr2ogr {self.path.stem}.parquet {self.path.name}"
                )
            self._frame = read_table(self.path)
            self.total = len(self._frame)
            geometry = "geometry" if hasattr(getattr(self._frame, "geometry", None), "to_crs") else None
            self.columns = found_columns(
                [str(name) for name in self._frame.columns], wanted, path, geometry=geometry,
                ids_are_enough=ids_are_enough,
            )  # fmt: skip
            self._read = self._whole

    def batches(self) -> Iterator[PointRows]:
        """Its rows in order, with checked coordinates.

        Raises:
            SourceError: a damaged file, coordinates off the Earth, several coordinate reference systems, or longitudes
                in two conventions.
        """
        first, longitudes, system = 0, Longitudes(self.path), self._crs
        for batch, done in self._read():
            cells: dict[str, pa.Array] = {
                role: plain(batch[role], f"{self.path}, column {name!r},")
                for role, name in self.columns.given().items()
                if role in batch and role != "geometry"
            }
            systems = cells.pop("crs", None)
            if systems is not None and self._crs is None:
                system = self._system(texts(systems), system)
            lonlat, unreadable = self._degrees(batch, cells, system)
            names = None if self.columns.lon is None else (str(self.columns.lon), str(self.columns.lat))
            longitudes.within_180(lonlat, first, self.path, names)
            others = {role: cell for role, cell in cells.items() if role not in ("lon", "lat")}
            yield PointRows(first, lonlat, unreadable, others, done)
            first += len(lonlat)

    def _degrees(
        self, batch: Mapping[str, Any], cells: Mapping[str, pa.Array], system: Any
    ) -> tuple[Floats, int]:
        """((N, 2) degrees, NaN if missing, rows whose coordinates are not numbers)."""
        unreadable = 0
        if "geometry" in batch:
            lonlat = np.array(batch["geometry"], np.float64)
        elif "lon" not in cells:
            lonlat = np.full((len(next(iter(cells.values()))), 2), np.nan)
        else:
            (lon, bad_lon), (lat, bad_lat) = numbers(cells["lon"]), numbers(cells["lat"])
            lonlat, unreadable = np.stack([lon, lat], axis=1), int(np.count_nonzero(bad_lon | bad_lat))
        unreadable += int(np.count_nonzero(np.isinf(lonlat).any(axis=1)))
        if system is not None:
            lonlat = np.stack(to_degrees(lonlat[:, 0], lonlat[:, 1], system), axis=1)
        lonlat[~np.isfinite(lonlat).all(axis=1)] = np.nan
        return lonlat, unreadable

    def _system(self, named: pa.Array, before: Any) -> Any:
        """The only coordinate reference system of the rows; SourceError if there are several."""
        for name in named.unique().drop_null().to_pylist():
            known = _WGS84 if transformer(name) is None else name
            if before not in (None, known):
                raise SourceError(
                    f"{self.path}: the column {self.columns.crs!r} has both {before[:40]} and {known[:40]}: convert all "
                    "coordinates to one system, or pass --crs EPSG:4326 if all are degrees in WGS84"
                )
            before = known
        return before

    # --- kinds of files ------------------------------------------------------------------------------------

    def _delimited(self) -> Iterator[tuple[dict[str, Any], int]]:
        from pyarrow import csv as arrow_csv

        roles = self.columns.given()
        convert = arrow_csv.ConvertOptions(
            include_columns=list(dict.fromkeys(roles.values())),
            column_types={name: pa.string() for name in roles.values()},
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        )
        # in a table with tabs, quotes are rare, and a stray one would swallow the following lines
        parse = arrow_csv.ParseOptions(delimiter=self._delimiter, newlines_in_values=self._delimiter != "\t")
        try:
            with open(self.path, "rb") as file:
                reader = arrow_csv.open_csv(
                    file,
                    read_options=arrow_csv.ReadOptions(block_size=_BLOCK_BYTES),
                    parse_options=parse,
                    convert_options=convert,
                )
                for batch in reader:
                    yield {role: batch.column(name) for role, name in roles.items()}, file.tell()
        except (pa.ArrowException, OSError, ValueError) as error:
            raise SourceError(_explained(self.path, str(error))) from error

    def _parquet(self) -> Iterator[tuple[dict[str, Any], int]]:
        roles = self.columns.given()
        done = 0
        try:
            # pages are read on demand: a row group can be the whole file
            with pq.ParquetFile(self.path, buffer_size=2**20, pre_buffer=False) as file:
                for batch in file.iter_batches(BATCH_ROWS, columns=list(dict.fromkeys(roles.values()))):
                    batch.validate(full=True)
                    done += batch.num_rows
                    cells: dict[str, Any] = {role: batch.column(name) for role, name in roles.items()}
                    if "geometry" in cells:
                        cells["geometry"] = self._points(cells["geometry"])
                    yield cells, done
        except (pa.ArrowException, OSError, ValueError) as error:
            raise SourceError(f"{self.path} is not a Parquet table, or is damaged: {error}") from error

    def _points(self, geometry: pa.Array) -> Floats:
        """(N, 2) a point in each geometry, in the coordinate reference system of the geometry; NaN if missing."""
        import shapely

        if self._encoding == "point":
            both = [pc.struct_field(geometry, name) for name in ("x", "y")]
            return np.stack([np.array(pc.fill_null(one, np.nan), np.float64) for one in both], axis=1)
        try:
            shapes = shapely.from_wkb(geometry.to_numpy(zero_copy_only=False))
            systems = np.unique(
                shapely.get_srid(shapes[shapely.is_valid_input(shapes) & ~shapely.is_missing(shapes)])
            )
            if len(systems[systems > 0]) > 1:
                raise SourceError(
                    f"{self.path}: its geometry has several coordinate reference systems "
                    f"({', '.join(f'EPSG:{one}' for one in systems[:3])}); convert all to one"
                )
            inside = shapely.point_on_surface(shapes)
        except shapely.errors.ShapelyError as error:
            raise SourceError(f"{self.path}: its geometry is not WKB: {error}") from error
        inside[shapely.is_empty(inside)] = None
        return np.stack([shapely.get_x(inside), shapely.get_y(inside)], axis=1)

    def _whole(self) -> Iterator[tuple[dict[str, Any], int]]:
        roles = {role: name for role, name in self.columns.given().items() if role != "geometry"}
        lonlat = coordinates_of(self._frame, self.path)[0] if self.columns.geometry else None
        for start in range(0, len(self._frame), BATCH_ROWS):
            part = self._frame.iloc[start : start + BATCH_ROWS]
            cells: dict[str, Any] = {}
            for role, name in roles.items():
                try:
                    cells[role] = pa.Array.from_pandas(part[name])
                except (pa.ArrowException, ValueError, TypeError):  # cells of several types
                    cells[role] = pa.array(
                        [None if cell is None else str(cell) for cell in part[name]], pa.string()
                    )
            if lonlat is not None:
                cells["geometry"] = lonlat[start : start + BATCH_ROWS]
            yield cells, start + len(part)


def _header(path: Path) -> tuple[str, list[str]]:
    """(delimiter, column names) of a delimited file; tab, comma, semicolon or bar, whichever is most frequent."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            line = file.readline(_LONGEST_HEADER)
    except UnicodeDecodeError as error:
        raise SourceError(_explained(path, "invalid UTF8")) from error
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from error
    if not line.strip() or "\0" in line:
        raise SourceError(f"the first line of {path} must have column names")
    delimiter = max(",\t;|", key=line.count)
    try:
        names = next(csv.reader(io.StringIO(line), delimiter=delimiter))
    except csv.Error as error:  # such as a name of more than 131,072 characters
        raise SourceError(f"the first line of {path} must have column names: {error}") from error
    return delimiter, names


def _explained(path: Path, error: str) -> str:
    """Arrow's error about a delimited file, with what to do."""
    if "UTF8" in error:
        marked = _marked(path)
        found = f" but {marked.upper()}" if marked else ""
        return (
            f"{path} is not UTF-8{found}: convert it, for example with iconv -f {marked or 'latin1'} -t utf-8"
        )
    if "straddling" in error:
        return f"{path} has a row longer than {_BLOCK_BYTES // 2**20} MiB: remove long columns, or convert it to Parquet"
    return f"cannot read {path} as a table: {error}"


def _marked(path: Path) -> str:
    """The encoding given by a file's byte order mark; empty if there is none."""
    with open(path, "rb") as file:
        begins = file.read(4)
    return next((name for mark, name in _MARKS if begins.startswith(mark)), "")


def _geometry(schema: pa.Schema, path: Path) -> tuple[str | None, str, Any]:
    """(column, encoding, system) of a GeoParquet file's geometry; (None, "", None) for plain Parquet."""
    told = (schema.metadata or {}).get(b"geo")
    if told is None:
        return None, "", None
    try:
        geo = parse_json(told)
        check(geo, _GEO, "geo")
        name = geo["primary_column"]
        about = geo["columns"][name]
    except (ValueError, KeyError) as error:
        raise SourceError(f"{path} is not valid GeoParquet: {error}") from error
    if name not in schema.names or about["encoding"] not in _ENCODINGS:
        raise SourceError(
            f"{path}: its geometry {name[:40]!r} is missing, or is not {' or '.join(_ENCODINGS)}"
        )
    held = schema.field(name).type
    binary = pa.types.is_binary(held) or pa.types.is_large_binary(held)
    fits = pa.types.is_struct(held) if about["encoding"] == "point" else binary
    if not fits:
        raise SourceError(f"{path}: its geometry is {held}, not {about['encoding']}")
    crs = about.get("crs")
    return name, about["encoding"], None if crs is None else json.dumps(crs)
