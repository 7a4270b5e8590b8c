"""Models and what is asked of them, side by side: what a figure and a page of distributions share."""

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
"""From this highest probability on colors end at 1, which the scale then names."""


@dataclass(frozen=True)
class Asked:
    """One of several models, which are asked the same classes.

    Attributes:
        label: what the model is called.
        question: classes, or the number, of the model.
    """

    label: str
    question: Question


def limits_of(values: NDArray[np.float32], number: bool) -> tuple[float, float]:
    """Ends of the colors: 0 to the highest of probabilities, to 1 where that is near; the middle 98 % of numbers."""
    known = values[np.isfinite(values)]
    if known.size == 0:
        return 0.0, 1.0
    if number:
        low, high = (float(value) for value in np.percentile(known, [1, 99]))
        return (low, high) if high > low else (low - 0.5, low + 0.5)
    highest = float(known.max())
    return 0.0, 1.0 if highest >= _NEARLY_CERTAIN else highest or 1.0


def sampled(points: Sequence[Floats] | None, seed: int) -> list[Floats] | None:
    """(N, 2) points that have coordinates, a class after the other; of more than 5,000 a seeded sample."""
    if points is None:
        return None
    random, found = np.random.default_rng(seed), []
    for places in points:
        known = places[np.isfinite(places).all(axis=1)]
        if len(known) > _MAX_DOTS:
            known = known[random.choice(len(known), _MAX_DOTS, replace=False)]
        found.append(known)
    return found


def meaning_of(asked: Sequence[Asked]) -> str:
    """What the values mean, for people."""
    kinds = {one.question.kind for one in asked}
    if kinds == {"number"}:
        names = dict.fromkeys(shown(one.question.names[0], 60) for one in asked)
        unit = "its label" if names.keys() == {NUMBER} else " and ".join(names)
        return f"Number that a model expects at a place, in the unit of {unit}"
    if kinds == {"presence"}:
        return (
            "Probability that it is there, each class by itself; trained on sightings alone, it ranks places"
        )
    if kinds == {"classes"}:
        return "Probability among all classes of the model"
    return "Probability: of presence by itself, or among all classes, as the model was trained"


def credit_of(asked: Sequence[Asked], credit: str) -> str:
    """Whose data the models saw, each once, and the credit of the outlines."""
    seen = dict.fromkeys(str(one.question.model.training.get("attribution", "unknown")) for one in asked)
    return "Models: " + "; ".join(seen) + (f". {credit}" if credit else "")
