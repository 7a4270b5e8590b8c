"""Functions as cyclopts reads them: options from their fields, defaults in words, no value that means nothing."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from cyclopts import Group, Parameter

from placevec.options import Option, Options, default_of, options_of

METAVARS = {int: "INT", float: "NUMBER", str: "TEXT", Path: "PATH"}
Json = Annotated[bool, Parameter(name="--json", negative="", show_default=False)]
"""Print the result as JSON, and no progress."""
Quiet = Annotated[bool, Parameter(name=("--quiet", "-q"), negative="", show_default=False)]
"""Show no progress."""
Flag = Annotated[bool, Parameter(negative="", show_default=False)]
"""A switch that is off where it is not given."""


class _Unchecked:
    """In a hint: pydantic, where something has imported it, does not check the value again; cyclopts has read it."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return {"type": "any"}


_SHARED = {"as_json": "The result as JSON, and no progress", "quiet": "No progress"}


def typed(function: Callable[..., Any]) -> Callable[..., Any]:
    """A verb's function, its optional values never read from the word none, its defaults in words."""
    return with_options(function, ())


def with_options(
    function: Callable[..., Any],
    classes: Iterable[type[Options]],
    *,
    hidden: Sequence[str] = (),
    **decided: Any,
) -> Callable[..., Any]:
    """A command of a function that takes ``**options``: each field of the classes is one.

    Args:
        function: its own parameters come first.
        classes: of options.
        hidden: parameters of the function that are no options and keep their defaults.
        decided: values of parameters of the function that are no options either.
    """

    def command(*arguments: Any, **given: Any) -> Any:
        return function(*arguments, **decided, **given)

    signature = inspect.signature(function, eval_str=True)
    own = [_plain(one) for name, one in signature.parameters.items() if name not in (*hidden, *decided)]
    own = [one for one in own if one.kind is not inspect.Parameter.VAR_KEYWORD]
    declared: dict[str, Option] = {}
    for cls in classes:
        for one in options_of(cls):
            declared.setdefault(one.name, one)
    named = dict.fromkeys(one.group for one in declared.values())
    # without a group of their own they stand under Recipe: a group called Options is every command's own
    titles = {name: "Recipe" if name == Options.GROUP else name for name in named}
    groups = {name: Group(title, sort_key=place) for place, (name, title) in enumerate(titles.items())}
    fields = [_parameter(one, groups[one.group]) for one in declared.values()]
    command.__signature__ = inspect.Signature([*own, *fields])  # type: ignore[attr-defined]
    command.__doc__ = function.__doc__
    return command


def _parameter(one: Option, group: Group) -> inspect.Parameter:
    kind: Any = tuple[one.kind, ...] if one.many else one.kind  # type: ignore[name-defined]
    about = Parameter(
        name=(one.flag, *one.flags),
        help=one.help,
        group=group,
        show_default=False,
        metavar=METAVARS.get(one.kind),
        negative=None if one.kind is bool and one.default is not False else "",
        allow_leading_hyphen=one.reader is not None,  # a box may begin with a minus
    )
    return inspect.Parameter(
        one.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=one.default,
        annotation=Annotated[kind, about, _Unchecked()],
    )


def _plain(one: inspect.Parameter) -> inspect.Parameter:
    """A parameter of a typed function, without None, with its default and its placeholder in words."""
    hint, more = one.annotation, ()
    if get_origin(hint) is Annotated:
        hint, *rest = get_args(hint)
        more = tuple(rest)
    if get_origin(hint) in (Union, types.UnionType):
        hint = next(part for part in get_args(hint) if part is not type(None))
    bare = get_args(hint)[0] if get_origin(hint) in (tuple, list) else hint
    metavar = "CHOICE" if get_origin(bare) is Literal else METAVARS.get(bare)
    about = [Parameter(show_default=default_of, metavar=metavar, negative_iterable=())]
    if one.name in _SHARED:
        about.append(Parameter(help=_SHARED[one.name]))
    return one.replace(annotation=Annotated[hint, *about, *more, _Unchecked()])


def at_least(least: float) -> Callable[[Any, Any], None]:
    """A check of a number, for ``Parameter(validator=...)``."""

    def check(_: Any, value: Any) -> None:
        if value is not None and value < least:
            raise ValueError(f"at least {least:g}")

    return check
