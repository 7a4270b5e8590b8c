"""Types of places without training on them: the name of a type becomes a vector, and images find the nearest.

Each name is put into several sentences, whose vectors are averaged: the prompt ensemble of CLIP, Radford et al. 2021,
arXiv:2103.00020, section 3.1.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from placevec.core import ViewSpec
from placevec.datasets.place_types import UNKNOWN, spoken
from placevec.datasets.views.registry import reader_of
from placevec.errors import UsageError
from placevec.geo import Ints
from placevec.inference.texts import embed_texts
from placevec.models.model import Model

PROMPTS = ("{}", "this is: {}", "a place of the type {}", "{} and what lies around it")
OF_IMAGES = ("a {image} of: {}", "{} on a {image}")
"""Sentences that name the image, added where it is known what kind it is."""
MAX_TYPES = 10_000
_MAX_LENGTH = 300


@dataclass(frozen=True)
class Guesses:
    """How near images are to types.

    Attributes:
        types: the T types as they were asked for.
        similarity: (N, T) float32 cosine of each image with each type; NaN of places without a vector.
    """

    types: tuple[str, ...]
    similarity: NDArray[np.float32]

    @property
    def codes(self) -> Ints:
        """(N,) the nearest type of each place, the first of equal ones; `UNKNOWN` without a vector."""
        known: NDArray[np.bool_] = np.asarray(np.isfinite(self.similarity).all(axis=1))
        return np.where(known, np.where(known[:, None], self.similarity, 0.0).argmax(axis=1), UNKNOWN)

    @property
    def names(self) -> list[str | None]:
        """The name of the nearest type of each place, None without a vector."""
        return [None if code == UNKNOWN else self.types[code] for code in self.codes.tolist()]


def prompts_for(spec: ViewSpec | None = None) -> tuple[str, ...]:
    """The sentences that a type's name is put into; ``{}`` stands for it.

    Args:
        spec: of the view whose images are compared; None names no image.

    >>> prompts_for(ViewSpec("map", "raster"))[-1].format("park")
    'park on a map'
    """
    image = "" if spec is None else reader_of(spec).image
    return (*PROMPTS, *(prompt.replace("{image}", image) for prompt in OF_IMAGES if image))


def type_vectors(
    model: Model, types: Sequence[str], *, prompts: Sequence[str] | None = None, view: str | None = None
) -> NDArray[np.float32]:
    """(T, dim) vectors of length 1 of types by name: the mean over the prompts, as `Model` embeds words.

    Args:
        model: with one view of texts.
        types: such as ``park``, ``water/river`` (of which the last part is said) or words in any language.
        prompts: sentences with ``{}`` for the name; by default `prompts_for` the view.
        view: of the images that will be compared, for prompts that name them.

    Raises:
        UsageError: no types, too many, an empty one or one twice; a prompt without ``{}``; a model without texts.
    """
    names = _checked_types(types)
    sentences = _checked_prompts(prompts_for(model.specs.get(view or "")) if prompts is None else prompts)
    texts = [prompt.replace("{}", name) for name in names for prompt in sentences]
    vectors = _unit(embed_texts(model, texts)[0])
    return _unit(vectors.reshape(len(names), len(sentences), -1).mean(axis=1))


def guessed(
    model: Model,
    vectors: ArrayLike,
    types: Sequence[str],
    *,
    prompts: Sequence[str] | None = None,
    view: str | None = None,
) -> Guesses:
    """Types by name for images that the same model embedded.

    Args:
        model: see `type_vectors`, which explains the other arguments.
        vectors: (N, dim) of images.
        types: to choose from.
        prompts: see there.
        view: see there.
    """
    images = np.asarray(vectors, np.float32)
    words = type_vectors(model, types, prompts=prompts, view=view)
    if images.ndim != 2 or images.shape[1] != words.shape[1]:
        raise UsageError(
            f"vectors of shape {images.shape} were not made by this model, whose text vectors have {words.shape[1]} "
            f"dimensions"
        )
    return Guesses(tuple(types), _unit(images) @ words.T)


def words_of_type(name: str) -> str:
    """What is said of a type: the last part of ``group/leaf`` as words.

    >>> words_of_type("amenity/place_of_worship")
    'place of worship'
    """
    return spoken(name.split("/")[-1]).strip()


def _checked_types(types: Sequence[str]) -> list[str]:
    if not 1 <= len(types) <= MAX_TYPES:
        raise UsageError(f"types to choose from must be 1 to {MAX_TYPES:,}; got {len(types):,}")
    names = [words_of_type(name) for name in types]
    for number, name in enumerate(names):
        if not name or len(name) > _MAX_LENGTH:
            raise UsageError(f"type {number + 1} is empty or longer than {_MAX_LENGTH} characters")
    if len(set(types)) < len(types):
        raise UsageError(f"the type {max(types, key=list(types).count)!r} is given twice")
    return names


def _checked_prompts(prompts: Sequence[str]) -> Sequence[str]:
    if not prompts:
        raise UsageError("zero-shot types need at least one prompt")
    for prompt in prompts:
        if prompt.count("{}") != 1 or len(prompt) > _MAX_LENGTH:
            raise UsageError(
                f"a prompt must contain {{}} exactly once, in place of the type; got {prompt[:_MAX_LENGTH]!r}"
            )
    return prompts


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)
