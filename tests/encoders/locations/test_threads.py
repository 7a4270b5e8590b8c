"""Many points on a CPU are worked out on threads of our own. Oracle: the features of the same points in one go."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import Tensor

from placevec.encoders.locations import positional
from placevec.encoders.locations.positional import AT_ONCE, table_of
from placevec.encoders.locations.sphere import SphereC

FEATURES = SphereC(scales=4)


@pytest.fixture
def torch_threads() -> Iterator[Callable[[int], None]]:
    """Sets how many threads torch has; as before afterwards."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def points(count: int) -> tuple[Tensor, Tensor]:
    return torch.linspace(-180, 180, count).double(), torch.linspace(-90, 90, count).double()


def right(count: int) -> bool:
    """Whether the table of so many points holds their features."""
    return torch.allclose(table_of(FEATURES, *points(count)), FEATURES(*points(count)), atol=1e-12)


def ours() -> int:
    return sum(one.name.startswith("location-features") for one in threading.enumerate())


def test_threads_do_not_grow_with_calls_of_other_sizes(torch_threads: Callable[[int], None]) -> None:
    """At most as many as torch has, whichever numbers of parts there were; and as many as it has now, soon."""
    torch_threads(6)
    assert all(right(parts * AT_ONCE) for parts in (2, 3, 5, 4, 6, 12, 2))
    deadline = time.monotonic() + 30
    for many in (6, 3, 2):
        torch_threads(many)
        assert right(12 * AT_ONCE)
        while ours() > many and time.monotonic() < deadline:
            time.sleep(0.01)
        assert ours() <= many


def test_callers_of_other_numbers_of_threads_do_not_end_each_others_work(
    torch_threads: Callable[[int], None],
) -> None:
    """Torch keeps the number for every thread, so that two callers take turns with the pool."""

    def caller(many: int) -> bool:
        torch.set_num_threads(many)
        return all(right(4 * AT_ONCE) for _ in range(50))

    with ThreadPoolExecutor(2) as callers:
        assert all(callers.map(caller, [2, 3]))


def test_an_error_reaches_the_caller(torch_threads: Callable[[int], None]) -> None:
    torch_threads(2)

    def work(number: int) -> None:
        raise ValueError(number)

    with pytest.raises(ValueError, match="0"):
        positional._THREADS.run(work, 2)
    assert right(4 * AT_ONCE)


def _forked(expected: np.ndarray, answer: multiprocessing.SimpleQueue[bool]) -> None:
    """Numpy compares: torch's OpenMP, which is not what is tested, may hang in a fork after use."""
    found = [table_of(FEATURES, *points(len(expected))).numpy() for _ in range(20)]
    answer.put(all(np.allclose(one, expected, atol=1e-12) for one in found))


@pytest.mark.parametrize("held", [False, True])
def test_a_fork_after_use_has_threads_of_its_own(torch_threads: Callable[[int], None], held: bool) -> None:
    """Also where another thread was about to hand out work: its lock would stay locked in the child for ever."""
    torch_threads(2)
    assert right(4 * AT_ONCE)
    expected = FEATURES(*points(4 * AT_ONCE)).numpy()
    context = multiprocessing.get_context("fork")
    answer = context.SimpleQueue()
    child = context.Process(target=_forked, args=(expected, answer))
    if held:
        with positional._THREADS._lock:
            child.start()
    else:
        child.start()
    child.join(60)
    hung = child.is_alive()
    if hung:
        child.kill()
    assert not hung
    assert child.exitcode == 0
    assert answer.get()
    assert right(4 * AT_ONCE)
