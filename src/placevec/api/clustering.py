"""`cluster`: places grouped by their vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from placevec.api.inputs import PathLike, Vectors, table_of
from placevec.io import atomic
from placevec.io.progress import SILENT, Progress

if TYPE_CHECKING:
    from placevec.embeddings.clustering import Clusters, Scaling
    from placevec.embeddings.clustering import Method as ClusterMethod


def cluster(
    embeddings: Vectors,
    *,
    view: str | None = None,
    method: ClusterMethod = "kmeans",
    clusters: int | None = None,
    smallest: int | None = None,
    vectors: Scaling = "unit",
    seed: int = 0,
    out: PathLike | None = None,
    progress: Progress = SILENT,
) -> Clusters:
    """Group places by their vectors; see `placevec.embeddings.clustering.cluster` for the options.

    ``view`` names whose vectors, where the table holds several (``fused`` by default). With ``out`` they are also
    written there: Parquet, CSV or GeoJSON, which `explore` takes to color by.
    """
    from placevec.embeddings.clustering import check_format
    from placevec.embeddings.clustering import cluster as run

    if out is not None:
        check_format(out)
        atomic.check_writable(out)
    table = table_of(embeddings, view)
    found = run(
        table,
        method=method,
        clusters=clusters,
        smallest=smallest,
        vectors=vectors,
        seed=seed,
        progress=progress,
    )
    if out is not None:
        found.save(out)
    return found
