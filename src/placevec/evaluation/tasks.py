"""What vectors are asked to predict, and which layers would give the answer away. Tasks from OSM itself are here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placevec.datasets.dataset import Dataset
from placevec.errors import EvaluationError
from placevec.evaluation.scores import Kind
from placevec.geo import Ints

LANDUSE_LEAKS = ("landcover", "natural-features", "leisure", "amenities")
POI_LEAKS = ("amenities",)
COLORS = ("red", "green", "blue")
_DRAWN_SHARE = 0.02
OSM_TASKS = ("landuse", "pois")
"""Tasks that a dataset brings along."""
LABELED_SHARE = 0.25
"""Share of a footprint that must carry land use for the place to count."""
MIN_PLACES = 20
"""Places that a class needs, and that a POI group needs with and without."""


class NoLabelsError(EvaluationError):
    """A dataset has nothing that a task could ask about, such as one of tiles alone.

    >>> NoLabelsError("landuse", Path("city/landuse_coverage.tif")).task
    'landuse'
    """

    def __init__(self, task: str, file: Path) -> None:
        self.task, self.file = task, file
        super().__init__(f"task {task}: {told_missing([file])}")


def told_missing(files: Sequence[Path]) -> str:
    """What to do about files of labels that one dataset lacks."""
    names = " and ".join(file.name for file in files)
    return f"{files[0].parent} holds no {names}; prepare it from an OSM extract, or name one beside the tiles (--osm)"


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
        class_leaks: for each class or group, further layers that give this one away; empty: none do.
        description: one sentence.
    """

    name: str
    kind: Kind
    target: NDArray[Any]
    rows: Ints
    classes: tuple[str, ...] = ()
    leaks: tuple[str, ...] = ()
    class_leaks: tuple[tuple[str, ...], ...] = ()
    description: str = ""

    def __post_init__(self) -> None:
        if len(self.target) != len(self.rows) or len(np.unique(self.rows)) != len(self.rows):
            raise EvaluationError(f"task {self.name}: one label a place is needed, and every place once")

    def __len__(self) -> int:
        return len(self.rows)

    def taken(self, chosen: NDArray[Any]) -> Task:
        """The same task on some of its places (indices or mask into `rows`)."""
        return replace(self, target=self.target[chosen], rows=self.rows[chosen])

    def only(self, kept: NDArray[Any]) -> Task:
        """A multilabel task on some of its groups (ascending numbers)."""
        return replace(
            self,
            target=self.target[:, kept],
            classes=tuple(self.classes[number] for number in kept),
            class_leaks=tuple(self.class_leaks[number] for number in kept) if self.class_leaks else (),
        )

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
    if task.kind == "multilabel":
        return task.only(kept)
    classes = tuple(task.classes[number] for number in kept)
    chosen = np.isin(task.target, kept)
    renumbered = np.searchsorted(kept, task.target[chosen])
    return replace(task, target=renumbered.astype(np.int64), rows=task.rows[chosen], classes=classes)


def leaking(task: Task, seen: Sequence[str]) -> tuple[str, ...]:
    """The layers that a model sees and that give the label away; the colors of a drawn map may show any of them."""
    if task.leaks and set(COLORS) <= set(seen):
        return COLORS
    return tuple(layer for layer in task.leaks if layer in seen)


def without_leaking_groups(task: Task, seen: Sequence[str]) -> tuple[Task, dict[str, tuple[str, ...]]]:
    """(the task without the groups that seen layers give away, those groups and the layers)."""
    given_away = {
        name: tuple(layer for layer in layers if layer in seen)
        for name, layers in zip(task.classes, task.class_leaks, strict=False)
        if set(layers) & set(seen)
    }
    if not given_away:
        return task, {}
    return task.only(np.flatnonzero([name not in given_away for name in task.classes])), given_away


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
            f"task {name}: {len(kept)} of the classes have {MIN_PLACES} places or more, two are needed (there are: "
            f"{most or 'none'})"
        )
    chosen = np.flatnonzero(known & np.isin(np.where(known, texts, ""), kept))
    target = np.searchsorted(kept, texts[chosen].astype(str)).astype(np.int64)
    return Task(
        name, "classification", target, rows[chosen], tuple(map(str, kept)), leaks, description=description
    )


def landuse_task(dataset: Dataset) -> Task:
    """Dominant land use of each footprint, from OSM's landuse areas, which are never burned into the map.

    Places count of which at least `LABELED_SHARE` carries land use.

    Raises:
        EvaluationError: no land use stored, or too few places of two classes.
    """
    rows = _located(dataset)
    dominant = landuse_labels(dataset, rows)
    description = f"dominant OSM land use of footprints that carry it on {LABELED_SHARE:.0%} or more"
    return classes_task("landuse", dominant, rows, leaks=LANDUSE_LEAKS, description=description)


def landuse_labels(dataset: Dataset, rows: Ints) -> NDArray[np.object_]:
    """(len(rows),) the use with the largest share of each footprint; None below `LABELED_SHARE` in all."""
    from placevec.datasets.views.raster.coverage import Coverage

    file = dataset.path / "landuse_coverage.tif"
    if not file.exists():
        raise NoLabelsError("landuse", file)
    coverage = Coverage(file)
    shares = np.asarray(coverage.fractions(dataset.footprints()[rows], dataset.zoom), np.float64)
    dominant = np.array(coverage.channels, object)[shares.argmax(axis=1)]
    dominant[shares.sum(axis=1) < LABELED_SHARE] = None
    return np.asarray(dominant, object)


def poi_task(dataset: Dataset) -> Task:
    """Which groups of points of interest lie in each footprint: one yes or no a group, all judged together.

    Raises:
        EvaluationError: no points stored, or no group with `MIN_PLACES` places with and without it.
    """
    rows = _located(dataset)
    present, groups, elsewhere = poi_presence(dataset, rows)
    held = present.sum(axis=0)
    kept = np.flatnonzero((held >= MIN_PLACES) & (len(rows) - held >= MIN_PLACES))
    if len(kept) == 0:
        raise EvaluationError(
            f"task pois: no group lies in {MIN_PLACES} of {len(rows)} places and is absent from as many"
        )
    names = tuple(str(groups[group]) for group in kept)
    description = "presence of each OSM point-of-interest group in the footprint, mean over groups"
    leaks = tuple(elsewhere.get(name, ()) for name in names)
    return Task("pois", "multilabel", present[:, kept], rows, names, POI_LEAKS, leaks, description)


def poi_presence(
    dataset: Dataset, rows: Ints
) -> tuple[NDArray[np.bool_], tuple[str, ...], dict[str, tuple[str, ...]]]:
    """((len(rows), G) whether a group lies in the footprint, the G groups, group -> layers that also draw it)."""
    from placevec.datasets.views.pois import poi_counts, read_pois

    file = dataset.path / "pois.parquet"
    if not file.exists():
        raise NoLabelsError("pois", file)
    pois = read_pois(file)
    counts, groups = poi_counts(pois, dataset.footprints()[rows], dataset.zoom)
    return np.asarray(counts) > 0, groups, _drawn_in(pois)


def _drawn_in(pois: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """Group -> layers, other than `POI_LEAKS`, that draw more than `_DRAWN_SHARE` of its points for what they are.

    A bus stop is a dot in ``roads``, a station in ``railways``. Buildings do not count: every one is drawn alike,
    a church no other than a house.
    """
    from placevec.sources.osm.layers import LayerTable
    from placevec.sources.osm.objects import Kind

    table = LayerTable.default()
    grouped = pois.dropna(subset=["group"]).groupby(["group", "key", "value"], observed=True).size()
    totals = grouped.groupby("group", observed=True).sum()
    shares: dict[str, dict[str, float]] = {}
    for (group, key, value), count in grouped.items():
        for drawing in table.classify({str(key): str(value)}, Kind.POINT):
            layer = table.layers[drawing.layer]
            if layer not in POI_LEAKS and layer != "buildings":
                held = shares.setdefault(str(group), {})
                held[layer] = held.get(layer, 0.0) + count / totals[group]
    return {
        group: tuple(layer for layer, share in held.items() if share > _DRAWN_SHARE)
        for group, held in shares.items()
    }


def _located(dataset: Dataset) -> Ints:
    return np.flatnonzero(np.isfinite(dataset.lonlat).all(axis=1))
