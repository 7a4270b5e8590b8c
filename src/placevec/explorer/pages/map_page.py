"""A map with a marker for every place, colored by its vector, and the same places as GeoJSON with all dimensions.

The two output files of Loc2Vec: ``embeddings_map.html`` and ``embeddings.geojson``. The page is self-contained; the
GeoJSON is written one place at a time.
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
from placevec.io.progress import Advance

if TYPE_CHECKING:
    pass

PAGE, TABLE = "embeddings_map.html", "embeddings.geojson"


@dataclass(frozen=True)
class MapReport:
    """The result of writing a map.

    Attributes:
        page: the report of the HTML page.
        geojson: path of the GeoJSON file.
        geojson_bytes: its size.
        method: the method behind the colors: ``pca``, ``tsne`` or ``umap``.
        clusters: number of clusters.
        found_by: how the clusters were found.
        dimensions: length of the vectors in the GeoJSON file.
    """

    page: PageReport
    geojson: Path
    geojson_bytes: int
    method: Method
    clusters: int
    found_by: str
    dimensions: int


def map_of_columns(drawn: Drawn, target: str | PathLike[str], *, title: str | None = None) -> PageReport:
    """Write the map alone, colored by the user's own columns, the first of them first; atomically."""
    return compose(drawn, target, "map", drawn.columns, title=title)


def map_of(
    drawn: Drawn, folder: str | PathLike[str], *, title: str | None = None, method: Method = "pca"
) -> MapReport:
    """Write ``embeddings_map.html`` and ``embeddings.geojson`` to a folder, each atomically.

    ``method`` reduces to the three components shown as red, green and blue. Every GeoJSON feature has place_id, name,
    lon, lat, component_1 to component_3, color (``#rrggbb``), cluster (-1 for none) and embedding_1 to embedding_D, with
    nine digits, which reproduce each float32 exactly.
    """
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
    """The JSON object of each place. Numbers are formatted with one template per row, for speed."""
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
