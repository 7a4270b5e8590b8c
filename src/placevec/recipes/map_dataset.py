"""A ``map`` view from whatever source was named: an extract, or tiles that are there already.

Beside tiles an extract may be named too: it labels them, with land use and points of interest.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from placevec.dataset import Dataset
from placevec.errors import UsageError
from placevec.recipes import folder_dataset, osm_dataset, tile_dataset
from placevec.recipes.osm_labels import add_labels
from placevec.sources.tile_address import TileTemplate

SOURCES = {
    "osm": ("osm", "osm_name"),
    "folder": ("tile_folder", "mbtiles"),
    "server": ("tiles", "server_ip"),
}
"""Kind of source -> the options that name one."""
_OF_FOLDERS = {
    "threshold": None, "background": "auto", "require_all_layers": False, "keep_grey": False,
}  # fmt: skip
_OF_SERVERS = {
    "server_port": 80, "server_path": "/hot/{z}/{x}/{y}.png", "samples": None, "seed": 0, "patch_size": None,
    "margin_m": None, "connections": None, "most_failed": 0.05, "attribution": None, "refresh_tiles": False,
}  # fmt: skip
DEFAULT_ZOOM = 17


def prepare(out: Path, **options: Any) -> Dataset:
    """Make the dataset of the one source that ``options`` name; see `placevec.api.prepare`.

    Raises UsageError for two sources, or an option that the source has no use for.
    """
    named = [name for names in SOURCES.values() for name in names if options.get(name) not in (None, (), [])]
    tiles = [name for name in named if name not in SOURCES["osm"]]
    if len(tiles) == 1 and len(named) == 2:
        labels = {name: options.pop(name, None) for name in SOURCES["osm"]}
        workers, progress = options["workers"], options["progress"]
        return add_labels(prepare(out, **options), **labels, workers=workers, progress=progress)
    if len(named) > 1:
        raise UsageError(f"name one source: --{_dashes(named[0])} or --{_dashes(named[1])}, not both")
    if named and named[0] in SOURCES["server"]:
        return _of_server(out, options)
    for name, default in _OF_SERVERS.items():
        if options.pop(name, default) != default:
            raise UsageError(f"--{_dashes(name)} is about tile servers: it needs --tiles or --server-ip")
    for name in SOURCES["server"]:
        options.pop(name, None)
    if named and named[0] in SOURCES["folder"]:
        for name in ("layers",):
            if options.pop(name, None) is not None:
                raise UsageError(f"--{_dashes(name)} draws an OpenStreetMap extract; tiles are drawn already")
        for name in ("osm", "osm_name", "workers"):
            options.pop(name, None)
        return folder_dataset.prepare(out, **options)
    for name, default in _OF_FOLDERS.items():
        if options.pop(name, default) != default:
            raise UsageError(f"--{_dashes(name)} is about ready tiles: it needs --tile-folder or --mbtiles")
    for name in SOURCES["folder"]:
        options.pop(name, None)
    if options["zoom"] is None:
        options["zoom"] = DEFAULT_ZOOM
    return osm_dataset.prepare(out, **options)


def _of_server(out: Path, options: dict[str, Any]) -> Dataset:
    """Make it of a tile server."""
    if options["layers"] is not None:
        raise UsageError("--layers draws an OpenStreetMap extract; tiles are drawn already")
    for name, default in _OF_FOLDERS.items():
        if options.get(name, default) != default:
            raise UsageError(f"--{_dashes(name)} is about masks: it needs --tile-folder or --mbtiles")
    given = {name: options.get(name, default) for name, default in _OF_SERVERS.items()}
    port, path = given.pop("server_port"), given.pop("server_path")
    if options.get("tiles") is None:
        template = TileTemplate.of_server(options["server_ip"], port, path)
    elif (port, path) != (_OF_SERVERS["server_port"], _OF_SERVERS["server_path"]):
        raise UsageError(
            "--server-port and --server-path go with --server-ip; --tiles holds the whole address"
        )
    else:
        template = TileTemplate.parse(options["tiles"])
    wanted = tile_dataset.Wanted(
        refresh=given.pop("refresh_tiles"),
        **given,
        **{name: options[name] for name in ("spacing_m", "places", "all_places", "size_m")},
    )
    return tile_dataset.prepare(
        out, template=template, area=options["area"], zoom=DEFAULT_ZOOM if options["zoom"] is None else options["zoom"],
        wanted=wanted, created=options["created"], progress=options["progress"],
    )  # fmt: skip


def _dashes(name: str) -> str:
    return name.replace("_", "-")
