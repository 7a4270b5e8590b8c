"""Shared by the figure and the page of predicted distributions: models and their queries, scales and credits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from placevec.explorer.figures.canvas import shown
from placevec.geo import Floats
from placevec.inference.query import NUMBER, Question

_MAX_DOTS = 5_000
_NEARLY_CERTAIN = 0.95
"""If the highest probability is at least this, the color scale ends at 1."""


@dataclass(frozen=True)
class ModelQuery:
    """One of several models that predict the same classes.

    Attributes:
        label: name of the model.
        question: the classes, or the number, to predict.
    """

    label: str
    question: Question


def limits_of(values: NDArray[np.float32], number: bool) -> tuple[float, float]:
    """Limits of the color scale: 0 to the highest probability, or 1 if it is close; 1st to 99th percentile of numbers.

    >>> limits_of(np.array([0.1, 0.5], np.float32), number=False)
    (0.0, 0.5)
    """
    known = values[np.isfinite(values)]
    if known.size == 0:
        return 0.0, 1.0
    if number:
        low, high = (float(value) for value in np.percentile(known, [1, 99]))
        return (low, high) if high > low else (low - 0.5, low + 0.5)
    highest = float(known.max())
    return 0.0, 1.0 if highest >= _NEARLY_CERTAIN else highest or 1.0


def sampled(points: Sequence[Floats] | None, seed: int) -> list[Floats] | None:
    """(N, 2) points with coordinates, per class; random samples if there are more than 5,000.

    >>> [len(found) for found in sampled([np.zeros((3, 2)), np.full((2, 2), np.nan)], seed=0)]
    [3, 0]
    """
    if points is None:
        return None
    random, found = np.random.default_rng(seed), []
    for places in points:
        known = places[np.isfinite(places).all(axis=1)]
        if len(known) > _MAX_DOTS:
            known = known[random.choice(len(known), _MAX_DOTS, replace=False)]
        found.append(known)
    return found


def hatched_of(queries: Sequence[ModelQuery]) -> str:
    """What hatching means; empty if no model knows its training points."""
    reach = [known for one in queries if (known := one.question.reliability) is not None]
    if not reach:
        return ""
    said = sorted({f"{float(known.reach_km):,.0f}" for known in reach})
    return f"Hatched: no training point within {' or '.join(said)} km"


def meaning_of(queries: Sequence[ModelQuery]) -> str:
    """A sentence that explains the values."""
    kinds = {one.question.kind for one in queries}
    if kinds == {"number"}:
        names = dict.fromkeys(shown(one.question.names[0], 60) for one in queries)
        unit = "its label" if names.keys() == {NUMBER} else " and ".join(names)
        return f"Predicted value, in the unit of {unit}"
    if kinds == {"presence"}:
        return "Probability of presence, independent for each class; trained on presences only, so read it as a ranking"
    if kinds == {"classes"}:
        return "Probability among all classes of the model"
    return "Probability: of presence (independent), or among all classes, depending on the model"


def credit_of(queries: Sequence[ModelQuery], credit: str) -> str:
    """The attributions of the models' training data, without duplicates, and the credit of the outlines."""
    seen = dict.fromkeys(str(one.question.model.training.get("attribution", "unknown")) for one in queries)
    return "Models: " + "; ".join(seen) + (f". {credit}" if credit else "")
