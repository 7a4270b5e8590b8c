"""What retrieval found, for people and for programs that read the founding system's figures."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from placevec.evaluation.report import Report
from placevec.evaluation.results import Result
from placevec.evaluation.retrieval.ranks import KS, Found
from placevec.evaluation.retrieval.rows import CHANCE, ORACLE
from placevec.geo import Floats
from placevec.io import atomic

FOUNDING_FILE = "test_metrics.json"
METHOD = (
    "A query is one text or one image of a place, and its pool is the images or texts of all evaluated places; ties "
    "share their ranks, so that identical vectors or texts score the same as chance. Ridge regressions are fitted on "
    "training places, with the penalty chosen within them. Types are queried by name, each in several sentences "
    "whose vectors are averaged. Intervals are 95% intervals over blocks of places, paired between rows; Holm's rule "
    "covers the comparisons of a table."
)


@dataclass(kw_only=True)
class WordsResult(Result):
    """A result of retrieval.

    Attributes:
        question: what was asked, as the beginning of a sentence.
        unclaimed: nothing is claimed, whatever the figures: the model was trained on these places.
    """

    question: str = ""
    unclaimed: bool = False

    @property
    def claims(self) -> bool:
        """As of other results, and not of training places."""
        return super().claims and not self.unclaimed

    @property
    def why_no_claim(self) -> str:
        """As of other results, and training places before that."""
        if self.unclaimed:
            return (
                "the model was trained on these places; only places that it has not seen may support a claim"
            )
        return super().why_no_claim

    @property
    def headline(self) -> str:
        """One sentence for a reader who knows the area, not the statistics."""
        rows = {row.name: row for row in self.rows}
        mine, chance = rows[self.subject].score.value, rows.get(CHANCE)
        figures = f"{self.question}: {mine:.0%}" + (
            "" if chance is None else f" (by chance {chance.score.value:.1%})"
        )
        if not self.comparisons:
            return f"{figures}."
        if not self.claims:
            others = [row for row in self.rows if row.name not in (self.subject, CHANCE, ORACLE)]
            best = max(others, key=lambda row: row.score.value, default=None)
            beside = "" if best is None else f"; {best.name} {best.score.value:.0%}"
            return f"{figures}{beside}. There is too little evidence here to claim a difference."
        beaten = [one.against for one in self.comparisons if one.claim == "better"]
        ahead = [one.against for one in self.comparisons if one.claim == "worse"]
        open_ = [one.against for one in self.comparisons if one.against not in (*beaten, *ahead)]
        parts = [
            f"{said} {', '.join(names)}"
            for said, names in (
                ("better than", beaten),
                ("worse than", ahead),
                ("not clearly different from", open_),
            )
            if names
        ]
        return f"{figures}; {'; '.join(parts)}."


@dataclass(frozen=True)
class Pictured:
    """What a picture of both modalities shows: vectors of the same places, row i of both one place.

    Attributes:
        images: (n, D).
        words: (n, D).
        types: (n,) names of types; empty where none is known.
    """

    images: Floats
    words: Floats
    types: tuple[str, ...]


@dataclass
class WordsReport(Report):
    """A report of retrieval, which also keeps the founding system's figures.

    Attributes:
        founding: content of `FOUNDING_FILE`.
        pictured: vectors of both modalities.
    """

    founding: dict[str, Any] = field(default_factory=dict)
    pictured: Pictured | None = None
    method: str = METHOD

    def save(self, folder: str | Path) -> None:
        """``report.json``, ``report.md`` and the founding ``test_metrics.json``."""
        super().save(folder)
        atomic.write_json(Path(folder) / FOUNDING_FILE, self.founding)


def founding_figures(image_to_text: Found, text_to_image: Found, checkpoint: str) -> dict[str, Any]:
    """The names of the founding ``test_metrics.json``: recalls as shares, ranks from 1.

    >>> one = Found(np.zeros(2), np.ones(2), np.full(2, 2.0))
    >>> founding_figures(one, one, "best")["Image->Text"]["R@1"]
    1.0
    """
    return {
        **{
            name: {
                **{f"R@{k}": float(one.within(k).mean()) for k in KS},
                "MedianRank": float(np.median(one.rank)), "MeanRank": float(one.rank.mean()),
            }
            for name, one in (("Image->Text", image_to_text), ("Text->Image", text_to_image))
        },
        "NumSamples": len(image_to_text.rank), "Checkpoint": checkpoint,
    }  # fmt: skip
