"""Told early: vectors that fall together, and losses that stand where they would if all vectors were one.

The standard complaint about triplets is a loss that stops at the margin; see the reference in the guard below.
"""

from __future__ import annotations

from collections.abc import Mapping

MIN_RANK = 2.0
"""Effective rank below which vectors lie on a line."""
MAX_IN_TWO = 0.95
"""Share of the variance in two directions above which the others are hardly used."""
STUCK = 0.01
"""How near, relatively, to its collapsed value a loss stands still."""
PASSES = 3
"""Passes in a row after which it is said."""


class CollapseWatch:
    """Looks at the numbers of each pass and says what is wrong, each thing once.

    Args:
        collapsed_losses: name of an objective -> its loss when all vectors are the same.
        dim: length of the vectors.

    Source: effective rank as a guard, RankMe, Garrido et al. 2023, arXiv:2210.02885; dimensional collapse, Jing et
    al. 2022, arXiv:2110.09348.

    >>> watch = CollapseWatch({"triplet": 0.2}, dim=128)
    >>> [len(watch.look({"loss/triplet": 0.2001, "validation/effective_rank": 40.0})) for _ in range(4)]
    [0, 0, 1, 0]
    """

    def __init__(self, collapsed_losses: Mapping[str, float], dim: int) -> None:
        self.collapsed_losses, self.dim = dict(collapsed_losses), dim
        self._passes: dict[str, int] = {}

    def look(self, numbers: Mapping[str, float]) -> list[str]:
        """What is to be said after this pass, in words."""
        signs = self._signs(numbers)
        self._passes = {sign: self._passes.get(sign, 0) + 1 for sign in signs} | {
            sign: count for sign, count in self._passes.items() if count >= PASSES and sign not in signs
        }
        return [words for sign, words in signs.items() if self._passes[sign] == PASSES]

    def _signs(self, numbers: Mapping[str, float]) -> dict[str, str]:
        rank, share = (
            numbers.get(f"validation/{name}", numbers.get(f"train/{name}"))
            for name in ("effective_rank", "two_direction_share")
        )
        found = {}
        if rank is not None and rank < MIN_RANK and self.dim > MIN_RANK:
            found["rank"] = (
                f"Warning: the vectors fall together (effective rank {rank:.2f} of {self.dim}): try a smaller"
                " --learning-rate, a larger --batch-size or --objective infonce"
            )
        if share is not None and share > MAX_IN_TWO and self.dim > 4:
            found["share"] = (
                f"Warning: {share:.0%} of the variance lies in 2 of {self.dim} directions: try --objective infonce,"
                " a larger --batch-size, or harder negatives (--negatives semi-hard)"
            )
        for name, value in self.collapsed_losses.items():
            loss = numbers.get(f"loss/{name}")
            if loss is not None and abs(loss - value) <= STUCK * value:
                found[name] = (
                    f"Warning: the loss {name} stands at {value:g}, where it is when all vectors are the same: try a"
                    " smaller --learning-rate, --negatives random or semi-hard instead of hard, or --objective infonce"
                )
        return found
