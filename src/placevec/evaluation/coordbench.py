"""CoordBench (torchgeo-bench): its tables and blocks as tasks here, and our encoders as rows of its results.

A table is ``data/NAME/data.parquet`` of its data set: lon, lat, columns of labels and, where there is an official split,
``split``. Blocks are cells of 10 degrees, dealt to five folds; a linear probe is ridge on standardized vectors, whose
penalty is the one with the best mean score over these very folds, as there. A row of its results has the columns of
`COLUMNS`. Tables and results are its authors' (github.com/torchgeo/torchgeo-bench, MIT); nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from placevec.errors import EvaluationError, SourceError
from placevec.evaluation.point_baselines import FOREST, NEAREST, predicted
from placevec.evaluation.splits import Fold, Split, inner_parts
from placevec.evaluation.tasks import Task
from placevec.geo import Floats, Ints
from placevec.geo.geoparquet import read_parquet
from placevec.io.atomic import write_csv
from placevec.sources.tables.losses import Losses

FOLDS, CELL_DEG = 5, 10.0
ALPHAS = tuple(10.0**power for power in np.arange(-4.0, 6.5, 0.5))
COLUMNS = (
    "dataset", "task", "task_type", "method", "split", "metric_name", "metric_value", "ci_lower", "ci_upper", "n_folds",
    "cell_deg", "feature_dim", "n_samples", "n_test", "seed", "model_name", "model_target",
)  # fmt: skip
_NO_TASK = ("timestamp", "timestamp_end", "split", "id", "name", "geometry", "place_id")
_UNLOCATED = 0.9
"""Share of rows that may lack coordinates, as of labeled points."""
_LON, _LAT = ("lon", "longitude", "Lon", "x"), ("lat", "latitude", "Lat", "y")
Scheme = Literal["spatial", "random"]
Encode = Callable[[Floats], NDArray[Any]]
"""(N, 2) lon, lat degrees -> (N, D) vectors."""


@dataclass(frozen=True)
class Benchmark:
    """One table: points, labels by task, the official test rows if there are any, and what was left out."""

    name: str
    lonlat: Floats
    tasks: Mapping[str, NDArray[Any]]
    test: NDArray[np.bool_] | None = None
    notes: tuple[str, ...] = ()


def read_table(path: str | Path, tasks: Sequence[str] = (), name: str | None = None) -> Benchmark:
    """A table of CoordBench, or any Parquet table with lon, lat and labels.

    Args:
        path: the Parquet file.
        tasks: columns of labels; by default all but those of points, splits, times and names.
        name: of the benchmark (default: the file's folder, as in its data set, or the file's name).

    Raises:
        SourceError: the file does not exist, is no Parquet, would decompress to far more than it has, or more than
            nine tenths of its rows have no coordinates.
        EvaluationError: no coordinates, or a missing column.
    """
    path = Path(path)
    table = read_parquet(path).to_pandas(ignore_metadata=True)
    lon, lat = (next((one for one in names if one in table), None) for names in (_LON, _LAT))
    if lon is None or lat is None:
        raise EvaluationError(
            f"{path} has no columns for lon and lat; it has {', '.join(map(str, table.columns[:12]))}"
        )
    lonlat = table[[lon, lat]].to_numpy(np.float64)
    kept, losses = np.isfinite(lonlat).all(axis=1), Losses(path)
    if not kept.all():
        first = f"row {int(np.flatnonzero(~kept)[0]) + 1}"
        remedy = f"fill in {lon} and {lat}, or leave the row out"
        losses.add("no coordinates", int(np.count_nonzero(~kept)), first, remedy, share=_UNLOCATED)
        losses.check(len(kept))
    named = list(tasks) or [one for one in table.columns if one not in (lon, lat, *_NO_TASK)]
    if missing := [one for one in named if one not in table]:
        raise EvaluationError(
            f"{path} has no column {missing[0]!r}; it has {', '.join(map(str, table.columns[:12]))}"
        )
    if not named:
        raise EvaluationError(f"{path} has no label column")
    test = (table["split"] == "test").to_numpy()[kept] if "split" in table else None
    labels = {one: table[one].to_numpy()[kept] for one in named}
    own = path.parent.name if path.stem == "data" else path.stem
    official = test if test is not None and test.any() else None
    return Benchmark(name or own, lonlat[kept], labels, official, tuple(losses.notes(len(kept))))


def fold_numbers(lonlat: Floats, folds: int = FOLDS, cell_deg: float = CELL_DEG, seed: int = 0) -> Ints:
    """(N,) fold of each point: cells of lon and lat are numbered from the southwest and dealt in a random order.

    Points of one cell are in one fold.

    >>> first, second = fold_numbers(np.array([[24.1, 60.1], [29.9, 69.9]]))
    >>> bool(first == second)
    True
    """
    cells = _cells(lonlat, cell_deg)
    order = np.random.default_rng(seed).permutation(len(np.unique(cells)))
    return np.asarray(order[np.unique(cells, return_inverse=True)[1]] % folds, np.int64)


def _cells(lonlat: Floats, cell_deg: float = CELL_DEG) -> Ints:
    """(N,) number of the cell of each point, the same for points of the same cell."""
    cells = np.floor(lonlat[:, ::-1] / cell_deg).astype(np.int64) @ np.array([100_003, 1])
    return np.asarray(cells, np.int64)


def folds_of(benchmark: Benchmark, rows: Ints, scheme: Scheme, seed: int) -> list[Ints]:
    """Positions in ``rows`` that each fold tests."""
    if scheme == "random":
        order = np.random.default_rng(seed).permutation(len(rows))
        return [order[fold::FOLDS] for fold in range(FOLDS)]
    number = fold_numbers(benchmark.lonlat, seed=seed)[rows]
    return [np.flatnonzero(number == fold) for fold in np.unique(number)]


def rows_of(
    benchmark: Benchmark,
    models: Mapping[str, Encode],
    *,
    schemes: Sequence[Scheme] = ("random", "spatial"),
    seed: int = 0,
) -> Iterator[dict[str, Any]]:
    """A row of results for each task, split and model, in the layout of CoordBench.

    Args:
        benchmark: the table.
        models: name -> what gives vectors, such as ``model.embed_lonlat``.
        schemes: kinds of folds; an official split is used once instead.
        seed: of the folds.
    """
    vectors = {name: np.asarray(encode(benchmark.lonlat), np.float64) for name, encode in models.items()}
    for scheme in ("official",) if benchmark.test is not None else schemes:
        for task, labels in benchmark.tasks.items():
            kind = task_type(labels)
            rows = np.flatnonzero(_known(labels, kind))
            for name, found in vectors.items():
                scores = _scores(benchmark, found[rows], labels[rows], rows, kind, scheme, seed)
                yield _row(
                    benchmark, task, kind, "linear", scheme, scores, found.shape[1], len(rows), seed, name
                )


def baseline_rows(
    benchmark: Benchmark,
    baselines: Sequence[str] = (NEAREST, FOREST),
    *,
    schemes: Sequence[Scheme] = ("random", "spatial"),
    seed: int = 0,
) -> Iterator[dict[str, Any]]:
    """Rows of tuned baselines of the coordinates alone, in the layout of CoordBench and on the same folds.

    Their settings (number and weights of neighbors, size of leaves) are chosen inside the training part of each fold. The
    column ``method`` says ``tuned``: no linear probe is involved.

    Args:
        benchmark: the table.
        baselines: of `placevec.evaluation.point_baselines.BASELINES`.
        schemes: kinds of folds; an official split is used once instead.
        seed: of the folds.
    """
    for scheme in ("official",) if benchmark.test is not None else schemes:
        for name, labels in benchmark.tasks.items():
            kind = task_type(labels)
            rows = np.flatnonzero(_known(labels, kind))
            target, classes = labels[rows], np.zeros(0)
            if kind == "classification":
                classes, target = np.unique(target, return_inverse=True)
            lonlat, every = benchmark.lonlat[rows], np.arange(len(rows))
            task = Task(
                name, "regression" if kind == "regression" else "classification",
                target.astype(np.float64 if kind == "regression" else np.int64), every, tuple(map(str, classes)),
                lonlat=lonlat,
            )  # fmt: skip
            if benchmark.test is not None:
                parts = [np.flatnonzero(benchmark.test[rows])]
            else:
                parts = folds_of(benchmark, rows, "random" if scheme == "random" else "spatial", seed)
            folds = tuple(Fold(np.setdiff1d(every, part), part) for part in parts)
            groups = every if scheme == "random" else _cells(lonlat)
            random = np.random.default_rng(seed)
            split = Split(folds, inner=tuple(inner_parts(groups[fold.train], random) for fold in folds))
            for baseline in baselines:
                found, _ = predicted(baseline, task, split)
                scores = [_score(target[fold.test], found[fold.test], kind) for fold in folds]
                yield _row(benchmark, name, kind, "tuned", scheme, scores, 2, len(rows), seed, baseline)


def _score(truth: NDArray[Any], found: Floats, kind: str) -> float:
    """Accuracy, or R²."""
    if kind == "classification":
        return float((found.argmax(axis=1) == truth).mean())
    spread = max(float(((truth - truth.mean()) ** 2).sum()), 1e-12)
    return 1.0 - float(((truth - found[:, 0]) ** 2).sum()) / spread


def _row(
    benchmark: Benchmark, task: str, kind: str, method: str, scheme: str, scores: Sequence[float], dim: int, count: int,
    seed: int, name: str,
) -> dict[str, Any]:  # fmt: skip
    mean, spread = float(np.mean(scores)), float(np.std(scores)) if len(scores) > 1 else 0.0
    tested = count if benchmark.test is None else int(benchmark.test.sum())
    values = (
        benchmark.name, task, kind, method, scheme, "r2" if kind == "regression" else "accuracy", mean, mean - spread,
        mean + spread, 1 if scheme == "official" else FOLDS, CELL_DEG, dim, len(benchmark.lonlat), tested, seed, name,
        "placevec",
    )  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def write_results(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as CoordBench's results, to be added to its leaderboard."""
    write_csv(path, COLUMNS, [tuple(row[name] for name in COLUMNS) for row in rows])


def read_results(path: Path) -> list[dict[str, Any]]:
    """Rows of CoordBench's results, such as its ``coordbench-results.csv``.

    Raises:
        SourceError: the file does not exist, or has other columns.
    """
    import pandas as pd

    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise SourceError(f"cannot read {path}: {error}") from error
    if missing := [name for name in COLUMNS[:7] if name not in table]:
        raise SourceError(f"{path} has no CoordBench results: the column {missing[0]} is missing")
    return [dict(zip(table.columns, row, strict=True)) for row in table.itertuples(index=False, name=None)]


def task_type(labels: NDArray[Any]) -> str:
    """``regression`` for fractions, else ``classification``: texts, and integers with at most a thousand values.

    >>> task_type(np.array(["oak", "elm"])), task_type(np.array([0.5, 1.25]))
    ('classification', 'regression')
    """
    if labels.dtype.kind == "f":
        known = labels[np.isfinite(labels)]
        whole = len(known) > 0 and bool((known == np.round(known)).all()) and len(np.unique(known)) <= 50
        return "classification" if whole else "regression"
    return (
        "classification" if labels.dtype.kind in "OUSbT" or len(np.unique(labels)) <= 1000 else "regression"
    )


def _known(labels: NDArray[Any], kind: str) -> NDArray[np.bool_]:
    if kind == "regression":
        return np.isfinite(labels.astype(np.float64))
    return np.array([one is not None and (isinstance(one, str) or bool(np.isfinite(one))) for one in labels])


def _scores(
    benchmark: Benchmark, vectors: Floats, labels: NDArray[Any], rows: Ints, kind: str, scheme: str, seed: int
) -> list[float]:
    """Scores of the folds, or of the official test, with the penalty that has the best mean score."""
    classes = None if kind == "regression" else np.unique(labels, return_inverse=True)[1]
    target = (
        labels.astype(np.float64)[:, None] if classes is None else np.eye(int(classes.max()) + 1)[classes]
    )
    every = np.arange(len(rows))
    if benchmark.test is not None and scheme == "official":
        tested = benchmark.test[rows]
        pool = every[~tested]
        best, _ = _best(
            vectors,
            target,
            classes,
            [(np.setdiff1d(pool, pool[f::FOLDS]), pool[f::FOLDS]) for f in range(FOLDS)],
        )
        return _fitted(vectors, target, classes, pool, every[tested], (best,))
    parts = folds_of(benchmark, rows, "random" if scheme == "random" else "spatial", seed)
    return _best(vectors, target, classes, [(np.setdiff1d(every, part), part) for part in parts])[1]


def _best(
    vectors: Floats, target: Floats, classes: Ints | None, folds: Sequence[tuple[Ints, Ints]]
) -> tuple[float, list[float]]:
    """(the penalty with the best mean score, its scores)."""
    table = np.array([_fitted(vectors, target, classes, train, test, ALPHAS) for train, test in folds])
    best = int(table.mean(axis=0).argmax())
    return ALPHAS[best], [float(one) for one in table[:, best]]


def _fitted(
    vectors: Floats, target: Floats, classes: Ints | None, train: Ints, test: Ints, alphas: Sequence[float]
) -> list[float]:
    """Scores on ``test`` for each penalty; one decomposition serves all."""
    mean, deviation = vectors[train].mean(axis=0), np.maximum(vectors[train].std(axis=0, ddof=1), 1e-6)
    x, asked = (vectors[train] - mean) / deviation, (vectors[test] - mean) / deviation
    middle = target[train].mean(axis=0)
    values, basis = np.linalg.eigh(x.T @ x)
    turned, seen = basis.T @ (x.T @ (target[train] - middle)), asked @ basis
    found = []
    for alpha in alphas:
        said = seen @ (turned / (np.maximum(values, 0.0) + alpha)[:, None]) + middle
        if classes is not None:
            found.append(float((said.argmax(axis=1) == classes[test]).mean()))
            continue
        truth = target[test]
        spread = max(float(((truth - truth.mean()) ** 2).sum()), 1e-12)
        found.append(1.0 - float(((truth - said) ** 2).sum()) / spread)
    return found
