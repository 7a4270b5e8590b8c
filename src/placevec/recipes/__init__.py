"""The recipes by name. Each is a module with a config dataclass, ``prepare`` and ``build``."""

from __future__ import annotations

import difflib
import importlib
from types import ModuleType

from placevec.errors import UsageError

RECIPES = {"loc2vec": "placevec.recipes.loc2vec"}


def recipe_module(name: str) -> ModuleType:
    """The module of a recipe; UsageError naming the recipes there are when it is unknown.

    >>> recipe_module("loc2vec").__name__
    'placevec.recipes.loc2vec'
    """
    if name not in RECIPES:
        near = difflib.get_close_matches(name, RECIPES, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UsageError(f"there is no recipe {name!r}: {hint}the recipes are: {', '.join(RECIPES)}")
    return importlib.import_module(RECIPES[name])
