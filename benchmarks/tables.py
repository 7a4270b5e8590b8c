"""Reading a table of a million rows (ids, coordinates, a class, a time, an observer) beside what only parses it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from benchmarks.measure import Row, interleaved, rate_row
from placevec.sources.tables.labeled_points import PointTable
from placevec.sources.tables.points import read_points

ROWS = 1_000_000
_COLUMNS = {"label": "species", "user": "who", "date": "seen"}


def made_up(rows: int = ROWS) -> pa.Table:
    """A table of sightings over the whole Earth."""
    random = np.random.default_rng(0)
    seconds = pa.array(random.integers(0, 365 * 86_400, rows) + 1_546_300_800, pa.timestamp("s"))
    return pa.table({
        "place_id": [f"p{row:07d}" for row in range(rows)],
        "lon": random.uniform(-180, 180, rows).round(6), "lat": random.uniform(-80, 80, rows).round(6),
        "species": [f"species {number}" for number in random.integers(0, 5000, rows)],
        "seen": seconds.cast(pa.string()), "who": [f"u{number}" for number in random.integers(0, 999, rows)],
    })  # fmt: skip


def _streamed(path: Path) -> int:
    return sum(len(rows) for rows in PointTable(path, _COLUMNS).batches())


def rows() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        text, packed = Path(folder) / "t.csv", Path(folder) / "t.parquet"
        table = made_up()
        csv.write_csv(table, text)
        pq.write_table(table, packed, compression="zstd")
        work: list[tuple[str, Callable[[], object], str, Callable[[], object]]] = [
            ("points streamed from CSV", lambda: _streamed(text), "pyarrow, all texts", lambda: _texts(text)),
            (
                "points streamed from Parquet",
                lambda: _streamed(packed),
                "pyarrow",
                lambda: pq.read_table(packed),
            ),
            ("places read from CSV", lambda: read_points(text), "pandas", lambda: pd.read_csv(text)),
            (
                "places read from Parquet",
                lambda: read_points(packed),
                "pandas",
                lambda: pd.read_parquet(packed),
            ),
        ]
        found = []
        for what, ours, against, theirs in work:
            mine, other = interleaved(3, ours, theirs)
            found.append(
                rate_row(what, mine, ROWS, other, ROWS, "rows/s", against, f"{ROWS:,} rows, six columns")
            )
        return found


def _texts(path: Path) -> pa.Table:
    names = csv.open_csv(path).schema.names
    return csv.read_csv(
        path, convert_options=csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()))
    )
