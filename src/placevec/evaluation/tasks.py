"""What vectors are asked to predict, and which layers would give the answer away. Tasks from OSM itself are here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec.dataset import Dataset
from placevec.errors import EvaluationError
from placevec.evaluation.scores import Kind
from placevec.geo import Ints

LANDUSE_LEAKS = ("landcover", "natural-features", "leisure", "amenities")
POI_LEAKS = ("amenities",)
OSM_TASKS = ("landuse", "pois")
"""Tasks that a dataset brings along."""
LABELLED_SHARE = 0.25
"""Share of a footprint that must carry land use for the place to count."""
MIN_PLACES = 20
"""Places that a class needs, and that a POI group needs with and without."""


@dataclass(frozen=True)
class Task:
    """Labels on places.

    Attributes:
        name: for people and the command line.
        kind: ``classification``, ``multilabel`` or ``regression``.
        target: (n,) int64 class numbers, (n, G) bool, or (n,) float64.
        rows: (n,) int64 distinct rows of the dataset's places.
        classes: names of the K classes or G groups; empty for regression. Hostile text.
        leaks: layers whose presence in a model's input gives the label away.
        description: one sentence.
    """

    name: str
    kind: Kind
    target: NDArray[Any]
    rows: Ints
    classes: tuple[str, ...] = ()
    leaks: tuple[str, ...] = ()
    description: str = ""

    def __post_init__(self) -> None:
        if len(self.target) != len(self.rows) or len(np.unique(self.rows)) != len(self.rows):
            raise EvaluationError(f"task {self.name}: one label a place is needed, and every place once")

    def __len__(self) -> int:
        return len(self.rows)

    def taken(self, chosen: NDArray[Any]) -> Task:
        """The same task on some of its places (indices or mask into `rows`)."""
        return replace(self, target=self.target[chosen], rows=self.rows[chosen])

    def counts(self) -> dict[str, int]:
        """Places of each class, or with each group."""
        if self.kind == "classification":
            held = np.bincount(self.target, minlength=len(self.classes))
        elif self.kind == "multilabel":
            held = self.target.sum(axis=0)
        else:
            return {}
        return {name: int(count) for name, count in zip(self.classes, held, strict=True)}


def sampled(task: Task, count: int, seed: int = 0) -> Task:
    """At most ``count`` places drawn at random, without the classes and groups that then are too rare."""
    if len(task) <= count:
        return task
    task = task.taken(np.sort(np.random.default_rng([seed, 0x9A]).permutation(len(task))[:count]))
    if task.kind == "regression":
        return task
    held = np.array(list(task.counts().values()))
    kept = np.flatnonzero(held >= MIN_PLACES)
    classes = tuple(task.classes[number] for number in kept)
    if task.kind == "multilabel":
        return replace(task, target=task.target[:, kept], classes=classes)
    chosen = np.isin(task.target, kept)
    renumbered = np.searchsorted(kept, task.target[chosen])
    return replace(task, target=renumbered.astype(np.int64), rows=task.rows[chosen], classes=classes)


def leaking(task: Task, seen: Sequence[str]) -> tuple[str, ...]:
    """The layers that a model sees and that give the label away."""
    return tuple(layer for layer in task.leaks if layer in seen)


def classes_task(
    name: str,
    labels: Sequence[str | None] | NDArray[Any],
    rows: Ints,
    *,
    leaks: tuple[str, ...] = (),
    description: str = "",
) -> Task:
    """A classification task from one text a place (None: unknown); classes of under `MIN_PLACES` are left out.

    Raises:
        EvaluationError: fewer than two classes are left.
    """
    texts = np.asarray(labels, object)
    known = np.array([text is not None for text in texts], bool)
    found, counts = np.unique(texts[known].astype(str), return_counts=True)
    kept = found[counts >= MIN_PLACES]
    if len(kept) < 2:
        most = ", ".join(
            f"{c[:30]} {n}" for c, n in sorted(zip(found, counts, strict=True), key=lambda x: -x[1])[:5]
        )
        raise EvaluationError(
            f"task {name}: {len(kept)} classes have {MIN_PLACES} places or more, two are needed (there are: "
            f"{most or 'none'})"
        )
    chosen = np.flatnonzero(known & np.isin(np.where(known, texts, ""), kept))
    target = np.searchsorted(kept, texts[chosen].astype(str)).astype(np.int64)
    return Task(name, "classification", target, rows[chosen], tuple(map(str, kept)), leaks, description)


def landuse_task(dataset: Dataset) -> Task:
    """Dominant land use of each footprint, from OSM's landuse areas, which are never burned into the map.

    Places count of which at least `LABELLED_SHARE` carries land use.

    Raises:
        EvaluationError: no land use stored, or too few places of two classes.
    """
    from placevec.views.coverage import Coverage

    file = dataset.path / "landuse_coverage.tif"
    if not file.exists():
        raise EvaluationError(
            f"task landuse: {dataset.path} holds no {file.name}; prepare it from an OSM extract"
        )
    coverage = Coverage(file)
    rows = _located(dataset)
    shares = np.asarray(coverage.fractions(dataset.footprints()[rows], dataset.zoom), np.float64)
    names = np.array(coverage.channels, object)
    dominant = names[shares.argmax(axis=1)]
    dominant[shares.sum(axis=1) < LABELLED_SHARE] = None
    description = f"dominant OSM land use of footprints that carry it on {LABELLED_SHARE:.0%} or more"
    return classes_task("landuse", dominant, rows, leaks=LANDUSE_LEAKS, description=description)


def poi_task(dataset: Dataset) -> Task:
    """Which groups of points of interest lie in each footprint: one yes or no a group, all judged together.

    Raises:
        EvaluationError: no points stored, or no group with `MIN_PLACES` places with and without it.
    """
    from placevec.views.pois import poi_counts, read_pois

    file = dataset.path / "pois.parquet"
    if not file.exists():
        raise EvaluationError(
            f"task pois: {dataset.path} holds no {file.name}; prepare it from an OSM extract"
        )
    rows = _located(dataset)
    counts, groups = poi_counts(read_pois(file), dataset.footprints()[rows], dataset.zoom)
    present = np.asarray(counts) > 0
    held = present.sum(axis=0)
    kept = np.flatnonzero((held >= MIN_PLACES) & (len(rows) - held >= MIN_PLACES))
    if len(kept) == 0:
        raise EvaluationError(
            f"task pois: no group lies in {MIN_PLACES} of {len(rows)} places and is absent from as many"
        )
    names = tuple(str(groups[group]) for group in kept)
    description = "presence of each OSM point-of-interest group in the footprint, mean over groups"
    return Task("pois", "multilabel", present[:, kept], rows, names, POI_LEAKS, description)


def _located(dataset: Dataset) -> Ints:
    return np.flatnonzero(np.isfinite(dataset.lonlat).all(axis=1))
