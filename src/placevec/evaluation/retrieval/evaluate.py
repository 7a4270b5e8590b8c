"""`evaluate_words`: how a model's images and words find each other, beside what needs no training of encoders."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from placevec.datasets.dataset import Dataset
from placevec.datasets.place_types import UNKNOWN, Types, types_of
from placevec.datasets.views.registry import known_rows, reader_of
from placevec.errors import EvaluationError, UsageError
from placevec.evaluation.bootstrap import Resampling, Score
from placevec.evaluation.compare import compare
from placevec.evaluation.engine import one_thread
from placevec.evaluation.results import Result, Row
from placevec.evaluation.retrieval.held import Held, held_of
from placevec.evaluation.retrieval.ranks import Found, by_chance, by_type, found
from placevec.evaluation.retrieval.report import Pictured, WordsReport, WordsResult, founding_figures
from placevec.evaluation.retrieval.rows import (
    CHANCE,
    COUNTS,
    MODEL,
    ORACLE,
    STATISTICS,
    UNTRAINED,
    Sides,
    counted_words,
    macro_recall,
    ridge_row,
    statistics,
)
from placevec.evaluation.retrieval.said import Said, said_of
from placevec.evaluation.scores import Array, weighted_mean
from placevec.evaluation.splits import Blocks, Fold, Split, block_grid, spatial_split
from placevec.geo import Floats, Ints, spatial_blocks
from placevec.inference.texts import embed_texts
from placevec.inference.zero_shot import type_vectors
from placevec.io.progress import SILENT, Progress
from placevec.models.model import Model

DRAWS = 1_000
MIN_OF_A_TYPE, MIN_OF_A_KIND = 5, 20
"""Places that a type, and that a language, script or kind of texts needs."""
MAX_SHOWN = 20
"""Languages and scripts that are shown, those of most places."""
OTHERS = ", other entities"
_FOLDS = 5


def evaluate_words(
    model: Model,
    dataset: Dataset,
    *,
    view: str | None = None,
    images: NDArray[np.floating] | None = None,
    baselines: bool = True,
    seeds: int = 3,
    seed: int = 0,
    progress: Progress = SILENT,
) -> WordsReport:
    """Retrieval of images by words and words by images, and types by name, on places that the model was not trained on.

    Args:
        model: with a view of texts and one of images.
        dataset: with both; the one that the model was trained on, or another.
        view: of images, where the model has several.
        images: (N, dim) vectors of that view of all places, NaN where there is none; by default made here.
        baselines: also evaluate chance, the type oracle, ridge on statistics, and untrained encoders.
        seeds: untrained encoders.
        seed: of the text drawn for each place, and of what is sampled.
        progress: where to report.

    Raises:
        EvaluationError: too few places with both.
        UsageError: a model without such views, or several and none is named.
    """
    if seeds < 1:
        raise UsageError("evaluation needs at least one seed")
    image, text = views_of(model, view)
    for name in (image, text):
        if name not in dataset.view_names:
            raise EvaluationError(f"{dataset.name} lacks the view {name!r}, which this model reads")
    config = model.recipe.get("config", {})
    said = said_of(dataset, text, languages=config.get("languages") or (), kinds=config.get("kinds") or ())
    if images is None:
        opened = model.views_of(dataset, (image,))[image]
        seen = known_rows(opened, dataset.lonlat)
    else:
        seen = np.asarray(np.isfinite(images).all(axis=1))
    usable = seen & (said.one_each(np.arange(len(dataset)), seed=seed) >= 0)
    held = held_of(model, dataset, usable, text, seed=seed)
    asked = _Asked(model, dataset, image, text, said, held, images, str(config.get("types") or "leaf"), seed)
    total = 1 + (4 + seeds if baselines else 0)
    with progress.task("Evaluating words", total=total) as advance, one_thread():
        rows: dict[str, list[_Finder]] = {}
        for name, finders in _rows(asked, baselines, seeds):
            rows[name] = finders
            advance(1)
        results: list[Result] = [*_results(asked, rows), *_by_words(asked)]
    both = asked.sides(model).taken(asked.at(held.blocks))
    pool = np.zeros(len(held.blocks), np.int64)
    checkpoint = "" if model.path is None else str(model.path)
    about = {
        "title": "How well words and images find each other", "model": checkpoint, "dataset": dataset.name,
        "dataset_hash": dataset.hash, "attribution": dataset.attribution, "places": len(held.blocks),
        "trained": len(held.train), "images": image, "texts": text,
    }  # fmt: skip
    names = (*asked.types.names, "")
    return WordsReport(
        results, notes=[*held.notes, *asked.notes], about=about,
        founding=founding_figures(
            found(both.images, both.words, pool), found(both.words, both.images, pool), checkpoint
        ),
        pictured=Pictured(
            both.images, both.words, tuple(names[code] for code in asked.types.codes[held.blocks].tolist())
        ),
    )  # fmt: skip


def views_of(model: Model, view: str | None = None) -> tuple[str, str]:
    """(the view of images, the view of texts) of a model; UsageError where that is not clear."""
    texts = [name for name, spec in model.specs.items() if reader_of(spec).from_texts]
    others = [name for name in model.specs if name not in texts]
    if len(texts) != 1 or not others:
        raise UsageError(
            f"evaluating words and images needs a model with one view of texts and one of images; this one reads "
            f"{', '.join(model.views)}"
        )
    if view is not None and view not in others:
        raise UsageError(f"this model has no images called {view!r}: choose from {', '.join(others)}")
    if view is None and len(others) > 1:
        raise UsageError(
            f"this model has several views besides texts ({', '.join(others)}): choose one with --view"
        )
    return view or others[0], texts[0]


def reads_words(model: Model) -> bool:
    """Whether a model has exactly one view of texts, and others."""
    texts = [reader_of(spec).from_texts for spec in model.specs.values()]
    return sum(texts) == 1 and len(texts) > 1


@dataclass(frozen=True)
class _Finder:
    """How a row finds: vectors, or a closed form of pools."""

    sides: Sides | None = None
    pools: Callable[[Ints, Ints], Found] | None = None
    hits: Callable[[Ints], Array] | None = None

    def found(self, rows: Ints, pool: Ints, types: Ints, *, words_ask: bool) -> Found:
        if self.sides is None:
            assert self.pools is not None
            return self.pools(types, pool)
        some = self.sides.taken(rows)
        return found(some.words, some.images, pool) if words_ask else found(some.images, some.words, pool)

    def type_hits(self, rows: Ints, types: Ints) -> Array:
        if self.sides is None:
            assert self.hits is not None
            return self.hits(types)
        return np.asarray(self.sides.taken(rows).guesses() == types, np.float64)


class _Asked:
    """The places of one evaluation: those asked about and those that baselines are trained on, as positions."""

    def __init__(
        self, model: Model, dataset: Dataset, image: str, text: str, said: Said, held: Held,
        images: NDArray[np.floating] | None, level: str, seed: int,
    ) -> None:  # fmt: skip
        self.model, self.dataset, self.image, self.said, self.held, self.seed = (
            model, dataset, image, said, held, seed
        )  # fmt: skip
        self.tested: Ints = np.union1d(held.blocks, held.entities)
        self.rows: Ints = np.union1d(self.tested, held.train)
        self.texts = [said.texts[one] for one in said.one_each(self.rows, seed=seed)]
        self.types: Types = types_of(dataset, text, level)
        codes = self.types.codes[held.blocks]
        known, counts = np.unique(codes[codes != UNKNOWN], return_counts=True)
        self.asked_types: Ints = known[counts >= MIN_OF_A_TYPE]
        self.type_names = [self.types.names[code] for code in self.asked_types]
        self._images, self.notes = images, list[str]()
        self._kept: dict[int, Sides] = {}

    def at(self, rows: Ints) -> Ints:
        """Positions of rows of the dataset."""
        return np.searchsorted(self.rows, rows)

    def sides(self, model: Model) -> Sides:
        """Vectors of a model, made once."""
        if id(model) not in self._kept:
            if model is self.model and self._images is not None:
                images = np.asarray(self._images, np.float64)[self.rows]
            else:
                images = model.vectors(self.dataset, self.rows, view=self.image).astype(np.float64)
            types = np.zeros((0, images.shape[1]))
            if self.type_names:
                types = type_vectors(model, self.type_names, view=self.image).astype(np.float64)
            self._kept[id(model)] = Sides(images, embedded(model, self.texts), types)
        return self._kept[id(model)]

    @cached_property
    def blocks(self) -> Blocks | None:
        """Blocks of the places at `rows`; None where any has no coordinates."""
        lonlat = self.dataset.lonlat[self.rows]
        if not np.isfinite(lonlat).all():
            self.notes.append(
                "places have no coordinates: intervals resample single places, so they may be too narrow"
            )
            return None
        return block_grid(lonlat, buffer_m=max(self.dataset.footprint_m, 1.0))

    def over(self, rows: Ints, seeds: int) -> tuple[Resampling, Floats | None, float, Blocks]:
        """(resampling, degrees, side of a block, blocks) of some rows."""
        if self.blocks is None:
            single = Blocks(np.arange(len(rows)), 0.0)
            return Resampling(single.number, draws=DRAWS, seeds=seeds), None, 0.0, single
        lonlat, side = self.dataset.lonlat[rows], self.blocks.size_m
        number = np.unique(spatial_blocks(lonlat[:, 0], lonlat[:, 1], side), return_inverse=True)[1]
        blocks = Blocks(np.asarray(number, np.int64), side)
        return (
            Resampling(blocks.number, draws=DRAWS, seeds=seeds, lonlat=lonlat, side_m=side),
            lonlat,
            side,
            blocks,
        )

    @cached_property
    def split(self) -> Split | None:
        """What ridges are fitted and tested on, as positions: training places, else folds of the places asked about."""
        train, tested = self.at(self.held.train), self.at(self.tested)
        if len(train) >= MIN_OF_A_KIND and not self.held.seen:
            return Split((Fold(train, tested),))
        if self.blocks is None or len(tested) < 2 * MIN_OF_A_KIND:
            return None
        self.notes.append(
            "baselines are trained on the other blocks of the evaluated places, which the model never saw"
        )
        lonlat = self.dataset.lonlat[self.rows]
        try:
            split = spatial_split(
                lonlat, self.blocks, buffer_m=self.dataset.footprint_m, folds=_FOLDS, seed=self.seed
            )
        except EvaluationError:
            return None
        return split if min(len(fold.train) for fold in split.folds) >= MIN_OF_A_KIND else None


def embedded(model: Model, texts: Sequence[str], at_once: int = 4_096) -> Floats:
    """(n, dim) vectors of texts; those without any letter are read too."""
    parts = [
        embed_texts(model, [text if text.strip() else "?" for text in texts[start : start + at_once]])[0]
        for start in range(0, len(texts), at_once)
    ]
    return np.concatenate(parts).astype(np.float64)


def _rows(asked: _Asked, baselines: bool, seeds: int) -> Iterator[tuple[str, list[_Finder]]]:
    """Every row and its variants, the model first."""
    yield MODEL, [_Finder(asked.sides(asked.model))]
    if not baselines:
        return
    share = 1.0 / max(len(asked.type_names), 1)
    yield (
        CHANCE,
        [_Finder(pools=lambda _, pool: by_chance(pool), hits=lambda types: np.full(len(types), share))],
    )
    yield ORACLE, [_Finder(pools=by_type, hits=lambda types: np.ones(len(types)))]
    bare = [asked.model.untrained(seed) for seed in range(seeds)]
    split = asked.split
    if split is None:
        asked.notes.append("too few places to train ridge regression on: the rows that need it are left out")
    else:
        features = statistics(asked.model, asked.dataset, asked.image, asked.rows)
        groups = np.arange(len(asked.rows)) if asked.blocks is None else asked.blocks.number
        yield STATISTICS, [
            _Finder(ridge_row(
                features, asked.texts, asked.type_names, split, partial(embedded, bare[0]), groups,
                lambda names: type_vectors(bare[0], names, view=asked.image).astype(np.float64),
            ))
        ]  # fmt: skip
        training = [
            asked.texts[row] for row in np.unique(np.concatenate([fold.train for fold in split.folds]))
        ]
        named = [name.replace("_", " ") for name in asked.type_names]
        yield (
            COUNTS,
            [_Finder(ridge_row(features, asked.texts, named, split, counted_words(training), groups))],
        )
    yield UNTRAINED, [_Finder(asked.sides(one)) for one in bare]


def _results(asked: _Asked, rows: Mapping[str, list[_Finder]]) -> Iterator[WordsResult]:
    count = len(asked.held.blocks)
    for name, words_ask, question in (
        ("text to image", True, f"Words find the image of their place among the first 10 of {count:,}"),
        ("image to text", False, f"Images find the words of their place among the first 10 of {count:,}"),
    ):
        scorer = _Ranked(asked, words_ask=words_ask, within=False)
        yield _result(asked, name, "R@10", question, rows, scorer.scores, asked.held.blocks)
    codes = asked.types.codes[asked.held.blocks]
    of_type = asked.held.blocks[np.isin(codes, asked.asked_types)]
    if len(of_type) and len(asked.asked_types) > 1:
        scorer = _Ranked(asked, words_ask=True, within=True)
        alone = {name: finders for name, finders in rows.items() if name != ORACLE}
        question = "Words find the image of their place first among all places of its type"
        yield _result(asked, "text to image within a type", "R@1", question, alone, scorer.scores, of_type)
        plain = {name: finders for name, finders in rows.items() if name != ORACLE}
        question = f"The right type of {len(asked.asked_types)} is found by its name"
        yield _result(asked, "types by name", "top-1", question, plain, partial(_type_scores, asked), of_type)


@dataclass(frozen=True)
class _Ranked:
    """Scores of ranks, of places in held-out blocks and of other entities."""

    asked: _Asked
    words_ask: bool
    within: bool

    def scores(self, finders: Sequence[_Finder], rows: Ints) -> tuple[dict[str, Score], dict[str, float]]:
        every = self._found(finders, rows)
        over = self.asked.over(rows, len(finders))[0]
        order = (1, 5, 10) if self.within else (10, 1, 5)
        scores = {f"R@{k}": _score(over, [one.within(k) for one in every]) for k in order}
        scores["mean rank"] = _score(over, [one.rank for one in every], scale="log")
        entities = self.asked.held.entities
        if not self.within and not np.array_equal(entities, self.asked.held.blocks):
            others = self._found(finders, entities)
            scores[f"R@10{OTHERS}"] = _score(
                self.asked.over(entities, len(finders))[0], [one.within(10) for one in others]
            )
        return scores, {"median rank": float(np.median([one.rank for one in every]))}

    def _found(self, finders: Sequence[_Finder], rows: Ints) -> list[Found]:
        types = self.asked.types.codes[rows]
        pool = types if self.within else np.zeros(len(rows), np.int64)
        at = self.asked.at(rows)
        return [one.found(at, pool, types, words_ask=self.words_ask) for one in finders]


def _type_scores(
    asked: _Asked, finders: Sequence[_Finder], rows: Ints
) -> tuple[dict[str, Score], dict[str, float]]:
    over = asked.over(rows, len(finders))[0]
    types = np.searchsorted(asked.asked_types, asked.types.codes[rows])
    hits = [one.type_hits(asked.at(rows), types) for one in finders]
    macro = over.score([partial(macro_recall, each, types, over.block) for each in hits], len(rows), "logit")
    return {"top-1": _score(over, hits), "macro recall": macro}, {}


def _score(over: Resampling, each: Sequence[Array], scale: str = "logit") -> Score:
    """The mean of (n,) values, one set a variant."""
    measures = [partial(weighted_mean, values, over.block) for values in each]
    losses = -np.mean(each, axis=0) if scale == "logit" else np.mean(each, axis=0)
    return over.score(measures, len(each[0]), "log" if scale == "log" else "logit", np.asarray(losses))


Scorer = Callable[[Sequence[_Finder], Ints], tuple[dict[str, Score], dict[str, float]]]


def _result(
    asked: _Asked, name: str, metric: str, question: str, rows: Mapping[str, list[_Finder]], scores: Scorer,
    places: Ints,
) -> WordsResult:  # fmt: skip
    variants = max(len(finders) for finders in rows.values())
    made = []
    for row, finders in rows.items():
        several = finders if len(finders) == variants else finders * variants  # paired: the same draws
        measured, further = scores(several, places)
        made.append(Row(row, measured, further=further))
    over, lonlat, side, blocks = asked.over(places, variants)
    pairs = [(MODEL, row.name) for row in made[1:]]
    comparisons = compare({row.name: row.score for row in made}, pairs, lonlat=lonlat, side_m=side)
    return WordsResult(
        task=name, kind="retrieval", description="", metric=metric, places=len(places), blocks=over.count,
        effective_blocks=blocks.effective, block_m=side, seeds=variants, rows=made, comparisons=comparisons,
        subject=MODEL, question=question, unclaimed=asked.held.seen,
    )  # fmt: skip


def _by_words(asked: _Asked) -> list[WordsResult]:
    """Text to image by kind, language and script of the words; a row each, its pool the places that have such words."""
    said, rows = asked.said, asked.held.blocks
    sets: dict[str, Array] = {}
    for head, values in (("kind", said.kinds), ("language", said.languages), ("script", said.scripts)):
        names, counts = np.unique(np.array(values, object).astype(str), return_counts=True)
        if len(names) > 1:
            for name in names[np.argsort(-counts)][:MAX_SHOWN]:
                sets[f"{head} {name or 'not named'}"] = np.array(values, object) == name
    model, made = asked.model, []
    images = asked.sides(model).images
    for label, among in sets.items():
        which = said.one_each(rows, among=among.tolist(), seed=asked.seed)
        there = rows[which >= 0]
        if len(there) < MIN_OF_A_KIND:
            continue
        words = embedded(model, [said.texts[one] for one in which[which >= 0]])
        pool = np.zeros(len(there), np.int64)
        answer = found(words, images[asked.at(there)], pool)
        over = asked.over(there, 1)[0]
        scores = {
            "R@10": _score(over, [answer.within(10)]), "by chance": Score(min(1.0, 10 / len(there))),
            "mean rank": _score(over, [answer.rank], scale="log"),
        }  # fmt: skip
        made.append(Row(label, scores, further={"places": float(len(there))}))
    if not made:
        return []
    blocks = asked.over(rows, 1)[3]
    return [
        WordsResult(
            task="text to image by words", kind="retrieval", description="", metric="R@10", places=len(rows),
            blocks=blocks.count, effective_blocks=blocks.effective, block_m=blocks.size_m, rows=made,
            subject=made[0].name,
            question=f"For words by {made[0].name}, the image of their place is among the first 10 of "
            f"{int(made[0].further['places']):,}", unclaimed=asked.held.seen,
        )
    ]  # fmt: skip
