"""Geometry on the Earth: areas, slippy-map tiles, distances in meters, spatial blocks.

Longitudes and latitudes are WGS84 degrees and always named; arrays are float64 and ordered (lon, lat).
Web Mercator functions reject latitudes beyond 85.0511 degrees; everything in meters works anywhere.
"""

from placevec.geo.areas import (
    Area,
)
from placevec.geo.blocks import (
    hold_out_blocks,
    spatial_blocks,
    within_distance,
)
from placevec.geo.coordinates import (
    WGS84_A,
    WGS84_E2,
    Floats,
    Ints,
    check_lonlat,
    wrap_longitude,
)
from placevec.geo.meters import (
    distance_m,
    local_offset,
    metric_grid,
    offset,
    to_ecef,
)
from placevec.geo.tiles import (
    MAX_MERCATOR_LATITUDE,
    MAX_ZOOM,
    MERCATOR_HALF,
    TILE_PX,
    check_zoom,
    check_zoom_option,
    footprint_bounds,
    lonlat_to_tile_xy,
    meters_per_pixel,
    parse_tile_id,
    tile_bounds,
    tile_id,
    tile_ranges,
    tile_xy_to_lonlat,
    tiles_of_area,
)

__all__ = [
    "MAX_MERCATOR_LATITUDE",
    "MAX_ZOOM",
    "MERCATOR_HALF",
    "TILE_PX",
    "WGS84_A",
    "WGS84_E2",
    "Area",
    "Floats",
    "Ints",
    "check_lonlat",
    "check_zoom",
    "check_zoom_option",
    "distance_m",
    "footprint_bounds",
    "hold_out_blocks",
    "local_offset",
    "lonlat_to_tile_xy",
    "meters_per_pixel",
    "metric_grid",
    "offset",
    "parse_tile_id",
    "spatial_blocks",
    "tile_bounds",
    "tile_id",
    "tile_ranges",
    "tile_xy_to_lonlat",
    "tiles_of_area",
    "to_ecef",
    "within_distance",
    "wrap_longitude",
]
