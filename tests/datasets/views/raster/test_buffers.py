"""Memory that is used again is never seen by two."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable

import numpy as np
import torch

from placevec.datasets.views.raster.buffers import KEPT, LARGE, Batches, Scratch

SHAPE = (3, LARGE)


def address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


def test_memory_that_no_one_holds_is_used_again_and_is_zeros() -> None:
    batches = Batches()
    first = batches.zeros(SHAPE)
    where = address(first)
    first.fill(9)
    del first
    again = batches.zeros((2, LARGE))
    assert address(again) == where
    assert again.shape == (2, LARGE)
    assert not again.any()


def test_memory_that_anybody_holds_is_left_alone() -> None:
    """Held as an array, a tensor, a part of a tensor, or what numpy made of a tensor: all of them keep it."""
    holders: dict[str, Callable[[np.ndarray], np.ndarray | torch.Tensor]] = {
        "array": lambda batch: batch,
        "tensor": torch.from_numpy,
        "part of a tensor": lambda batch: torch.from_numpy(batch)[1:, 5:9],
        "array of a tensor": lambda batch: torch.from_numpy(batch)[0].numpy(),
    }
    for what, hold in holders.items():
        batches = Batches()
        batch = batches.zeros(SHAPE)
        where = address(batch)
        held = hold(batch)
        del batch
        held[:] = 5
        for _ in range(KEPT + 2):
            other = batches.zeros(SHAPE)
            assert address(other) != where, what
            assert not other.any()
            other.fill(7)
        assert (held == 5).all(), what


def test_two_threads_never_share_a_batch() -> None:
    batches, wrong = Batches(), []

    def work(number: int) -> None:
        for _ in range(40):
            batch = batches.zeros((1, LARGE))
            if batch.any():
                wrong.append(number)
            batch.fill(number)
            if not (batch == number).all():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_few_batches_are_kept_and_none_is_pickled() -> None:
    batches = Batches()
    held = [batches.zeros(SHAPE) for _ in range(KEPT + 3)]
    assert len({address(batch) for batch in held}) == KEPT + 3
    assert len(batches._kept) == KEPT
    assert len(pickle.dumps(batches)) < 200
    small = batches.zeros((2, 3))
    assert small.tolist() == [[0, 0, 0], [0, 0, 0]]


def test_scratch_grows_and_belongs_to_its_thread() -> None:
    scratch = Scratch()
    small = scratch.zeros("a", (2, 8))
    small.fill(3)
    assert not scratch.zeros("a", (4, 8)).any()
    assert address(scratch.empty("a", (2, 2))) == address(scratch.empty("a", (8, 4)))
    assert address(scratch.empty("b", (2, 2))) != address(scratch.empty("a", (2, 2)))
    elsewhere: list[int] = []
    thread = threading.Thread(target=lambda: elsewhere.append(address(scratch.empty("a", (2, 2)))))
    thread.start()
    thread.join()
    assert elsewhere != [address(scratch.empty("a", (2, 2)))]
