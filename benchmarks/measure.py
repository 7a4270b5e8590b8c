"""Timing: interleaved repeats, so that a busy machine disturbs both sides alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Timing:
    """Seconds of each repeat by the clock, and of the processor."""

    seconds: list[float]
    processor: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def median_processor(self) -> float:
        return statistics.median(self.processor)

    @property
    def spread(self) -> str:
        return f"{min(self.seconds):.3g} to {max(self.seconds):.3g} s"


@dataclass
class Row:
    """One line of BENCHMARKS.md.

    ``ours`` and ``theirs`` are rates or times in ``unit``; ``ratio`` is how many times better ours is.
    """

    what: str
    ours: float
    theirs: float
    unit: str
    against: str
    ratio: float
    spread: str
    counted: str


def interleaved(
    repeats: int, *work: Callable[[], object], clock: Callable[[], float] = time.perf_counter
) -> list[Timing]:
    """Time each callable ``repeats`` times, taking turns, after one untimed call each; ``clock`` gives seconds."""
    timings: list[Timing] = [Timing([]) for _ in work]
    for call in work:
        call()
    for _ in range(repeats):
        for timing, call in zip(timings, work, strict=True):
            started, used = clock(), time.process_time()
            call()
            timing.processor.append(time.process_time() - used)
            timing.seconds.append(clock() - started)
    return timings


def rate_row(
    what: str,
    ours: Timing,
    our_count: int,
    theirs: Timing,
    their_count: int,
    unit: str,
    against: str,
    counted: str,
) -> Row:
    """A row of two rates (count / median seconds)."""
    a, b = our_count / ours.median, their_count / theirs.median
    spread = f"{our_count / max(ours.seconds):,.0f} to {our_count / min(ours.seconds):,.0f}"
    return Row(what, a, b, unit, against, a / b, spread, counted)


def peak_mb() -> float:
    """The most memory that this process had in use, files that it mapped included.

    Not ``ru_maxrss`` where it can be helped: on Linux a process begins with that of the one it was forked from.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
