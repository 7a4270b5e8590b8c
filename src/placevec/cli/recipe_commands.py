"""One command per recipe: which ones there are, and options from a file and the command line."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from placevec.errors import PlacevecError
from placevec.io.progress import printable
from placevec.options import Options, checked, flag_of, toml_options
from placevec.recipes import RECIPES, recipe
from placevec.recipes.base import RecipeEntry
from placevec.recipes.unknown import unknown_option

_NOT_IN_A_FILE = ("out", "config", "resume", "resume_from", "force", "json", "quiet")


def entries(words: Sequence[str]) -> list[RecipeEntry]:
    """The recipe named by the first word, or all usable recipes; problems are reported on standard error.

    Raises:
        PlacevecError: the named recipe cannot be imported.
    """
    if words and words[0] in RECIPES:
        return [recipe(words[0])]
    found = []
    for name in RECIPES.names():
        try:
            found.append(recipe(name))
        except PlacevecError as error:
            report([str(error)])
    report(RECIPES.ignored())
    return found


def given_options(
    entry: RecipeEntry,
    verb: str,
    classes: Iterable[type[Options]],
    given: Mapping[str, Any],
    file: Path | None,
) -> dict[str, Any]:
    """The options of the command line, and those of a file that are not on the command line.

    Raises:
        InputError: the file cannot be read.
        UsageError: an unknown option or an invalid value; for a file, with its name and the key.
    """
    report(RECIPES.ignored())
    known = list(classes)
    stored = {} if file is None else toml_options(file)
    found = checked(
        known,
        stored,
        called=lambda name: f"{name} in {file}",
        unknown=lambda name: f"{name} in {file}: {_unknown(entry, verb, name)}",
    )
    return {**found, **checked(known, given, called=flag_of, unknown=flag_of)}


def _unknown(entry: RecipeEntry, verb: str, name: str) -> str:
    if name in _NOT_IN_A_FILE:
        return f"{flag_of(name)} can only be given on the command line"
    return unknown_option(entry, verb, name)


def report(problems: Iterable[str]) -> None:
    """Print one line each on standard error, about additions of other packages."""
    for line in problems:
        sys.stderr.write(f"placevec: {printable(' '.join(line.split()))}\n")
