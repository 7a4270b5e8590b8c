"""Executors make the parts of a job, in any order: in this process, or in several of this machine.

A part is written by whoever makes it, atomically and with a checksum (`placevec.io.jobs`), so an executor only
distributes what is left to do. What it sends is small: paths, numbers of rows, and the hashes that they must have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, Protocol

from placevec.errors import PlacevecError
from placevec.io.progress import Advance, no_advance

Maker = Callable[[Any, Advance], Any]
"""``(content, advance) -> result``: makes one part."""


@dataclass(frozen=True)
class Part:
    """A part of a job that is not made yet.

    Attributes:
        name: for messages.
        content: what its maker needs to know of it.
        steps: of the progress bar.

    >>> Part("part-000003", [4, 5, 6], steps=3)
    Part(name='part-000003', content=[4, 5, 6], steps=3)
    """

    name: str
    content: Any
    steps: float = 1.0


class Work(Protocol):
    """How parts are made, with what this process has open."""

    def make(self, content: Any, advance: Advance) -> Any:
        """Make a part."""
        ...

    def elsewhere(self) -> Callable[[], Maker]:
        """What is sent to workers and called there once, for a maker: it holds paths, and opens them anew.

        Raises:
            PlacevecError: this process holds something that has no files.
        """
        ...


class Executor(Protocol):
    """Makes parts."""

    def run(self, work: Work, parts: Sequence[Part], advance: Advance) -> Iterator[tuple[Part, Any]]:
        """Make parts; yields each with its result when it is made.

        Args:
            work: how they are made.
            parts: what is to be made.
            advance: receives the steps of the progress bar.

        Raises:
            PlacevecError: a part cannot be made; says which and why. Those that are finished stay.
        """
        ...


class InThisProcess:
    """Makes one part after another.

    >>> class Doubling:
    ...     def make(self, content, advance):
    ...         return 2 * content
    >>> [result for _, result in InThisProcess().run(Doubling(), [Part("a", 1), Part("b", 2)], no_advance)]
    [2, 4]
    """

    def run(self, work: Work, parts: Sequence[Part], advance: Advance) -> Iterator[tuple[Part, Any]]:
        """See `Executor.run`; a maker that reports its own steps is shown as it goes."""
        for part in parts:
            done = 0.0

            def counted(steps: float = 1, note: str | None = None) -> None:
                nonlocal done
                done += steps
                advance(steps, note=note)

            result = work.make(part.content, counted)
            advance(part.steps - done)
            yield part, result


IN_THIS_PROCESS = InThisProcess()


class Processes:
    """Makes parts in new processes of this machine.

    Args:
        workers: number of processes.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def run(self, work: Work, parts: Sequence[Part], advance: Advance) -> Iterator[tuple[Part, Any]]:
        """See `Executor.run`; PlacevecError also if a process is killed."""
        if len(parts) < 2:
            yield from IN_THIS_PROCESS.run(work, parts, advance)
            return
        # Fresh interpreters: forking a process that has threads (torch, OpenCV, Arrow) can hang.
        count, context = min(self.workers, len(parts)), get_context("spawn")
        with ProcessPoolExecutor(
            count, mp_context=context, initializer=_keep, initargs=(work.elsewhere(),)
        ) as pool:
            waiting = {pool.submit(_make, part.content): part for part in parts}
            try:
                while waiting:
                    done, _ = wait(waiting, return_when=FIRST_COMPLETED, timeout=0.2)
                    for future in done:
                        part = waiting.pop(future)
                        result = future.result()
                        advance(part.steps)
                        yield part, result
            except BrokenProcessPool as error:
                raise PlacevecError(
                    "a worker process was killed, perhaps for lack of memory; run again with fewer --workers; finished "
                    "parts are kept"
                ) from error
            finally:
                for future in waiting:
                    future.cancel()


_OF_WORKER: dict[str, Any] = {}
"""In a worker process: how to open its work, and what that returned."""


def _keep(elsewhere: Callable[[], Maker]) -> None:
    _OF_WORKER["elsewhere"] = elsewhere  # opened with the first part, so that an error has a way back


def _make(content: Any) -> Any:
    if "make" not in _OF_WORKER:
        _OF_WORKER["make"] = _OF_WORKER["elsewhere"]()
    return _OF_WORKER["make"](content, no_advance)
