"""Writes chips to disk: grouped by shape, in complete shards, so that a killed job continues after the last one.

While it works, ``.chips.work`` holds the rows of every shard that is whole; ``chips.parquet`` comes last.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from placevec.core import ViewSpec
from placevec.datasets.views.chips import KIND, MAX_BANDS, MAX_ROWS, TABLE, TYPES, read_chips, shard_name
from placevec.errors import InputError
from placevec.io import atomic
from placevec.io.jobs import Job

WORK = ".chips.work"
SHARD_BYTES = 2**28
"""Maximum bytes of a shard: large chips are fewer per file than `MAX_ROWS`."""
HELD_BYTES = 2**29
"""Maximum bytes of chips of different shapes in shards that are not full."""
SCHEMA = pa.schema(
    [
        ("place_id", pa.string()), ("view", pa.string()), ("shard", pa.int32()), ("row", pa.int32()),
        ("date", pa.date32()), ("bands", pa.list_(pa.string())), ("crs", pa.string()),
        ("transform", pa.list_(pa.float64(), 6)), ("source", pa.string()),
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
    """

    table: pa.Table
    sizes: NDArray[np.int64]
    files: list[str]
    sha256: str
    types: tuple[str, ...]

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
        values = f"{' or '.join(self.types)} as stored"
        return ViewSpec(name, KIND, common, values, size_px=int(self.sizes.min()))


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

    Attributes:
        done: sources whose chips are in whole shards already.
    """

    def __init__(
        self, folder: Path, view: str, inputs: Mapping[str, Any], *, beside: Path | None = None
    ) -> None:
        self.folder, self.view = folder, view
        self._job = Job(folder / WORK, {"view": view, "inputs": dict(inputs)})
        self._others = None
        if ((beside or folder) / TABLE).exists():
            table = read_chips(beside or folder)
            self._others = table.filter(pc.not_equal(table["view"], view))
        taken = [] if self._others is None else self._others["shard"].to_pylist()
        self._next = max([-1, *taken]) + 1
        self._parts: dict[int, pa.Table] = {}
        while (part := self._job.get(f"{self._next:04d}")) is not None:
            self._parts[self._next] = pq.read_table(pa.py_buffer(part))
            self._next += 1
        self.done = {str(source) for part in self._parts.values() for source in part["source"].to_pylist()}
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
    ) -> None:
        """Add one chip, (C, H, W) of `views.chips.TYPES`; full shards are written.

        ``source`` names what it was read from, once in a view. Raises InputError for pixels that are no chip.
        """
        if pixels.ndim != 3 or str(pixels.dtype) not in TYPES or 0 in pixels.shape:
            raise InputError(
                f"a chip must be (C, H, W) of {', '.join(TYPES)}; got {pixels.dtype} {pixels.shape}"
            )
        if len(pixels) != len(bands) or len(bands) > MAX_BANDS or len(set(bands)) < len(bands):
            raise InputError(f"a chip of {len(pixels)} bands needs as many distinct names; got {bands}")
        key = (pixels.shape, str(pixels.dtype), bands)
        most = min(MAX_ROWS, max(1, SHARD_BYTES // pixels.nbytes))
        group = self._groups.setdefault(key, _Group(most))
        group.pixels.append(pixels)
        group.rows.append(
            {
                "place_id": place_id, "view": self.view, "bands": list(bands), "crs": crs or None,
                "date": None if date is None else datetime.date.fromisoformat(date),
                "transform": None if transform is None else list(transform), "source": source,
            }
        )  # fmt: skip
        if len(group.pixels) == group.most:
            self._flush(key)
        elif sum(each.bytes for each in self._groups.values()) > HELD_BYTES:
            self._flush(max(self._groups, key=lambda one: self._groups[one].bytes))

    def _flush(self, key: tuple[Any, ...]) -> None:
        """Write a shard, then its rows, which mark it as complete."""
        group, shard = self._groups.pop(key), self._next
        path = self.folder / shard_name(shard)
        with atomic.replacing(path) as temporary, open(temporary, "wb") as file:
            np.lib.format.write_array(file, np.stack(group.pixels), allow_pickle=False)
        rows = [{**row, "shard": shard, "row": number} for number, row in enumerate(group.rows)]
        about = {"sha256": atomic.sha256_of_file(path), "shape": ",".join(map(str, key[0])), "dtype": key[1]}
        part = pa.Table.from_pylist(rows, SCHEMA).replace_schema_metadata(about)
        content = pa.BufferOutputStream()
        pq.write_table(part, content, compression="zstd")
        self._job.put(f"{shard:04d}", content.getvalue().to_pybytes(), [path])
        self._parts[shard] = part
        self._next += 1

    def finish(self) -> WrittenChips:
        """Write the remaining chips, then ``chips.parquet``; the parts can be removed once the manifest is written.

        Raises InputError when there is no chip at all.
        """
        for key in list(self._groups):
            self._flush(key)
        if not self._parts:
            raise InputError("there are no chips to write")
        parts = [self._parts[shard] for shard in sorted(self._parts)]
        table = pa.concat_tables([part.replace_schema_metadata(None) for part in parts])
        about = [
            {name.decode(): value.decode() for name, value in part.schema.metadata.items()} for part in parts
        ]
        whole = table if self._others is None else pa.concat_tables([self._others.cast(SCHEMA), table])
        with atomic.replacing(self.folder / TABLE) as temporary:
            pq.write_table(whole.replace_schema_metadata(None), temporary, compression="zstd")
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
        )
