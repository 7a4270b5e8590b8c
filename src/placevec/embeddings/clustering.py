"""Groups of similar places: k-means and HDBSCAN over a table of vectors, with a representative place per cluster.

The algorithms are scikit-learn's. This module chooses how vectors are compared, how many clusters there are if the user
does not say, which place represents each one, and how they are numbered.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from placevec.embeddings.cluster_contents import what_they_hold
from placevec.errors import InputError, UsageError
from placevec.geo.geojson import write_geojson
from placevec.geo.geoparquet import write_geoparquet
from placevec.io import atomic
from placevec.io.progress import SILENT, Advance, Progress, no_advance
from placevec.options.choices import ClusterMethod as Method
from placevec.options.choices import Scaling

if TYPE_CHECKING:
    import pandas as pd

    from placevec.embeddings import Embeddings

Labels = NDArray[np.int64]

NOISE = -1
"""Label of places in no cluster; only HDBSCAN leaves places out."""
MIN_CLUSTERS, MAX_CLUSTERS = 2, 20
"""Numbers of clusters that are tried by default."""
STRONG = 0.5
"""Minimum silhouette of a clear grouping (Kaufman & Rousseeuw 1990: "reasonable structure")."""
USEFUL = range(6, 13)
"""Range for the number of clusters if there is no clear grouping: informative, and few enough to compare."""
_EACH = 5
"""Minimum average number of places per cluster in this range."""
SILHOUETTE_SAMPLE = 2_000
"""Maximum places used to choose the number of clusters and to compute the silhouette."""
DENSE = 20_000
"""Maximum places that HDBSCAN sees all of: its time grows with the square of their number."""
DENSE_DIMENSIONS = 32
"""Principal components used by HDBSCAN: with more, distances are too similar for density to show."""
_STARTS = 4
FORMATS = (".parquet", ".geoparquet", ".csv", ".geojson")


@dataclass(frozen=True)
class Clusters:
    """A cluster for every place.

    Attributes:
        emb: the places.
        label: (N,) cluster of each place: 0 is the largest, `NOISE` means none.
        medoid: (K,) row of the place in the middle of each cluster: the one with the smallest mean squared distance to
            the others.
        method: ``kmeans`` or ``hdbscan``.
        vectors: how vectors were scaled: ``unit``, ``standardized`` or ``raw``.
        seed: random seed.
        silhouette: mean silhouette (Rousseeuw 1987) of at most `SILHOUETTE_SAMPLE` places, -1..1; NaN with fewer than
            two clusters.
        tried: silhouette by number of clusters if the number was chosen by it; otherwise empty.
        notes: remarks for the user, one per line.
        holds: (K,) texts: what is more frequent in each cluster than elsewhere, if it was computed; otherwise empty.
    """

    emb: Embeddings
    label: Labels
    medoid: NDArray[np.int64]
    method: Method
    vectors: Scaling
    seed: int
    silhouette: float
    tried: dict[int, float]
    notes: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.medoid)

    def __repr__(self) -> str:
        return f"Clusters({len(self)} of {len(self.label)} places, {self.method}, noise={self.noise})"

    @property
    def noise(self) -> int:
        """Number of places in no cluster."""
        return int((self.label == NOISE).sum())

    @property
    def names(self) -> list[str]:
        """(K,) distinct names: the label of each medoid (raw, untrusted OSM text) and what the cluster contains."""
        from placevec.embeddings.labels import labels

        middles = labels(self.emb, self.medoid).tolist()
        holds = self.holds or ("",) * len(self)
        return [f"{middle}: {held}" if held else middle for middle, held in zip(middles, holds, strict=True)]

    def holding(self, kinds: Sequence[str], shares: NDArray[Any]) -> Clusters:
        """The same clusters with `holds` computed; see `what_they_hold`."""
        return replace(self, holds=what_they_hold(self.label, kinds, shares))

    def summary(self) -> pd.DataFrame:
        """One row per cluster, largest first: cluster, places, share, name, medoid (its place_id), lon, lat.

        ``name`` is distinct: the name of the medoid, and what the cluster contains.
        """
        import pandas as pd

        places = np.bincount(self.label[self.label >= 0], minlength=len(self))
        return pd.DataFrame({
            "cluster": np.arange(len(self)),
            "places": places,
            "share": places / max(len(self.label), 1),
            "name": self.names,
            "medoid": self.emb.place_id[self.medoid],
            "lon": self.emb.lonlat[self.medoid, 0],
            "lat": self.emb.lonlat[self.medoid, 1],
        })  # fmt: skip

    def columns(self) -> pd.DataFrame:
        """place_id, cluster and cluster_name, one row per place: the columns that `placevec.explore` colors by."""
        import pandas as pd

        return pd.DataFrame({
            "place_id": self.emb.place_id, "cluster": self.label, "cluster_name": self._name_of_each(),
        })  # fmt: skip

    def _name_of_each(self) -> list[str | None]:
        """(N,) the name of each place's cluster, None for places in no cluster."""
        names = self.names
        return [None if one == NOISE else names[one] for one in self.label.tolist()]

    def save(self, path: str | PathLike[str]) -> None:
        """Write place_id, name, lon, lat, cluster and cluster_name as GeoParquet, CSV or GeoJSON, by file extension.

        Raises:
            InputError: unsupported extension.
        """
        emb, kind, named = self.emb, check_format(path), self._name_of_each()
        if kind == ".csv":
            texts = [["" if text is None else text for text in column] for column in (emb.names, named)]
            rows = zip(
                emb.place_id.tolist(),
                texts[0],
                *emb.lonlat.T.tolist(),
                self.label.tolist(),
                texts[1],
                strict=True,
            )
            known = (tuple("" if cell != cell else cell for cell in row) for row in rows)
            atomic.write_csv(path, ["place_id", "name", "lon", "lat", "cluster", "cluster_name"], known)
        elif kind == ".geojson":
            properties = (
                {"place_id": place, "name": name, "cluster": cluster, "cluster_name": of}
                for place, name, cluster, of in zip(
                    emb.place_id, emb.names, self.label.tolist(), named, strict=True
                )
            )
            write_geojson(path, emb.lonlat, properties, self._described())
        else:
            columns = {
                "place_id": pa.array(list(emb.place_id), pa.string()),
                "name": pa.array(list(emb.names), pa.string()),
                "lon": pa.array(emb.lonlat[:, 0], pa.float64()),
                "lat": pa.array(emb.lonlat[:, 1], pa.float64()),
                "cluster": pa.array(self.label, pa.int64()),
                "cluster_name": pa.array(named, pa.string()),
            }
            write_geoparquet(path, columns, emb.geometry, metadata={"placevec_clusters": self._described()})

    def _described(self) -> dict[str, Any]:
        """Metadata of a file of clusters."""
        origin = self.emb.provenance
        return {
            "attribution": origin.attribution, "model_hash": origin.model_hash, "dataset_hash": origin.dataset_hash,
            "method": self.method, "vectors": self.vectors, "seed": self.seed, "clusters": len(self),
            "silhouette": None if self.silhouette != self.silhouette else self.silhouette,
        }  # fmt: skip


def check_format(path: str | PathLike[str]) -> str:
    """The extension of a file of clusters; InputError if it is not supported.

    >>> check_format("kinds.parquet")
    '.parquet'
    """
    kind = Path(path).suffix.lower()
    if kind not in FORMATS:
        raise UsageError(
            f"unsupported format {Path(path).name}: clusters are written as {', '.join(FORMATS)}"
        )
    return kind


def cluster(
    emb: Embeddings,
    *,
    method: Method = "kmeans",
    clusters: int | None = None,
    smallest: int | None = None,
    vectors: Scaling = "unit",
    seed: int = 0,
    progress: Progress = SILENT,
) -> Clusters:
    """Group places by their vectors.

    Args:
        emb: the places.
        method: ``kmeans`` assigns every place to one of K clusters; ``hdbscan`` finds any number of dense regions and
            labels the rest as noise.
        clusters: K of k-means. Default: the best of 2 to 20 by silhouette on a seeded sample, if the places form clear
            groups (`STRONG`); otherwise the best of `USEFUL`.
        smallest: minimum places of an HDBSCAN cluster. Default: a hundredth of all places, at least 5.
        vectors: ``unit`` compares directions, as search does; ``standardized`` scales every dimension to mean 0 and
            standard deviation 1; ``raw`` does not scale.
        seed: the same seed gives the same clusters.
        progress: receives progress reports.

    HDBSCAN uses the leading `DENSE_DIMENSIONS` principal components and at most `DENSE` places, a seeded sample. Other
    places get the cluster of the nearest sampled place; the notes of the result say so.

    Sources: Lloyd 1982 with k-means++ starts (Arthur & Vassilvitskii 2007); Campello, Moulavi & Sander 2013,
    doi:10.1007/978-3-642-37456-2_14.

    Raises:
        InputError: fewer than two places, an unknown method or scaling, or options that cannot be combined.

    >>> from placevec.embeddings import Embeddings, Provenance
    >>> none, vectors = np.array([None] * 6, object), [[1, 0], [1, 0.1], [1, 0.2], [0, 1], [0.1, 1], [0.2, 1]]
    >>> lonlat = [[24.9 + 0.01 * row, 60.2] for row in range(6)]
    >>> emb = Embeddings(list("abcdef"), vectors, lonlat, none, none, "map", Provenance("m", "d"))
    >>> found = cluster(emb, clusters=2)
    >>> found.label.tolist(), found.summary()[["cluster", "places", "medoid"]].values.tolist()
    ([0, 0, 0, 1, 1, 1], [[0, 3, 'b'], [1, 3, 'e']])
    """
    _check(emb, method, clusters, smallest, vectors)
    points = scaled(emb.vectors, vectors)
    tried: dict[int, float] = {}
    notes: list[str] = []
    with _one_thread():
        if method == "kmeans":
            if clusters is None:
                tried = silhouettes_by_count(points, seed=seed, progress=progress)
                clusters = best_count(tried, len(points)) if tried else 1
                if tried and clusters != (largest := max(tried, key=lambda count: tried[count])):
                    notes.append(
                        f"no number of clusters stands out (the largest silhouette is {tried[largest]:.2f}, for "
                        f"{largest} clusters), so the best number from {USEFUL[0]} to {USEFUL[-1]} is used: {clusters}"
                    )
            with progress.task("Clustering", total=1) as advance:
                label = _k_means(points, clusters, seed)
                advance()
        else:
            label = _hdbscan(points, smallest or max(5, len(points) // 100), seed, notes, progress)
        label = _by_size(label)
        return Clusters(
            emb, label, medoids(points, label), method, vectors, seed, silhouette(points, label, seed=seed), tried,
            tuple(notes),
        )  # fmt: skip


def _check(emb: Embeddings, method: str, clusters: int | None, smallest: int | None, vectors: str) -> None:
    if method not in get_args(Method) or vectors not in get_args(Scaling):
        raise UsageError(
            f"method must be {' or '.join(get_args(Method))}, and vectors one of {', '.join(get_args(Scaling))}; "
            f"got {method!r}, {vectors!r}"
        )
    if len(emb) < 2:
        raise InputError(f"clustering needs at least two places; the table has {len(emb)}")
    if (method == "kmeans" and smallest is not None) or (method == "hdbscan" and clusters is not None):
        raise UsageError("--clusters applies to kmeans, --smallest to hdbscan")
    if clusters is not None and not 1 <= clusters <= len(emb):
        raise InputError(
            f"the number of clusters must be 1 to {len(emb)}, the number of places; got {clusters}"
        )
    if smallest is not None and not 2 <= smallest <= len(emb):
        raise InputError(f"the smallest cluster must have 2 to {len(emb)} places; got {smallest}")


def scaled(vectors: NDArray[Any], how: Scaling) -> NDArray[np.float32]:
    """(N, D) float32, scaled for Euclidean distance; zero vectors stay zero.

    >>> scaled(np.array([[3.0, 4.0], [0.0, 0.0]]), "unit").round(3).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    points = np.asarray(vectors, np.float64)
    if how == "unit":
        length = np.linalg.norm(points, axis=1, keepdims=True)
        points = points / np.where(length > 0, length, 1.0)
    elif how == "standardized":
        spread = points.std(axis=0)
        points = (points - points.mean(axis=0)) / np.where(spread > 1e-12, spread, 1.0)
    return np.asarray(points, np.float32)


def silhouettes_by_count(
    points: NDArray[np.float32], *, seed: int, progress: Progress = SILENT
) -> dict[int, float]:
    """Mean silhouette of k-means by number of clusters, `MIN_CLUSTERS` to `MAX_CLUSTERS`, on at most
    `SILHOUETTE_SAMPLE` places.

    Empty if there are too few distinct places to choose.
    """
    rows = _sample(len(points), seed)
    most = min(MAX_CLUSTERS, len(np.unique(points[rows], axis=0)) - 1)
    found: dict[int, float] = {}
    with progress.task("Choosing the number of clusters", total=max(most - MIN_CLUSTERS + 1, 0)) as advance:
        for count in range(MIN_CLUSTERS, most + 1):
            found[count] = silhouette(points[rows], _k_means(points[rows], count, seed), seed=seed)
            advance(1, f"{count} clusters: silhouette {found[count]:.3f}")
        if found:
            best = best_count(found, len(points))
            advance(0, f"chosen: {best} clusters, silhouette {found[best]:.3f}")
    return found


def best_count(tried: dict[int, float], places: int) -> int:
    """Choose the number of clusters from the silhouette of each.

    The one with the largest silhouette wins if that is `STRONG`. Places in a city rarely form such clear groups: two
    clusters then have the largest silhouette but say little. In that case the best number in `USEFUL` wins, as far as
    there are enough places. Ties go to the smallest number.

    >>> best_count({2: 0.34, 3: 0.35, 6: 0.24, 7: 0.25, 8: 0.22}, 500)
    7
    >>> best_count({2: 0.34, 3: 0.71, 6: 0.24, 7: 0.25, 8: 0.22}, 500)
    3
    """
    best = max(tried, key=lambda count: tried[count])
    useful = [count for count in tried if count in USEFUL and count * _EACH <= places]
    if tried[best] >= STRONG or not useful:
        return best
    return max(useful, key=lambda count: tried[count])


def silhouette(points: NDArray[np.float32], label: Labels, *, seed: int) -> float:
    """Mean silhouette of at most `SILHOUETTE_SAMPLE` places that are in a cluster; NaN with fewer than two clusters.

    >>> points = np.array([[0, 0], [0, 1], [9, 0], [9, 1]], np.float32)
    >>> round(silhouette(points, np.array([0, 0, 1, 1]), seed=0), 2)
    0.89
    """
    from placevec.metrics import silhouette as measured

    clustered = np.flatnonzero(label != NOISE)
    rows = clustered[_sample(len(clustered), seed)]
    if not 2 <= len(np.unique(label[rows])) < len(rows):
        return float("nan")
    return measured(points[rows], label[rows], metric="euclidean")


def _sample(total: int, seed: int, most: int = SILHOUETTE_SAMPLE) -> NDArray[np.int64]:
    """At most ``most`` rows, ascending."""
    if total <= most:
        return np.arange(total)
    return np.sort(np.random.default_rng([seed, 0xC1]).choice(total, most, replace=False))


def _k_means(points: NDArray[np.float32], count: int, seed: int) -> Labels:
    from sklearn.cluster import KMeans

    fitted = KMeans(count, n_init=_STARTS, random_state=seed).fit(points)
    return np.asarray(fitted.labels_, np.int64)


def _hdbscan(
    points: NDArray[np.float32], smallest: int, seed: int, notes: list[str], progress: Progress
) -> Labels:
    from sklearn.cluster import HDBSCAN
    from sklearn.decomposition import PCA

    rows = _sample(len(points), seed, DENSE)
    if points.shape[1] > DENSE_DIMENSIONS and len(rows) > DENSE_DIMENSIONS:
        turned = PCA(DENSE_DIMENSIONS, svd_solver="covariance_eigh").fit(points)
        kept = float(turned.explained_variance_ratio_.sum())
        notes.append(f"in {DENSE_DIMENSIONS} principal components, which explain {kept:.0%} of the variance")
        points = np.asarray(turned.transform(points), np.float32)
    smallest = max(2, round(smallest * len(rows) / len(points)))
    with progress.task("Clustering", total=len(points)) as advance:
        found = HDBSCAN(min_cluster_size=smallest, copy=True).fit(points[rows])
        advance(len(rows))
        label = np.empty(len(points), np.int64)
        label[rows] = found.labels_
        if len(rows) < len(points):
            _spread(points, rows, label, advance)
            notes.append(
                f"found on {len(rows):,} places drawn at random; each other place gets the cluster of its nearest "
                f"place in the sample"
            )
    return label


def _spread(
    points: NDArray[np.float32], rows: NDArray[np.int64], label: Labels, advance: Advance = no_advance
) -> None:
    """Assign every other place to the cluster of the nearest sampled one."""
    from sklearn.neighbors import NearestNeighbors

    nearest = NearestNeighbors(n_neighbors=1).fit(points[rows])
    others = np.setdiff1d(np.arange(len(points)), rows)
    for part in np.array_split(others, -(-len(others) // 4_096)):
        label[part] = label[rows[nearest.kneighbors(points[part], return_distance=False)[:, 0]]]
        advance(len(part))


def _by_size(label: Labels) -> Labels:
    """The same clusters numbered from the largest to the smallest; ties by order of appearance in the table."""
    names, first, counts = np.unique(label, return_index=True, return_counts=True)
    kept = names != NOISE
    order = np.lexsort((first[kept], -counts[kept]))
    renumbered = {int(names[kept][old]): new for new, old in enumerate(order)} | {NOISE: NOISE}
    return np.array([renumbered[one] for one in label.tolist()], np.int64)


def medoids(points: NDArray[np.float32], label: Labels) -> NDArray[np.int64]:
    """(K,) rows: the place nearest to a cluster's mean has the smallest mean squared distance to the cluster.

    Args:
        points: (N, D), as `scaled` returns them.
        label: (N,) clusters, below 0 for none; K of them occur, in ascending order.

    >>> medoids(np.array([[0.0], [1.0], [5.0], [2.0]], np.float32), np.array([0, 0, 7, 0])).tolist()
    [1, 2]
    """
    found = []
    for number in np.unique(label[label > NOISE]):
        rows = np.flatnonzero(label == number)
        inside = points[rows].astype(np.float64)
        found.append(rows[np.square(inside - inside.mean(axis=0)).sum(axis=1).argmin()])
    return np.array(found, np.int64)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums in a fixed order, so that the same seed gives the same clusters on any number of cores."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield
