"""Which frequencies should close around the Earth? Ridge on sphereC, sphereC+ and sphereM with four pairs of schedules.

Odd frequencies in both angles make every feature of sphereC and sphereM an odd function of the point on the sphere
(antipodes have opposite codes), which halves what a linear head can say. Odd ones in latitude with whole ones in longitude
close at the antimeridian and at the poles as well, and are not bound so.
Run: ``python -m benchmarks.frequencies`` with PLACEVEC_DATA set; prints a table. Random folds, one seed, 3,000 points.
"""

from __future__ import annotations

import numpy as np

from placevec.encoders.locations.frequencies import Schedule, geometric, odd, whole
from placevec.encoders.locations.positional import CIRCUMFERENCE_KM
from placevec.evaluation import ridge
from placevec.evaluation.location_encoders import registry as catalog
from placevec.evaluation.location_encoders.candidates import FINEST, SCALES
from placevec.evaluation.location_encoders.real_tasks import data_folder
from placevec.evaluation.location_encoders.strata import ANTIMERIDIAN, POLES, strata_of
from placevec.evaluation.splits import task_split
from placevec.evaluation.tasks import Task, sampled

TASKS = ("air-temperature", "country-of-land", "elevation", "checkerboard")
PAIRS: dict[str, tuple[Schedule, Schedule]] = {
    "odd, odd (the corrected form)": (odd, odd),
    "whole, whole": (whole, whole),
    "odd latitude, whole longitude": (odd, whole),
    "geometric (the original)": (geometric, geometric),
}


def features(kind: str, lonlat: np.ndarray, along: list[float], around: list[float]) -> np.ndarray:
    """(N, D) of one encoder with frequencies of latitude and of longitude."""
    lam, phi = np.radians(lonlat[:, :1]), np.radians(lonlat[:, 1:])
    p, q = phi * np.array(along), lam * np.array(around)
    product = [np.cos(p) * np.cos(q), np.cos(p) * np.sin(q)]
    if kind == "sphereC":
        return np.concatenate([np.sin(p), *product], axis=1)
    if kind == "sphereC+":
        return np.concatenate([np.sin(p), np.cos(p), np.sin(q), np.cos(q), *product], axis=1)
    mixed = [
        np.cos(p) * np.cos(lam),
        np.cos(phi) * np.cos(q),
        np.cos(p) * np.sin(lam),
        np.cos(phi) * np.sin(q),
    ]
    return np.concatenate([np.sin(p), *mixed], axis=1)


def answered(task: Task, kind: str, pair: tuple[Schedule, Schedule]) -> list[float]:
    """R², or accuracy overall, near the antimeridian and beyond 75 degrees."""
    reach = [share * task.block_m / 1000.0 / CIRCUMFERENCE_KM for share in FINEST]
    settings = [
        features(kind, task.lonlat, pair[0](scales, r_min, 1.0), pair[1](scales, r_min, 1.0))
        for scales, r_min in zip(SCALES, reach, strict=True)
    ]
    folds, target = task_split(task, "random", 3, 0), task.columns()
    given = np.full(target.shape, np.nan)
    for fold, parts in zip(folds.folds, folds.inner, strict=True):
        given[fold.test] = ridge.predicted(settings, target, fold.train, parts, fold.test, task.kind)[0]
    if task.kind == "regression":
        return [1.0 - float(((given - target) ** 2).sum() / ((target - target.mean()) ** 2).sum())]
    right = given.argmax(axis=1) == task.target
    strata = strata_of(task.lonlat, task.extra)
    return [float(right[rows].mean()) for rows in (~task.extra, strata[ANTIMERIDIAN], strata[POLES])]


def main() -> None:
    data = data_folder()
    if data is None:
        raise SystemExit("no data folder: set PLACEVEC_DATA")
    print("| task, encoder | " + " | ".join(PAIRS) + " |\n|" + " --- |" * (1 + len(PAIRS)))
    for name in TASKS:
        task = sampled(catalog.task_of(name, data), 3_000, fewest=10)
        for kind in ("sphereC", "sphereC+", "sphereM"):
            cells = [
                " / ".join(f"{value:.3f}" for value in answered(task, kind, pair)) for pair in PAIRS.values()
            ]
            print(f"| {name}, {kind} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
