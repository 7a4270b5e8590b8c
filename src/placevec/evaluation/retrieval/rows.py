"""What finds words and images beside the model: ridge on simple statistics, the untrained encoder, types, chance.

Two rows know how an image looks and have a text space, but no encoder: statistics of the image's channels are mapped by
ridge regression into the text space of the untrained model, or into word counts. Both are fitted on training places.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from placevec.core import Look
from placevec.datasets.dataset import Dataset
from placevec.datasets.views.registry import reader_of
from placevec.evaluation.retrieval.ranks import unit
from placevec.evaluation.ridge import predicted
from placevec.evaluation.scores import Array
from placevec.evaluation.splits import Split, inner_parts
from placevec.geo import Floats, Ints
from placevec.models.model import Model

MODEL, CHANCE, ORACLE, UNTRAINED = "model", "chance", "type oracle", "untrained encoder"
STATISTICS, COUNTS = "image statistics, ridge to texts", "image statistics, ridge to word counts"
MAX_WORDS = 2_000
"""Words that are counted: the most frequent of the training texts."""
_AT_ONCE = 256
_PERCENTILES = (10.0, 50.0, 90.0)
Texts = Callable[[Sequence[str]], Floats]
"""Texts -> (n, D) vectors."""


@dataclass(frozen=True)
class Sides:
    """Vectors of n places and of T types in one space.

    Attributes:
        images: (n, D).
        words: (n, D).
        types: (T, D); none where no type is known.
    """

    images: Floats
    words: Floats
    types: Floats

    def taken(self, chosen: Ints) -> Sides:
        """Some of the places."""
        return Sides(self.images[chosen], self.words[chosen], self.types)

    def guesses(self) -> Ints:
        """(n,) the nearest type of each place."""
        return np.asarray((unit(self.images) @ unit(self.types).T).argmax(axis=1))


def statistics(model: Model, dataset: Dataset, view: str, rows: Ints) -> Floats:
    """(n, F) of what the model reads of each place: mean, deviation and percentiles 10, 50 and 90 of every channel.

    Of a map these are shares of layers, of chips colors. What is no image is taken as it is.
    """
    opened = model.views_of(dataset, (view,))[view]
    by_coordinates = reader_of(opened.spec).by_coordinates
    parts = []
    for start in range(0, len(rows), _AT_ONCE):
        some = rows[start : start + _AT_ONCE]
        lonlat = torch.from_numpy(dataset.lonlat[some]) if by_coordinates else None
        batch = opened.read(Look(torch.from_numpy(some), lonlat))
        if not isinstance(batch, torch.Tensor):
            raise TypeError(f"images of {view} are not tensors")
        values = batch.numpy().astype(np.float64)
        parts.append(values if values.ndim == 2 else _of_channels(values.reshape(*values.shape[:2], -1)))
    return np.concatenate(parts)


def _of_channels(values: Floats) -> Floats:
    """(n, C, pixels) -> (n, 5 C)"""
    spread = np.percentile(values, _PERCENTILES, axis=2)
    return np.concatenate([values.mean(axis=2), values.std(axis=2), *spread], axis=1)


def ridge_row(
    features: Floats, texts: Sequence[str], types: Sequence[str], split: Split, embed: Texts, groups: Ints,
    embed_types: Texts | None = None,
) -> Sides:  # fmt: skip
    """Images mapped into a space of texts, fold by fold; vectors are taken from the mean of the training texts.

    Args:
        features: (n, F) of images.
        texts: n, one per place.
        types: names of types.
        split: places of no fold's test get zeros.
        embed: of texts, fitted on all of them (not on images).
        groups: (n,) what stays together where the penalty is chosen, such as blocks.
        embed_types: of names of types; by default as texts.
    """
    words = np.asarray(embed(texts), np.float64)
    named = (
        np.zeros((0, words.shape[1])) if not types else np.asarray((embed_types or embed)(types), np.float64)
    )
    images, centered = np.zeros_like(words), np.zeros_like(words)
    middle = np.zeros(words.shape[1])
    for number, fold in enumerate(split.folds):
        parts = inner_parts(groups[fold.train], np.random.default_rng([number, 0x1E]))
        middle = words[fold.train].mean(axis=0)
        images[fold.test], _ = predicted(
            [features], words - middle, fold.train, parts, fold.test, "regression"
        )
        centered[fold.test] = words[fold.test] - middle
    return Sides(images, centered, named - middle)


def counted_words(training: Sequence[str]) -> Texts:
    """Word counts as TF-IDF of length 1, with the words of the training texts; scikit-learn's.

    >>> counted_words(["a lake", "a park"])(["lake lake", "sea"]).round(2).tolist()
    [[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    counter = TfidfVectorizer(max_features=MAX_WORDS, sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")
    try:
        counter.fit(training)
    except ValueError:  # no word in any text
        return lambda texts: np.zeros((len(texts), 1))
    return lambda texts: np.asarray(counter.transform(texts).toarray(), np.float64)


def macro_recall(hits: Array, types: Ints, block: Ints, weights: Array) -> Array:
    """(W,) mean over types of the share of (n,) hits when block b counts ``weights[w, b]`` times.

    >>> types, block = np.array([0, 0, 0, 1]), np.zeros(4, np.int64)
    >>> macro_recall(np.array([1.0, 1.0, 1.0, 0.0]), types, block, np.ones((1, 1))).tolist()
    [0.5]
    """
    found = []
    for code in np.unique(types):
        rows = types == code
        many = weights @ np.bincount(block[rows], minlength=weights.shape[1])
        total = weights @ np.bincount(block[rows], weights=hits[rows], minlength=weights.shape[1])
        found.append(np.divide(total, many, out=np.full(len(many), np.nan), where=many > 0))
    return np.asarray(np.nanmean(np.stack(found), axis=0))
