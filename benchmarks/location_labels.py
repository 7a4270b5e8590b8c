"""Labels of places predicted from coordinates alone: the default model, a tuned one, nearest places and a forest.

Blocks of 100 km are held out: a fifth of them is tested, a seventh validates. Of every table 2,000 places are used, drawn
with the split by its number. Number and weights of the nearest places and the leaves of the forest are chosen on the
validation places, then both are trained on training and validation places. Every line is R² and the share that the 90% bands
cover; lines that are in WORK are not run again.

``python -m benchmarks.location_labels WORK [--tasks air-temperature ...] [--splits 200 201 ...] [--tune 45s]`` runs them,
without ``--splits`` it prints the table as Markdown. A split takes 20 s of a core, a tuned one the time of the search besides.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import placevec as pv
from placevec.evaluation.location_encoders.real_tasks import REAL, data_folder
from placevec.geo import Floats, Ints, spatial_blocks
from placevec.geo.coordinates import xyz_of
from placevec.io.progress import Silent

TASKS = ("air-temperature", "elevation", "population", "forest", "night-lights", "california-housing")
PLACES, SIDE_M = 2_000, 100_000.0
NEIGHBORS, LEAVES = (1, 3, 5, 10, 20, 50, 100, 300), (1, 3, 10, 30)


def sample(task: str, split: int) -> tuple[Floats, Floats, Ints]:
    """((N, 2) lon, lat, (N,) labels, (N,) 0 train, 1 validation, 2 test)."""
    folder = data_folder()
    if folder is None:
        raise SystemExit("the tables are in the data folder: set PLACEVEC_DATA")
    held = REAL[task](folder)
    rows = np.sort(np.random.default_rng([split, 1]).permutation(len(held.points))[:PLACES])
    lonlat, labels = np.asarray(held.points)[rows], np.asarray(held.target)[rows].astype(float)
    block = spatial_blocks(lonlat[:, 0], lonlat[:, 1], SIDE_M)
    order = np.random.default_rng([split, 7]).permutation(np.unique(block))
    tested, validated = len(order) // 5, len(order) // 5 + len(order) // 7
    return lonlat, labels, np.select(
        [np.isin(block, order[:tested]), np.isin(block, order[tested:validated])], [2, 1], 0
    )  # fmt: skip


def r2(truth: Floats, said: Floats) -> float:
    """Coefficient of determination."""
    return float(1.0 - ((truth - said) ** 2).mean() / truth.var())


def beside(lonlat: Floats, labels: Floats, part: Ints) -> dict[str, float]:
    """R² of the nearest places and of a forest."""
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.neighbors import KNeighborsRegressor

    def nearest(option: tuple[int, str]) -> Any:
        return KNeighborsRegressor(option[0], weights=option[1])

    def forest(leaf: int) -> Any:
        return RandomForestRegressor(100, min_samples_leaf=leaf, max_features=0.5, random_state=0)

    found = {}
    xyz = xyz_of(lonlat)
    pairs = [(count, weights) for count in NEIGHBORS for weights in ("uniform", "distance")]
    for name, make, options, x in (
        ("nearest", nearest, pairs, xyz), ("forest", forest, LEAVES, np.c_[xyz, lonlat])
    ):  # fmt: skip
        train, held, test = (part == code for code in range(3))
        scores = [
            r2(labels[held], make(one).fit(x[train], labels[train]).predict(x[held]))  # type: ignore[operator]
            for one in options
        ]
        best = make(options[int(np.argmax(scores))])  # type: ignore[operator]
        found[name] = r2(labels[test], best.fit(x[~test], labels[~test]).predict(x[test]))
    return found


class _Notes(Silent):
    """Keeps what training says."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)


def trained(task: str, split: int, tune: str | None, work: Path) -> dict[str, Any]:
    """R² and coverage of a model of the default options, or of tuned ones."""
    import pandas as pd

    lonlat, labels, part = sample(task, split)
    names = np.array(["train", "validation", "test"])[part]
    table = pd.DataFrame({"lon": lonlat[:, 0], "lat": lonlat[:, 1], "label": labels, "split": names})
    with tempfile.TemporaryDirectory() as folder:
        table.to_csv(Path(folder) / "points.csv", index=False)
        dataset = pv.prepare(
            "sphere2vec", points=Path(folder) / "points.csv", label="label", split="split", keep_duplicates=True,
            out=Path(folder) / "points",
        )  # fmt: skip
        notes, more = _Notes(), {} if tune is None else {"tune": tune}
        started = time.process_time()
        model = pv.train(
            "sphere2vec", dataset, out=Path(folder) / "run", seed=split, projector=0, progress=notes, **more
        )
    head = model.head
    assert head is not None
    assert head.reliability is not None
    known, kept = head.cpu().reliability, {}
    for name, code in (("train", 0), ("validation", 1), ("test", 2)):
        z = torch.from_numpy(model.embed_lonlat(lonlat[part == code]))
        with torch.inference_mode():
            said = head.answers(z)[:, 0].double().numpy()
            half = known.half_width(z).numpy() * head.deviation
        kept[name] = {"lonlat": lonlat[part == code], "error": said - labels[part == code], "half": half}
    np.savez(
        work / f"{task}-{split}-{'default' if tune is None else tune}.npz",
        factor=float(known.factor),
        **{f"{name}_{key}": value for name, one in kept.items() for key, value in one.items()},
    )
    truth, test = labels[part == 2], kept["test"]
    error = np.abs(test["error"])
    order = np.argsort(test["half"])
    return {
        "r2": r2(truth, truth + test["error"]),
        "cover": float((error <= test["half"]).mean()),
        "factor": float(known.factor),
        "mae": float(error.mean()),
        "mae80": float(error[order[: round(0.8 * len(order))]].mean()),
        "mae50": float(error[order[: round(0.5 * len(order))]].mean()),
        "cpu": time.process_time() - started,
        "notes": [line for line in notes.lines if "tune" in line or "untrained" in line or "scales" in line],
    }


def run(work: Path, tasks: Sequence[str], splits: Sequence[int], tune: str | None) -> None:
    """Append what is missing to ``results.jsonl``."""
    work.mkdir(parents=True, exist_ok=True)
    path = work / "results.jsonl"
    done = {(one["task"], one["split"], one["what"]) for one in _lines(path)}
    for task in tasks:
        for split in splits:
            for what in ["beside", "default"] if tune is None else [f"tune {tune}"]:
                if (task, split, what) in done:
                    continue
                found = beside(*sample(task, split)) if what == "beside" else trained(task, split, tune, work)
                line = {"task": task, "split": split, "what": what, **found}
                with path.open("a") as file:
                    file.write(json.dumps(line) + "\n")
                print(json.dumps(line), flush=True)


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def shown(work: Path) -> str:
    """The table as Markdown."""
    lines = _lines(work / "results.jsonl")
    tuned = sorted({one["what"] for one in lines if one["what"].startswith("tune")})
    heads = [
        "labels",
        "default",
        *tuned,
        "nearest places",
        "forest",
        "default minus better, by split",
        "covered, by split",
    ]
    text = [f"| {' | '.join(heads)} |", "|" + " --- |" * len(heads)]
    for task in TASKS:
        of = {
            what: {one["split"]: one for one in lines if one["task"] == task and one["what"] == what}
            for what in ("beside", "default", *tuned)
        }
        splits = sorted(of["beside"].keys() & of["default"].keys())
        if not splits:
            continue
        best = [max(of["beside"][one]["nearest"], of["beside"][one]["forest"]) for one in splits]
        cells = [
            task,
            *(_mean([one["r2"] for one in of[what].values()]) for what in ("default", *tuned)),
            *(_mean([of["beside"][one][name] for one in splits]) for name in ("nearest", "forest")),
            ", ".join(
                f"{of['default'][one]['r2'] - other:+.3f}" for one, other in zip(splits, best, strict=True)
            ),
            ", ".join(
                f"{of['default'][one]['cover']:.1%}" + ("" if of["default"][one]["factor"] > 0 else "*")
                for one in splits
            ),
        ]
        text.append(f"| {' | '.join(cells)} |")
    return "\n".join(text)


def _mean(values: Sequence[float]) -> str:
    """Mean and standard deviation."""
    if not values:
        return "-"
    spread = f" ({np.std(values, ddof=1):.3f})" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{spread}"


def main() -> None:
    """Run, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--tasks", nargs="+", default=TASKS, choices=TASKS)
    parser.add_argument("--splits", nargs="+", type=int)
    parser.add_argument("--tune")
    given = parser.parse_args()
    if given.splits:
        run(given.work, given.tasks, given.splits, given.tune)
    else:
        print(shown(given.work))


if __name__ == "__main__":
    main()
