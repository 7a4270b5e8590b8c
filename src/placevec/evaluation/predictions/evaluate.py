"""How good a head's predictions are on places that it was not trained on, beside baselines without a trained encoder.

The places are the test part of the split, else its validation part, else the blocks that training held out. Every row
is measured on the same places and the same draws of blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec.datasets.dataset import Dataset
from placevec.datasets.labels import Labeled
from placevec.errors import EvaluationError
from placevec.evaluation.bootstrap import Resampling, Score, mean_of, scale_of
from placevec.evaluation.compare import Comparison, compare
from placevec.evaluation.engine import BUDGETS, CURVE, one_thread
from placevec.evaluation.neighbors import VOTES, neighbor_means
from placevec.evaluation.point_baselines import MAX_TRAINED, frequencies, linear_layer, sines
from placevec.evaluation.position_probes import process_means
from placevec.evaluation.predictions.probed import evaluate_probes
from placevec.evaluation.predictions.ranking import TOP, TrueRanks, seen_by_image
from placevec.evaluation.predictions.reliability import reliability_notes
from placevec.evaluation.predictions.split import HeldOut, held_out
from placevec.evaluation.regions import regions_of
from placevec.evaluation.report import METHOD as OF_VECTORS
from placevec.evaluation.report import Report
from placevec.evaluation.results import Result, Row
from placevec.evaluation.ridge import Votes
from placevec.evaluation.scores import better, each, loss, resampled
from placevec.evaluation.splits import Blocks, inner_parts
from placevec.evaluation.tasks import Kind
from placevec.geo import Floats, Ints, spatial_blocks
from placevec.geo.blocks import block_side_m
from placevec.geo.coordinates import xyz_of
from placevec.io.progress import SILENT, Progress
from placevec.models.heads import Head
from placevec.models.model import Model
from placevec.options.choices import Effort
from placevec.training.samplers.background import Sphere

Scores = NDArray[np.floating]
Measured = dict[str, Score]
EVERY_PHOTO = "every photo"
"""Rows that are measured on photos without coordinates too."""
SUBJECT = "model"
UNTRAINED = "untrained encoder + linear"
DRAWS = 2_000
METHOD = (
    "Every row is measured on the same places. Intervals are 95% intervals over blocks of places; they concern this "
    "area and places like these, not other areas and not training the model again. Verdicts hold jointly: Holm's "
    "rule keeps the chance of any false verdict at 5%."
)
_BACKGROUND = 10_000
_MAX_SCORES = 2**26
"""Scores held at once: many classes are predicted part by part."""
_KS = (1, 3, 10, 30, 100, 300, 1_000)
"""Numbers of neighbors to choose from, below the number of training places."""
_MAX_VALIDATION = 5_000
_MAX_CLASSES_OF_TREES = 50
PROCESS_PLACES = 2_000
"""Places that the Gaussian process learns from."""
TREES, ROUNDS = 200, 100
"""Trees of the forest on coordinates, rounds of boosting."""
_CELLS_M = (50_000.0, 100_000.0, 200_000.0, 500_000.0, 1_000_000.0, 2_000_000.0)
"""Sides of grid cells to choose from."""
_INNER_BLOCKS = 20.0  # blocks across the extent, for choosing settings inside the training places


def evaluate_predictions(
    model: Model,
    dataset: Dataset,
    *,
    baselines: bool = True,
    seed: int = 0,
    regions: str | Path | None = None,
    learning_curve: bool = False,
    budget: Effort = "full",
    progress: Progress = SILENT,
) -> Report:
    """`placevec.evaluate_model` of a model and a dataset that are open already.

    Raises:
        EvaluationError: no head, labels of another kind, no place that the model was not trained on.
    """
    head = model.head
    if head is None:
        raise EvaluationError(
            "this model has no head, so it predicts nothing: give --labels TABLE to evaluate its vectors, or embed places"
        )
    labels = dataset.labels()
    if (labels.kind == "number") != (head.kind == "number"):
        raise EvaluationError(
            f"the model predicts {head.kind}, the labels of {dataset.path} are {labels.kind}"
        )
    split = held_out(model, dataset, labels)
    points = dataset.lonlat[split.test]
    block_m = block_side_m(points)
    measure = _Measure(
        model, head, split, dataset.lonlat, spatial_blocks(points[:, 0], points[:, 1], block_m), block_m, seed
    )
    notes = list(split.notes)
    images = _images(dataset, labels, head, split, notes)
    rows = []
    count = measure.count(baselines) + (0 if images is None else 2 * len(measure.photos()))
    with progress.task("Measuring", total=count) as advance, one_thread():
        for name, measured in _rows(measure, baselines, images, notes):
            rows.append(Row(name, measured))
            advance(1)
    if measure.sampled:
        notes.append(
            f"baselines are trained on {MAX_TRAINED:,} of {len(split.train):,} places, drawn at random"
        )
    if split.unseen:
        notes.append(
            f"{split.unseen:,} places belong to classes that the model was never trained on: it is always wrong there"
        )
    over = measure.over
    found = {row.name: row.score.value for row in rows}
    if found.get(UNTRAINED, -np.inf) > found[SUBJECT]:
        notes.append("the model is worse than a linear layer on its own untrained encoder: it may overfit")
    lines, reliability = reliability_notes(
        model, head, points, split.labels[split.test], None if split.years is None else split.years[split.test], over,
        calibrated_here=split.name in ("validation", "held-out blocks"),
    )  # fmt: skip
    notes += lines
    result = Result(
        task=dataset.name, kind=kind_of(head), description=_described(split, head, len(points)),
        metric=next(iter(rows[0].scores)), places=len(points), blocks=over.count,
        effective_blocks=Blocks(over.block, block_m).effective, block_m=block_m, rows=rows,
        comparisons=_compared(rows, points, block_m), subject=SUBJECT, notes=notes,
    )  # fmt: skip
    about = {
        "title": "How good these predictions are", "model": "" if model.path is None else str(model.path),
        "dataset": dataset.name, "kind": kind_of(head), "split": split.name, "places": len(points),
        "trained": len(split.train), "classes": len(head.classes), "unseen": split.unseen,
        **({"reliability": reliability} if reliability else {}),
    }  # fmt: skip
    more = []
    held = None if regions is None else regions_of(regions, dataset)
    for wanted, named, curve in ((learning_curve, None, CURVE), (held is not None, held, ())):
        if wanted:
            more.append(
                evaluate_probes(
                    model, split, dataset.lonlat, block_m, name=dataset.name, regions=named, curve=curve,
                    budget=BUDGETS[budget], progress=progress,
                )
            )  # fmt: skip
    return Report([result, *more], about=about, method=f"{METHOD} {OF_VECTORS}" if more else METHOD)


def kind_of(head: Head) -> Kind:
    """The kind of task that a head answers: one of many classes, a number, or whether its one class is present."""
    if head.kind == "number":
        return "regression"
    return "classification" if head.outputs > 1 else "presence"


def _described(split: HeldOut, head: Head, places: int) -> str:
    classes = f", {len(head.classes):,} class{'' if len(head.classes) == 1 else 'es'}" if head.classes else ""
    return f"{places:,} places ({split.name}){classes}; baselines trained on {len(split.train):,}"


def _compared(rows: Sequence[Row], points: Floats, block_m: float) -> list[Comparison]:
    """The model against every other row of the same places, and images with the model against images alone."""
    scores = {row.name: row.score for row in rows if not row.name.endswith(EVERY_PHOTO)}
    pairs = [(SUBJECT, name) for name in scores if name != SUBJECT and not name.startswith("image")]
    return compare(scores, [*pairs, (f"image x {SUBJECT}", "image alone")], lonlat=points, side_m=block_m)


class _Measure:
    """One model's places: predicts, and measures."""

    def __init__(
        self, model: Model, head: Head, split: HeldOut, lonlat: Floats, block: Ints, side_m: float, seed: int
    ) -> None:
        self.model, self.head, self.split, self.seed = model, head, split, seed
        self.points, self.truth = lonlat[split.test], split.labels[split.test]
        self.over = Resampling(block, draws=DRAWS, seed=seed, lonlat=self.points, side_m=side_m)
        rows = split.train
        self.sampled = len(rows) > MAX_TRAINED
        if self.sampled:
            rows = np.sort(np.random.default_rng([seed, 0xF1]).choice(rows, MAX_TRAINED, replace=False))
        self.rows, self.lonlat = rows, lonlat
        self.classes = 0 if head.kind == "number" else head.outputs
        self.alone = self.classes == 1

    def count(self, baselines: bool) -> int:
        """How many rows there will be."""
        return 1 if not baselines or len(self.rows) == 0 else 4 if self.alone else 5 + 3 * self.trees

    def of_model(self) -> Measured:
        """The model's own predictions."""
        if self.alone:
            return self._against_background(lambda points, years: self._scores(points, years)[:, 0])
        if not self.classes:
            return self.of(self.model.predict_lonlat(self.points, self._years(self.split.test)))
        parts = [
            TrueRanks.of(self._scores(self.lonlat[part], self._years(part)), self._labels(part))
            for part in self._parts(self.split.test)
        ]
        return of_classes(TrueRanks.joined(parts), self.truth, self.classes, self.over)

    def photos(self) -> list[tuple[str, Ints, Resampling]]:
        """(ending of a row's name, photos, their draws): those with coordinates; and all, where some have none."""
        placed = ("", self.split.test, self.over)
        if not len(self.split.unplaced):
            return [placed]
        alone = self.over.count + np.arange(len(self.split.unplaced))
        over = Resampling(np.concatenate((self.over.block, alone)), draws=DRAWS, seed=self.seed)
        return [placed, (f", {EVERY_PHOTO}", np.concatenate((self.split.test, self.split.unplaced)), over)]

    def with_images(
        self, predictions: Any, image_rows: Ints, rows: Ints, over: Resampling, *, alone: bool
    ) -> Measured:
        """P(y | image) on ``rows``, alone or times P(y | place); the one that is known decides alone."""
        ranks = []
        for part in self._parts(rows):
            scores, _ = seen_by_image(predictions, image_rows[part], self.classes)
            if not alone:
                placed = np.asarray(np.isfinite(self.lonlat[part]).all(axis=1))
                known = part[placed]
                scores[placed] *= self.model.predict_lonlat(self.lonlat[known], self._years(known))
            ranks.append(TrueRanks.of(scores, self._labels(part)))
        return of_classes(TrueRanks.joined(ranks), self._labels(rows), self.classes, over)

    def of(self, scores: Scores) -> Measured:
        """(N, C) scores or (N, 1) numbers."""
        if not self.classes:
            return of_numbers(self.truth, scores[:, 0].astype(np.float64), self.over)
        return of_classes(TrueRanks.of(scores, self.truth), self.truth, self.classes, self.over)

    def nearest(self) -> Measured:
        """Of one class: nearness to the training places."""
        from scipy.spatial import cKDTree

        tree = cKDTree(xyz_of(self.lonlat[self.rows]))
        return self._against_background(lambda points, _: -tree.query(xyz_of(points))[0])

    @property
    def trees(self) -> bool:
        """Whether forests and boosting are grown: not for very many classes."""
        return self.classes <= _MAX_CLASSES_OF_TREES

    def density(self) -> Measured:
        """Of one class: a Gaussian kernel density of the training places, its width that of Scott's rule."""
        from scipy.stats import gaussian_kde

        xyz = xyz_of(self.lonlat[self.rows]).T
        jitter = np.random.default_rng([self.seed, 0x6E]).normal(
            0.0, 1e-6, xyz.shape
        )  # two places span no volume
        known = gaussian_kde(xyz + jitter)
        return self._against_background(lambda points, _: known.logpdf(xyz_of(points).T))

    def cells(self) -> tuple[Measured, str]:
        """(of one class: how many training places lie in the same cell of a grid, which grid was best inside)."""
        rows, held = self._choosing()
        sphere = Sphere().draw(np.random.default_rng([self.seed, 0xC3]), _BACKGROUND)

        def counted(side_m: float, known: Ints, asked: Floats) -> Floats:
            both = np.concatenate([self.lonlat[known], asked])
            cell = np.unique(spatial_blocks(both[:, 0], both[:, 1], side_m), return_inverse=True)[1]
            return np.asarray(
                np.bincount(cell[: len(known)], minlength=cell.max() + 1)[cell[len(known) :]], float
            )

        def quality(side_m: float) -> float:
            here, there = counted(side_m, rows, self.lonlat[held]), counted(side_m, rows, sphere)
            return float(shares_above(here, there).mean()) if len(held) else 0.0

        best = max(_CELLS_M, key=quality)
        found = self._against_background(lambda points, _: counted(best, self.rows, points))
        end = f", the end of the range tried ({_CELLS_M[0] / 1000:g} to {_CELLS_M[-1] / 1000:g} km)"
        return (
            found,
            f"grid cells of {best / 1000:g} km were best{end if best in (_CELLS_M[0], _CELLS_M[-1]) else ''}",
        )

    def process(self) -> Scores:
        """What a Gaussian process on the sphere expects."""
        given, tested = xyz_of(self.lonlat[self.rows]), xyz_of(self.points)
        own = self._labels(self.rows)
        columns = (
            np.eye(self.classes)[own.astype(np.int64)] if self.classes else np.asarray(own, float)[:, None]
        )
        return np.asarray(process_means(given, columns, tested, PROCESS_PLACES, self.seed), np.float32)

    def tree(self, model: Any) -> Scores:
        """What trees grown on longitude, latitude and the point on the sphere predict."""
        given, tested = (
            np.concatenate([points, xyz_of(points)], axis=1)
            for points in (self.lonlat[self.rows], self.points)
        )
        own = self._labels(self.rows)
        model.fit(given, own)
        if not self.classes:
            return np.asarray(model.predict(tested), np.float64)[:, None]
        scores = np.zeros((len(tested), self.classes), np.float32)
        scores[:, np.asarray(model.classes_, np.int64)] = model.predict_proba(tested)
        return scores

    def _choosing(self) -> tuple[Ints, Ints]:
        """(rows to learn from, rows to choose settings on): the validation places, else blocks of the training."""
        random = np.random.default_rng([self.seed, 0xF2])
        if len(self.split.validation):
            return self.rows, random.permutation(self.split.validation)[:_MAX_VALIDATION]
        held = self._inner() == 0
        return self.rows[~held], random.permutation(self.rows[held])[:_MAX_VALIDATION]

    def _inner(self) -> Ints:
        """(n,) inner part of each training row, of whole blocks."""
        points = self.lonlat[self.rows]
        blocks = spatial_blocks(points[:, 0], points[:, 1], block_side_m(points, _INNER_BLOCKS))
        return inner_parts(blocks, np.random.default_rng([self.seed, 0x1E]))

    def neighbors(self) -> tuple[Measured, list[str]]:
        """(scores of the nearest training places, each measure by its own number and votes; notes)."""
        rows, held = self._choosing()
        options = [
            (k, votes) for k in _KS if k == 1 or k < len(rows) for votes in VOTES if k > 1 or votes == "equal"
        ]
        quality = {
            option: self._quality(self._nearest(rows, held, *option), self._labels(held))
            for option in options
        }
        chosen = {
            name: max(options, key=lambda option: better(name) * quality[option][name])
            for name in next(iter(quality.values()))
        }
        made = {
            option: self.of(self._nearest(self.rows, self.split.test, *option))
            for option in set(chosen.values())
        }
        most = max(k for k, _ in options)
        ends = [name for name, (k, _) in chosen.items() if k == most > 1]
        notes = (
            [f"nearest places: the largest number tried, {most}, was best for {', '.join(ends)}"]
            if ends
            else []
        )
        used = ", ".join(
            f"{name} {k}{' weighted' if votes == 'distance' else ''}" for name, (k, votes) in chosen.items()
        )
        return {name: made[option][name] for name, option in chosen.items()}, [
            f"nearest places by measure: {used}",
            *notes,
        ]

    def _nearest(self, rows: Ints, tested: Ints, k: int, votes: Votes) -> Floats:
        own = self._labels(rows)
        target = own if self.classes else np.asarray(own, np.float64)[:, None]
        known, asked = xyz_of(self.lonlat[rows]), xyz_of(self.lonlat[tested])
        return neighbor_means(known, target, asked, (k,), classes=self.classes, votes=votes)[0]

    def _quality(self, found: Floats, truth: NDArray[Any]) -> dict[str, float]:
        """Every measure of predictions, without intervals."""
        none = Resampling(np.zeros(len(truth), np.int64), draws=1)
        measured = (
            of_classes(TrueRanks.of(found, truth), truth, self.classes, none)
            if self.classes
            else of_numbers(truth, found[:, 0], none)
        )
        return {name: one.value for name, one in measured.items()}

    def linear(self, features: Callable[[Floats, Floats | None], Any]) -> Scores:
        """What a linear layer on ``features(lonlat, years)`` predicts."""
        given = features(self.lonlat[self.rows], self._years(self.rows))
        tested = features(self.points, self._years(self.split.test))
        return linear_layer(
            np.asarray(given, np.float64), self._labels(self.rows), np.asarray(tested, np.float64), self.classes,
            self.seed, self._inner(),
        )  # fmt: skip

    def constant(self) -> Scores:
        """The frequencies of the classes, or the mean of the numbers."""
        own = self._labels(self.rows)
        row = frequencies(own, self.classes) if self.classes else np.array([own.mean()])
        return np.tile(row.astype(np.float32), (len(self.points), 1))

    def _parts(self, rows: Ints) -> Iterator[Ints]:
        """As many rows at a time as there is room for scores."""
        step = max(1, _MAX_SCORES // self.classes)
        for start in range(0, len(rows), step):
            yield rows[start : start + step]

    def _scores(self, points: Floats, years: Floats | None) -> Scores:
        """(N, C) logits: probabilities near 1 would tie."""
        import torch

        z = torch.from_numpy(self.model.embed_lonlat(points, years))
        with torch.inference_mode():
            found = self.head(z.to(self.head.linear.weight.device)).float().cpu().numpy()
        return np.asarray(found, np.float32)

    def _labels(self, rows: Ints) -> NDArray[Any]:
        return self.split.labels[rows]

    def _years(self, rows: Ints) -> Floats | None:
        return None if self.split.years is None else self.split.years[rows]

    def _against_background(self, score: Callable[[Floats, Floats | None], Any]) -> Measured:
        """AUC of scores of places against points evenly over the sphere, of the same share of the year."""
        random = np.random.default_rng([self.seed, 0xE15E])
        background = Sphere().draw(random, _BACKGROUND)
        years = self._years(self.split.test)
        there = None if years is None else random.choice(years, _BACKGROUND)
        here = np.asarray(score(self.points, years), float)
        return {"AUC": mean_of(shares_above(here, np.asarray(score(background, there), float)), self.over)}


def _images(
    dataset: Dataset, labels: Labeled, head: Head, split: HeldOut, notes: list[str]
) -> tuple[Any, Ints] | None:
    """(predictions of an image classifier, their row of each place), where the tested part has them."""
    if split.name not in ("test", "validation") or labels.image_rows is None or head.outputs < 2:
        return None
    predictions = dataset.image_predictions(split.name)
    if predictions is None:
        return None
    if labels.classes != head.classes:
        notes.append(
            "image predictions have different classes than the model, so they are not combined with it"
        )
        return None
    if len(split.unplaced):
        notes.append(
            f"{len(split.unplaced):,} labeled photos without coordinates count only in {EVERY_PHOTO!r}; each is a "
            f"block of its own"
        )
    return predictions, labels.image_rows.astype(np.int64)


def _rows(
    measure: _Measure, baselines: bool, images: tuple[Any, Ints] | None, notes: list[str]
) -> Iterator[tuple[str, Measured]]:
    yield SUBJECT, measure.of_model()
    if images is not None:
        for name, rows, over in measure.photos():
            yield f"image x model{name}", measure.with_images(*images, rows, over, alone=False)
            yield f"image alone{name}", measure.with_images(*images, rows, over, alone=True)
    if not baselines or len(measure.rows) == 0:
        return
    if measure.alone:
        yield "nearness to a training place", measure.nearest()
        yield "kernel density", measure.density()
        measured, told = measure.cells()
        notes.append(told)
        yield "grid cells", measured
        return
    yield ("class frequency" if measure.classes else "mean"), measure.of(measure.constant())
    measured, lines = measure.neighbors()
    notes += lines
    yield "nearest places", measured
    if measure.trees:
        for name, model in trees(measure.classes, measure.seed).items():
            yield name, measure.of(measure.tree(model))
        if len(measure.rows) > PROCESS_PLACES:
            notes.append(f"the Gaussian process was trained on {PROCESS_PLACES:,} places, drawn at random")
        yield "lon, lat + Gaussian process", measure.of(measure.process())
    yield "sin, cos + linear", measure.of(measure.linear(lambda points, _: sines(points)))
    untrained = measure.model.untrained(measure.seed + 1)
    yield UNTRAINED, measure.of(measure.linear(untrained.embed_lonlat))


# --- measures ----------------------------------------------------------------------------------------------


def of_classes(ranks: TrueRanks, truth: Ints, classes: int, over: Resampling) -> Measured:
    """Top-1, 3, 5, 10 (those below the number of classes), MRR and macro-F1.

    Args:
        ranks: of the true class.
        truth: (N,) true class; those never trained on have numbers from ``classes`` on, or -1.
        classes: that are predicted.
        over: draws of blocks.
    """
    tops = [top for top in TOP if top == 1 or top < classes]
    found = {f"top-{top}": mean_of(ranks.within(top), over) for top in tops}
    found["MRR"] = mean_of(ranks.reciprocal(), over)
    known = np.where(truth < 0, max(classes, int(truth.max(initial=0)) + 1), truth)
    macro = partial(resampled, "macro-F1", known, ranks.predicted, over.block)
    return {**found, "macro-F1": over.score([macro], len(truth), scale_of("macro-F1"))}


def of_numbers(truth: Floats, predicted: Floats, over: Resampling) -> Measured:
    """R², and the mean absolute error in the label's unit."""
    r2 = over.score(
        [partial(resampled, "R²", truth, predicted, over.block)], len(truth), scale_of("R²"),
        loss("R²", truth, predicted),
    )  # fmt: skip
    return {"R²": r2, "MAE": mean_of(each("MAE", truth, predicted), over, scale_of("MAE"))}


def shares_above(here: Floats, background: Floats) -> Floats:
    """(N,) how often each of ``here`` scores above the background, ties half: their mean is the AUC.

    >>> shares_above(np.array([0.9, 0.5]), np.array([0.1, 0.5]))
    array([1.  , 0.75])
    """
    order = np.sort(background)
    below, upto = np.searchsorted(order, here, "left"), np.searchsorted(order, here, "right")
    return np.asarray((below + upto) / (2.0 * len(order)), np.float64)


def trees(classes: int, seed: int) -> dict[str, Any]:
    """Row -> a forest and gradient boosting on coordinates."""
    from sklearn import ensemble

    kind = "Classifier" if classes else "Regressor"
    forest = getattr(ensemble, f"RandomForest{kind}")(TREES, min_samples_leaf=5, random_state=seed)
    boosting = getattr(ensemble, f"HistGradientBoosting{kind}")(
        max_iter=ROUNDS, learning_rate=0.05, random_state=seed
    )
    return {"lon, lat + random forest": forest, "lon, lat + gradient boosting": boosting}
