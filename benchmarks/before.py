"""What checks cost: the same work by an earlier commit and by this one, in turn in one run, each in a process that stays.

    git worktree add /tmp/before COMMIT
    python -m benchmarks.before /tmp/before/src [--repeats 7] [--rows 1000000] [--together]

Each side reads what it wrote itself: a dataset of Malta, vectors with checksums or without. The order changes from turn to
turn. Printed are the medians of processor seconds, the median of the ratios of each turn, the spread, and the load of the
machine. On a machine that others use, too, ``--together`` lets both sides work at once on one core, where the scheduler
changes between them every few milliseconds and others slow down both alike. Given the sources of this commit itself, it
shows what differs by chance.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.extracts import extract

ROOT = Path(__file__).resolve().parent.parent
DIM = 128
_READS = 8


def _malta_prepared(folder: Path, rows: int) -> None:
    from placevec import api

    shutil.rmtree(folder / "malta", ignore_errors=True)
    api.prepare("loc2vec", osm=extract("malta"), out=folder / "malta", zoom=15)


def _malta_read(folder: Path, rows: int) -> None:
    """The dataset opened, and windows at places drawn at random read from its shards."""
    import numpy as np
    import torch

    from placevec.core import Look
    from placevec.datasets.dataset import Dataset

    if not (folder / "malta").exists():
        _malta_prepared(folder, rows)
    dataset = Dataset.open(folder / "malta")
    for seed in range(_READS):
        chosen = np.random.default_rng(seed).integers(0, len(dataset), 128)
        dataset.view("map").read(Look(torch.from_numpy(chosen), torch.from_numpy(dataset.lonlat[chosen])))


def _table_read(folder: Path, rows: int) -> None:
    from placevec.sources.tables.points import read_points

    read_points(folder.parent / "table.csv")


def _packed_table_read(folder: Path, rows: int) -> None:
    from placevec.sources.tables.points import read_points

    read_points(folder.parent / "table.parquet")


def _vectors_read(folder: Path, rows: int) -> None:
    """Vectors that this side has written, at its first call."""
    import numpy as np

    from placevec import embeddings
    from placevec.embeddings import Embeddings, Provenance

    path = folder / "vectors.parquet"
    if not path.exists():
        draw = np.random.default_rng(0)
        vectors = draw.normal(size=(rows, DIM)).astype(np.float32)
        lonlat = np.stack([draw.uniform(-180, 180, rows), draw.uniform(-80, 80, rows)], axis=-1)
        ids = [f"p{row:07d}" for row in range(rows)]
        Embeddings(ids, vectors, lonlat, [None] * rows, [None] * rows, "map", Provenance("m", "d")).save(path)
    embeddings.load(path)


WORK: dict[str, Callable[[Path, int], None]] = {
    "Malta prepared (zoom 15)": _malta_prepared,
    "Malta opened, 1,024 windows read": _malta_read,
    "table read from CSV": _table_read,
    "table read from Parquet": _packed_table_read,
    f"vectors of {DIM} numbers read": _vectors_read,
}


def _serve(folder: Path, rows: int, core: int | None) -> None:
    if core is not None:
        os.sched_setaffinity(0, {core})
    for line in sys.stdin:
        call = WORK[line.strip()]
        began, wall = time.process_time(), time.perf_counter()
        call(folder, rows)
        print(json.dumps([time.process_time() - began, time.perf_counter() - wall]), flush=True)


class _Side:
    """A process that works with the sources of one commit."""

    def __init__(self, source: Path, folder: Path, rows: int, core: int | None) -> None:
        folder.mkdir()
        command = [sys.executable, "-m", "benchmarks.before", "--serve", str(folder), "--rows", str(rows)]
        command += [] if core is None else ["--core", str(core)]
        paths = {"PYTHONPATH": f"{source}:{ROOT}", "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **paths},
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def begin(self, work: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(work + "\n")
        self._process.stdin.flush()

    def seconds(self, work: str) -> tuple[float, float]:
        """Of the processor and of the clock, once it has done what was begun."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("["):
                spent, wall = json.loads(line)
                return float(spent), float(wall)
        raise RuntimeError(f"the process ended during {work!r}")

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def _turn(sides: list[_Side], work: str, together: bool) -> list[tuple[float, float]]:
    """Seconds of each side, which work one after the other or at once."""
    found = {}
    for some in [sides] if together else [[side] for side in sides]:
        for side in some:
            side.begin(work)
        found.update({id(side): side.seconds(work) for side in some})
    return [found[id(side)] for side in sides]


def measured(
    before: Path, repeats: int, rows: int, works: list[str], together: bool = False
) -> list[dict[str, Any]]:
    """One dictionary a kind of work."""
    import pyarrow.parquet as pq
    from pyarrow import csv

    from benchmarks.tables import made_up

    found = []
    with tempfile.TemporaryDirectory(prefix="placevec-before-") as text:
        folder = Path(text)
        table = made_up(rows)
        csv.write_csv(table, folder / "table.csv")
        pq.write_table(table, folder / "table.parquet", compression="zstd")
        del table
        core = min(os.sched_getaffinity(0)) if together else None
        sides = [
            _Side(before, folder / "before", rows, core),
            _Side(ROOT / "src", folder / "after", rows, core),
        ]
        for work in works:
            _turn(sides, work, together=False)  # libraries are loaded, files are in memory
            turns: list[list[tuple[float, float]]] = []
            for turn in range(repeats):
                if turn % 2:
                    turns.append(_turn(sides, work, together))
                else:
                    turns.append(_turn(sides[::-1], work, together)[::-1])
            ratios = [after[0] / earlier[0] for earlier, after in turns]
            found.append({
                "work": work,
                "before": statistics.median(one[0][0] for one in turns),
                "after": statistics.median(one[1][0] for one in turns),
                "ratio": statistics.median(ratios), "ratios": sorted(round(one, 3) for one in ratios),
                "wall": statistics.median(after[1] / earlier[1] for earlier, after in turns),
                "load": os.getloadavg()[0],
            })  # fmt: skip
            print(found[-1], flush=True)
        for side in sides:
            side.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("before", type=Path, nargs="?", help="folder of the sources of the earlier commit")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--work", nargs="*", default=None, help=f"of {', '.join(WORK)}")
    parser.add_argument("--together", action="store_true", help="both sides at once, on one core")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--core", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        _serve(options.serve, options.rows, options.core)
        return
    chosen = [name for name in WORK if options.work is None or any(one in name for one in options.work)]
    for row in measured(options.before, options.repeats, options.rows, chosen, options.together):
        print(
            f"| {row['work']} | {row['before']:.3f} s | {row['after']:.3f} s | {row['ratio']:.3f} | "
            f"{row['ratios'][0]} to {row['ratios'][-1]} | load {row['load']:.1f} |"
        )


if __name__ == "__main__":
    main()
