"""A map with a marker for every place, colored by its vector, and the same places as GeoJSON with all dimensions.

The two files that Loc2Vec's users know: ``embeddings_map.html`` and ``embeddings.geojson``. The page carries all it
shows; the GeoJSON is written place by place.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from placevec.explorer.pages.page import PageReport, compose
from placevec.explorer.reductions import Method, hex_of, rgb_of
from placevec.explorer.sample import Drawn
from placevec.geo.geojson import write_geojson
from placevec.io.progress import SILENT, Advance, Progress

if TYPE_CHECKING:
    import pandas as pd

    from placevec.datasets.dataset import Dataset
    from placevec.embeddings import Embeddings

PAGE, TABLE = "embeddings_map.html", "embeddings.geojson"


@dataclass(frozen=True)
class MapReport:
    """What was written.

    Attributes:
        page: the HTML page.
        geojson: the table; its size is ``geojson_bytes``.
        method: how colors were made: ``pca``, ``tsne`` or ``umap``.
        clusters: number of clusters, and how they were found in ``found_by``.
        dimensions: of every vector in the table.
    """

    page: PageReport
    geojson: Path
    geojson_bytes: int
    method: Method
    clusters: int
    found_by: str
    dimensions: int


def write_map(
    emb: Embeddings,
    folder: str | PathLike[str],
    *,
    dataset: Dataset | None = None,
    columns: pd.DataFrame | None = None,
    title: str | None = None,
    method: Method = "pca",
    clusters: int | None = None,
    max_places: int = 20_000,
    seed: int = 0,
    progress: Progress = SILENT,
) -> MapReport:
    """Write ``embeddings_map.html`` and ``embeddings.geojson`` into a folder, each whole or not at all.

    Args:
        emb: the places and their vectors.
        folder: made if it is not there.
        dataset: where the map, dominant layers and previews come from.
        columns: more to color by, as for `placevec.explorer.write_page`; a column ``cluster`` replaces k-means.
        title: shown at the top; the dataset's name by default.
        method: what makes the three components that become red, green and blue.
        clusters: of k-means; by default chosen by silhouette (`placevec.embeddings.clustering`).
        max_places: more than these are drawn, and written, as a seeded sample, and both files say so.
        seed: of the sample, of t-SNE and UMAP, and of k-means.
        progress: where to report.

    Every feature of the table has place_id, name, lon, lat, component_1 to 3, color (``#rrggbb``), cluster (-1: in
    none) and embedding_1 to embedding_D: all dimensions, in the nine digits that give back each float32.

    Raises:
        InputError: no places, too few for the method, columns that do not fit, a dataset of other places.
        MissingExtraError: ``umap`` without umap-learn.
    """
    drawn = Drawn.of(
        emb,
        dataset=dataset,
        columns=columns,
        clusters=clusters,
        max_places=max_places,
        seed=seed,
        progress=progress,
    )
    return map_of(drawn, folder, title=title, method=method)


def map_of(
    drawn: Drawn, folder: str | PathLike[str], *, title: str | None = None, method: Method = "pca"
) -> MapReport:
    """`write_map` of places that are chosen already."""
    folder = Path(folder)
    others = [one for one in drawn.known if one.key != drawn.by_cluster.key]
    page = compose(
        drawn, folder / PAGE, "map", [drawn.by_components(method), drawn.by_cluster, *others], title=title
    )
    table = folder / TABLE
    label, found_by = drawn.label
    members = {
        "name": title or drawn.title,
        "attribution": drawn.attribution,
        "model_hash": drawn.emb.provenance.model_hash,
        "dataset_hash": drawn.emb.provenance.dataset_hash,
        "places_drawn": len(drawn),
        "places_total": drawn.total,
        "seed": drawn.seed,
        "components": drawn.reduction(method, 3).name,
        "clusters": found_by,
    }
    with drawn.progress.task("Writing GeoJSON", total=len(drawn)) as advance:
        write_geojson(table, drawn.lonlat, _advancing(_properties(drawn, method), advance), members)
    return MapReport(
        page,
        table,
        table.stat().st_size,
        method,
        len(set(label[label >= 0].tolist())),
        found_by,
        drawn.emb.dim,
    )


def _advancing(items: Iterator[str], advance: Advance) -> Iterator[str]:
    number = 0
    for number, item in enumerate(items, 1):
        yield item
        if number % 512 == 0:
            advance(512)
    advance(number % 512)


def _properties(drawn: Drawn, method: Method) -> Iterator[str]:
    """The JSON object of each place. Numbers are formatted by one template a row: there are a hundred a place."""
    components = drawn.reduction(method, 3).components
    colors = hex_of(rgb_of(components))
    label = drawn.label[0].tolist()
    numbers = ", ".join(
        f'"{name}": %.9g'
        for name in (
            *(f"component_{n + 1}" for n in range(components.shape[1])),
            *(f"embedding_{n + 1}" for n in range(drawn.emb.dim)),
        )
    )
    for at, row in enumerate(drawn.rows.tolist()):
        lon, lat = drawn.emb.lonlat[row].tolist()
        name = drawn.emb.names[row]
        known = {
            "place_id": str(drawn.emb.place_id[row]),
            "name": name if isinstance(name, str) else None,
            "lon": lon if lon == lon else None,
            "lat": lat if lat == lat else None,
            "color": colors[at],
            "cluster": label[at],
        }
        text = json.dumps(known, ensure_ascii=False)[:-1]
        yield f"{text}, {numbers % (*components[at].tolist(), *drawn.emb.vectors[row].tolist())}}}"
