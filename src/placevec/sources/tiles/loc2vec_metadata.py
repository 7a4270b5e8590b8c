"""``metadata.json`` of founding document 001: the points sampled in a folder of tiles.

Its coordinates are [lat, lon], the reverse of everywhere else; only this module deals with that.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from placevec.errors import PlacevecError, SourceError
from placevec.geo import MAX_ZOOM, Area, Floats, check_lonlat
from placevec.io.atomic import write_json
from placevec.io.json_documents import check, read_json

NAME = "metadata.json"
MAX_BYTES = 2**30
_SHAPE = {
    "zoom": int,
    "patch_size?": int,
    "region_bounds?": [float],
    "sample_coordinates": [list],
    "server_ip_source?": str,
    "server_port_source?": (int, str),
    "server_path_source?": str,
}


@dataclass(frozen=True)
class Loc2VecMetadata:
    """Metadata of the original pipeline about its tiles.

    Attributes:
        zoom: zoom of the tiles.
        lonlat: (N, 2) degrees of the samples, lon then lat.
        patch_size: pixels per side of the window around a sample.
        area: the sampled area.
        server_ip, server_port, server_path: source of the tiles; empty for placevec's own.
    """

    zoom: int
    lonlat: Floats
    patch_size: int = 64
    area: Area | None = None
    server_ip: str = ""
    server_port: int = 80
    server_path: str = ""


def read_loc2vec_metadata(path: str | Path) -> Loc2VecMetadata:
    """Read and check it; SourceError says what is wrong."""
    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SourceError(f"{path} is larger than {MAX_BYTES:,} bytes")
        content = read_json(path)
        check(content, _SHAPE)
        zoom, patch_size = content["zoom"], content.get("patch_size", 64)
        if not 0 <= zoom <= MAX_ZOOM:
            raise ValueError(f"zoom must be 0 to {MAX_ZOOM}; got {zoom}")
        if not 1 <= patch_size <= 4096:
            raise ValueError(f"patch_size must be 1 to 4096; got {patch_size}")
        samples = content["sample_coordinates"]
        for number, sample in enumerate(samples, 1):
            check(sample, [float], f"sample_coordinates, item {number}")
            if len(sample) != 2:
                raise ValueError(f"sample_coordinates, item {number} must be [lat, lon]; got {sample!r:.60}")
        latlon = np.array(samples, np.float64).reshape(-1, 2)
        lon, lat = check_lonlat(latlon[:, 1], latlon[:, 0])
        area = _area(content.get("region_bounds"))
        port = int(content.get("server_port_source", 80))
    except FileNotFoundError:
        raise SourceError(f"there is no {path}") from None
    except SourceError:
        raise
    except (OSError, ValueError, PlacevecError) as error:
        raise SourceError(f"{path} is not valid metadata for Loc2Vec tiles: {error}") from error
    return Loc2VecMetadata(
        zoom, np.stack([lon, lat], axis=1), patch_size, area, content.get("server_ip_source", ""), port,
        content.get("server_path_source", ""),
    )  # fmt: skip


def _area(bounds: list[float] | None) -> Area | None:
    if bounds is None:
        return None
    if len(bounds) != 4:
        raise ValueError(
            f"region_bounds must be min_lat, min_lon, max_lat, max_lon; got {len(bounds)} numbers"
        )
    south, west, north, east = bounds
    return Area(west, south, east, north)


def write_loc2vec_metadata(path: str | Path, metadata: Loc2VecMetadata) -> None:
    """Write it as the original pipeline reads it.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "metadata.json"
    >>> samples = np.array([[30.5, 50.4], [30.6, 50.5]])
    >>> write_loc2vec_metadata(file, Loc2VecMetadata(17, samples, 64, Area(30.5, 50.4, 30.6, 50.5), "", 80, ""))
    >>> read_loc2vec_metadata(file).lonlat.tolist()
    [[30.5, 50.4], [30.6, 50.5]]
    """
    lonlat = np.asarray(metadata.lonlat, np.float64)
    if metadata.area is not None:
        west, south, east, north = metadata.area.bounds
    else:
        (west, south), (east, north) = (
            (lonlat.min(axis=0), lonlat.max(axis=0)) if len(lonlat) else ((0, 0), (0, 0))
        )
    write_json(
        path,
        {
            "server_ip_source": metadata.server_ip,
            "server_port_source": metadata.server_port,
            "server_path_source": metadata.server_path,
            "zoom": metadata.zoom,
            "patch_size": metadata.patch_size,
            "region_bounds": [float(value) for value in (south, west, north, east)],
            "num_samples": len(lonlat),
            "sample_coordinates": lonlat[:, ::-1].tolist(),
        },
    )
