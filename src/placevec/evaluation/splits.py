"""How places are split: spatial blocks with a buffer, at random, as given, or one region left out at a time.

Neighboring places resemble one another, so a random split rewards memory of where a place lies. Spatial folds are
made of whole blocks, and training places nearer than the buffer to any tested place are left out (Roberts et al.,
"Cross-validation strategies for data with temporal, spatial, hierarchical, or phylogenetic structure", Ecography 40,
2017, doi:10.1111/ecog.02881). Inside the training places a further division into `INNER` parts, of whole blocks
where the folds are, serves to choose settings.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from placevec.errors import EvaluationError
from placevec.evaluation.tasks import Task
from placevec.geo import Floats, Ints, spatial_blocks, to_ecef, within_distance
from placevec.options.choices import Folds

Scheme = Folds
SCHEMES: tuple[Scheme, ...] = ("blocks", "random")
INNER = 4
"""Parts of the training places; each is predicted from the others to choose settings."""
MIN_TRAINING = 20

MIN_BLOCKS = 10
"""Blocks that a grid is refined to hold on any extent, counted as if all held equally many places."""
WANTED_BLOCKS = 30
"""Blocks that it is refined to hold while they are wide beside the buffer."""
_WIDE, _WIDE_STILL = 4.0, 1.5  # block by buffer: the wider, the more training places stay
_KEPT_ENOUGH = 0.5
_ANGLES = 8


@dataclass(frozen=True)
class Fold:
    """Rows trained on and rows tested on, each (M,) int64."""

    train: Ints
    test: Ints


@dataclass(frozen=True)
class Blocks:
    """A division of places into squares.

    Attributes:
        number: (N,) block of each place, from 0.
        size_m: side of a block, meters.
    """

    number: Ints
    size_m: float

    @property
    def count(self) -> int:
        """Number of blocks that hold at least one place."""
        return int(self.number.max()) + 1 if len(self.number) else 0

    @property
    def effective(self) -> float:
        """(sum n)² / sum n²: as many blocks of equal size would spread the places as widely."""
        sizes = np.bincount(self.number).astype(np.float64)
        return float(sizes.sum() ** 2 / (sizes**2).sum()) if len(sizes) else 0.0


@dataclass(frozen=True)
class Split:
    """One assignment of blocks to folds.

    Attributes:
        folds: each place is tested in at most one.
        kept: share of the places outside of a fold's test that its training keeps, mean of the folds.
        compact: folds are strips of neighboring blocks, because scattered ones would lose most of the training.
        inner: for each fold, (n,) which of `INNER` parts each training place is in; empty where nobody asked.
    """

    folds: tuple[Fold, ...]
    kept: float = 1.0
    compact: bool = False
    inner: tuple[Ints, ...] = ()

    def tested_in(self, count: int) -> Ints:
        """(count,) the fold that tests each place, -1 for none."""
        found = np.full(count, -1, np.int64)
        for number, fold in enumerate(self.folds):
            found[fold.test] = number
        return found


def block_grid(lonlat: Floats, *, buffer_m: float, smallest_m: float = 50.0, range_m: float = 0.0) -> Blocks:
    """Blocks four times as wide as the buffer, or as a correlation range; narrower until there are enough of them.

    Down to one and a half buffers blocks shrink until there are `WANTED_BLOCKS`; below that only until there are
    `MIN_BLOCKS`, and never below ``smallest_m``. ``lonlat`` is (N, 2) degrees, all finite.
    """
    size = max(_WIDE * buffer_m, smallest_m, range_m)
    while True:
        _, number = np.unique(spatial_blocks(lonlat[:, 0], lonlat[:, 1], size), return_inverse=True)
        blocks = Blocks(np.asarray(number, np.int64), size)
        wanted = WANTED_BLOCKS if size > _WIDE_STILL * buffer_m else MIN_BLOCKS
        if blocks.effective >= wanted or size <= smallest_m:
            return blocks
        size = max(size * 0.85, smallest_m)


def spatial_split(lonlat: Floats, blocks: Blocks, *, buffer_m: float, folds: int, seed: int) -> Split:
    """Assign blocks to folds and keep training places ``buffer_m`` away from the tested ones.

    Blocks are shuffled by the seed and dealt to the smallest fold. Where scattered folds would lose half of the
    training places to the buffer, neighboring blocks are swept into strips, at an angle that the seed draws.

    Raises:
        EvaluationError: fewer than two folds or blocks.
    """
    if folds < 2:
        raise EvaluationError(f"cross-validation needs at least 2 folds; got {folds}")
    if blocks.count < 2:
        raise EvaluationError(
            f"all {len(lonlat)} places lie in one block of {blocks.size_m:.0f} m: the extent is too small to split"
        )
    folds = min(folds, blocks.count)
    random = np.random.default_rng([seed, 0xF01D])
    scattered = _split(lonlat, _dealt(blocks, folds, random)[blocks.number], buffer_m, compact=False)
    if scattered.kept >= _KEPT_ENOUGH:
        return scattered
    strips = [
        _split(lonlat, _swept(lonlat, blocks, folds, angle)[blocks.number], buffer_m, compact=True)
        for angle in random.uniform(0.0, np.pi, _ANGLES)
    ]
    best = max(split.kept for split in strips)
    if best <= scattered.kept:
        return scattered
    return next(split for split in strips if split.kept >= 0.8 * best)


def random_split(count: int, *, folds: int, seed: int) -> Split:
    """The split to distrust: places dealt at random, neighbors in training and test. Only to show what it hides."""
    dealt = np.random.default_rng(seed).permutation(count) % folds
    return Split(_folds(dealt), 1.0, False)


def region_split(region: Ints, lonlat: Floats | None = None, *, buffer_m: float = 0.0) -> Split:
    """One fold for each region (any whole numbers) of (N,) places: trained on all the others.

    With (N, 2) ``lonlat`` training places keep ``buffer_m`` away from the tested region.

    Raises:
        EvaluationError: fewer than two regions.
    """
    names, numbers = np.unique(region, return_inverse=True)
    if len(names) < 2:
        raise EvaluationError("all places are in one region; leaving one out needs at least two")
    fold = np.asarray(numbers, np.int64)
    return Split(_folds(fold)) if lonlat is None else _split(lonlat, fold, buffer_m, compact=False)


def thinned(split: Split, share: float, seed: int) -> Split:
    """The split with a share of the training places of each fold, drawn at random; smaller shares lie in larger ones."""
    folds = []
    for number, fold in enumerate(split.folds):
        order = np.random.default_rng([seed, number, 0xC5]).permutation(len(fold.train))
        folds.append(Fold(np.sort(fold.train[order[: max(1, round(share * len(order)))]]), fold.test))
    return replace(split, folds=tuple(folds), inner=())


def blocks_of(task: Task) -> Blocks:
    """The blocks of a task that names their size, for spatial folds and for the bootstrap."""
    number = spatial_blocks(task.points[:, 0], task.points[:, 1], task.side_m)
    return Blocks(np.asarray(np.unique(number, return_inverse=True)[1], np.int64), task.side_m)


def task_split(task: Task, scheme: Scheme, count: int, seed: int) -> Split:
    """A task's points dealt into ``count`` folds by the seed, with inner parts; extra points are only ever tested.

    Blocks keep a buffer of a twentieth of their side. Inner parts are made the same way as the folds, so that
    settings are chosen for the question asked.

    Raises:
        EvaluationError: too few points or blocks.
    """
    blocks = blocks_of(task)
    if scheme == "random":
        split = random_split(len(task), folds=count, seed=seed)
    else:
        split = spatial_split(task.points, blocks, buffer_m=blocks.size_m / 20.0, folds=count, seed=seed)
    folds, inner = [], []
    for number, fold in enumerate(split.folds):
        train = fold.train[task.counted[fold.train]]
        if len(train) < MIN_TRAINING:
            raise EvaluationError(
                f"task {task.name}: a fold of {scheme} leaves {len(train)} points for training"
            )
        folds.append(Fold(train, fold.test))
        groups = blocks.number[train] if scheme == "blocks" else np.arange(len(train))
        inner.append(inner_parts(groups, np.random.default_rng([seed, number, 0x1E])))
    return replace(split, folds=tuple(folds), inner=tuple(inner))


def inner_parts(groups: Ints, random: np.random.Generator, parts: int = INNER) -> Ints:
    """(n,) part of each row: whole groups, shuffled, each dealt to the part that holds the fewest rows so far."""
    names, inverse, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    part = np.zeros(len(names), np.int64)
    if len(names) == len(groups):
        part[random.permutation(len(names))] = np.arange(len(names)) % parts
        return part[inverse]
    held = np.zeros(parts)
    for name in random.permutation(len(names)):
        part[name] = int(np.argmin(held))
        held[part[name]] += sizes[name]
    return part[inverse]


def _folds(fold: Ints) -> tuple[Fold, ...]:
    return tuple(
        Fold(np.flatnonzero(fold != part), np.flatnonzero(fold == part))
        for part in range(int(fold.max()) + 1)
    )


def _split(lonlat: Floats, fold: Ints, buffer_m: float, *, compact: bool) -> Split:
    """Folds from the fold number of each place, less what lies in the buffer."""
    found: list[Fold] = []
    kept = []
    for whole in _folds(fold):
        # a hair wider: straight-line distances fall short of those along the surface by up to 1 part in 100,000
        near = within_distance(lonlat[whole.train], lonlat[whole.test], buffer_m * 1.0001)
        found.append(Fold(whole.train[~near], whole.test))
        kept.append(1.0 - near.mean() if len(near) else 0.0)
    return Split(tuple(found), float(np.mean(kept)), compact)


def _dealt(blocks: Blocks, folds: int, random: np.random.Generator) -> Ints:
    """(blocks,) fold of each: shuffled, each to the fold that holds the fewest places so far."""
    sizes = np.bincount(blocks.number)
    held, fold = np.zeros(folds), np.zeros(len(sizes), np.int64)
    for block in random.permutation(len(sizes)):
        fold[block] = int(np.argmin(held))
        held[fold[block]] += sizes[block]
    return _without_gaps(fold)


def _swept(lonlat: Floats, blocks: Blocks, folds: int, angle: float) -> Ints:
    """(blocks,) fold of each: strips of about equally many places across a direction, in radians."""
    plane = local_plane(lonlat)
    sizes = np.bincount(blocks.number)
    along = plane @ np.array([np.cos(angle), np.sin(angle)])
    order = np.argsort(np.bincount(blocks.number, weights=along) / sizes)
    middle = np.cumsum(sizes[order]) - sizes[order] / 2.0
    fold = np.zeros(len(sizes), np.int64)
    fold[order] = np.minimum(middle / sizes.sum() * folds, folds - 1).astype(np.int64)
    return _without_gaps(fold)


def _without_gaps(fold: Ints) -> Ints:
    return np.unique(fold, return_inverse=True)[1].astype(np.int64)


def local_plane(lonlat: Floats) -> Floats:
    """(N, 2) meters east and north of the middle of the places, on the plane that touches the Earth there."""
    xyz = to_ecef(lonlat[:, 0], lonlat[:, 1])
    middle = xyz.mean(axis=0)
    up = middle / max(float(np.linalg.norm(middle)), 1e-9)
    east = np.cross([0.0, 0.0, 1.0], up)
    east = east / np.linalg.norm(east) if np.linalg.norm(east) > 1e-9 else np.array([0.0, 1.0, 0.0])
    return np.asarray((xyz - middle) @ np.stack([east, np.cross(up, east)], axis=-1))
