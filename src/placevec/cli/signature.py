"""Functions as cyclopts reads them: every keyword is an option, declared by a field, an API function or themselves."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from cyclopts import Group, Parameter

from placevec.options import Option, Options, described, helps_of, keywords_of

METAVARS = {int: "INT", float: "NUMBER", str: "TEXT", Path: "PATH"}
_SHORT = {"out": "-o", "quiet": "-q", "k": "-k"}
_SHARED = {
    "as_json": "Print the result as JSON, without progress or notes",
    "quiet": "Print only the result: no progress or notes",
}
_FLAGS = {"as_json": "--json"}


@dataclass(frozen=True)
class Taken:
    """The options of a command by name, which of them an API function or a recipe declares, and its own function."""

    options: Mapping[str, Option]
    declared: frozenset[str]
    own: Callable[..., Any]


class _Unchecked:
    """In a hint: pydantic, if it is imported, must not check the value again, because cyclopts has read it."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return {"type": "any"}


Maker = Callable[[Callable[..., Any]], Callable[..., Any]]
"""A function that makes a command from a function."""


def taking_keywords_of(
    function: Callable[..., Any],
    *more: Iterable[Option],
    without: Sequence[str] = (),
    flags: Mapping[str, str] | None = None,
    **decided: Any,
) -> Maker:
    """`taking` with the keywords of a function, whose docstring also describes arguments that the command's does not."""
    own = keywords_of(function, without=without, flags=flags)
    return taking(own, *more, helps=helps_of(function), **decided)


def taking(
    *declared: Iterable[Option],
    hidden: Sequence[str] = (),
    helps: Mapping[str, str] | None = None,
    **decided: Any,
) -> Maker:
    """Makes a command from a function that takes ``**options``, each checked before the function is called.

    Arguments and further options are the function's own parameters. A parameter that is also declared, such as a file
    that the command line requires, is only named there.

    Args:
        declared: options, such as `keywords_of` an API function or `options_of` a dataclass; the first of a name counts.
        hidden: parameters of the function that are not options and keep their defaults.
        helps: help for parameters that the docstring of the function does not describe.
        decided: values of parameters of the function that are not options either.
    """
    known: dict[str, Option] = {}
    for one in (one for options in declared for one in options):
        known.setdefault(one.name, one)

    def command_of(function: Callable[..., Any]) -> Callable[..., Any]:
        words = {**_SHARED, **(helps or {}), **helps_of(function)}
        own = {
            one.name: replace(one, help=described(words[one.name], one.default, one.choices, one.limits))
            for one in keywords_of(function, without=(*hidden, *decided), flags=_FLAGS)
        }
        others = [one for one in known.values() if one.name not in own]
        first = [one for one in own.values() if one.required]
        options = [*first, *others, *(one for one in own.values() if not one.required)]
        by_name = {one.name: one for one in options}

        def command(*arguments: Any, **given: Any) -> Any:
            read = {name: by_name[name].read(value, by_name[name].flag) for name, value in given.items()}
            return function(*arguments, **decided, **read)

        places = [
            _place(one, words.get(one.name, ""))
            for one in inspect.signature(function, eval_str=True).parameters.values()
            if one.kind not in (one.KEYWORD_ONLY, one.VAR_KEYWORD) and one.name not in hidden
        ]
        groups = _groups(options)
        fields = [_parameter(one, groups.get(one.group)) for one in options]
        command.__signature__ = inspect.Signature([*places, *fields])  # type: ignore[attr-defined]
        command.taken = Taken(by_name, frozenset(known), function)  # type: ignore[attr-defined]
        return command

    return command_of


def _groups(options: Iterable[Option]) -> dict[str, Group]:
    """Headings in the order of their options."""
    named = dict.fromkeys(one.group for one in options if one.group)
    # without a group of their own they stand under Recipe: a group called Options is every command's own
    titles = {name: "Recipe" if name == Options.GROUP else name for name in named}
    return {name: Group(title, sort_key=place) for place, (name, title) in enumerate(titles.items())}


def _parameter(one: Option, group: Group | None) -> inspect.Parameter:
    kind: Any = tuple[one.kind, ...] if one.many else one.kind  # type: ignore[name-defined]
    short = [_SHORT[one.name]] if one.name in _SHORT else []
    about = Parameter(
        name=(one.flag, *one.flags, *short),
        help=one.help,
        show_default=False,
        metavar="CHOICE" if one.choices else METAVARS.get(one.kind),
        negative=None if one.kind is bool and one.default is not False else "",
        allow_leading_hyphen=one.reader is not None and not one.many,  # a box can begin with a minus
    )
    return inspect.Parameter(
        one.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if one.required else one.default,
        annotation=Annotated[kind, about, *([] if group is None else [Parameter(group=group)]), _Unchecked()],
    )


def _place(one: inspect.Parameter, help: str) -> inspect.Parameter:
    """A positional argument with its help; one that takes several values takes at least one."""
    hint = one.annotation
    bare = next((part for part in get_args(hint) if part is not type(None)), hint)
    literal = get_origin(hint) is Literal
    about = Parameter(
        help=help,
        metavar="CHOICE" if literal else METAVARS.get(bare),
        required=True if one.kind is one.VAR_POSITIONAL else None,
    )
    return one.replace(annotation=Annotated[hint if literal else bare, about, _Unchecked()])
