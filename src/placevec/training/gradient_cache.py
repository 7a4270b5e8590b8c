"""Large batches in little memory: the gradient of a whole batch, with activations of a part of it at a time.

A contrastive loss needs the vectors of all places of a batch, but its gradient with respect to them is all that the
encoders need. So vectors are computed part by part without activations, then the loss and its gradient with respect to
them, then each part again with activations, which are released before the next one.

Source: GradCache, Gao et al. 2021, arXiv:2101.06983. The same gradient as without, up to the order of sums; dropout draws
the same in both passes. Batch norm computes its statistics over a part, and counts each once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor, nn

from placevec.core import Batch, Draw, Encoded, encode_slots, with_fused
from placevec.errors import InputError
from placevec.training.batches import part_of_batch
from placevec.training.bundle import Bundle
from placevec.training.samplers.epochs import part_of


class GradientCache:
    """The gradient of a step, `chunk` places at a time.

    Args:
        bundle: what is trained.
        chunk: places that are encoded at once.
        seed: of dropout in this step.
        autocast: makes the context of the forward passes.
    """

    def __init__(
        self,
        bundle: Bundle,
        chunk: int,
        seed: int,
        autocast: Callable[[], contextlib.AbstractContextManager[object]] = contextlib.nullcontext,
    ) -> None:
        self.bundle, self.chunk, self.seed, self.autocast = bundle, chunk, seed, autocast

    def backward(
        self, batches: Mapping[str, Batch], draw: Draw, backward: Callable[[Tensor], None]
    ) -> tuple[Tensor, dict[str, Tensor], dict[str, Encoded]]:
        """Add the gradient of the loss to all parameters.

        Args:
            batches: by slot.
            draw: what was drawn; all slots have the same number of rows.
            backward: of a scalar, as ``Tensor.backward``; called with the loss first.

        Returns:
            The loss, its components by name, and the encoded slots.
        """
        leaves = {
            name: Encoded(part.z.requires_grad_(), part.present)
            for name, part in self.encoded(batches, draw).items()
        }
        with self.autocast():
            loss, parts, encoded = self.bundle.loss(with_fused(self.bundle.recipe, leaves), draw)
        backward(loss)
        for part in self._parts(draw):
            with self.autocast():
                again = self._encode(batches, draw, part)
            # its gradient is what the chain rule asks for: that of the vectors times that of the loss
            products = [
                (again[name].z * leaf.z.grad[part]).sum()
                for name, leaf in leaves.items()
                if leaf.z.grad is not None and again[name].z.requires_grad
            ]
            if products:
                backward(torch.stack(products).sum())
        return loss, parts, encoded

    @torch.no_grad()
    def encoded(self, batches: Mapping[str, Batch], draw: Draw) -> dict[str, Encoded]:
        """The encoded slots, without activations."""
        with self.autocast(), _statistics_kept(self.bundle):
            found = [self._encode(batches, draw, part) for part in self._parts(draw)]
        return {
            name: Encoded(
                torch.cat([one[name].z for one in found]), torch.cat([one[name].present for one in found])
            )
            for name in found[0]
        }

    def _parts(self, draw: Draw) -> list[slice]:
        rows = rows_of(draw)
        if any(len(look) != rows for look in draw.looks.values()):
            raise InputError("--chunk-size needs slots with the same number of rows: leave it at 0")
        return [slice(start, min(start + self.chunk, rows)) for start in range(0, rows, self.chunk)]

    def _encode(self, batches: Mapping[str, Batch], draw: Draw, part: slice) -> dict[str, Encoded]:
        torch.manual_seed(self.seed + part.start)
        looks = {name: part_of(look, part) for name, look in draw.looks.items()}
        some = {name: part_of_batch(batch, part) for name, batch in batches.items()}
        return encode_slots(self.bundle.recipe, some, looks)


def rows_of(draw: Draw) -> int:
    """Rows of a draw's slots; of the first, where they differ."""
    return len(next(iter(draw.looks.values())))


@contextlib.contextmanager
def _statistics_kept(module: nn.Module) -> Iterator[None]:
    """Batch norm computes as in training, without counting what it sees."""
    norms = [
        one
        for one in module.modules()
        if isinstance(one, nn.modules.batchnorm._BatchNorm) and one.track_running_stats and one.training
    ]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
