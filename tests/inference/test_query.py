"""Questions to a model: which classes, and the same answers however they are asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from placevec.core import ViewSpec
from placevec.encoders.locations.encoder import LocationEncoder
from placevec.errors import PlacevecError
from placevec.inference.query import NUMBER, ask, first_answers, split_names, wrapped
from placevec.models.heads import Head
from placevec.models.model import Model
from placevec.models.reading import Reading
from tests.inference.closed_form import HOSTILE, closed_form, expected

RANDOM = np.random.default_rng(1)
LONLAT = np.stack((RANDOM.uniform(-180, 180, 600), RANDOM.uniform(-90, 90, 600)), axis=1)


@pytest.mark.parametrize("kind", ["presence", "classes"])
def test_some_classes_in_the_order_asked_for(kind: str, tmp_path: Path) -> None:
    """Oracle: the closed form. Of presence only their weights are used; of classes all are needed."""
    model = closed_form(tmp_path, kind)  # type: ignore[arg-type]
    question = ask(model, ["north", "East"])
    assert question.names == ("north", "east")
    np.testing.assert_allclose(question.answers(LONLAT), expected(LONLAT, kind)[:, [2, 0]], atol=1e-6)  # type: ignore[arg-type]
    assert question.answers(LONLAT[:0]).shape == (0, 2)
    assert (first_answers(model, LONLAT) == expected(LONLAT).argmax(axis=1)).all()


def test_a_number(tmp_path: Path) -> None:
    model = closed_form(tmp_path, "number")
    np.testing.assert_allclose(ask(model).answers(LONLAT), expected(LONLAT, "number"), atol=1e-5)
    with pytest.raises(PlacevecError, match="remove --class"):
        ask(model, ["north"])


def test_a_number_is_called_as_its_label(tmp_path: Path) -> None:
    """Oracle: the training record; one without a label, or with what is no name, says ``number``."""
    model = closed_form(tmp_path, "number")
    for label, name in (
        ("rain", "rain"),
        (HOSTILE[1], HOSTILE[1]),
        (None, NUMBER),
        (" ", NUMBER),
        (3, NUMBER),
    ):
        model.training["label"] = label
        assert ask(model).names == (name,)
    del model.training["label"]
    assert ask(model).names == (NUMBER,)


def test_longitudes_may_lie_anywhere(tmp_path: Path) -> None:
    question = ask(closed_form(tmp_path), ["east"])
    shifted = LONLAT + np.array([360.0, 0.0])
    np.testing.assert_allclose(question.answers(shifted), question.answers(LONLAT), atol=1e-6)
    assert wrapped(LONLAT) is LONLAT


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        ([], "3 classes with --class, such as 'east',"),
        (["norht"], "did you mean 'north'"),
        (["nowhere at all"], "its classes are 'east', 'middle', 'north'"),
        (["north", "NORTH"], "each class only once"),
    ],
)
def test_wrong_classes_are_one_clear_line(classes: list[str], words: str, tmp_path: Path) -> None:
    with pytest.raises(PlacevecError, match=words):
        ask(closed_form(tmp_path), classes)


def test_names_with_commas_are_taken_whole(tmp_path: Path) -> None:
    model = closed_form(tmp_path, classes=("a, b", "a", "b"))
    assert split_names(model, ["a, b"]) == ["a, b"]
    assert split_names(model, ["a,b"]) == ["a", "b"]
    assert split_names(model, ["b", "a, b"]) == ["b", "a, b"]


def test_a_near_name_with_a_comma_asks_to_repeat_the_option(tmp_path: Path) -> None:
    """``--class "oak, holm,spruce"`` falls apart at each comma: oracle, the names that the model has."""
    model = closed_form(tmp_path, classes=("oak, holm", "spruce", "pine"))
    with pytest.raises(PlacevecError, match=r"did you mean 'oak, holm'\? Pass a name that"):
        ask(model, split_names(model, ["oak, holm,spruce"]))


def test_models_that_cannot_answer(tmp_path: Path) -> None:
    model = closed_form(tmp_path)
    with pytest.raises(PlacevecError, match="no head"):
        ask(Model(model.modules, model.readings), ["north"])
    tiles = {"map": Reading("location", ViewSpec("map", "raster", ("a",)))}
    with pytest.raises(PlacevecError, match="reads map"):
        ask(Model(model.modules, tiles, heads=model.heads), ["north"])
    with pytest.raises(PlacevecError, match="--year"):
        ask(model, ["north"], year=1.5)
    seasonal = LocationEncoder("xyz", network="none", seasons=1)
    dated = Model({"location": seasonal}, model.readings, heads={"coordinates": Head(5, "presence", ["a"])})
    with pytest.raises(PlacevecError, match="--year"):
        ask(dated, ["a"])
    assert ask(dated, ["a"], year=0.25).answers(LONLAT).shape == (600, 1)
    with pytest.raises(PlacevecError, match="has no seasons"):
        ask(model, ["north"], year=0.5).answers(LONLAT)
