"""Existing map tiles, from a server or a folder, converted to shards and back."""
