"""Batches for the training loop: drawn and read ahead, and moved to the device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn

from placevec.core import Batch, Draw, Ragged, Recipe, Sampler, View
from placevec.errors import InputError


def layout(encoder: nn.Module, device: torch.device, *, fp32: bool) -> torch.memory_format:
    """The memory format of images for an encoder: channels last, unless the encoder prefers contiguous channels.

    An encoder does so with ``planes_on_cpu = True``: on a CPU, the backward pass of wide 3 x 3 float32 convolutions is
    twice as fast with contiguous channels (oneDNN of torch 2.13, AVX2).

    >>> layout(nn.Linear(2, 2), torch.device("cpu"), fp32=True)
    torch.channels_last
    """
    planes = device.type == "cpu" and fp32 and getattr(encoder, "planes_on_cpu", False)
    return torch.contiguous_format if planes else torch.channels_last


def to_device(batch: Batch, device: torch.device, memory_format: torch.memory_format) -> Batch:
    """Move a batch to the device; images in the memory format of their encoder.

    >>> to_device(torch.zeros(2, 3, 4, 4), torch.device("cpu"), torch.channels_last).stride()
    (48, 1, 12, 3)
    """
    if isinstance(batch, Tensor):
        moved = batch.to(device, non_blocking=True)
        return moved.contiguous(memory_format=memory_format) if moved.dim() == 4 else moved
    if isinstance(batch, Ragged):
        edges = None if batch.edges is None else batch.edges.to(device)
        return Ragged(batch.values.to(device), batch.offsets.to(device), edges)
    return {name: value.to(device) for name, value in batch.items()}


def part_of_batch(batch: Batch, part: slice) -> Batch:
    """Some consecutive rows of a batch.

    >>> sets = Ragged(torch.arange(5), torch.tensor([0, 2, 2, 5]))
    >>> found = part_of_batch(sets, slice(1, 3))
    >>> found.values.tolist(), found.offsets.tolist()
    ([2, 3, 4], [0, 0, 3])
    """
    if isinstance(batch, Tensor):
        return batch[part]
    if isinstance(batch, Ragged):
        if batch.edges is not None:
            raise InputError("sets with edges cannot be encoded in parts: leave --chunk-size at 0")
        offsets = batch.offsets[part.start : part.stop + 1]
        first, last = int(offsets[0]), int(offsets[-1])
        return Ragged(batch.values[first:last], offsets - first)
    return {name: value[part] for name, value in batch.items()}


def batches_of(
    recipe: Recipe,
    sampler: Sampler,
    views: Mapping[str, View],
    steps: range,
    rank: int,
    world: int,
    *,
    prefetch: int,
    workers: int,
) -> Iterator[tuple[int, Draw, dict[str, Batch]]]:
    """Draw and read the batches of ``steps``, reading ahead in ``workers`` threads; the order is always the same."""

    def read(step: int) -> tuple[int, Draw, dict[str, Batch]]:
        draw = sampler.draw(step, rank, world)
        return (
            step,
            draw,
            {name: views[recipe.slots[name].view].read(look) for name, look in draw.looks.items()},
        )

    if prefetch < 1 or workers < 1:
        yield from map(read, steps)
        return
    ahead = max(prefetch, workers)
    with ThreadPoolExecutor(workers, thread_name_prefix="placevec-read") as pool:
        waiting = [pool.submit(read, step) for step in steps[:ahead]]
        try:
            for step in steps:
                ready = waiting.pop(0)
                if step + ahead in steps:
                    waiting.append(pool.submit(read, step + ahead))
                yield ready.result()
        finally:
            for future in waiting:
                future.cancel()
