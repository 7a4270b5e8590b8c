"""Vectors judged on ground that neither their encoder nor the probe has ever seen: leave one city out.

Spatial blocks inside one city say how well vectors carry to its other quarters. Here whole extracts are left out:
for each, features come from an encoder that was trained without it, and probes learn on all the other extracts.
Predictions of all are pooled, and one metric is taken of them; intervals resample blocks of ground in every extract.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from placevec.datasets.dataset import Dataset
from placevec.errors import EvaluationError
from placevec.evaluation.compare import (
    CHANCE_ROW,
    Budget,
    Judgement,
    Variants,
    compared,
    judged,
    one_thread,
)
from placevec.evaluation.probes import CHANCE, PROBES, Features, Training, learnable
from placevec.evaluation.scores import METRIC, Array, draws
from placevec.evaluation.splits import Blocks
from placevec.evaluation.tasks import (
    LABELED_SHARE,
    LANDUSE_LEAKS,
    MIN_PLACES,
    POI_LEAKS,
    Task,
    landuse_labels,
    poi_presence,
)
from placevec.geo import Ints, spatial_blocks
from placevec.io.progress import SILENT, Progress

MIN_CITIES = 4
"""Extracts that must hold `MIN_PLACES` places of a class, so that three are left to learn it from."""
MAX_PER_CITY = 600
"""Places of one extract that are judged, drawn at random, so that the largest do not decide alone."""
BLOCK_M = 1_000.0

Elsewhere = Callable[[int], Features]
"""City number -> (n, D) features of all judged places, from an encoder that never saw that city."""


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
            f"land use across cities: {len(kept)} classes lie in {MIN_PLACES} places of {MIN_CITIES} datasets"
        )
    rows = np.flatnonzero(known)[np.isin(number, kept)]
    target = np.searchsorted(kept, number[np.isin(number, kept)])
    chosen = _fewer(city[rows], seed)
    description = (
        f"dominant OSM land use of footprints that carry it on {LABELED_SHARE:.0%} or more, extracts unseen"
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
    description = "presence of each OSM point-of-interest group in the footprint, on extracts never seen"
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


def judge_elsewhere(
    task: Task,
    datasets: Sequence[Dataset],
    features: Mapping[str, Sequence[Elsewhere]],
    *,
    pairs: tuple[tuple[str, str], ...],
    budget: Budget,
    progress: Progress = SILENT,
) -> Judgement:
    """Every feature set by every probe on every city left out, pooled, then the best of each compared.

    Args:
        task: n labeled places of all datasets, as the functions above make them.
        datasets: the datasets.
        features: row -> one `Elsewhere` a seed (encoders trained anew), or one alone, judged once for all seeds.
        pairs: (of, against) rows that are compared.
        budget: what probes try, and the draws of the bootstrap.
        progress: where to report.

    Raises:
        EvaluationError: fewer than two datasets with labels.
    """
    seeds = max(len(found) for found in features.values())
    if any(len(found) not in (1, seeds) for found in features.values()):
        raise EvaluationError(f"every row is judged for 1 or for {seeds} seeds")
    city = cities(datasets)[task.rows]
    held = np.unique(city)
    if len(held) < 2:
        raise EvaluationError(f"task {task.name}: labels lie in {len(held)} datasets, two or more are needed")
    lonlat = np.concatenate([dataset.lonlat for dataset in datasets])[task.rows]
    ground = np.stack([city, spatial_blocks(lonlat[:, 0], lonlat[:, 1], BLOCK_M)], axis=1)
    blocks = Blocks(np.unique(ground, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64), BLOCK_M)
    nothing = np.zeros((len(task), 0))
    rows: dict[str, Sequence[Elsewhere]] = {CHANCE_ROW: (lambda _: nothing,), **features}
    total = sum(map(len, rows.values())) * len(held)
    predictions: dict[str, dict[str, list[Array]]] = {}
    with progress.task(f"Judging {task.name}", total=total) as advance, one_thread():
        for name, variants in rows.items():
            probes = CHANCE[task.kind] if name == CHANCE_ROW else PROBES
            predictions[name] = {probe: [] for probe in probes}
            for seed in range(len(variants)):
                shape = (len(task), max(1, len(task.classes)))
                found = {probe: np.full(shape, np.nan) for probe in probes}
                for left_out in held:
                    seen = variants[seed](int(left_out))
                    train, test = np.flatnonzero(city != left_out), np.flatnonzero(city == left_out)
                    if learnable(task.kind, task.target[train]):
                        # a probe's own settings are chosen on whole cities too
                        training = Training(
                            task.kind, seen[train], task.target[train], shape[1], city[train], seed
                        )
                        for probe, learn in probes.items():
                            found[probe][test] = learn(training, seen[test], budget.effort)
                    advance(1, note=f"{name}, without {datasets[left_out].name}")
                for probe in probes:
                    repeats = seeds if len(variants) == 1 else 1
                    predictions[name][probe] += [found[probe]] * repeats
    shown: dict[str, Variants] = {name: (variants[0](int(held[0])),) for name, variants in rows.items()}
    told, resampled = judged(task, shown, predictions, blocks, draws(budget.draws, blocks.count, seeds))
    return Judgement(
        task=task.name, kind=task.kind, description=task.description, metric=METRIC[task.kind],
        places=len(task), classes=task.counts(), blocks=blocks.count, effective_blocks=blocks.effective,
        block_m=BLOCK_M, buffer_m=0.0, folds=len(held), seeds=seeds, kept=1.0, rows=list(told.values()),
        comparisons=compared(told, resampled, pairs),
        notes=[f"every fold leaves one extract out: {', '.join(datasets[number].name for number in held)}"],
    )  # fmt: skip
