"""Labeled points, each with a background point, for supervised training of location encoders.

The tensors of an epoch are built at its first step, on the training device, and every step is a slice of them: no
per-sample work, no copies to the device. They depend only on (seed, epoch).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from placevec.core import ROW_SYNTHETIC, Draw, Look
from placevec.errors import InputError
from placevec.geo import Floats, Ints
from placevec.training.samplers.background import Background
from placevec.training.samplers.epochs import checked_rows, generator, slice_of

_ORDER, _BACKGROUND, _SHARE = 1, 3, 4


class LabeledSampler:
    """Points in random order, each once per epoch or limited per class.

    Slots are ``point`` and, with a background, ``background`` (one point each, rows -1). An incomplete last batch of an
    epoch is dropped.

    Args:
        rows: (R,) places to draw from.
        lonlat: (N, 2) lon, lat degrees of all places.
        batch_size: points in the global batch; at most the number of samples per epoch.
        seed: random seed, at least 0.
        targets: name -> (N, ...) array over all places (label, user).
        background: distribution of the background points; None draws none.
        classes: (N,) class of each place, -1 if unknown; needed with ``max_per_class``.
        max_per_class: maximum number of places per class in an epoch, drawn without replacement anew every epoch, as in
            the founding BalancedSampler.
        times: (N,) fraction of the year of each place, or (N, K) of which more is read, passed on as ``warp["year"]``.
            Background points have a uniform fraction, or the times of places drawn at random.
        of_year: whether times are fractions of the year.
        device: device of the tensors.

    >>> sampler = LabeledSampler([0, 1, 2], np.zeros((3, 2)), batch_size=2, seed=0, targets={"label": [5, 6, 7]})
    >>> draw = sampler.draw(0)
    >>> bool((draw.targets["label"] == draw.looks["point"].rows + 5).all()), sampler.steps_per_epoch
    (True, 1)
    """

    def __init__(
        self,
        rows: ArrayLike,
        lonlat: Floats,
        *,
        batch_size: int,
        seed: int,
        targets: Mapping[str, ArrayLike] | None = None,
        background: Background | None = None,
        classes: ArrayLike | None = None,
        max_per_class: int | None = None,
        times: ArrayLike | None = None,
        of_year: bool = True,
        device: torch.device | str = "cpu",
    ) -> None:
        self.rows = checked_rows(rows, len(lonlat))
        if batch_size < 1 or seed < 0:
            raise InputError(
                f"batch_size must be at least 1 and seed at least 0; got {batch_size} and {seed}"
            )
        self._groups = None if max_per_class is None else _Groups.of(self.rows, classes, max_per_class)
        self._wanted = batch_size
        self.seed, self.background, self.device = seed, background, torch.device(device)
        self._places = {"lonlat": _table(lonlat, self.device)}
        tables = {**(targets or {}), **({} if times is None else {"year": times})}
        for name, values in tables.items():
            self._places[name] = _table(np.asarray(values), self.device)
            if len(self._places[name]) != len(lonlat):
                raise InputError(
                    f"the target {name!r} has {len(self._places[name])} entries for {len(lonlat)} places"
                )
        self._dated, self._of_year = times is not None, of_year
        self._latest: tuple[int, dict[str, Tensor]] = (-1, {})

    @property
    def samples_per_epoch(self) -> int:
        """Points per epoch, including an incomplete last batch."""
        return len(self.rows) if self._groups is None else self._groups.samples

    @property
    def batch_size(self) -> int:
        """Points in the global batch."""
        return min(self._wanted, self.samples_per_epoch)

    @property
    def steps_per_epoch(self) -> int:
        """Complete batches per epoch."""
        return self.samples_per_epoch // self.batch_size

    def with_batch_size(self, batch_size: int) -> LabeledSampler:
        """A copy of the sampler with another batch size."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._wanted, other._latest = batch_size, (-1, {})
        return other

    def draw(self, step: int, rank: int = 0, world: int = 1) -> Draw:
        """The slice of process ``rank`` of the batch of a step."""
        if step < 0:
            raise InputError(f"step must be at least 0; got {step}")
        epoch, within = divmod(step, self.steps_per_epoch)
        known, tables = self._latest
        if known != epoch:
            tables = self._laid_out(epoch)
            self._latest = (epoch, tables)
        own = slice_of(self.batch_size, rank, world)
        part = slice(within * self.batch_size + own.start, within * self.batch_size + own.stop)
        rows = tables["rows"][part]
        year = {"year": tables["year"][part]} if self._dated else {}
        looks = {"point": Look(rows, tables["lonlat"][part], year)}
        if self.background is not None:
            elsewhere = {"year": tables["background year"][part]} if self._dated else {}
            nowhere = torch.full_like(rows, ROW_SYNTHETIC)
            looks["background"] = Look(nowhere, tables["background"][part], elsewhere)
        names = [name for name in self._places if name not in ("lonlat", "year")]
        return Draw(looks, {name: tables[name][part] for name in names})

    def _laid_out(self, epoch: int) -> dict[str, Tensor]:
        """The tensors of an epoch, in the order of its steps."""
        random = generator(self.seed, epoch, _ORDER)
        order = random.permutation(self.rows) if self._groups is None else self._groups.drawn(random)
        order = order[: self.steps_per_epoch * self.batch_size]
        rows = torch.from_numpy(order).to(self.device)
        tables = {"rows": rows, **{name: values[rows] for name, values in self._places.items()}}
        if self.background is not None:
            random = generator(self.seed, epoch, _BACKGROUND)
            tables["background"] = _table(self.background.draw(random, len(order)), self.device)
            if self._dated:
                tables["background year"] = (
                    _table(random.random(len(order)), self.device)
                    if self._of_year
                    else self._places["year"][
                        torch.from_numpy(random.choice(self.rows, len(order))).to(self.device)
                    ]
                )
        return tables


@dataclass
class _Groups:
    """Places grouped by class, with a maximum number per class and epoch.

    Attributes:
        rows: (R,) places, sorted by class.
        start: (R,) start of each place's class in ``rows``.
        maximum: maximum number per class.
        samples: samples per epoch.
    """

    rows: Ints
    start: Ints
    maximum: int
    samples: int

    @classmethod
    def of(cls, rows: Ints, classes: ArrayLike | None, maximum: int) -> _Groups:
        if classes is None:
            raise InputError("max_per_class needs the classes of the places")
        if maximum < 1:
            raise InputError(f"max_per_class must be at least 1; got {maximum}")
        own = np.asarray(classes)[rows]
        _, inverse, counts = np.unique(own, return_inverse=True, return_counts=True)
        order = np.argsort(inverse, kind="stable")
        begins = np.cumsum(counts) - counts
        return cls(rows[order], np.repeat(begins, counts), maximum, int(np.minimum(counts, maximum).sum()))

    def drawn(self, random: np.random.Generator) -> Ints:
        """(samples,) rows of an epoch, shuffled."""
        # a random order within each class: sort by class, then by a random key
        shuffled = np.lexsort((random.random(len(self.rows)), self.start))
        kept = shuffled[np.arange(len(self.rows)) - self.start < self.maximum]
        return random.permutation(self.rows[kept])


def few_shot(
    rows: Ints, labels: NDArray[Any], ratio: float, seed: int, *, classes: bool
) -> NDArray[np.int64]:
    """(M,) a random subset of ``rows``, ascending: a share of each class, at least one place per class.

    Args:
        rows: (R,) places.
        labels: (N,) class or number of every place.
        ratio: the share, above 0 and at most 1.
        seed: random seed, at least 0.
        classes: whether labels are classes; otherwise a share of all rows is drawn.

    >>> few_shot(np.arange(6), np.array([0, 0, 0, 0, 1, 1]), 0.5, 0, classes=True).shape
    (3,)
    """
    if not 0 < ratio <= 1:
        raise InputError(f"the few-shot ratio must be above 0 and at most 1; got {ratio:g}")
    group = labels[rows] if classes else np.zeros(len(rows), np.int64)
    _, inverse, counts = np.unique(group, return_inverse=True, return_counts=True)
    wanted = np.maximum(1, np.round(ratio * counts)).astype(np.int64)
    keys = np.random.default_rng([seed, _SHARE]).random(len(rows))
    order = np.lexsort((keys, inverse))
    begins = np.cumsum(counts) - counts
    within = np.arange(len(rows)) - np.repeat(begins, counts)
    return np.sort(rows[order[within < np.repeat(wanted, counts)]])


def _table(values: NDArray[Any], device: torch.device) -> Tensor:
    return torch.from_numpy(np.require(values, requirements=["C", "W"])).to(
        device
    )  # torch needs writable memory
