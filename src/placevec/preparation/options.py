"""The options of preparing a map: source, area and places."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from placevec.errors import UsageError
from placevec.options import Options, flag_of, option, options_of
from placevec.options.choices import EngineName, Rows

if TYPE_CHECKING:
    from placevec.distributed.engine import Engine
    from placevec.geo import Area

ZOOM = 17
"""Default zoom of the stored pixels: 0.5 to 1.2 m."""
ENGINE = "Engine"
_TILES = ("tile_folder", "mbtiles", "tiles", "server_ip")
_EDGES = ("min_lon", "min_lat", "max_lon", "max_lat")


def read_box(value: Any) -> Any:
    """A given box as an area: an `Area`, four numbers or "west,south,east,north"."""
    if value is None:
        return None
    from placevec.geo.areas import area_of

    try:
        return area_of(value)
    except TypeError:  # a number, or four texts, from a file
        raise UsageError(f"--bbox must be west,south,east,north in degrees; got {repr(value)[:60]}") from None


@dataclass(frozen=True)
class AreaOptions(Options):
    """The area: a box, the polygons of a file, or all of the source."""

    GROUP: ClassVar[str] = "Area"

    bbox: Any = option(
        None,
        "Area as west,south,east,north, degrees (default: all of the source)",
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
                raise UsageError(
                    "give an area as --bbox, or as all of --min-lat, --min-lon, --max-lat and --max-lon"
                )
            object.__setattr__(self, "bbox", read_box(edges))
        if self.bbox is not None and self.polygon is not None:
            raise UsageError("give either a bounding box or a polygon, not both")

    def area(self) -> Area | None:
        """The requested area, or None.

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
    """The places: tiles of the map, a grid, or those of a table."""

    GROUP: ClassVar[str] = "Places"

    spacing: float | None = option(
        None, "Distance between places on a grid, meters (instead of map tiles)", above=0
    )
    places: Path | None = option(None, "Table of places, points or polygons: CSV, Parquet or GeoJSON")
    size_m: float | None = option(
        None, "Side of a place, meters, for --spacing, --places and --samples (default 200)", above=0
    )
    all_tiles: bool = option(False, "Also keep places without any feature")


@dataclass(frozen=True)
class ExtractOptions(Options):
    """An OpenStreetMap extract."""

    GROUP: ClassVar[str] = "OpenStreetMap extract"

    osm: Path | None = option(
        None, "Extract: .osm.pbf, .osm, .osm.gz or .osm.bz2 (together with existing tiles, it adds labels)"
    )
    osm_name: str | None = option(
        None, "Name of an extract to download, such as Monaco (helsinki-center is included)"
    )
    layers: Path | None = option(None, "Layer table, TOML (default: the twelve layers)")


@dataclass(frozen=True)
class TileFolderOptions(Options):
    """Tiles that already exist."""

    GROUP: ClassVar[str] = "Existing tiles"

    tile_folder: Path | None = option(
        None, "Folder of tiles: LAYER/z/x/y.png (masks), tile_z_x_y.png or z/x/y.png (colors)"
    )
    mbtiles: tuple[Path, ...] = option(
        (),
        "MBTiles file of color tiles; if the option is repeated, or names a folder of files, each file is one "
        "layer",
    )
    threshold: int | None = option(
        None,
        "Minimum contrast with the background for a pixel to count as set (default: detected)",
        min=1,
        max=255,
    )
    background: str = option(
        "auto", "Background of layers (auto, white, black or transparent; for single layers LAYER=KIND,...)"
    )
    require_all_layers: bool = option(False, "Use as places only the tiles that exist in every layer")
    keep_gray: bool = option(
        False, "Keep the gray levels of layers, at 8 bits per pixel, instead of thresholding them"
    )
    scheme: Rows = option(
        "auto",
        "Numbering of tile rows (xyz: from the north; tms: from the south; auto: from metadata files)",
    )


@dataclass(frozen=True)
class TileServerOptions(Options):
    """A tile server; only the tiles that the places need are requested."""

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
        "Margin around each place for which tiles are also downloaded, meters (default: what training needs)",
        min=0,
        max=100_000,
    )
    connections: int | None = option(
        None,
        "Simultaneous connections to the server (default 2 for a server on the internet, 8 for one on your own "
        "machine or network)",
        min=1,
        max=64,
    )
    max_failed: float = option(
        0.05, "Maximum share of tiles that are missing, corrupt or failed", min=0, max=1
    )
    attribution: str | None = option(None, "Attribution that the tiles require (default: OpenStreetMap's)")
    refresh_tiles: bool = option(False, "Check cached tiles with the server again")


@dataclass(frozen=True)
class MapOptions(PlaceOptions, AreaOptions, TileServerOptions, TileFolderOptions, ExtractOptions):
    """A map from one source: an extract, existing tiles or a tile server.

    Raises:
        UsageError: two sources, or an option that does not apply to the source.
    """

    GROUP: ClassVar[str] = "Map"

    zoom: int | None = option(None, "Zoom at which the map is stored (default 17, or that of the tiles)")
    engine: EngineName = option(
        "local",
        "Where an extract is drawn: in processes on this machine, or by workers of a Ray cluster (needs the extra scale)",
        group=ENGINE,
    )
    address: str | None = option(
        None,
        "Address of the head node of a running Ray cluster (default: a temporary cluster on this machine)",
        group=ENGINE,
    )
    workers: int | None = option(
        None,
        "Number of processes that draw the map (default 1; with ray, one per CPU)",
        group=ENGINE,
        min=1,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.zoom is not None:
            from placevec.geo import check_zoom_option

            check_zoom_option(self.zoom)
        tiles = self._named(*_TILES)
        extracts = self._named("osm", "osm_name")
        if len(tiles) > 1 or len(extracts) > 1:
            first, second, *_ = tiles if len(tiles) > 1 else extracts
            raise UsageError(f"give only one source: {flag_of(first)} or {flag_of(second)}")
        source = tiles[0] if tiles else "osm"
        if source not in ("tiles", "server_ip"):
            self._refuse(TileServerOptions, "applies to tile servers: it needs --tiles or --server-ip")
        if source not in ("tile_folder", "mbtiles"):
            self._refuse(TileFolderOptions, "applies to existing tiles: it needs --tile-folder or --mbtiles")
        if not extracts and self.engine != "local":
            raise UsageError("--engine ray applies to drawing an extract: it needs --osm or --osm-name")
        _ = self.chosen_engine
        if source != "osm" and self.layers is not None:
            raise UsageError("--layers applies to drawing an OpenStreetMap extract, not to tiles")
        if self.tiles is not None and self._named("server_port", "server_path"):
            raise UsageError(
                "--server-port and --server-path need --server-ip; --tiles takes the complete address"
            )
        if source in ("tiles", "server_ip"):
            self._check_samples()

    @property
    def chosen_engine(self) -> Engine:
        """Where an extract is drawn; UsageError for options that do not go together."""
        from placevec.distributed.engine import Engine

        return Engine(self.engine, self.address, self.workers)

    @property
    def of_tiles(self) -> bool:
        """Whether the map is made from tiles, not drawn from an extract, which can still add labels."""
        return bool(self._named(*_TILES))

    def _named(self, *names: str) -> list[str]:
        """Options that differ from their default."""
        default = {one.name: one.default for one in options_of(MapOptions)}
        return [name for name in names if getattr(self, name) != default[name]]

    def _refuse(self, cls: type[Options], why: str) -> None:
        for name in self._named(*(one.name for one in options_of(cls))):
            raise UsageError(f"{flag_of(name)} {why}")

    def _check_samples(self) -> None:
        """UsageError for two ways to choose the places of a tile server, or two sizes."""
        ways = self._named("samples", "spacing", "places")
        if len(ways) > 1:
            raise UsageError(f"choose places with either {flag_of(ways[0])} or {flag_of(ways[1])}, not both")
        if self.patch_size is not None and self.size_m is not None:
            raise UsageError(
                "set the size of a place with either --patch-size (pixels) or --size-m (meters), not both"
            )
        if not ways and (self.patch_size, self.size_m) != (None, None):
            raise UsageError(
                "places are whole tiles, which have a fixed size: add --samples, --spacing or --places"
            )
