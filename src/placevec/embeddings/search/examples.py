"""Several examples as one query: more like these, less like those."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from placevec.embeddings.search.metrics import Floats32, Mask, Rows, by_direction, never_zero, norms
from placevec.embeddings.search.place_rows import row_of_place
from placevec.embeddings.table import Embeddings
from placevec.errors import InputError, UsageError
from placevec.geo import to_ecef
from placevec.options.choices import Metric


@dataclass(frozen=True)
class Examples:
    """Places that results should, or should not, be like.

    Attributes:
        rows: (E,) their rows, which are no results.
        vector: (D,) the query: the mean of the first, moved away from the mean of the second by their difference. A
            mean is of unit vectors where the metric ignores their length.
    """

    rows: Rows
    vector: Floats32

    @classmethod
    def of(
        cls, emb: Embeddings, like: Sequence[str], unlike: Sequence[str], metric: Metric
    ) -> Examples | None:
        """From place_ids; None without any.

        Raises:
            UsageError: examples of what to avoid only, or one in both lists.
            InputError: an unknown place.

        >>> none, lonlat = [None] * 3, [[24.9, 60.2]] * 3
        >>> emb = Embeddings(["a", "b", "c"], [[2, 0], [0, 2], [0, 4]], lonlat, none, none, "map", None)
        >>> Examples.of(emb, ["a", "c"], [], "cosine").vector.tolist()
        [0.5, 0.5]
        >>> Examples.of(emb, ["a"], ["b"], "euclidean").vector.tolist()
        [4.0, -2.0]
        """
        if not like and not unlike:
            return None
        if not like:
            raise UsageError(
                "examples of what to avoid need at least one example of what to find: give --like"
            )
        if both := sorted(set(like) & set(unlike)):
            raise UsageError(f"{both[0][:60]!r} is given with --like and with --unlike")
        liked, avoided = (
            np.array([row_of_place(emb, one) for one in ids], np.int64) for ids in (like, unlike)
        )
        vector = _mean(emb.vectors[liked], metric)
        if len(avoided):
            vector = 2.0 * vector - _mean(emb.vectors[avoided], metric)
        return cls(np.concatenate([liked, avoided]), vector.astype(np.float32))

    def clear_around(self, emb: Embeddings, allowed: Mask, meters: float) -> None:
        """Rule out places nearer than ``meters`` to an example; places without coordinates stay."""
        from scipy.spatial import cKDTree

        known = self.rows[np.isfinite(emb.lonlat[self.rows]).all(axis=1)]
        if not meters > 0 or len(known) == 0:
            return
        some = np.flatnonzero(allowed & np.isfinite(emb.lonlat).all(axis=1))
        tree = cKDTree(to_ecef(emb.lonlat[known, 0], emb.lonlat[known, 1]))
        places = to_ecef(emb.lonlat[some, 0], emb.lonlat[some, 1])
        away, _ = tree.query(places, distance_upper_bound=meters * (1.0 - 1e-5))
        allowed[some[np.isfinite(away)]] = False


def _mean(vectors: Floats32, metric: Metric) -> NDArray[np.float64]:
    rows = vectors.astype(np.float64)
    if by_direction(metric):
        rows /= never_zero(norms(rows))[:, None]
    return np.asarray(rows.mean(axis=0))


def require_examples(*others: object) -> None:
    """InputError if there is another query beside the examples."""
    if any(other is not None for other in others):
        raise InputError(
            "examples are a query of their own: do not give a place, tile, point or vector as well"
        )
