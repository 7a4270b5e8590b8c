"""Small requests that come at the same time are answered by one call of the model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Executor
from typing import Generic, TypeVar

from placevec.errors import PlacevecError

Item = TypeVar("Item")
Made = TypeVar("Made")


class Batcher(Generic[Item, Made]):
    """Collects items of one kind and answers them together, without waiting for more than are there.

    Those that come in one turn of the event loop, or while the model is busy, make the next batch.

    Args:
        work: kind, items -> one answer an item.
        executor: where it runs, one call at a time.
        size_of: how much an item counts.
        max_size: of a batch, unless one item alone is larger.
        max_waiting: size of all that wait; more raise `BusyError`.
        small: batches up to this size run in the event loop, where they take less time than a change of threads.
        counted: called once a batch.
    """

    def __init__(
        self,
        work: Callable[[Hashable, Sequence[Item]], Sequence[Made]],
        executor: Executor,
        *,
        size_of: Callable[[Item], int],
        max_size: int,
        max_waiting: int,
        small: int = 0,
        counted: Callable[[], None] = lambda: None,
    ) -> None:
        self._work, self._executor, self._size_of = work, executor, size_of
        self._max_size, self._max_waiting, self._small, self._counted = max_size, max_waiting, small, counted
        self._waiting: list[tuple[Hashable, Item, asyncio.Future[Made]]] = []
        self._size = 0
        self._running = False

    async def __call__(self, kind: Hashable, item: Item) -> Made:
        """The answer to one item; an error of the model about it, or `BusyError`."""
        size = self._size_of(item)
        if self._waiting and self._size + size > self._max_waiting:
            raise BusyError
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Made] = loop.create_future()
        self._waiting.append((kind, item, future))
        self._size += size
        if not self._running:
            self._running = True
            loop.call_soon(self._start)
        return await future

    def _start(self) -> None:
        """Begin with what waits; what is small is done here."""
        while self._waiting:
            kind, items, futures, size = self._next()
            if size > self._small:
                loop = asyncio.get_running_loop()
                running = loop.run_in_executor(self._executor, self._answers, kind, items)
                running.add_done_callback(lambda done, futures=futures: self._done(done, futures))  # type: ignore[misc]
                return
            _settle(self._answers(kind, items), futures)
        self._running = False

    def _done(
        self, done: asyncio.Future[list[Made | Exception]], futures: list[asyncio.Future[Made]]
    ) -> None:
        error = done.exception()
        _settle([error] * len(futures) if isinstance(error, Exception) else done.result(), futures)
        self._start()

    def _next(self) -> tuple[Hashable, list[Item], list[asyncio.Future[Made]], int]:
        """The items of the first kind that waits, up to the size of a batch."""
        kind, size = self._waiting[0][0], 0
        items: list[Item] = []
        futures: list[asyncio.Future[Made]] = []
        left = []
        for one in self._waiting:
            more = self._size_of(one[1])
            if one[0] == kind and (not items or size + more <= self._max_size):
                items.append(one[1])
                futures.append(one[2])
                size += more
            else:
                left.append(one)
        self._waiting = left
        self._size -= size
        return kind, items, futures, size

    def _answers(self, kind: Hashable, items: list[Item]) -> list[Made | Exception]:
        """One answer or error an item: an invalid one does not fail the others."""
        self._counted()
        try:
            return list(self._work(kind, items))
        except Exception as error:  # it is raised again where the item came from
            if len(items) == 1 or not isinstance(error, PlacevecError):
                return [error] * len(items)
        return [self._answers(kind, [item])[0] for item in items]


class BusyError(Exception):
    """More waits than may wait."""


def _settle(answers: Sequence[Made | Exception], futures: Sequence[asyncio.Future[Made]]) -> None:
    for answer, future in zip(answers, futures, strict=True):
        if future.done():  # its request is gone
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
