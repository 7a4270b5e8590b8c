"""`predict` with labels: the labels of some places predicted for all of them, as a raster, a table or a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from placevec.errors import DatasetError, EvaluationError, UsageError
from placevec.io import atomic
from placevec.io.jobs import opened
from placevec.io.progress import SILENT, Progress, say_notes
from placevec.options.choices import Effort, LabelKind

if TYPE_CHECKING:
    import pandas as pd

    from placevec.api.inputs import PathLike, Vectors
    from placevec.datasets.dataset import Dataset
    from placevec.embeddings import Embeddings
    from placevec.evaluation.label_maps import LabelMap
    from placevec.models.model import Model

KINDS = (".tif", ".tiff", ".parquet", ".html")
ALL = ("predictions.tif", "predictions.parquet", "predictions.html")
"""What is written into a folder."""
EPOCHS = {"quick": 5, "full": 30}
UNITS = {
    "regression": "value, in the unit of the label",
    "distribution": "shares of the columns, which sum to 1",
    "classification": "probability of the class, over all classes",
    "multilabel": "probability that the place has the label, independent of the others",
    "presence": "probability of presence",
}


@dataclass(frozen=True)
class LabelMapReport:
    """What was written.

    Attributes:
        paths: the files.
        task: name of the labels.
        places: number of predicted places.
        labeled: number of them whose label was given.
        learner: the best probe, or fine-tuned encoders.
        scores: measure -> value on held-out blocks.
        chance: value of the first measure when predicting the mean.
        notes: further remarks for the user.
    """

    paths: tuple[Path, ...]
    task: str
    places: int
    labeled: int
    learner: str
    scores: dict[str, float]
    chance: float
    notes: tuple[str, ...]
    told: str

    @property
    def path(self) -> Path:
        """The only file, or the folder of several."""
        return self.paths[0] if len(self.paths) == 1 else self.paths[0].parent

    @property
    def summary(self) -> str:
        """One line for the console."""
        return self.told


def map_labels(
    source: Model | Vectors | PathLike, out: Path, *, labels: PathLike, columns: Sequence[str] | None = None,
    kind: LabelKind | None = None, dataset: Dataset | PathLike | None = None, view: str | None = None,
    fine_tune: bool = False, budget: Effort = "full", resolution_m: float | None = None, title: str | None = None,
    seed: int = 0, progress: Progress = SILENT,
) -> LabelMapReport:  # fmt: skip
    """Predict labels for all places; the extension of ``out`` selects the format; without an extension, all formats
    are written into a folder.

    Raises:
        UsageError: an unsupported extension, or options that cannot be combined.
        EvaluationError: labels that cannot be learned.
        DatasetError: the dataset of the vectors is gone.
    """
    from placevec.evaluation.label_maps import map_labels as run
    from placevec.evaluation.user_labels import label_tasks
    from placevec.evaluation.vectors import buffer_m_of

    suffix = out.suffix.lower()
    if suffix and suffix not in KINDS:
        raise UsageError(
            f"--out must end in {', '.join(KINDS)} with --labels, or be a folder for all of them; got {out.name!r}"
        )
    if resolution_m is not None and suffix not in ("", ".tif", ".tiff"):
        raise UsageError("--resolution applies only to .tif")
    if title is not None and suffix not in ("", ".html"):
        raise UsageError("--title applies only to .html")
    atomic.check_writable(out, directory=not suffix)
    emb, ground, model = _opened(source, dataset, view, fine_tune, progress)
    notes: list[str] = []
    tasks = label_tasks(labels, ground, columns, kind, notes=notes)
    if len(tasks) > 1:
        raise UsageError(
            f"{labels} has {len(tasks)} columns of labels ({', '.join(task.name for task in tasks[:6])}): choose one "
            "with --columns, or several that are shares with --kind distribution"
        )
    rows = ground.places.reset_index().set_index("place_id")["index"].reindex(emb.place_id).to_numpy(float)
    if np.isnan(rows).any():
        raise EvaluationError(f"some vectors belong to places that are not in {ground.path}")
    at = rows.astype(np.int64)
    place = out if suffix else out / ALL[1]
    inputs = {
        "model": emb.provenance.model_hash, "dataset": ground.hash, "labels": atomic.sha256_of_file(Path(labels)),
        "columns": list(columns or ()), "kind": kind, "view": emb.view, "seed": seed, "budget": budget,
    }  # fmt: skip
    from contextlib import nullcontext

    with opened(place, inputs, progress=progress) if fine_tune else nullcontext() as job:
        found = run(
            emb, tasks[0], at, ground.lonlat[at], buffer_m=buffer_m_of(ground, model), budget=budget,
            tuned=(model, EPOCHS[budget]) if fine_tune and model is not None else None, dataset=ground, seed=seed,
            job=job, progress=progress,
        )  # fmt: skip
        found.notes[:0] = notes
        paths = (out,) if suffix else tuple(out / name for name in ALL)
        paths = tuple(
            path
            for path in paths
            if _write(path, found, emb, ground, resolution_m, title, len(paths) > 1, progress)
        )
        if job is not None:
            job.finish()
    say_notes(found.notes, progress)
    return LabelMapReport(
        paths, found.task.name, len(at), int(found.labeled.sum()), found.learner, found.scores, found.chance,
        tuple(found.notes), found.summary,
    )  # fmt: skip


def _opened(
    source: Model | Vectors | PathLike, dataset: Dataset | PathLike | None, view: str | None, fine_tune: bool,
    progress: Progress,
) -> tuple[Embeddings, Dataset, Model | None]:  # fmt: skip
    """(vectors, their dataset, their model where it is found) of a table, or of a run, which is embedded."""
    from placevec.api.embedding import embed
    from placevec.api.inputs import (
        dataset_of,
        model_of,
        recorded_dataset,
        recorded_model,
        table_of,
        training_dataset,
    )
    from placevec.models.model import Model

    if isinstance(source, Model) or (isinstance(source, str | Path) and Path(source).is_dir()):
        model = model_of(source)
        ground = training_dataset(model, "give one after the run") if dataset is None else dataset_of(dataset)
        return embed(model, ground, progress=progress).of(view), ground, model
    emb = table_of(source, view)
    found = recorded_dataset(emb, dataset)
    if found is None:
        raise DatasetError(
            "the dataset of these vectors is not at its recorded path: give it after the table of vectors"
        )
    made = recorded_model(emb)
    if fine_tune and made is None:
        raise UsageError(
            "fine-tuning needs the model that made these vectors: give its run instead of the vectors"
        )
    return emb, found, made


def _write(
    path: Path, found: LabelMap, emb: Embeddings, dataset: Dataset, resolution_m: float | None, title: str | None,
    is_one_of_many: bool, progress: Progress,
) -> bool:  # fmt: skip
    """Write one file; whether it was written: a raster of points, one of several files, is left out with a note."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        _table(path, found, dataset)
    elif path.suffix == ".html":
        _page(path, found, emb, dataset, title, progress)
    else:
        from placevec.inference.cell_raster import raster_of, write_cells

        try:
            raster = raster_of(dataset, found.rows, resolution_m=resolution_m)
        except UsageError as error:
            if not is_one_of_many or resolution_m is not None:
                raise
            found.notes.append(f"no raster: {error}")
            return False
        bands = {name: found.values[:, column] for column, name in enumerate(found.names)}
        bands |= {"spread": found.spread, "labeled": found.labeled.astype(np.float64)}
        write_cells(raster, bands, path, _tags(found, dataset))
    return True


def _tags(found: LabelMap, dataset: Dataset) -> dict[str, str]:
    """What the files say of themselves."""
    return {
        "VALUES": UNITS[found.task.kind],
        "SPREAD": "standard deviation over models, each trained without the labels of some blocks; not an error bar",
        "LABELED": "1 where the label was given, so the prediction was trained on it",
        "QUALITY": found.summary,
        "ATTRIBUTION": dataset.attribution,
    }


def _frame(found: LabelMap, dataset: Dataset) -> pd.DataFrame:
    """One row per place: what is predicted, how far to trust it, and the label."""
    import pandas as pd

    columns: dict[str, Any] = {"place_id": dataset.place_ids[found.rows]}
    many = len(found.names) > 1
    if many:
        best = found.values.argmax(axis=1)
        columns["prediction"] = np.array(found.names, object)[best]
        columns |= {f"prediction: {name}": found.values[:, at] for at, name in enumerate(found.names)}
        columns |= {f"held-out: {name}": found.held_out[:, at] for at, name in enumerate(found.names)}
        columns |= {f"label: {name}": found.truth[:, at] for at, name in enumerate(found.names)}
    else:
        columns["prediction"] = found.values[:, 0]
        columns["held-out prediction"], columns["label"] = found.held_out[:, 0], found.truth[:, 0]
    return pd.DataFrame({**columns, "spread": found.spread, "labeled": found.labeled})


def _table(path: Path, found: LabelMap, dataset: Dataset) -> None:
    """GeoParquet, in the order of the dataset's places."""
    import pyarrow as pa

    from placevec.geo.geoparquet import write_geoparquet

    frame = _frame(found, dataset)
    lonlat = dataset.lonlat[found.rows]
    columns = {name: pa.array(frame[name], from_pandas=True) for name in frame.columns}
    columns |= {"lon": pa.array(lonlat[:, 0]), "lat": pa.array(lonlat[:, 1])}
    told = {name.lower(): text for name, text in _tags(found, dataset).items()}
    write_geoparquet(path, columns, dataset.geometry()[found.rows], metadata={"placevec": told})


def _page(
    path: Path, found: LabelMap, emb: Embeddings, dataset: Dataset, title: str | None, progress: Progress
) -> None:
    """The map of `explore`, colored by the prediction first."""
    from placevec.api.inputs import window_m
    from placevec.explorer.pages.map_page import map_of_columns
    from placevec.explorer.sample import Drawn

    frame = _frame(found, dataset)
    frame["labeled"] = np.where(found.labeled, "label given", "predicted only")
    shown = [name for name in frame.columns if not name.startswith("label: ")]
    drawn = Drawn.of(emb, dataset=dataset, columns=frame[shown], window_m=window_m(emb), progress=progress)
    metric, value = next(iter(found.scores.items()))
    title = title or f"{found.task.name}, predicted ({metric} {value:.2f} on held-out blocks)"
    map_of_columns(drawn, path, title=title)
