"""The one comparison: paired differences of rows, one rule for many of them, and what may be claimed.

The two-sided p of a difference comes from the jackknife over blocks (`bootstrap`), and Holm's step-down procedure over
all the comparisons of a family (a task; encoders against the best baseline) keeps the chance of any false claim in it at
5%. That holds where errors are alike within a block only, so a claim also needs a standard error that does not grow
with the side of the blocks, and room for `BLOCKS_TO_CLAIM` blocks as wide as the correlation range of the difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from placevec.evaluation.bootstrap import Score, holm
from placevec.evaluation.variogram import correlation_range
from placevec.geo import Floats, spatial_blocks

LEVEL = 0.05
BLOCKS_TO_CLAIM = 30
"""Effective blocks, as wide as errors are alike, below which nothing is claimed."""
NO_DIFFERENCE = "no significant difference"
NO_CLAIM = "no claim"
BESIDE = "coverage beside vectors"
"""Name of the row that contains the vectors and so is not an alternative to them."""


@dataclass(frozen=True)
class Comparison:
    """``of`` minus ``against``, paired.

    Attributes:
        of: name of a row.
        against: name of the other.
        difference: of their scores.
        p: that there is none, adjusted for the other comparisons of the family.
        sign: 1 where a larger score is better, -1 where a smaller one is.
        range_m: meters within which the difference of places is correlated; NaN where nobody looked.
        effective: effective blocks of that width, or of the side of a block where that is wider.
    """

    of: str
    against: str
    difference: Score
    p: float
    sign: int = 1
    range_m: float = float("nan")
    effective: float = float("inf")

    @property
    def half_width(self) -> float:
        """Half of the interval: about the smallest difference that could have been seen."""
        return (self.difference.high - self.difference.low) / 2.0

    @property
    def verdict(self) -> str:
        """``better``, ``worse`` or ``no significant difference``: what the p says."""
        if not self.p < LEVEL:
            return NO_DIFFERENCE
        return "better" if self.sign * self.difference.value > 0 else "worse"

    @property
    def doubt(self) -> str:
        """Why the p does not hold; empty where it does."""
        if self.effective < BLOCKS_TO_CLAIM:
            wide = f" of {_length(self.range_m)}, over which errors are alike" if self.range_m > 0 else ""
            return f"the area holds {self.effective:.1f} blocks{wide}; {BLOCKS_TO_CLAIM} are needed"
        if not self.difference.flat:
            shown = ", ".join(f"{one:.3f}" for one in self.difference.errors)
            return f"the standard error depends on the size of the blocks ({shown} at 1, 2 and 4 sides)"
        return ""

    @property
    def claim(self) -> str:
        """The verdict, or ``no claim``."""
        return NO_CLAIM if self.doubt else self.verdict

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        found = self.difference
        return {
            "of": self.of, "against": self.against, "difference": found.value, "low": found.low, "high": found.high,
            "half_width": self.half_width, "p": self.p, "standard_errors": list(found.errors), "flat": found.flat,
            "range_m": self.range_m, "effective_blocks": self.effective, "verdict": self.verdict, "claim": self.claim,
            "doubt": self.doubt,
        }  # fmt: skip


def compare(
    scores: Mapping[str, Score], pairs: Sequence[tuple[str, str]], sign: int = 1, *, lonlat: Floats | None = None,
    side_m: float = 0.0, one_range: bool = False,
) -> list[Comparison]:  # fmt: skip
    """Every pair (of, against) of rows that are there, as one family.

    Args:
        scores: of the rows, measured in the same resampling.
        pairs: to compare.
        sign: 1 where a larger score is better.
        lonlat: (N, 2) degrees of the places whose losses the scores hold: the correlation range of their differences
            decides how many blocks the area holds.
        side_m: side of the blocks that were resampled.
        one_range: take the range of the first pair for all.
    """
    there = [(of, against) for of, against in pairs if of in scores and against in scores]
    differences = [scores[of] - scores[against] for of, against in there]
    adjusted = holm([one.p for one in differences])
    found: list[Comparison] = []
    for (of, against), difference, p in zip(there, differences, adjusted, strict=True):
        wide = (float("nan"), difference.effective[0] if difference.effective else float("inf"))
        if lonlat is not None and len(difference.losses):
            first = found[0] if found and one_range else None
            wide = (
                _room(difference.losses, lonlat, side_m) if first is None else (first.range_m, first.effective)
            )  # fmt: skip
        found.append(Comparison(of, against, difference, p, sign, *wide))
    return found


def _room(apart: Floats, lonlat: Floats, side_m: float) -> tuple[float, float]:
    """(range of (N,) differences in meters, effective blocks of that width, at least ``side_m``)."""
    known = np.isfinite(apart)
    reach = correlation_range(lonlat[known], apart[known])
    return reach, effective_blocks(lonlat[known], max(reach, side_m, 1.0))


def effective_blocks(lonlat: Floats, side_m: float) -> float:
    """(sum n)² / sum n² of the places in blocks of a side: as many of equal size would spread them as widely."""
    blocks = spatial_blocks(lonlat[:, 0], lonlat[:, 1], side_m)
    sizes = np.unique(blocks, return_counts=True)[1].astype(np.float64)
    return float(sizes.sum() ** 2 / (sizes**2).sum()) if len(sizes) else 0.0


def _length(meters: float) -> str:
    return f"{meters:.0f} m" if meters < 10_000 else f"{meters / 1000:.3g} km"
