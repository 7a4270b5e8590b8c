"""What an evaluation of one task found: rows, their comparisons, and what may be claimed of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from placevec.evaluation.bootstrap import Score
from placevec.evaluation.compare import BESIDE, BLOCKS_TO_CLAIM, NO_CLAIM, NO_DIFFERENCE, Comparison
from placevec.evaluation.scores import better

SCALES = {
    "R²": "share of the differences explained; 1 is perfect, 0 no better than the mean",
    "macro-F1": "1 is perfect",
    "top-1": "share of places whose class is right",
    "AUC": "1 is perfect, 0.5 is chance",
    "L1": "0 is perfect, 2 is the worst",
    "precision@10": "share of the ten nearest places that have the same class",
}
"""What a number of a measure means, for people."""
RANDOM_CLAIMS_NOTHING = (
    "random folds put neighbors into both training and test, so that remembering where places are counts as "
    "knowledge; folds of blocks may support a claim"
)
PLACES_TO_CLAIM = 500
"""Places below which nothing is claimed."""


@dataclass
class Row:
    """One set of features, baseline, or a head's predictions.

    Attributes:
        name: such as ``coverage fractions``.
        scores: measure -> score; the first is what rows are compared by.
        dim: numbers in a feature; 0 for what sees none.
        probe: the best one, which the rest is about; empty for what needs none.
        further: other numbers by name, without intervals.
        by_probe: score of every probe.
        by_region: score within every region that was left out.
    """

    name: str
    scores: dict[str, Score]
    dim: int = 0
    probe: str = ""
    further: dict[str, float] = field(default_factory=dict)
    by_probe: dict[str, float] = field(default_factory=dict)
    by_region: dict[str, float] = field(default_factory=dict)

    @property
    def score(self) -> Score:
        """By the first measure."""
        return next(iter(self.scores.values()))

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "name": self.name, "dim": self.dim, "probe": self.probe, "scores": _plain(self.scores),
            "further": self.further, "by_probe": self.by_probe, "by_region": self.by_region,
        }  # fmt: skip


@dataclass
class CurvePoint:
    """All rows with a share of the labels.

    Attributes:
        share: of the training places, 0 to 1.
        labels: training places of a fold, mean of the folds.
        scores: row -> its score by the best probe.
    """

    share: float
    labels: int
    scores: dict[str, Score]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"share": self.share, "labels": self.labels, "scores": _plain(self.scores)}


@dataclass(kw_only=True)
class Result:
    """All that is known of one task. Distances are meters; ``places`` were tested, ``blocks`` resampled.

    Attributes:
        subject: the row that verdicts are about.
        classes: places of each class.
        effective_blocks: blocks of equal size that would spread the places as widely.
        kept: share of the training places that the buffer leaves.
        leaks: layers of the map that give the label away.
        label_range_m: meters within which labels are correlated; NaN where nobody looked.
        curve: learning curve, from the smallest share of the labels to all; empty where nobody asked.
        scheme: how folds were made: ``blocks`` (or regions), or ``random``.
        random: the same rows on random folds, where both were asked for.
    """

    task: str
    kind: str
    description: str
    metric: str
    places: int
    classes: Mapping[str, int] = field(default_factory=dict)
    blocks: int
    effective_blocks: float
    block_m: float
    buffer_m: float = 0.0
    folds: int = 0
    seeds: int = 1
    kept: float = 1.0
    rows: list[Row]
    comparisons: list[Comparison] = field(default_factory=list)
    subject: str = "vectors"
    leaks: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    label_range_m: float = float("nan")
    curve: list[CurvePoint] = field(default_factory=list)
    scheme: str = "blocks"
    random: Result | None = None

    def row(self, name: str) -> Row:
        """The row of a name; KeyError where there is none."""
        return {row.name: row for row in self.rows}[name]

    @property
    def title(self) -> str:
        """Title of the result, such as ``landuse: macro-F1``."""
        return f"{self.task}: {self.metric}"

    @property
    def claims(self) -> bool:
        """Whether there are places and blocks enough to claim anything."""
        if self.scheme == "random":
            return False
        return self.places >= PLACES_TO_CLAIM and self.effective_blocks >= BLOCKS_TO_CLAIM and not self.leaks

    @property
    def _all_in_doubt(self) -> bool:
        asked = [pair for pair in self.comparisons if pair.of == self.subject]
        return bool(asked) and all(pair.doubt for pair in asked)

    @property
    def why_no_claim(self) -> str:
        """Why nothing is claimed and what it takes for a claim, in one line; empty where something may be claimed."""
        if self.leaks:
            names = ", ".join(self.leaks)
            return f"the model sees {names}, which give the label away; a model that does not see them may support one"
        if self.scheme == "random":
            return RANDOM_CLAIMS_NOTHING
        found = []
        if self.places < PLACES_TO_CLAIM:
            found.append(f"{self.places} labeled places are too few; at least {PLACES_TO_CLAIM} are needed")
        if self.effective_blocks < BLOCKS_TO_CLAIM:
            side = f"{self.block_m:.0f} m" if self.block_m < 10_000 else f"{self.block_m / 1000:.3g} km"
            found.append(
                f"the places lie in {self.effective_blocks:.1f} effective blocks of {side}; at least {BLOCKS_TO_CLAIM} "
                "are needed: use labels from a wider area"
            )
        if not found and self._all_in_doubt:
            return next(pair.doubt for pair in self.comparisons if pair.of == self.subject)
        return "; ".join(found)

    @property
    def headline(self) -> str:
        """One sentence for a reader who knows the area, not the statistics: better than what, and by how much."""
        sign, subject = better(self.metric), self.row(self.subject)
        one = self.subject == "model"
        baselines = [row for row in self.rows if row.name not in (self.subject, BESIDE)]
        reached = f"{self.metric} {_two(subject.score.value)}"
        scale = SCALES.get(self.metric, "0 is perfect" if sign < 0 else "1 is perfect")
        if not baselines:
            return f"{self.task}: {reached} ({scale}); there is nothing to compare it with."
        best = max(baselines, key=lambda row: _known(sign * row.score.value))
        figures = f"{reached}, compared with {_two(best.score.value)} for the best alternative, {best.name} ({scale})."
        asked = [pair for pair in self.comparisons if pair.of == self.subject]
        if self.why_no_claim:
            adds = f"the {self.subject} {'adds' if one else 'add'} anything"
            return f"{self.task}: there is too little evidence here to say whether {adds}: {figures}"
        beaten = [pair.against for pair in asked if pair.claim == "better"]
        left = [pair.against for pair in asked if pair.claim != "better"]
        if not beaten:
            found = (
                "not clearly better than anything it is"
                if one
                else "not clearly better than anything they are"
            )
            found += " compared with"
        elif not left:
            found = f"better than everything {'it is' if one else 'they are'} compared with"
        else:
            found = f"better than {_listed(beaten)}, but not clearly better than {_listed(left)}"
        return f"{self.task}: the {self.subject} {'predicts' if one else 'predict'} it {found}: {figures}"

    @property
    def curve_sentence(self) -> str:
        """How few labels the subject needs to score as the best other row with all; empty without a curve."""
        others = [row for row in self.rows if row.name != self.subject]
        if not self.curve or not others:
            return ""
        sign = better(self.metric)
        best = max(others, key=lambda row: _known(sign * row.score.value))
        for point in self.curve:
            if sign * point.scores[self.subject].value >= sign * best.score.value:
                return (
                    f"With {point.share:.0%} of the labels (about {point.labels:,} places), {self.subject} score as "
                    f"well as {best.name} with all of them."
                )
        return f"With all labels, {self.subject} do not reach the score of {best.name}."

    @property
    def verdict(self) -> str:
        """One sentence on every comparison of the task."""
        found = _in_words(self.comparisons, self.subject)
        if not self.why_no_claim:
            return found
        return f"No claim: {self.why_no_claim}. {'' if self._all_in_doubt else 'In this sample: '}{found}"

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        content = dict(self.__dict__)
        content |= {
            "rows": [row.as_dict() for row in self.rows],
            "comparisons": [item.as_dict() for item in self.comparisons],
            "leaks": list(self.leaks),
            "curve": [point.as_dict() for point in self.curve],
            "random": None if self.random is None else self.random.as_dict(),
        }
        return {**content, "claims": self.claims, "why_no_claim": self.why_no_claim, "verdict": self.verdict}


def _plain(scores: Mapping[str, Score]) -> dict[str, dict[str, float]]:
    """Of each score its value and interval."""
    return {name: {"value": one.value, "low": one.low, "high": one.high} for name, one in scores.items()}


def _listed(names: Sequence[str]) -> str:
    """``a, b and c``"""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _two(value: float) -> str:
    """Two decimals, never minus zero."""
    return f"{round(value, 2) + 0.0:.2f}"


def _known(value: float) -> float:
    return value if value == value else -1e99


def _in_words(comparisons: list[Comparison], subject: str) -> str:
    """``Vectors are better than chance; no significant difference from coordinates.``"""
    phrases = {
        "better": "better than", "worse": "worse than", NO_DIFFERENCE: f"{NO_DIFFERENCE} from",
        NO_CLAIM: "no claim about",
    }  # fmt: skip
    sentences = []
    for of in dict.fromkeys([subject, *(item.of for item in comparisons)]):
        parts = []
        for verdict, words in phrases.items():
            names = [item.against for item in comparisons if (item.of, item.claim) == (of, verdict)]
            if names:
                parts.append(f"{words} {', '.join(names)}")
        if parts:
            sentences.append(f"{of[:1].upper()}{of[1:]}: {'; '.join(parts)}.")
    return " ".join(sentences) or "There is nothing to compare with."
