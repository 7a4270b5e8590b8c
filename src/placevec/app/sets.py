"""Places like some and unlike others: a score of every place from several examples of each, and a threshold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from placevec.app.project import Project
from placevec.errors import UsageError

if TYPE_CHECKING:
    import geopandas as gpd


def scores(
    vectors: NDArray[np.float32], more: Sequence[int], less: Sequence[int] = ()
) -> NDArray[np.float32]:
    """(N,) how much like the examples ``more`` and unlike ``less`` places are, -1 to 1.

    The cosine of a place's direction and the mean direction of the examples, minus that of those it shall not be like
    (Rocchio's relevance feedback), all seen from the mean of the vectors, so that what all places share counts nothing.

    Args:
        vectors: (N, D) of all places.
        more, less: rows of the examples.

    Raises:
        UsageError: no example of what to find.

    >>> scores(np.array([[1, 0], [0.9, 0.1], [0, 1], [-1, 0]], np.float32), [0], [3]).astype(float).round(1).tolist()
    [1.0, 1.0, -0.4, -1.0]
    """
    if not len(more):
        raise UsageError("give at least one place to find others like it")
    mean = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)

    def units(rows: NDArray[np.float32]) -> NDArray[np.float32]:
        moved = rows - mean
        length = np.linalg.norm(moved, axis=1, keepdims=True)
        return np.asarray(moved / np.where(length > 0, length, 1.0), np.float32)

    wanted = units(vectors[list(more)]).mean(axis=0)
    if len(less):
        wanted = wanted - units(vectors[list(less)]).mean(axis=0)
    length = float(np.linalg.norm(wanted))
    if length > 0:
        wanted = wanted / length
    blocks = [units(vectors[start : start + 65_536]) @ wanted for start in range(0, len(vectors), 65_536)]
    return np.concatenate(blocks).astype(np.float32)


def above(
    project: Project, score: NDArray[np.float32], threshold: float, examples: Sequence[int] = ()
) -> gpd.GeoDataFrame:
    """All places whose score reaches a threshold, best first, without the examples.

    Columns: place_id, name, lon, lat, rank, score and geometry.
    """
    import geopandas as gpd

    kept = score >= threshold
    kept[list(examples)] = False
    rows = np.flatnonzero(kept)
    rows = rows[np.argsort(-score[rows], kind="stable")]
    table = project.table
    return gpd.GeoDataFrame(
        {
            "place_id": table.place_id[rows], "name": table.names[rows], "lon": table.lonlat[rows, 0],
            "lat": table.lonlat[rows, 1], "rank": np.arange(1, len(rows) + 1), "score": score[rows].astype(np.float64),
        },
        geometry=list(table.geometry[rows]), crs=4326,
    )  # fmt: skip
