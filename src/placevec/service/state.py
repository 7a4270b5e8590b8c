"""What a service answers from: a model, its vectors, their dataset and indexes, opened and replaced as a whole."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from placevec.api.inputs import (
    load_embeddings,
    model_of,
    open_dataset,
    recorded_dataset,
    training_dataset,
    window_m,
)
from placevec.core import FUSED
from placevec.datasets.views.registry import reader_of
from placevec.embeddings import Embeddings, EmbeddingsOfViews
from placevec.embeddings.mapped import load_mapped, write_mapped
from placevec.embeddings.search.approximate import require_backend
from placevec.embeddings.search.filters import join_of, passing
from placevec.embeddings.search.spacing import footprint_m
from placevec.embeddings.search.stored import opened
from placevec.errors import DatasetError, InputError, ModelError, PlacevecError, UsageError
from placevec.io.progress import SILENT, Progress
from placevec.models import files
from placevec.service.settings import Settings
from placevec.sources.tables.dates import read_moments
from placevec.sources.tables.points import read_columns

if TYPE_CHECKING:
    import pandas as pd

    from placevec.datasets.dataset import Dataset
    from placevec.models.model import Model

Made = TypeVar("Made")
_MAX_MASKS = 64
_UNDATED = "this model was trained without dates: do not give a date or year"


@dataclass(eq=False)
class State:
    """One model with everything that belongs to it; never changed once it is opened.

    Attributes:
        model: the model.
        tables: name of a file without its ending -> its vectors.
        dataset: what places are read from, or None.
        columns: further columns of places to filter by, or None.
        settings: of the service.
    """

    model: Model
    tables: dict[str, Embeddings | EmbeddingsOfViews]
    dataset: Dataset | None
    columns: pd.DataFrame | None
    settings: Settings
    _made: dict[Any, Any] = field(default_factory=dict, repr=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def once(self, key: Any, make: Callable[[], Made]) -> Made:
        """What ``make`` returns, made at the first call; others that want the same wait."""
        with self._lock:
            lock = self._made.setdefault(("lock", key), threading.RLock())
        with lock:
            if key not in self._made:
                self._made[key] = make()
            found: Made = self._made[key]
            return found

    def loaded(self, table: str | None) -> Embeddings | EmbeddingsOfViews:
        """The vectors of a file, the first by default; InputError for an unknown one, or if there are none."""
        if not self.tables:
            raise InputError("this service has a model but no vectors: start it with a file of vectors")
        if table is None:
            return next(iter(self.tables.values()))
        if table not in self.tables:
            raise InputError(f"there is no table {table[:60]!r}: choose from {', '.join(self.tables)}")
        return self.tables[table]

    @property
    def seasonal(self) -> bool:
        """Whether the model reads the time."""
        return bool(self.model.times)

    @property
    def quick(self) -> bool:
        """Whether a few points are embedded faster than a thread is changed."""
        return self.model.bare

    def at_points(
        self, lonlat: NDArray[np.float64], years: NDArray[np.float64] | None, view: str
    ) -> NDArray[np.float32]:
        """(N, D) vectors of a view at (N, 2) degrees, each on its own; NaN where the dataset has no data.

        Raises:
            UsageError: the time is missing, or the model knows none.
            InputError: the model needs a dataset, which is not there, or which does not cover a point.
        """
        if self.seasonal != (years is not None):
            raise UsageError(
                f"this model was trained with dates ({', '.join(self.model.times)}): give each point a date, such as "
                "2018-06-03T14:00"
                if self.seasonal
                else _UNDATED
            )
        if self.model.bare and len(self.model.readings) == 1:
            return self.model.embed_lonlat(lonlat, years)
        self.require_points(lonlat, view)
        assert self.dataset is not None
        return self.model.vectors(self.dataset, lonlat=lonlat, view=view)

    def times_of(
        self, dates: Sequence[str | None], years: Sequence[float | None]
    ) -> NDArray[np.float64] | None:
        """(N,) or (N, K) what the model reads of the time of each point; None if no time is given.

        Raises:
            UsageError: some points have a time and others do not, or a date and a year; a model that does not read the
                season alone, and years.
            InputError: a date that cannot be read, or that lacks what the model reads, such as the hour.
        """
        given = [one for one in (dates, years) if any(value is not None for value in one)]
        if not given:
            return None
        if len(given) > 1 or None in given[0]:
            raise UsageError("give a date for every point, or a year for every point, or neither")
        if not self.seasonal:
            raise UsageError(_UNDATED)
        if given[0] is dates:
            return read_moments(list(dates), self.model.times)
        if self.model.times != ("season",):
            raise UsageError(
                f"this model reads more than the season ({', '.join(self.model.times)}): give each point a date, such "
                "as 2018-06-03T14:00"
            )
        return np.array(years, np.float64)

    def require_points(self, lonlat: NDArray[np.float64], view: str) -> None:
        """InputError unless a view can be read at all points."""
        views = self.model.fuse.views if view == FUSED and self.model.fuse is not None else (view,)
        read = [name for name in views if reader_of(self.model.specs[name]).by_coordinates]
        if not read:
            raise InputError(
                f"the model can read {', '.join(views)} only for known places, not at arbitrary coordinates"
            )
        if self.dataset is None:
            raise InputError(
                "to embed points, this model needs its dataset, which was not found: restart with --dataset"
            )
        outside = ~np.asarray(self.dataset.area.contains(lonlat[:, 0], lonlat[:, 1]), bool)
        if outside.any():
            lon, lat = lonlat[int(np.flatnonzero(outside)[0])].tolist()
            raise InputError(
                f"the point lon={lon:g}, lat={lat:g} is outside the area of the dataset, {self.dataset.area.bounds}"
            )

    def of_places(self, ids: Sequence[str], view: str | None) -> tuple[NDArray[np.float32], str, str | None]:
        """((N, D) vectors of places, their view, the first unknown place): of a table that has all, else embedded."""
        unknown: str | None = ids[0]
        for loaded in self.tables.values():
            if view is not None and view not in loaded.views:
                continue
            table = loaded.of(view)
            rows = [table.row_of(one) for one in ids]
            if None not in rows:
                return table.vectors[np.array(rows, np.int64)], table.view, None
            unknown = ids[rows.index(None)]
        wanted = self.model.default_view(view)
        if self.dataset is not None:
            rows = [self.row_of(one) for one in ids]
            if None not in rows:
                found = self.model.vectors(self.dataset, np.array(rows, np.int64), view=wanted)
                return found, wanted, None
            unknown = ids[rows.index(None)]
        return np.zeros((0, self.model.dims[wanted]), np.float32), wanted, unknown

    def row_of(self, place: str) -> int | None:
        """The row of a place in the dataset; None if it is unknown."""
        if self.dataset is None:
            return None
        ids = self.dataset.places["place_id"]
        known = self.once(
            "rows of places", lambda: {str(one): row for row, one in enumerate(ids.to_numpy(object))}
        )
        return known.get(place)

    def apart_m(self, table: Embeddings) -> float:
        """Distance in meters within which places show nearly the same area, so that search leaves them out, as in
        `placevec search`.
        """
        from placevec.embeddings.search.spacing import ABOUT

        def measured() -> float:
            return ABOUT * float(window_m(table, self.model) or footprint_m(table) or 0.0)

        return table.derived("apart of the service", measured)

    def mask(self, table: Embeddings, filters: tuple[str, ...]) -> NDArray[np.bool_]:
        """(N,) places that pass conditions on columns; those of the last queries are kept."""
        kept: dict[tuple[str, ...], NDArray[np.bool_]] = table.derived("masks of the service", dict)
        if filters not in kept:
            found = passing(table, filters, self.columns)
            with self._lock:
                while len(kept) >= _MAX_MASKS:
                    kept.pop(next(iter(kept)))
                kept[filters] = found
        return kept[filters]

    @property
    def attribution(self) -> str:
        """The credit that everything made from these vectors requires."""
        for loaded in self.tables.values():
            if loaded.provenance.attribution:
                return loaded.provenance.attribution
        return "" if self.dataset is None else self.dataset.attribution


def open_state(settings: Settings, progress: Progress = SILENT, *, write: bool = False) -> State:
    """Open a model and its vectors, and build or map their indexes.

    Args:
        settings: of the service.
        progress: receives progress reports.
        write: keep vectors to be mapped beside their files, where settings ask for mapped ones.

    Raises:
        PlacevecError: in one line: what is damaged, of another version, or made by another model.
    """
    require_backend(settings.backend)
    model = model_of(settings.run)
    tables: dict[str, Embeddings | EmbeddingsOfViews] = {}
    for file in settings.embeddings:
        if settings.mapped and write:
            write_mapped(load_embeddings(file))
        loaded = load_mapped(file) if settings.mapped else load_embeddings(file)
        if loaded.provenance.model_hash != model.hash:
            raise ModelError(
                f"the vectors of {file} were made by a different model ({loaded.provenance.model_hash[:12]}) than"
                f" {settings.run} ({model.hash[:12]}): embed again"
            )
        name = Path(file).stem
        if name in tables:
            raise UsageError(f"two files of vectors are called {name!r}: rename one")
        tables[name] = loaded
    state = State(
        model, tables, _dataset(model, tables, settings.dataset),
        None if settings.columns is None else read_columns(settings.columns), settings,
    )  # fmt: skip
    if state.columns is not None:
        _check_columns(state.columns, tables, settings, progress)
    for loaded in tables.values():
        for view in loaded.views:
            table = loaded.of(view)
            found = opened(table, settings.backend, settings.metric, progress=progress)
            if found.index.approximate:
                found.index.recall()
            table.row_of("")  # sorts the hashes of the ids
            state.apart_m(table)
    return state


def _check_columns(
    columns: pd.DataFrame,
    tables: Mapping[str, Embeddings | EmbeddingsOfViews],
    settings: Settings,
    progress: Progress,
) -> None:
    """Say how many rows and places of each table meet nobody; InputError where these are most of every table."""
    failed: list[InputError] = []
    for note in columns.attrs.get("notes", ()):
        progress.say(f"Note: {settings.columns}: {note}")
    for name, loaded in tables.items():
        join = join_of(loaded.of(loaded.views[0]), columns, settings.columns)
        if note := join.note():
            progress.say(f"Note: {note}" + (f" of {name}" if len(tables) > 1 else ""))
        try:
            join.check(InputError)
        except InputError as error:
            failed.append(error)
    if failed and len(failed) == len(tables):
        raise failed[0]


def _dataset(
    model: Model, tables: dict[str, Embeddings | EmbeddingsOfViews], given: str | None
) -> Dataset | None:
    """The dataset that was given, else that of the vectors, else that of the training; None if it is not there."""
    for loaded in tables.values():
        try:
            if (found := recorded_dataset(loaded.of(loaded.views[0]), given)) is not None:
                return found
        except PlacevecError:
            if given is not None:
                raise
    if given is not None:
        return open_dataset(given)
    try:
        return training_dataset(model, "give it with --dataset")
    except DatasetError:
        return None


Signature = tuple[tuple[str, int, int, int], ...]


def signature_of(settings: Settings) -> Signature:
    """Changes when a file of the model or of the vectors is replaced; a file that is not there counts as such."""
    files_of: list[str | Path] = [files.shipped(settings.run) / "config.json", *settings.embeddings]
    if settings.columns is not None:
        files_of.append(settings.columns)
    found = []
    for path in map(Path, files_of):
        try:
            told = path.stat()
            found.append((str(path), told.st_mtime_ns, told.st_size, told.st_ino))
        except OSError:
            found.append((str(path), 0, 0, 0))
    return tuple(found)
