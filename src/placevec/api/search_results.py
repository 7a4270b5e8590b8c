"""Additions to search results: their entities, and a picture of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from placevec.api.inputs import PathLike
from placevec.errors import InputError, UsageError
from placevec.io import atomic

if TYPE_CHECKING:
    import geopandas as gpd

    from placevec.datasets.dataset import Dataset
    from placevec.embeddings import Embeddings


def check_picture(picture: PathLike) -> None:
    """UsageError or InputError, before any work, if a picture cannot be written."""
    from placevec.explorer.results import FORMATS

    ending = Path(picture).suffix.lower()
    if ending not in FORMATS:
        raise UsageError(f"--picture must end in {' or '.join(FORMATS)}; got {Path(picture).name!r}")
    if ending == ".png":
        from placevec.explorer.figures.plots import require_plots

        require_plots(())
    atomic.check_writable(picture)


FORMATS = (".parquet", ".geojson", ".csv")


def check_results(path: PathLike) -> None:
    """UsageError or OutputError, before any work, if results cannot be written to a file."""
    if Path(path).suffix.lower() not in FORMATS:
        raise UsageError(f"unsupported format {Path(path).name}: results are written as {', '.join(FORMATS)}")
    atomic.check_writable(path)


def save_results(found: gpd.GeoDataFrame, path: PathLike, attribution: str = "") -> None:
    """Write search results, by the ending of the file as GeoParquet, GeoJSON (places as points) or CSV.

    The query and the remarks are members of the GeoJSON collection and metadata of the GeoParquet file.

    Args:
        found: result of `similar`.
        path: the file.
        attribution: credit that the places require.
    """
    import numpy as np
    import pyarrow as pa

    from placevec.geo.geojson import write_geojson
    from placevec.geo.geoparquet import write_geoparquet

    columns = found.drop(columns="geometry")
    members = {"attribution": attribution, "query": found.attrs["query"], "notes": found.attrs["notes"]}
    kind = Path(path).suffix.lower()
    if kind == ".csv":
        plain = columns.astype(object).where(columns.notna(), "")
        atomic.write_csv(path, list(columns.columns), plain.itertuples(index=False))
    elif kind == ".geojson":
        plain = columns.astype(object).where(columns.notna(), None)
        write_geojson(path, found[["lon", "lat"]].to_numpy(np.float64), plain.to_dict("records"), members)
    else:
        table = pa.Table.from_pandas(columns, preserve_index=False)
        arrays = dict(zip(table.column_names, table.columns, strict=True))
        write_geoparquet(
            path, arrays, np.asarray(found.geometry.array, object), metadata={"placevec_search": members}
        )


def with_entities(found: gpd.GeoDataFrame, dataset: Dataset | None) -> gpd.GeoDataFrame:
    """Search results with columns entity (its ID) and type, if the dataset has entities.

    Places without a name get that of their entity, also in their label.
    """
    from placevec.datasets.entities import has_entities
    from placevec.datasets.entity_lookup import entities_of

    if dataset is None or not has_entities(dataset):
        return found
    entities = entities_of(dataset, [str(one) for one in found["place_id"]])
    for row, one in enumerate(entities):
        if one is not None and one.name and not found["name"].iloc[row]:
            at = found.index[row]
            found.loc[at, ["name", "label"]] = one.name, f"{one.name} ({found['label'].iloc[row]})"
    at_label = int(found.columns.get_loc("label")) + 1
    found.insert(at_label, "entity", [None if one is None else one.entity_id for one in entities])
    found.insert(at_label + 1, "type", [None if one is None else one.type for one in entities])
    return found


def draw_results(
    found: gpd.GeoDataFrame,
    table: Embeddings,
    dataset: Dataset | None,
    target: PathLike,
    window_m: float | None,
) -> None:
    """Draw what the model reads of the query's place and of each result, with the outlines of their entities."""
    import numpy as np

    from placevec.explorer.maps.place_pictures import place_pictures, shapes_of
    from placevec.explorer.results import Result, write_results

    if dataset is None:
        raise InputError(
            "a picture is drawn from the dataset of the vectors, which is not at its recorded path: give it with"
            " --dataset"
        )
    query = found.attrs["query"]
    ids = [str(one) for one in found["place_id"]]
    lonlat = found[["lon", "lat"]].to_numpy(np.float64)
    rows = _rows(found, query)
    if query["lon"] is not None:
        ids.insert(0, str(query["place_id"] or ""))
        lonlat = np.vstack([[query["lon"], query["lat"]], lonlat])
        name = str(query["name"] or query["place_id"] or f"{query['lon']:.5f}, {query['lat']:.5f}")
        rows.insert(0, {"title": name, "facts": [], "rank": 0})
    pictures = place_pictures(
        dataset, ids, lonlat, shapes_of(dataset, ids), view=table.view, window_m=window_m
    )
    results = [Result(picture=picture, **row) for row, picture in zip(rows, pictures, strict=True)]
    credit = table.provenance.attribution or dataset.attribution
    write_results(Path(target), results, title=_title(query), notes=found.attrs["notes"], credit=credit)


def _rows(found: gpd.GeoDataFrame, query: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for row in found.to_dict("records"):
        facts = [str(row["type"])] if row.get("type") else []
        facts.append(str(row["place_id"]))
        z = f", z {row['z']:.1f}" if row["z"] == row["z"] else ""
        facts.append(f"{query['measure']} {row[query['measure']]:.3f}{z}")
        rows.append({"title": str(row["label"]), "facts": facts, "rank": int(row["rank"])})
    return rows


def _title(query: dict[str, Any]) -> str:
    asked = query.get("text") or query.get("image") or query.get("entity_name") or query.get("name")
    where = f"{query['lon']:.5f}, {query['lat']:.5f}" if query["lon"] is not None else ""
    return f"Similar to {asked or query['place_id'] or where}, by {query['view']}"
