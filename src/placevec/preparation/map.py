"""A ``map`` view from whatever source was named: an extract, or tiles that are there already.

Beside tiles an extract may be named too: it labels them, with land use and points of interest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from placevec.datasets.dataset import Dataset
from placevec.errors import UsageError
from placevec.geo import asked_zoom
from placevec.io.progress import Progress
from placevec.preparation import osm as osm_dataset
from placevec.preparation.osm_labels import add_labels
from placevec.preparation.tiles import folder as folder_dataset
from placevec.preparation.tiles import server as tile_dataset
from placevec.sources.tiles.address import TileTemplate

SOURCES = {
    "osm": ("osm", "osm_name"),
    "folder": ("tile_folder", "mbtiles"),
    "server": ("tiles", "server_ip"),
}
"""Kind of source -> the options that name one."""
_OF_EXTRACTS = {"layers": None}
_OF_FOLDERS = {
    "threshold": None, "background": "auto", "require_all_layers": False, "keep_grey": False,
}  # fmt: skip
_OF_SERVERS = {
    "server_port": 80, "server_path": "/hot/{z}/{x}/{y}.png", "samples": None, "seed": 0, "patch_size": None,
    "margin_m": None, "connections": None, "most_failed": 0.05, "attribution": None, "refresh_tiles": False,
}  # fmt: skip
_OF_ALL = {
    "area": None, "zoom": None, "spacing_m": None, "places": None, "all_places": False, "size_m": None, "workers": 1,
}  # fmt: skip
PREPARE_OPTIONS: dict[str, Any] = {
    **{name: None for names in SOURCES.values() for name in names},
    **_OF_EXTRACTS, **_OF_FOLDERS, **_OF_SERVERS, **_OF_ALL,
}  # fmt: skip
"""Option -> what it is where it is not given; see `placevec.prepare`."""
DEFAULT_ZOOM = 17


def prepare(out: Path, *, created: str, progress: Progress, **options: Any) -> Dataset:
    """Make the dataset of the one source that ``options`` name; see `placevec.prepare`.

    Raises UsageError for two sources, or an option that the source has no use for.
    """
    named = [name for names in SOURCES.values() for name in names if options.get(name) not in (None, (), [])]
    tiles = [name for name in named if name not in SOURCES["osm"]]
    when: dict[str, Any] = {"created": created, "progress": progress}
    if len(tiles) == 1 and len(named) == 2:
        labels = {name: options.pop(name, None) for name in SOURCES["osm"]}
        dataset = prepare(out, **when, **options)
        return add_labels(dataset, **labels, workers=options.get("workers", 1), **when)
    if len(named) > 1:
        raise UsageError(f"name one source: --{_dashes(named[0])} or --{_dashes(named[1])}, not both")
    options = {**PREPARE_OPTIONS, **options}
    if options["zoom"] is not None:
        asked_zoom(options["zoom"])
    if named and named[0] in SOURCES["server"]:
        return _of_server(out, options, **when)
    _refuse(options, _OF_SERVERS, "is about tile servers: it needs --tiles or --server-ip")
    if named and named[0] in SOURCES["folder"]:
        _refuse(options, _OF_EXTRACTS, _DRAWN)
        taken = (*SOURCES["folder"], *_OF_FOLDERS, *_OF_ALL)
        return folder_dataset.prepare(out, **{name: options[name] for name in taken}, **when)
    _refuse(options, _OF_FOLDERS, "is about ready tiles: it needs --tile-folder or --mbtiles")
    taken = (*SOURCES["osm"], *_OF_EXTRACTS, *_OF_ALL)
    of_osm = {name: options[name] for name in taken}
    if of_osm["zoom"] is None:
        of_osm["zoom"] = DEFAULT_ZOOM
    return osm_dataset.prepare(out, **of_osm, **when)


_DRAWN = "draws an OpenStreetMap extract; tiles are drawn already"


def _refuse(options: Mapping[str, Any], names: Iterable[str], why: str) -> None:
    for name in names:
        if options[name] != PREPARE_OPTIONS[name]:
            raise UsageError(f"--{_dashes(name)} {why}")


def _of_server(out: Path, options: dict[str, Any], *, created: str, progress: Progress) -> Dataset:
    """Make it of a tile server."""
    _refuse(options, _OF_EXTRACTS, _DRAWN)
    _refuse(options, _OF_FOLDERS, "is about masks: it needs --tile-folder or --mbtiles")
    given = {name: options[name] for name in _OF_SERVERS}
    port, path = given.pop("server_port"), given.pop("server_path")
    if options["tiles"] is None:
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
        **{name: options[name] for name in ("spacing_m", "places", "all_places", "size_m", "workers")},
    )
    return tile_dataset.prepare(
        out, template=template, area=options["area"], zoom=DEFAULT_ZOOM if options["zoom"] is None else options["zoom"],
        wanted=wanted, created=created, progress=progress,
    )  # fmt: skip


def _dashes(name: str) -> str:
    return name.replace("_", "-")
