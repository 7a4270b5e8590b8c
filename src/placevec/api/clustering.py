"""`cluster`: places grouped by their vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from placevec.api.inputs import PathLike, Vectors, recorded_dataset, table_of
from placevec.datasets.dataset import Dataset
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
    dataset: Dataset | PathLike | None = None,
    out: PathLike | None = None,
    progress: Progress = SILENT,
) -> Clusters:
    """Group places by their vectors; see `placevec.embeddings.clustering.cluster` for the options.

    ``view`` names whose vectors, where the table holds several (``fused`` by default).
    Where the dataset is given, or still lies where the table says, clusters are named by what they hold too: the map
    layers that cover more there than elsewhere. With ``out`` they are also written there: Parquet, CSV or GeoJSON, which
    `explore` takes to color by.
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
    ground = recorded_dataset(table, dataset)
    if ground is not None:
        from placevec.explorer.coloring import content_of
        from placevec.explorer.maps.scene import has_map, layer_shares

        shares = layer_shares(ground, table.place_id) if has_map(ground) else None
        found = found if shares is None else found.holding(*content_of(*shares))
    if out is not None:
        found.save(out)
    return found
