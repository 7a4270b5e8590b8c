"""Draws maps into shards."""
