"""Handling out-of-memory errors: recognize them and reduce the batch size."""

from __future__ import annotations

import gc
from typing import Any

import torch

from placevec.errors import ModelError

MIN_BATCH = 2
"""The smallest batch size that is tried."""
_SIGNS = ("out of memory", "can't allocate memory", "not enough memory")


def out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out, on a CPU (also in torch's allocator), CUDA or MPS.

    >>> out_of_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried ..."))
    True
    >>> out_of_memory(RuntimeError("shapes do not match"))
    False
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _SIGNS)


def halved(batch_size: int | None) -> int:
    """Half the batch size; ModelError if it cannot be reduced any further.

    >>> halved(16)
    8
    """
    if batch_size is None:
        raise ModelError(
            "out of memory, and the batch size of this sampler cannot be reduced: use a smaller --batch-size"
        )
    if batch_size // 2 < MIN_BATCH:
        raise ModelError(
            f"out of memory even with a batch size of {batch_size}: use a smaller window (--size-px), a smaller encoder"
            " or a machine with more memory"
        )
    return batch_size // 2


def release(*optimizers: Any) -> None:
    """Free the memory of a failed step: gradients, and the device's cache."""
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
