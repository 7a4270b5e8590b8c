"""From sources to datasets."""
