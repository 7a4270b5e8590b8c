"""Which places are of a kind: k-means and HDBSCAN over a table of vectors, with a place to stand for each cluster.

The algorithms are scikit-learn's. Here are the choices around them: how vectors are compared, how many clusters
there are when nobody says, which place is the middle of each, and a numbering that means something.
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
"""The cluster of places that belong to none: HDBSCAN leaves some out."""
FEWEST, MOST = 2, 20
"""Numbers of clusters that are tried when none is asked for."""
STRONG = 0.5
"""Silhouette from which on the clusters are there to be found (Kaufman & Rousseeuw 1990: "reasonable structure")."""
USEFUL = range(6, 13)
"""Numbers of clusters to choose from where nothing is that clear: enough to say something, few enough to tell apart."""
_EACH = 5
"""Places that such a cluster has on average, at least."""
JUDGED = 2_000
"""Places on which the number of clusters is chosen, and the silhouette is measured."""
DENSE = 20_000
"""Places up to which HDBSCAN sees every one: its time grows with the square of their number."""
DENSE_DIMENSIONS = 32
"""Principal components that HDBSCAN works in: in more, distances are too much alike for it to see density."""
_STARTS = 4
FORMATS = (".parquet", ".geoparquet", ".csv", ".geojson")


@dataclass(frozen=True)
class Clusters:
    """A cluster for every place.

    Attributes:
        emb: the places.
        label: (N,) number of the cluster: 0 is the largest, `NOISE` is none.
        medoid: (K,) row of the place in the middle of each cluster: of all in it, the one with the least mean
            squared distance to the others.
        method: ``kmeans`` or ``hdbscan``.
        vectors: how vectors were compared: ``unit``, ``standardized`` or ``raw``.
        seed: of everything random.
        silhouette: mean silhouette (Rousseeuw 1987) of at most `JUDGED` places, -1..1; NaN with fewer than two
            clusters.
        tried: silhouette by number of clusters, where the number was chosen by it; else empty.
        notes: what else must be known, a line each.
        holds: (K,) texts: what is more frequent in each cluster than elsewhere, where that was looked up; else empty.
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
        """Places that belong to no cluster."""
        return int((self.label == NOISE).sum())

    @property
    def names(self) -> list[str]:
        """(K,) distinct: the label of each medoid (raw OSM text, and so hostile), and what the cluster holds."""
        from placevec.embeddings.labels import labels

        middles = labels(self.emb, self.medoid).tolist()
        holds = self.holds or ("",) * len(self)
        return [f"{middle}: {held}" if held else middle for middle, held in zip(middles, holds, strict=True)]

    def holding(self, kinds: Sequence[str], shares: NDArray[Any]) -> Clusters:
        """The same clusters with `holds` worked out; see `what_they_hold`."""
        return replace(self, holds=what_they_hold(self.label, kinds, shares))

    def summary(self) -> pd.DataFrame:
        """One row a cluster, the largest first: cluster, places, share, name, medoid (its place_id), lon, lat.

        ``name`` is distinct: that of the medoid, and what the cluster holds.
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
        """place_id, cluster and cluster_name, one row a place: what `placevec.explore` colors by."""
        import pandas as pd

        return pd.DataFrame({
            "place_id": self.emb.place_id, "cluster": self.label, "cluster_name": self._name_of_each(),
        })  # fmt: skip

    def _name_of_each(self) -> list[str | None]:
        """(N,) the name of each place's cluster, None for those in none."""
        names = self.names
        return [None if one == NOISE else names[one] for one in self.label.tolist()]

    def save(self, path: str | PathLike[str]) -> None:
        """Write place_id, name, lon, lat, cluster and cluster_name as GeoParquet, CSV or GeoJSON, by the name's ending.

        Raises:
            InputError: another ending.
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
        """What a file of clusters says of itself."""
        origin = self.emb.provenance
        return {
            "attribution": origin.attribution, "model_hash": origin.model_hash, "dataset_hash": origin.dataset_hash,
            "method": self.method, "vectors": self.vectors, "seed": self.seed, "clusters": len(self),
            "silhouette": None if self.silhouette != self.silhouette else self.silhouette,
        }  # fmt: skip


def check_format(path: str | PathLike[str]) -> str:
    """The ending of a file of clusters; InputError when it names no format that they are written in."""
    kind = Path(path).suffix.lower()
    if kind not in FORMATS:
        raise UsageError(f"clusters are written as {', '.join(FORMATS)}, not as {Path(path).name}")
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
        method: ``kmeans`` gives every place to one of K clusters; ``hdbscan`` finds dense regions, however many,
            and leaves the rest out as noise.
        clusters: K of k-means; by default chosen by silhouette on a seeded sample: of 2 to 20 the best, where the
            places do fall apart (`STRONG`), else the best of `USEFUL`.
        smallest: for HDBSCAN, places that make a cluster; by default a hundredth of all, 5 at least.
        vectors: ``unit``, by direction, as search compares; ``standardized``, every dimension of mean 0 and
            standard deviation 1; ``raw``, as they are.
        seed: the same seed gives the same clusters.
        progress: where to report.

    HDBSCAN works in the leading `DENSE_DIMENSIONS` principal components, and on at most `DENSE` places, a seeded
    sample, whose clusters the others then take from the nearest of them; the result's notes say so.

    Sources: Lloyd 1982 with k-means++ starts (Arthur & Vassilvitskii 2007); Campello, Moulavi & Sander 2013,
    doi:10.1007/978-3-642-37456-2_14.

    Raises:
        InputError: fewer than two places; an unknown method or scaling; options that do not go together.
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
                        f"no number of clusters stands out (silhouettes up to {tried[largest]:.2f}, of {largest}):"
                        f" {clusters} is the best of {USEFUL[0]} to {USEFUL[-1]}"
                    )
            with progress.task("Clustering", total=1) as advance:
                label = _k_means(points, clusters, seed)
                advance()
        else:
            label = _hdbscan(points, smallest or max(5, len(points) // 100), seed, notes, progress)
        label = _by_size(label)
        return Clusters(
            emb, label, _medoids(points, label), method, vectors, seed, silhouette(points, label, seed=seed), tried,
            tuple(notes),
        )  # fmt: skip


def _check(emb: Embeddings, method: str, clusters: int | None, smallest: int | None, vectors: str) -> None:
    if method not in get_args(Method) or vectors not in get_args(Scaling):
        raise UsageError(
            f"clusters are found by {' or '.join(get_args(Method))}, in vectors that are "
            f"{', '.join(get_args(Scaling))}; got {method!r}, {vectors!r}"
        )
    if len(emb) < 2:
        raise InputError(f"clusters need at least two places; there {'is 1' if len(emb) else 'is none'}")
    if (method == "kmeans" and smallest is not None) or (method == "hdbscan" and clusters is not None):
        raise UsageError("kmeans takes a number of clusters, hdbscan the size of the smallest")
    if clusters is not None and not 1 <= clusters <= len(emb):
        raise InputError(f"{len(emb)} places make 1 to {len(emb)} clusters, not {clusters}")
    if smallest is not None and not 2 <= smallest <= len(emb):
        raise InputError(f"the smallest cluster has 2 to {len(emb)} places, not {smallest}")


def scaled(vectors: NDArray[Any], how: Scaling) -> NDArray[np.float32]:
    """(N, D) float32, ready to be compared by Euclidean distance; directions without spread become zero.

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
    """Mean silhouette of k-means by number of clusters, `FEWEST` to `MOST`, on at most `JUDGED` places.

    Empty where there are too few different places to choose.
    """
    rows = _sample(len(points), seed)
    most = min(MOST, len(np.unique(points[rows], axis=0)) - 1)
    found: dict[int, float] = {}
    with progress.task("Choosing the number", total=max(most - FEWEST + 1, 0)) as advance:
        for count in range(FEWEST, most + 1):
            found[count] = silhouette(points[rows], _k_means(points[rows], count, seed), seed=seed)
            advance(1, f"{count} clusters: silhouette {found[count]:.3f}")
        if found:
            best = best_count(found, len(points))
            advance(0, f"chosen: {best} clusters, silhouette {found[best]:.3f}")
    return found


def best_count(tried: dict[int, float], places: int) -> int:
    """The number of clusters to take, from the silhouette of each.

    That with the largest silhouette where it is `STRONG`: there are so many. Places of a city mostly are not in groups
    so clear; then two clusters have the largest silhouette and say little, and the best of `USEFUL` is taken, as far as
    there are places for it. Of equal ones the smallest.

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
    """Mean silhouette of at most `JUDGED` places that are in a cluster; NaN with fewer than two clusters."""
    from placevec.metrics import silhouette as measured

    clustered = np.flatnonzero(label != NOISE)
    rows = clustered[_sample(len(clustered), seed)]
    if not 2 <= len(np.unique(label[rows])) < len(rows):
        return float("nan")
    return measured(points[rows], label[rows], metric="euclidean")


def _sample(total: int, seed: int, most: int = JUDGED) -> NDArray[np.int64]:
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
        notes.append(f"in {DENSE_DIMENSIONS} principal components, which hold {kept:.0%} of the variance")
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
                f"found on a seeded sample of {len(rows):,} places; the others take the cluster of the nearest of them"
            )
    return label


def _spread(
    points: NDArray[np.float32], rows: NDArray[np.int64], label: Labels, advance: Advance = no_advance
) -> None:
    """Give every other place the cluster of the nearest sampled one."""
    from sklearn.neighbors import NearestNeighbors

    nearest = NearestNeighbors(n_neighbors=1).fit(points[rows])
    others = np.setdiff1d(np.arange(len(points)), rows)
    for part in np.array_split(others, -(-len(others) // 4_096)):
        label[part] = label[rows[nearest.kneighbors(points[part], return_distance=False)[:, 0]]]
        advance(len(part))


def _by_size(label: Labels) -> Labels:
    """The same clusters numbered from the largest on; among equals, the one that comes first in the table."""
    names, first, counts = np.unique(label, return_index=True, return_counts=True)
    kept = names != NOISE
    order = np.lexsort((first[kept], -counts[kept]))
    renumbered = {int(names[kept][old]): new for new, old in enumerate(order)} | {NOISE: NOISE}
    return np.array([renumbered[one] for one in label.tolist()], np.int64)


def _medoids(points: NDArray[np.float32], label: Labels) -> NDArray[np.int64]:
    """(K,) rows: the mean squared distance to a cluster is least from whichever place is nearest to its mean."""
    found = []
    for number in range(label.max(initial=NOISE) + 1):
        rows = np.flatnonzero(label == number)
        inside = points[rows].astype(np.float64)
        found.append(rows[np.square(inside - inside.mean(axis=0)).sum(axis=1).argmin()])
    return np.array(found, np.int64)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums in one order, so that the same seed gives the same clusters on any number of cores."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield
