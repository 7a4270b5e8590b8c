"""Ready map tiles, from a server or a folder, into shards; and out again."""
