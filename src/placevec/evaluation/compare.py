"""The one comparison: differences of rows, paired over the draws of the bootstrap, by one rule for many of them.

The two-sided p of a difference comes from its draws, and Holm's step-down procedure over all the comparisons of a
family (a task; an encoder against the best baseline) keeps the chance of any false claim in it at 5 %.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from placevec.evaluation.bootstrap import Score, holm, two_sided

LEVEL = 0.05
NO_DIFFERENCE = "no significant difference"


@dataclass(frozen=True)
class Comparison:
    """``of`` minus ``against``, paired.

    Attributes:
        of: name of a row.
        against: name of the other.
        difference: of their scores.
        p: that there is none, adjusted for the other comparisons of the family.
        sign: 1 where a larger score is better, -1 where a smaller one is.
    """

    of: str
    against: str
    difference: Score
    p: float
    sign: int = 1

    @property
    def half_width(self) -> float:
        """Half of the interval: about the smallest difference that could have been seen."""
        return (self.difference.high - self.difference.low) / 2.0

    @property
    def verdict(self) -> str:
        """``better``, ``worse`` or ``no significant difference``."""
        if not self.p < LEVEL:
            return NO_DIFFERENCE
        return "better" if self.sign * self.difference.value > 0 else "worse"

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        found = self.difference
        return {
            "of": self.of, "against": self.against, "difference": found.value, "low": found.low, "high": found.high,
            "half_width": self.half_width, "p": self.p, "verdict": self.verdict,
        }  # fmt: skip


def compare(scores: Mapping[str, Score], pairs: Sequence[tuple[str, str]], sign: int = 1) -> list[Comparison]:
    """Every pair (of, against) of rows that are there, as one family."""
    there = [(of, against) for of, against in pairs if of in scores and against in scores]
    differences = [scores[of] - scores[against] for of, against in there]
    adjusted = holm([two_sided(one.draws) for one in differences])
    return [
        Comparison(of, against, difference, p, sign)
        for (of, against), difference, p in zip(there, differences, adjusted, strict=True)
    ]
