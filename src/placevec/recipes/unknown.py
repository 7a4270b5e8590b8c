"""Messages for unknown options: the new name of a renamed option, the recipe that has it, or a similar name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

from placevec.errors import PlacevecError
from placevec.options import flag_of, options_of
from placevec.recipes import RECIPES, recipe
from placevec.recipes.base import FormerFlag, RecipeEntry, RunOptions


def unknown_option(entry: RecipeEntry, verb: str, name: str, extra: Iterable[str] = ()) -> str:
    """The message for an unknown option of ``placevec prepare RECIPE`` or ``train RECIPE``.

    Args:
        entry: the recipe.
        verb: ``prepare`` or ``train``.
        name: the option, as a keyword or as a flag.
        extra: other flags of the command.

    >>> unknown_option(recipe("sphere2vec"), "train", "near_m")
    '--near-m is an option of train loc2vec, not of train sphere2vec'
    >>> unknown_option(recipe("loc2vec"), "train", "epoch")
    'train loc2vec has no option --epoch; did you mean --epochs?'
    """
    flag = name.replace("_", "-") if name.startswith("-") else flag_of(name)
    if (hint := former_flag(verb, name, [entry])) is not None:
        return hint
    others = [
        f"{verb} {other.name}" for other in _recipes() if other is not entry and flag in _flags(other, verb)
    ]
    others = others or [
        f"{other} {one.name}"
        for one in (entry, *_recipes())
        for other in ("prepare", "train")
        if flag in _flags(one, other)
    ]
    if others:
        *most, last = dict.fromkeys(others)
        named = f"{', '.join(most)} and {last}" if most else last
        return f"{flag} is an option of {named}, not of {verb} {entry.name}"
    for asked in (verb, "train", "prepare"):
        if (hint := former_flag(asked, name)) is not None:
            return hint if asked == verb else f"{hint} (of {asked})"
    return f"{verb} {entry.name} has no option {flag}{near(flag, [*_flags(entry, verb), *extra])}"


def former_flag(verb: str, name: str, entries: Iterable[RecipeEntry] | None = None) -> str | None:
    """The replacement of an original system's option; None if no recipe has it.

    >>> former_flag("train", "pos_radius")
    'there is no option --pos_radius: use --near-tiles (or in meters with --near-m)'
    """
    for entry in _recipes() if entries is None else entries:
        found = [
            (flag, line)
            for command in entry.former_commands()
            if command.verb == verb
            for line in command.flags
            for flag in line.flags
            if _word(flag) == name.lstrip("-").replace("-", "_")
        ]
        if found:
            return _hint(found)
    return None


def near(flag: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown flag: the most similar known one."""
    found = difflib.get_close_matches(flag, list(known), n=1, cutoff=0.6)
    return f"; did you mean {found[0]}?" if found else ""


def _flags(entry: RecipeEntry, verb: str) -> list[str]:
    classes = (*entry.train_options, RunOptions) if verb == "train" else (entry.prepare_options,)
    return [flag for cls in classes for one in options_of(cls) for flag in (one.flag, *one.flags)]


def _recipes() -> Iterator[RecipeEntry]:
    """All usable recipes; problems of others are reported elsewhere."""
    for name in RECIPES.names():
        try:
            yield recipe(name)
        except PlacevecError:
            continue


def _word(flag: str) -> str:
    """The name of an option in its original spelling, without a value."""
    return flag.split()[0].lstrip("-").replace("-", "_") if flag.startswith("--") else ""


def _hint(found: list[tuple[str, FormerFlag]]) -> str:
    """One line with all that an option can mean; a table may list it for several commands."""
    parts: dict[str, str] = {}
    for flag, line in found:
        here, note = (text.replace("`", "") for text in (line.here, line.note))
        of = f"{flag} is " if " " in flag else "use "
        parts.setdefault(f"{of}{here}" if here else note, f" ({note})" if here and note else "")
    return f"there is no option {found[0][0].split()[0]}: {'; '.join(f'{what}{note}' for what, note in parts.items())}"
