"""Baselines of vectors: features that need no learning, and the same encoder before training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from placevec.datasets.dataset import Dataset
from placevec.evaluation.compare import BESIDE
from placevec.evaluation.engine import OURS, Variants
from placevec.evaluation.probes import Features, standardized
from placevec.evaluation.splits import local_plane
from placevec.geo import Ints
from placevec.io.progress import SILENT, Progress
from placevec.models.model import Model

COORDINATES = "coordinates"
COVERAGE = "coverage fractions"
UNTRAINED = "untrained encoder"
AREA = "polygon area"
COORDINATES_AREA = "coordinates + area"
COUNTS = "counts"
COUNTS_AREA = "counts + area"
OF_POIS = (COUNTS, COUNTS_AREA)
"""Rows that hold the labels of the task ``pois``, and are left out of it."""

PAIRS = (
    (OURS, "chance"),
    (OURS, COORDINATES),
    (OURS, COVERAGE),
    (OURS, UNTRAINED),
    (OURS, AREA),
    (OURS, COORDINATES_AREA),
    (OURS, COUNTS),
    (OURS, COUNTS_AREA),
    (BESIDE, COVERAGE),
)
"""Rows that every task compares: (of, against)."""


def baselines(
    dataset: Dataset,
    model: Model | None,
    rows: Ints,
    *,
    view: str | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    progress: Progress = SILENT,
) -> dict[str, Variants]:
    """Feature sets of the places at ``rows`` that need no training.

    Args:
        dataset: where the places lie and what the map holds.
        model: whose channels and architecture are taken; None leaves out the untrained encoder and looks at
            every channel.
        rows: (n,) places, all with coordinates.
        view: of the untrained encoder's vectors, see `Model.default_view`.
        seeds: of the untrained encoders, one variant each.
        progress: where to report.

    Returns:
        ``coordinates`` (n, 2) meters east and north of the middle; ``coverage fractions`` (n, C) share of the
        footprint that each channel covers, 0 to 1; ``polygon area`` and ``counts`` of points of interest where there
        are any, alone and together; ``untrained encoder`` (n, dim), a variant a seed.
    """
    found: dict[str, Variants] = {COORDINATES: (local_plane(dataset.lonlat[rows]),)}
    area = polygon_area(dataset, rows)
    counts = poi_features(dataset, rows)
    if area is not None:
        found[AREA] = (area,)
        found[COORDINATES_AREA] = (beside(found[COORDINATES][0], area),)
    if counts is not None:
        found[COUNTS] = (counts,)
        if area is not None:
            found[COUNTS_AREA] = (beside(counts, area),)
    fractions = coverage_fractions(dataset, None if model is None else model.seen, rows)
    if fractions is not None:
        found[COVERAGE] = (fractions,)
    if model is not None:
        found[UNTRAINED] = tuple(
            model.untrained(seed).vectors(
                dataset, rows, view=view, label=f"Untrained encoder {seed}", progress=progress
            )
            for seed in seeds
        )
    return found


def polygon_area(dataset: Dataset, rows: Ints) -> NDArray[np.float64] | None:
    """(n, 2) area of each place in square meters on the ellipsoid, and its logarithm.

    Census polygons hold about equal numbers of people, so that their area alone predicts density. None where a place
    is no polygon, or where all polygons are of one size to a hundredth, as those of a grid are.
    """
    from pyproj import Geod

    shapes = dataset.geometry()[rows]
    if any(shape is None or not shape.geom_type.endswith("Polygon") for shape in shapes):
        return None
    ellipsoid = Geod(ellps="WGS84")
    area = np.array([abs(ellipsoid.geometry_area_perimeter(shape)[0]) for shape in shapes], np.float64)
    if len(area) == 0 or area.std() <= 0.01 * area.mean() or (area <= 0).any():
        return None
    return np.stack([area, np.log(area)], axis=-1)


def poi_features(dataset: Dataset, rows: Ints) -> NDArray[np.float64] | None:
    """(n, G) ln(1 + points of interest of each group in the footprint); None where the dataset holds none."""
    from placevec.datasets.views.pois import poi_counts, read_pois

    file = dataset.path / "pois.parquet"
    if not file.exists() or dataset.base_map is None:  # footprints are told on a map
        return None
    counts, _ = poi_counts(read_pois(file), dataset.footprints()[rows], dataset.zoom)
    return np.log1p(np.asarray(counts, np.float64))


def coverage_fractions(
    dataset: Dataset, channels: Sequence[str] | None, rows: Ints
) -> NDArray[np.float64] | None:
    """(n, C) share of each footprint under each channel (all when None); None when no coverage is stored."""
    from placevec.datasets.views.raster.coverage import Coverage

    file = dataset.path / "map_coverage.tif"
    if not file.exists():
        return None
    coverage = Coverage(file)
    fractions = np.asarray(coverage.fractions(dataset.footprints()[rows], dataset.zoom), np.float64)
    if channels is None:
        return fractions
    kept = [number for number, name in enumerate(coverage.channels) if name in channels]
    return fractions[:, kept] if kept else None


def beside(first: Features, second: Features) -> Features:
    """Both, standardized, side by side."""
    return np.hstack([standardized(part, part)[0] for part in (first, second)])
