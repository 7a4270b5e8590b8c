"""How good vectors are on cities that nothing has seen: train without some, checked on them, over every extract at hand.

    python -m benchmarks.transfer OUT [--variant NAME ...] [--seeds 3] [--minutes 4] [--folds 4]

Extracts are those of ``PLACEVEC_DATA/osm``. They are dealt into folds; for each fold and seed an encoder is trained
on the extracts of the other folds, and all places are embedded with it. Then every extract is left out in turn:
probes learn on all others, with vectors from an encoder that has not seen the one left out. Everything that is done
is kept in OUT and not done again. Not part of ``make bench``, which is for speed.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.extracts import folder
from placevec import api
from placevec.datasets.dataset import Dataset
from placevec.datasets.views.raster.coverage import Coverage
from placevec.evaluation.baselines import BESIDE, COORDINATES, COVERAGE, UNTRAINED, beside, coverage_fractions
from placevec.evaluation.engine import OURS, Budget
from placevec.evaluation.probes import Effort, Features
from placevec.evaluation.report import number
from placevec.evaluation.results import Result
from placevec.evaluation.tasks import without_leaking_groups
from placevec.evaluation.transfer import (
    FeaturesOfFold,
    cities,
    evaluate_elsewhere,
    landuse_elsewhere,
    pois_elsewhere,
)
from placevec.geo import footprint_bounds
from placevec.models.model import Model

SPACING_M, SIZE_M, SIZE_PX, AROUND_M = 125.0, 256.0, 128, 768.0
MULTITASK = {"preset": "multitask", "presence": 0.0}
ALONE = {
    **MULTITASK,
    "predict": (),
    "contrast_weight": 1.0,
    "near_m": 60.0,
    "far_m": 400.0,
    "drop_channels": 0.25,
}
VARIANTS: dict[str, dict[str, Any]] = {
    "taught": MULTITASK,
    "contrast": ALONE,
    "contrast and hidden layers": {**ALONE, "predict": ("layers",)},
    "contrast and taught": {**ALONE, "predict": ("layers", "landuse", "tags"), "contrast_weight": 0.3},
    "taught, without measures of shape": {
        "preset": "multitask",
        "encoder": "compact-tile-cnn",
        "size_px": 64,
    },
}
COUNTS, AROUND = "coverage and counts", "coverage, surroundings too"
BUDGET = Budget(Effort(trees=30, inverse_penalties=(0.1,), neighbors=(20,)), 1_000, 10**9)
BELOW = (COVERAGE, COUNTS, AROUND, UNTRAINED, COORDINATES)
PAIRS = (*((OURS, name) for name in BELOW), (BESIDE, COVERAGE))


def prepared(out: Path) -> list[Dataset]:
    """Every extract as a dataset of places 125 m apart, largest first."""
    found = []
    for extract in sorted((folder() / "osm").glob("*.osm.pbf")):
        path = out / "data" / extract.name.removesuffix(".osm.pbf")
        dataset = api.prepare("loc2vec", osm=extract, out=path, spacing=SPACING_M, size_m=SIZE_M, workers=2)
        found.append(dataset)
    return sorted(found, key=lambda dataset: (-len(dataset), dataset.name))


def trained(
    out: Path,
    name: str,
    datasets: Sequence[Dataset],
    fold: int,
    folds: int,
    seed: int,
    minutes: float,
    steps: int | None = None,
) -> Model:
    """The encoder of a variant that has not seen the extracts of a fold: of so many steps, or of so long a training."""
    long = f"{minutes:g}" if steps is None else f"{steps}-steps"
    run = out / "runs" / name.replace(",", "").replace(" ", "-") / f"fold{fold}-seed{seed}-{long}"
    if (run / "done").exists():
        return Model.load(run)
    parts = [dataset for number, dataset in enumerate(datasets) if number % folds != fold]
    fixed = {"validation_share": 0.0, "validation_steps": 0, "seed": seed}
    options: dict[str, Any] = {**VARIANTS[name], **fixed}
    steps = _affordable(run, parts, options, minutes) if steps is None else steps
    began = time.process_time()
    model = api.train("loc2vec", parts, out=run, force=True, epochs=4, steps_per_epoch=steps // 4, **options)
    print(
        f"{name}, fold {fold}, seed {seed}: {steps} steps, {time.process_time() - began:.0f} s of processor time",
        flush=True,
    )
    (run / "done").touch()
    return model


def _affordable(run: Path, parts: Sequence[Dataset], options: dict[str, Any], minutes: float) -> int:
    """Steps that take so many minutes of processor time here; what it takes to start does not count."""
    spent = []
    for steps in (4, 24):
        began = time.process_time()
        pace = run.with_name(f"pace-{run.name}")
        api.train("loc2vec", parts, out=pace, force=True, epochs=1, steps_per_epoch=steps, **options)
        spent.append(time.process_time() - began)
    return max(20, int(minutes * 60 * 20 / max(spent[1] - spent[0], 1e-3)))


def vectors(
    out: Path, name: str, datasets: Sequence[Dataset], rows: np.ndarray[Any, Any], model: Model, label: str
) -> Features:
    """(n, D) vectors of the judged places of all datasets by one model, kept on disk."""
    file = out / "vectors" / f"{name}-{label}-{len(rows)}.npy".replace(",", "").replace(" ", "-")
    if not file.exists():
        city = cities(datasets)
        first = np.concatenate([[0], np.cumsum([len(dataset) for dataset in datasets])])
        parts = [
            model.vectors(dataset, lonlat=dataset.lonlat[rows[city[rows] == number] - first[number]])
            for number, dataset in enumerate(datasets)
        ]
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, np.concatenate(parts))
    return np.load(file)


def counts(model: Model, datasets: Sequence[Dataset], rows: np.ndarray[Any, Any]) -> Features:
    """(n, C) how many separate things each seen layer shows in the window: buildings, roads, ponds."""
    import cv2
    import torch

    from placevec.core import Look

    city, found = cities(datasets), []
    first = np.concatenate([[0], np.cumsum([len(dataset) for dataset in datasets])])
    for at, dataset in enumerate(datasets):
        view = dataset.view("map").window(size_px=SIZE_PX, size_m=SIZE_M, channels=model.seen)
        lonlat = torch.from_numpy(dataset.lonlat[rows[city[rows] == at] - first[at]])
        for start in range(0, len(lonlat), 256):
            part = lonlat[start : start + 256]
            pixels = view.read(Look(torch.full((len(part),), -1), part)).numpy() > 127
            found.append(
                [
                    [cv2.connectedComponents(layer.astype(np.uint8))[0] - 1 for layer in place]
                    for place in pixels
                ]
            )
    return np.concatenate([np.asarray(part, np.float64) for part in found])


def floors(model: Model, datasets: Sequence[Dataset], rows: np.ndarray[Any, Any]) -> dict[str, Features]:
    """What needs no learning, from the same layers."""
    city = cities(datasets)
    first = np.concatenate([[0], np.cumsum([len(dataset) for dataset in datasets])])
    of = [(dataset, rows[city[rows] == number] - first[number]) for number, dataset in enumerate(datasets)]
    shares = np.concatenate([coverage_fractions(dataset, model.seen, part) for dataset, part in of])
    around = []
    for dataset, part in of:
        coverage = Coverage(dataset.path / "map_coverage.tif")
        seen = [number for number, name in enumerate(coverage.channels) if name in model.seen]
        boxes = footprint_bounds(dataset.lonlat[part], AROUND_M, dataset.zoom)
        around.append(coverage.fractions(boxes, dataset.zoom)[:, seen])
    return {
        COORDINATES: np.concatenate([dataset.lonlat[part] for dataset, part in of]),
        COVERAGE: shares,
        COUNTS: np.hstack([shares, counts(model, datasets, rows)]),
        AROUND: np.hstack([shares, np.concatenate(around)]),
    }


TASKS = {"landuse": landuse_elsewhere, "pois": pois_elsewhere}


def report(
    out: Path,
    name: str,
    datasets: Sequence[Dataset],
    folds: int,
    seeds: int,
    minutes: float,
    tasks: Sequence[str],
) -> list[Result]:
    """The tasks judged for a variant."""
    models = {
        (fold, seed): trained(out, name, datasets, fold, folds, seed, minutes)
        for seed in range(seeds)
        for fold in range(folds)
    }
    results = []
    for wanted in tasks:
        task = TASKS[wanted](datasets)
        task, _ = without_leaking_groups(task, models[0, 0].seen)
        fixed = floors(models[0, 0], datasets, task.rows)
        found: dict[str, Sequence[FeaturesOfFold]] = {
            row: (_always(values),) for row, values in fixed.items()
        }
        bare = [
            vectors(out, name, datasets, task.rows, models[0, 0].untrained(seed), f"untrained{seed}")
            for seed in range(seeds)
        ]
        found[UNTRAINED] = [_always(values) for values in bare]
        ours = [
            [
                vectors(
                    out, name, datasets, task.rows, models[fold, seed], f"fold{fold}-seed{seed}-{minutes:g}"
                )
                for fold in range(folds)
            ]
            for seed in range(seeds)
        ]
        found[OURS] = [_unseen(by_fold, folds) for by_fold in ours]
        both = [[beside(fixed[COVERAGE], values) for values in by_fold] for by_fold in ours]
        found[BESIDE] = [_unseen(by_fold, folds) for by_fold in both]
        results.append(evaluate_elsewhere(task, datasets, found, pairs=PAIRS, budget=BUDGET))
    return results


def _always(values: Features) -> FeaturesOfFold:
    return lambda _: values


def _unseen(by_fold: Sequence[Features], folds: int) -> Callable[[int], Features]:
    return lambda city: by_fold[city % folds]


def show(name: str, result: Result) -> str:
    """A Markdown table of one task."""
    classes = ", ".join(f"{label} {count:,}" for label, count in result.classes.items())
    lines = [
        f"### {name}: {result.task}, {result.metric}",
        "",
        f"{result.places:,} places of {result.folds} extracts, {result.blocks} blocks of 1 km "
        f"({result.effective_blocks:.0f} effective), {result.seeds} seeds; {classes}.",
        "",
        "| row | best probe | score | 95 % interval | linear, kNN, random forest |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in result.rows:
        probes = ", ".join(number(value) for value in row.by_probe.values())
        lines.append(
            f"| {row.name} | {row.probe} | {number(row.score.value)} | {number(row.score.low)} to {number(row.score.high)} | {probes} |"
        )
    lines += ["", "| difference | mean | 95 % interval | verdict |", "| --- | --- | --- | --- |"]
    for item in result.comparisons:
        lines.append(
            f"| {item.of} - {item.against} | {item.difference.value:+.3f} | {item.difference.low:+.3f} to {item.difference.high:+.3f} | {item.verdict} |"
        )
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--variant", action="append", choices=VARIANTS)
    parser.add_argument("--task", action="append", choices=TASKS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--minutes", type=float, default=4.0, help="processor time of one training")
    arguments = parser.parse_args()
    datasets = prepared(arguments.out)
    for name in arguments.variant or VARIANTS:
        for result in report(
            arguments.out, name, datasets, arguments.folds, arguments.seeds, arguments.minutes,
            arguments.task or list(TASKS),
        ):  # fmt: skip
            file = arguments.out / f"{name.replace(',', '').replace(' ', '-')}-{result.task}.json"
            file.write_text(json.dumps(result.as_dict(), indent=1))
            text = show(name, result)
            file.with_suffix(".md").write_text(text)
            print(text, flush=True)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    main()
