"""Stored looks at places, read in batches: one file a view, and what draws and stores them."""
