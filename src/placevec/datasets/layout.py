"""Names of files in a dataset's directory. Light: drawing a map needs no more of a dataset than this."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

FORMAT = "placevec dataset"
"""Value of ``format`` in the manifest."""
SCHEMA_VERSION = 1
MANIFEST = "dataset.json"
WORK = ".work"
"""Folder for unfinished work: of a dataset without a manifest, or of an addition."""
PLACES = "places.parquet"


def source_entry(
    kind: str, name: str, files: Iterable[Path], *, sha256: str, attribution: str, path: str | None = None,
    url: str | None = None, timestamp: str | None = None, licence: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The manifest's entry of a source, whose bytes are those of ``files``.

    >>> source_entry("table", "shops", [], sha256="9a0d", attribution="a city", path="shops.csv")["bytes"]
    0
    """
    size = sum(file.stat().st_size for file in files)
    return {
        "kind": kind, "name": name, "path": path, "url": url, "sha256": sha256, "bytes": size, "timestamp": timestamp,
        "licence": licence, "attribution": attribution,
    }  # fmt: skip
