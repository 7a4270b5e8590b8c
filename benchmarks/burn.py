"""From an extract to renamed shards, in a process of its own that starts cold; and drawing alone beside others.

Tiles are counted twice: all of the area's box, and those that something besides the layers of places and boundaries
touches (an island's ``place=island`` alone would make every tile of its land count).
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import drawing
from benchmarks.extracts import embedded, extract
from benchmarks.measure import Row, Timing
from benchmarks.stages import STAGES

REPEATS = 3


class Cold(NamedTuple):
    """One cold run: seconds by the clock and of the processor, tiles, and seconds by stage."""

    seconds: float
    processor: float
    box: int
    content: int
    stages: dict[str, float]
    peak_mb: float


def cold(source: Path, python_cache: Path) -> Cold:
    """Burn an extract at zoom 17 in a fresh interpreter on one core."""
    # As on a user's machine: compiled modules are there.
    environment = os.environ | {"PYTHONPYCACHEPREFIX": str(python_cache), "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as folder:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.perf_counter()
        out = subprocess.run(
            [sys.executable, "-m", "benchmarks.stages", str(source), folder],
            check=True, capture_output=True, text=True, env=environment,
        )  # fmt: skip
        seconds = time.perf_counter() - started
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    told: dict[str, Any] = json.loads(out.stdout)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    stages = told["stages"]
    stages["rest"] = seconds - sum(stages.values())
    return Cold(seconds, processor, told["box"], told["content"], stages, told["peak_mb"])


def rows() -> list[Row]:
    """Malta and Andorra cold, and drawing alone; the embedded extract where these are missing."""
    sources = [found for name in ("malta", "andorra") if (found := extract(name))] or [embedded()]
    table = drawing.rows(sources[0])
    rasterio = table[0].theirs
    with tempfile.TemporaryDirectory() as python_cache:
        cold(sources[0], Path(python_cache))  # compiles modules, and brings the files into memory
        for source in sources:
            runs = [cold(source, Path(python_cache)) for _ in range(REPEATS)]
            table += _cold_rows(source.name.removesuffix(".osm.pbf"), runs, rasterio)
    return table


def _cold_rows(name: str, runs: list[Cold], rasterio: float) -> list[Row]:
    """A row for each way of counting tiles."""
    clock = Timing([run.seconds for run in runs])
    middle = sorted(runs, key=lambda run: run.seconds)[len(runs) // 2]
    split = ", ".join(f"{stage} {middle.stages[stage]:.2f}" for stage in (*STAGES, "rest"))
    processor = min(run.processor for run in runs)
    counted = (
        f"whole process on one core, extract to renamed shards; seconds: {split}; processor {processor:.2f}"
    )
    found = []
    for what, tiles in (("tiles of the box", middle.box), ("tiles with content", middle.content)):
        rate = tiles / clock.median
        found.append(
            Row(
                f"cold, {name}, {what}", rate, rasterio, "tiles/s", "rasterio.features, drawing alone",
                rate / rasterio, f"{tiles / max(clock.seconds):,.0f} to {tiles / min(clock.seconds):,.0f}",
                f"{tiles:,} {what}, {counted}",
            )
        )  # fmt: skip
    return found
