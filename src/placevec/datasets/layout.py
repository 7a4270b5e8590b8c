"""Names of files in a dataset's directory. Light: drawing a map needs no more of a dataset than this."""

FORMAT = "placevec dataset"
"""Value of ``format`` in the manifest."""
SCHEMA_VERSION = 1
MANIFEST = "dataset.json"
WORK = ".work"
"""Folder for unfinished work: of a dataset without a manifest, or of an addition."""
PLACES = "places.parquet"
