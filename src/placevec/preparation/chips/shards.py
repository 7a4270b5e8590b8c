"""Writes chips to disk: grouped by shape, in complete shards, so that a killed job continues after the last one.

While it works, ``.chips.work`` holds the rows of every shard that is whole; ``chips.parquet`` comes last.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from placevec.core import ViewSpec
from placevec.datasets.additions import Joining
from placevec.datasets.views.chips import (
    KIND,
    MAX_BANDS,
    MAX_ROWS,
    TABLE,
    THOUSANDS,
    TYPES,
    read_chips,
    shard_name,
)
from placevec.errors import InputError
from placevec.io import atomic, parquet
from placevec.io.jobs import Job

WORK = ".chips.work"
SHARD_BYTES = 2**28
"""Maximum bytes of a shard: large chips are fewer per file than `MAX_ROWS`."""
MAX_REFLECTANCE = 10.0
"""Largest number that pixels of type float32 can have as reflectances; snow and glint have up to 2."""
HELD_BYTES = 2**29
"""Maximum bytes of chips of different shapes in shards that are not full."""
SCHEMA = pa.schema(
    [
        ("place_id", pa.string()), ("view", pa.string()), ("shard", pa.int32()), ("row", pa.int32()),
        ("date", pa.date32()), ("bands", pa.list_(pa.string())), ("crs", pa.string()),
        ("transform", pa.list_(pa.float64(), 6)), ("source", pa.string()), ("offset_applied", pa.float32()),
        ("nodata", pa.float32()), ("cloud", pa.float32()),
    ]
)  # fmt: skip


@dataclass
class WrittenChips:
    """The files of one view.

    Attributes:
        table: its rows, as in ``chips.parquet``.
        sizes: (M, 2) int64 width and height of each row's chip.
        files: of the view, relative to the dataset.
        sha256: over all of its shards.
        types: of its pixels, such as ``uint16``.
        values: meaning of the numbers, if it is known; else they are as stored.
        in_thousands: whether pixels of type float32 are reflectances x 10,000.
    """

    table: pa.Table
    sizes: NDArray[np.int64]
    files: list[str]
    sha256: str
    types: tuple[str, ...]
    values: str = ""
    in_thousands: bool = False

    def spec(self, name: str) -> ViewSpec:
        """Specification of a view of what all chips have: their common bands, the smallest side.

        ``size_m`` is left open: chips of one view may differ in resolution. Raises InputError when no band is common.
        """
        joined = pc.binary_join(self.table["bands"].combine_chunks(), "\n").unique().to_pylist()
        bands = [tuple(names.split("\n")) for names in joined]
        common = tuple(band for band in bands[0] if all(band in other for other in bands))
        if not common:
            raise InputError(
                f"the chips have no band in common: {', '.join(bands[0])} and {', '.join(bands[1])}"
            )
        values = self.values or f"{' or '.join(self.types)} as stored{THOUSANDS if self.in_thousands else ''}"
        return ViewSpec(name, KIND, common, values, size_px=int(self.sizes.min()))

    def joining(
        self, name: str, what: str, source: Mapping[str, Any], *, size_m: float | None = None,
        report: Mapping[str, Any] | None = None,
    ) -> Joining:  # fmt: skip
        """What joins a dataset: a view of these chips, of squares of ``size_m`` meters if all are equal."""
        spec = replace(self.spec(name), size_m=size_m)
        return Joining(
            what, self.files, [source], views={name: {"spec": spec.as_dict(), "files": self.files}},
            report=report or {}, replaces=[TABLE],
        )  # fmt: skip


@dataclass
class _Group:
    """Chips of one shape, type and set of bands whose shard is not full."""

    most: int
    pixels: list[NDArray[Any]] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        return sum(chip.nbytes for chip in self.pixels)


class ChipWriter:
    """Writes the chips of one view into a dataset's directory.

    Args:
        folder: the dataset's directory, which may hold chips of other views.
        view: name of the view.
        inputs: what the chips are made of; what a killed job left of other inputs is removed.
        beside: the dataset that holds chips of other views, where ``folder`` is another; the new table holds theirs
            too.

        values: meaning of the numbers, if it is known.

    Attributes:
        done: sources whose chips are in whole shards already.
        done_places: places that have chips there.
    """

    def __init__(
        self,
        folder: Path,
        view: str,
        inputs: Mapping[str, Any],
        *,
        beside: Path | None = None,
        values: str = "",
    ) -> None:
        self.folder, self.view, self.values = folder, view, values
        self._job = Job(folder / WORK, {"view": view, "inputs": dict(inputs)})
        self._others = None
        if ((beside or folder) / TABLE).exists():
            table = read_chips(beside or folder)
            self._others = table.filter(pc.not_equal(table["view"], view))
            self._others = _with_all_columns(self._others)
        taken = [] if self._others is None else self._others["shard"].to_pylist()
        self._next = max([-1, *taken]) + 1
        self._parts: dict[int, pa.Table] = {}
        while (part := self._job.get(f"{self._next:04d}")) is not None:
            self._parts[self._next] = pq.read_table(pa.py_buffer(part))
            self._next += 1
        self.done = {str(source) for part in self._parts.values() for source in part["source"].to_pylist()}
        self.done_places = {
            str(place) for part in self._parts.values() for place in part["place_id"].to_pylist()
        }
        self._groups: dict[tuple[Any, ...], _Group] = {}

    def add(
        self,
        place_id: str,
        pixels: NDArray[Any],
        bands: tuple[str, ...],
        *,
        source: str,
        crs: str = "",
        transform: tuple[float, ...] | None = None,
        date: str | None = None,
        offset_applied: float | None = None,
        nodata: float | None = None,
        cloud: float | None = None,
    ) -> None:
        """Add one chip, (C, H, W) of `views.chips.TYPES`; full shards are written.

        Args:
            place_id: its place.
            pixels: the numbers.
            bands: (C,) their names.
            source: what it was read from; once in a view.
            crs: ``EPSG:n`` or WKT; empty if unknown.
            transform: a, b, c, d, e, f, see `views.chips`.
            date: ISO date on which it was taken.
            offset_applied: what was added to the stored numbers of its source.
            nodata: share of pixels without data.
            cloud: share of pixels with cloud or its shadow.

        Raises:
            InputError: pixels that are no chip.
        """
        if pixels.ndim != 3 or str(pixels.dtype) not in TYPES or 0 in pixels.shape:
            raise InputError(
                f"a chip must be (C, H, W) of {', '.join(TYPES)}; got {pixels.dtype} {pixels.shape}"
            )
        if len(pixels) != len(bands) or len(bands) > MAX_BANDS or len(set(bands)) < len(bands):
            raise InputError(f"a chip with {len(pixels)} bands needs as many distinct names; got {bands}")
        key = (pixels.shape, str(pixels.dtype), bands)
        most = min(MAX_ROWS, max(1, SHARD_BYTES // pixels.nbytes))
        group = self._groups.setdefault(key, _Group(most))
        group.pixels.append(pixels)
        group.rows.append(
            {
                "place_id": place_id, "view": self.view, "bands": list(bands), "crs": crs or None,
                "date": None if date is None else datetime.date.fromisoformat(date),
                "transform": None if transform is None else list(transform), "source": source,
                "offset_applied": offset_applied, "nodata": nodata, "cloud": cloud,
            }
        )  # fmt: skip
        if len(group.pixels) == group.most:
            self._flush(key)
        elif sum(each.bytes for each in self._groups.values()) > HELD_BYTES:
            self._flush(max(self._groups, key=lambda one: self._groups[one].bytes))

    def flush(self) -> None:
        """Write what is held, so that a killed job need not make it again."""
        for key in list(self._groups):
            self._flush(key)

    def _flush(self, key: tuple[Any, ...]) -> None:
        """Write a shard, then its rows, which mark it as complete."""
        group, shard = self._groups.pop(key), self._next
        path = self.folder / shard_name(shard)
        with atomic.replacing(path) as temporary, open(temporary, "wb") as file:
            np.lib.format.write_array(file, np.stack(group.pixels), allow_pickle=False)
        rows = [{**row, "shard": shard, "row": number} for number, row in enumerate(group.rows)]
        about = {"sha256": atomic.sha256_of_file(path), "shape": ",".join(map(str, key[0])), "dtype": key[1]}
        if key[1] == "float32":
            about["high"] = repr(max(_high(chip) for chip in group.pixels))
        part = pa.Table.from_pylist(rows, SCHEMA).replace_schema_metadata(about)
        content = pa.BufferOutputStream()
        pq.write_table(part, content, compression="zstd")
        self._job.put(f"{shard:04d}", content.getvalue().to_pybytes(), [path])
        self._parts[shard] = part
        self.done |= {str(row["source"]) for row in rows}
        self.done_places |= {str(row["place_id"]) for row in rows}
        self._next += 1

    def finish(self) -> WrittenChips:
        """Write the remaining chips, then ``chips.parquet``; the parts can be removed once the manifest is written.

        Raises InputError when there is no chip at all.
        """
        self.flush()
        if not self._parts:
            raise InputError("there are no chips to write")
        parts = [self._parts[shard] for shard in sorted(self._parts)]
        table = pa.concat_tables([part.replace_schema_metadata(None) for part in parts])
        about = [
            {name.decode(): value.decode() for name, value in part.schema.metadata.items()} for part in parts
        ]
        whole = table if self._others is None else pa.concat_tables([self._others.cast(SCHEMA), table])
        # parts that were read again have equal types, whose lists name their items otherwise: the same bytes are wanted
        whole = pa.Table.from_arrays(whole.columns, schema=SCHEMA)
        with atomic.replacing(self.folder / TABLE) as temporary:
            parquet.write_table(whole, temporary)
        sizes = [
            np.tile(np.array(one["shape"].split(",")[:0:-1], np.int64), (part.num_rows, 1))
            for one, part in zip(about, parts, strict=True)
        ]
        return WrittenChips(
            table,
            np.concatenate(sizes),
            [TABLE, *(shard_name(shard) for shard in sorted(self._parts))],
            atomic.sha256_of_json([one["sha256"] for one in about]),
            tuple(dict.fromkeys(one["dtype"] for one in about)),
            self.values,
            any(float(one.get("high", 0)) > MAX_REFLECTANCE for one in about),
        )


def _high(chip: NDArray[Any]) -> float:
    """A number that nearly all of a chip's pixels stay below; 0 if none is a number."""
    finite = chip[np.isfinite(chip)]
    return float(np.quantile(finite, 0.9)) if len(finite) else 0.0


def _with_all_columns(table: pa.Table) -> pa.Table:
    """A table of chips that an earlier version wrote, with the columns that came since, empty."""
    for name in SCHEMA.names:
        if name not in table.column_names:
            table = table.append_column(name, pa.nulls(table.num_rows, SCHEMA.field(name).type))
    return table.select(SCHEMA.names)
