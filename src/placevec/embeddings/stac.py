"""A table of vectors as a STAC collection with one item, in the terms of the embedding extension v0.0.1.

The extension is a proposal (https://github.com/geo-embeddings/embeddings-stac-specification, 2026-03): its ``emb:type``
is ``pixel`` or ``chip``. Places of footprints and of pixels fit ``chip`` best; vectors of bare coordinates and of
entities have no term of their own there, which the description says.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from placevec.embeddings.columns import STAC_EXTENSION
from placevec.embeddings.table import Embeddings
from placevec.errors import EmbeddingsError
from placevec.geo.geoparquet import read_geoparquet
from placevec.io import atomic

TYPE_NOTE = (
    "emb:type is chip, the closest term: v0.0.1 of the STAC embedding extension, a proposal, has only pixel and "
    "chip, and no term for vectors of entities or of coordinates alone"
)
ASSET_NOTE = (
    "the table is not copied: the item points to it by its path relative to the folder, so move both together"
)
_VERSION = "1.0.0"
_SPDX = re.compile(r"[A-Za-z0-9.+-]+")


def write_stac(table: Embeddings, path: Path, folder: Path) -> int:
    """Write ``collection.json`` and ``item.json`` into a folder, atomically; returns the number of places.

    Args:
        table: one view of the file.
        path: of the table, which the item points to relative to the folder.
        folder: to make.

    Raises:
        EmbeddingsError: no place has coordinates, or the file has no STAC fields.
    """
    known = table.lonlat[np.isfinite(table.lonlat).all(axis=1)]
    if not len(known):
        raise EmbeddingsError("no place of this table has coordinates, so it has no extent in STAC")
    _, metadata = read_geoparquet(path, "table of embeddings", columns=["place_id"])
    told = metadata.get("stac")
    if not isinstance(told, dict):
        raise EmbeddingsError(f"{path} has no STAC fields: write it with this version")
    bbox = [*known.min(axis=0).tolist(), *known.max(axis=0).tolist()]
    folder.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", path.stem) or "embeddings"
    asset = {
        "href": os.path.relpath(path.resolve(), folder.resolve()).replace(os.sep, "/"),
        "type": "application/vnd.apache.parquet", "roles": ["data"], "title": "Vectors of places, GeoParquet",
    }  # fmt: skip
    atomic.write_json(folder / "item.json", _item(table, told, name, bbox, asset))
    atomic.write_json(folder / "collection.json", _collection(table, told, name, bbox, asset))
    return len(table)


def _years(table: Embeddings) -> tuple[str, str]:
    """The year that published vectors describe; else the time at which they were made."""
    year = re.search(r"(?<!\d)(20\d\d)$", table.provenance.version)
    if year:
        return f"{year[1]}-01-01T00:00:00Z", f"{year[1]}-12-31T23:59:59Z"
    made = re.sub(r"\+00:00$", "Z", table.provenance.created) or "1970-01-01T00:00:00Z"
    return made, made


def _item(
    table: Embeddings, told: dict[str, Any], name: str, bbox: list[float], asset: dict[str, Any]
) -> dict[str, Any]:
    west, south, east, north = bbox
    start, end = _years(table)
    corners = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    # the schema of v0.0.1 allows emb:type and emb:dimensions in collections only
    properties: dict[str, Any] = {
        "datetime": None, "start_datetime": start, "end_datetime": end, "data_type": told["data_type"],
    }  # fmt: skip
    if table.provenance.created:
        properties["created"] = re.sub(r"\+00:00$", "Z", table.provenance.created)
    if "emb:quantization" in told:
        properties["emb:quantization"] = told["emb:quantization"]
    return {
        "stac_version": _VERSION, "stac_extensions": [STAC_EXTENSION], "type": "Feature", "id": name, "collection": name,
        "bbox": bbox, "geometry": {"type": "Polygon", "coordinates": [corners]}, "properties": properties,
        "links": [*(_collection_link(rel) for rel in ("collection", "parent", "root")), *_sources(table)],
        "assets": {"embeddings": asset},
    }  # fmt: skip


def _collection(
    table: Embeddings, told: dict[str, Any], name: str, bbox: list[float], asset: dict[str, Any]
) -> dict[str, Any]:
    made, (start, end) = table.provenance, _years(table)
    what = made.source or f"the model {made.model_hash[:12]}"
    links = [
        _collection_link("root"),
        {"rel": "item", "href": "./item.json", "type": "application/geo+json"},
        *_sources(table),
    ]  # fmt: skip
    return {
        "stac_version": _VERSION, "stac_extensions": [STAC_EXTENSION], "type": "Collection", "id": name,
        "title": f"Vectors of {len(table):,} places, view {table.view}",
        "description": f"Vectors of {what}, {table.dim} dimensions. {made.attribution}. {TYPE_NOTE}.",
        "license": made.license if _SPDX.fullmatch(made.license) else "various",
        "extent": {"spatial": {"bbox": [bbox]}, "temporal": {"interval": [[start, end]]}},
        "emb:type": told["emb:type"], "emb:dimensions": told["emb:dimensions"], "data_type": told["data_type"],
        "links": links,
        "item_assets": {"embeddings": {key: asset[key] for key in ("type", "roles", "title")}},
        "summaries": {"emb:type": [told["emb:type"]], "emb:dimensions": [told["emb:dimensions"]]},
    }  # fmt: skip


def _collection_link(rel: str) -> dict[str, str]:
    return {"rel": rel, "href": "./collection.json", "type": "application/json"}


def _sources(table: Embeddings) -> list[dict[str, str]]:
    """Links to the model and the dataset."""
    made = table.provenance
    return [
        _made_from("emb:model", made.model_path, made.model_hash),
        _made_from("emb:source-data", made.dataset_path, made.dataset_hash),
    ]


def _made_from(rel: str, path: str, hash: str) -> dict[str, str]:
    """A link to a model or dataset: its address, or its hash, as a path on this machine means nothing elsewhere."""
    if re.match(r"https?://", path):
        return {"rel": rel, "href": path, "title": hash}
    name = path.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return {"rel": rel, "href": f"urn:sha256:{hash}", "title": name or hash}
