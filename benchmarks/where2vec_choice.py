"""A setting of an objective, chosen on whole cities that are held out of training: no city of the test is looked at."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from placevec.geo import Floats
from placevec.io import atomic

HELD_OUT = 3
"""Cities of validation in each fold."""


@dataclass(frozen=True, order=True)
class Setting:
    """Of ``objective="log"``.

    Attributes:
        alpha: how much negatives of the same type are discounted.
        semantic_weight: of the part between images and names of types.
    """

    alpha: float
    semantic_weight: float

    def __str__(self) -> str:
        return f"alpha {self.alpha:g}, semantic weight {self.semantic_weight:g}"

    @property
    def folder(self) -> str:
        """Name of the folder of its runs."""
        return f"log-alpha{self.alpha:g}-semantic{self.semantic_weight:g}"


CANDIDATES = (Setting(0.5, 0.3), Setting(0.0, 0.3), Setting(0.0, 1.0), Setting(0.0, 2.0))


@dataclass(frozen=True)
class Choice:
    """Of one fold.

    Attributes:
        cities: names of those held out.
        candidates: that were tried.
        scores: (candidates, 2) macro recall of groups by name, R@10 within a group.
    """

    cities: tuple[str, ...]
    candidates: tuple[Setting, ...]
    scores: Floats

    @property
    def setting(self) -> Setting:
        """The chosen one."""
        return self.candidates[best(self.scores)]


def held_out(cities: Sequence[int], fold: int) -> list[int]:
    """Cities of validation among the training cities, which are ordered by size: every fourth, others in each fold.

    >>> held_out([1, 2, 4, 5, 7, 8, 10, 11, 13, 14, 16, 17], 0), held_out([0, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17], 1)
    ([1, 7, 13], [2, 8, 14])
    """
    apart = len(cities) // HELD_OUT
    return list(cities[fold % apart :: apart][:HELD_OUT])


def best(scores: Floats) -> int:
    """The candidate with the highest mean of its (candidates, measures) scores, each measure in standard deviations.

    The first of equal ones. Measures count equally, however far candidates are apart in them.

    >>> best(np.array([[0.10, 0.30], [0.20, 0.29], [0.20, 0.31]]))
    2
    """
    spread = scores.std(axis=0)
    standard = (scores - scores.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return int(standard.mean(axis=1).argmax())


def tried(
    file: Path,
    cities: Sequence[str],
    candidates: Sequence[Setting],
    score: Callable[[Setting], tuple[float, float]],
) -> Choice:
    """The candidates' scores on the cities held out, each kept in ``file`` as soon as it is known."""
    known: dict[str, list[float]] = json.loads(file.read_text()) if file.exists() else {}
    for one in candidates:
        if str(one) not in known:
            known[str(one)] = list(score(one))
            file.parent.mkdir(parents=True, exist_ok=True)
            atomic.write_json(file, known)
    return Choice(tuple(cities), tuple(candidates), np.array([known[str(one)] for one in candidates]))


def described(choices: Sequence[Choice]) -> list[str]:
    """Markdown of what was tried and chosen in each fold."""
    lines = [
        "### Chosen by validation",
        "",
        "| fold | cities held out | setting | group, macro recall | R@10 | |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for fold, choice in enumerate(choices):
        for one, (macro, recall) in zip(choice.candidates, choice.scores, strict=True):
            word = "**chosen**" if one == choice.setting else ""
            lines.append(
                f"| {fold} | {', '.join(choice.cities)} | {one} | {macro:.3f} | {recall:.3f} | {word} |"
            )
    return [*lines, ""]
