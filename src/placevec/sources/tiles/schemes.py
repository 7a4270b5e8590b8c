"""Whether rows of tiles are counted from the south (TMS) or the north (XYZ), according to files next to the tiles.

TileJSON has a ``scheme``; gdal2tiles writes ``tilemapresource.xml`` next to tiles that it counts from the south. Most
folders have neither and count from the north; MBTiles count from the south by their specification.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from placevec.errors import AreaError, SourceError, UsageError
from placevec.geo import Area, Ints, tile_xy_to_lonlat
from placevec.io.json_documents import check, read_json
from placevec.options.choices import Rows

Scheme = Literal["xyz", "tms"]
AskedScheme = Rows
TILE_MAP = "tilemapresource.xml"
TILEJSON = ("tiles.json", "tilejson.json", "metadata.json")
"""File names of TileJSON next to tiles; the last one is also used for other documents."""
_MAX_BYTES = 64 * 2**20
_MERCATOR = ("EPSG:3857", "EPSG:900913", "EPSG:3785", "OSGEO:41001", "EPSG:102100", "EPSG:102113")
_PROFILES = ("mercator", "global-mercator")
_LOOKED_AT = 10_000


def asked_scheme(scheme: str) -> AskedScheme:
    """``scheme`` itself if it is valid, otherwise UsageError.

    >>> asked_scheme("tms")
    'tms'
    """
    if scheme not in get_args(AskedScheme):
        raise UsageError(f"--scheme must be one of {', '.join(get_args(AskedScheme))}; got {scheme!r}")
    return scheme  # type: ignore[return-value]


def stated_scheme(folders: Sequence[Path]) -> tuple[Scheme, str] | None:
    """The scheme in the files of the first folder that has such files, and the file that states it.

    Raises:
        SourceError: two files disagree, one cannot be read, or the tiles are in another projection.
    """
    for folder in folders:
        told: dict[str, Scheme] = {}
        for name in TILEJSON:
            scheme = _of_tilejson(folder / name)
            if scheme is not None:
                told[name] = scheme
        if (folder / TILE_MAP).is_file():
            _check_projection(folder / TILE_MAP)
            told[TILE_MAP] = "tms"
        if len(set(told.values())) > 1:
            says = " and ".join(f"{name} {scheme}" for name, scheme in told.items())
            raise SourceError(
                f"the files of {folder} disagree on how rows are counted ({says}): set --scheme"
            )
        for name, scheme in told.items():
            return scheme, name
    return None


def _of_tilejson(path: Path) -> Scheme | None:
    content = small_json(path)
    scheme = content.get("scheme")
    if scheme is None or (path.name == TILEJSON[-1] and scheme not in get_args(Scheme)):
        return None
    if scheme not in get_args(Scheme):
        raise SourceError(
            f"{path} has the scheme {str(scheme)[:40]!r}, which is neither xyz nor tms: set it with --scheme"
        )
    return scheme  # type: ignore[no-any-return]


def small_json(path: Path) -> Mapping[str, Any]:
    """The contents of a JSON document next to tiles; empty if there is none, or if it may be something else.

    Raises:
        SourceError: a document that is TileJSON by its name cannot be read.
    """
    try:
        if not path.is_file() or path.stat().st_size > _MAX_BYTES:
            return {}
        content = read_json(path)
        check(content, {})
    except (OSError, ValueError) as error:
        if path.name == TILEJSON[-1]:
            return {}
        raise SourceError(f"cannot read {path}: {error}; fix or remove it") from error
    found: Mapping[str, Any] = content
    return found


def _check_projection(path: Path) -> None:
    """SourceError for tiles that are not in Web Mercator."""
    try:
        text = path.read_bytes()[:_MAX_BYTES].decode("utf-8", "replace")
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from error
    profile = re.search(r"<TileSets\b[^>]*\bprofile\s*=\s*[\"']([^\"']*)", text)
    system = re.search(r"<SRS>\s*([^<\s]*)", text)
    wrong = [
        found[1]
        for found, known in ((profile, _PROFILES), (system, _MERCATOR))
        if found is not None and found[1] and found[1] not in known
    ]
    if wrong:
        raise SourceError(
            f"the tiles next to {path} are in {wrong[0][:60]!r}, not in Web Mercator: create them with gdal2tiles "
            "--profile mercator"
        )


# --- rows that contradict bounds -----------------------------------------------------------------------------


def contradiction(tiles: Ints, zoom: int, bounds: object, what: str) -> str | None:
    """A message if most tiles lie outside their stated bounds; otherwise None.

    Args:
        tiles: (N, 2) x, y counted from the north, as they are read.
        zoom: zoom of the tiles.
        bounds: (west, south, east, north) degrees, as numbers or as text with commas; invalid ones are ignored.
        what: name of the tiles, for the message.

    >>> contradiction(np.array([[9326, 4742]]), 14, "24.9,60.1,25.0,60.2", "the tiles of city") is None
    True
    """
    area = _area(bounds)
    if area is None or len(tiles) == 0:
        return None
    some = tiles[np.unique(np.linspace(0, len(tiles) - 1, min(len(tiles), _LOOKED_AT)).astype(np.int64))]
    turned = np.stack([some[:, 0], 2**zoom - 1 - some[:, 1]], axis=1)
    inside, other = _share_inside(some, zoom, area), _share_inside(turned, zoom, area)
    if inside >= 0.5:
        return None
    said = ", ".join(f"{value:g}" for value in area.bounds)
    lies = _extent(some, zoom)
    if other > inside:
        return (
            f"{what} lie at {lies}, but their bounds are {said}: they would match if counted from the other end; if so, "
            "set --scheme xyz (rows from the north) or --scheme tms (from the south)"
        )
    return f"{what} lie at {lies}, outside their stated bounds ({said})"


def _area(bounds: object) -> Area | None:
    try:
        if isinstance(bounds, str):
            return Area.parse(bounds)
        if isinstance(bounds, (list, tuple)):
            return Area.of([float(value) for value in bounds])
    except (AreaError, TypeError, ValueError):
        pass
    return None


def _share_inside(tiles: Ints, zoom: int, area: Area) -> float:
    """The share of tiles that touch an area."""
    corners = tile_xy_to_lonlat(np.stack([tiles, tiles + 1], axis=1).astype(np.float64), zoom)
    west, north, east, south = corners[:, 0, 0], corners[:, 0, 1], corners[:, 1, 0], corners[:, 1, 1]
    inside = np.zeros(len(tiles), bool)
    for left, low, right, high in area.parts():
        inside |= (east >= left) & (west <= right) & (north >= low) & (south <= high)
    return float(inside.mean())


def _extent(tiles: Ints, zoom: int) -> str:
    low, high = tiles.min(axis=0), tiles.max(axis=0) + 1
    (west, north), (east, south) = tile_xy_to_lonlat(np.stack([low, high]).astype(np.float64), zoom)
    return f"longitude {west:.5g} to {east:.5g}, latitude {south:.5g} to {north:.5g}"
