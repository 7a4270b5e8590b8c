"""Types by name: means over prompts by numpy, an image that is a type's own vector, and what cannot be asked."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from placevec.api.labeling import read_shares
from placevec.core import ViewSpec
from placevec.errors import UsageError
from placevec.inference.texts import embed_texts
from placevec.inference.typed_places import TypedPlaces, shares_of, temperature_of
from placevec.inference.zero_shot import PROMPTS, Guesses, guessed, prompts_for, type_vectors
from placevec.models.model import Model
from placevec.models.reading import Reading
from tests.models import many_views

TYPES = ("park", "water/river", "leisure/nature_reserve")


@pytest.fixture
def model() -> Model:
    """Untrained, with a view of texts and one of maps."""
    torch.manual_seed(0)
    return Model(
        {"text": many_views.Letters(8)},
        {
            "text": Reading("text", ViewSpec("text", "text", values="utf-8 bytes")),
            "map": Reading("text", ViewSpec("map", "raster")),
        },
    )


def test_a_type_is_the_mean_of_its_prompts(model: Model) -> None:
    """Oracle: the mean by numpy of unit vectors of the sentences, written out here."""
    found = type_vectors(model, TYPES, view="map")
    assert np.allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-6)
    sentences = ["nature reserve", "this is: nature reserve", "a place of the type nature reserve"]
    sentences += [
        "nature reserve and what lies around it",
        "a map of: nature reserve",
        "nature reserve on a map",
    ]
    each, _ = embed_texts(model, sentences)
    mean = (each / np.linalg.norm(each, axis=1, keepdims=True)).mean(axis=0)
    assert np.allclose(found[2], mean / np.linalg.norm(mean), atol=1e-6)
    assert prompts_for() == PROMPTS
    assert prompts_for(ViewSpec("satellite", "chips"))[-1] == "{} on a satellite image"


def test_an_image_that_is_a_type_is_found(model: Model) -> None:
    """Invariants: a type's own vector, of any length, is nearest to it; without a vector nothing is said."""
    vectors = type_vectors(model, TYPES) * np.array([[3.0], [0.5], [9.0]], np.float32)
    found = guessed(model, np.vstack([vectors[::-1], np.full((1, 8), np.nan)]), TYPES)
    assert found.codes.tolist() == [2, 1, 0, -1]
    assert found.names == ["leisure/nature_reserve", "water/river", "park", None]
    assert np.allclose(found.similarity[[0, 1, 2], [2, 1, 0]], 1.0, atol=1e-6)


def test_shares_of_types_count_as_priors(model: Model) -> None:
    """Oracle: Bayes' rule by hand, with the temperature and the shares that a model was trained with."""
    similarity = np.array([[0.30, 0.28, 0.0], [0.1, 0.5, 0.1]], np.float32)
    guesses = Guesses(TYPES, similarity)
    assert temperature_of(model) == 0.07
    model.training |= {
        "temperature": 0.5,
        "type_temperature": 0.1,
        "type_shares": {"park": 0.2, "river": 0.6, "lake": 0.2},
    }
    assert temperature_of(model) == 0.1
    given = shares_of(model, TYPES, {"park": 1, "water/river": 2, "leisure/nature_reserve": 1})
    assert given.tolist() == [0.25, 0.5, 0.25]
    assert np.allclose(shares_of(model, TYPES[:2], "training"), [0.25, 0.75])
    found = TypedPlaces(None, model, "map", np.arange(2), guesses, 0.1, given)  # type: ignore[arg-type]
    unscaled = np.exp(similarity / 0.1) * given
    assert np.allclose(found.probabilities, unscaled / unscaled.sum(axis=1, keepdims=True), atol=1e-6)
    assert found.codes.tolist() == [1, 1]
    assert guesses.codes.tolist() == [0, 1]
    for shares, told in (
        (
            "training",
            "the share of 'leisure/nature_reserve' is unknown: the model was trained with park, river, lake",
        ),
        ({"park": 1, "sea": 2}, "'sea' is not among --types"),
        ({"park": 1}, "the share of 'water/river' is missing"),
    ):
        with pytest.raises(UsageError, match=told):
            shares_of(model, TYPES, shares)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "given", ["park", "park=0", "park=-1", "park=x", "park=1,park=2", "=1", {"park": None}]
)
def test_shares_that_are_none(given: object) -> None:
    with pytest.raises(UsageError, match="--shares must be training, or a positive number for each type"):
        read_shares(given)


@pytest.mark.parametrize(
    ("types", "options", "told"),
    [
        ([], {}, "1 to 10,000; got 0"),
        (["park", "park"], {}, "'park' is given twice"),
        (["park", " "], {}, "type 2 is empty"),
        (["park"], {"prompts": ["a map"]}, "a prompt must contain {} exactly once"),
        (["park"], {"prompts": []}, "at least one prompt"),
    ],
)
def test_what_cannot_be_asked(
    model: Model, types: list[str], options: dict[str, list[str]], told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        type_vectors(model, types, **options)
    with pytest.raises(UsageError, match="whose text vectors have 8 dimensions"):
        guessed(model, np.zeros((2, 5)), ["park"])
