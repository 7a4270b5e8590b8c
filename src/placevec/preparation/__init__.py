"""Prepares datasets from sources."""
