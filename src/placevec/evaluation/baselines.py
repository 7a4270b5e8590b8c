"""Baselines for vectors: features that need no learning, and the same encoder before training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from placevec.core import ROW_MISSING, Look
from placevec.datasets.dataset import Dataset
from placevec.datasets.views.registry import known_rows, reader_of
from placevec.distributed.executors import IN_THIS_PROCESS, Executor, Maker, Part
from placevec.evaluation.compare import BESIDE
from placevec.evaluation.engine import OURS, Variants
from placevec.evaluation.probes import Features, standardized
from placevec.evaluation.splits import local_plane
from placevec.geo import Ints
from placevec.inference.embed import EMBED_PART, Paths
from placevec.io.progress import SILENT, Advance, Progress
from placevec.models.model import Model

COORDINATES = "coordinates"
COVERAGE = "coverage fractions"
UNTRAINED = "untrained encoder"
AREA = "polygon area"
COORDINATES_AREA = "coordinates + area"
COUNTS = "counts"
MEAN_COLOR = "mean color"
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
    (OURS, MEAN_COLOR),
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
    executor: Executor = IN_THIS_PROCESS,
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
        executor: where these encode.
        progress: where to report.

    Returns:
        ``coordinates`` (n, 2) meters east and north of the middle; ``coverage fractions`` (n, C) share of the
        footprint that each channel covers, 0 to 1; ``polygon area`` and ``counts`` of points of interest where there
        are any, alone and together; ``mean color`` (n, 2 C) mean and deviation of each channel of images that no
        coverage tells of; ``untrained encoder`` (n, dim), a variant a seed.
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
    color = mean_color(dataset, model, rows, with_maps=fractions is None)
    if color is not None:
        found[MEAN_COLOR] = (color,)
    if model is not None:
        found[UNTRAINED] = _untrained(model, dataset, rows, view, seeds, executor, progress)
    return found


class _Asked(NamedTuple):
    """The places that an untrained encoder embeds."""

    seed: int
    rows: Ints


def _untrained(
    model: Model, dataset: Dataset, rows: Ints, view: str | None, seeds: Sequence[int], executor: Executor,
    progress: Progress,
) -> Variants:  # fmt: skip
    """(n, dim) vectors of untrained encoders, one variant per seed."""
    parts = [
        Part(f"untrained encoder {seed}, places from {start}", _Asked(seed, some), len(some))
        for seed in seeds
        for start in range(0, len(rows), EMBED_PART)
        for some in (rows[start : start + EMBED_PART],)
    ]
    vectors: dict[int, list[tuple[int, Features]]] = {seed: [] for seed in seeds}
    with progress.task("Untrained encoders", total=len(rows) * len(seeds)) as advance:
        for part, found in executor.run(_Encoding(model, dataset, view), parts, advance):
            vectors[part.content.seed].append((int(part.content.rows[0]), found))
    return tuple(
        with_missing(np.concatenate([some for _, some in sorted(vectors[seed], key=lambda one: one[0])]))
        for seed in seeds
    )


@dataclass(frozen=True)
class _Encoding:
    """The work of untrained encoders, see `placevec.distributed.executors.Work`."""

    model: Model
    dataset: Dataset
    view: str | None

    def make(self, asked: _Asked, advance: Advance) -> NDArray[np.float32]:
        """(n, dim) vectors of some places."""
        return self.model.untrained(asked.seed).vectors(self.dataset, asked.rows, view=self.view)

    def elsewhere(self) -> Callable[[], Maker]:
        """See `Work.elsewhere`; ModelError for a model without files."""
        return partial(_opened, Paths.of(self.model, self.dataset), self.view)


def _opened(paths: Paths, view: str | None) -> Maker:
    """`_Encoding.make` in another process."""
    return _Encoding(*paths.opened(), view).make


def with_missing(values: Features) -> Features:
    """(n, D) features without NaN: places without them get the mean, and a last column of 0 where there are any.

    >>> with_missing(np.array([[1.0], [np.nan], [3.0]])).tolist()
    [[1.0, 1.0], [2.0, 0.0], [3.0, 1.0]]
    """
    there: NDArray[np.bool_] = np.asarray(np.isfinite(values).all(axis=1))
    if there.all():
        return values
    mean = values[there].mean(axis=0) if there.any() else np.zeros(values.shape[1])
    return np.hstack([np.where(there[:, None], values, mean), there[:, None].astype(values.dtype)])


def mean_color(
    dataset: Dataset, model: Model | None, rows: Ints, *, with_maps: bool, at_once: int = 64
) -> NDArray[np.float64] | None:
    """(n, 2 C) mean and deviation of each channel of the images of each place; several views side by side.

    Images are read as the model reads them, without a model as they are stored. Those of a map count only ``with_maps``:
    a coverage tells the same of drawn layers. None where there are no images; see `with_missing` for places without.
    """
    found = []
    for name in getattr(dataset, "view_names", ()) if model is None else model.specs:
        reader = reader_of(dataset.spec(name) if model is None else model.specs[name])
        if not reader.image or (reader.is_map and not with_maps) or name not in dataset.view_names:
            continue
        view = dataset.view(name) if model is None else model.views_of(dataset, (name,))[name]
        known = known_rows(view, dataset.lonlat)[rows]
        parts = []
        for start in range(0, len(rows), at_once):
            some = slice(start, start + at_once)
            lonlat = torch.from_numpy(dataset.lonlat[rows[some]]) if reader.by_coordinates else None
            batch = view.read(Look(torch.from_numpy(np.where(known[some], rows[some], ROW_MISSING)), lonlat))
            if not isinstance(batch, torch.Tensor) or batch.dim() < 3:
                break
            values = batch.numpy().reshape(*batch.shape[:2], -1).astype(np.float64)
            parts.append(np.concatenate([values.mean(axis=2), values.std(axis=2)], axis=1))
        if parts:
            color = np.concatenate(parts)
            color[~known] = np.nan
            found.append(np.asarray(with_missing(color), np.float64))
    return np.hstack(found) if found else None


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
    """(n, G) ln(1 + points of interest of each group in the footprint); None where the dataset holds none.

    Points of a table of one's own are counted by the categories of their view, and so are those in polygons of different
    sizes and of places without a map.
    """
    from placevec.datasets.views.pois import poi_counts, read_pois

    file = dataset.path / "pois.parquet"
    if not file.exists():
        return None
    if (
        dataset.base_map is not None and polygon_area(dataset, rows) is None
    ):  # footprints are squares of the map
        counts, _ = poi_counts(read_pois(file), dataset.footprints()[rows], dataset.zoom)
        if counts.any():
            return np.log1p(np.asarray(counts, np.float64))
    for name in getattr(dataset, "view_names", ()):
        counted = getattr(dataset.view(name), "category_counts", None)
        if counted is not None:
            return np.log1p(np.asarray(counted(rows, dataset.lonlat[rows]), np.float64))
    return None


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
    """Two feature sets, standardized and concatenated."""
    return np.hstack([standardized(part, part)[0] for part in (first, second)])
