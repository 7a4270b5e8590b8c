"""Reading the entities of an extract, and preparing a dataset of them with all their texts, beside drawing its layers.

All three begin with the same file and end with files on the disk, but for entities that are merely read.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.extracts import embedded, extract
from benchmarks.measure import Row, interleaved
from placevec import api
from placevec.preparation.osm import held_area
from placevec.preparation.rasterize.pipeline import burn_extract
from placevec.sources.osm.entities.entities import read_entities
from placevec.sources.osm.extracts import resolve_extract
from placevec.sources.osm.reader import read_header

EXTRACTS = ("malta", "andorra")


def rows() -> list[Row]:
    found = (extract(name) for name in EXTRACTS)
    sources = [source for source in found if source is not None] or [embedded()]
    return [row for source in sources for row in _of(source)]


def _of(source: Path) -> list[Row]:
    area = held_area(resolve_extract(osm=source), read_header(source).area)
    name, numbers = source.name.removesuffix(".osm.pbf"), itertools.count()
    with tempfile.TemporaryDirectory() as folder:

        def fresh() -> Path:
            return Path(folder) / str(next(numbers))

        work: list[tuple[str, Callable[[], object]]] = [
            ("entities read", lambda: sum(map(len, read_entities(source)))),
            ("entities and texts prepared", lambda: api.prepare("where2vec", osm=source, out=fresh())),
        ]
        drawn, *timings = interleaved(
            3, lambda: burn_extract(source, fresh(), area=area), *(call for _, call in work)
        )
        count = len(api.prepare("where2vec", osm=source, out=fresh()))
    counted = f"{count:,} entities of {name}, one process, files in the page cache"
    return [
        Row(
            f"{what}, {name}", timing.median, drawn.median, "s", "drawing its twelve layers at zoom 17",
            drawn.median / timing.median, timing.spread, counted,
        )
        for (what, _), timing in zip(work, timings, strict=True)
    ]  # fmt: skip
