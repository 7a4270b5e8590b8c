"""How the default encoder was chosen: variants trained for equal processor time, compared with baselines.

    python -m benchmarks.quality OUT --osm malta.osm.pbf --seconds 80 --seeds 3 [--variant NAME ...]

Writes one report a variant and seed into OUT and prints a table; not part of ``make bench``, which is for speed.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from placevec import api
from placevec.datasets.dataset import Dataset

DROPPED = ("landcover", "natural-features", "leisure", "amenities")
WINDOW: dict[str, Any] = {
    "size_px": 128,
    "size_m": 250.0,
    "near_m": 150.0,
    "far_m": 500.0,
    "drop_layers": DROPPED,
}
VARIANTS: dict[str, dict[str, Any]] = {
    "compact-32 infonce": {"encoder": "compact-tile-cnn", "width": 32},
    "compact-48 infonce": {"encoder": "compact-tile-cnn", "width": 48},
    "compact-32 triplet-swap": {"encoder": "compact-tile-cnn", "width": 32, "objective": "triplet-swap"},
    "compact-32 same spot": {"encoder": "compact-tile-cnn", "width": 32, "near_m": 30.0},
    "compact-32 no dropout of layers": {"encoder": "compact-tile-cnn", "width": 32, "drop_channels": 0.0},
    "founding infonce": {"encoder": "founding-tile-cnn"},
    "founding triplet-swap": {"encoder": "founding-tile-cnn", "objective": "triplet-swap", "batch_size": 16},
}


def _train(dataset: Dataset, run: Path, options: dict[str, Any], seconds: float, seed: int) -> None:
    """Train for about ``seconds`` of processor time: the number of steps follows from the speed of two short runs."""
    fixed = {**WINDOW, **options, "seed": seed, "validation_steps": 2}
    probe, spent = run.with_name(run.name + "-probe"), []
    for steps in (2, 2, 8):
        began = time.process_time()
        api.train("loc2vec", dataset, out=probe, force=True, epochs=1, steps_per_epoch=steps, **fixed)
        spent.append(time.process_time() - began)
    steps = max(10, int(seconds * 6 / max(spent[2] - spent[1], 1e-3)))
    epochs = 5
    api.train(
        "loc2vec", dataset, out=run, force=True, epochs=epochs, steps_per_epoch=steps // epochs, **fixed
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--osm", type=Path, required=True)
    parser.add_argument("--bbox", help="west,south,east,north, to take a part only")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--variant", action="append", choices=VARIANTS)
    arguments = parser.parse_args()
    out = arguments.out / "dataset"
    dataset = api.prepare("loc2vec", osm=arguments.osm, bbox=arguments.bbox, out=out, workers=2)
    for seed in range(arguments.seeds):
        for name in arguments.variant or VARIANTS:
            run = arguments.out / name.replace(" ", "-") / str(seed)
            if not (run / "report.json").exists():
                began = time.process_time()
                _train(dataset, run, VARIANTS[name], arguments.seconds, seed)
                took = time.process_time() - began
                table = api.embed(run, dataset, out=run / "vectors.parquet")
                report = api.evaluate(table, dataset=dataset, model=run, budget="quick", seeds=1)
                report.save(run)
                steps = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["step"]
                print(f"{name}, seed {seed}: {steps} steps, {took:.0f} s of processor time", flush=True)
            _show(name, seed, json.loads((run / "report.json").read_text()))


def _show(name: str, seed: int, report: dict[str, Any]) -> None:
    for task in report["tasks"]:
        scores = {row["name"]: row["score"] for row in task["rows"]}
        shown = ", ".join(
            f"{row} {value:.3f}" for row, value in scores.items() if value is not None and np.isfinite(value)
        )
        print(f"  {name} [{seed}] {task['task']}: {shown}", flush=True)


if __name__ == "__main__":
    main()
