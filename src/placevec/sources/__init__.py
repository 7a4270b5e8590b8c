"""Data sources, read into tables: one module per source."""
