"""The commands of the application and their options, for tests that compare pages with them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from io import StringIO

from cyclopts import App

from placevec.cli import main
from placevec.cli.app import build_app


@cache
def commands() -> dict[str, App]:
    """Each command by its words: ``search``, ``train loc2vec``."""
    app = build_app()
    found = {}
    for verb in app:
        if verb.startswith("-"):
            continue
        if app[verb].default_command is not None:
            found[verb] = app[verb]
            continue
        found |= {f"{verb} {recipe}": app[verb][recipe] for recipe in app[verb] if not recipe.startswith("-")}
    return found


def verbs() -> set[str]:
    """The first words."""
    return {words.split()[0] for words in commands()}


@cache
def options_of(words: str) -> frozenset[str]:
    """The flags of a command, those that say no too; of a verb that has one command a recipe, of all of them."""
    named = (
        [words] if words in commands() else [one for one in commands() if one.split()[0] == words.split()[0]]
    )
    collections = [commands()[one].assemble_argument_collection() for one in named]
    return frozenset(name for one in collections for argument in one for name in argument.names)


def run(words: Sequence[str]) -> tuple[int, str]:
    """Exit code and all that is printed."""
    with redirect_stdout(StringIO()) as out, redirect_stderr(out):
        code = main(list(words))
    return code, out.getvalue()
