"""Labeled points into a dataset: staged, decided on, split and written."""
