"""Two local workers of a Ray cluster against one, on `embed` and `prepare`; one thread each, start-up excluded.

Malta, copied side by side ``PLACEVEC_BENCH_COPIES`` times (default 4; 100 for the figures of the documentation: half an
hour of processor time, 3 GB of disk); without the shared data the embedded Helsinki extract. Workers have made a part
of the same kind before the clock starts, so that the cluster, the processes and their imports are there; what each
job opens (model, dataset) counts. Wall time, so it needs two cores that nobody else uses; what was counted also has
processor seconds, which a busy machine hardly changes: of this process, of all workers, and the longest path (this
process and then its busiest worker), whose ratio is what an idle machine could reach at most if the two never overlap.

*Prepare* is the whole drawing of the map: the extract is read by one process, and its shards are drawn by the workers.
The second row is the drawing alone. *Embed* is the whole table, from the places to the file.
"""

from __future__ import annotations

import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.copies import write_copies
from benchmarks.extracts import embedded, extract
from benchmarks.measure import Row, Timing
from placevec import api
from placevec.datasets.dataset import Dataset
from placevec.distributed.engine import Engine
from placevec.distributed.executors import Executor
from placevec.distributed.ray_executor import RayExecutor, on_ray
from placevec.inference.embed import EMBED_PART, embed_in_parts, inputs_of_parts
from placevec.io.jobs import opened
from placevec.io.progress import SILENT, Progress
from placevec.models.model import Model
from placevec.preparation.rasterize.pipeline import burn_extract
from placevec.sources.osm.reader import extent, read_header

WORKERS, REPEATS = 2, int(os.environ.get("PLACEVEC_BENCH_REPEATS", "3"))
COPIES = int(os.environ.get("PLACEVEC_BENCH_COPIES", "4"))


@dataclass
class Work:
    """What a number of workers took, run by run.

    Attributes:
        wall: seconds by the clock.
        driver: processor seconds of this process.
        workers: processor seconds of each worker.
    """

    wall: Timing = field(default_factory=lambda: Timing([]))
    driver: list[float] = field(default_factory=list)
    workers: list[list[float]] = field(default_factory=list)

    @property
    def path(self) -> float:
        """Processor seconds of this process and of its busiest worker, median of all runs."""
        runs = zip(self.driver, self.workers, strict=True)
        return statistics.median(driver + max(workers) for driver, workers in runs)

    def __str__(self) -> str:
        driver = statistics.median(self.driver)
        return f"{driver:.1f} s here, {statistics.median(map(sum, self.workers)):.1f} s in workers, path {self.path:.1f} s"

    @contextmanager
    def measured(self, executor: RayExecutor) -> Iterator[None]:
        """Adds the processor time of a run by workers that have started; its caller adds the clock's."""
        started = dict.fromkeys(process for _, process in executor.found)
        processes = [process for process in started if Path(f"/proc/{process}").exists()]
        before, own = [_processor_seconds(process) for process in processes], time.process_time()
        yield
        self.driver.append(time.process_time() - own)
        after = [_processor_seconds(process) for process in processes]
        self.workers.append([late - early for early, late in zip(before, after, strict=True)])


def _processor_seconds(process: int) -> float:
    """Of a process and all of its threads, user and system; fields 14 and 15 of ``/proc/PID/stat``, see proc(5)."""
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Ready(Engine):
    """The engine of workers that run already."""

    def __init__(self, executor: Executor) -> None:
        object.__setattr__(self, "executor", executor)

    @contextmanager
    def opened(self, progress: Progress) -> Iterator[Executor]:
        yield self.executor  # type: ignore[attr-defined]


def rows() -> list[Row]:
    source = extract("malta")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if source is None:
            osm, options, what = embedded(), {"spacing": 20, "size_m": 120}, "the embedded Helsinki extract"
        elif COPIES > 1:
            osm, options, what = folder / "copies.osm.pbf", {}, f"{COPIES} times Malta"
            write_copies(source, osm, COPIES)
        else:
            osm, options, what = source, {}, "Malta"
        dataset = api.prepare("loc2vec", osm=osm, out=folder / "places", **options)
        with on_ray(None, WORKERS, 0.0, SILENT) as two:
            one = RayExecutor(two._ray, 1, 0.0, SILENT)
            found = []
            try:
                # A cluster of two CPUs has room for two workers: one side at a time holds them.
                prepared = _prepare(osm, source or osm, folder, (one, two))
                found += [
                    _row(label, works, count, unit, counted.format(what=what, count=count))
                    for label, works, count, unit, counted in prepared
                ]
                works = _embed(dataset, folder, (one, two))
                found.append(
                    _row("embed", works, len(dataset), "places/s", f"{len(dataset):,} places of {what}")
                )
            finally:
                one.close()
        return found


def _row(what: str, works: Sequence[Work], count: int, unit: str, counted: str) -> Row:
    one, two = works
    ours, theirs = count / two.wall.median, count / one.wall.median
    spread = f"{count / max(two.wall.seconds):,.0f} to {count / min(two.wall.seconds):,.0f}"
    if two.driver:
        counted += f"; processor time: two workers {two}; one {one}; ratio of paths {one.path / two.path:.2f}"
    return Row(
        f"{what} on Ray, {WORKERS} workers", ours, theirs, unit, "one worker", ours / theirs, spread, counted
    )


def _alone(mine: RayExecutor, others: Sequence[RayExecutor], warm: Callable[[], object]) -> None:
    """End all workers, and repeat a small job until all of one's own have started."""
    for other in others:
        other.close()
    before = set(mine.found)
    while len(set(mine.found) - before) < mine.workers:
        warm()


def _prepare(
    osm: Path, small: Path, folder: Path, executors: Sequence[RayExecutor]
) -> list[tuple[str, list[Work], int, str, str]]:
    """(name, work of one and of two workers, count, unit, what was counted) of the whole and of the drawing."""
    number = itertools.count()
    drawing = {id(executor): Work() for executor in executors}
    shards = 0

    def prepare(osm: Path, executor: RayExecutor) -> float:
        nonlocal shards
        area = read_header(osm).area or extent(osm)
        report = burn_extract(osm, folder / f"map-{next(number)}", area=area, engine=Ready(executor))
        drawing[id(executor)].wall.seconds.append(report.seconds["burn"])
        shards = report.shards
        return sum(report.seconds.values())

    whole = [Work() for _ in executors]
    for _ in range(REPEATS):
        for work, executor in zip(whole, executors, strict=True):
            kept = len(drawing[id(executor)].wall.seconds)
            _alone(executor, executors, partial(prepare, small, executor))
            del drawing[id(executor)].wall.seconds[kept:]
            with work.measured(executor):
                work.wall.seconds.append(prepare(osm, executor))
    counted = "{count:,} shards of the map of {what}"
    return [
        ("prepare, the whole map", whole, shards, "shards/s", counted),
        ("prepare, drawing alone", [drawing[id(one)] for one in executors], shards, "shards/s", counted),
    ]


def _embed(dataset: Dataset, folder: Path, executors: Sequence[RayExecutor]) -> list[Work]:
    model, number = Model.load("base"), itertools.count()
    views, every = list(model.views_of(dataset)), np.arange(len(dataset))

    def embed(executor: RayExecutor, rows: np.ndarray) -> None:
        out = folder / f"vectors-{next(number)}.parquet"
        with opened(out, inputs_of_parts(model, dataset, views, 64)) as job:
            found = embed_in_parts(model, dataset, rows, views, job, 64, SILENT, executor)
            model.tables(dataset, rows, found).save(out)
            job.finish()

    works = [Work() for _ in executors]
    for _ in range(REPEATS):
        for work, executor in zip(works, executors, strict=True):
            _alone(executor, executors, partial(embed, executor, every[: EMBED_PART * executor.workers]))
            started = time.perf_counter()
            with work.measured(executor):
                embed(executor, every)
            work.wall.seconds.append(time.perf_counter() - started)
    return works
