"""One batch over several processes: vectors of all of them in one loss, and one gradient.

Each process encodes its slice of a batch. Objectives with ``across_processes`` contrast every place with those of all
processes: vectors are gathered, each process computes the loss of the whole batch, and the gradient of a process's own
vectors is the sum of what all losses give to it. The mean over processes, which follows for all weights (DDP), makes
that the gradient of one process with the whole batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from placevec.core import Encoded


def several() -> bool:
    """Whether this is one of several processes that train together."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def wait_for_all() -> None:
    """Wait until all processes have reached this point."""
    if several():
        dist.barrier()


def gathered(
    slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]
) -> tuple[dict[str, Encoded], dict[str, Tensor]]:
    """Slots and targets of all processes, in order of rank; with a single process, they are returned unchanged.

    Gradients reach the vectors of the process that they come from. Processes may have different numbers of rows.
    """
    if not several():
        return dict(slots), dict(targets)
    everything = {
        name: Encoded(_together(part.z), _rows_of_all(part.present.byte())[0].bool())
        for name, part in sorted(slots.items())
    }
    return everything, {name: _rows_of_all(value)[0] for name, value in sorted(targets.items())}


def _together(own: Tensor) -> Tensor:
    found: Tensor = _Gather.apply(own)  # type: ignore[no-untyped-call]
    return found


class _Gather(torch.autograd.Function):
    """(n, D) of each process -> (sum of n, D); backward sums over processes."""

    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:
        found, ctx.own = _rows_of_all(own)
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        return total[ctx.own]


def _rows_of_all(own: Tensor) -> tuple[Tensor, slice]:
    """(rows of all processes, which of them are this one's)."""
    world, rank = dist.get_world_size(), dist.get_rank()
    count = torch.tensor([len(own)], device=own.device)
    counts = [torch.zeros_like(count) for _ in range(world)]
    dist.all_gather(counts, count)
    sizes = [int(one) for one in counts]
    padded = own.new_zeros((max(sizes), *own.shape[1:]))
    padded[: len(own)] = own.detach()
    parts = [torch.empty_like(padded) for _ in range(world)]
    dist.all_gather(parts, padded)
    start = sum(sizes[:rank])
    return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)]), slice(
        start, start + len(own)
    )


@torch.no_grad()
def average_gradients(weights: Iterable[nn.Parameter]) -> None:
    """Replace each gradient by its mean over processes, where DDP did not; weights that none has a gradient of keep none.

    Args:
        weights: in the same order on every process.
    """
    trained = [weight for weight in weights if weight.requires_grad]
    if not trained or not several():
        return
    has = torch.tensor([weight.grad is not None for weight in trained], device=trained[0].device).float()
    dist.all_reduce(has)
    shared = [weight for weight, count in zip(trained, has.tolist(), strict=True) if count]
    if not shared:
        return
    flat = torch.cat(
        [(torch.zeros_like(one) if one.grad is None else one.grad).float().flatten() for one in shared]
    )
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for weight, mean in zip(shared, torch.split(flat, [one.numel() for one in shared]), strict=True):
        weight.grad = mean.view_as(weight).to(weight.dtype)


@torch.no_grad()
def share_buffers(module: nn.Module) -> None:
    """Take the buffers of the first process, such as the statistics of batch norm: as DDP does before each step."""
    if several():
        for buffer in module.buffers():
            dist.broadcast(buffer, 0)
