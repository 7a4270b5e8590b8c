"""Options as fields: what is read, what is refused and in which words, and what help says of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pytest

from placevec.errors import InputError, UsageError
from placevec.options import Options, checked, flag_of, no_option, option, options_of, toml_options
from placevec.recipes import RECIPES, recipe

UNITS = {"m": "meters", "px": "pixels", "degrees": "degrees", "tiles": "tiles"}
"""Ending of a name -> the unit that its help names."""


@dataclass(frozen=True)
class Place(Options):
    """Options of a class that another one builds on."""

    GROUP: ClassVar[str] = "Places"

    share: float = option(0.5, "Share of places", above=0, below=1)
    count: int | None = option(None, "Number of places (default: all)", min=1, max=9)


@dataclass(frozen=True)
class Everything(Place):
    """One option of each kind."""

    GROUP: ClassVar[str] = "Rest"

    loud: bool = option(True, "Noise")
    kind: Literal["fine", "coarse"] = option("fine", "Grain", group="Grain")
    names: tuple[str, ...] = option((), "Names, separated by commas")
    files: tuple[Path, ...] = option((), "Files")
    folder: Path | None = option(None, "Folder")
    text: str = option("a", "Text")


def test_values_are_read_in_the_type_of_their_field() -> None:
    """Numbers of numpy, whole numbers for any, one for several, texts with commas, paths as text."""
    found = Everything(
        share=np.float32(0.25),
        count=np.int64(3),
        loud=np.bool_(False),
        names="a, b,c",
        files="x.csv",
        folder="d",
    )  # type: ignore[arg-type]
    assert found == Everything(0.25, 3, False, "fine", ("a", "b", "c"), (Path("x.csv"),), Path("d"))
    assert [type(value) for value in (found.share, found.count, found.loud)] == [float, int, bool]
    assert Everything(names=["a,b", "c"]).names == ("a", "b", "c")
    assert Everything(files=["a,b.csv"]).files == (Path("a,b.csv"),)
    assert found.as_json()["files"] == ["x.csv"]
    assert found.as_json()["folder"] == "d"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"share": 0}, "--share must be a number of more than 0 and less than 1"),
        ({"share": "half"}, "--share must be a number"),
        ({"share": True}, "--share must be a number"),
        ({"share": float("nan")}, "--share must be a number"),
        ({"share": 10**400}, "must be a number of more than 0 and less than 1"),
        ({"share": None}, "--share must be a number"),
        ({"count": 2.5}, "--count must be an integer of at least 1 and at most 9"),
        ({"count": 10}, "--count must be an integer"),
        ({"loud": 1}, "--loud must be true or false"),
        ({"loud": "no"}, "--loud must be true or false"),
        ({"kind": "fien"}, "--kind 'fien' is unknown: did you mean 'fine'? Choose from fine, coarse"),
        ({"kind": 3}, "--kind must be one of fine, coarse"),
        ({"names": 3}, "--names must be a list"),
        ({"names": [3]}, "--names must be text"),
        ({"files": [3]}, "--files must be a path"),
        ({"text": Path("a")}, "must be text"),
    ],
)
def test_what_does_not_fit_is_rejected_in_a_line(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        Everything(**given)


def test_order_groups_and_words() -> None:
    """Fields of the class built on come first; default and range stand in the help, before what is in brackets."""
    assert [(one.group, one.flag) for one in options_of(Everything)] == [
        ("Places", "--share"), ("Places", "--count"), ("Rest", "--loud"), ("Grain", "--kind"), ("Rest", "--names"),
        ("Rest", "--files"), ("Rest", "--folder"), ("Rest", "--text"),
    ]  # fmt: skip
    assert [one.help for one in options_of(Everything)][:4] == [
        "Share of places (default 0.5; more than 0, less than 1)", "Number of places (default: all; 1 to 9)",
        "Noise (default on)", "Grain: fine, coarse (default fine)",
    ]  # fmt: skip


def test_names_are_checked_too() -> None:
    called = {"called": flag_of, "unknown": no_option}
    assert checked([Everything], {"share": 0.1, "kind": "coarse"}, **called) == {
        "share": 0.1,
        "kind": "coarse",
    }
    with pytest.raises(UsageError, match="there is no option --shares"):
        checked([Everything], {"shares": 0.1}, **called)


def test_a_file_of_options(tmp_path: Path) -> None:
    (tmp_path / "good.toml").write_text('near-m = 5\nlayers = ["a"]\n')
    assert toml_options(tmp_path / "good.toml") == {"near_m": 5, "layers": ["a"]}
    (tmp_path / "bad.toml").write_text("near_m = \n")
    for name in ("bad.toml", "missing.toml"):
        with pytest.raises(InputError, match=f"cannot read the options in .*{name}"):
            toml_options(tmp_path / name)


@pytest.mark.parametrize("name", RECIPES.builtin)
def test_helps_are_noun_phrases_with_their_default(name: str) -> None:
    """Oracle: how the design words a flag: "Maximum gradient norm (default 1; 0 disables clipping)"."""
    entry = recipe(name)
    for cls in (*entry.train_options, entry.prepare_options):
        for one in options_of(cls):
            assert re.fullmatch(r"[A-Z.].*[^.;,]", one.help), one
            shown = one.default not in (None, (), "", False)
            assert ("(default" in one.help) or not shown, one
            if one.kind in (int, float):
                unit = UNITS.get(one.name.rpartition("_")[2] if "_" in one.name else "")
                assert unit is None or unit in one.help, one


@pytest.mark.parametrize("name", RECIPES.builtin)
def test_defaults_fit(name: str) -> None:
    """A configuration of nothing but defaults is one, and survives its own JSON."""
    entry = recipe(name)
    for cls in (entry.config, entry.prepare_options):
        assert cls(**cls().as_json()) == cls()
