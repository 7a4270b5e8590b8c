"""poi2vec: categories whose points lie next to each other get similar vectors.

Huang et al. 2022, "Estimating urban functional distributions with semantics preserved POI embedding", IJGIS 36(10),
doi:10.1080/13658816.2022.2040510: random walks along the Delaunay graph of all points, skip-gram with negative sampling
over their categories, and a term that keeps categories of one group together. Near points are likelier steps
(``log((1 + D^1.5) / (1 + d^1.5))``, D: diagonal of the box around all points), steps into another cell less likely.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch

from placevec.core import Look, Ragged, Recipe, Slot, ViewSpec
from placevec.datasets.dataset import Dataset
from placevec.datasets.joined import JoinedDataset
from placevec.datasets.splits import Split
from placevec.datasets.views.poi_sets import PoiSetsView
from placevec.encoders.poi_categories import PoiCategories
from placevec.errors import DatasetError, UsageError
from placevec.geo import Floats, Ints, to_ecef
from placevec.geo.delaunay import delaunay_edges, tangent_plane
from placevec.recipes.built import Built
from placevec.recipes.poi2vec.config import Poi2VecConfig
from placevec.training import TrainingOptions
from placevec.training.objectives.skip_gram import SkipGram
from placevec.training.samplers.walks import (
    CONTEXT,
    EVERY,
    NEGATIVE,
    TARGET,
    WalkSampler,
    WeightedGraph,
    random_walks,
)

_LEAST = 1e-6


class Categories:
    """Reads each category as a set with a single point, which is what the slots of training need."""

    def __init__(self, spec: ViewSpec) -> None:
        self.spec = spec

    def read(self, look: Look) -> Ragged:
        """A set of one point for each row, whose category is the row."""
        values = torch.zeros(len(look), 3)
        values[:, 0] = look.rows.clamp(min=0)
        return Ragged(values, torch.arange(len(look) + 1))


def build(
    dataset: Dataset | JoinedDataset,
    config: Poi2VecConfig,
    training: Mapping[str, Any],
    validation: Dataset | JoinedDataset | None = None,
) -> Built:
    """Walks over the points of interest of a dataset, the table of vectors and its objective.

    Raises:
        UsageError: several datasets, a validation dataset, or a dataset without points of interest.
        DatasetError: points of fewer than two categories.
    """
    if validation is not None or isinstance(dataset, JoinedDataset):
        raise UsageError("train poi2vec takes one dataset, and has no validation")
    names = [name for name in dataset.view_names if dataset.spec(name).kind == "pois"]
    if not names:
        raise UsageError(
            f"{dataset.name} has no points of interest: add them by preparing points of interest with the same --out"
        )
    view = cast(PoiSetsView, dataset.view(names[0]))
    channels = view.spec.channels
    kept = np.flatnonzero(view.categories >= 0)
    category, lonlat = view.categories[kept], view.lonlat[kept]
    if len(np.unique(category)) < 2:
        raise DatasetError(f"the points of interest of {dataset.name} have fewer than two categories")
    seed = int(training.get("seed", 0))
    graph = graph_of(lonlat, cells_of(dataset, lonlat), across=config.across)
    walks = random_walks(
        graph, length=config.walk_length, per_node=config.walks, return_bias=1.0 / config.p,
        leave_bias=1.0 / config.q, seed=seed,
    )  # fmt: skip
    sampler = WalkSampler(
        category[walks], len(channels), batch_size=config.batch_size, negatives=config.negatives, seed=seed
    )
    parents = parents_of(channels)
    seen = np.isin(np.arange(len(channels)), category).tolist()
    spec = view.spec
    leaves = [parent if parent != position else -1 for position, parent in enumerate(parents)]
    encoder, contexts = (PoiCategories(len(channels), config.dim, parents, seen) for _ in range(2))
    recipe = Recipe(
        slots={
            TARGET: Slot(spec.name, "categories"), EVERY: Slot(spec.name, "categories"),
            CONTEXT: Slot("contexts", "contexts"), NEGATIVE: Slot("contexts", "contexts"),
        },
        encoders={"categories": encoder, "contexts": contexts},
        objectives={
            "skip-gram": (
                1.0, SkipGram(leaves, hierarchy=config.hierarchy, hierarchy_weight=config.hierarchy_weight)
            )
        },
        sampler=sampler,
    )  # fmt: skip
    categories = Categories(spec)
    notes = [
        f"{len(kept):,} points of {int(np.sum(seen)):,} categories, {graph.neighbors.size // 2:,} edges, "
        f"{len(walks):,} walks"
    ]
    rows = np.arange(len(dataset))
    return Built(
        recipe, config, {spec.name: categories, "contexts": categories}, {spec.name: spec},
        TrainingOptions(**{"steps_per_epoch": sampler.steps_per_epoch, **training}),
        Split.of(len(dataset), train=rows), None, None, notes,
    )  # fmt: skip


def graph_of(lonlat: Floats, cells: Ints, *, across: float) -> WeightedGraph:
    """The Delaunay graph of points, near and inner edges heavier, see the module.

    Args:
        lonlat: (N, 2) lon, lat degrees.
        cells: (N,) cell of each point.
        across: factor of edges between cells.

    >>> graph = graph_of(np.array([[24.0, 60.0], [24.01, 60.0], [24.1, 60.0]]), np.array([0, 0, 1]), across=0.4)
    >>> len(graph), graph.degrees.tolist()
    (3, [2, 2, 2])
    """
    edges = delaunay_edges(lonlat)
    xyz = to_ecef(lonlat[:, 0], lonlat[:, 1])
    meters = np.linalg.norm(xyz[edges[0]] - xyz[edges[1]], axis=1)
    diagonal = float(np.linalg.norm(np.ptp(tangent_plane(lonlat), axis=0)))
    weights = np.log((1.0 + diagonal**1.5) / (1.0 + meters**1.5))
    weights = np.maximum(weights, _LEAST) * np.where(cells[edges[0]] == cells[edges[1]], 1.0, across)
    return WeightedGraph.of(len(lonlat), edges, weights)


def cells_of(dataset: Dataset, lonlat: Floats) -> Ints:
    """(N,) place whose polygon holds each point, or else the nearest place."""
    import shapely
    from scipy.spatial import cKDTree

    located = np.flatnonzero(np.isfinite(dataset.lonlat).all(axis=1))
    if not len(located):
        return np.zeros(len(lonlat), np.int64)
    places = dataset.lonlat[located]
    _, nearest = cKDTree(to_ecef(places[:, 0], places[:, 1])).query(to_ecef(lonlat[:, 0], lonlat[:, 1]))
    cells = located[nearest]
    shapes = dataset.geometry()
    areas = [row for row, shape in enumerate(shapes) if shape is not None and shapely.area(shape) > 0]
    if areas:
        point, area = shapely.STRtree(shapes[areas]).query(shapely.points(lonlat), predicate="within")
        cells[point] = np.asarray(areas)[area]
    return np.asarray(cells, np.int64)


def parents_of(channels: tuple[str, ...]) -> list[int]:
    """Position of the group of each category: ``food`` of ``food/cafe``; its own of a group.

    >>> parents_of(("food", "food/bar", "shops/toys"))
    [0, 0, 2]
    """
    position = {name: at for at, name in enumerate(channels)}
    return [position.get(name.partition("/")[0], at) for at, name in enumerate(channels)]
