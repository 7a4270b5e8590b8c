"""Views of a dataset: the registry, and one reader per module."""
