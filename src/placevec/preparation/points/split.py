"""Assigns rows of a table to train, validation or test, batch by batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from placevec.errors import UsageError
from placevec.geo import Floats, spatial_blocks

DEFAULT_SHARE = 0.1
"""Default shares of validation and test rows, if the table has no split."""


@dataclass(frozen=True)
class SplitPlan:
    """How rows are split.

    Attributes:
        given: a column has the split.
        validation: expected share of validation rows.
        test: expected share of test rows.
        block_m: side in meters of blocks that are assigned as a whole, or None for single rows.
        seed: random seed.
    """

    given: bool = False
    validation: float = DEFAULT_SHARE
    test: float = DEFAULT_SHARE
    block_m: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.validation + self.test >= 1:
            raise UsageError(
                f"--validation-share {self.validation:g} and --test-share {self.test:g} leave no row for training"
            )


class Sides:
    """Assigns rows to splits, batch by batch in the order of the table; a new instance gives the same result.

    If rows are assigned separately, the first row of a class is for training, so that no class is only tested.
    """

    def __init__(self, plan: SplitPlan, *, classes: bool) -> None:
        self.plan, self.classes = plan, classes
        self._draw = np.random.default_rng([plan.seed, 0x51DE])
        self._seen: set[str] = set()

    def of(self, batch: pa.RecordBatch, used: NDArray[np.bool_]) -> NDArray[np.int8]:
        """(N,) int8: 0 train, 1 validation, 2 test for rows with ``lon``, ``lat``, and ``label`` or ``split``."""
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
    """(N,) uniform in [0, 1), equal for all points of a block."""
    blocks = spatial_blocks(lonlat[:, 0], lonlat[:, 1], block_m)
    key = blocks.astype(np.uint64) + (np.uint64(seed & 0xFFFFFFFF) << np.uint64(32))
    hashes = pd.util.hash_array(key)
    return np.asarray((hashes >> np.uint64(11)).astype(np.float64) / 2.0**53)
