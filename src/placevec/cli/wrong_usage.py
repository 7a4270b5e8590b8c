"""What is wrong with a command line, in a line: what there is not, what is missing, what fits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from cyclopts import (
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    RepeatArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
    ValidationError,
)

from placevec.errors import choose_from
from placevec.recipes import RECIPES, recipe
from placevec.recipes.unknown import formerly, near, unknown_option

_KINDS = {int: "a whole number", float: "a number", bool: "true or false", Path: "a path"}


def message(error: CycloptsError, words: Sequence[str]) -> str:
    """One line about a command line that cannot be read.

    Args:
        error: of cyclopts.
        words: of the command line.
    """
    if isinstance(error, UnknownOptionError):
        flag = (error.token.keyword or error.token.value).split("=")[0]
        return _unknown(flag, words, [name for one in error.argument_collection for name in one.names])
    if isinstance(error, UnknownCommandError):
        return _no_command(str((error.unused_tokens or [""])[0]), words)
    if isinstance(error, UnusedCliTokensError):
        extra = (error.unused_tokens or [""])[0]
        return f"{extra!r} is one argument too many"
    name = "" if error.argument is None else _name(error.argument)
    if isinstance(error, MissingArgumentError):
        if error.keyword is not None or (error.argument is not None and error.argument.tokens):
            return f"{error.keyword or name} needs a value"
        return f"{name} is missing"
    if isinstance(error, CoercionError) and error.token is not None:
        return _no_value(error.token.keyword or name, error.token.value, error.target_type)
    if isinstance(error, ValidationError):
        value = "" if error.argument is None else error.argument.value
        return f"{name} is {value}, not {error.exception_message}"
    if isinstance(error, RepeatArgumentError):
        return f"{error.token.keyword} is given twice"
    return " ".join(str(error).split())


def _name(argument: Any) -> str:
    name = str(argument.name)
    return name if name.startswith("-") else name.upper()


def _unknown(flag: str, words: Sequence[str], known: Iterable[str]) -> str:
    """What to say of an option that the command has not."""
    verb = words[0] if words else ""
    if verb in ("prepare", "train") and len(words) > 1 and words[1] in RECIPES:
        return unknown_option(recipe(words[1]), verb, flag, extra=known)
    hint = formerly(verb, flag)
    return hint or f"{verb or 'placevec'} has no option {flag}{near(flag, known)}"


def _no_command(word: str, words: Sequence[str]) -> str:
    from placevec.cli.app import VERBS

    if words and words[0] in ("prepare", "train"):
        if word.startswith("-"):
            return f"name a recipe: placevec {words[0]} RECIPE; {choose_from(word, RECIPES.names())}"
        return f"there is no recipe {word[:40]!r}: {choose_from(word, RECIPES.names())}"
    return f"there is no verb {word[:40]!r}: {choose_from(word, VERBS)}"


def _no_value(name: str, value: str, target: Any) -> str:
    if get_origin(target) is Literal:
        return f"{name} {value[:60]!r} is unknown: {choose_from(value, map(str, get_args(target)))}"
    return f"{name} is {value[:60]!r}, not {_KINDS.get(target, 'what it takes')}"
