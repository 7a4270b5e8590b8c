"""How good a model's answers are on places that it was not taught on, beside what needs no learned encoder.

For models with a head. The places are the test side of the dataset's split, else its validation side, else the blocks
that training held out. Every row is measured on the same places and the same resamplings of blocks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from placevec.datasets.dataset import Dataset
from placevec.datasets.labels import Labeled
from placevec.errors import EvaluationError
from placevec.evaluation.baselines import (
    MAX_TRAIN,
    NEIGHBORS,
    Neighbors,
    frequencies,
    sines,
    taught,
)
from placevec.evaluation.predictions.ranking import seen_by_image
from placevec.evaluation.predictions.report import AnswerReport
from placevec.evaluation.predictions.scores import (
    Measured,
    Resampling,
    Standing,
    auc,
    of_classes,
    of_numbers,
)
from placevec.evaluation.predictions.split import Sides, sides_of
from placevec.geo import Floats, Ints, spatial_blocks, to_ecef
from placevec.io.progress import SILENT, Progress
from placevec.models.heads import Head
from placevec.models.model import Model
from placevec.training.samplers.background import Sphere

if TYPE_CHECKING:
    pass

Answers = NDArray[np.floating]
EVERY_PHOTO = "every photo"
"""Rows that are measured on photos without coordinates too."""
_ELSEWHERE = 10_000
_MAX_SCORES = 2**26
"""Scores held at once: many classes are answered part by part."""


def evaluate_answers(
    model: Model, dataset: Dataset, *, floors: bool = True, seed: int = 0, progress: Progress = SILENT
) -> AnswerReport:
    """Measure a model's answers on a dataset's places, beside floors.

    Args:
        model: with a head.
        dataset: whose labels are classes or numbers, as the head's are; the one it was trained on, or another.
        floors: measure those too.
        seed: of resamplings, and of what is drawn for floors.
        progress: where to report.

    Raises:
        EvaluationError: no head, labels of another kind, no place that was not taught on.
    """
    head = model.head
    if head is None:
        raise EvaluationError(
            "this model has no head, so it answers nothing: embed places with it, and evaluate the vectors"
        )
    labels = dataset.labels()
    if (labels.kind == "number") != (head.kind == "number"):
        raise EvaluationError(
            f"the model answers with {head.kind}, the labels of {dataset.path} are {labels.kind}"
        )
    sides = sides_of(model, dataset, labels)
    lonlat = dataset.lonlat
    points = lonlat[sides.judged]
    block_m = _block_m(points)
    over = Resampling(spatial_blocks(points[:, 0], points[:, 1], block_m), seed)
    report = AnswerReport(
        model="" if model.path is None else str(model.path), dataset=dataset.name, kind=head.kind, side=sides.name,
        places=len(points), taught=len(sides.taught), classes=len(head.classes), unseen=sides.unseen,
        blocks=over.count, block_m=block_m, notes=list(sides.notes),
    )  # fmt: skip
    measure = _Measure(model, head, sides, lonlat, over, seed)
    images = _images(dataset, labels, head, sides, report.notes)
    of_images = 0 if images is None else 2 * len(measure.photos())
    with progress.task("Measuring", total=measure.count(floors) + of_images) as advance:
        for name, measured in _rows(measure, floors, images):
            report.rows[name] = measured
            advance(1)
    if measure.drawn:
        report.notes.append(
            f"floors are taught on {MAX_TRAIN:,} of {len(sides.taught):,} places, drawn at random"
        )
    return report


class _Measure:
    """One model's places: asks, and measures."""

    def __init__(
        self, model: Model, head: Head, sides: Sides, lonlat: Floats, over: Resampling, seed: int
    ) -> None:
        self.model, self.head, self.sides, self.over, self.seed = model, head, sides, over, seed
        self.points = lonlat[sides.judged]
        self.truth = sides.labels[sides.judged]
        rows = sides.taught
        self.drawn = len(rows) > MAX_TRAIN
        if self.drawn:
            rows = np.sort(np.random.default_rng([seed, 0xF1]).choice(rows, MAX_TRAIN, replace=False))
        self.rows, self.lonlat = rows, lonlat
        self.classes = 0 if head.kind == "number" else head.outputs
        self.alone = self.classes == 1

    def count(self, floors: bool) -> int:
        """How many rows there will be."""
        return 1 if not floors or len(self.rows) == 0 else 2 if self.alone else 5

    def of_model(self) -> dict[str, Measured]:
        """What the model's own answers are worth."""
        if self.alone:
            return self._against(lambda points, years: self._scores(points, years)[:, 0])
        if not self.classes:
            found = self.model.predict_lonlat(self.points, self._years(self.sides.judged))[:, 0]
            return of_numbers(self.truth, found.astype(np.float64), self.over)
        return self._told(
            [
                Standing.of(self._scores(self.lonlat[part], self._years(part)), self._labels(part))
                for part in self._parts(self.sides.judged)
            ]
        )

    def photos(self) -> list[tuple[str, Ints, Resampling]]:
        """(ending of a row's name, photos, their blocks): those with coordinates; and all, where some have none."""
        placed = ("", self.sides.judged, self.over)
        if not len(self.sides.unplaced):
            return [placed]
        alone = self.over.count + np.arange(len(self.sides.unplaced))
        over = Resampling(np.concatenate((self.over.block, alone)), self.seed)
        return [placed, (f", {EVERY_PHOTO}", np.concatenate((self.sides.judged, self.sides.unplaced)), over)]

    def with_images(
        self, predictions: Any, image_rows: Ints, rows: Ints, over: Resampling, *, alone: bool
    ) -> dict[str, Measured]:
        """What P(y | image) is worth on ``rows``, alone or times P(y | place); the one that is known decides alone."""
        standings = []
        for part in self._parts(rows):
            scores, _ = seen_by_image(predictions, image_rows[part], self.classes)
            if not alone:
                placed = np.asarray(np.isfinite(self.lonlat[part]).all(axis=1))
                known = part[placed]
                scores[placed] *= self.model.predict_lonlat(self.lonlat[known], self._years(known))
            standings.append(Standing.of(scores, self._labels(part)))
        return of_classes(Standing.joined(standings), self._labels(rows), self.classes, over)

    def _parts(self, rows: Ints) -> Iterator[Ints]:
        """So many rows at a time as there is room for scores."""
        step = max(1, _MAX_SCORES // self.classes)
        for start in range(0, len(rows), step):
            yield rows[start : start + step]

    def _told(self, standings: Sequence[Standing]) -> dict[str, Measured]:
        return of_classes(Standing.joined(standings), self.truth, self.classes, self.over)

    def _scores(self, points: Floats, years: Floats | None) -> Answers:
        """(N, C) logits: probabilities near 1 would tie."""
        import torch

        z = torch.from_numpy(self.model.embed_lonlat(points, years))
        with torch.inference_mode():
            found = self.head(z.to(self.head.linear.weight.device)).float().cpu().numpy()
        return np.asarray(found, np.float32)

    def of(self, answers: Answers) -> dict[str, Measured]:
        """What (N, C) scores or (N, 1) numbers are worth."""
        if not self.classes:
            return of_numbers(self.truth, answers[:, 0].astype(np.float64), self.over)
        return self._told([Standing.of(answers, self.truth)])

    def nearest(self) -> dict[str, Measured]:
        """Of one class: nearness to the places that it was seen at."""
        known = Neighbors(self.lonlat[self.rows], np.zeros(len(self.rows)), 0)
        return self._against(lambda points, _: -known.distance(points))

    def neighbors(self) -> tuple[int, Answers]:
        """How many neighbors are best on the validation side (5 where there is none), and what they answer."""
        own = self._labels(self.rows)
        known = Neighbors(self.lonlat[self.rows], own, self.classes)
        chosen, rows = 5, self.sides.choosing
        if len(rows):
            truth, points = self._labels(rows), self.lonlat[rows]

            def worth(count: int) -> float:
                found = known.answers(points, count)
                if not self.classes:
                    return -float(((found[:, 0] - truth) ** 2).mean())
                return float(Standing.of(found, truth).reciprocal().mean())

            chosen = max(NEIGHBORS, key=worth)
        return chosen, known.answers(self.points, chosen)

    def linear(self, features: Any) -> Answers:
        """What a linear layer on ``features(lonlat, years)`` answers."""
        given = features(self.lonlat[self.rows], self._years(self.rows))
        asked = features(self.points, self._years(self.sides.judged))
        return taught(
            np.asarray(given, np.float64), self._labels(self.rows), [np.asarray(asked, np.float64)], self.classes,
            self.seed,
        )[0]  # fmt: skip

    def constant(self) -> Answers:
        """The frequencies of the classes, or the mean of the numbers."""
        own = self._labels(self.rows)
        row = frequencies(own, self.classes) if self.classes else np.array([own.mean()])
        return np.tile(row.astype(np.float32), (len(self.points), 1))

    def _labels(self, rows: Ints) -> NDArray[Any]:
        return self.sides.labels[rows]

    def _years(self, rows: Ints) -> Floats | None:
        return None if self.sides.years is None else self.sides.years[rows]

    def _against(self, score: Any) -> dict[str, Measured]:
        """AUC of scores of places against points evenly over the sphere, of the same share of the year."""
        random = np.random.default_rng([self.seed, 0xE15E])
        elsewhere = Sphere().draw(random, _ELSEWHERE)
        years = self._years(self.sides.judged)
        there = None if years is None else random.choice(years, _ELSEWHERE)
        here = score(self.points, years)
        return {
            "AUC": self.over.mean(
                auc(np.asarray(here, float), np.asarray(score(elsewhere, there), float)), 1.0
            )
        }


def _images(
    dataset: Dataset, labels: Labeled, head: Head, sides: Sides, notes: list[str]
) -> tuple[Any, Ints] | None:
    """(predictions of an image classifier, their row of each place), where the judged side has them."""
    if sides.name not in ("test", "validation") or labels.image_rows is None or head.outputs < 2:
        return None
    predictions = dataset.image_predictions(sides.name)
    if predictions is None:
        return None
    if labels.classes != head.classes:
        notes.append("image predictions are of other classes than the model's, and are not combined with it")
        return None
    if len(sides.unplaced):
        notes.append(
            f"{len(sides.unplaced):,} labeled photos without coordinates count in {EVERY_PHOTO!r} only; each is a"
            " block by itself"
        )
    return predictions, labels.image_rows.astype(np.int64)


def _rows(
    measure: _Measure, floors: bool, images: tuple[Any, Ints] | None
) -> Iterator[tuple[str, dict[str, Measured]]]:
    yield "model", measure.of_model()
    if images is not None:
        for name, rows, over in measure.photos():
            yield f"image x model{name}", measure.with_images(*images, rows, over, alone=False)
            yield f"image alone{name}", measure.with_images(*images, rows, over, alone=True)
    if not floors or len(measure.rows) == 0:
        return
    if measure.alone:
        yield "nearness to a place taught on", measure.nearest()
        return
    yield ("class frequency" if measure.classes else "mean"), measure.of(measure.constant())
    count, answers = measure.neighbors()
    yield f"{count} nearest places", measure.of(answers)
    yield "sin, cos + linear", measure.of(measure.linear(lambda points, _: sines(points)))
    untrained = measure.model.untrained(measure.seed + 1)
    yield "untrained encoder + linear", measure.of(measure.linear(untrained.embed_lonlat))


def _block_m(points: Floats) -> float:
    """Side of the blocks that intervals resample: a twentieth of the extent, at most 500 km."""
    xyz = to_ecef(points[:, 0], points[:, 1])
    return float(np.clip(np.linalg.norm(xyz.max(axis=0) - xyz.min(axis=0)) / 20.0, 1.0, 500_000.0))
