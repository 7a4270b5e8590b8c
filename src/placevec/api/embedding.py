"""`embed`: a model and places become a table of vectors."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from placevec.api.inputs import PathLike, dataset_of, model_of, now
from placevec.datasets.dataset import Dataset
from placevec.errors import UsageError
from placevec.io import atomic
from placevec.io.progress import SILENT, Progress

if TYPE_CHECKING:
    from placevec.embeddings import Embeddings, StoredType
    from placevec.models.model import Model


def embed(
    model: Model | PathLike,
    dataset: Dataset | PathLike,
    *,
    out: PathLike | None = None,
    dtype: StoredType = "float32",
    batch_size: int = 64,
    progress: Progress = SILENT,
) -> Embeddings:
    """The vectors of a dataset's places.

    With ``out`` the table is also written there (``float32``, ``float16`` or ``int8``), and a killed call goes
    on where it was. Places without coordinates are left out, since every view so far is read by coordinates.
    """
    from placevec.embeddings import Embeddings, Provenance
    from placevec.inference.embed import embed_in_parts

    if out is not None and Path(out).suffix not in (".parquet", ".geoparquet"):
        raise UsageError(f"vectors are written as GeoParquet: name the file .parquet, not {Path(out).name}")
    if out is not None:
        atomic.check_writable(out)
    if not isinstance(dataset, Dataset) and Path(dataset).is_file():
        raise UsageError(f"{dataset} is a file: embed_points takes tables of points, embed takes datasets")
    model = model_of(model)
    dataset = dataset_of(dataset)
    rows = dataset.require_coordinates(np.arange(len(dataset)), "embedding")
    if len(rows) < len(dataset):
        progress.say(f"Note: {len(dataset) - len(rows)} places without coordinates are left out")
    work = None if out is None else Path(out).with_name(f".{Path(out).name}.work")
    vectors = embed_in_parts(model, dataset, rows, work, batch_size, progress)
    provenance = Provenance(
        model_hash=model.hash,
        dataset_hash=dataset.hash,
        model_path="" if model.path is None else str(model.path.resolve()),
        dataset_path=str(dataset.path.resolve()),
        attribution=dataset.attribution,
        created=now(),
    )
    places = dataset.places
    embeddings = Embeddings(
        place_id=places["place_id"].to_numpy(object)[rows],
        vectors=vectors,
        lonlat=dataset.lonlat[rows],
        geometry=dataset.geometry()[rows],
        names=places["name"].to_numpy(object)[rows],
        view=next(iter(model.readings)),
        provenance=provenance,
    )
    if out is not None:
        embeddings.save(out, dtype=dtype)
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)
    return embeddings
