"""Types of a dataset's places, found by name without training on them, as a table or GeoJSON."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
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
from placevec.inference.zero_shot import Guesses, guessed, words_of_type
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
        shares: (T,) of the types among the places, which sum to 1; None: equal ones.
    """

    dataset: Dataset
    model: Model
    view: str
    rows: NDArray[np.int64]
    guesses: Guesses
    temperature: float
    shares: NDArray[np.float64] | None = None

    @property
    def _logits(self) -> NDArray[np.float32]:
        """(N, T): similarities over the temperature say by how much an image makes a type more probable than it is
        anyway, if they were trained against the names in a batch; Bayes' rule adds the logarithm of its share."""
        prior = 0.0 if self.shares is None else np.log(np.maximum(self.shares, 1e-12))
        return np.asarray(self.guesses.similarity / self.temperature + prior, np.float32)

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """(N, T) of each place, which sum to 1; not calibrated."""
        return softmax(self._logits)

    @property
    def codes(self) -> NDArray[np.int64]:
        """(N,) position of the most probable type; of equal ones, the first."""
        return np.asarray(self._logits.argmax(axis=1))

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
    shares: Mapping[str, float] | str | None = None,
    progress: Progress = SILENT,
) -> TypedPlaces:
    """Embed the images of all places and compare them with the names of types, see `placevec.inference.zero_shot`.

    Args:
        model: of images and texts.
        dataset: whose places are labeled.
        types: two or more.
        view: of images, if there are several.
        shares: type -> its share among the places, in any unit; ``training``: as in the training of the model; None:
            equal ones.
        progress: receives progress reports.

    Raises:
        UsageError: fewer than two types, or shares that are not known; the model has no view of images, or several and
            none is chosen; or no view of texts.
        ModelError: the dataset lacks the view.
        DatasetError: no place has an image.
    """
    if len(types) < 2:
        raise UsageError(f"--types needs two or more types to choose from; got {', '.join(types) or 'none'}")
    found_shares = None if shares is None else shares_of(model, types, shares)
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
    if note := _untrained(model, types):
        progress.say(note)
    vectors = model.vectors(dataset, view=wanted[0], progress=progress)
    rows = np.flatnonzero(np.isfinite(vectors).all(axis=1))
    if len(rows) == 0:
        raise DatasetError(f"no place of {dataset.path} has an image in the view {wanted[0]}")
    found = guessed(model, vectors[rows], types, view=wanted[0])
    return TypedPlaces(dataset, model, wanted[0], rows, found, temperature_of(model), found_shares)


def temperature_of(model: Model) -> float:
    """Of similarities between images and names of types: as it was learned, else as it was set, else 0.07."""
    told = (*(model.training.get(name) for name in ("type_temperature", "temperature")),
            model.recipe.get("config", {}).get("temperature"))  # fmt: skip
    return next(
        (float(one) for one in told if isinstance(one, int | float) and 0 < one < np.inf), TEMPERATURE
    )


def shares_of(model: Model, types: Sequence[str], shares: Mapping[str, float] | str) -> NDArray[np.float64]:
    """(T,) share of each type, as given or as in the training of a model; they sum to 1.

    Raises:
        UsageError: a type without a share, or a share of another type.
    """
    given = _trained_shares(model) if isinstance(shares, str) else dict(shares)
    if isinstance(shares, str) and not given:
        raise UsageError(
            "--shares training: this model did not record the shares of types; give them, such as park=3,school=1"
        )
    if not isinstance(shares, str) and (more := [name for name in given if name not in types]):
        raise UsageError(f"--shares: {more[0]!r} is not among --types {', '.join(types[:20])}")
    found = []
    for name in types:
        share = given.get(name, given.get(_plain(name)))
        if share is None:
            trained = list(model.training["type_shares"])[:8] if isinstance(shares, str) else []
            known = f"was trained with {', '.join(trained)}" if trained else "is missing"
            raise UsageError(
                f"--shares: the share of {name!r} {'is unknown: the model ' if trained else ''}{known}; give"
                " the share of every type, such as park=3,school=1"
            )
        found.append(float(share))
    return np.array(found) / sum(found)


def _trained_shares(model: Model) -> dict[str, float]:
    """Name of each type in training, as it is and as words -> its share among the places."""
    told = model.training.get("type_shares")
    known = told if isinstance(told, dict) else {}
    sound = {name: float(one) for name, one in known.items() if isinstance(one, int | float) and 0 < one <= 1}
    return sound | {_plain(name): share for name, share in sound.items()}


def _plain(name: str) -> str:
    return words_of_type(name).lower()


def _untrained(model: Model, types: Sequence[str]) -> str:
    """A note about types whose names the model was not trained with; empty if there are none, or it does not know."""
    known = _trained_shares(model)
    new = [name for name in types if name not in known and _plain(name) not in known]
    if not known or not new:
        return ""
    near = difflib.get_close_matches(_plain(new[0]), known, n=1, cutoff=0.8)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return (
        f"Note: {', '.join(map(repr, new[:5]))}{hint}{f' and {len(new) - 5} more' if len(new) > 5 else ''}"
        f" {'is' if len(new) == 1 else 'are'} not among the types in training: any words have a nearest place, so "
        f"check the results"
    )


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
        without = f" ({self.without:,} without an image were left out)" if self.without else ""
        return f"{self.rows:,} places{without}: {told}{more}"


def report_of(found: TypedPlaces, path: Path) -> TypedReport:
    """The summary of a file that was written."""
    names, counts = np.unique(found.codes, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    types = {found.guesses.types[names[at]]: int(counts[at]) for at in order}
    return TypedReport(path, len(found.rows), len(found.dataset) - len(found.rows), types)


def write_typed_table(found: TypedPlaces, path: Path) -> None:
    """GeoParquet with one row per place, atomically.

    Columns: place_id, name (raw text), lon, lat, prediction, probability, and ``probability: TYPE`` for each of up to
    `MAX_COLUMNS` types.
    """
    shares, codes = found.probabilities, found.codes
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
    prior = None if found.shares is None else found.shares.tolist()
    told = {"model_hash": found.model.hash, "dataset_hash": found.dataset.hash, "view": found.view,
            "temperature": found.temperature, "attribution": found.attribution, "shares": prior}  # fmt: skip
    write_geoparquet(path, columns, found.dataset.geometry()[found.rows], metadata={"placevec": told})


def write_typed_geojson(found: TypedPlaces, path: Path) -> None:
    """Points with place_id, name, prediction and probability, atomically."""
    members = {"attribution": found.attribution, "model_hash": found.model.hash, "view": found.view}
    write_geojson(path, found.dataset.lonlat[found.rows], _properties(found), members)


def _properties(found: TypedPlaces) -> Iterator[dict[str, Any]]:
    shares, names = found.probabilities, found.dataset.places["name"].to_numpy(object)
    for at, (row, code) in enumerate(zip(found.rows.tolist(), found.codes.tolist(), strict=True)):
        name = names[row]
        yield {
            "place_id": str(found.dataset.place_ids[row]),
            "name": name if isinstance(name, str) else None,
            "prediction": found.guesses.types[code],
            "probability": round(float(shares[at, code]), 6),
        }
