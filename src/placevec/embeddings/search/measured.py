"""Indexes that can miss neighbors: measured against exact search, and replaced by it where they would."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from placevec.embeddings.search.exact import ExactIndex
from placevec.embeddings.search.index import Index


class MeasuredIndex(Index):
    """An index that proposes candidates."""

    approximate = True

    @cached_property
    def exact(self) -> ExactIndex:
        """An exact index over the same vectors."""
        return ExactIndex(self.vectors, self.metric)

    def recall(self, k: int = 10, quality: int | None = None, sample: int = 100) -> float:
        """Share of the exact ``k`` nearest neighbors of ``sample`` rows that are found. Kept once it is measured.

        The rows are drawn with a fixed seed. A neighbor exactly as far as the farthest true one counts as found.
        """
        if len(self) < 2:
            return 1.0
        quality = None if quality == -1 else quality
        if (k, quality) not in self.recalls:
            rows = np.random.default_rng(0).permutation(len(self))[:sample]
            asked, many = self.vectors[np.sort(rows)], min(k + 1, len(self))
            _, true = self.exact.query(asked, many)
            _, far = self.query(asked, many, quality=quality)
            found = far[:, 1:] <= true[:, -1:] * (1 + np.sign(true[:, -1:]) * 1e-9) + 1e-12
            self.recalls[k, quality] = float(found.mean())
        return self.recalls[k, quality]
