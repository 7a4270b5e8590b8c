"""Cells as images and points of interest, fused, beside either alone, raw features and hex2vec, on cells never seen.

    python -m benchmarks.mmgr_quality OUT [--set world ...] [--seeds 3] [--epochs 10] [--srai PYTHON]

For each seed the blocks of a set (`benchmarks.mmgr_cells`) are dealt into folds, and for each fold a model is trained,
without labels, on the cells of the other folds alone, a window's diagonal away from those that are tested. Probes (ridge,
nearest neighbors, forest) then learn the target from the vectors of the same training cells; every row takes its best
probe. ``--set`` asks about some of the sets; ``--epochs`` are of one training. Hex2vec is that of srai, run by the
interpreter that ``--srai`` names, on the same cells, counts and folds; each cell's neighbors are the six nearest ones.

``--choose`` instead trains the settings of `SETTINGS` on a part of the training blocks of the first fold, and prints how
well they predict the rest of these blocks: tested cells are not read.

Everything that is done is kept in OUT and not done again. Not part of ``make bench``, which is for speed.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.spatial import cKDTree

from benchmarks.mmgr_cells import SETS, Cells, colors, counts, near
from benchmarks.peers import hex2vec
from placevec import api
from placevec.core import FUSED
from placevec.evaluation.baselines import COORDINATES, beside
from placevec.evaluation.engine import Budget, evaluate_splits
from placevec.evaluation.probes import PROBES, Effort, Features, Probe, Training
from placevec.evaluation.results import Result
from placevec.evaluation.splits import MIN_TRAINING, Blocks, Fold, Split, block_grid, spatial_split
from placevec.evaluation.tasks import Task
from placevec.geo import Floats, Ints, spatial_blocks, to_ecef
from placevec.geo.coordinates import xyz_of
from placevec.io import atomic
from placevec.models.model import Model
from placevec.recipes.mmgr import build

IMAGE, POIS, BOTH = "image", "points", "image and points, side by side"
COUNTS, COLORS, RAW = "counts of points", "colors", "counts and colors"
NEAR, ALL = "counts by distance", "counts by distance and colors"
UNTRAINED, HEX2VEC, WITH = "untrained encoders, fused", "hex2vec (srai)", "coordinates and fused"
FOLDS = 3
TRAINING: dict[str, Any] = {"validation_share": 0.0, "validation_steps": 0, "projector": 0}
SETTINGS: dict[str, dict[str, Any]] = {
    "default": {}, "all points in a sample": {"keep_share": 1.0}, "no channels dropped": {"drop_channels": 0.0},
    "images with points only": {"intra_weight": 0.0},
}  # fmt: skip
BUDGET = Budget(Effort(trees=40, neighbors=(20,)), 1_000, 10**9)
_NEIGHBORS = 6


# --- training ----------------------------------------------------------------------------------------------


@contextmanager
def only(rows: Ints) -> Iterator[None]:
    """Training reads these cells of a dataset, and no others."""
    original = build._side

    def some(*arguments: Any, **named: Any) -> Any:
        side = original(*arguments, **named)
        return replace(side, rows=np.intersect1d(side.rows, rows))

    build._side = some
    try:
        yield
    finally:
        build._side = original


def vectors(
    run: Path, cells: Cells, rows: Ints, seed: int, epochs: int, **options: Any
) -> dict[str, Features]:
    """Vectors of all cells by a model that was trained on the cells at ``rows``: of both views, fused, and untrained."""
    file = run / "vectors.npz"
    if not file.exists():
        began = time.process_time()
        chosen = {**TRAINING, **cells.options, **options}
        with only(rows):
            model = api.train("mmgr", cells.dataset, out=run, resume=True, seed=seed, epochs=epochs, **chosen)
        found = {
            **_encoded(model, cells, ""),
            **_encoded(model.untrained(seed), cells, "untrained "),
        }
        with atomic.replacing(file) as temporary, temporary.open("wb") as opened:
            np.savez(opened, **found)
        seconds = time.process_time() - began
        print(f"{cells.name}, {run.name}: {len(rows):,} cells, {seconds:.0f} s of processor time", flush=True)
    with np.load(file) as stored:
        return {name: stored[name] for name in stored.files}


def _encoded(model: Model, cells: Cells, prefix: str) -> dict[str, Features]:
    """Vectors of all cells; zeros of a view that a cell lacks."""
    found = {}
    for name, values in model.encode(cells.dataset, batch_size=256).items():
        known = FUSED if name == FUSED else "points" if name == "pois" else "image"
        found[prefix + known] = np.nan_to_num(values)
    return found


def neighbors(cells: Cells, rows: Ints) -> Ints:
    """(2, E) pairs of positions in ``rows``: each cell and the six nearest ones."""
    lonlat = cells.dataset.lonlat[rows]
    xyz = to_ecef(lonlat[:, 0], lonlat[:, 1])
    near = cKDTree(xyz).query(xyz, k=_NEIGHBORS + 1)[1][:, 1:]
    return np.stack([np.repeat(np.arange(len(rows)), _NEIGHBORS), near.reshape(-1)])


def hex2vec_vectors(file: Path, cells: Cells, rows: Ints, seed: int, python: str) -> Features:
    """(N, 50) of hex2vec trained on the cells at ``rows``, kept in a file."""
    if not file.exists():
        every = counts(cells)
        found = hex2vec.vectors(python, every[rows], every, neighbors(cells, rows), seed)
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic.replacing(file) as temporary, temporary.open("wb") as opened:
            np.save(opened, found)
    return np.load(file)


# --- evaluation --------------------------------------------------------------------------------------------


@contextmanager
def kept(folder: Path) -> Iterator[None]:
    """What a probe predicts in a fold is kept by its inputs, and a run that was stopped goes on with the next fold."""
    folder.mkdir(parents=True, exist_ok=True)
    original = dict(PROBES)
    PROBES.update({name: partial(_kept, folder, name, probe) for name, probe in original.items()})
    try:
        yield
    finally:
        PROBES.update(original)


def _kept(
    folder: Path, name: str, probe: Probe, training: Training, tested: Features, effort: Effort
) -> Floats:
    told = hashlib.sha256(repr((name, training.kind, training.seed, training.outputs, effort)).encode())
    for part in (training.features, training.target, training.block, tested):
        told.update(repr((part.shape, str(part.dtype))).encode() + np.ascontiguousarray(part).tobytes())
    file = folder / f"{told.hexdigest()}.npz"
    if not file.exists():
        scores = probe(training, tested, effort)
        with atomic.replacing(file) as temporary, temporary.open("wb") as opened:
            np.savez(opened, scores=scores, notes=np.array(training.notes, str))
        return scores
    with np.load(file) as stored:
        training.notes.extend(stored["notes"].tolist())
        return np.asarray(stored["scores"])


def blocks_of(cells: Cells) -> Blocks:
    """The blocks of a set."""
    lonlat = cells.dataset.lonlat
    number = spatial_blocks(lonlat[:, 0], lonlat[:, 1], cells.block_m)
    return Blocks(np.unique(number, return_inverse=True)[1].reshape(-1).astype(np.int64), cells.block_m)


def splits_of(cells: Cells, seeds: int) -> list[Split]:
    """A split of all cells a seed."""
    blocks = blocks_of(cells)
    return [
        spatial_split(cells.dataset.lonlat, blocks, buffer_m=cells.buffer_m, folds=FOLDS, seed=seed)
        for seed in range(seeds)
    ]


def of_rows(split: Split, rows: Ints, count: int) -> Split:
    """The split of some of ``count`` cells, as positions in ``rows``.

    Raises:
        SystemExit: too few cells to learn from: the engine would leave the fold out, and number the others anew.
    """
    at = np.full(count, -1, np.int64)
    at[rows] = np.arange(len(rows))
    folds = []
    for fold in split.folds:
        train, test = at[fold.train], at[fold.test]
        folds.append(Fold(train[train >= 0], test[test >= 0]))
        if len(folds[-1].train) < MIN_TRAINING:
            raise SystemExit(f"a fold has {len(folds[-1].train)} cells to learn from: more cells are needed")
    return replace(split, folds=tuple(folds))


def features_of(
    out: Path, cells: Cells, splits: Sequence[Split], epochs: int, python: str | None
) -> dict[str, list[Features | Callable[[int], Features]]]:
    """Name -> for each seed the (N, D) features of all cells, or a function of the fold where something was trained."""

    def trained(seed: int, fold: int, name: str) -> Features:
        run = out / cells.name / "runs" / f"epochs{epochs}-seed{seed}-fold{fold}"
        found = vectors(run, cells, splits[seed].folds[fold].train, seed, epochs)
        if name == BOTH:
            return np.hstack([found[IMAGE], found[POIS]])
        if name == UNTRAINED:
            return found[f"untrained {FUSED}"]
        return beside(where, found[FUSED]) if name == WITH else found[name]

    def peer(seed: int, fold: int) -> Features:
        file = out / cells.name / "hex2vec" / f"seed{seed}-fold{fold}.npy"
        return hex2vec_vectors(file, cells, splits[seed].folds[fold].train, seed, python or "")

    lonlat = cells.dataset.lonlat
    where = np.hstack([xyz_of(lonlat), lonlat])
    number, color = np.log1p(counts(cells)), colors(cells)
    rows: dict[str, list[Any]] = {COORDINATES: [where], COUNTS: [number], COLORS: [color]}
    rows[RAW] = [np.hstack([number, color])]
    rows[NEAR] = [np.hstack([number, np.log1p(near(cells))])]
    rows[ALL] = [np.hstack([rows[NEAR][0], color])]
    for name in (UNTRAINED, IMAGE, POIS, BOTH, FUSED, WITH):
        rows[name] = [
            partial(lambda fold, seed, name: trained(seed, fold, name), seed=seed, name=name)
            for seed in range(len(splits))
        ]
    if python:
        rows[HEX2VEC] = [
            partial(lambda fold, seed: peer(seed, fold), seed=seed) for seed in range(len(splits))
        ]
    return rows


def evaluated(cells: Cells, name: str, rows: dict[str, list[Any]], splits: Sequence[Split]) -> Result:
    """A task by every row."""
    chosen, target = cells.task(name)
    lonlat, blocks = cells.dataset.lonlat[chosen], blocks_of(cells)
    some = Blocks(np.unique(blocks.number[chosen], return_inverse=True)[1].astype(np.int64), blocks.size_m)

    def taken(one: Any) -> Any:
        return (lambda fold: one(fold)[chosen]) if callable(one) else one[chosen]

    task = Task(f"{cells.name}, {name}", "regression", target, np.arange(len(chosen)), lonlat=lonlat)
    pairs = [(FUSED, other) for other in rows if other not in (FUSED, WITH)]
    return evaluate_splits(
        task, {key: tuple(map(taken, values)) for key, values in rows.items()},
        [of_rows(split, chosen, len(blocks.number)) for split in splits], some, some.number,
        pairs=(*pairs, (WITH, COORDINATES)), buffer_m=cells.buffer_m, budget=BUDGET, lonlat=lonlat,
    )  # fmt: skip


def described(cells: Cells, result: Result) -> list[str]:
    """Markdown: what could be seen at all, then rows and differences."""
    seen = {item.against: item.half_width for item in result.comparisons if item.of == FUSED}
    against = ", ".join(f"{name} {seen[name]:.3f}" for name in (IMAGE, POIS, COUNTS, COLORS) if name in seen)
    lines = [
        f"### {result.task}, {result.metric}", "",
        f"{cells.about}. {result.places:,} cells in {result.blocks} blocks of {result.block_m / 1000:g} km "
        f"({result.effective_blocks:.0f} effective), {result.folds} folds, buffer {result.buffer_m / 1000:.3g} km, which "
        f"leaves {result.kept:.0%} of the training cells; {result.seeds} seeds. Smallest detectable difference of fused to: "
        f"{against}.", "",
        "| row | best probe | score | 95 % interval | by seed |", "| --- | --- | --- | --- | --- |",
    ]  # fmt: skip
    for row in result.rows:
        by_seed = ", ".join(f"{one:.3f}" for one in row.score.by_seed)
        lines.append(
            f"| {row.name} | {row.probe} | {row.score.value:.3f} | {row.score.low:.3f} to {row.score.high:.3f} | {by_seed} |"
        )
    lines += [
        "",
        "| difference | mean | 95 % interval | p (Holm) | verdict |",
        "| --- | --- | --- | --- | --- |",
    ]
    for item in result.comparisons:
        low, high = item.difference.low, item.difference.high
        lines.append(
            f"| {item.of} - {item.against} | {item.difference.value:+.3f} | {low:+.3f} to {high:+.3f} | {item.p:.3f} |"
            f" {item.claim} |"
        )
    doubts = dict.fromkeys(item.doubt for item in result.comparisons if item.doubt)
    return [*lines, "", *(f"- {doubt}" for doubt in doubts), *(f"- {note}" for note in result.notes), ""]


# --- choosing ----------------------------------------------------------------------------------------------


def chosen(out: Path, cells: Cells, split: Split, epochs: int) -> list[str]:
    """How well the settings predict a part of the training blocks of the first fold, trained on the rest of them."""
    train = split.folds[0].train
    lonlat = cells.dataset.lonlat[train]
    inner = spatial_split(
        lonlat, block_grid(lonlat, buffer_m=cells.buffer_m), buffer_m=cells.buffer_m, folds=FOLDS, seed=0
    )
    fold = inner.folds[0]
    lines = ["| setting | " + " | ".join(cells.targets) + " |", "| --- |" + " --- |" * len(cells.targets)]
    for name, options in SETTINGS.items():
        run = out / cells.name / "choice" / f"epochs{epochs}-{name.replace(' ', '-')}"
        found = vectors(run, cells, train[fold.train], 0, epochs, **options)[FUSED][train]
        told = []
        for target in cells.targets:
            known = np.flatnonzero(np.isfinite(cells.targets[target][train]))
            task = Task(
                target,
                "regression",
                cells.targets[target][train][known],
                np.arange(len(known)),
                lonlat=lonlat[known],
            )
            some = of_rows(replace(inner, folds=(fold,)), known, len(train))
            blocks = block_grid(lonlat[known], buffer_m=cells.buffer_m)
            result = evaluate_splits(
                task, {FUSED: (found[known],)}, [some], blocks, blocks.number, pairs=(), budget=BUDGET
            )
            told.append(f"{next(row.score.value for row in result.rows if row.name == FUSED):.3f}")
        lines.append(f"| {name} | {' | '.join(told)} |")
        print(lines[-1], flush=True)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--set", action="append", choices=SETS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--srai", help="interpreter that has srai")
    parser.add_argument("--choose", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    lines: list[str] = []
    for name in arguments.set or SETS:
        cells = SETS[name](arguments.out)
        splits = splits_of(cells, arguments.seeds)
        if arguments.choose:
            lines += chosen(arguments.out, cells, splits[0], arguments.epochs)
            continue
        rows = features_of(arguments.out, cells, splits, arguments.epochs, arguments.srai)
        for target in cells.targets:
            file = arguments.out / name / f"{target}-epochs{arguments.epochs}-seeds{arguments.seeds}.md"
            if not file.exists():
                with kept(arguments.out / name / "predictions"):
                    text = "\n".join(described(cells, evaluated(cells, target, rows, splits)))
                with atomic.replacing(file) as temporary:
                    temporary.write_text(text)
            lines.append(file.read_text())
    print("\n".join(lines))


if __name__ == "__main__":
    main()
