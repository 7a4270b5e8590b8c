"""`embed`: turns places into a table of vectors with a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from placevec.api.inputs import PathLike, dataset_of, model_of, now
from placevec.errors import DatasetError, UsageError
from placevec.io import atomic
from placevec.io.jobs import opened
from placevec.io.progress import SILENT, Progress, say_notes
from placevec.options import Limits, checked_keywords
from placevec.options.choices import EngineName, StoredType

if TYPE_CHECKING:
    from placevec.datasets.dataset import Dataset
    from placevec.embeddings import Embeddings, EmbeddingsOfViews
    from placevec.models.model import Model


@checked_keywords
def embed(
    model: Model | PathLike,
    dataset: Dataset | PathLike,
    *,
    out: PathLike | None = None,
    views: str | Sequence[str] | None = None,
    dtype: StoredType = "float32",
    batch_size: Annotated[int, Limits(min=1)] = 64,
    engine: EngineName = "local",
    address: str | None = None,
    workers: Annotated[int, Limits(min=1)] | None = None,
    gpus: Annotated[float, Limits(min=0)] = 0.0,
    wait: bool = False,
    progress: Progress = SILENT,
) -> Embeddings | EmbeddingsOfViews:
    """The vectors of a dataset's places: one row per place and view, and a fused row if the model fuses views.

    Args:
        model: Model, its directory, or the name of an included model.
        dataset: Dataset or its directory. It must have at least one view of the model.
        out: GeoParquet file to write; if interrupted, the same command picks up where it stopped.
        views: Views to embed, separated by commas, if the model reads several (default: all that the dataset has).
        dtype: Data type in which the vectors are stored.
        batch_size: Places encoded at once.
        engine: Where parts are embedded: in processes on this machine, or by workers of a Ray cluster (needs the
            extra scale).
        address: Address of the head node of a running Ray cluster (default: a temporary cluster on this machine).
        workers: Number of processes, with one thread each (default 1; with ray, one per CPU).
        gpus: Number of GPUs for each worker of a Ray cluster; may be a fraction (default 0).
        wait: Wait for another process that is writing --out, instead of stopping.
        progress: Receives progress reports.

    Returns:
        A table of one view, or one table for each of several. Places without data in a view have no row there.

    Raises:
        ModelError: the dataset lacks a view, or has it with another specification.
        DatasetError: no place has data in any of the views.
        OutputError: ``out`` cannot be written, or another process is writing it.
        MissingExtraError: Ray is not installed.

    With Ray, all machines must see the model, the dataset and the folder of ``out`` at the same paths. Vectors are the
    same, bit by bit, as those of one process with one thread on the same kind of processor.
    """
    import numpy as np

    from placevec.distributed.engine import Engine
    from placevec.inference.embed import embed_in_parts, inputs_of_parts

    if out is not None and Path(out).suffix not in (".parquet", ".geoparquet"):
        raise UsageError(
            f"vectors are written as GeoParquet: the file name must end in .parquet; got {Path(out).name}"
        )
    chosen_engine = Engine(engine, address, workers, gpus)
    if out is None and not chosen_engine.in_this_process:
        raise UsageError("embedding with several workers needs an output file: set the argument out")
    if out is not None:
        atomic.check_writable(out)
    if isinstance(dataset, str | Path) and Path(dataset).is_file():
        raise UsageError(f"{dataset} is a file: use embed_points for tables of points, embed for datasets")
    model = model_of(model)
    dataset = dataset_of(dataset)
    chosen = list(model.views_of(dataset, views))
    if views is None and (lacking := [name for name in model.views if name not in chosen]):
        progress.say(
            f"Note: {dataset.path} has no {' and no '.join(lacking)}: vectors are made only from {', '.join(chosen)}"
        )
    rows = np.flatnonzero(model.known(dataset, chosen))
    if len(rows) == 0:
        raise DatasetError(
            f"no place of {dataset.path} has data in the views {', '.join(chosen)}: there is nothing to embed"
        )
    say_notes(_differences(model, dataset, chosen), progress)
    if len(rows) < len(dataset):
        what = "without coordinates" if not np.isfinite(dataset.lonlat).all() else "without data in any view"
        progress.say(f"Note: {len(dataset) - len(rows)} places {what} are left out")
    if out is None:
        found = embed_in_parts(model, dataset, rows, chosen, None, batch_size, progress)
        return model.tables(dataset, rows, found, created=now())
    inputs = inputs_of_parts(model, dataset, chosen, batch_size)
    with opened(out, inputs, wait=wait, progress=progress) as job:
        with chosen_engine.opened(progress) as executor:
            found = embed_in_parts(model, dataset, rows, chosen, job, batch_size, progress, executor)
        embeddings = model.tables(dataset, rows, found, created=now())
        embeddings.save(out, dtype=dtype)
        job.finish()
    return embeddings


def _differences(model: Model, dataset: Dataset, views: Sequence[str]) -> Iterator[str]:
    """Differences between what the vectors show and what the places are."""
    for view in views:
        spec, stored = model.specs[view], dataset.spec(view)
        side = spec.size_m
        if side is not None and dataset.footprint_m and abs(side / dataset.footprint_m - 1.0) > 0.1:
            yield (
                f"the model reads {side:.0f} m around each place, although the places of {dataset.path} are "
                f"{dataset.footprint_m:.0f} m wide"
            )
        if unread := [name for name in stored.channels if name not in spec.channels]:
            yield f"the model does not read {', '.join(unread)} of the view {view}"
