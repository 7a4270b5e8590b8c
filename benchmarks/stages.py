"""One burn with the time of its stages, in a fresh process: ``python -m benchmarks.stages EXTRACT FOLDER [ZOOM]``.

Prints JSON. Stages are timed by wrapping the functions in which they happen; the wrapping itself takes no time that
could be measured, since a shard calls each a few times.
"""

from __future__ import annotations

import time

started = time.perf_counter()

import json  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable, Iterator  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

from benchmarks.measure import peak_mb  # noqa: E402
from placevec.preparation.rasterize import draw as drawing  # noqa: E402
from placevec.preparation.rasterize import shard_job as shard_burn  # noqa: E402
from placevec.preparation.rasterize.pipeline import burn_extract  # noqa: E402
from placevec.sources.osm.reader import extent, read_header  # noqa: E402

STAGES = ("imports", "read", "geometry", "draw", "compress and write")
spent = dict.fromkeys(STAGES, 0.0)
imported = time.perf_counter() - started


def _timed(module: Any, name: str, stage: str) -> None:
    inner: Callable[..., Any] = getattr(module, name)

    def outer(*arguments: Any, **named: Any) -> Any:
        began = time.perf_counter()
        answer = inner(*arguments, **named)
        spent[stage] += time.perf_counter() - began
        return answer

    setattr(module, name, outer)


def _timed_steps(module: Any, name: str, stage: str) -> None:
    inner: Callable[..., Iterator[Any]] = getattr(module, name)

    def outer(*arguments: Any, **named: Any) -> Iterator[Any]:
        steps = inner(*arguments, **named)
        while True:
            began = time.perf_counter()
            step = next(steps, None)
            spent[stage] += time.perf_counter() - began
            if step is None:
                return
            yield step

    setattr(module, name, outer)


def main() -> None:
    """Burn, and print what it took."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    source, folder = Path(sys.argv[1]), sys.argv[2]
    for name in ("outline", "_cut_to_squares", "_grouped"):
        _timed(drawing, name, "geometry")
    _timed_steps(drawing, "_draw_groups", "draw")
    for name in ("_compressed", "_write_map", "write_part"):
        _timed(shard_burn, name, "compress and write")
    area = read_header(source).area or extent(source)
    report = burn_extract(source, folder, area=area, zoom=int(sys.argv[3]) if len(sys.argv) > 3 else 17)
    spent["imports"], spent["read"] = imported, report.seconds["read"]
    told = {
        "box": report.tiles,
        "content": len(report.nonempty_tiles),
        "stages": spent,
        "peak_mb": peak_mb(),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
