"""`prepare`: make the dataset that a recipe learns from."""

from __future__ import annotations

import inspect
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from placevec.api.inputs import Box, PathLike, area_of, now
from placevec.datasets.dataset import Dataset
from placevec.errors import DatasetError, UsageError
from placevec.geo import Area
from placevec.io import atomic
from placevec.io.progress import SILENT, Progress

if TYPE_CHECKING:
    from types import ModuleType

_INSIDE = {"bbox": "area", "spacing": "spacing_m", "all_tiles": "all_places"}
"""Option -> what the recipes call it, where that differs."""


def prepare(
    recipe: str,
    *,
    out: PathLike,
    osm: PathLike | None = None,
    osm_name: str | None = None,
    bbox: Box | None = None,
    polygon: PathLike | None = None,
    tile_folder: PathLike | None = None,
    mbtiles: PathLike | Sequence[PathLike] | None = None,
    threshold: int | None = None,
    background: str = "auto",
    require_all_layers: bool = False,
    keep_grey: bool = False,
    tiles: str | None = None,
    server_ip: str | None = None,
    server_port: int = 80,
    server_path: str = "/hot/{z}/{x}/{y}.png",
    samples: int | None = None,
    seed: int = 0,
    patch_size: int | None = None,
    margin_m: float | None = None,
    connections: int | None = None,
    most_failed: float = 0.05,
    attribution: str | None = None,
    refresh_tiles: bool = False,
    zoom: int | None = None,
    layers: PathLike | None = None,
    spacing: float | None = None,
    places: PathLike | None = None,
    all_tiles: bool = False,
    size_m: float | None = None,
    workers: int = 1,
    force: bool = False,
    progress: Progress = SILENT,
    **options: Any,
) -> Dataset:
    """Make the dataset that a recipe learns from, or add to one what it lacks.

    Args:
        recipe: such as ``loc2vec``.
        out: the dataset directory. What it holds already is reused, and never made otherwise; a view or labels that it
            lacks join it, for the places that it has.
        osm: an extract: .osm.pbf, .osm, .osm.gz or .osm.bz2. Beside ready tiles it only labels them: with land use,
            points of interest and names to be evaluated by.
        osm_name: or the name of an extract to download, such as ``Monaco``; ``helsinki-centre`` is embedded.
        bbox: (west, south, east, north) in degrees, or ``"west,south,east,north"``; the extract's own by default.
        polygon: or a GeoJSON file whose polygons are the area.
        tile_folder: or a folder of ready tiles: ``LAYER/z/x/y.png`` or ``tile_z_x_y.png``.
        mbtiles: or MBTiles: one file of colours, or several files (or a folder of them), each a layer.
        threshold: 1 to 255: from what contrast to the background on a pixel of such a layer is set; None finds it.
        background: of such layers: ``auto``, ``white``, ``black`` or ``transparent``, also as ``LAYER=KIND``.
        require_all_layers: only tiles that every layer has are places, as in the founding pipeline.
        keep_grey: keep the contrast of such layers, in 8 bits, instead of comparing it with the threshold.
        tiles: or a tile server, such as ``http://localhost:8080/hot/{z}/{x}/{y}.png``: the tiles that the places need
            are downloaded, and kept in the user's cache.
        server_ip, server_port, server_path: the same address in the parts that founding document 001 names.
        samples: of a tile server: so many random places, evenly over the area, instead of whole tiles.
        seed: of the samples.
        patch_size: side of such a place in pixels, instead of ``size_m``.
        margin_m: metres around each place whose tiles are needed too, since windows turn and positives lie near; by
            default as far as training reaches on its own.
        connections: to the server at once; 2 on the open internet, 8 to one of your own.
        most_failed: share of the tiles that may be missing, corrupt or failed.
        attribution: the credit that the tiles ask for; that of OpenStreetMap by default.
        refresh_tiles: ask again about tiles that are kept.
        zoom: whose pixels are native: 17 is 0.5 to 1.2 m. 17 by default, or the one zoom that ready tiles have.
        layers: a layer table (TOML) instead of the founding twelve.
        spacing: places on a metric grid, so many metres apart, instead of tiles.
        places: or the places in this table (CSV, Parquet, GeoJSON) of points or polygons.
        all_tiles: keep places without any feature too.
        size_m: side of a place's footprint in metres, for grids and tables; 200 by default.
        workers: processes that draw.
        force: start afresh instead of reusing or resuming.
        progress: where to report.
        options: what else the recipe takes, such as ``points`` of ``sphere2vec``.

    Only what is given reaches the recipe, and an option that it has no use for is a UsageError.
    """
    from placevec.recipes import check_options, recipe_module

    out = Path(out)
    module = recipe_module(recipe)
    if bbox is not None and polygon is not None:
        raise UsageError("give a bounding box or a polygon, not both")
    area = Area.from_geojson(polygon) if polygon is not None else area_of(bbox)
    if area is not None and area.crosses_antimeridian:
        progress.say(
            "Note: west is greater than east, so that the box runs eastwards over the 180th meridian"
        )
    given = _set({
        "osm": osm, "osm_name": osm_name, "tile_folder": tile_folder, "mbtiles": mbtiles, "threshold": threshold,
        "background": background, "require_all_layers": require_all_layers, "keep_grey": keep_grey,
        "tiles": tiles, "server_ip": server_ip, "server_port": server_port, "server_path": server_path,
        "samples": samples, "seed": seed, "patch_size": patch_size, "margin_m": margin_m, "connections": connections,
        "most_failed": most_failed, "attribution": attribution, "refresh_tiles": refresh_tiles,
        "bbox": area, "zoom": zoom, "layers": layers, "spacing": spacing,
        "places": places, "all_tiles": all_tiles, "size_m": size_m, "workers": workers, **options,
    })  # fmt: skip
    check_options(recipe, given, spelled={inside: name for name, inside in _INSIDE.items()})
    _adopt(out)
    afresh = force and out.exists()
    if afresh and not ((out / "dataset.json").exists() or (out / ".work").is_dir() or not any(out.iterdir())):
        raise DatasetError(f"{out} is not a placevec dataset: --force will not delete it")
    if afresh or not (out / "dataset.json").exists():
        atomic.check_writable(out, directory=True)
    given = {"progress": progress, "created": now(), **given}
    if afresh:
        return _prepared_afresh(module, out, given)
    dataset: Dataset = module.prepare(out, **given)
    return dataset


def _set(options: dict[str, Any]) -> dict[str, Any]:
    """The options that are not left as they are, by the names that the recipes know them by."""
    left = {name: option.default for name, option in inspect.signature(prepare).parameters.items()}
    return {
        _INSIDE.get(name, name): value
        for name, value in options.items()
        if value is not None and not (isinstance(value, bool | int | float | str) and value == left.get(name))
    }


def _prepared_afresh(module: ModuleType, out: Path, options: dict[str, Any]) -> Dataset:
    """Prepare beside ``out`` and take its place when that is whole: a damaged extract costs nobody a dataset."""
    out, beside = out.resolve(), _beside(out)
    shutil.rmtree(beside, ignore_errors=True)
    try:
        module.prepare(beside, **options)
        atomic.exchange_directory(beside, out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return Dataset.open(out)


def _beside(out: Path) -> Path:
    """Where the successor of a dataset is prepared."""
    out = out.resolve()
    return out.with_name(f".{out.name}.new")


def _adopt(out: Path) -> None:
    """Put a whole successor into its place when a kill fell between the two renames that would have done it."""
    if not out.exists() and (_beside(out) / "dataset.json").exists():
        os.replace(_beside(out), out.resolve())
        atomic.remove_temporaries(out.resolve().parent, of=out.resolve().name)
