"""The recipes by name: placevec's own, and those of other packages (entry points of the group ``placevec.recipes``)."""

from __future__ import annotations

from placevec.errors import PlacevecError
from placevec.plugins import Registry
from placevec.recipes.base import RecipeEntry

RECIPES = Registry(
    "placevec.recipes",
    "recipe",
    {
        "loc2vec": "placevec.recipes.loc2vec:RECIPE",
        "sphere2vec": "placevec.recipes.sphere2vec:RECIPE",
        "where2vec": "placevec.recipes.where2vec:RECIPE",
        "mmgr": "placevec.recipes.mmgr:RECIPE",
        "poi2vec": "placevec.recipes.poi2vec:RECIPE",
    },
)
DEMO = "loc2vec"
"""The recipe of ``placevec demo``: it needs only a map."""


def recipe(name: str) -> RecipeEntry:
    """A recipe by name.

    Raises:
        UsageError: an unknown name; similar ones are suggested.
        PlacevecError: the recipe of another package cannot be imported, or is not a recipe.

    >>> recipe("loc2vec").config.__name__
    'Loc2VecConfig'
    """
    entry = RECIPES.load(name)
    if not isinstance(entry, RecipeEntry) or entry.name != name:
        found = f"the recipe {entry.name!r}" if isinstance(entry, RecipeEntry) else type(entry).__name__
        raise PlacevecError(
            f"the recipe {name!r} cannot be used: its package registers {found}, not a RecipeEntry {name!r}"
        )
    return entry
