"""Land use and points of interest for a dataset with a map made from existing tiles: labels for evaluation, never an
input.

They are drawn from an extract of the same area, as for a map from an extract, and are added like any other part.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from placevec.datasets.additions import MAP_LABELS_PART, MAP_PART, Joining, Made, add, is_made, made, settled
from placevec.datasets.dataset import Dataset
from placevec.distributed.engine import Engine
from placevec.errors import AreaError
from placevec.geo import Area
from placevec.io import atomic
from placevec.io.progress import Progress
from placevec.preparation.existing_places import POIS, box_around, margin_m, write_names
from placevec.preparation.options import ExtractOptions
from placevec.preparation.osm import source_of
from placevec.preparation.rasterize.pipeline import burn_extract
from placevec.sources.osm.extracts import resolve_extract
from placevec.sources.osm.layers import LayerTable
from placevec.sources.osm.reader import extent, read_header

LANDUSE = "landuse_coverage.tif"
_BURNT = "burnt"


def add_labels(
    dataset: Dataset, wanted: ExtractOptions, engine: Engine, *, created: str, progress: Progress
) -> Dataset:
    """The dataset with ``landuse_coverage.tif``, ``pois.parquet`` and the names of its places.

    Raises:
        AreaError: the extract covers another area.
        DatasetError: it already has labels from another extract.
    """
    table = LayerTable.landuse()
    extract = resolve_extract(wanted.osm, wanted.osm_name, progress=progress)
    inputs = {"extract": atomic.sha256_of_file(extract.path), "landuse": table.hash}
    of, zoom = Made("osm", inputs), int(dataset.spec(MAP_PART).zoom or 0)
    if is_made(dataset, MAP_LABELS_PART, of):
        return settled(dataset, MAP_LABELS_PART)
    header, area = read_header(extract.path), _area_of_map(dataset)
    if not (header.area or extent(extract.path)).intersects(area):
        raise AreaError(f"the tiles are outside {extract.name}, which should provide their labels")

    def write(folder: Path) -> Joining:
        # Land use is drawn as if it were the map, in a separate folder, with the same code.
        burnt = folder / _BURNT
        burn_extract(extract.path, burnt, area=area, zoom=zoom, table=table, engine=engine, progress=progress)
        for name, drawn in ((LANDUSE, "map_coverage.tif"), (POIS, POIS)):
            with atomic.replacing(folder / name) as temporary:
                shutil.copyfile(burnt / drawn, temporary)
        names = write_names(dataset, area, zoom, folder)
        source = source_of(extract, inputs["extract"], header.timestamp, "osm-labels")
        return Joining(
            "land use, points of interest and names", [LANDUSE, POIS, names], [source],
            more_files={MAP_PART: [LANDUSE, POIS]}, names=names,
        )  # fmt: skip

    return add(dataset, MAP_LABELS_PART, of, write, created=created, progress=progress)


def _area_of_map(dataset: Dataset) -> Area:
    """The area of the map: the dataset's area, or the area around its places if they existed before the map."""
    of_map, of_places = (made(dataset, part) for part in (MAP_PART, "places"))
    if of_map is not None and of_places is not None and of_map.kind == of_places.kind:
        return dataset.area
    lonlat = dataset.lonlat[np.isfinite(dataset.lonlat).all(axis=1)]
    return box_around(lonlat, margin_m(dataset))
