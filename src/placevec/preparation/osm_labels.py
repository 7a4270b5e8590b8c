"""Land use and points of interest for a dataset whose map is ready tiles: what it can be asked about, never an input.

They are drawn from an extract of the same ground, as those of a burnt map are. The dataset is whole before; a run that
was killed here leaves it without labels, and the same command adds them.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa

from placevec.datasets.dataset import MANIFEST, PLACES, Dataset
from placevec.datasets.places import Places
from placevec.datasets.views.pois import place_names, read_pois
from placevec.errors import AreaError, DatasetError
from placevec.geo.geoparquet import write_geoparquet
from placevec.io import atomic
from placevec.io.progress import Progress
from placevec.preparation.osm import ATTRIBUTION, LICENCE, POIS
from placevec.preparation.rasterize.pipeline import burn_extract
from placevec.sources.osm.extracts import resolve_extract
from placevec.sources.osm.layers import LayerTable
from placevec.sources.osm.reader import extent, read_header

LANDUSE = "landuse_coverage.tif"
_WORK = ".labels.work"


def add_labels(
    dataset: Dataset, *, osm: str | Path | None, osm_name: str | None, workers: int, progress: Progress
) -> Dataset:
    """The dataset with ``landuse_coverage.tif``, ``pois.parquet`` and the names of its places.

    Raises:
        AreaError: the extract is of other ground.
        DatasetError: it has the labels of another extract.
    """
    out, table = dataset.path, LayerTable.landuse()
    extract = resolve_extract(osm, osm_name, progress=progress)
    inputs = {"extract": atomic.sha256_of_file(extract.path), "landuse": table.hash}
    before = dataset.manifest["report"].get("labels")
    if before is not None:
        if before != inputs:
            raise DatasetError(f"{out} has labels of another extract: choose another --out, or --force")
        shutil.rmtree(out / _WORK, ignore_errors=True)
        return dataset
    header = read_header(extract.path)
    if not (header.area or extent(extract.path)).intersects(dataset.area):
        raise AreaError(f"the tiles lie outside of {extract.name}, which was to label them")
    # The land use is burnt as if it were the map, in a folder of its own: the machinery is the same.
    burn_extract(
        extract.path,
        out / _WORK,
        area=dataset.area,
        zoom=dataset.zoom,
        table=table,
        workers=workers,
        progress=progress,
    )
    for name, burnt in ((LANDUSE, "map_coverage.tif"), (POIS, POIS)):
        with atomic.replacing(out / name) as temporary:
            shutil.copyfile(out / _WORK / burnt, temporary)
    _write_names(dataset)
    manifest: dict[str, Any] = dataset.manifest
    source = {
        "kind": "osm-labels",
        "name": extract.name,
        "path": extract.path.name,
        "url": extract.url,
        "sha256": inputs["extract"],
        "bytes": extract.path.stat().st_size,
        "timestamp": header.timestamp,
        "licence": LICENCE,
        "attribution": ATTRIBUTION,
    }
    view = manifest["views"]["map"]
    changed = {
        **manifest,
        "sources": [*manifest["sources"], source],
        "places": {**manifest["places"], "sha256": atomic.sha256_of_file(out / PLACES)},
        "views": {**manifest["views"], "map": {**view, "files": [*view["files"], LANDUSE, POIS]}},
        "report": {**manifest["report"], "labels": inputs},
    }
    atomic.write_json(out / MANIFEST, changed)
    shutil.rmtree(out / _WORK, ignore_errors=True)
    return Dataset.open(out)


def _write_names(dataset: Dataset) -> None:
    """Write the places again, with the names of what lies in them."""
    about, frame = dataset.manifest["places"], dataset.places
    geometry = dataset.geometry()
    places = Places(
        frame["place_id"].to_numpy(object), dataset.lonlat, geometry, about["size_m"], about["grid"], about["zoom"],
        about["spacing_m"],
    )  # fmt: skip
    names = place_names(read_pois(dataset.path / POIS), places.footprints(dataset.zoom), dataset.zoom)
    columns = {
        "place_id": pa.array(list(frame["place_id"]), pa.string()),
        "lon": pa.array(frame["lon"], pa.float64()),
        "lat": pa.array(frame["lat"], pa.float64()),
        "name": pa.array([None] * len(places) if names is None else list(names), pa.string()),
    }
    write_geoparquet(dataset.path / PLACES, columns, geometry)
