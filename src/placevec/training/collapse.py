"""Early warnings of collapse: vectors that become (almost) equal, and losses stuck at their collapsed value.

A common problem of triplet losses is that they stop at the margin; see the references below.
"""

from __future__ import annotations

from collections.abc import Mapping

MIN_RANK = 2.0
"""Effective rank below which vectors are almost on a line."""
MAX_IN_TWO = 0.95
"""Share of the variance in two directions above which the other directions are hardly used."""
STUCK = 0.01
"""Relative distance from its collapsed value within which a loss counts as stuck."""
EPOCHS = 3
"""Consecutive epochs after which a warning is given."""


class CollapseWatch:
    """Checks the metrics of each epoch for signs of collapse and returns each warning once.

    Args:
        collapsed_losses: name of an objective -> its loss if all vectors are equal.
        dim: length of the vectors.

    Source: effective rank, RankMe, Garrido et al. 2023, arXiv:2210.02885; dimensional collapse, Jing et al. 2022,
    arXiv:2110.09348.

    >>> watch = CollapseWatch({"triplet": 0.2}, dim=128)
    >>> [len(watch.look({"loss/triplet": 0.2001, "validation/effective_rank": 40.0})) for _ in range(4)]
    [0, 0, 1, 0]
    """

    def __init__(self, collapsed_losses: Mapping[str, float], dim: int) -> None:
        self.collapsed_losses, self.dim = dict(collapsed_losses), dim
        self._epochs: dict[str, int] = {}

    def look(self, numbers: Mapping[str, float]) -> list[str]:
        """The warnings after this epoch."""
        signs = self._signs(numbers)
        self._epochs = {sign: self._epochs.get(sign, 0) + 1 for sign in signs} | {
            sign: count for sign, count in self._epochs.items() if count >= EPOCHS and sign not in signs
        }
        return [words for sign, words in signs.items() if self._epochs[sign] == EPOCHS]

    def _signs(self, numbers: Mapping[str, float]) -> dict[str, str]:
        rank, share = (
            numbers.get(f"validation/{name}", numbers.get(f"train/{name}"))
            for name in ("effective_rank", "two_direction_share")
        )
        found = {}
        if rank is not None and rank < MIN_RANK and self.dim > MIN_RANK:
            found["rank"] = (
                f"Warning: the vectors are collapsing (effective rank {rank:.2f} of {self.dim}): try a smaller"
                " --learning-rate, a larger --batch-size or --objective infonce"
            )
        if share is not None and share > MAX_IN_TWO and self.dim > 4:
            found["share"] = (
                f"Warning: {share:.0%} of the variance is in 2 of {self.dim} directions: try --objective infonce,"
                " a larger --batch-size, or harder negatives (--negatives semi-hard)"
            )
        for name, value in self.collapsed_losses.items():
            loss = numbers.get(f"loss/{name}")
            if loss is not None and abs(loss - value) <= STUCK * value:
                found[name] = (
                    f"Warning: the loss {name} is stuck at {value:g}, its value if all vectors are equal: try a smaller"
                    " --learning-rate, --negatives random or semi-hard instead of hard, or --objective infonce"
                )
        return found
