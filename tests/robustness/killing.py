"""Killing a command again and again until it has been killed often enough, and holding what it makes to the truth.

The truth is the output of the same command without a kill. Moments are drawn from a seed, uniformly over the time
that took, or aimed: uniformly over the calls that draw, that write and that rename, in turn. Whenever a run gets to its
end before its moment, its output is compared and the next starts afresh.
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tests.robustness.aimed import KINDS, Aim
from tests.robustness.commands import Ended, refused
from tests.robustness.content import leftovers


class Runner(Protocol):
    def __call__(self, *arguments: object, kill_after: float | None = None) -> Ended: ...


class AimedRunner(Runner, Protocol):
    def __call__(
        self,
        *arguments: object,
        kill_after: float | None = None,
        aim: Aim | None = None,
        counting: bool = False,
    ) -> Ended: ...


@dataclass(frozen=True)
class Job:
    """A command that resumes.

    Attributes:
        name: for people.
        arguments: the command line that makes an output.
        content: what must be the same (see `tests.robustness.content`).
        output: name of what is made.
        always_opens: whether it is there, whole, at every moment, because an old one is being replaced.
        before: makes what is there before the first start.
    """

    name: str
    arguments: Callable[[Path], list[object]]
    content: Callable[[Path], dict[str, Any]]
    output: str = "out"
    always_opens: bool = False
    before: Callable[[Path], None] | None = None


@dataclass
class Tally:
    """What happened: kills, how many of them left something that opens, comparisons, length of a whole run."""

    name: str
    seconds: float = 0.0
    kills: int = 0
    opened: int = 0
    refused: int = 0
    absent: int = 0
    compared: int = 0
    moments: list[object] = field(default_factory=list)
    hit: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        how = (
            ", ".join(f"{count} while {kind}" for kind, count in self.hit.items())
            or f"over {self.seconds:.2f} s"
        )
        return (
            f"{self.name}: {self.kills} kills {how}; afterwards {self.opened} outputs opened, "
            f"{self.refused} were refused in one line, {self.absent} were not yet there; {self.compared} resumed to "
            "the end, all identical to the uninterrupted one"
        )


def kill_and_resume(job: Job, run: Runner, folder: Path, *, kills: int, seed: int, info: Runner) -> Tally:
    """Kill ``job`` ``kills`` times; AssertionError where anything is lost, left over or different."""
    tally = Tally(job.name)
    expected, tally.seconds = _whole(job, run, folder / "whole", times=1 if kills < 10 else 3)
    draw = random.Random(f"{job.name} {seed}")

    def strike(arguments: list[object]) -> tuple[object, Ended]:
        moment = draw.uniform(0.0, tally.seconds)
        return moment, run(*arguments, kill_after=moment)

    return _torment(job, run, folder, kills, info, expected, tally, strike)


def kill_and_resume_aimed(
    job: Job, run: AimedRunner, folder: Path, *, kills: int, seed: int, info: Runner
) -> Tally:
    """`kill_and_resume`, with kills while drawing, writing and renaming in turn; each of them hits."""
    tally = Tally(f"{job.name}, aimed")
    expected, tally.seconds = _whole(job, run, folder / "whole", times=1)
    _start_afresh(job, folder / "counted")
    counts = run(*job.arguments(folder / "counted" / job.output), counting=True).counts
    shutil.rmtree(folder / "counted")
    kinds = [kind for kind in KINDS if counts.get(kind)]
    assert kinds, "nothing of what is aimed at is ever called"
    draw = random.Random(f"{job.name} {seed}")

    def strike(arguments: list[object]) -> tuple[object, Ended]:
        kind = min(kinds, key=lambda one: tally.hit[one])
        aim = (kind, draw.randint(1, counts[kind]), draw.random() < 0.5)
        ended = run(*arguments, aim=aim)
        tally.hit[kind] += ended.killed
        return aim, ended

    return _torment(job, run, folder, kills, info, expected, tally, strike)


def _torment(
    job: Job,
    run: Runner,
    folder: Path,
    kills: int,
    info: Runner,
    expected: dict[str, Any],
    tally: Tally,
    strike: Callable[[list[object]], tuple[object, Ended]],
) -> Tally:
    here = folder / "killed"
    _start_afresh(job, here)
    while tally.kills < kills:
        moment, ended = strike(job.arguments(here / job.output))
        if ended.killed:
            tally.kills += 1
            tally.moments.append(moment)
            _look(job, info, here / job.output, tally)
        else:
            _compare(job, ended, here, expected, tally)
            _start_afresh(job, here)
    ended = run(*job.arguments(here / job.output))
    _compare(job, ended, here, expected, tally)
    shutil.rmtree(folder)
    return tally


def _whole(job: Job, run: Runner, folder: Path, times: int) -> tuple[dict[str, Any], float]:
    """The truth, and the seconds it takes: the shortest of some runs."""
    seconds = []
    for _ in range(times):
        _start_afresh(job, folder)
        ended = run(*job.arguments(folder / job.output))
        assert ended.code == 0, ended.err
        assert leftovers(folder) == []
        seconds.append(ended.seconds)
    return job.content(folder / job.output), min(seconds)


def _start_afresh(job: Job, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if job.before is not None:
        job.before(folder / job.output)


def _look(job: Job, info: Runner, output: Path, tally: Tally) -> None:
    """After a kill the output opens, or is refused in one clear line, or is not there."""
    told = info("info", output)
    if told.code == 0:
        tally.opened += 1
    else:
        refused(told)
        assert not job.always_opens, told.err
        if output.exists():
            tally.refused += 1
        else:
            tally.absent += 1


def _compare(job: Job, ended: Ended, folder: Path, expected: dict[str, Any], tally: Tally) -> None:
    assert ended.code == 0, (job.name, ended.code, ended.err, tally.moments)
    found = job.content(folder / job.output)
    different = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))
    assert not different, (job.name, different, tally.moments)
    assert leftovers(folder) == [], (job.name, tally.moments)
    tally.compared += 1
