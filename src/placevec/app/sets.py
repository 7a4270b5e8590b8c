"""Places like some and unlike others: a score of every place from several examples of each, and a threshold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from placevec.app.project import Project
from placevec.embeddings import Embeddings
from placevec.embeddings.search.exact import distances
from placevec.embeddings.search.examples import Examples
from placevec.errors import UsageError

if TYPE_CHECKING:
    import geopandas as gpd


def scores(table: Embeddings, more: Sequence[str], less: Sequence[str] = ()) -> NDArray[np.float32]:
    """(N,) how much like the examples ``more`` and unlike ``less`` places are, -1 to 1.

    One minus the distance by which ``placevec search --like --unlike`` ranks, so that both find the same places.

    Args:
        table: all places.
        more, less: place_ids of the examples.

    Raises:
        UsageError: no example of what to find, or one of both kinds.
        InputError: an unknown place.
    """
    examples = Examples.of(table, more, less, "cosine")
    if examples is None:
        raise UsageError("give at least one place to find others like it")
    blocks = [
        1.0 - distances(examples.vector, table.vectors[start : start + 65_536], "cosine")
        for start in range(0, len(table), 65_536)
    ]
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
