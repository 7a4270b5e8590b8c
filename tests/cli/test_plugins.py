"""Recipes of other packages, installed as pip leaves them: what works, what does not, and that nothing else breaks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.robustness.commands import Ended, Nursery

GOOD = '''
"""A recipe of another package."""
from dataclasses import dataclass
from placevec.options import Options, option
from placevec.recipes.base import RecipeEntry


@dataclass(frozen=True)
class Config(Options):
    height: float = option(2.0, "Height of the skyline, meters", group="Skyline", above=0)


@dataclass(frozen=True)
class Source(Options):
    city: str = option("", "Name of the city")


def prepare(out, options, *, created, progress):
    raise SystemExit(f"prepared {options.city}")


RECIPE = RecipeEntry("skyline", "what is high", Config, Source, "skyline_good:prepare", "skyline_good:build")
'''


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three packages: one that works, one that cannot be imported, one that takes a taken name."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "skyline_good.py").write_text(GOOD)
    (folder / "skyline_bad.py").write_text("import no_such_module\n")
    (folder / "skyline_other.py").write_text("RECIPE = 'not a recipe'\n")
    for package, line in (
        ("good", "skyline = skyline_good:RECIPE"),
        ("bad", "broken = skyline_bad:RECIPE"),
        ("taken", "loc2vec = skyline_good:RECIPE"),
        ("other", "other = skyline_other:RECIPE"),
    ):
        about = folder / f"{package}-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text(f"[placevec.recipes]\n{line}\n")
    return folder


@pytest.fixture
def call(nursery: Nursery, installed: Path) -> Callable[..., Ended]:
    """One command in a process of its own, where the packages are installed."""
    return partial(nursery.run, packages=installed)


def test_all_are_listed_and_what_is_wrong_is_said_in_a_line_each(call: Callable[..., Ended]) -> None:
    done = call("train", "--help")
    assert done.code == 0
    for name in ("loc2vec", "sphere2vec", "skyline"):
        assert f"  {name} " in done.out
    lines = done.err.splitlines()
    assert len(lines) == 3
    assert any("'broken' of the package bad cannot be loaded: ModuleNotFoundError" in line for line in lines)
    assert any(
        "'loc2vec' of the package taken is ignored: placevec already has this name" in line for line in lines
    )
    assert any("'other' cannot be used: its package registers str" in line for line in lines)
    assert "Traceback" not in done.err


def test_the_one_that_fails_fails_alone(call: Callable[..., Ended], tmp_path: Path) -> None:
    done = call("train", "broken", "data", "--out", str(tmp_path / "x"))
    assert (done.code, done.err.count("\n")) == (70, 1)
    assert "no_such_module" in done.err
    for words in (("train", "loc2vec", "--help"), ("prepare", "sphere2vec", "--help"), ("info", "--help")):
        assert call(*words).code == 0


def test_a_recipe_of_another_package_has_options_of_its_own(
    call: Callable[..., Ended], tmp_path: Path
) -> None:
    shown = call("train", "skyline", "--help").out
    assert "Height of the skyline, meters (default 2; more than 0)" in " ".join(shown.split())
    assert "--epochs" in shown
    assert "--near-m" not in shown
    wrong = call("train", "skyline", "d", "--out", "x", "--height", "-1")
    assert (wrong.code, "--height must be a number of more than 0" in wrong.err) == (2, True)
    wrong = call("train", "loc2vec", "d", "--out", "x", "--height", "3")
    assert "--height is an option of train skyline, not of train loc2vec" in wrong.err
    done = call("prepare", "skyline", "--city", "Riga", "--out", str(tmp_path / "d"))
    assert "prepared Riga" in done.err


def test_doctor_names_what_is_wrong(call: Callable[..., Ended]) -> None:
    done = call("doctor")
    assert done.code == 0
    assert "no_such_module" in done.out
