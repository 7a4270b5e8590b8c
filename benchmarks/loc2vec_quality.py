"""The default recipe beside both founding ones: same ground, equal processor time, judged on ground that none has seen.

    python -m benchmarks.loc2vec_quality OUT [--minutes 15] [--seeds 3] [--method NAME ...]

The founding networks, objectives, pairs and optimizers run through this package's loader, which is faster than their
own: that counts in their favor. All see the same eight layers of Malta (those that the tasks do not ask about); the
RGB network sees them painted in map colors. Training is on the west, questions are about the east: land use and points
of interest by probes on spatial blocks, and triplets whose negative lies 1 km away or more and is, of all such places,
the one that covers the ground most alike. What is done is kept in OUT and not done again. Not part of ``make bench``.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.extracts import extract
from placevec import api
from placevec.core import ROW_SYNTHETIC, Look
from placevec.datasets.dataset import Dataset
from placevec.evaluation.baselines import COORDINATES, COVERAGE, coverage_fractions
from placevec.evaluation.bootstrap import interval
from placevec.evaluation.engine import Budget, Variants, evaluate_task
from placevec.evaluation.osm_tasks import landuse_task, poi_task
from placevec.evaluation.probes import Effort, Features
from placevec.evaluation.results import Result
from placevec.evaluation.tasks import without_leaking_groups
from placevec.explorer.maps.cartography import paint
from placevec.geo import meters_per_pixel, parse_tile_id, spatial_blocks, tile_xy_to_lonlat, to_ecef
from placevec.models.model import Model

WEST, EAST = "14.18,35.80,14.44,36.09", "14.46,35.83,14.58,35.95"
DROPPED = ("landcover", "natural-features", "leisure", "amenities")
OURS, TWELVE, RGB = "default", "founding, 12 layers", "founding, RGB"
HARD = "default network, triplets with hard negatives"
METHODS: dict[str, dict[str, Any]] = {
    OURS: {"drop_layers": DROPPED},
    TWELVE: {"preset": "founding", "drop_layers": DROPPED},
    RGB: {"preset": "founding-rgb"},
    HARD: {"drop_layers": DROPPED, "objective": "triplet", "negatives": "hard"},
}
HARD_M, BLOCK_M, BUFFER_M = 1_000.0, 1_000.0, 500.0
BUDGET = Budget(Effort(trees=30, inverse_penalties=(0.1,), neighbors=(20,)), 1_000, 10**9)


def prepared(out: Path, side: str, bbox: str) -> tuple[Dataset, Dataset]:
    """One side of Malta in twelve layers, and painted as RGB tiles."""
    layers = api.prepare("loc2vec", osm=extract("malta"), bbox=bbox, out=out / f"{side}-layers", workers=2)
    folder = out / f"{side}-tiles"
    if not (folder / "done").exists():
        _paint_tiles(layers, folder)
        (folder / "done").touch()
    return layers, api.prepare("loc2vec", tile_folder=folder / "tiles", out=out / f"{side}-rgb")


def _paint_tiles(dataset: Dataset, folder: Path) -> None:
    """Every place's tile and its eight neighbors as ``tile_z_x_y.png``, in the layout of founding document 001."""
    names = [parse_tile_id(name) for name in dataset.places["place_id"]]
    around = [(dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)]
    wanted = sorted({(x + dx, y + dy) for _, x, y in names for dx, dy in around})
    seen = tuple(name for name in dataset.spec("map").channels if name not in DROPPED)
    view = dataset.view("map").window(size_px=256, size_m=None, channels=seen)
    (folder / "tiles").mkdir(parents=True, exist_ok=True)
    for start in range(0, len(wanted), 256):
        part = np.array(wanted[start : start + 256])
        lonlat = tile_xy_to_lonlat(part + 0.5, dataset.zoom)
        rows = torch.full((len(part),), ROW_SYNTHETIC)
        pixels = view.read(Look(rows, torch.from_numpy(lonlat))).numpy()
        for (x, y), (_, lat), tile in zip(part, lonlat, pixels, strict=True):
            picture = paint(tile, seen, float(meters_per_pixel(np.array([lat]), dataset.zoom)[0]))
            Image.fromarray(picture).save(folder / "tiles" / f"tile_{dataset.zoom}_{x}_{y}.png")


def trained(
    out: Path, name: str, dataset: Dataset, seed: int, minutes: float
) -> tuple[Model, dict[str, Any]]:
    """A method's model after so many minutes of one processor, and what that came to."""
    run = out / "runs" / f"{name.replace(',', '').replace(' ', '-')}-{seed}-{minutes:g}"
    told = run / "told.json"
    if told.exists():
        return Model.load(run), json.loads(told.read_text())
    fixed = {**METHODS[name], "seed": seed, "validation_share": 0.0, "validation_steps": 0}
    epochs = 5
    steps = max(epochs, int(minutes * 60 / _pace(out, run.parent, name, dataset, minutes, fixed)))
    began = time.process_time()
    model = api.train(
        "loc2vec", dataset, out=run, force=True, epochs=epochs, steps_per_epoch=steps // epochs, **fixed
    )
    content = {"steps": steps // epochs * epochs, "seconds": time.process_time() - began}
    told.write_text(json.dumps(content))
    print(f"{name}, seed {seed}: {content['steps']} steps in {content['seconds']:.0f} s", flush=True)
    return model, content


def _pace(out: Path, runs: Path, name: str, dataset: Dataset, minutes: float, fixed: dict[str, Any]) -> float:
    """Seconds of processor time that a step takes here: as another seed's did, else of a few steps tried."""
    stem = name.replace(",", "").replace(" ", "-")
    for file in sorted(runs.glob(f"{stem}-*-{minutes:g}/told.json")):
        told = json.loads(file.read_text())
        return float(told["seconds"]) / int(told["steps"])
    spent = []
    few = (2, 8) if name == TWELVE else (4, 24)
    for steps in few:  # what it takes to start is in both
        began = time.process_time()
        api.train(
            "loc2vec",
            dataset,
            out=out / f"pace-{os.getpid()}",
            force=True,
            epochs=1,
            steps_per_epoch=steps,
            **fixed,
        )
        spent.append(time.process_time() - began)
    return max((spent[1] - spent[0]) / (few[1] - few[0]), 1e-3)


def vectors(out: Path, name: str, dataset: Dataset, model: Model, label: str) -> Features:
    """(N, D) vectors of all places of a dataset, kept on disk."""
    file = out / "vectors" / f"{name}-{label}.npy".replace(",", "").replace(" ", "-")
    if not file.exists():
        found = model.vectors(dataset, np.arange(len(dataset)))
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, found)
    return np.load(file)


def hard_triplets(dataset: Dataset, rows: np.ndarray[Any, Any], shares: Features) -> np.ndarray[Any, Any]:
    """(n, 3) positions in ``rows``: a place, its nearest neighbor, and of those `HARD_M` away the most alike by cover."""
    lonlat = dataset.lonlat[rows]
    xyz = to_ecef(lonlat[:, 0], lonlat[:, 1])
    apart = np.linalg.norm(xyz[:, None] - xyz[None], axis=2)
    unlike = np.linalg.norm(shares[:, None] - shares[None], axis=2)
    unlike[apart < HARD_M] = np.inf
    np.fill_diagonal(apart, np.inf)
    found = np.stack([np.arange(len(rows)), apart.argmin(axis=1), unlike.argmin(axis=1)], axis=1)
    return found[np.isfinite(unlike.min(axis=1))]


def triplet_table(
    dataset: Dataset, rows: np.ndarray[Any, Any], features: dict[str, Variants], shares: Features
) -> list[str]:
    """Accuracy on hard triplets by method, and ours less each, resampled by blocks of ground."""
    triplets = hard_triplets(dataset, rows, shares)
    lonlat = dataset.lonlat[rows][triplets[:, 0]]
    block = np.unique(spatial_blocks(lonlat[:, 0], lonlat[:, 1], BLOCK_M), axis=0, return_inverse=True)[1]
    block = np.asarray(block).reshape(-1)
    right = {name: [_right(values, triplets) for values in sets] for name, sets in features.items()}
    random = np.random.default_rng(0)
    count = int(block.max()) + 1
    weights = [np.bincount(random.integers(0, count, count), minlength=count)[block] for _ in range(1_000)]
    drawn: dict[str, np.ndarray[Any, Any]] = {}
    for name, sets in right.items():
        which = [
            np.random.default_rng([number, 7]).integers(0, len(sets), len(sets)) for number in range(1_000)
        ]
        drawn[name] = np.array(
            [
                np.mean([np.average(sets[seed], weights=weight) for seed in chosen])
                for weight, chosen in zip(weights, which, strict=True)
            ]
        )
    lines = [f"{len(triplets):,} hard triplets in {count} blocks of {BLOCK_M:g} m.", ""]
    lines += ["| row | accuracy | 95 % interval | default less it |", "| --- | --- | --- | --- |"]
    for name, sets in right.items():
        low, high = interval(drawn[name])
        less = ""
        if name != OURS:
            below, above = interval(drawn[OURS] - drawn[name])
            mean = float(
                np.mean([np.mean(one) for one in right[OURS]]) - np.mean([np.mean(one) for one in sets])
            )
            less = f"{mean:+.3f} ({below:+.3f} to {above:+.3f})"
        lines.append(
            f"| {name} | {np.mean([one.mean() for one in sets]):.3f} | {low:.3f} to {high:.3f} | {less} |"
        )
    return [*lines, ""]


def _right(values: Features, triplets: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """(n,) 1 where the neighbor is nearer than the negative, .5 for ties; features standardized."""
    values = (values - values.mean(axis=0)) / np.maximum(values.std(axis=0), 1e-9)
    anchor, positive, negative = (values[triplets[:, part]] for part in range(3))
    gap = ((anchor - negative) ** 2).sum(axis=1) - ((anchor - positive) ** 2).sum(axis=1)
    return (gap > 0) + 0.5 * (gap == 0)


def show(result: Result) -> list[str]:
    """A Markdown table of one task."""
    lines = [
        f"### {result.task}, {result.metric}",
        "",
        f"{result.places:,} places, {result.effective_blocks:.0f} effective blocks, {result.seeds} seeds.",
        "",
        "| row | best probe | score | 95 % interval |",
        "| --- | --- | --- | --- |",
    ]
    lines += [
        f"| {row.name} | {row.probe} | {row.score.value:.3f} | {row.score.low:.3f} to {row.score.high:.3f} |"
        for row in result.rows
    ]
    lines += ["", "| difference | mean | 95 % interval | verdict |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {item.of} - {item.against} | {item.difference.value:+.3f} | {item.difference.low:+.3f} to {item.difference.high:+.3f} | {item.verdict} |"
        for item in result.comparisons
    ]
    return [*lines, ""]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--minutes", type=float, default=15.0, help="processor time of one training, one thread"
    )
    parser.add_argument("--ours", type=float, help="the same of the default network, where it is given less")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--method", action="append", choices=METHODS)
    arguments = parser.parse_args()
    out = arguments.out
    minutes = dict.fromkeys(METHODS, arguments.minutes) | dict.fromkeys(
        (OURS, HARD), arguments.ours or arguments.minutes
    )
    west = dict(zip(("layers", "rgb"), prepared(out, "west", WEST), strict=True))
    east = dict(zip(("layers", "rgb"), prepared(out, "east", EAST), strict=True))
    asked = east["layers"]
    row_of = {name: row for row, name in enumerate(east["rgb"].places["place_id"])}
    names = asked.places["place_id"].to_numpy(object)
    lines = [
        f"{arguments.minutes:g} min of processor time a training, one thread; default: {minutes[OURS]:g} min.",
        "",
    ]
    methods = list(dict.fromkeys([OURS, *(arguments.method or METHODS)]))
    models = {
        name: [
            trained(out, name, west["rgb" if name == RGB else "layers"], seed, minutes[name])
            for seed in range(arguments.seeds)
        ]
        for name in methods
    }
    for name, runs in models.items():
        took = ", ".join(f"{told['steps']} steps in {told['seconds']:.0f} s" for _, told in runs)
        lines.append(f"- {name}: {took}")
    whole: dict[str, Variants] = {}
    for name, runs in models.items():
        ground = east["rgb" if name == RGB else "layers"]
        rows = np.array([row_of[place] for place in names]) if name == RGB else np.arange(len(names))
        bare = vectors(out, name, ground, runs[0][0].untrained(0), f"untrained-{minutes[name]:g}")
        whole[f"untrained {name}"] = (bare[rows],)
        whole[name] = tuple(
            vectors(out, name, ground, model, f"{seed}-{minutes[name]:g}")[rows]
            for seed, (model, _) in enumerate(runs)
        )
    seen = tuple(channel for channel in asked.spec("map").channels if channel not in DROPPED)
    every = np.arange(len(asked))
    whole = {COORDINATES: (asked.lonlat,), COVERAGE: (coverage_fractions(asked, seen, every),), **whole}
    for make in (landuse_task, poi_task):
        task, _ = without_leaking_groups(make(asked), seen)
        features = {name: tuple(values[task.rows] for values in sets) for name, sets in whole.items()}
        pairs = tuple((OURS, name) for name in features if name != OURS)
        result = evaluate_task(
            task, features, asked.lonlat[task.rows], pairs=pairs, buffer_m=BUFFER_M, folds=5,
            seeds=arguments.seeds, budget=BUDGET,
        )  # fmt: skip
        lines += ["", *show(result)]
    del whole[COORDINATES]
    triplets = triplet_table(asked, every, whole, whole[COVERAGE][0])
    text = "\n".join([*lines, "### hard triplets", "", *triplets])
    (out / f"quality-{arguments.minutes:g}.md").write_text(text)
    print(text)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
