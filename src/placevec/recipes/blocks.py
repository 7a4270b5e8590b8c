"""Places held out for validation in whole blocks, for recipes whose windows have a size."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from placevec.datasets.dataset import Dataset
from placevec.datasets.joined import JoinedDataset
from placevec.datasets.splits import Split
from placevec.geo import Ints, hold_out_blocks, spatial_blocks, to_ecef

_MIN_HELD = 8


def split_in_blocks(
    dataset: Dataset | JoinedDataset,
    rows: Ints,
    *,
    window_m: float,
    share: float,
    block_m: float | None,
    seed: int,
    excluded: Mapping[str, Ints],
    max_block_m: float = 5000.0,
) -> Split:
    """Whole blocks validate, with a buffer so wide that windows turned by any angle share no pixel.

    Args:
        dataset: whose places are split.
        rows: places that are used.
        window_m: side of the windows.
        share: of the places held out.
        block_m: side of the blocks; None: an eighth of the extent, 250 m to ``max_block_m``.
        seed: of the choice of blocks.
        excluded: reason -> rows, of places that are not used.
        max_block_m: see above.

    Returns:
        A split; everything is trained on where places lack coordinates, or the extent is too small for blocks.
    """
    nothing = Split.of(len(dataset), train=rows, excluded=dict(excluded))
    lonlat = dataset.lonlat[rows]
    if not np.isfinite(lonlat).all() or share == 0:
        return nothing
    xyz = to_ecef(lonlat[:, 0], lonlat[:, 1])
    extent = float(np.linalg.norm(xyz.max(0) - xyz.min(0)))
    options: dict[str, Any] = {
        "size_m": block_m or float(np.clip(extent / 8.0, 250.0, max_block_m)), "share": share,
        "buffer_m": window_m * math.sqrt(2.0), "seed": seed,
    }  # fmt: skip
    kept, held = hold_out_blocks(lonlat, **options)
    if len(kept) < 0.5 * len(rows) or len(held) < _MIN_HELD:
        return nothing
    located = np.flatnonzero(np.isfinite(dataset.lonlat).all(axis=1))
    block = np.full(len(dataset), -1, np.int64)
    block[located] = spatial_blocks(dataset.lonlat[located, 0], dataset.lonlat[located, 1], options["size_m"])
    return Split.of(
        len(dataset), train=rows[kept], validation=rows[held], excluded={**excluded, "buffer": rows},
        block=block, by="blocks", options=options,
    )  # fmt: skip
