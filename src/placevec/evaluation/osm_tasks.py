"""Tasks that a dataset made from OpenStreetMap brings along: land use, and groups of points of interest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placevec.datasets.dataset import Dataset
from placevec.errors import EvaluationError
from placevec.evaluation.tasks import MIN_PLACES, Task, classes_task
from placevec.geo import Ints

LANDUSE_LEAKS = ("landcover", "natural-features", "leisure", "amenities")
POI_LEAKS = ("amenities",)
OSM_TASKS = ("landuse", "pois")
"""Tasks that a dataset brings along."""
LABELED_SHARE = 0.25
"""Share of a footprint that must carry land use for the place to count."""
_DRAWN_SHARE = 0.02


class NoLabelsError(EvaluationError):
    """A dataset holds no labels for a task, such as one of tiles alone.

    >>> NoLabelsError("landuse", Path("city/landuse_coverage.tif")).task
    'landuse'
    """

    def __init__(self, task: str, file: Path) -> None:
        self.task, self.file = task, file
        super().__init__(f"task {task}: {missing_labels([file])}")


def missing_labels(files: Sequence[Path], has_map: bool = True) -> str:
    """What to do about files of labels that one dataset lacks."""
    names = " and ".join(file.name for file in files)
    if not has_map:
        return (
            f"{files[0].parent} holds no {names}, which come with a map of OpenStreetMap; name a table of your own "
            "labels with --labels"
        )
    return (
        f"{files[0].parent} holds no {names}; prepare it from an OSM extract, or give an extract together with the "
        "tiles (--osm)"
    )


def landuse_task(dataset: Dataset) -> Task:
    """Dominant land use of each footprint, from OSM's landuse areas, which are never burned into the map.

    Places count of which at least `LABELED_SHARE` carries land use.

    Raises:
        EvaluationError: no land use stored, or too few places of two classes.
    """
    rows = _located(dataset)
    dominant = landuse_labels(dataset, rows)
    description = f"dominant OSM land use in footprints where it covers {LABELED_SHARE:.0%} or more"
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
    """Which groups of points of interest lie in each footprint, as one boolean per group.

    Raises:
        EvaluationError: no points stored, or no group with `MIN_PLACES` places with and without it.
    """
    rows = _located(dataset)
    present, groups, elsewhere = poi_presence(dataset, rows)
    held = present.sum(axis=0)
    kept = np.flatnonzero((held >= MIN_PLACES) & (len(rows) - held >= MIN_PLACES))
    if len(kept) == 0:
        raise EvaluationError(
            f"task pois: no group is present at {MIN_PLACES} or more of {len(rows)} places and absent "
            "from as many: prepare a larger area"
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
    if dataset.base_map is None:
        raise EvaluationError("task pois: places have no footprints, because the dataset has no map")
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
