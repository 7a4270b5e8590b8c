"""`cluster`: groups places by their vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from placevec.api.inputs import PathLike, Vectors, recorded_dataset, table_of, window_m
from placevec.io import atomic
from placevec.io.progress import SILENT, Progress
from placevec.options import Limits, checked_keywords
from placevec.options.choices import ClusterMethod, Scaling

if TYPE_CHECKING:
    from placevec.datasets.dataset import Dataset
    from placevec.embeddings.clustering import Clusters


@checked_keywords
def cluster(
    embeddings: Vectors,
    *,
    out: PathLike | None = None,
    view: str | None = None,
    method: ClusterMethod = "kmeans",
    clusters: Annotated[int, Limits(min=1)] | None = None,
    smallest: Annotated[int, Limits(min=2)] | None = None,
    vectors: Scaling = "unit",
    seed: Annotated[int, Limits(min=0)] = 0,
    dataset: Dataset | PathLike | None = None,
    progress: Progress = SILENT,
) -> Clusters:
    """Group places by their vectors; see `placevec.embeddings.clustering.cluster` for the method.

    If the dataset is given, or is still at its recorded path, clusters are also named after their contents: the map
    layers that cover more there than elsewhere. `explore` takes the written file for coloring.

    Args:
        embeddings: Table of vectors.
        out: File to write: .parquet, .csv or .geojson.
        view: View whose vectors are clustered if there are several (default: the fused vectors).
        method: Clustering method.
        clusters: Number of k-means clusters (default: the number with the best silhouette).
        smallest: Minimum number of places in an HDBSCAN cluster (default: a hundredth of all).
        vectors: Scaling of the vectors (unit: only the direction counts, as in search; standardized: every dimension
            counts equally).
        seed: Seed of k-means and of the sample.
        dataset: Dataset whose map layers name the clusters, if it has moved.
        progress: Receives progress reports.

    Raises:
        UsageError: an invalid value, or options that cannot be combined.
        InputError: fewer than two places, or fewer places than clusters.

    >>> import numpy as np
    >>> from placevec.embeddings import Embeddings, Provenance
    >>> none, lonlat = np.array([None] * 4, object), [[24.91, 60.2], [24.92, 60.2], [24.93, 60.2], [24.94, 60.2]]
    >>> vectors = [[1, 0], [0.9, 0.1], [0, 1], [0.1, 0.9]]
    >>> emb = Embeddings(list("abcd"), vectors, lonlat, none, none, "map", Provenance("m", "d"))
    >>> cluster(emb, clusters=2).summary()[["cluster", "places"]].values.tolist()
    [[0, 2], [1, 2]]
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
    source = recorded_dataset(table, dataset)
    if source is not None:
        from placevec.explorer.coloring import content_of
        from placevec.explorer.maps.scene import has_map, layer_shares

        shares = layer_shares(source, table.place_id, window_m(table)) if has_map(source) else None
        found = found if shares is None else found.holding(*content_of(*shares))
    if out is not None:
        found.save(out)
    return found
