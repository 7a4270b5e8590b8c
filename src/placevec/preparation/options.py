"""The options of preparing a map: where it comes from, which area, which places."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from placevec.errors import UsageError
from placevec.options import Options, flag_of, option, options_of
from placevec.options.choices import Rows

if TYPE_CHECKING:
    from placevec.geo import Area

ZOOM = 17
"""Whose pixels are stored where nobody says: 0.5 to 1.2 m."""
_TILES = ("tile_folder", "mbtiles", "tiles", "server_ip")
_EDGES = ("min_lon", "min_lat", "max_lon", "max_lat")


def read_box(value: Any) -> Any:
    """The box that was given as an area; an `Area`, four numbers or "west,south,east,north"."""
    if value is None:
        return None
    from placevec.geo.areas import area_of

    try:
        return area_of(value)
    except TypeError:  # a number, or four texts, of a file
        raise UsageError(f"--bbox is {repr(value)[:60]}, not west,south,east,north in degrees") from None


@dataclass(frozen=True)
class AreaOptions(Options):
    """Which area: a box, the polygons of a file, or all that the source holds."""

    GROUP: ClassVar[str] = "Area"

    bbox: Any = option(
        None,
        "Area as west,south,east,north, degrees (default: all that the source covers)",
        kind=str,
        read=read_box,
    )
    polygon: Path | None = option(None, "Area as the polygons of a GeoJSON file")
    min_lat: float | None = option(
        None, "South edge of the area, degrees (with the other three, instead of --bbox)"
    )
    min_lon: float | None = option(None, "West edge of the area, degrees")
    max_lat: float | None = option(None, "North edge of the area, degrees")
    max_lon: float | None = option(None, "East edge of the area, degrees")

    def __post_init__(self) -> None:
        super().__post_init__()
        edges = [getattr(self, name) for name in _EDGES]
        if any(edge is not None for edge in edges):
            if self.bbox is not None or None in edges:
                raise UsageError("an area is --bbox, or all of --min-lat, --min-lon, --max-lat and --max-lon")
            object.__setattr__(self, "bbox", read_box(edges))
        if self.bbox is not None and self.polygon is not None:
            raise UsageError("give a bounding box or a polygon, not both")

    def area(self) -> Area | None:
        """The area that was asked for; None where none was.

        Raises:
            AreaError: the file of polygons cannot be used.
        """
        if self.polygon is not None:
            from placevec.geo import Area

            return Area.from_geojson(self.polygon)
        found: Area | None = self.bbox
        return found


@dataclass(frozen=True)
class PlaceOptions(Options):
    """Which places: tiles of the map, a grid, or those of a table."""

    GROUP: ClassVar[str] = "Places"

    spacing: float | None = option(
        None, "Distance of places on a grid, meters (instead of map tiles)", above=0
    )
    places: Path | None = option(None, "Table of places, points or polygons: CSV, Parquet or GeoJSON")
    size_m: float | None = option(
        None, "Side of a place, meters, for --spacing, --places and --samples (default 200)", above=0
    )
    all_tiles: bool = option(False, "Places that hold no feature kept too")


@dataclass(frozen=True)
class ExtractOptions(Options):
    """An OpenStreetMap extract."""

    GROUP: ClassVar[str] = "OpenStreetMap extract"

    osm: Path | None = option(
        None, "Extract: .osm.pbf, .osm, .osm.gz or .osm.bz2 (beside ready tiles it labels them)"
    )
    osm_name: str | None = option(
        None, "Name of an extract to download, such as Monaco (helsinki-center is embedded)"
    )
    layers: Path | None = option(None, "Layer table, TOML (default: the twelve layers)")


@dataclass(frozen=True)
class TileFolderOptions(Options):
    """Tiles that are there already."""

    GROUP: ClassVar[str] = "Ready tiles"

    tile_folder: Path | None = option(
        None, "Folder of tiles: LAYER/z/x/y.png (masks), tile_z_x_y.png or z/x/y.png (colors)"
    )
    mbtiles: tuple[Path, ...] = option(
        (), "MBTiles file of colors; repeated, or a folder of files, one layer each"
    )
    threshold: int | None = option(
        None,
        "Contrast to the background from which a pixel of a layer is set (default: found)",
        min=1,
        max=255,
    )
    background: str = option(
        "auto", "Background of layers (auto, white, black or transparent; for single layers LAYER=KIND,...)"
    )
    require_all_layers: bool = option(False, "Only tiles that every layer has are places")
    keep_gray: bool = option(False, "Shades of layers kept, 8 bits a pixel, instead of a threshold")
    scheme: Rows = option(
        "auto",
        "Direction of the rows of tiles (xyz: from the north; tms: from the south; auto: as side files say)",
    )


@dataclass(frozen=True)
class TileServerOptions(Options):
    """A tile server, which is asked only for the tiles that the places need."""

    GROUP: ClassVar[str] = "Tile server"

    tiles: str | None = option(None, "Address of a tile server with {z}, {x} and {y}")
    server_ip: str | None = option(None, "Host of a tile server, with --server-port and --server-path")
    server_port: int = option(80, "Port of --server-ip")
    server_path: str = option("/hot/{z}/{x}/{y}.png", "Path on --server-ip")
    samples: int | None = option(
        None, "Number of random places in the area", min=1, max=10_000_000, flags=("--num-samples",)
    )
    seed: int = option(0, "Seed of the random places", min=0)
    patch_size: int | None = option(None, "Side of a place, pixels (instead of --size-m)", min=1, max=4096)
    margin_m: float | None = option(
        None,
        "Margin around each place whose tiles are downloaded too, meters (default: as far as training reaches)",
        min=0,
        max=100_000,
    )
    connections: int | None = option(
        None,
        "Connections to the server at once (default 2 on the open internet, 8 to one of your own)",
        min=1,
        max=64,
    )
    max_failed: float = option(
        0.05, "Maximum share of tiles that are missing, corrupt or failed", min=0, max=1
    )
    attribution: str | None = option(None, "Credit that the tiles ask for (default: OpenStreetMap's)")
    refresh_tiles: bool = option(False, "Tiles in the cache asked for again")


@dataclass(frozen=True)
class MapOptions(PlaceOptions, AreaOptions, TileServerOptions, TileFolderOptions, ExtractOptions):
    """A map from one source: an extract, ready tiles or a tile server.

    Raises:
        UsageError: two sources, or an option that the source has no use for.
    """

    GROUP: ClassVar[str] = "Map"

    zoom: int | None = option(None, "Zoom whose pixels are stored (default 17, or that of the tiles)")
    workers: int = option(1, "Processes that draw", min=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.zoom is not None:
            from placevec.geo import check_zoom_option

            check_zoom_option(self.zoom)
        tiles = self._named(*_TILES)
        extracts = self._named("osm", "osm_name")
        if len(tiles) > 1 or len(extracts) > 1:
            first, second, *_ = tiles if len(tiles) > 1 else extracts
            raise UsageError(f"name one source: {flag_of(first)} or {flag_of(second)}, not both")
        source = tiles[0] if tiles else "osm"
        if source not in ("tiles", "server_ip"):
            self._refuse(TileServerOptions, "is about tile servers: it needs --tiles or --server-ip")
        if source not in ("tile_folder", "mbtiles"):
            self._refuse(TileFolderOptions, "is about ready tiles: it needs --tile-folder or --mbtiles")
        if source != "osm" and self.layers is not None:
            raise UsageError("--layers draws an OpenStreetMap extract; tiles are drawn already")
        if self.tiles is not None and self._named("server_port", "server_path"):
            raise UsageError(
                "--server-port and --server-path go with --server-ip; --tiles holds the whole address"
            )
        if source in ("tiles", "server_ip"):
            self._check_samples()

    @property
    def of_tiles(self) -> bool:
        """Whether the map is made of tiles, which an extract may label, and not drawn from an extract."""
        return bool(self._named(*_TILES))

    def _named(self, *names: str) -> list[str]:
        """Those that are not as they are by default."""
        default = {one.name: one.default for one in options_of(MapOptions)}
        return [name for name in names if getattr(self, name) != default[name]]

    def _refuse(self, cls: type[Options], why: str) -> None:
        for name in self._named(*(one.name for one in options_of(cls))):
            raise UsageError(f"{flag_of(name)} {why}")

    def _check_samples(self) -> None:
        """UsageError for places of a tile server that are laid out in two ways, or have two sizes."""
        ways = self._named("samples", "spacing", "places")
        if len(ways) > 1:
            raise UsageError(f"places come from {flag_of(ways[0])} or from {flag_of(ways[1])}, not both")
        if self.patch_size is not None and self.size_m is not None:
            raise UsageError("the size of a place is --patch-size pixels or --size-m meters, not both")
        if not ways and (self.patch_size, self.size_m) != (None, None):
            raise UsageError(
                "places that are whole tiles have their size: name --samples, --spacing or --places"
            )
