"""Batches for the loop: drawn and read ahead, and brought to the device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn

from placevec.core import Batch, Draw, Ragged, Recipe, Sampler, View


def layout(encoder: nn.Module, device: torch.device, *, fp32: bool) -> torch.memory_format:
    """How pixels of images lie in memory for an encoder: channels last, but where it says that planes are faster.

    An encoder says so with ``planes_on_cpu = True``: wide 3 x 3 convolutions in float32 run backwards twice as fast on
    a CPU with each channel's plane apart (oneDNN of torch 2.13, AVX2).
    """
    planes = device.type == "cpu" and fp32 and getattr(encoder, "planes_on_cpu", False)
    return torch.contiguous_format if planes else torch.channels_last


def to_device(batch: Batch, device: torch.device, memory_format: torch.memory_format) -> Batch:
    """A batch on the device that computes; images in the layout that suits their encoder."""
    if isinstance(batch, Tensor):
        moved = batch.to(device, non_blocking=True)
        return moved.contiguous(memory_format=memory_format) if moved.dim() == 4 else moved
    if isinstance(batch, Ragged):
        edges = None if batch.edges is None else batch.edges.to(device)
        return Ragged(batch.values.to(device), batch.offsets.to(device), edges)
    return {name: value.to(device) for name, value in batch.items()}


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
    """Draw and read each step, some steps ahead in ``workers`` other threads; the order never changes."""

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
