"""The one comparison: paired differences of rows, one rule for many of them, and what may be claimed.

The two-sided p of a difference comes from blocks that may err together (`bootstrap`), and Holm's step-down procedure over
all the comparisons of a family (a task; encoders against the best baseline) keeps the chance of any false claim in it at
5%. A claim also needs `BLOCKS_TO_CLAIM` effective blocks, which count as at least `INDEPENDENT_TO_CLAIM` independent
ones. How alike errors are beyond that shows in p and intervals: a condition on an estimated range holds where the range
is underestimated, and claims that pass it are false more often (`benchmarks.calibration`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from placevec.evaluation.bootstrap import Score, holm
from placevec.evaluation.variogram import correlation_range
from placevec.geo import Floats

LEVEL = 0.05
BLOCKS_TO_CLAIM = 30
"""Effective blocks below which nothing is claimed."""
INDEPENDENT_TO_CLAIM = 5
"""Independent blocks that an area must count as for a claim: below, errors are alike over much of it."""
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
        side_m: side of the blocks that were resampled; 0 where nobody said.
    """

    of: str
    against: str
    difference: Score
    p: float
    sign: int = 1
    range_m: float = float("nan")
    side_m: float = 0.0

    @property
    def effective(self) -> float:
        """Effective blocks, as they were resampled; infinite where the interval is not of blocks.

        >>> Comparison("vectors", "chance", Score(0.1, effective=(41.5, 12.0, 4.0)), 0.01).effective
        41.5
        """
        return (self.difference.effective or (float("inf"),))[0]

    @property
    def half_width(self) -> float:
        """Half of the interval: about the smallest difference that could have been seen."""
        return (self.difference.high - self.difference.low) / 2.0

    @property
    def verdict(self) -> str:
        """``better``, ``worse`` or ``no significant difference``, according to the p-value."""
        if not self.p < LEVEL:
            return NO_DIFFERENCE
        return "better" if self.sign * self.difference.value > 0 else "worse"

    @property
    def doubt(self) -> str:
        """Why no claim can be made, and what would be needed; empty if one can be made."""
        if self.effective < BLOCKS_TO_CLAIM:
            side = f" of {_length(self.side_m)}" if self.side_m > 0 else ""
            return (
                f"the area holds {self.effective:.1f} effective blocks{side}; {BLOCKS_TO_CLAIM} are needed: "
                "use a wider area"
            )
        independent = self.difference.independent
        if independent < INDEPENDENT_TO_CLAIM:
            wide = f", over about {_length(self.range_m)}" if self.range_m > 0 else ""
            return (
                f"errors are alike over much of the area{wide}: it counts as {independent:.1f} independent blocks; "
                f"{INDEPENDENT_TO_CLAIM} are needed: use a wider area; more places in the same area do not help"
            )
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
            "standard_error_correlated": found.correlated_error, "range_m": self.range_m,
            "effective_blocks": self.effective, "independent_blocks": found.independent,
            "verdict": self.verdict, "claim": self.claim, "doubt": self.doubt,
        }  # fmt: skip


def compare(
    scores: Mapping[str, Score], pairs: Sequence[tuple[str, str]], sign: int = 1, *, lonlat: Floats | None = None,
    side_m: float = 0.0, one_range: bool = False,
) -> list[Comparison]:  # fmt: skip
    """Compare every pair (of, against) of existing rows, as one family.

    Args:
        scores: of the rows, measured in the same resampling.
        pairs: to compare.
        sign: 1 where a larger score is better.
        lonlat: (N, 2) degrees of the places whose losses the scores hold, for the correlation range of their differences.
        side_m: side of the blocks that were resampled.
        one_range: take the range of the first pair for all.
    """
    there = [(of, against) for of, against in pairs if of in scores and against in scores]
    differences = [scores[of] - scores[against] for of, against in there]
    adjusted = holm([one.p for one in differences])
    found: list[Comparison] = []
    for (of, against), difference, p in zip(there, differences, adjusted, strict=True):
        reach = float("nan")
        if lonlat is not None and len(difference.losses):
            reach = found[0].range_m if found and one_range else _range(difference.losses, lonlat)
        found.append(Comparison(of, against, difference, p, sign, reach, side_m))
    return found


def _range(apart: Floats, lonlat: Floats) -> float:
    """Correlation range in meters of (N,) differences; unknown ones are ignored."""
    known = np.isfinite(apart)
    return correlation_range(lonlat[known], apart[known])


def _length(meters: float) -> str:
    return f"{meters:.0f} m" if meters < 10_000 else f"{meters / 1000:.3g} km"
