"""Places with an image and words: each batch has distinct places, one text of each, and images that are disturbed."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from placevec.core import Draw, Look
from placevec.errors import InputError
from placevec.geo import Floats, Ints
from placevec.training.samplers.epochs import PAIRS, Epochs, checked_rows, generator, slice_of

_MIX = 5
_JITTERED = 0.8
"""Share of chips whose colors are disturbed at all, as in SimCLR (Chen et al. 2020, arXiv:2002.05709)."""
IMAGE, WORDS, TYPES = "image", "words", "types"
"""Slots: the image of a place, one of its texts, the name of its type."""


@dataclass(frozen=True)
class Disturbed:
    """How images are disturbed, see ``warp`` of `placevec.core.Look`.

    Attributes:
        angle: turn by any angle.
        turn: turn by quarters.
        flip: mirror east to west, and north to south; with ``turn`` all eight symmetries of a square.
        drop: probability of blanking each channel; one at least stays.
        channels: of the view, needed with ``drop``.
        chips: (N,) images of each place, one of which is drawn; None where there is one.
        crop: smallest share of a chip's area that is kept, in a square that is enlarged again; 1 keeps all.
        jitter: brightness, contrast and saturation of chips are multiplied by 1 +- this, of four in five.
        gray: probability of turning a chip gray.
    """

    angle: bool = False
    turn: bool = False
    flip: bool = False
    drop: float = 0.0
    channels: int = 0
    chips: Ints | None = None
    crop: float = 1.0
    jitter: float = 0.0
    gray: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.drop < 1 or (self.drop and self.channels < 2):
            raise InputError(
                "channels are dropped with a probability of at least 0 and less than 1, and there must be at least 2 "
                "channels; got"
                f" {self.drop} of {self.channels}"
            )

    def warp(self, rows: Ints, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """The augmentation of the images of some rows."""
        count = len(rows)
        found: dict[str, NDArray[Any]] = {}
        if self.angle:
            found["angle"] = random.random(count, np.float32) * np.float32(2 * np.pi) - np.float32(np.pi)
        if self.turn:
            found["turn"] = random.integers(0, 4, count)
        if self.flip:
            found["flip"] = random.integers(0, 2, (count, 2)).astype(bool)
        if self.drop:
            chances = random.random((count, self.channels), np.float32)
            keep = chances >= self.drop
            keep[np.arange(count), chances.argmax(axis=1)] = True
            found["keep"] = keep
        if self.chips is not None:
            found["chip"] = random.integers(0, np.maximum(self.chips[rows], 1))
        if self.crop < 1:
            side = np.sqrt(random.uniform(self.crop, 1.0, count))
            found["crop"] = np.column_stack([side, random.random((count, 2))]).astype(np.float32)
        if self.jitter or self.gray:
            light = random.uniform(1.0 - self.jitter, 1.0 + self.jitter, (count, 3))
            light[random.random(count) >= _JITTERED] = 1.0
            light[random.random(count) < self.gray, 2] = 0.0
            found["light"] = light.astype(np.float32)
        return found


@dataclass(frozen=True)
class Choices:
    """The texts of each place that may be drawn.

    Attributes:
        starts: (N + 1,) of each place in ``texts``.
        texts: which of a place's texts.
    """

    starts: Ints
    texts: Ints

    @property
    def counts(self) -> Ints:
        """(N,) of each place."""
        return np.diff(self.starts)

    def drawn(self, rows: Ints, random: np.random.Generator) -> Ints:
        """A random choice for each row, uniformly."""
        counts = self.counts[rows]
        return np.asarray(self.texts[self.starts[rows] + random.integers(0, np.maximum(counts, 1))])

    def first(self, rows: Ints) -> Ints:
        """The first choice of each row."""
        return np.asarray(self.texts[self.starts[rows]])


class DescribedSampler:
    """Draws the slots ``image``, ``words`` and ``types``, of the same places, and the target ``type``.

    Args:
        rows: (R,) places that have an image and a text that may be drawn.
        types: (N,) int64 code of each place's type, -1 where it is not known.
        batch_size: distinct places in the global batch; at most the number of rows.
        seed: random seed, at least 0.
        choices: texts of each place.
        lonlat: (N, 2) lon, lat degrees of all places, for images that are read by coordinates.
        balanced: as many places of each type as there are, up to equal parts, instead of places as they come; unknown is
            one of the types.
        disturbed: how images are; None reads them, and the first text of a place, as they are: for validation.
        resample: draw one of a place's texts anew each time; else its first.
        templates: share of the words that ask for a sentence around a name, see ``template`` in the look; drawn anew each
            time, or once for a place where its text is.
        semantic: whether there is a slot ``types``.

    >>> choices = Choices(np.arange(5), np.zeros(4, np.int64))
    >>> sampler = DescribedSampler(range(4), [0, 0, 0, 1], batch_size=2, seed=0, choices=choices, balanced=True)
    >>> sorted(sampler.draw(0).targets["type"].tolist())
    [0, 1]
    """

    def __init__(
        self,
        rows: ArrayLike,
        types: ArrayLike,
        *,
        batch_size: int,
        seed: int,
        choices: Choices,
        lonlat: Floats | None = None,
        balanced: bool = False,
        disturbed: Disturbed | None = None,
        resample: bool = True,
        templates: float = 0.0,
        semantic: bool = True,
    ) -> None:
        self.types = np.asarray(types, np.int64)
        self.rows = checked_rows(rows, len(self.types))
        self.seed, self.choices, self.lonlat, self.disturbed = seed, choices, lonlat, disturbed
        self.resample, self.semantic = resample and disturbed is not None, semantic
        self.templates = templates
        if bool((choices.counts[self.rows] < 1).any()):
            raise InputError("places without a text cannot be drawn")
        self._order = (_Balanced if balanced else _Plain)(self.rows, self.types, batch_size, seed)

    @property
    def batch_size(self) -> int:
        """Places in the global batch."""
        return self._order.batch_size

    @property
    def steps_per_epoch(self) -> int:
        """Complete batches per epoch, in which as many places are drawn as there are."""
        return len(self.rows) // self.batch_size

    def with_batch_size(self, batch_size: int) -> Self:
        """A copy of the sampler with another batch size, for when memory runs out."""
        other = copy.copy(self)
        other._order = type(self._order)(self.rows, self.types, batch_size, self.seed)
        return other

    def _drawn(self, rows: Ints, random: np.random.Generator) -> Ints:
        """(N,) a number above 0 for words in a sentence, else 0."""
        if self.resample:
            return np.where(
                random.random(len(rows)) < self.templates, random.integers(1, 2**62, len(rows)), 0
            )
        state = [
            np.random.SeedSequence([self.seed, row]).generate_state(2, np.uint64) for row in rows.tolist()
        ]
        chance, number = np.array(state).T
        return np.where(chance < self.templates * 2.0**64, (number >> np.uint64(2)).astype(np.int64) + 1, 0)

    def draw(self, step: int, rank: int = 0, world: int = 1) -> Draw:
        """The slice of process ``rank`` of the batch of a step."""
        part = slice_of(self.batch_size, rank, world)
        rows = self._order.at(step)
        random = generator(self.seed, step, PAIRS)
        text = self.choices.drawn(rows, random) if self.resample else self.choices.first(rows)
        warp = {} if self.disturbed is None else self.disturbed.warp(rows, random)
        told = {"text": text, **({"template": self._drawn(rows, random)} if self.templates else {})}
        rows = rows[part]
        lonlat = None if self.lonlat is None else torch.from_numpy(self.lonlat[rows])
        held = torch.from_numpy(rows)
        looks: dict[str, Look] = {
            IMAGE: Look(
                held, lonlat, {name: torch.from_numpy(values[part]) for name, values in warp.items()}
            ),
            WORDS: Look(held, None, {name: torch.from_numpy(values[part]) for name, values in told.items()}),
        }
        if self.semantic:
            looks[TYPES] = Look(held)
        return Draw(looks, {"type": torch.from_numpy(self.types[rows])})


class _Plain:
    """Rows in random order, each once per epoch."""

    def __init__(self, rows: Ints, types: Ints, batch_size: int, seed: int) -> None:
        self._rows, self._epochs = rows, Epochs(len(rows), batch_size, seed)
        self.batch_size = self._epochs.batch_size

    def at(self, step: int) -> Ints:
        """(batch_size,) distinct rows."""
        return np.asarray(self._rows[self._epochs.at(step)])


class _Balanced:
    """Each type in its own random order, with a fixed quota per batch."""

    def __init__(self, rows: Ints, types: Ints, batch_size: int, seed: int) -> None:
        self.batch_size, self._seed = min(batch_size, len(rows)), seed
        codes, counts = np.unique(types[rows], return_counts=True)
        self._groups = [
            (rows[types[rows] == code], Epochs(int(count), int(quota), 1009 * seed + number))
            for number, (code, count, quota) in enumerate(
                zip(codes, counts, quotas(counts, self.batch_size), strict=True)
            )
            if quota
        ]

    def at(self, step: int) -> Ints:
        """(batch_size,) distinct rows."""
        found = np.concatenate([rows[epochs.at(step)] for rows, epochs in self._groups])
        return generator(self._seed, step, _MIX).permutation(found)


def quotas(counts: ArrayLike, total: int) -> Ints:
    """(T,) shares of ``total``, as equal as ``counts`` allow; any remainder goes to the largest.

    >>> quotas([100, 3, 50], 21).tolist()
    [9, 3, 9]
    >>> quotas([2, 9, 9], 12).tolist()
    [2, 5, 5]
    """
    held = np.asarray(counts, np.int64)
    if total > held.sum():
        raise InputError(f"{total} of {held.sum()} places cannot be drawn")
    found = np.zeros_like(held)
    for left, at in zip(range(len(held), 0, -1), np.argsort(held, kind="stable"), strict=True):
        found[at] = min(held[at], (total - found.sum()) // left)
    return found
