"""Files over all shards of a map: a virtual raster, and their coverage as one small raster.

A coverage cell is 16 x 16 pixels and stores the share of set pixels, as round(255 * share): overview, thumbnail and
coverage baseline in one. In an area that crosses the antimeridian, both continue eastwards beyond 180° (x of more than
20,037,508 m), so that the area stays in one piece.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from placevec.datasets.views.raster.coverage import CELL_PX, CELLS_PER_TILE
from placevec.datasets.views.raster.shards import SHARD_PX, SHARD_TILES
from placevec.geo import MERCATOR_HALF, TILE_PX
from placevec.geo.geotiff import ATTRIBUTION, RGB, GeoTiffWriter
from placevec.io.atomic import replacing, write_text
from placevec.preparation.rasterize.spool import TileRange

COVERAGE_BLOCK = 256
"""Side of a block of the coverage raster in cells."""
BLOCK_TILES = COVERAGE_BLOCK // CELLS_PER_TILE
BLOCKS_PER_SHARD = SHARD_TILES // BLOCK_TILES

_ONE_BIT = '    <Metadata domain="IMAGE_STRUCTURE"><MDI key="NBITS">1</MDI></Metadata>'

CoverageBlock = tuple[int, int, int, bytes]
"""Channel, row and column of the block in its shard, and the compressed cells."""


@dataclass(frozen=True)
class Extent:
    """The rectangle of tiles that a map fills; x can exceed the last tile of the world.

    Attributes:
        zoom: zoom of the tiles.
        x, y: upper left tile, multiples of 16.
        width, height: tiles, multiples of 16.
    """

    zoom: int
    x: int
    y: int
    width: int
    height: int

    @classmethod
    def of(cls, ranges: Sequence[TileRange], zoom: int) -> Extent:
        """The smallest rectangle around one range, or around the two sides of the antimeridian."""
        world = 2**zoom
        x0, x1 = ranges[0][0], ranges[0][2]
        if len(ranges) == 2:
            # Worlds with fewer tiles than a shard cannot be continued shard by shard: use all of it.
            x0, x1 = (x0, ranges[1][2] + world) if world % SHARD_TILES == 0 else (0, world - 1)
        y0, y1 = min(r[1] for r in ranges), max(r[3] for r in ranges)
        x, y = x0 // BLOCK_TILES * BLOCK_TILES, y0 // BLOCK_TILES * BLOCK_TILES
        width = (x1 - x) // BLOCK_TILES * BLOCK_TILES + BLOCK_TILES
        return cls(zoom, x, y, width, (y1 - y) // BLOCK_TILES * BLOCK_TILES + BLOCK_TILES)

    @property
    def resolution(self) -> float:
        """Projected meters per pixel."""
        return 2.0 * MERCATOR_HALF / (TILE_PX * 2.0**self.zoom)

    @property
    def corner(self) -> tuple[float, float]:
        """Projected meters west and north of the upper left corner."""
        tile = TILE_PX * self.resolution
        return self.x * tile - MERCATOR_HALF, MERCATOR_HALF - self.y * tile

    def shard_columns(self, shard_x: int) -> int:
        """Tiles from the left edge to the left edge of a shard, on the side of the antimeridian where it is shown."""
        columns = shard_x * SHARD_TILES - self.x
        return columns + 2**self.zoom if columns <= -SHARD_TILES else columns


class CoverageWriter:
    """Writes ``*_coverage.tif`` shard by shard; only the table of blocks is held in memory."""

    def __init__(
        self, path: Path, extent: Extent, names: Sequence[str], attribution: str = ATTRIBUTION
    ) -> None:
        self._extent = extent
        west, north = extent.corner
        self._file = GeoTiffWriter(
            path, width=extent.width * CELLS_PER_TILE, height=extent.height * CELLS_PER_TILE, block=COVERAGE_BLOCK,
            names=names, bits=8, west=west, north=north, resolution=extent.resolution * CELL_PX,
            attribution=attribution,
        )  # fmt: skip

    def add(self, shard: tuple[int, int], band: int, row: int, column: int, compressed: bytes) -> None:
        """Write block (row, column) of a shard to its position; blocks outside the extent are dropped."""
        x = self._extent.shard_columns(shard[0]) // BLOCK_TILES + column
        y = (shard[1] * SHARD_TILES - self._extent.y) // BLOCK_TILES + row
        if 0 <= x < self._extent.width // BLOCK_TILES and 0 <= y < self._extent.height // BLOCK_TILES:
            self._file.add(band, y, x, compressed)

    def close(self) -> None:
        """Complete the file."""
        self._file.close()


def write_vrt(
    path: Path,
    extent: Extent,
    shards: Sequence[tuple[int, int]],
    names: Sequence[str],
    *,
    bits: int = 1,
    attribution: str = ATTRIBUTION,
) -> None:
    """A GDAL virtual raster over the ``map/X_Y.tif`` next to it, with relative paths and the names of the bands.

    Args:
        path: the file to write.
        extent: area that it covers.
        shards: X, Y of the existing shards.
        names: names of the bands.
        bits: bits per pixel, 1 or 8.
        attribution: attribution stored in the file.
    """
    width, height = extent.width * TILE_PX, extent.height * TILE_PX
    west, north = extent.corner
    transform = f"{west!r}, {extent.resolution!r}, 0.0, {north!r}, 0.0, {-extent.resolution!r}"
    lines = [
        f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}">',
        "  <SRS>EPSG:3857</SRS>",
        f"  <GeoTransform>{transform}</GeoTransform>",
        f'  <Metadata><MDI key="ATTRIBUTION">{html.escape(attribution, quote=False)}</MDI></Metadata>',
    ]
    is_rgb = bits == 8 and tuple(names) == RGB
    for number, name in enumerate(names, 1):
        lines += [
            f'  <VRTRasterBand dataType="Byte" band="{number}" blockXSize="{TILE_PX}" blockYSize="{TILE_PX}">',
            f"    <Description>{html.escape(name, quote=False)}</Description>",
            *([f"    <ColorInterp>{name.capitalize()}</ColorInterp>"] if is_rgb else []),
            *([_ONE_BIT] if bits == 1 else []),
            *(_source(extent, shard, number) for shard in shards),
            "  </VRTRasterBand>",
        ]
    write_text(path, "\n".join([*lines, "</VRTDataset>", ""]))


def _source(extent: Extent, shard: tuple[int, int], band: int) -> str:
    x = extent.shard_columns(shard[0]) * TILE_PX
    y = (shard[1] * SHARD_TILES - extent.y) * TILE_PX
    left, top = max(x, 0), max(y, 0)
    right = min(x + SHARD_PX, extent.width * TILE_PX)
    bottom = min(y + SHARD_PX, extent.height * TILE_PX)
    size = f'xSize="{right - left}" ySize="{bottom - top}"'
    return (
        f'    <SimpleSource><SourceFilename relativeToVRT="1">map/{shard[0]}_{shard[1]}.tif</SourceFilename>'
        f"<SourceBand>{band}</SourceBand>"
        f'<SourceProperties RasterXSize="{SHARD_PX}" RasterYSize="{SHARD_PX}" DataType="Byte"'
        f' BlockXSize="{TILE_PX}" BlockYSize="{TILE_PX}"/>'
        f'<SrcRect xOff="{left - x}" yOff="{top - y}" {size}/><DstRect xOff="{left}" yOff="{top}" {size}/>'
        "</SimpleSource>"
    )


def write_coverage(
    path: Path,
    extent: Extent,
    names: Sequence[str],
    first_channel: int,
    parts: Iterable[tuple[tuple[int, int], Sequence[CoverageBlock]]],
    *,
    attribution: str = ATTRIBUTION,
) -> None:
    """One coverage raster of the channels from ``first_channel`` on, from the blocks of all shards."""
    with replacing(path) as temporary:
        writer = CoverageWriter(temporary, extent, names, attribution)
        for shard, blocks in parts:
            for channel, row, column, compressed in blocks:
                if 0 <= channel - first_channel < len(names):
                    writer.add(shard, channel - first_channel, row, column, compressed)
        writer.close()
