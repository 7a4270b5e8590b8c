"""Delimited text, read as texts: encoding, delimiter, quotes and decimal comma found from the file's beginning.

Rows of a different number of cells than columns are left out and counted, whatever made them.
"""

from __future__ import annotations

import csv
import io
import mmap
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from placevec.errors import SourceError
from placevec.geo.coordinate_names import LAT_NAMES, LON_NAMES
from placevec.geo.geometry_columns import GeometryColumn
from placevec.geo.parquet_footer import MAX_COLUMNS
from placevec.sources.tables.batches import Batch
from placevec.sources.tables.losses import Losses
from placevec.sources.tables.text_encoding import encoding_of

DELIMITERS = ",\t;|"
BLOCK_BYTES = 2 * 2**20
"""Arrow reads some thirty of these ahead."""
_LONGEST_HEADER = 2**20
_SAMPLE = 2**18
_SAMPLE_LINES = 200
RAGGED = "a different number of cells than columns"
_SEPARATOR = re.compile(r"sep=(.)\r?\n?")
"""The first line that names the delimiter for Excel."""
_WITH_COMMA = re.compile(r"[+-]?(?:\d+|\d{1,3}(?:\.\d{3})+),\d+")
_COORDINATES = (*LON_NAMES, *LAT_NAMES)
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:\.\d{3})+")
_WITH_POINT = re.compile(r"[+-]?\d*\.\d+")


class DelimitedTable:
    """CSV, TSV and the like; see `placevec.sources.tables.batches.OpenedTable`."""

    geometry: GeometryColumn | None = None

    def __init__(self, path: Path) -> None:
        self.path, self.total = path, path.stat().st_size
        self.encoding = encoding_of(path)
        lines, self._skipped, told = self._begin()
        header = lines[0] if lines else ""
        if not header.strip() or "\0" in header:
            raise SourceError(f"the first line of {path} must contain the column names")
        self.delimiter = told or _delimiter(lines)
        self.quoted = _is_quoted(lines, self.delimiter)
        self._has_quotes = not self.quoted and (self.encoding != "utf-8" or _holds(path, b'"'))
        self.names = self._header(lines)
        if len(self.names) > MAX_COLUMNS:
            raise SourceError(
                f"{path} has {len(self.names):,} columns, more than {MAX_COLUMNS:,}: leave out the columns that are "
                f"not needed"
            )
        self.notes: list[str] = []
        if self.encoding == "cp1252":
            self.notes.append("it is not UTF-8 and is read as Windows-1252: check its accented letters")
        cells = _columns(lines[1:], self.names, self.delimiter, self.quoted)
        self.decimal_comma = self.delimiter != "," and _has_decimal_comma(cells)
        if self.decimal_comma:
            dotted = next((cell for held in cells.values() for cell in held if _THOUSANDS.match(cell)), None)
            thousands = "" if dotted is None else f", and dots between thousands (such as {dotted})"
            self.notes.append(f"its numbers have decimal commas{thousands}")
        elif self.delimiter == ";":
            self.notes += _unclear_dots(cells)

    def is_flat(self, name: str) -> bool:
        """True: all cells are texts."""
        return True

    def _begin(self) -> tuple[list[str], int, str | None]:
        """(first whole lines, lines that lie before them, the delimiter if the file tells it)."""
        with open(self.path, "rb") as file:
            raw = file.read(_SAMPLE)
            if self.encoding != "utf-8" or b"\n" not in raw:
                raw += file.read(_LONGEST_HEADER * (4 if self.encoding == "utf-32" else 2))
        try:
            text = raw.decode("utf-8-sig" if self.encoding == "utf-8" else self.encoding, "ignore")
        except UnicodeError as error:
            raise SourceError(f"{self.path} is not {self.encoding.upper()}: {error}") from error
        whole = len(raw) == self.total
        header_end = text.find("\n")
        if header_end < 0 and not whole:
            raise SourceError(f"the first line of {self.path} is too long: it must contain the column names")
        text = text[: max(_SAMPLE, header_end + 1)]
        lines = io.StringIO(text, newline="").readlines()
        if len(lines) > 1 and not (whole and len(text) < _SAMPLE):
            lines.pop()  # may be cut
        skipped, told = 0, None
        if lines and (separator := _SEPARATOR.fullmatch(lines[0])):
            told, skipped = separator[1], 1
        while skipped < len(lines) and not lines[skipped].strip():
            skipped += 1
        return lines[skipped : skipped + _SAMPLE_LINES], skipped, told

    def _header(self, lines: list[str]) -> list[str]:
        """The names of the columns; those without one are numbered, and so is a column that rows have beyond them."""
        try:
            if self.quoted:
                reader = csv.reader(iter(lines), delimiter=self.delimiter)
                names = next(reader)
                body = lines[reader.line_num :]
                self._skipped += reader.line_num - 1
            else:
                names = [_unquoted(cell) for cell in lines[0].rstrip("\r\n").split(self.delimiter)]
                body = lines[1:]
        except (csv.Error, StopIteration) as error:  # such as a name of more than 131,072 characters
            raise SourceError(
                f"the first line of {self.path} must contain the column names: {error}"
            ) from error
        rows = [self._cells(line) for line in body if line.strip()]
        if rows and all(
            len(row) == len(names) + 1 for row in rows
        ):  # a delimiter at each end, or R's names of rows
            if not any(row[-1].strip() for row in rows):
                names = [*names, ""]
            elif [row[0] for row in rows] == [str(number) for number in range(1, len(rows) + 1)]:
                names = ["", *names]
        return [name if name.strip() else f"column {number}" for number, name in enumerate(names, 1)]

    def _cells(self, line: str) -> list[str]:
        line = line.rstrip("\r\n")
        return _split(line, self.delimiter) if self.quoted else line.split(self.delimiter)

    def batches(self, names: Sequence[str], *, geometry: bool, losses: Losses) -> Iterator[Batch]:
        """Rows in order, the cells of the columns asked for as texts; empty ones are null."""
        from pyarrow import csv as arrow_csv

        wanted = list(dict.fromkeys(names))
        convert = arrow_csv.ConvertOptions(
            include_columns=wanted or self.names[:1],
            column_types={name: pa.string() for name in wanted or self.names[:1]},
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        )
        parse = arrow_csv.ParseOptions(
            delimiter=self.delimiter,
            quote_char='"' if self.quoted else False,
            newlines_in_values=self.quoted and self.delimiter != "\t",
            invalid_row_handler=_Ragged(losses),
        )
        read = arrow_csv.ReadOptions(
            block_size=BLOCK_BYTES,
            column_names=self.names,
            skip_rows=self._skipped + 1,
            encoding=self._arrow_encoding(),
        )
        try:
            with open(self.path, "rb") as file:
                for batch in arrow_csv.open_csv(
                    file, read_options=read, parse_options=parse, convert_options=convert
                ):
                    cells = {name: batch.column(name) for name in wanted}
                    if self._has_quotes:
                        cells = {name: _unquoted_cells(one) for name, one in cells.items()}
                    yield Batch(cells, None, batch.num_rows, min(file.tell(), self.total))
        except (pa.ArrowException, OSError, ValueError) as error:
            if "Empty CSV" in str(error):
                return
            raise SourceError(self._explained(str(error))) from error

    def _arrow_encoding(self) -> str:
        return "utf8" if self.encoding == "utf-8" else self.encoding

    def _explained(self, error: str) -> str:
        """What Arrow says of a file, with what to do."""
        if "UTF8" in error or "codec can't decode" in error:
            return (
                f"{self.path} is not {self.encoding.upper()} throughout: convert it, for example with "
                "iconv -f latin1 -t utf-8"
            )
        if "straddling" in error:
            return (
                f"{self.path} has a row longer than {BLOCK_BYTES // 2**20} MiB, or a quote that nothing closes: "
                "leave out its long columns, or write Parquet"
            )
        return f"cannot read {self.path} as a table: {error}"


class _Ragged:
    """Leaves out the rows that have another number of cells, and counts them; Arrow calls it with each."""

    def __init__(self, losses: Losses) -> None:
        self._losses = losses

    def __call__(self, row: Any) -> str:
        lines = 1 + row.text.count("\n")
        first = row.text[:60].splitlines()[0] if row.text.strip() else ""
        self._losses.add(
            RAGGED,
            lines,
            f"{first!r} with {row.actual_columns:,} cells for {row.expected_columns:,} columns",
            "put cells that hold the delimiter into quotes"
            if row.actual_columns > row.expected_columns
            else "write one cell per column",
        )
        return "skip"


def _holds(path: Path, what: bytes) -> bool:
    """Whether a file holds some bytes anywhere."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(what) >= 0


def _delimiter(lines: list[str]) -> str:
    """The delimiter that the header has most of; of those that divide it, the one that divides the rows alike."""

    def fit(one: str) -> tuple[float, int]:
        columns = len(_split(lines[0], one))
        if columns < 2:
            return -1.0, 0
        rows = [line for line in lines[1:] if line.strip()]
        alike = sum(len(_split(line, one)) == columns for line in rows)
        return (alike / len(rows) if rows else 1.0) >= 0.5, columns

    return max(DELIMITERS, key=fit)


def _split(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return line.split(delimiter)


def _is_quoted(lines: list[str], delimiter: str) -> bool:
    """Whether quotes enclose cells: not where rows have a cell for each column without them, and with them do not.

    A stray quote at the beginning of a cell, as in ``"open`` or ``"6 inches`` would swallow the lines after it.
    """
    if not any('"' in line for line in lines):
        return delimiter != "\t"  # where there is none yet: in tables of tabs a later one is likely a stray
    columns = len(lines[0].split(delimiter))
    plain = all(len(line.split(delimiter)) == columns for line in lines if line.strip())
    if not plain:
        return True
    try:
        rows = list(csv.reader(iter(lines), delimiter=delimiter, strict=True))
    except csv.Error:
        return False
    return sum(bool(row) for row in rows) == sum(bool(line.strip()) for line in lines) and all(
        len(row) in (0, columns) for row in rows
    )


def _columns(lines: list[str], names: Sequence[str], delimiter: str, quoted: bool) -> dict[str, list[str]]:
    """The trimmed cells of the first rows, by column."""
    rows = [_split(line, delimiter) if quoted else line.split(delimiter) for line in lines]
    found: dict[str, list[str]] = {name: [] for name in names}
    for row in rows:
        for name, cell in zip(names, row, strict=False):
            found[name].append(cell.strip())
    return found


def _has_decimal_comma(columns: Mapping[str, Sequence[str]]) -> bool:
    """Whether numbers of the first rows have a decimal comma, and none has a decimal point.

    A dot before each three digits separates thousands, unless a column of coordinates has it.
    """
    pointed = any(
        _WITH_POINT.fullmatch(cell) and (name.lower() in _COORDINATES or not _THOUSANDS.fullmatch(cell))
        for name, held in columns.items()
        for cell in held
    )
    return not pointed and any(_WITH_COMMA.fullmatch(cell) for held in columns.values() for cell in held)


def _unclear_dots(columns: Mapping[str, Sequence[str]]) -> list[str]:
    """A note for each column in which every dot has three digits after it: decimals, or thousands?"""
    notes = []
    for name, held in columns.items():
        dotted = [cell for cell in held if "." in cell]
        if dotted and name.lower() not in _COORDINATES and all(map(_THOUSANDS.fullmatch, dotted)):
            plain = dotted[0].replace(".", "")
            notes.append(
                f"column {name!r}: {dotted[0]} is read with a decimal point; if the dot separates thousands, write "
                f"{plain}"
            )
    return notes


def _unquoted(cell: str) -> str:
    if len(cell) > 1 and cell[0] == cell[-1] == '"':
        return cell[1:-1].replace('""', '"')
    return cell


def _unquoted_cells(column: pa.Array) -> pa.Array:
    """Cells without the quotes around them, where there are any."""
    if not pc.any(pc.starts_with(column, '"')).as_py():
        return column
    inside = pc.replace_substring(pc.replace_substring_regex(column, r'^"(.*)"$', r"\1"), '""', '"')
    whole = pc.match_substring_regex(column, r'^".*"$')
    return pc.if_else(pc.fill_null(whole, False), inside, column)
