"""Where osmium stores node locations while reading: in memory or, for large files, in a file.

The file is mapped into memory, and the pages that were used count as memory of the process until the system reclaims
them. `PageReturner` releases them while reading, so that a country needs no more memory than a town. The content stays
in the file and in the system's cache.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from typing import Any

import osmium

LARGE_FILE = 16 * 2**20
"""Minimum bytes of an extract for which node locations are stored in a file."""
_EVERY = 20_000
_DONT_NEED = 4


def node_index(extract: Path, folder: Path) -> tuple[Any, list[Any]]:
    """The location store for one extract, and handlers that must see the data (none for small files)."""
    if extract.stat().st_size <= LARGE_FILE:
        return osmium.index.create_map("flex_mem"), []
    file = folder / "nodes.index"
    return osmium.index.create_map(f"sparse_file_array,{file}"), [PageReturner(file)]


class PageReturner:
    """An osmium handler that releases pages of a mapped file to the system, after every given number of objects."""

    def __init__(self, file: Path) -> None:
        self._name, self._seen = str(file), 0
        self._libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def node(self, _: Any) -> None:
        """Count a node."""
        self._count()

    def way(self, _: Any) -> None:
        """Count a way."""
        self._count()

    def _count(self) -> None:
        self._seen += 1
        if self._libc is not None and self._seen % _EVERY == 0:
            self.return_pages()

    def return_pages(self) -> None:
        """Release the pages now; the system keeps the content of shared mappings."""
        if self._libc is None:
            return
        for line in Path("/proc/self/maps").read_text("utf-8", "replace").splitlines():
            if line.endswith(self._name) and line.split()[1].endswith("s"):
                first, end = (int(part, 16) for part in line.split()[0].split("-"))
                self._libc.madvise(ctypes.c_void_p(first), ctypes.c_size_t(end - first), _DONT_NEED)
