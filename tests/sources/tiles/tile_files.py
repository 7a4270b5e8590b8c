"""Writes tiles as other programs do."""

from __future__ import annotations

import io
import sqlite3
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image


def png(pixels: np.ndarray | None = None, *, mode: str | None = None, side: int = 256) -> bytes:
    """A PNG of (H, W[, C]) pixels, blank by default."""
    image = Image.fromarray(np.zeros((side, side), np.uint8) if pixels is None else pixels)
    file = io.BytesIO()
    (image if mode is None else image.convert(mode)).save(file, "PNG")
    return file.getvalue()


def write_layers(
    folder: Path, layers: Mapping[str, Mapping[tuple[int, int], bytes]], zoom: int, ending: str = ".png"
) -> None:
    """``LAYER/z/x/y.png``."""
    for layer, tiles in layers.items():
        (folder / layer / str(zoom)).mkdir(parents=True, exist_ok=True)
        for (x, y), content in tiles.items():
            path = folder / layer / str(zoom) / str(x) / f"{y}{ending}"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)


def write_mbtiles(path: Path, tiles: Mapping[tuple[int, int, int], object], **metadata: str) -> None:
    """(zoom, x, y counted southwards) -> content."""
    with sqlite3.connect(path) as file:
        file.execute("CREATE TABLE metadata (name text, value text)")
        file.execute(
            "CREATE TABLE tiles (zoom_level integer, tile_column integer, tile_row integer, tile_data blob)"
        )
        file.executemany("INSERT INTO metadata VALUES (?, ?)", metadata.items())
        file.executemany(
            "INSERT INTO tiles VALUES (?, ?, ?, ?)",
            [(z, x, 2**z - 1 - y, content) for (z, x, y), content in tiles.items()],
        )
    file.close()


def bomb(side: int = 50_000) -> bytes:
    """A PNG of 600 bytes that claims to be so many pixels wide and high."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(200_000))) + chunk(b"IEND", b"")
