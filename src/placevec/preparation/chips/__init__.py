"""Image chips as a view: shards of pixels, and statistics of their bands."""
