"""Vectors of areas that neither their encoder nor the probe was trained on: leave one city out.

Spatial blocks inside one city say how well vectors carry to its other quarters. Here whole extracts are left out:
for each, features come from an encoder that was trained without it, and probes learn on all the other extracts.
Predictions of all are pooled, and one metric is taken of them; intervals resample blocks of every extract.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from placevec.datasets.dataset import Dataset
from placevec.errors import EvaluationError
from placevec.evaluation.engine import Budget, FeaturesOfFold, evaluate_splits
from placevec.evaluation.osm_tasks import (
    LABELED_SHARE,
    LANDUSE_LEAKS,
    POI_LEAKS,
    landuse_labels,
    poi_presence,
)
from placevec.evaluation.results import Result
from placevec.evaluation.splits import Blocks, region_split
from placevec.evaluation.tasks import MIN_PLACES, Task
from placevec.geo import Ints, spatial_blocks
from placevec.io.progress import SILENT, Progress

MIN_CITIES = 4
"""Extracts that must hold `MIN_PLACES` places of a class, so that three are left to learn it from."""
MAX_PER_CITY = 600
"""Places of one extract that are tested, drawn at random, so that the largest do not decide alone."""
BLOCK_M = 1_000.0


def landuse_elsewhere(datasets: Sequence[Dataset], *, seed: int = 0) -> Task:
    """Dominant land use over all datasets; rows count through their places one dataset after the other.

    Classes count that `MIN_CITIES` datasets hold in `MIN_PLACES` places or more.

    Raises:
        EvaluationError: fewer than two such classes, or a dataset without land use.
    """
    labels = np.concatenate([landuse_labels(dataset, np.arange(len(dataset))) for dataset in datasets])
    city = cities(datasets)
    known = np.array([label is not None for label in labels], bool)
    names, number = np.unique(labels[known].astype(str), return_inverse=True)
    held = np.zeros((len(datasets), len(names)), np.int64)
    np.add.at(held, (city[known], number), 1)
    kept = np.flatnonzero((held >= MIN_PLACES).sum(axis=0) >= MIN_CITIES)
    if len(kept) < 2:
        raise EvaluationError(
            f"land use across cities: only {len(kept)} classes occur in at least {MIN_PLACES} places of "
            f"{MIN_CITIES} datasets"
        )
    rows = np.flatnonzero(known)[np.isin(number, kept)]
    target = np.searchsorted(kept, number[np.isin(number, kept)])
    chosen = _fewer(city[rows], seed)
    description = (
        f"dominant OSM land use in footprints where it covers {LABELED_SHARE:.0%} or more, on unseen extracts"
    )
    return Task(
        "landuse", "classification", target[chosen], rows[chosen], tuple(names[kept]), LANDUSE_LEAKS,
        description=description,
    )  # fmt: skip


def pois_elsewhere(datasets: Sequence[Dataset], *, seed: int = 0) -> Task:
    """Presence of each group of points of interest over all datasets; rows as in `landuse_elsewhere`."""
    present: list[NDArray[np.bool_]] = []
    leaks: dict[str, tuple[str, ...]] = {}
    groups: tuple[str, ...] = ()
    for dataset in datasets:
        found, groups, drawn = poi_presence(dataset, np.arange(len(dataset)))
        present.append(found)
        for name, layers in drawn.items():
            leaks[name] = tuple(sorted({*leaks.get(name, ()), *layers}))
    city = cities(datasets)
    rows = _fewer(city, seed)
    whole = np.concatenate(present)
    held = np.stack([whole[city == number].sum(axis=0) for number in range(len(datasets))])
    kept = np.flatnonzero((held >= MIN_PLACES).sum(axis=0) >= MIN_CITIES)
    names = tuple(str(groups[group]) for group in kept)
    description = "presence of each OSM point-of-interest group in the footprint, on unseen extracts"
    return Task(
        "pois", "multilabel", whole[rows][:, kept], rows, names, POI_LEAKS,
        tuple(leaks.get(name, ()) for name in names), description,
    )  # fmt: skip


def cities(datasets: Sequence[Dataset]) -> Ints:
    """(N,) number of the dataset that each place belongs to."""
    return np.repeat(np.arange(len(datasets)), [len(dataset) for dataset in datasets])


def _fewer(city: Ints, seed: int) -> Ints:
    """Positions of at most `MAX_PER_CITY` places of each city, in order."""
    random = np.random.default_rng([seed, 0xC17])
    parts = [random.permutation(np.flatnonzero(city == number))[:MAX_PER_CITY] for number in np.unique(city)]
    return np.sort(np.concatenate(parts))


def evaluate_elsewhere(
    task: Task,
    datasets: Sequence[Dataset],
    features: Mapping[str, Sequence[FeaturesOfFold]],
    *,
    pairs: tuple[tuple[str, str], ...],
    budget: Budget,
    progress: Progress = SILENT,
) -> Result:
    """Every feature set by every probe on every city left out, pooled, then the best of each compared.

    Args:
        task: n labeled places of all datasets, as the functions above make them.
        datasets: the datasets.
        features: row -> one function a seed (encoders trained anew), or one alone, used for all seeds: number of the
            city left out -> (n, D) features of all places, from an encoder that was not trained on that city.
        pairs: (of, against) rows that are compared.
        budget: what probes try, and the draws of the bootstrap.
        progress: where to report.

    Raises:
        EvaluationError: fewer than two datasets with labels.
    """
    seeds = max(len(found) for found in features.values())
    if any(len(found) not in (1, seeds) for found in features.values()):
        raise EvaluationError(f"each row must have 1 or {seeds} seeds")
    city = cities(datasets)[task.rows]
    held = np.unique(city)
    lonlat = np.concatenate([dataset.lonlat for dataset in datasets])[task.rows]
    where = np.stack([city, spatial_blocks(lonlat[:, 0], lonlat[:, 1], BLOCK_M)], axis=1)
    blocks = Blocks(np.unique(where, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64), BLOCK_M)
    by_fold = {
        name: [lambda fold, one=one: one(int(held[fold])) for one in variants]
        for name, variants in features.items()
    }
    # settings of a probe are chosen on whole cities too
    found = evaluate_splits(
        task, by_fold, [region_split(city)] * seeds, blocks, city, pairs=pairs, budget=budget, progress=progress
    )  # fmt: skip
    names = ", ".join(datasets[number].name for number in held)
    return replace(found, notes=[*found.notes, f"every fold leaves one extract out: {names}"])
