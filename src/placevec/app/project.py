"""What the app shows: one table of vectors, with the dataset and the model that made it, opened once for all browsers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from placevec.api.asking import view_of_images
from placevec.api.inputs import PathLike, load_embeddings, recorded_dataset, recorded_model, window_m
from placevec.errors import InputError, PlacevecError
from placevec.explorer.sample import Drawn
from placevec.io.progress import SILENT, Progress

if TYPE_CHECKING:
    from placevec.datasets.dataset import Dataset
    from placevec.embeddings import Embeddings, EmbeddingsOfViews
    from placevec.models.model import Model

Made = TypeVar("Made")


@dataclass
class Project:
    """A table of vectors and what belongs to it. Nothing else is read while the app runs.

    Attributes:
        path: file of the vectors.
        table: the vectors of one view.
        dataset: the dataset that they describe, or None.
        drawn: the places that are drawn: all, or a seeded sample.
        loaded: the vectors of all views.
        view: the view that the user chose, or None.
        model_folder: model given by the user, or None for the recorded one.
        remarks: what the user should know, one line each.
        searching: held while an index is opened.
    """

    path: Path
    table: Embeddings
    dataset: Dataset | None
    drawn: Drawn
    loaded: Embeddings | EmbeddingsOfViews
    view: str | None = None
    model_folder: Path | None = None
    remarks: list[str] = field(default_factory=list)
    searching: threading.RLock = field(default_factory=threading.RLock, repr=False)
    _made: dict[Hashable, Any] = field(default_factory=dict, repr=False)
    _locks: dict[Hashable, threading.RLock] = field(default_factory=dict, repr=False)

    def once(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """What ``make`` returns, made once for all browsers: one makes it, others that want the same wait."""
        with self._locks.setdefault(key, threading.RLock()):  # setdefault is atomic
            if key not in self._made:
                self._made[key] = make()
            found: Made = self._made[key]
            return found

    def latest(self, name: str, key: Hashable, make: Callable[[], Made]) -> Made:
        """What ``make`` returns, made again only when the key has changed; one value of a name is kept."""
        with self._locks.setdefault(name, threading.RLock()):
            if name not in self._made or self._made[name][0] != key:
                self._made[name] = (key, make())
            found: Made = self._made[name][1]
            return found

    @property
    def model(self) -> Model | None:
        """The model that made the vectors; None if it is not at its recorded path or is another one."""

        def load() -> Model | None:
            try:
                return recorded_model(self.table, self.model_folder)
            except PlacevecError as error:
                self.remarks.append(f"without the model: {error}")
                return None

        return self.once("model", load)

    @property
    def compared(self) -> Embeddings:
        """The vectors that words and images are compared with, see `placevec.api.asking.view_of_images`."""
        return self.table if self.model is None else view_of_images(self.loaded, self.model, self.view)

    @cached_property
    def row_of(self) -> dict[str, int]:
        """Row of each place."""
        return {str(place): row for row, place in enumerate(self.table.place_id)}

    @property
    def window_m(self) -> float | None:
        """Side in meters of the square that the model reads; None if unknown."""
        return self.drawn.window_m

    @property
    def title(self) -> str:
        """Name of the dataset, else of the file."""
        return self.dataset.name if self.dataset is not None else self.path.stem

    def shares_at(self, rows: NDArray[np.int64]) -> tuple[tuple[str, ...], NDArray[np.float32]] | None:
        """(layers, (M, C) share of what the model reads that each covers) of places; None without layers."""
        from placevec.explorer.maps.scene import has_map, layer_shares

        if self.dataset is None or not has_map(self.dataset) or not len(rows):
            return None
        try:
            return layer_shares(self.dataset, self.table.place_id[rows], self.window_m)
        except InputError:
            return None


def open_project(
    embeddings: PathLike,
    *,
    view: str | None = None,
    dataset: PathLike | None = None,
    model: PathLike | None = None,
    columns: PathLike | None = None,
    clusters: int | None = None,
    max_places: int = 20_000,
    seed: int = 0,
    progress: Progress = SILENT,
) -> Project:
    """Open the vectors and what belongs to them.

    Args:
        embeddings: file of vectors.
        view: see `placevec.api.exploring.explore`, as are all others.
        dataset: dataset, if it has moved.
        model: model or run, if it has moved.
        columns: table of columns to color by.
        clusters: number of clusters.
        max_places: places drawn.
        seed: of the sample and of the projections.
        progress: receives progress reports.

    Raises:
        PlacevecError: in one line, what is wrong with a file.
    """
    from placevec.sources.tables.points import read_columns

    loaded = load_embeddings(embeddings)
    table = loaded.of(view)
    remarks: list[str] = []
    try:
        found = recorded_dataset(table, dataset)
    except PlacevecError as error:
        if dataset is not None:
            raise
        found = None
        remarks.append(f"without the dataset: {error}")
    if found is None and not remarks:
        remarks.append(
            "without pictures and layers: the dataset is not at its recorded path (give it with --dataset)"
        )
    drawn = Drawn.of(
        table, dataset=found, columns=None if columns is None else read_columns(columns), clusters=clusters,
        window_m=window_m(table, model), max_places=max_places, seed=seed, progress=progress,
    )  # fmt: skip
    if len(drawn) < drawn.total:
        remarks.append(f"the projector draws {drawn.extent}; search, sets and labels use all places")
    folder = None if model is None else Path(model)
    return Project(Path(embeddings), table, found, drawn, loaded, view, folder, remarks)


_opened: list[Project] = []


def open_for_all(project: Project) -> None:
    """Make a project the one that every browser of this process sees."""
    _opened[:] = [project]


def current() -> Project:
    """The project of this process; InputError if none was opened."""
    if not _opened:
        raise InputError("no vectors are open: start the app with placevec explore EMB --app")
    return _opened[0]
