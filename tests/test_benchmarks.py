"""Benchmarks are run by hand, so that what they import may be renamed under them: each module is imported here."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import benchmarks
import pytest

MODULES = [
    module.name
    for module in pkgutil.iter_modules(benchmarks.__path__, "benchmarks.")
    if not module.name.endswith(("__main__", ".peers"))
]


@pytest.mark.parametrize("name", MODULES)
def test_a_benchmark_can_be_imported(name: str) -> None:
    assert import_module(name).__doc__


def test_an_unknown_benchmark_is_rejected_with_the_known_ones() -> None:
    """As a process: it imports all of them."""
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "nothing"], capture_output=True, text=True, cwd=root, check=False
    )
    assert done.returncode == 2
    assert "no benchmark is called 'nothing'" in done.stderr
    assert "precision" in done.stderr
