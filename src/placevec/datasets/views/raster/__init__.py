"""The raster view: shards of tiles, read in windows at any place, size and angle."""
