"""Writing a dataset directory: the places, then, last of all, the manifest (see `placevec.datasets.dataset`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from placevec._version import __version__
from placevec.datasets.dataset import FORMAT, MANIFEST, PLACES, SCHEMA_VERSION, Dataset
from placevec.datasets.places import Objects, Places
from placevec.geo import Area
from placevec.geo.geoparquet import write_geoparquet
from placevec.io import atomic


def write_dataset(
    path: Path,
    *,
    name: str,
    area: Area,
    places: Places,
    names: Objects | None,
    sources: Sequence[dict[str, Any]],
    views: dict[str, dict[str, Any]],
    report: dict[str, Any],
    created: str,
) -> Dataset:
    """Write the places and, last of all, the manifest; returns the dataset opened (and so validated)."""
    columns = {
        "place_id": pa.array(list(places.place_id), pa.string()),
        "lon": pa.array(places.lonlat[:, 0], pa.float64()),
        "lat": pa.array(places.lonlat[:, 1], pa.float64()),
        "name": pa.array([None] * len(places) if names is None else list(names), pa.string()),
    }
    write_geoparquet(path / PLACES, columns, places.geometry)
    layout = {"count": len(places), "grid": places.grid, "zoom": places.zoom}
    layout |= {"spacing_m": places.spacing_m, "size_m": places.size_m}
    return write_manifest(
        path,
        name=name,
        area=area,
        places=layout,
        sources=sources,
        views=views,
        report=report,
        created=created,
    )


def write_manifest(
    path: Path,
    *,
    name: str,
    area: Area,
    places: dict[str, Any],
    sources: Sequence[dict[str, Any]],
    views: dict[str, dict[str, Any]],
    report: dict[str, Any],
    created: str,
    labels: dict[str, Any] | None = None,
) -> Dataset:
    """Write the manifest, last of all; ``places`` says how those in ``places.parquet`` are laid out, ``labels`` what
    `placevec.datasets.labels.check_about` wants. Returns the dataset opened (and so validated).
    """
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "schema_version": SCHEMA_VERSION,
        "placevec_version": __version__,
        "name": name,
        "created": created,
        "area": area.as_dict(),
        "sources": list(sources),
        "places": {**places, "sha256": atomic.sha256_of_file(path / PLACES)},
        "views": views,
        "report": report,
    }
    if labels is not None:
        manifest["labels"] = {**labels, "sha256": atomic.sha256_of_file(path / labels["file"])}
    atomic.write_json(path / MANIFEST, manifest)
    return Dataset.open(path)
