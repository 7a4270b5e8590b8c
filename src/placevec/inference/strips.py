"""Keeps finished strips of a raster, so that a killed `predict` can continue."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from placevec.inference.grid import Grid
from placevec.inference.query import Question
from placevec.io import atomic

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

_STAMP = "inputs.json"


class KeptStrips:
    """A folder with the finished strips of a raster. Strips of another query, grid or land are removed.

    Args:
        path: path of the raster.
        question: the query.
        grid: the cells.
        land: area outside which there are no values.
    """

    def __init__(self, path: Path, question: Question, grid: Grid, land: BaseGeometry | None) -> None:
        self.folder = path.with_name(f".{path.name}.work")
        fingerprint = {
            "model": question.model.hash, "columns": list(question.columns), "year": question.year,
            "area": [grid.area.west, grid.area.south, grid.area.east, grid.area.north],
            "cells": [grid.width, grid.height], "land": None if land is None else hashlib.sha256(land.wkb).hexdigest(),
        }  # fmt: skip
        stamp = self.folder / _STAMP
        if self.folder.exists() and _read(stamp) != fingerprint:
            shutil.rmtree(self.folder)
        if not stamp.exists():
            atomic.write_json(stamp, fingerprint)

    def get(self, start: int, shape: tuple[int, int]) -> NDArray[np.float32] | None:
        """The strip that begins at a row; None if it is missing or invalid (a pickle is never opened)."""
        try:
            values = np.load(self._file(start), allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        fits = isinstance(values, np.ndarray) and values.shape == shape and values.dtype == np.float32
        return values if fits else None

    @property
    def count(self) -> int:
        """Number of finished strips."""
        return sum(1 for _ in self.folder.glob("rows-*.npy"))

    def put(self, start: int, values: NDArray[np.float32]) -> None:
        """Keep a strip, atomically."""
        content = io.BytesIO()
        np.save(content, values, allow_pickle=False)
        atomic.write_bytes(self._file(start), content.getvalue())

    def remove(self) -> None:
        """Remove the folder once the raster is written."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _file(self, start: int) -> Path:
        return self.folder / f"rows-{start:09d}.npy"


def _read(stamp: Path) -> object:
    try:
        found: object = json.loads(stamp.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found
