"""A ``map`` view from the given source: an extract, or existing tiles.

With tiles, an extract can be given too: it adds labels, namely land use and points of interest.
"""

from __future__ import annotations

from pathlib import Path

from placevec.datasets.dataset import Dataset
from placevec.geo import Area
from placevec.io.progress import Progress
from placevec.preparation import osm as extracts
from placevec.preparation.options import ZOOM, MapOptions
from placevec.preparation.osm_labels import add_labels
from placevec.preparation.tiles import folder, server
from placevec.sources.tiles.address import TileTemplate


def prepare(out: Path, options: MapOptions, *, created: str, progress: Progress) -> Dataset:
    """Prepare a dataset from the source in the options, or continue an unfinished one; see `placevec.prepare`."""
    area = options.area()
    if area is not None and area.crosses_antimeridian:
        progress.say("Note: west is greater than east, so the box crosses the antimeridian")
    dataset = _of_source(out, options, area, created, progress)
    if options.of_tiles and (options.osm is not None or options.osm_name is not None):
        return add_labels(dataset, options, options.chosen_engine, created=created, progress=progress)
    return dataset


def _of_source(
    out: Path, options: MapOptions, area: Area | None, created: str, progress: Progress
) -> Dataset:
    zoom = ZOOM if options.zoom is None else options.zoom
    if options.tiles is not None or options.server_ip is not None:
        template = (
            TileTemplate.parse(options.tiles)
            if options.tiles is not None
            else TileTemplate.of_server(str(options.server_ip), options.server_port, options.server_path)
        )
        return server.prepare(
            out, template=template, area=area, zoom=zoom, wanted=options, created=created,
            progress=progress,
        )  # fmt: skip
    if options.of_tiles:
        return folder.prepare(out, area=area, wanted=options, created=created, progress=progress)
    return extracts.prepare(out, area=area, zoom=zoom, wanted=options, created=created, progress=progress)
