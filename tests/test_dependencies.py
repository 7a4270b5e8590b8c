"""What pyproject.toml asks for is what is imported, no more and no less. Oracle: the import statements themselves."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

from placevec.api.extras import USES

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
TOOLS = {"dev", "docs", "fuzz", "servers", "test"}
"""Extras for work on placevec itself; of these only what tests import can be checked."""
BESIDE = {"tensorboard": "torch.utils.tensorboard"}
"""Packages that are used through another: the module that needs them."""
APART = {"annoy", "scale"}
"""Extras that have to be compiled, or are very large, so that they are in no other extra, and perhaps not here."""
PLUGINS = {"pytest-xdist"}
"""Found by pytest, not imported."""


def required(lines: list[str]) -> set[str]:
    """Names of distributions, in one spelling, without placevec's own extras."""
    names = {re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in lines}
    return {plain(name) for name in names} - {"placevec"}


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def imported(folder: str) -> frozenset[str]:
    """Dotted names of modules that files of a folder import, also inside of functions and by ``importorskip``."""
    found = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found |= {node.module}
            elif (
                isinstance(node, ast.Call)
                and getattr(node.func, "attr", getattr(node.func, "id", "")) == "importorskip"
                and isinstance(node.args[0], ast.Constant)
            ):
                found |= {str(node.args[0].value)}
    return frozenset(found)


@cache
def owners() -> Mapping[str, list[str]]:
    """Module -> distributions that bring it; all that is installed is looked through."""
    return importlib.metadata.packages_distributions()


@cache
def distributions(folder: str) -> frozenset[str]:
    """Distributions that a folder's imports need; those beside them as `BESIDE` says."""
    modules = imported(folder)
    tops = {module.split(".")[0] for module in modules}
    found = {
        plain(owner) for top in tops for owner in owners().get(top, [top])
    }  # what is not here, by its module
    return frozenset(found) | {name for name, through in BESIDE.items() if through in modules}


def test_everything_required_is_imported() -> None:
    unused = required(PROJECT["dependencies"]) - distributions("src")
    assert not unused, f"nothing in src imports {sorted(unused)}: dropped until something does"
    for extra, lines in PROJECT["optional-dependencies"].items():
        if extra not in TOOLS:
            assert not required(lines) - distributions("src"), extra
    assert not required(PROJECT["optional-dependencies"]["test"]) - distributions("tests") - PLUGINS


def test_everything_imported_is_required() -> None:
    """Also what another package happens to bring must be named where it is imported."""
    asked = required(PROJECT["dependencies"]).union(
        *(required(lines) for extra, lines in PROJECT["optional-dependencies"].items() if extra not in TOOLS)
    )
    for module in sorted({name.split(".")[0] for name in imported("src")}):
        if module not in sys.stdlib_module_names and module != "placevec":
            assert {plain(name) for name in owners().get(module, [module])} & asked, module


def test_doctor_tries_every_extra_by_every_package() -> None:
    """Oracle: pyproject.toml. An extra without a use, or a use of another package, is a gap."""
    tried: dict[str, set[str]] = {}
    for use in USES:
        tried.setdefault(use.extra, set()).update(plain(name) for name in use.packages)
    assert tried == {
        extra: required(lines)
        for extra, lines in PROJECT["optional-dependencies"].items()
        if extra not in TOOLS | {"all"}
    }


def test_all_is_every_extra_for_users() -> None:
    (line,) = PROJECT["optional-dependencies"]["all"]
    named = set(re.findall(r"\w+", line)) - {"placevec"}
    assert named == set(PROJECT["optional-dependencies"]) - TOOLS - APART - {"all"}


@pytest.mark.parametrize("name", ["pillow"])
def test_least_versions_that_safety_asks_for(name: str) -> None:
    """Tiles and photos come from anybody, so the oldest decoder that is let in is chosen, not inherited."""
    (line,) = [one for one in PROJECT["dependencies"] if one.startswith(name)]
    assert tuple(int(part) for part in line.split(">=")[1].split(".")) >= (12, 3)
