"""How far the vectors of labeled points carry: fewer labels, and regions that no probe has seen.

The encoder stays as its run trained it. New probes learn from its vectors of the training places, as `evaluate` does
with any vectors, and are tested on places that the run held out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from placevec.errors import EvaluationError
from placevec.evaluation.baselines import COORDINATES, UNTRAINED
from placevec.evaluation.engine import CHANCE_ROW, OURS, Budget, evaluate_splits
from placevec.evaluation.predictions.split import HeldOut
from placevec.evaluation.probes import Features
from placevec.evaluation.results import Result
from placevec.evaluation.splits import Blocks, Fold, Split, region_split
from placevec.evaluation.tasks import MIN_OF_A_CLASS, Kind, Task, sampled
from placevec.geo import Floats, Ints, spatial_blocks
from placevec.geo.coordinates import xyz_of
from placevec.io.progress import SILENT, Progress
from placevec.models.model import Model

MAX_CLASSES = 100
"""Classes above which no probes are trained: each row takes the best of several, again and again."""
SHUFFLINGS = 3
"""Draws of the labels of a learning curve, and untrained encoders."""
_EARTH_M = 6_371_000.0
PAIRS = tuple((OURS, against) for against in (CHANCE_ROW, COORDINATES, UNTRAINED))


def evaluate_probes(
    model: Model,
    split: HeldOut,
    lonlat: Floats,
    block_m: float,
    *,
    name: str,
    regions: NDArray[np.object_] | None = None,
    curve: Sequence[float] = (),
    budget: Budget,
    progress: Progress = SILENT,
) -> Result:
    """The model's vectors, coordinates and an untrained encoder by new probes.

    Args:
        model: with a head of classes or numbers.
        split: whose training places are learned from, and whose test places are tested.
        lonlat: (N, 2) degrees of all places.
        block_m: side of the blocks that intervals resample, meters.
        name: of the dataset.
        regions: (N,) name of the region of each place, None where it is in none: each is left out once.
        curve: shares of the labels, below 1.
        budget: of the probes.
        progress: where to report.

    Raises:
        EvaluationError: labels of one class or of more than `MAX_CLASSES`, no place to learn from, or too few in every
            region.
    """
    task = _task(model, split, lonlat, name, regions, budget.places)
    trained = np.isin(task.rows, split.train)
    if regions is None:
        splits = [replace(_given(trained)) for _ in range(SHUFFLINGS if curve else 1)]
        names: list[str] = []
        inner = _numbered(spatial_blocks(task.points[:, 0], task.points[:, 1], block_m))
    else:
        held = regions[task.rows].astype(str)
        splits, names = _left_out(held, trained)
        splits, inner = splits * SHUFFLINGS, _numbered(held)
    years = None if split.years is None else split.years[task.rows]
    untrained = [model.untrained(seed + 1) for seed in range(len(splits))]
    features: dict[str, Sequence[Features]] = {
        OURS: (model.embed_lonlat(task.points, years),),
        COORDINATES: (xyz_of(task.points) * _EARTH_M,),
        UNTRAINED: tuple(one.embed_lonlat(task.points, years) for one in untrained),
    }
    blocks = Blocks(_numbered(spatial_blocks(task.points[:, 0], task.points[:, 1], block_m)), block_m)
    found = evaluate_splits(
        task, features, splits, blocks, inner, pairs=PAIRS, budget=budget, lonlat=task.points, regions=names,
        curve=curve, positions=(COORDINATES,), progress=progress,
    )  # fmt: skip
    kept = "the encoder is kept as its run trained it, with all labels"
    kept += " of all regions" if names else ""
    return replace(found, notes=[f"{kept}: only the probes are new", *task.notes, *found.notes])


def _task(
    model: Model, split: HeldOut, lonlat: Floats, name: str, regions: NDArray[np.object_] | None, places: int
) -> Task:  # fmt: skip
    """The training and test places that any region holds, of classes that are not rare."""
    head = model.head
    assert head is not None
    if head.kind != "number" and not 2 <= head.outputs <= MAX_CLASSES:
        raise EvaluationError(
            f"learning curves and regions need a model that predicts numbers or 2 to {MAX_CLASSES} classes; this "
            f"model has "
            f"{head.outputs:,}"
        )
    rows = np.union1d(split.train, split.test)
    if regions is not None:
        rows = rows[[one is not None for one in regions[rows]]]
    known = split.labels[rows] if head.kind == "number" else split.labels[rows].astype(np.int64)
    if head.kind != "number":
        rows, known = rows[known < head.outputs], known[known < head.outputs]
    if not np.isin(rows, split.train).any():
        raise EvaluationError(
            "which places the model was trained on is unknown, so no probe can be trained on them"
        )
    kind: Kind = "regression" if head.kind == "number" else "classification"
    what = "regions left out" if regions is not None else "fewer labels"
    task = Task(
        f"{name}, {what}", kind, known, rows, head.classes, description="Vectors with new probes", lonlat=lonlat[rows],
        metric="accuracy" if kind == "classification" else "",
    )  # fmt: skip
    task.check_varied()
    return sampled(task, places, fewest=MIN_OF_A_CLASS)


def _given(trained: NDArray[np.bool_]) -> Split:
    return Split((Fold(np.flatnonzero(trained), np.flatnonzero(~trained)),))


def _left_out(regions: NDArray[np.str_], trained: NDArray[np.bool_]) -> tuple[list[Split], list[str]]:
    """(the split that trains outside of a region and tests inside, names of the regions that hold tested places)."""
    names, number = np.unique(regions, return_inverse=True)
    folds, tested = [], []
    for name, fold in zip(names, region_split(number).folds, strict=True):
        test = fold.test[~trained[fold.test]]
        if len(test):
            folds.append(Fold(fold.train[trained[fold.train]], test))
            tested.append(str(name))
    return [Split(tuple(folds))], tested


def _numbered(groups: NDArray[np.generic]) -> Ints:
    return np.asarray(np.unique(groups, return_inverse=True)[1], np.int64)
