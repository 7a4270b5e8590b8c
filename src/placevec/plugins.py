"""Views, encoders and recipes by name: placevec's own, and those that other packages add through entry points.

Another package lists them in its ``pyproject.toml``::

    [project.entry-points."placevec.recipes"]
    skyline = "skyline_vectors.recipe:RECIPE"

Nothing is imported before it is used. A package that cannot be imported disables only its own additions.
"""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from placevec.errors import PackageError, PlacevecError, UsageError, choose_from

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUPS = ("placevec.views", "placevec.encoders", "placevec.fusions", "placevec.recipes")
"""Groups of entry points that another package can use."""


class Registry:
    """Objects of one kind by name, each imported on first use.

    Args:
        group: entry point group, such as ``placevec.recipes``.
        kind: name of the kind in messages, such as ``recipe``.
        builtin: name -> ``module:attribute`` in this package. No other package can use one of these names.

    >>> registry = Registry("placevec.examples", "example", {"pi": "math:pi"})
    >>> registry.names(), registry.load("pi")
    (('pi',), 3.141592653589793)
    >>> registry.load("pie")
    Traceback (most recent call last):
        ...
    placevec.errors.UsageError: unknown example 'pie': did you mean 'pi'? Choose from pi
    """

    def __init__(self, group: str, kind: str, builtin: Mapping[str, str]) -> None:
        self.group, self.kind, self.builtin = group, kind, dict(builtin)

    @cached_property
    def _found(self) -> tuple[dict[str, EntryPoint], list[str]]:
        """(name -> entry point of another package, one line for each entry point that is ignored)."""
        added: dict[str, EntryPoint] = {}
        problems = []
        for point in sorted(entry_points(group=self.group), key=lambda point: (point.name, _package(point))):
            owner = (
                "placevec"
                if point.name in self.builtin
                else _package(added[point.name])
                if point.name in added
                else None
            )
            if owner is None:
                added[point.name] = point
            else:
                what = f"the {self.kind} {point.name!r} of the package {_package(point)}"
                problems.append(f"{what} is ignored: {owner} already has this name")
        return added, problems

    def names(self) -> tuple[str, ...]:
        """All names: placevec's own, then those of other packages."""
        return (*self.builtin, *self._found[0])

    def __contains__(self, name: object) -> bool:
        return name in self.builtin or name in self._found[0]

    def load(self, name: str) -> Any:
        """The object with a name.

        Raises:
            UsageError: unknown name; similar ones are suggested.
            PlacevecError: the object belongs to another package and cannot be imported.
        """
        if name in self.builtin:
            module, _, attribute = self.builtin[name].partition(":")
            return getattr(importlib.import_module(module), attribute)
        point = self._found[0].get(name)
        if point is None:
            raise UsageError(f"unknown {self.kind} {name!r}: {choose_from(name, self.names())}")
        try:
            return point.load()
        except (Exception, SystemExit) as error:  # third-party code can raise anything
            where = fault_of(error)
            raise PackageError(
                f"the {self.kind} {name!r} of the package {_package(point)} cannot be loaded: "
                f"{type(error).__name__}: {error}" + (f" (in {where})" if where else "")
            ) from error

    def ignored(self) -> list[str]:
        """One line for each object of another package whose name is already used; nothing is imported."""
        return list(self._found[1])

    def problems(self) -> list[str]:
        """One line for each object of another package that is not usable, and why. Imports all of them."""
        added, problems = self._found
        for name in added:
            try:
                self.load(name)
            except PlacevecError as error:
                problems = [*problems, str(error)]
        return problems


def fault_of(error: BaseException) -> str | None:
    """Where an error occurred in another package, such as ``climate.py, line 60, of the package climate-vectors``.

    None if it did not occur in another package.
    """
    owners = {
        point.module.partition(".")[0]: _package(point)
        for group in GROUPS
        for point in entry_points(group=group)
    }
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        owner = owners.get(str(frame.f_globals.get("__name__")).partition(".")[0])
        if owner is not None and owner != "placevec":
            return f"{Path(frame.f_code.co_filename).name}, line {line}, of the package {owner}"
    return None


def entry_points(group: str) -> Iterable[EntryPoint]:
    """Entry points of all installed packages."""
    from importlib import metadata  # 20 ms, which most commands need not spend

    return metadata.entry_points(group=group)


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "?"
