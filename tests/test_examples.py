"""A third of the public API shows an executable example; pytest runs all of them (``--doctest-modules``).

Counted: every public class and function at the top level of a module of placevec. A class counts when it, or one of its
methods, has an example.
"""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "placevec"
SHARE = 1 / 3


def public_definitions(source: str) -> dict[str, bool]:
    """Name of each public class and function of a module -> whether its docstrings hold an example."""
    found = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            inner = node.body if isinstance(node, ast.ClassDef) else []
            parts = [node, *(one for one in inner if isinstance(one, ast.FunctionDef))]
            found[node.name] = any(">>>" in (ast.get_docstring(one) or "") for one in parts)
    return found


def test_examples_are_counted() -> None:
    """Oracle: a module written here."""
    source = '''
def shown():
    """One.

    >>> shown()
    """

class Part:
    def method(self):
        """>>> Part().method()"""

class Bare: ...
def _private():
    """>>> _private()"""
'''
    assert public_definitions(source) == {"shown": True, "Part": True, "Bare": False}


def test_a_third_of_the_public_api_has_an_example() -> None:
    counts = [
        has_example
        for path in sorted(PACKAGE.rglob("*.py"))
        for has_example in public_definitions(path.read_text("utf-8")).values()
    ]
    assert sum(counts) / len(counts) >= SHARE, f"{sum(counts)} of {len(counts)} have an example"
