"""Options of a function: its keyword-only parameters, with annotation, default and description in the docstring.

>>> @checked_keywords
... def nearest(place: str, *, k: Annotated[int, Limits(min=1)] = 10) -> int:
...     '''The places nearest to one.
...
...     Args:
...         place: its id.
...         k: Number of places to find.
...     '''
...     return k
>>> [f"{one.flag}: {one.help}" for one in keywords_of(nearest)]
['--k: Number of places to find (default 10; at least 1)']
>>> nearest("a", k=0)
Traceback (most recent call last):
    ...
placevec.errors.UsageError: --k must be an integer of at least 1; got 0
"""

from __future__ import annotations

import builtins
import inspect
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, wraps
from typing import Annotated, Any, ParamSpec, TypeVar

from placevec.options.hints import Limits, taken_by
from placevec.options.values import Option, described

P = ParamSpec("P")
R = TypeVar("R")


def checked_keywords(function: Callable[P, R]) -> Callable[P, R]:
    """The function, with keywords checked and converted according to their annotations; UsageError for invalid ones."""

    @wraps(function)
    def call(*arguments: P.args, **given: P.kwargs) -> R:
        for one in _keywords(function):
            if one.name in given:
                given[one.name] = one.read(given[one.name], one.flag)
        return function(*arguments, **given)

    return call


def keywords_of(
    function: Callable[..., Any],
    *,
    without: Sequence[str] = (),
    flags: Mapping[str, str] | None = None,
    group: str = "",
) -> tuple[Option, ...]:
    """The options that a function declares, in order, without keywords whose type no flag can give.

    Args:
        function: function with a docstring that describes each keyword, under ``Args:``.
        without: keywords that are not offered.
        flags: keyword -> flag, if the word is reserved in Python.
        group: heading in the help and on the reference page.
    """
    return tuple(
        replace(one, group=group, spelled=(flags or {}).get(one.name))
        for one in _keywords(inspect.unwrap(function))
        if one.name not in without
    )


@cache
def _keywords(function: Callable[..., Any]) -> tuple[Option, ...]:
    helps, names = helps_of(function), _Names(vars(sys.modules[function.__module__]))
    found = []
    for one in inspect.signature(function).parameters.values():
        if one.kind is not inspect.Parameter.KEYWORD_ONLY:
            continue
        hint = eval(one.annotation, {}, names) if isinstance(one.annotation, str) else one.annotation
        taken = taken_by(hint)
        if taken is None:
            continue
        required = one.default is inspect.Parameter.empty
        default = None if required else one.default
        help = described(helps.get(one.name, ""), default, taken["choices"], taken["limits"])
        found.append(Option(one.name, default=default, help=help, group="", required=required, **taken))
    return tuple(found)


def helps_of(function: Callable[..., Any]) -> dict[str, str]:
    """Name -> description under ``Args:`` of a docstring, without code marks and the final period."""
    _, _, section = (inspect.getdoc(function) or "").partition("\nArgs:\n")
    lines = re.findall(r"^    \*{0,2}(\w+): (.*(?:\n {5,}.*)*)", section.split("\n\n")[0], re.MULTILINE)
    return {name: " ".join(words.replace("`", "").split()).rstrip(".") for name, words in lines}


class _Names(dict[str, Any]):
    """The names of a module; those that exist only for type checkers become foreign types."""

    def __missing__(self, name: str) -> Any:
        return getattr(builtins, name, _Foreign)


class _AnyType(type):
    """A type that is not imported: its attributes and the results of calls are such types again."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return cls

    def __getitem__(cls, arguments: Any) -> Any:
        return cls


class _Foreign(metaclass=_AnyType):
    """A type that no flag can give."""


__all__ = ["Annotated", "Limits", "checked_keywords", "helps_of", "keywords_of"]
