"""Splits and pairs of the recipe Loc2Vec: held-out rows, distances in meters, the sampler for each unit."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np

from placevec.datasets.dataset import Dataset
from placevec.datasets.joined import JoinedDataset
from placevec.datasets.splits import By, Split
from placevec.geo import TILE_PX, Floats, Ints, hold_out_blocks, meters_per_pixel, spatial_blocks, to_ecef
from placevec.recipes.loc2vec.config import Loc2VecConfig
from placevec.training.samplers import BoxSampler, NearFarSampler, TileSampler
from placevec.training.samplers.anchors import AnchorSampler

_METERS_A_DEGREE = 111_320.0
"""Maximum length of a degree."""


def in_meters(dataset: Dataset | JoinedDataset, config: Loc2VecConfig) -> Loc2VecConfig:
    """The configuration with ``near_m`` and ``far_m`` that match distances in tiles or degrees.

    Near is the maximum distance of a positive, so that buffers are wide enough; far is that of a typical place.
    """
    if config.near_tiles is not None and config.far_tiles is not None:
        known = dataset.lonlat[np.isfinite(dataset.lonlat).all(axis=1)]
        tile_m: Floats = meters_per_pixel(known[:, 1], dataset.zoom) * TILE_PX
        near_m, far_m = (
            config.near_tiles * math.sqrt(2.0) * float(tile_m.max()),
            config.far_tiles * float(np.median(tile_m)),
        )
    elif config.near_degrees is not None and config.far_degrees is not None:
        near_m = float(config.near_degrees) * math.sqrt(2.0) * _METERS_A_DEGREE
        far_m = config.far_degrees * _METERS_A_DEGREE
    else:
        return config
    return replace(config, near_m=near_m, far_m=max(far_m, near_m * 1.001))


def buffer_m(dataset: Dataset | JoinedDataset, config: Loc2VecConfig, rows: Ints) -> float:
    """Meters between places such that their windows, and those of their positives, share no pixel."""
    footprint = config.size_m
    if footprint is None:
        footprint = float(np.max(meters_per_pixel(dataset.lonlat[rows, 1], dataset.zoom))) * config.size_px
    # rotated windows reach half a diagonal, and positives of both places move away from them
    return footprint * math.sqrt(2.0) + 2.0 * (config.near_m + config.shift_m)


def block_size(lonlat: np.ndarray[Any, Any], config: Loc2VecConfig) -> float:
    """Side of the validation blocks in meters."""
    if config.block_m is not None:
        return config.block_m
    xyz = to_ecef(lonlat[:, 0], lonlat[:, 1])
    extent = float(np.linalg.norm(xyz.max(0) - xyz.min(0)))
    return float(np.clip(extent / 8.0, 250.0, 5000.0))


def split(
    dataset: Dataset | JoinedDataset, config: Loc2VecConfig, located: Ints, rows: Ints, seed: int
) -> Split:
    """The split of a dataset: whole blocks are held out for validation, with a buffer; none if the extent is too small.

    ``located`` are the rows with coordinates, ``rows`` those of them that are used.
    """
    lonlat = dataset.lonlat[rows]
    options: dict[str, Any] = {
        "size_m": block_size(lonlat, config),
        "share": config.validation_share,
        # no shared pixels: rotated windows reach half a diagonal, and positives of both places move away from them
        "buffer_m": buffer_m(dataset, config, rows),
        "seed": seed,
    }
    kept, held = hold_out_blocks(lonlat, **options)
    if len(kept) < 0.5 * len(rows) or len(held) < 8:
        return all_trained(dataset, located, rows)
    block = np.full(len(dataset), -1, np.int64)
    block[located] = spatial_blocks(dataset.lonlat[located, 0], dataset.lonlat[located, 1], options["size_m"])
    return Split.of(
        len(dataset), train=rows[kept], validation=rows[held], excluded={**_excluded(dataset, located), "buffer": rows},
        block=block, by="blocks", options=options,
    )  # fmt: skip


def all_trained(dataset: Dataset | JoinedDataset, located: Ints, rows: Ints, by: By = "nothing") -> Split:
    """The split of a dataset without validation."""
    return Split.of(len(dataset), train=rows, excluded=_excluded(dataset, located), by=by)


def _excluded(dataset: Dataset | JoinedDataset, located: Ints) -> dict[str, Ints]:
    """Reason -> rows, before it is known which rows are used."""
    return {"coordinates": np.arange(len(dataset)), "sample": located}


def sampler_of(
    dataset: Dataset | JoinedDataset,
    config: Loc2VecConfig,
    rows: Ints,
    *,
    keep_off: Floats | None = None,
    **options: Any,
) -> AnchorSampler:
    """Samples batches from some rows, in the distance unit of the configuration.

    ``keep_off``: (M, 2) lon, lat of held-out places; negatives near them must be places themselves.
    """
    contrasts = config.contrast_weight > 0
    common: dict[str, Any] = {
        "rows": rows,
        "batch_size": min(config.batch_size, len(rows)),
        "drop_in": ("positive",) if contrasts else ("anchor",),
        "rotate": config.rotate,
        "shift_m": config.shift_m,
        "channels": len(dataset.base_map_spec.channels) - len(config.drop_layers),
        **options,
    }
    negatives = contrasts and config.objective != "infonce" and config.negatives == "random"
    if contrasts and config.near_tiles is not None and config.far_tiles is not None:
        return TileSampler(
            dataset.lonlat, zoom=dataset.zoom, near_tiles=config.near_tiles, far_tiles=config.far_tiles,
            negatives=negatives, **common,
        )  # fmt: skip
    if contrasts and config.near_degrees is not None and config.far_degrees is not None:
        return BoxSampler(
            dataset.lonlat, boxes=_boxes(dataset), near_degrees=config.near_degrees,
            far_degrees=config.far_degrees, negatives=negatives, keep_off=keep_off,
            keep_off_m=buffer_m(dataset, config, rows), **common,
        )  # fmt: skip
    return NearFarSampler(
        dataset.lonlat,
        near_m=config.near_m,
        far_m=config.far_m,
        positives=config.positives if contrasts else "none",  # type: ignore[arg-type]
        negatives=negatives,
        **common,
    )


def _boxes(dataset: Dataset | JoinedDataset) -> Floats:
    """(N, 4) west, south, east, north degrees of the area of each place."""
    parts = dataset.parts if isinstance(dataset, JoinedDataset) else (dataset,)
    return np.concatenate([np.tile(part.area.bounds, (len(part), 1)) for part in parts])


def fewer(dataset: Dataset | JoinedDataset, rows: Ints, most: int | None, seed: int) -> Ints:
    """``rows`` with at most ``most`` of each dataset, drawn at random."""
    if most is None:
        return rows
    first = dataset.first_row if isinstance(dataset, JoinedDataset) else np.array([0, len(dataset)])
    random = np.random.default_rng([seed, 0xFE3])
    parts = [
        random.permutation(rows[(rows >= start) & (rows < stop)])[:most]
        for start, stop in itertools.pairwise(first.tolist())
    ]
    return np.sort(np.concatenate(parts))
