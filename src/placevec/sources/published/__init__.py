"""Embeddings that others publish: rasters read at places, and tables of their own places."""
