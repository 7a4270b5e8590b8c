"""Maps drawn into shards."""
