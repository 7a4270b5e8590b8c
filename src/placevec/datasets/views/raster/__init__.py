"""The raster view: shards of tiles, read in windows at any place, size and angle."""

NAME = "map"
"""Name of the map view."""
KIND = "raster"
"""Kind of views that are stored in shards of tiles."""
