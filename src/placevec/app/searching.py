"""Queries of the app and their results; every kind of query ends in `placevec.similar` or a vector."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from placevec.api.searching import similar
from placevec.app.project import Project
from placevec.embeddings.search.exact import distances
from placevec.embeddings.search.stored import open_index
from placevec.errors import PlacevecError
from placevec.geo import distance_m
from placevec.geo.geojson import write_geojson
from placevec.io import atomic
from placevec.io.progress import SILENT, Progress
from placevec.options.choices import Backend, Metric

if TYPE_CHECKING:
    import geopandas as gpd

METRICS: dict[Metric, str] = {
    "angular": "Angular: the angle between vectors",
    "euclidean": "Euclidean: length of their difference",
    "manhattan": "Manhattan: sum of absolute differences",
    "dot": "Dot product: angle and length",
}
"""Metric -> its description, in the order of the choice."""
BACKENDS: dict[Backend, str] = {
    "exact": "Exact: compares all vectors",
    "hnsw": "HNSW (faiss): a graph",
    "ivf": "IVF (faiss): lists of nearby vectors",
    "annoy": "Annoy: random trees",
}
"""Kind of index -> its description, in the order of the choice."""


@dataclass(frozen=True)
class Query:
    """What is searched for.

    Attributes:
        options: the keywords of `placevec.similar` that name it: place, lon and lat, tile, name, entity or text.
        vector: (D,) instead of them, for an image.
        label: the query in a few words, untrusted text.
        remark: a note for the user.
    """

    options: Mapping[str, Any]
    vector: NDArray[np.float32] | None = None
    label: str = ""
    remark: str = ""


def random_place(project: Project, seed: int | None = None) -> str:
    """ID of a random place."""
    return str(np.random.default_rng(seed).choice(project.table.place_id))


def find(
    project: Project,
    query: Query,
    *,
    k: int,
    metric: Metric = "angular",
    apart: bool = True,
    backend: Backend = "exact",
    trees: int = 100,
    quality: int | None = None,
    progress: Progress = SILENT,
) -> gpd.GeoDataFrame:
    """The places most similar to a query; see `placevec.similar` for the columns and ``attrs``.

    Args:
        project: what is searched.
        query: what is asked.
        k: number of results.
        metric: one of `METRICS`.
        apart: leave out places that show much the same ground as the query or a better result.
        backend: kind of index, which is kept beside the table; ``trees`` of Annoy, ``quality`` of any but exact.
        trees: number of trees; more find more and take longer to build.
        quality: candidates that an index examines; more find more and take longer.
        progress: receives progress reports of an index that is built.

    Raises:
        PlacevecError: an unknown place, a point far outside, words or images that the model does not read.
    """
    options: dict[str, Any] = {"k": k, "metric": metric, "quality": quality}
    if not apart:
        options["min_distance_m"] = 0.0
    searched = project.compared if query.vector is not None or "text" in query.options else project.table
    with project.searching:  # one browser builds an index, others wait for it
        index = open_index(searched, backend, metric, trees=trees, progress=progress)
    if query.vector is not None:
        from placevec.embeddings.search.query import similar as search

        found = search(searched, vector=query.vector, index=index, **options)
    else:
        embeds = not {"lon", "text"}.isdisjoint(
            query.options
        )  # a place has its vector: its search needs no model
        if not embeds and apart:
            options["min_distance_m"] = project.drawn.apart_m or None
        found = similar(
            searched, backend=backend, trees=trees, model=project.model if embeds else None, dataset=project.dataset,
            **query.options, **options,
        )  # fmt: skip
    if query.remark:
        found.attrs["notes"] = [query.remark, *found.attrs["notes"]]
    return found


def prepare(project: Project, progress: Progress = SILENT) -> None:
    """Do ahead what the first search would do: among a million places it takes seconds.

    That is the exact index, the order of the places on the ground and the row of each ID. They stay with the project.
    """
    if not len(project.table):
        return
    with progress.task("Preparing search", total=2) as advance:
        _ = project.row_of
        advance()
        with contextlib.suppress(PlacevecError):  # it is reported where a user searches
            find(project, Query({"place": str(project.table.place_id[0])}), k=1)
        advance()


def row_asked(project: Project, found: gpd.GeoDataFrame) -> int | None:
    """The row of the place that was asked for; None for words, images and points that are no place."""
    place = found.attrs["query"].get("place_id")
    return None if place is None else project.row_of.get(str(place))


def compared(project: Project, one: int, other: int) -> dict[str, float]:
    """Two places beside each other: their distance in every metric, and on the ground in meters (NaN if unknown)."""
    a, b = project.table.vectors[one], project.table.vectors[other : other + 1]
    cosine = 1.0 - float(distances(a, b, "cosine")[0])
    (lon, lat), (lon_b, lat_b) = project.table.lonlat[one], project.table.lonlat[other]
    known = np.isfinite([lon, lat, lon_b, lat_b]).all()
    return {
        "cosine similarity": cosine,
        "angle, degrees": float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))),
        "Euclidean distance": float(distances(a, b, "euclidean")[0]),
        "Manhattan distance": float(distances(a, b, "manhattan")[0]),
        "dot product": -float(distances(a, b, "dot")[0]),
        "distance, m": float(distance_m(lon, lat, lon_b, lat_b)) if known else float("nan"),
    }


EXPORTS = ("csv", "geojson", "parquet")


def exported(found: gpd.GeoDataFrame, kind: str, attribution: str) -> bytes:
    """Results as the bytes of a CSV, GeoJSON or GeoParquet file, without the vectors."""
    columns = [name for name in found.columns if name != "geometry"]
    with tempfile.TemporaryDirectory(prefix="placevec-") as folder:
        path = Path(folder) / f"results.{kind}"
        if kind == "csv":
            rows = found[columns].astype(object).where(found[columns].notna(), None)
            atomic.write_csv(path, columns, rows.itertuples(index=False))
        elif kind == "geojson":
            records = found[columns].astype(object).where(found[columns].notna(), None).to_dict("records")
            lonlat = found[["lon", "lat"]].to_numpy(np.float64)
            write_geojson(path, lonlat, records, {"attribution": attribution})
        else:
            buffer = io.BytesIO()
            found.to_parquet(buffer)
            return buffer.getvalue()
        return path.read_bytes()
