"""The recipes by name. Each is a module with a config dataclass, ``prepare`` and ``build``.

``prepare(out, *, created, progress, ...)`` names the options that it takes as keyword arguments with defaults; only those
that were given reach it. One that takes ``**options`` has them in its module's ``PREPARE_OPTIONS``.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Iterable, Mapping
from types import ModuleType

from placevec.errors import UsageError

RECIPES = {"loc2vec": "placevec.recipes.loc2vec.build", "sphere2vec": "placevec.recipes.sphere2vec.build"}


def recipe_module(name: str) -> ModuleType:
    """The module of a recipe; UsageError naming the recipes there are when it is unknown.

    >>> recipe_module("loc2vec").__name__
    'placevec.recipes.loc2vec.build'
    """
    if name not in RECIPES:
        near = difflib.get_close_matches(name, RECIPES, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UsageError(f"there is no recipe {name!r}: {hint}the recipes are: {', '.join(RECIPES)}")
    return importlib.import_module(RECIPES[name])


def prepare_options(name: str) -> tuple[str, ...]:
    """The options of a recipe's ``prepare``."""
    module = recipe_module(name)
    keywords = [
        parameter.name
        for parameter in inspect.signature(module.prepare).parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and parameter.name not in ("created", "progress")
    ]
    return (*keywords, *getattr(module, "PREPARE_OPTIONS", ()))


def check_options(name: str, given: Iterable[str], *, spelled: Mapping[str, str] | None = None) -> None:
    """UsageError for an option that preparing a recipe's dataset has no use for.

    Args:
        name: of the recipe.
        given: names of options.
        spelled: option -> what users call it, where that differs.

    >>> check_options("loc2vec", ["zoom", "tempo"])
    Traceback (most recent call last):
        ...
    placevec.errors.UsageError: --tempo means nothing to prepare loc2vec
    """
    known = prepare_options(name)
    for option in given:
        if option not in known:
            words = {other: (spelled or {}).get(other, other).replace("_", "-") for other in (option, *known)}
            near = difflib.get_close_matches(words[option], [words[other] for other in known], n=1)
            hint = f"; did you mean --{near[0]}?" if near else ""
            raise UsageError(f"--{words[option]} means nothing to prepare {name}{hint}")
