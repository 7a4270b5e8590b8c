"""CityRep's folder (arXiv 2605.26036): its tasks and fixed 10 x 10 blocks as tasks here, our vectors as a model there.

The layout is that of its release: ``data/tasks.json`` lists tasks, ``data/tasks/ID/samples.parquet`` holds places and
labels, ``splits/block10_5seed_mlp1024/ID.json`` five divisions into train, val and test by sample ids, and
``baselines/registry/embedding_manifest.csv`` the models. Rows of vectors have length 1, as there. Here probes learn from
train and val together, and choose their settings inside; CityRep's own head reads what `write_embeddings` writes.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placevec.embeddings import Embeddings
from placevec.errors import EvaluationError, PlacevecError, SourceError
from placevec.evaluation.baselines import COORDINATES
from placevec.evaluation.engine import BUDGETS, CHANCE_ROW, OURS, Budget, evaluate_splits
from placevec.evaluation.report import Report
from placevec.evaluation.scores import shares
from placevec.evaluation.splits import Blocks, Fold, Split, local_plane
from placevec.evaluation.tasks import Kind, Task
from placevec.geo import Floats, Ints, to_ecef
from placevec.geo.geoparquet import read_parquet
from placevec.io import atomic
from placevec.io.json_documents import check, read_json
from placevec.io.progress import SILENT, Progress

PROTOCOL = "block10_5seed_mlp1024"
SIDES = 10
"""Blocks along either side of a city."""
MANIFEST = Path("baselines", "registry", "embedding_manifest.csv")
_METRIC: dict[Kind, str] = {"classification": "macro-F1", "regression": "R²", "distribution": "KL"}
_ID = re.compile(r"[A-Za-z0-9_\-]+(\.[A-Za-z0-9_\-]+)+")
_NEAR_M = 1.0
_ENTRY = {
    "task_type": str, "sample_id_col?": str, "crs?": str, "label_col?": str, "label_cols?": [str],
    "class_names?": [str], "city?": str, "task?": str,
}  # fmt: skip
_FOLDS = {"folds": [{"seed": int, "train": [str], "val": [str], "test": [str], "meta?": dict}]}


@dataclass(frozen=True)
class CityTask:
    """One task of one city.

    Attributes:
        task: its places in the order of the samples.
        sample_id: (n,) text.
        blocks: of the 10 x 10 grid.
        splits: one a seed, each a single fold.
        entry: as the registry has it.
    """

    task: Task
    sample_id: NDArray[np.object_]
    blocks: Blocks
    splits: tuple[Split, ...]
    entry: dict[str, Any]


def read_registry(folder: Path) -> dict[str, dict[str, Any]]:
    """Task id -> entry of ``data/tasks.json``.

    Raises:
        SourceError: the file is missing or damaged.
    """
    path = folder / "data" / "tasks.json"
    content = _json(path)
    try:
        entries = content.get("tasks", content) if isinstance(content, dict) else content
        if isinstance(entries, list):
            entries = {str(entry["task_id"]): entry for entry in entries}
        check(entries, {str: _ENTRY})
    except (KeyError, TypeError, ValueError) as error:
        raise SourceError(f"{path} is not a CityRep registry: {error}") from error
    return {str(name): entry for name, entry in entries.items()}


def read_task(folder: Path, name: str) -> CityTask:
    """A task with its samples and fixed splits.

    Raises:
        SourceError: a file is missing or damaged.
        EvaluationError: an unknown task, labels that cannot be used, splits of other blocks or samples.
    """
    entries = read_registry(folder)
    if name not in entries:
        raise EvaluationError(f"{folder} has no task {name!r}; it has {', '.join(sorted(entries)[:8])}")
    if not _ID.fullmatch(name):
        raise SourceError(f"{folder}: task id {name[:60]!r} does not have the form CITY.TASK.YEAR")
    entry = entries[name]
    path = folder / "data" / "tasks" / name / "samples.parquet"
    table = _table(path)
    column = str(entry.get("sample_id_col", "sample_id"))
    labels = [str(one) for one in entry.get("label_cols") or [entry.get("label_col", "label")]]
    for needed in (column, *labels):
        if needed not in table.columns:
            raise SourceError(
                f"{path} has no column {needed!r}; it has {', '.join(map(str, table.columns[:12]))}"
            )
    own, lonlat = _points(table, str(entry.get("crs", "EPSG:4326")), path)
    sample_id = table[column].astype(str).to_numpy(object)
    if len(np.unique(sample_id.astype(str))) < len(sample_id):
        raise EvaluationError(f"{path}: a sample ID occurs twice")
    kind, target, classes = _target(entry, table[labels], path)
    task = Task(
        name, kind, target, np.arange(len(table)), classes, lonlat=lonlat, metric=_METRIC[kind],
        description=f"{entry.get('task', name)} of {entry.get('city', name)}, CityRep",
    )  # fmt: skip
    task.check_varied()
    number = _grid(table, own)
    return CityTask(task, sample_id, number, _splits(folder, name, sample_id, number.number), entry)


def evaluate_cityrep(
    emb: Embeddings,
    folder: str | Path,
    *,
    tasks: Sequence[str] | None = None,
    budget: str = "full",
    progress: Progress = SILENT,
) -> Report:
    """Vectors beside chance and coordinates on CityRep's tasks, blocks and metrics.

    Args:
        emb: vectors of samples, by ``place_id`` = sample id, else by coordinates to a meter.
        folder: of CityRep's release.
        tasks: ids; by default all of which at least one sample has a vector.
        budget: ``quick`` or ``full``.
        progress: where to report.

    Raises:
        SourceError: a file is missing or damaged.
        EvaluationError: an unknown task; samples without vectors; splits of other blocks.
    """
    folder = Path(folder)
    results, skipped = [], []
    for name in tasks or sorted(read_registry(folder)):
        try:
            results.append(_evaluated(emb, read_task(folder, name), BUDGETS[budget], progress))
        except PlacevecError as error:
            if tasks:
                raise
            skipped.append(str(error))
    if not results:
        raise EvaluationError(f"no task of {folder} could be evaluated: {'; '.join(skipped[:3])}")
    about = {
        "title": "How good these vectors are on CityRep", "model_hash": emb.provenance.model_hash, "protocol": PROTOCOL,
        "places": len(emb), "dim": emb.dim, "budget": budget,
    }  # fmt: skip
    return Report(results, skipped=skipped, about=about)


def write_embeddings(emb: Embeddings, folder: str | Path, model: str, *, task: str) -> Path:
    """Write vectors as a model of CityRep's folder for one task: an entity table, and its row in the manifest.

    The table has a row a sample: ``sample_id``, ``x``, ``y`` in the task's CRS, and ``e0`` on. A row of the same model
    and task in the manifest is replaced.

    Raises:
        SourceError, EvaluationError: as `read_task`; an invalid model name; samples without vectors.
    """
    folder = Path(folder)
    if not re.fullmatch(r"[A-Za-z0-9_\-]{1,60}", model):
        raise EvaluationError(
            f"the name of a CityRep model must consist of letters, digits, - and _; got {model[:60]!r}"
        )
    found = read_task(folder, task)
    vectors = emb.vectors[rows_of(emb, found)]
    city = str(found.entry.get("city", task.split(".")[0]))
    if not re.fullmatch(r"[A-Za-z0-9_\-]+", city):
        raise SourceError(
            f"{folder}: city {city[:60]!r} of task {task} must consist of letters, digits, - and _"
        )
    relative = Path("baselines", "artifacts", model, city, f"{task}.parquet")
    samples = _table(folder / "data" / "tasks" / task / "samples.parquet")
    own, _ = _points(samples, str(found.entry.get("crs", "EPSG:4326")), folder)
    table = pd.DataFrame({"sample_id": found.sample_id.astype(str), "x": own[:, 0], "y": own[:, 1]})
    table = pd.concat([table, pd.DataFrame(vectors, columns=[f"e{n}" for n in range(emb.dim)])], axis=1)
    (folder / relative).parent.mkdir(parents=True, exist_ok=True)
    with atomic.replacing(folder / relative) as temporary:
        table.to_parquet(temporary, index=False)
    _register(folder / MANIFEST, model, task, city, relative.as_posix(), found.entry)
    return folder / relative


def rows_of(emb: Embeddings, found: CityTask) -> Ints:
    """(n,) the row of each sample's vector: by id, else the vector within a meter.

    Raises:
        EvaluationError: samples without a vector.
    """
    rows = pd.Index(emb.place_id).get_indexer(found.sample_id)
    located = np.flatnonzero(np.isfinite(emb.lonlat).all(axis=1))
    if (rows < 0).any() and len(located):
        from scipy.spatial import cKDTree

        tree = cKDTree(to_ecef(emb.lonlat[located, 0], emb.lonlat[located, 1]))
        lonlat = found.task.points
        away, nearest = tree.query(to_ecef(lonlat[:, 0], lonlat[:, 1]))
        rows = np.where((rows < 0) & (away <= _NEAR_M), located[nearest], rows)
    missing = np.flatnonzero(rows < 0)
    if len(missing):
        raise EvaluationError(
            f"{len(missing):,} of {len(rows):,} samples of {found.task.name} have no vector (such as "
            f"{str(found.sample_id[missing[0]])[:60]!r}): embed the task's samples.parquet"
        )
    return np.asarray(rows, np.int64)


# --- reading -----------------------------------------------------------------------------------------------


def _json(path: Path) -> Any:
    try:
        return read_json(path)
    except FileNotFoundError:
        raise SourceError(f"CityRep's folder has no {path.name}: {path} does not exist") from None
    except (OSError, ValueError) as error:
        raise SourceError(f"cannot read {path}: {error}") from error


def _table(path: Path) -> pd.DataFrame:
    return read_parquet(path).to_pandas(ignore_metadata=True)


def _points(table: pd.DataFrame, crs: str, path: Path) -> tuple[Floats, Floats]:
    """((n, 2) x, y in the task's CRS; (n, 2) lon, lat degrees)."""
    import pyproj
    import shapely

    try:
        if "geometry" in table.columns:
            own = shapely.get_coordinates(
                shapely.centroid(shapely.from_wkt(table["geometry"].to_numpy(object)))
            )
        else:
            own = table[["x", "y"]].to_numpy(np.float64)
        turned = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
        lonlat = np.stack(turned.transform(own[:, 0], own[:, 1]), axis=-1)
    except Exception as error:  # shapely, pyproj and pandas each raise their own
        raise SourceError(
            f"{path}: samples need WKT in geometry, or x and y, in {crs[:40]}: {error}"
        ) from error
    if len(own) != len(table) or not np.isfinite(lonlat).all():
        raise SourceError(f"{path}: a sample has no coordinates")
    return np.asarray(own, np.float64), np.asarray(lonlat, np.float64)


def _target(
    entry: dict[str, Any], labels: pd.DataFrame, path: Path
) -> tuple[Kind, NDArray[Any], tuple[str, ...]]:
    """(kind, labels, names of classes or shares)."""
    kind = entry["task_type"]
    try:
        values = labels.to_numpy(np.float64)
    except (TypeError, ValueError) as error:
        raise EvaluationError(f"{path}: labels must be numbers: {error}") from error
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
        raise EvaluationError(f"{path}: the label of row {row + 1} is missing or infinite")
    if kind == "classification":
        names = tuple(entry.get("class_names") or [])
        numbers = values[:, 0].astype(np.int64)
        if (numbers != values[:, 0]).any() or numbers.min() < 0 or (names and numbers.max() >= len(names)):
            last = f" to {len(names) - 1}" if names else ""
            raise EvaluationError(f"{path}: labels must be integers from 0{last}, one per class")
        held, number = np.unique(numbers, return_inverse=True)
        return "classification", number, tuple(names[one] if names else str(one) for one in held)
    if kind == "distribution":
        return "distribution", shares(values), tuple(str(name) for name in labels.columns)
    if kind == "regression":
        return "regression", values[:, 0], ()
    raise EvaluationError(
        f"{path}: unknown task_type {str(kind)[:40]!r}: supported are classification, distribution and regression"
    )


def _grid(table: pd.DataFrame, own: Floats) -> Blocks:
    """CityRep's blocks: row and col where the samples are of a raster, else x and y, cut into 10 x 10."""
    raster = {"row", "col"} <= set(table.columns)
    at = table[["col", "row"]].to_numpy(np.float64) if raster else own
    low, span = at.min(axis=0), np.maximum(np.ptp(at, axis=0), 1e-12)
    cell = np.clip(np.floor((at - low) / span * SIDES), 0, SIDES - 1).astype(np.int64)
    return Blocks(np.unique(cell[:, 1] * SIDES + cell[:, 0], return_inverse=True)[1].astype(np.int64), 0.0)


def _splits(folder: Path, name: str, sample_id: NDArray[np.object_], block: Ints) -> tuple[Split, ...]:
    """The fixed splits, each a fold trained on train and val and tested on test."""
    path = folder / "splits" / PROTOCOL / f"{name}.json"
    content = _json(path)
    try:
        check(content, _FOLDS)
    except ValueError as error:
        raise SourceError(f"{path} is not a CityRep split: {error}") from error
    row, found = pd.Index(sample_id), []
    for fold in content["folds"]:
        seed, meta = fold["seed"], fold.get("meta", {})
        sides = [meta.get(f"n_blocks_{axis}", SIDES) for axis in "xy"]
        if sides != [SIDES, SIDES]:
            raise EvaluationError(
                f"{path}: seed {seed} has {sides[0]} x {sides[1]} blocks; {SIDES} x {SIDES} are needed"
            )
        parts = [row.get_indexer(np.array(fold[part], object)) for part in ("train", "val", "test")]
        if any((part < 0).any() for part in parts):
            raise EvaluationError(f"{path}: seed {seed} has samples that are not in samples.parquet")
        train, test = np.concatenate(parts[:2]), parts[2]
        if len(np.unique(np.concatenate([train, test]))) < len(row) or len(train) + len(test) != len(row):
            raise EvaluationError(f"{path}: seed {seed} does not contain every sample exactly once")
        if set(block[train]) & set(block[test]):
            raise EvaluationError(
                f"{path}: seed {seed} divides a block of the {SIDES} x {SIDES} between train and test"
            )
        found.append(Split((Fold(np.sort(train).astype(np.int64), np.sort(test).astype(np.int64)),)))
    if not found:
        raise EvaluationError(f"{path} has no folds")
    return tuple(found)


# --- evaluating --------------------------------------------------------------------------------------------


def _evaluated(emb: Embeddings, found: CityTask, budget: Budget, progress: Progress) -> Any:
    rows = rows_of(emb, found)
    kept = np.arange(len(rows))
    notes = ["splits and metric are CityRep's; probes are trained on train and val together"]
    if len(kept) > budget.places:
        kept = np.sort(np.random.default_rng(0).choice(len(rows), budget.places, replace=False))
        notes.append(f"{len(kept):,} of {len(rows):,} samples, drawn at random")
    place = np.full(len(rows), -1, np.int64)
    place[kept] = np.arange(len(kept))
    splits = [
        Split(
            tuple(
                Fold(*(part[part >= 0] for part in (place[fold.train], place[fold.test])))
                for fold in one.folds
            )
        )
        for one in found.splits
    ]
    lonlat = found.task.points[kept]
    vectors = emb.vectors[rows[kept]].astype(np.float64)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    number = np.unique(found.blocks.number[kept], return_inverse=True)[1].astype(np.int64)
    plane = local_plane(lonlat)
    blocks = Blocks(number, float(np.ptp(plane, axis=0).max()) / SIDES)
    result = evaluate_splits(
        found.task.taken(kept), {OURS: (vectors,), COORDINATES: (plane,)}, splits, blocks, number,
        pairs=((OURS, CHANCE_ROW), (OURS, COORDINATES)), budget=budget, lonlat=lonlat, positions=(COORDINATES,),
        progress=progress,
    )  # fmt: skip
    result.notes += notes
    return result


# --- writing -----------------------------------------------------------------------------------------------

_COLUMNS = (
    "model", "model_label", "city", "task", "task_id", "embedding_path", "embedding_source_type", "embedding_config",
    "source_role", "alignment_policy", "available", "path_exists", "mentions_population", "artifact_path",
    "release_scope",
)  # fmt: skip


def _register(path: Path, model: str, task: str, city: str, relative: str, entry: dict[str, Any]) -> None:
    """Put the model's row for the task into the manifest, in the place of an earlier one."""
    rows: list[dict[str, str]] = []
    columns: tuple[str, ...] = _COLUMNS
    if path.exists():
        try:
            with path.open(encoding="utf-8", newline="") as file:
                reader = csv.DictReader(file)
                columns = tuple(reader.fieldnames or ())
                rows = list(reader)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise SourceError(f"cannot read {path}: {error}") from error
        if not {"model", "task_id", "embedding_path", "embedding_config"} <= set(columns):
            raise SourceError(
                f"{path} is not a CityRep manifest: it lacks model, task_id or embedding_config"
            )
    config = {
        "crs": str(entry.get("crs", "EPSG:4326")), "entity_id_col": "sample_id", "name": model, "path": relative,
        "task_entity_id_col": "sample_id", "type": "entity", "x_col": "x", "y_col": "y",
    }  # fmt: skip
    own = {
        "model": model, "model_label": model, "city": city, "task": str(entry.get("task", task.split(".")[1])),
        "task_id": task, "embedding_path": relative, "embedding_source_type": "entity",
        "embedding_config": json.dumps(config, sort_keys=True), "source_role": "entity_or_point_embedding_table",
        "alignment_policy": "sample_id lookup", "available": "True", "path_exists": "True",
        "mentions_population": "False", "artifact_path": relative, "release_scope": "full",
    }  # fmt: skip
    kept = [row for row in rows if (row.get("model"), row.get("task_id")) != (model, task)]
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_csv(path, columns, [[row.get(name) or "" for name in columns] for row in (*kept, own)])
