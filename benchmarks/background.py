"""Does it matter where background points lie? Presence-only training against the whole sphere, and against one octant.

The founding code draws every background point from lon 0 to 180, lat 0 to 90 (`placevec.training.samplers.background.Octant`).
Run: ``python -m benchmarks.background`` with PLACEVEC_DATA set; prints a table and one JSON document.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from placevec import encoders
from placevec.core import Recipe, Slot
from placevec.datasets.views.coordinates import CoordinatesView
from placevec.evaluation.location_encoders.country_task import country_of_land, sphere_points
from placevec.evaluation.location_encoders.real_tasks import REAL, data_folder
from placevec.models.heads import Head
from placevec.training.loop import train
from placevec.training.objectives.presence import PresenceLoss
from placevec.training.options import TrainingOptions
from placevec.training.samplers.background import Background, Octant, Sphere
from placevec.training.samplers.labeled import LabeledSampler

SEEDS, STEPS, BATCH = 3, 400, 256
BACKGROUNDS: dict[str, Background] = {"sphere": Sphere(), "octant": Octant()}


def fitted(lonlat: np.ndarray, label: np.ndarray, classes: int, background: Background, seed: int):
    """Trained on all points; answers (N, classes) probabilities of presence."""
    torch.manual_seed(seed)
    encoder = encoders.location("sphereC+", 128, hidden=256, scales=16, r_min=0.0111)
    head = Head(128, "presence", [str(number) for number in range(classes)])
    sampler = LabeledSampler(
        np.arange(len(lonlat)),
        lonlat,
        batch_size=min(BATCH, len(lonlat)),
        seed=seed,
        targets={"label": label},
        background=background,
    )
    slots = {name: Slot("coordinates", "location") for name in ("point", "background")}
    recipe = Recipe(slots, {"location": encoder}, {"presence": (1.0, PresenceLoss(head))}, sampler)
    options = TrainingOptions(
        epochs=1,
        steps_per_epoch=STEPS,
        validation_steps=0,
        learning_rate=2e-3,
        seed=seed,
        prefetch=0,
        workers=0,
        precision="fp32",
    )
    with tempfile.TemporaryDirectory() as folder:
        train(
            recipe,
            {"coordinates": CoordinatesView(lonlat)},
            Path(folder),
            options,
            config={},
            save=lambda _: None,
        )
    encoder.eval()

    def answers(points: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return head.answers(encoder(points)).double().numpy()

    return answers


def countries(data: Path) -> dict[str, dict[str, list[float]]]:
    """Per background: accuracy of the country, and AUC of its own land against the whole sphere, by where the land is."""
    task = country_of_land(data, points=6_000, further=100)
    task = task.taken(task.counted)
    half = np.random.default_rng(0).permutation(len(task))
    learned, tested = half[:3_000], half[3_000:]
    anywhere = sphere_points(np.random.default_rng(1), 4_000)
    inside = (task.lonlat[tested] > 0).all(axis=1)
    found: dict[str, dict[str, list[float]]] = {}
    for name, background in BACKGROUNDS.items():
        rows: dict[str, list[float]] = {}
        for seed in range(SEEDS):
            answers = fitted(task.lonlat[learned], task.target[learned], task.outputs, background, seed)
            given, ground = answers(task.lonlat[tested]), answers(anywhere)
            right = given.argmax(axis=1) == task.target[tested]
            rows.setdefault("accuracy in the octant", []).append(float(right[inside].mean()))
            rows.setdefault("accuracy elsewhere", []).append(float(right[~inside].mean()))
            areas: dict[bool, list[float]] = {True: [], False: []}
            for number in range(task.outputs):
                own = task.target[tested] == number
                if own.sum() < 10:
                    continue
                score = roc_auc_score(
                    np.r_[np.ones(own.sum()), np.zeros(len(ground))],
                    np.r_[given[own, number], ground[:, number]],
                )
                areas[bool(inside[own].mean() > 0.5)].append(float(score))
            rows.setdefault("AUC of countries in the octant", []).append(float(np.mean(areas[True])))
            rows.setdefault("AUC of countries elsewhere", []).append(float(np.mean(areas[False])))
            sea = ground.max(axis=1)
            at = (anywhere > 0).all(axis=1)
            rows.setdefault("mean largest probability anywhere in the octant", []).append(
                float(sea[at].mean())
            )
            rows.setdefault("mean largest probability anywhere else", []).append(float(sea[~at].mean()))
        found[name] = rows
    return found


def species(data: Path) -> dict[str, dict[str, list[float]]]:
    """Per background: AUC of held-out sightings of two South American species against land within 1,000 km of them."""
    tasks = [REAL[name](data) for name in ("bradypus", "solanum")]
    found: dict[str, dict[str, list[float]]] = {}
    for name, background in BACKGROUNDS.items():
        rows: dict[str, list[float]] = {}
        for seed in range(SEEDS):
            random = np.random.default_rng(seed)
            learned = [random.random(len(task)) < 0.5 for task in tasks]
            points = [
                task.lonlat[keep & (task.target == 1)] for task, keep in zip(tasks, learned, strict=True)
            ]
            label = np.repeat([0, 1], [len(one) for one in points])
            answers = fitted(np.concatenate(points), label, 2, background, seed)
            for number, (task, keep) in enumerate(zip(tasks, learned, strict=True)):
                rest = ~keep
                score = roc_auc_score(task.target[rest], answers(task.lonlat[rest])[:, number])
                rows.setdefault(f"AUC of {task.name}", []).append(float(score))
        found[name] = rows
    return found


def main() -> None:
    data = data_folder()
    if data is None:
        raise SystemExit("no data folder: set PLACEVEC_DATA")
    found = {"countries": countries(data), "species": species(data)}
    print(f"| {SEEDS} seeds, mean (lowest to highest) | sphere | octant |\n| --- | --- | --- |")
    for part in found.values():
        for row in part["sphere"]:
            cells = [part[name][row] for name in BACKGROUNDS]
            print(
                f"| {row} | "
                + " | ".join(f"{np.mean(c):.3f} ({min(c):.3f} to {max(c):.3f})" for c in cells)
                + " |"
            )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
