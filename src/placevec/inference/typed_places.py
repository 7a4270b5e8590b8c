"""Types of a dataset's places, found by name without training on them, as a table or GeoJSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from placevec.datasets.dataset import Dataset
from placevec.errors import DatasetError, UsageError
from placevec.geo.geojson import write_geojson
from placevec.geo.geoparquet import write_geoparquet
from placevec.inference.images import image_views
from placevec.inference.zero_shot import Guesses, guessed
from placevec.io.progress import SILENT, Progress
from placevec.models.model import Model

MAX_COLUMNS = 200
"""Types that get a column of their own in a table."""
TEMPERATURE = 0.07


@dataclass(frozen=True)
class TypedPlaces:
    """Places and how likely they are of each type.

    Attributes:
        dataset: of the places.
        model: that embedded them.
        view: of the images that were compared with the names.
        rows: (N,) the places that the view shows.
        guesses: similarities of the N places.
        temperature: of the softmax.
    """

    dataset: Dataset
    model: Model
    view: str
    rows: NDArray[np.int64]
    guesses: Guesses
    temperature: float

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """(N, T) softmax of the similarities over the model's temperature: shares of these types, not calibrated."""
        return softmax(self.guesses.similarity / self.temperature)

    @property
    def attribution(self) -> str:
        """The credit required on everything made from it."""
        return self.dataset.attribution


def softmax(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, T) rows that sum to 1.

    >>> softmax(np.array([[0.0, 0.0]], np.float32)).tolist()
    [[0.5, 0.5]]
    """
    grown = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(grown / grown.sum(axis=1, keepdims=True), np.float32)


def type_places(
    model: Model,
    dataset: Dataset,
    types: tuple[str, ...],
    *,
    view: str | None = None,
    progress: Progress = SILENT,
) -> TypedPlaces:
    """Embed the images of all places and compare them with the names of types, see `placevec.inference.zero_shot`.

    Raises:
        UsageError: the model has no view of images, or several and none is chosen; or no view of texts.
        ModelError: the dataset lacks the view.
        DatasetError: no place has an image.
    """
    there = image_views(model)
    wanted = [name for name in there if view in (None, name)]
    if len(wanted) != 1:
        raise UsageError(
            f"types are predicted from one view of images; the model has {', '.join(there) or 'none'}"
            + ("; choose one with --view" if len(there) > 1 else "")
        )
    guessed(
        model, np.zeros((0, model.dims[wanted[0]]), np.float32), types, view=wanted[0]
    )  # fails before the work
    vectors = model.vectors(dataset, view=wanted[0], progress=progress)
    rows = np.flatnonzero(np.isfinite(vectors).all(axis=1))
    if len(rows) == 0:
        raise DatasetError(f"no place of {dataset.path} has an image in the view {wanted[0]}")
    found = guessed(model, vectors[rows], types, view=wanted[0])
    learned = model.recipe.get("config", {}).get("temperature")
    temperature = float(learned) if isinstance(learned, int | float) and learned > 0 else TEMPERATURE
    return TypedPlaces(dataset, model, wanted[0], rows, found, temperature)


@dataclass(frozen=True)
class TypedReport:
    """What was written.

    Attributes:
        path: the file.
        rows: number of places.
        without: places without an image, which are left out.
        types: type -> number of places, the most frequent first.

    >>> TypedReport(Path("types.parquet"), 3, 0, {"park": 2, "shop": 1}).summary
    '3 places: park 2, shop 1'
    """

    path: Path
    rows: int
    without: int
    types: dict[str, int]

    @property
    def summary(self) -> str:
        """One line for the console."""
        told = ", ".join(f"{name} {count:,}" for name, count in list(self.types.items())[:6])
        more = f", and {len(self.types) - 6} more" if len(self.types) > 6 else ""
        without = f" ({self.without:,} without an image are left out)" if self.without else ""
        return f"{self.rows:,} places{without}: {told}{more}"


def report_of(found: TypedPlaces, path: Path) -> TypedReport:
    """The summary of a file that was written."""
    names, counts = np.unique(found.guesses.codes, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    types = {found.guesses.types[names[at]]: int(counts[at]) for at in order}
    return TypedReport(path, len(found.rows), len(found.dataset) - len(found.rows), types)


def write_typed_table(found: TypedPlaces, path: Path) -> None:
    """GeoParquet with one row per place, atomically.

    Columns: place_id, name (raw text), lon, lat, prediction, probability, and ``probability: TYPE`` for each of up to
    `MAX_COLUMNS` types.
    """
    shares, codes = found.probabilities, found.guesses.codes
    lonlat = found.dataset.lonlat[found.rows]
    columns: dict[str, Any] = {
        "place_id": pa.array(found.dataset.place_ids[found.rows], pa.string()),
        "name": pa.array(found.dataset.places["name"].to_numpy(object)[found.rows], pa.string()),
        "lon": pa.array(lonlat[:, 0], from_pandas=True),
        "lat": pa.array(lonlat[:, 1], from_pandas=True),
        "prediction": pa.array([found.guesses.types[code] for code in codes], pa.string()),
        "probability": pa.array(shares[np.arange(len(codes)), codes]),
    }
    if len(found.guesses.types) <= MAX_COLUMNS:
        columns |= {
            f"probability: {name}": pa.array(shares[:, at]) for at, name in enumerate(found.guesses.types)
        }
    told = {"model_hash": found.model.hash, "dataset_hash": found.dataset.hash, "view": found.view,
            "temperature": found.temperature, "attribution": found.attribution}  # fmt: skip
    write_geoparquet(path, columns, found.dataset.geometry()[found.rows], metadata={"placevec": told})


def write_typed_geojson(found: TypedPlaces, path: Path) -> None:
    """Points with place_id, name, prediction and probability, atomically."""
    members = {"attribution": found.attribution, "model_hash": found.model.hash, "view": found.view}
    write_geojson(path, found.dataset.lonlat[found.rows], _properties(found), members)


def _properties(found: TypedPlaces) -> Iterator[dict[str, Any]]:
    shares, names = found.probabilities, found.dataset.places["name"].to_numpy(object)
    for at, (row, code) in enumerate(zip(found.rows.tolist(), found.guesses.codes.tolist(), strict=True)):
        name = names[row]
        yield {
            "place_id": str(found.dataset.place_ids[row]),
            "name": name if isinstance(name, str) else None,
            "prediction": found.guesses.types[code],
            "probability": round(float(shares[at, code]), 6),
        }
