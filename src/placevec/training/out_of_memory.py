"""When a batch does not fit into memory: told from other errors, and made smaller."""

from __future__ import annotations

import gc
from typing import Any

import torch

from placevec.errors import ModelError

LEAST = 2
"""Pairs of the smallest batch that is tried."""
_SIGNS = ("out of memory", "can't allocate memory", "not enough memory")


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out: of the processor (also torch's own allocator), CUDA or MPS.

    >>> out_of_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried ..."))
    True
    >>> out_of_memory(RuntimeError("shapes do not match"))
    False
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _SIGNS)


def halved(batch_size: int | None) -> int:
    """Half a batch; ModelError when there is nothing left to halve."""
    if batch_size is None:
        raise ModelError(
            "out of memory, and this sampler's batches cannot be made smaller: give a smaller --batch-size"
        )
    if batch_size // 2 < LEAST:
        raise ModelError(
            f"out of memory even with a batch of {batch_size}: a smaller window (--size-px), a smaller encoder or"
            " another machine is needed"
        )
    return batch_size // 2


def release(*optimizers: Any) -> None:
    """Give back what a failed step holds: gradients, and the device's cache."""
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
