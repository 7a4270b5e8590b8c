"""Labeled points as a dataset: read, classified, split and written."""
