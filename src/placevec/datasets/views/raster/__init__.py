"""The raster view: shards of tiles, read in windows at any place, size and angle."""

NAME = "map"
"""What the view of a map is called."""
KIND = "raster"
"""Of views that are stored in shards of tiles."""
