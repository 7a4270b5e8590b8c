"""Results on disk: one file for an encoder, probe, task, kind of folds and seed. A killed run goes on where it was."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec.atomic import sha256_of_json, write_bytes
from placevec.benchmark.folds import Scheme
from placevec.benchmark.ridge import Choice
from placevec.benchmark.tasks import PointTask

VERSION = 1
"""Of what is computed: a change of a probe that changes answers counts it up, and old cells are made again."""
_MOST_BYTES = 1 << 27


@dataclass(frozen=True)
class Key:
    """Which cell."""

    task: str
    scheme: Scheme
    seed: int
    probe: str
    entrant: str

    def path(self, out: Path) -> Path:
        """Of its file: names of encoders become letters, digits and signs that every file system takes."""
        name = re.sub(r"[^A-Za-z0-9+.]+", "-", self.entrant).strip("-")
        return out / "cells" / self.task / f"{self.scheme}-{self.seed}" / f"{self.probe}-{name}.npz"


@dataclass(frozen=True)
class Cell:
    """One result.

    Attributes:
        predicted: (N,) as `measures.stored` keeps it.
        choices: what was chosen in each fold.
        seconds: that it took.
    """

    predicted: NDArray[Any]
    choices: tuple[Choice, ...]
    seconds: float


def identity(task: PointTask, folds: int, settings: Sequence[Any]) -> str:
    """SHA-256 of everything that a cell's answers depend on beside its key."""
    data = hashlib.sha256()
    for array in (task.lonlat, task.target, task.further):
        data.update(np.ascontiguousarray(array).tobytes())
    return sha256_of_json(
        [
            VERSION,
            data.hexdigest(),
            task.block_m,
            task.kind,
            folds,
            [sorted(map(repr, one.items())) for one in settings],
        ]
    )


def write(key: Key, out: Path, cell: Cell, made_of: str) -> None:
    """Write a cell, whole or not at all."""
    held = io.BytesIO()
    np.savez_compressed(
        held,
        predicted=cell.predicted,
        choices=np.array([(one.setting, one.alpha, one.at_edge) for one in cell.choices], np.float64).reshape(
            -1, 3
        ),
        seconds=np.float64(cell.seconds),
        made_of=np.array(_signed(key, made_of)),
    )
    write_bytes(key.path(out), held.getvalue())


def read(key: Key, out: Path, made_of: str) -> Cell | None:
    """A cell, or None where there is none, a damaged one, or one of other data or settings."""
    path = key.path(out)
    try:
        if path.stat().st_size > _MOST_BYTES:
            return None
        with (
            path.open("rb") as file,
            np.load(file, allow_pickle=False) as held,
        ):  # np.load leaves damaged ones open
            if str(held["made_of"]) != _signed(key, made_of):
                return None
            choices = tuple(
                Choice(int(setting), float(alpha), bool(edge)) for setting, alpha, edge in held["choices"]
            )
            return Cell(held["predicted"], choices, float(held["seconds"]))
    except Exception:  # of a damaged file: zlib, zipfile and numpy each raise their own, of many kinds
        return None


def _signed(key: Key, made_of: str) -> str:
    """What a file says of itself: a copy of another cell is not taken for this one."""
    return sha256_of_json([made_of, key.task, key.scheme, key.seed, key.probe, key.entrant])
