"""Map tiles: addresses, plans, downloads, folders, MBTiles, decoding."""
