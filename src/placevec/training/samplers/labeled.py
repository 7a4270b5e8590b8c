"""Labeled points and, beside each, a background point: what location encoders are trained on.

An epoch is laid out as tables at its first step, on the device that computes, and every step is a slice of them: no
per-sample work, no copies to the device. Tables follow from (seed, epoch) alone.
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
    """Points in random order, each once an epoch or as many of a class as allowed.

    Slots are ``point`` and, with a background, ``background`` (as many, rows -1). The last batch of an epoch that is
    not whole is left out.

    Args:
        rows: (R,) places to draw from.
        lonlat: (N, 2) lon, lat degrees of all places.
        batch_size: points in the global batch; the number of samples of an epoch if that is smaller.
        seed: 0 or more.
        targets: name -> (N, ...) array over all places (label, user).
        background: where background points lie; None draws none.
        classes: (N,) class of each place, -1 unknown, with ``max_per_class``.
        max_per_class: at most so many places of a class in an epoch, drawn anew every epoch without replacement, as
            the founding BalancedSampler does.
        seasons: (N,) share of the year of each place, which looks then carry as ``warp["year"]``; that of background
            points is uniform.
        device: where tables lie.

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
        seasons: ArrayLike | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.rows = checked_rows(rows, len(lonlat))
        if batch_size < 1 or seed < 0:
            raise InputError(
                f"a batch holds at least one point and a seed is 0 or more; got {batch_size}, {seed}"
            )
        self._groups = None if max_per_class is None else _Groups.of(self.rows, classes, max_per_class)
        self._asked = batch_size
        self.seed, self.background, self.device = seed, background, torch.device(device)
        self._places = {"lonlat": _table(lonlat, self.device)}
        tables = {**(targets or {}), **({} if seasons is None else {"year": seasons})}
        for name, values in tables.items():
            self._places[name] = _table(np.asarray(values), self.device)
            if len(self._places[name]) != len(lonlat):
                raise InputError(f"{name} has {len(self._places[name])} entries for {len(lonlat)} places")
        self._dated = seasons is not None
        self._latest: tuple[int, dict[str, Tensor]] = (-1, {})

    @property
    def samples_per_epoch(self) -> int:
        """Points of an epoch, before those of the incomplete last batch are left out."""
        return len(self.rows) if self._groups is None else self._groups.samples

    @property
    def batch_size(self) -> int:
        """Points in the global batch."""
        return min(self._asked, self.samples_per_epoch)

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches of an epoch."""
        return self.samples_per_epoch // self.batch_size

    def with_batch_size(self, batch_size: int) -> LabeledSampler:
        """The same places in batches of another size."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._asked, other._latest = batch_size, (-1, {})
        return other

    def draw(self, step: int, rank: int = 0, world: int = 1) -> Draw:
        """The slice of rank ``rank`` of the batch of a step."""
        if step < 0:
            raise InputError(f"a step is 0 or more; got {step}")
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
        """Everything of an epoch, in the order in which steps take it."""
        random = generator(self.seed, epoch, _ORDER)
        order = random.permutation(self.rows) if self._groups is None else self._groups.drawn(random)
        order = order[: self.steps_per_epoch * self.batch_size]
        rows = torch.from_numpy(order).to(self.device)
        tables = {"rows": rows, **{name: values[rows] for name, values in self._places.items()}}
        if self.background is not None:
            random = generator(self.seed, epoch, _BACKGROUND)
            tables["background"] = _table(self.background.draw(random, len(order)), self.device)
            if self._dated:
                tables["background year"] = _table(random.random(len(order)), self.device)
        return tables


@dataclass
class _Groups:
    """Places by class, of which an epoch takes at most so many each.

    Attributes:
        rows: (R,) places, those of a class one after the other.
        start: (R,) where the class of each begins.
        most: of a class.
        samples: of an epoch.
    """

    rows: Ints
    start: Ints
    most: int
    samples: int

    @classmethod
    def of(cls, rows: Ints, classes: ArrayLike | None, most: int) -> _Groups:
        if classes is None or most < 1:
            raise InputError(f"balancing takes 1 or more places of each class; got {most} and no classes")
        own = np.asarray(classes)[rows]
        _, inverse, counts = np.unique(own, return_inverse=True, return_counts=True)
        order = np.argsort(inverse, kind="stable")
        begins = np.cumsum(counts) - counts
        return cls(rows[order], np.repeat(begins, counts), most, int(np.minimum(counts, most).sum()))

    def drawn(self, random: np.random.Generator) -> Ints:
        """(samples,) rows of an epoch, shuffled."""
        # a random order within each class: sort by class, then by a random key
        shuffled = np.lexsort((random.random(len(self.rows)), self.start))
        kept = shuffled[np.arange(len(self.rows)) - self.start < self.most]
        return random.permutation(self.rows[kept])


def few_shot(
    rows: Ints, labels: NDArray[Any], ratio: float, seed: int, *, classes: bool
) -> NDArray[np.int64]:
    """(M,) of the ``rows``, ascending: a share of each class, at least one place of it, the same for the same seed.

    Args:
        rows: (R,) places.
        labels: (N,) class or number of every place.
        ratio: the share, more than 0 and at most 1.
        seed: 0 or more.
        classes: whether labels are classes; a share of all rows if not.

    >>> few_shot(np.arange(6), np.array([0, 0, 0, 0, 1, 1]), 0.5, 0, classes=True).shape
    (3,)
    """
    if not 0 < ratio <= 1:
        raise InputError(
            f"a few-shot ratio is a share of the labels, more than 0 and at most 1; got {ratio:g}"
        )
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
    )  # torch wants what may be written
