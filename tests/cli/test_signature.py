"""Options of verbs are those of the API functions: declared there, once, and refused alike from both sides."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from placevec import api
from placevec.cli.signature import Taken
from placevec.errors import UsageError
from placevec.options import Option, helps_of, keywords_of
from tests.cli.commands import commands, run

FUNCTIONS: dict[str, tuple[Callable[..., Any], ...]] = {
    "benchmark": (api.benchmark_encoders,),
    "cluster": (api.cluster,),
    "embed": (api.embed, api.embed_points),
    "evaluate": (api.evaluate,),
    "explore": (api.explore,),
    "export": (api.export,),
    "import-weights": (api.import_weights,),
    "picture curves": (api.picture_curves,),
    "picture kernels": (api.picture_kernels,),
    "picture latitude": (api.picture_latitude,),
    "predict": (api.predict,),
    "search": (api.similar,),
    "validate": (api.validate,),
}
"""Command -> the functions that it calls."""
PYTHON_ALONE = {
    "progress", "search where", "predict points", "predict dataset", "picture kernels options", "explore started",
    "evaluate resume_in",
}  # fmt: skip
"""Keywords without a flag: objects, and a table that is an argument of the command."""
ALSO_NAMED = {"out", "force", "wait", "resume", "resume_from"}
"""Parameters of commands that are keywords too, because the command requires or prints them."""
GIVEN = {"out": "out.parquet", "system": "geoclip"}
"""What functions and commands need beside the option in question."""


def taken(words: str) -> Taken:
    found: Taken = commands()[words].default_command.taken  # type: ignore[union-attr]
    return found


def keywords(function: Callable[..., Any]) -> set[str]:
    parameters = inspect.signature(function).parameters.values()
    return {one.name for one in parameters if one.kind is one.KEYWORD_ONLY}


@pytest.mark.parametrize("words", FUNCTIONS)
def test_every_keyword_is_a_flag(words: str) -> None:
    """Oracle: the signatures of the functions, read by the standard library."""
    known = set().union(*map(keywords, FUNCTIONS[words]))
    alone = {name for name in known if name in PYTHON_ALONE or f"{words} {name}" in PYTHON_ALONE}
    assert taken(words).declared == known - alone


@pytest.mark.parametrize("words", commands())
def test_no_option_stands_twice(words: str) -> None:
    """What a command declares itself is no keyword, but for a name or two, whose line stands in one docstring alone."""
    found = taken(words)
    both = keywords(found.own) & found.declared
    assert both <= ALSO_NAMED
    assert not both & helps_of(found.own).keys()
    assert all(found.options[name].help for name in found.options)


def test_functions_keep_their_types() -> None:
    """No keywords without a name: those who write Python get completion and checks."""
    for function in (one for functions in FUNCTIONS.values() for one in functions):
        parameters = inspect.signature(function).parameters.values()
        assert not any(one.kind is one.VAR_KEYWORD or one.annotation is one.empty for one in parameters)


def beyond(one: Option) -> list[str]:
    """Values outside of each limit."""
    step = {"min": -1, "above": 0, "max": 1, "below": 0}
    return [f"{limit + step[name]:g}" for name, limit in one.limits.items()]


CASES = [
    (words, function, one, value)
    for words, functions in FUNCTIONS.items()
    for function in functions
    for one in keywords_of(function)
    for value in (*beyond(one), *(["nonesuch"] if one.choices else []))
    if one.name in taken(words).declared
]


@pytest.mark.parametrize(
    ("words", "function", "one", "value"),
    CASES,
    ids=lambda it: getattr(it, "name", getattr(it, "__name__", it)),
)
def test_a_value_is_rejected_alike_from_python_and_the_command_line(
    words: str, function: Callable[..., Any], one: Option, value: str
) -> None:
    """Before anything is opened. Oracle: each other, and the limit itself in the message."""
    parameters = inspect.signature(function).parameters.values()
    places = ["nowhere" for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]
    required = {
        each.name: GIVEN[each.name]
        for each in parameters
        if each.kind is each.KEYWORD_ONLY and each.default is each.empty
    }
    with pytest.raises(UsageError) as refused:
        function(*places, **required, **{one.name: value if one.choices else one.kind(value)})
    flags = [
        f"{taken(words).options[name].flag}={GIVEN[name]}"
        for name in ("out", "system")
        if name in taken(words).options
    ]
    arguments = (
        ["encoders"] if words == "benchmark" else ["nowhere", "nowhere"][: 2 if words == "embed" else 1]
    )
    code, printed = run([*words.split(), *arguments, *flags, f"{one.flag}={value}"])
    assert (code, printed) == (2, f"placevec: {refused.value}\n")
    assert ("unknown" if one.choices else one.fits) in printed


@pytest.mark.parametrize("words", commands())
def test_help_names_defaults_and_ranges(words: str) -> None:
    """Oracle: how the design words a flag, and the limits themselves."""
    for one in taken(words).options.values():
        assert re.fullmatch(r"[A-Z.].*[^.;,]", one.help), one
        assert "(default" in one.help or one.default in (None, (), "", False) or one.name == "out", one
        for limit in one.limits.values():
            assert f"{limit:,}".removesuffix(".0") in one.help or f"{limit:g}" in one.help, one


def test_help_loads_nothing_heavy() -> None:
    """What a signature names is light; arrays, tables and networks are loaded when a verb runs."""
    code = (
        "import sys, placevec.api; from placevec.cli.app import build_app; build_app(['search']); "
        "print(*{'numpy', 'pandas', 'torch', 'pyarrow', 'shapely'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_objects_pass_where_a_path_may_stand(tmp_path: Path) -> None:
    """An open dataset in the place of its path is not taken for a path that is wrong."""
    (one,) = (one for one in keywords_of(api.similar) if one.name == "dataset")
    dataset = object()
    assert one.read(dataset, "--dataset") is dataset
    assert one.read(str(tmp_path), "--dataset") == tmp_path
