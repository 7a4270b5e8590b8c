"""Whether what a place holds comes back: of the nearest vectors to a place with rail, how many are of places with rail.

Places near the query would be alike for free, so only places whose footprints do not touch that of the query answer.
Beside the vectors stand the coverage fractions of the same layers, which need no training, and the share of places
that hold the layer anyway. A layer that coverage finds significantly more often is one that the vectors miss.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec.datasets.dataset import Dataset
from placevec.evaluation.baselines import COVERAGE, coverage_fractions
from placevec.evaluation.bootstrap import Resampling, Score, holm
from placevec.evaluation.compare import Comparison
from placevec.evaluation.engine import OURS, Variants
from placevec.evaluation.probes import Features
from placevec.evaluation.scores import Array
from placevec.evaluation.splits import Blocks
from placevec.evaluation.tasks import MIN_PLACES
from placevec.geo import Floats, Ints, to_ecef

NEAREST = 5
"""Nearest vectors that are looked at."""
_AT_ONCE = 256
_ALIKE = 1e-6
"""Difference of cosines below which vectors are equally near: their order is drawn."""


@dataclass(frozen=True)
class LayerRow:
    """One layer of the map.

    Attributes:
        layer: its name.
        seen: whether the model reads it.
        places: how many hold it; they are the queries.
        by_chance: share of places that hold it among all that may answer.
        scores: row -> share of the `NEAREST` nearest vectors whose places hold it too.
        comparison: vectors beside coverage; None without one of them.
    """

    layer: str
    seen: bool
    places: int
    by_chance: float
    scores: dict[str, Score]
    comparison: Comparison | None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        scores = {
            name: {"value": one.value, "low": one.low, "high": one.high} for name, one in self.scores.items()
        }
        return {
            "layer": self.layer, "seen": self.seen, "places": self.places, "by_chance": self.by_chance,
            "scores": scores, "comparison": None if self.comparison is None else self.comparison.as_dict(),
        }  # fmt: skip


@dataclass(frozen=True)
class LayerRecall:
    """The layers that some but not all places hold.

    Attributes:
        rows: one per layer.
        places: how many were looked at.
        apart_m: those that answer are at least so far from the query.
        block_m: side of the blocks that intervals resample.
    """

    rows: list[LayerRow]
    places: int
    apart_m: float
    block_m: float

    @property
    def missed(self) -> list[str]:
        """Layers that the model reads and that coverage finds significantly more often, as the table claims."""
        return [row.layer for row in self._compared if row.comparison.claim == "worse"]  # type: ignore[union-attr]

    @property
    def doubtful(self) -> bool:
        """Whether the places allow no claim about any layer that the model reads."""
        return all(row.comparison.doubt for row in self._compared)  # type: ignore[union-attr]

    @property
    def _compared(self) -> list[LayerRow]:
        return [row for row in self.rows if row.seen and row.comparison is not None]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "rows": [row.as_dict() for row in self.rows], "places": self.places, "apart_m": self.apart_m,
            "block_m": self.block_m, "nearest": NEAREST, "missed": self.missed,
        }  # fmt: skip


def layers_held(dataset: Dataset, rows: Ints) -> tuple[tuple[str, ...], NDArray[np.bool_]] | None:
    """(names of the layers of the map, (n, C) whether each place holds any of each); None without a coverage."""
    from placevec.datasets.views.raster.coverage import Coverage

    shares = coverage_fractions(dataset, None, rows)
    if shares is None:
        return None
    return Coverage(dataset.path / "map_coverage.tif").channels, shares > 0


def layer_recall(
    features: Mapping[str, Variants],
    holds: NDArray[np.bool_],
    layers: Sequence[str],
    seen: Sequence[str] | None,
    lonlat: Floats,
    blocks: Blocks,
    *,
    apart_m: float,
    area: Ints | None = None,
    draws: int = 500,
    seed: int = 0,
) -> LayerRecall | None:
    """Share of the nearest vectors whose places hold a layer, over the places that hold it.

    Args:
        features: name -> variants, each (n, D), ranked by cosine.
        holds: (n, C) whether each place holds each layer.
        layers: names of the C layers.
        seen: those that the model reads; None where nobody knows.
        lonlat: (n, 2) degrees.
        blocks: that intervals resample.
        apart_m: places nearer to a query than this do not answer it.
        area: (n,) city of each place, whose places alone answer; None: all are of one.
        draws: of the resampling.
        seed: of the order of equal vectors.

    Returns:
        None where no layer is held by `MIN_PLACES` places, or no place may answer.
    """
    count = len(lonlat)
    parts = [np.arange(count)] if area is None else [np.flatnonzero(area == one) for one in np.unique(area)]
    seeds = max((len(sets) for sets in features.values()), default=0)
    known, chance = np.zeros(count, bool), np.zeros(holds.shape)
    near = {name: [np.zeros((count, NEAREST), np.int64) for _ in sets] for name, sets in features.items()}
    for part in parts:
        answered, shares = _allowed_shares(lonlat[part], holds[part], apart_m)
        known[part], chance[part] = answered, shares
        for name, sets in features.items():
            for found, one in zip(near[name], sets, strict=True):
                found[part] = part[_nearest(one[part], lonlat[part], apart_m, seed)]
    rows: list[LayerRow] = []
    for number, layer in enumerate(layers):
        asked = np.flatnonzero(holds[:, number] & known)
        if len(asked) < MIN_PLACES or holds[:, number].all():
            continue
        over = Resampling(
            blocks.number[asked], draws=draws, seeds=seeds, lonlat=lonlat[asked], side_m=blocks.size_m
        )  # fmt: skip
        scores = {}
        for name, variants in near.items():
            hits = [holds[found[asked], number].mean(axis=1) for found in variants]
            hits *= seeds if len(hits) == 1 else 1
            scores[name] = over.score([partial(_share, one, over.block) for one in hits], len(asked), "logit")
        by_chance = float(chance[asked, number].mean())
        is_seen = seen is None or layer in seen
        rows.append(LayerRow(layer, is_seen, len(asked), by_chance, scores, None))
    return LayerRecall(_compared(rows, blocks.size_m), count, apart_m, blocks.size_m) if rows else None


def _compared(rows: list[LayerRow], side_m: float) -> list[LayerRow]:
    """The rows with vectors beside coverage; Holm's rule over all layers."""
    if not all(name in row.scores for row in rows for name in (OURS, COVERAGE)):
        return rows
    differences = [row.scores[OURS] - row.scores[COVERAGE] for row in rows]
    adjusted = holm([one.p for one in differences])
    return [
        LayerRow(
            row.layer, row.seen, row.places, row.by_chance, row.scores,
            Comparison(OURS, COVERAGE, difference, p, side_m=side_m),
        )
        for row, difference, p in zip(rows, differences, adjusted, strict=True)
    ]  # fmt: skip


def _share(hits: Array, block: Ints, weights: Array) -> Array:
    """(W,) mean of (n,) hits when block b counts ``weights[w, b]`` times; NaN where none counts."""
    many = weights @ np.bincount(block, minlength=weights.shape[1])
    total = weights @ np.bincount(block, weights=hits, minlength=weights.shape[1])
    return np.asarray(np.divide(total, many, out=np.full(len(many), np.nan), where=many > 0))


def _allowed_shares(
    lonlat: Floats, holds: NDArray[np.bool_], apart_m: float
) -> tuple[NDArray[np.bool_], Floats]:
    """((n,) whether enough places may answer, (n, C) share of those that hold each layer)."""
    answered, shares = np.zeros(len(lonlat), bool), np.zeros(holds.shape)
    for rows, away in _distances(lonlat):
        allowed = away >= apart_m
        many = allowed.sum(axis=1)
        answered[rows] = many >= NEAREST
        shares[rows] = (allowed.astype(np.float32) @ holds.astype(np.float32)) / np.maximum(many, 1)[:, None]
    return answered, shares


def _nearest(vectors: Features, lonlat: Floats, apart_m: float, seed: int) -> Ints:
    """(n, `NEAREST`) nearest vectors by cosine, of places at least ``apart_m`` away; equal ones in no order."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.asarray(vectors / np.where(length > 0, length, 1.0), np.float32)
    random = np.random.default_rng([seed, 0x1A])
    found = np.zeros((len(unit), NEAREST), np.int64)
    most = min(NEAREST, len(unit))
    for rows, away in _distances(lonlat):
        similarity = (unit[rows] @ unit.T).astype(np.float64)  # near 1, float32 has a dozen steps in _ALIKE
        similarity += _ALIKE * random.random(similarity.shape)
        similarity[away < apart_m] = -np.inf
        found[rows, :most] = np.argpartition(-similarity, most - 1, axis=1)[:, :most]
    return found


def _distances(lonlat: Floats) -> Iterator[tuple[slice, Floats]]:
    """(rows, (rows, n) meters between places), some rows at a time."""
    xyz = to_ecef(lonlat[:, 0], lonlat[:, 1])
    for start in range(0, len(xyz), _AT_ONCE):
        rows = slice(start, start + _AT_ONCE)
        yield rows, np.linalg.norm(xyz[rows][:, None] - xyz[None], axis=2)
