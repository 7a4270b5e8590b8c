"""On which side of the split a row of a table lies: train, validation or test; decided a batch at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from placevec.errors import UsageError
from placevec.geo import Floats, spatial_blocks

DEFAULT_SHARE = 0.1
"""Of the rows that validate, and of those that test, when the table itself has no split."""


@dataclass(frozen=True)
class SplitPlan:
    """How rows are divided.

    Attributes:
        given: a column says it.
        validation: share of the rows, in expectation.
        test: likewise.
        block_m: side of blocks that are divided as a whole, meters, or None: every row on its own.
        seed: of the draw.
    """

    given: bool = False
    validation: float = DEFAULT_SHARE
    test: float = DEFAULT_SHARE
    block_m: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.validation + self.test >= 1:
            raise UsageError(
                f"--validation-share {self.validation:g} and --test-share {self.test:g} leave no row to train on"
            )


class Sides:
    """Gives rows their side, batch after batch in the order of the table; a new one gives the same sides again.

    Of classes whose rows are drawn on their own the first row is trained on, so that none is only tested.
    """

    def __init__(self, plan: SplitPlan, *, classes: bool) -> None:
        self.plan, self.classes = plan, classes
        self._draw = np.random.default_rng([plan.seed, 0x51DE])
        self._seen: set[str] = set()

    def of(self, batch: pa.RecordBatch, used: NDArray[np.bool_]) -> NDArray[np.int8]:
        """(N,) int8: 0 train, 1 validation, 2 test of rows with ``lon``, ``lat``, and ``label`` or ``split``."""
        if self.plan.given:
            return np.asarray(batch.column("split")).astype(np.int8)
        if self.plan.block_m is not None:
            lonlat = np.stack([np.asarray(batch.column(name), np.float64) for name in ("lon", "lat")], axis=1)
            return self._sides(_of_blocks(lonlat, self.plan.block_m, self.plan.seed))
        side = self._sides(self._draw.random(batch.num_rows))
        if not self.classes:
            return side
        labels = batch.column("label").dictionary_encode()
        codes = np.where(used, np.asarray(labels.indices.fill_null(-1)), -1)
        present, first = np.unique(codes, return_index=True)
        names = labels.dictionary.to_pylist()
        for code, at in zip(present.tolist(), first.tolist(), strict=True):
            if code >= 0 and names[code] not in self._seen:
                self._seen.add(names[code])
                side[at] = 0
        return side

    def _sides(self, uniform: Floats) -> NDArray[np.int8]:
        return np.select(
            [uniform < self.plan.test, uniform < self.plan.test + self.plan.validation], [2, 1], 0
        ).astype(np.int8)


def _of_blocks(lonlat: Floats, block_m: float, seed: int) -> Floats:
    """(N,) uniform in [0, 1), the same for all points of a block."""
    blocks = spatial_blocks(lonlat[:, 0], lonlat[:, 1], block_m)
    key = blocks.astype(np.uint64) + (np.uint64(seed & 0xFFFFFFFF) << np.uint64(32))
    hashes = pd.util.hash_array(key)
    return np.asarray((hashes >> np.uint64(11)).astype(np.float64) / 2.0**53)
