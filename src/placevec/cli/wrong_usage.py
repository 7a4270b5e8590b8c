"""One-line messages for wrong command lines: what is unknown, what is missing, what is allowed."""

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
from placevec.recipes.unknown import former_flag, near, unknown_option

_KINDS = {int: "an integer", float: "a number", bool: "true or false", Path: "a path"}


def message(error: CycloptsError, words: Sequence[str]) -> str:
    """One line about a command line that cannot be read; it refers to the help if that is useful.

    Args:
        error: error from cyclopts.
        words: words of the command line.
    """
    text = _what(error, words)
    missing = isinstance(error, MissingArgumentError) and text.endswith(" is missing")
    unknown = isinstance(error, UnknownOptionError) and " has no option " in text and not text.endswith("?")
    if not (missing or unknown or isinstance(error, UnusedCliTokensError)):
        return text
    return f"{text} (see {' '.join(('placevec', *(error.command_chain or ()), '--help'))})"


def _what(error: CycloptsError, words: Sequence[str]) -> str:
    if isinstance(error, UnknownOptionError):
        flag = (error.token.keyword or error.token.value).split("=")[0]
        return _unknown(flag, words, [name for one in error.argument_collection for name in one.names])
    if isinstance(error, UnknownCommandError):
        return _no_command(str((error.unused_tokens or [""])[0]), words)
    if isinstance(error, UnusedCliTokensError):
        extra = (error.unused_tokens or [""])[0]
        return f"unexpected argument {extra!r}"
    name = "" if error.argument is None else _name(error.argument)
    if isinstance(error, MissingArgumentError):
        if error.keyword is not None or (error.argument is not None and error.argument.tokens):
            return f"{error.keyword or name} needs a value"
        return f"{name} is missing"
    if isinstance(error, CoercionError) and error.token is not None:
        return _no_value(error.token.keyword or name, error.token.value, error.target_type)
    if isinstance(error, ValidationError):
        value = "" if error.argument is None else error.argument.value
        return f"{name} must be {error.exception_message}; got {value}"
    if isinstance(error, RepeatArgumentError):
        return f"{error.token.keyword} is given twice"
    return " ".join(str(error).split())


def _name(argument: Any) -> str:
    name = str(argument.name)
    return name if name.startswith("-") else name.upper()


def _unknown(flag: str, words: Sequence[str], known: Iterable[str]) -> str:
    """The message for an option that the command does not have."""
    verb = words[0] if words else ""
    if verb in ("prepare", "train") and len(words) > 1 and words[1] in RECIPES:
        return unknown_option(recipe(words[1]), verb, flag, extra=known)
    parts = _parts(verb)
    named = " ".join(words[:2]) if words[1:2] and words[1] in parts else verb or "placevec"
    if owner := next((name for name, flags in parts.items() if flag in flags), None):
        return f"{flag} is an option of {verb} {owner}, not of {named}"
    return former_flag(verb, flag) or f"{named} has no option {flag}{near(flag, known)}"


def _no_command(word: str, words: Sequence[str]) -> str:
    from placevec.cli.app import VERBS

    if words and words[0] in ("prepare", "train"):
        if word.startswith("-"):
            return f"a recipe is missing: placevec {words[0]} RECIPE; {choose_from(word, RECIPES.names())}"
        return f"unknown recipe {word[:40]!r}: {choose_from(word, RECIPES.names())}"
    if words and (parts := _parts(words[0])):
        return f"unknown {words[0]} {word[:40]!r}: {choose_from(word, parts)}"
    return f"unknown command {word[:40]!r}: {choose_from(word, VERBS)}"


def _parts(verb: str) -> dict[str, list[str]]:
    """The subcommands of a command that has several, each with its flags."""
    from placevec.cli.app import VERBS, build_app

    if verb not in VERBS or (found := build_app([verb])[verb]).default_command is not None:
        return {}
    parts = {name: found[name].assemble_argument_collection() for name in found if not name.startswith("-")}
    return {name: [flag for one in arguments for flag in one.names] for name, arguments in parts.items()}


def _no_value(name: str, value: str, target: Any) -> str:
    if get_origin(target) is Literal:
        return f"{name} {value[:60]!r} is unknown: {choose_from(value, map(str, get_args(target)))}"
    return f"{name} must be {_KINDS.get(target, 'another value')}; got {value[:60]!r}"
