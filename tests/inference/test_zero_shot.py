"""Types by name: means over prompts by numpy, an image that is a type's own vector, and what cannot be asked."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from placevec.core import ViewSpec
from placevec.errors import UsageError
from placevec.inference.texts import embed_texts
from placevec.inference.zero_shot import PROMPTS, guessed, prompts_for, type_vectors
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


@pytest.mark.parametrize(
    ("types", "options", "told"),
    [
        ([], {}, "1 to 10,000; got 0"),
        (["park", "park"], {}, "'park' is given twice"),
        (["park", " "], {}, "type 2 is empty"),
        (["park"], {"prompts": ["a map"]}, "a prompt has {} once"),
        (["park"], {"prompts": []}, "at least one prompt"),
    ],
)
def test_what_cannot_be_asked(
    model: Model, types: list[str], options: dict[str, list[str]], told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        type_vectors(model, types, **options)
    with pytest.raises(UsageError, match="whose words have 8 components"):
        guessed(model, np.zeros((2, 5)), ["park"])
