"""Shared by page, map and plots: the places to draw and their properties, each computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from placevec.embeddings.search.spacing import ABOUT, footprint_m
from placevec.errors import InputError
from placevec.explorer.coloring import (
    CLUSTER,
    CLUSTER_NAME,
    Coloring,
    by_rgb,
    cluster_numbers,
    content_of,
    join_of,
    of_blocks,
    of_clusters,
    of_columns,
    of_layers,
)
from placevec.explorer.maps.scene import Scene, draw_scene, has_map, layer_shares
from placevec.explorer.precomputed import cached_projection, sampled_rows
from placevec.explorer.reductions import Method, Reduction, reduce_vectors, rgb_of
from placevec.explorer.words import WordQuery
from placevec.geo import Floats
from placevec.io.progress import SILENT, Progress

if TYPE_CHECKING:
    import pandas as pd

    from placevec.datasets.dataset import Dataset
    from placevec.embeddings import Embeddings
    from placevec.embeddings.clustering import Clusters

ATTRIBUTION = "© OpenStreetMap contributors, ODbL"
"""Attribution used if neither the embeddings nor the dataset have their own."""


@dataclass
class Drawn:
    """The places to draw: all places of a table, or a random sample.

    Attributes:
        emb: all places and their vectors.
        rows: (N,) rows of the places to draw, ascending.
        dataset: source of map and layers, or None.
        table: the user's columns to color by, or None.
        clusters: number of clusters if the columns contain none; None chooses it by silhouette.
        window_m: side in meters of the square that the model reads around a place; None shows the places themselves.
        seed: random seed of the sample, of t-SNE and UMAP, and of clustering.
        progress: progress reporting.
        queries: queries in words, in the space of the vectors.
    """

    emb: Embeddings
    rows: NDArray[np.int64]
    dataset: Dataset | None = None
    table: pd.DataFrame | None = None
    clusters: int | None = None
    window_m: float | None = None
    seed: int = 0
    progress: Progress = SILENT
    queries: Sequence[WordQuery] = ()
    _reduced: dict[tuple[Method, int], Reduction] = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls,
        emb: Embeddings,
        *,
        dataset: Dataset | None = None,
        columns: pd.DataFrame | None = None,
        clusters: int | None = None,
        window_m: float | None = None,
        max_places: int = 20_000,
        seed: int = 0,
        progress: Progress = SILENT,
    ) -> Drawn:
        """Choose the places; InputError if there are none or the columns do not match."""
        rows = sampled_rows(len(emb.place_id), max_places, seed)
        if clusters is not None and not 1 <= clusters <= len(rows):
            raise InputError(
                f"the number of clusters of {len(rows)} places must be 1 to {len(rows)}; got {clusters}"
            )
        drawn = cls(emb, rows, dataset, columns, clusters, window_m, seed, progress)
        _ = drawn.columns  # fails before any work if they do not match
        if columns is not None and "place_id" in columns.columns:
            for note in (join_of(columns, emb.place_id).note(), *columns.attrs.get("notes", ())):
                if note:
                    progress.say(f"Note: {note}")
        return drawn

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def total(self) -> int:
        """Number of places in the table."""
        return len(self.emb.place_id)

    @property
    def place_id(self) -> NDArray[Any]:
        """(N,) ids of the drawn places."""
        return self.emb.place_id[self.rows]

    @property
    def names(self) -> NDArray[Any]:
        """(N,) raw, untrusted text or None."""
        return self.emb.names[self.rows]

    @property
    def vectors(self) -> NDArray[np.float32]:
        """(N, D) vectors of the drawn places."""
        return self.emb.vectors[self.rows]

    @property
    def lonlat(self) -> Floats:
        """(N, 2) lon, lat degrees; NaN without coordinates."""
        return np.asarray(self.emb.lonlat, np.float64)[self.rows]

    def in_words(self, query: WordQuery) -> dict[str, Any]:
        """JSON of a query in words about the drawn places."""
        return query.content(self.vectors, self.lonlat, self.apart_m)

    @property
    def attribution(self) -> str:
        """The attribution for everything made from these places."""
        ground = ATTRIBUTION if self.dataset is None else self.dataset.attribution or "Attribution: not given"
        return self.emb.provenance.attribution or ground

    @property
    def title(self) -> str:
        """The default title."""
        return self.dataset.name if self.dataset is not None else "Places"

    @property
    def extent(self) -> str:
        """The number of drawn places and of all places, as text."""
        if len(self) == self.total:
            return f"{self.total:,} place{'s' if self.total != 1 else ''}"
        return f"{len(self):,} of {self.total:,} places, sampled with seed {self.seed}"

    @cached_property
    def scene(self) -> Scene | None:
        """The map around the places; None without a map."""
        if self.dataset is None or not has_map(self.dataset):
            return None
        return draw_scene(self.dataset, self.place_id, self.window_m, self.progress)

    @cached_property
    def shares(self) -> tuple[tuple[str, ...], NDArray[np.float32]] | None:
        """(layers, (N, C) share of what the model reads around a place that each covers); None without layers."""
        if self.dataset is None or not has_map(self.dataset):
            return None
        return layer_shares(self.dataset, self.place_id, self.window_m)

    def shapes(self, mercator: Floats, origin: Floats) -> tuple[dict[str, Any] | None, str]:
        """Outlines of places that are areas, and why there are none, see `placevec.explorer.maps.shapes`."""
        from placevec.explorer.maps.shapes import shapes_content

        if self.emb.are_points:
            return None, ""
        # beside a map, boxes are what the model reads around each place, which the page outlines itself
        content, note = shapes_content(
            self.emb.geometry_at(self.rows), mercator, origin, boxes=self.scene is None
        )
        if note:
            self.progress.say(f"Note: {note}")
        return content, note

    @property
    def apart_m(self) -> float:
        """Minimum distance in meters between similar places that are listed: nearer ones show much the same ground."""
        return ABOUT * (self.window_m or footprint_m(self.emb) or 0.0)

    @cached_property
    def columns(self) -> list[Coloring]:
        """The user's columns."""
        if self.table is None:
            return []
        named = CLUSTER in self.table.columns and CLUSTER_NAME in self.table.columns
        table = self.table.drop(columns=CLUSTER_NAME) if named else self.table  # the names of the clusters
        return of_columns(table, self.emb.place_id, self.rows)

    @cached_property
    def known(self) -> list[Coloring]:
        """By dominant layer, content density and spatial block, if available; then the user's columns."""
        blocks = of_blocks(self.lonlat)
        return [
            *(of_layers(*self.shares) if self.shares else []),
            *([blocks] if blocks else []),
            *self.columns,
        ]

    @cached_property
    def _given(self) -> NDArray[np.int64] | None:
        """(N,) clusters of the user's column; None if there is none."""
        if self.table is None or CLUSTER not in self.table.columns:
            return None
        return cluster_numbers(_column(self.table, CLUSTER, self.emb.place_id, self.rows))

    @cached_property
    def _found(self) -> Clusters | None:
        """The places in groups by k-means, with what the groups hold; None for a single place."""
        from placevec.embeddings.clustering import cluster

        if len(self) < 2:
            return None
        made = cluster(self.emb[self.rows], clusters=self.clusters, seed=self.seed, progress=self.progress)
        return made.holding(*content_of(*self.shares)) if self.shares else made

    @property
    def label(self) -> tuple[NDArray[np.int64], str]:
        """(N,) cluster of each place (the user's column, else k-means), and a description of how it was found."""
        if self._given is not None:
            return self._given, "the column cluster"
        if self._found is None:
            return np.zeros(len(self), np.int64), "one place"
        chosen = ", number chosen by silhouette" if self._found.tried else ""
        return self._found.label, f"k-means, {len(self._found)} clusters{chosen}"

    @cached_property
    def medoid(self) -> NDArray[np.int64]:
        """(K,) positions among the drawn places of the one in the middle of each cluster that occurs, ascending."""
        from placevec.embeddings.clustering import medoids, scaled

        if self._given is None and self._found is not None:
            return self._found.medoid
        return medoids(scaled(self.vectors, "unit"), self.label[0])

    @cached_property
    def by_cluster(self) -> Coloring:
        """By cluster, each named by its middle place and by what its places have more of than others, where known."""
        label, how = self.label
        if self._given is not None:
            return of_clusters(label, names=self._given_names)
        named = " and by what covers more area there than elsewhere" if self.shares else ""
        note = f"Found by {how}. Named by the place in the middle{named}."
        return of_clusters(label, note=note, names=() if self._found is None else self._found.names)

    @property
    def _given_names(self) -> list[str]:
        """Name of each of the user's clusters by number, where the table has a column of names."""
        assert self.table is not None
        assert self._given is not None
        if CLUSTER_NAME not in self.table.columns:
            return []
        named = _column(self.table, CLUSTER_NAME, self.emb.place_id, self.rows).to_numpy(object)
        first = dict(zip(self._given.tolist(), named, strict=True))
        return [str(first[one]) if isinstance(first.get(one), str) else "" for one in range(max(first) + 1)]

    def reduction(self, method: Method, dim: int) -> Reduction:
        """The vectors in 2 or 3 dimensions."""
        key = (method, dim)
        if key not in self._reduced:
            self._reduced[key] = self.precomputed(method, dim) or reduce_vectors(
                self.vectors, method, dim=dim, seed=self.seed, progress=self.progress
            )
        return self._reduced[key]

    def on_page(self, method: Method) -> Reduction:
        """The vectors as a page shows them: PCA in three dimensions, others in two, or in three if those are there."""
        if method == "pca":
            return self.reduction(method, 3)
        if self.precomputed(method, 2) is None and self.precomputed(method, 3) is not None:
            return self.reduction(method, 3)
        return self.reduction(method, 2)

    def precomputed(self, method: Method, dim: int) -> Reduction | None:
        """The projection that is kept beside the table; None if there is none."""
        kept = cached_projection(self.emb, method, dim=dim, seed=self.seed, max_places=len(self))
        return None if kept is None else kept.reduction

    def by_components(self, method: Method) -> Coloring:
        """By three components as red, green and blue."""
        found = self.reduction(method, 3)
        note = f"Places with similar colors have similar vectors: {found.note}."
        return by_rgb("rgb", f"{found.name} as red, green, blue", rgb_of(found.components), found.axes, note)


def _column(
    table: pd.DataFrame, name: str, place_id: NDArray[Any], rows: NDArray[np.int64]
) -> pd.Series[Any]:
    """A column of the user's table for (N,) rows of the places."""
    if "place_id" not in table.columns:
        return table[name].iloc[rows]
    keyed = table.assign(place_id=table["place_id"].astype(str)).drop_duplicates("place_id")
    return keyed.set_index("place_id")[name].reindex([str(one) for one in place_id[rows]])
