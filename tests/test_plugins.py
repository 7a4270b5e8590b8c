"""What other packages add: found by name, never fatal. Oracle: importlib.metadata's own entry points."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from placevec import plugins
from placevec.errors import DatasetError, PlacevecError, UsageError
from placevec.plugins import Registry
from tests.unsealed import unsealed


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entry points as other packages would have installed them."""
    points = [
        EntryPoint("tau", "math:tau", "placevec.examples"),
        EntryPoint("pi", "math:e", "placevec.examples"),
        EntryPoint("tau", "math:e", "placevec.examples"),
        EntryPoint("broken", "no_such_module:x", "placevec.examples"),
        EntryPoint("odd", "math:no_such_name", "placevec.examples"),
    ]
    monkeypatch.setattr(plugins, "entry_points", lambda group: [p for p in points if p.group == group])


@pytest.fixture
def registry() -> Registry:
    return Registry("placevec.examples", "example", {"pi": "math:pi"})


@pytest.mark.usefixtures("others")
def test_names_of_others_are_found_and_ours_stay(registry: Registry) -> None:
    import math

    assert registry.names() == ("pi", "broken", "odd", "tau")
    assert registry.load("pi") == math.pi
    assert registry.load("tau") in (math.tau, math.e)
    assert "tau" in registry
    assert "rho" not in registry


@pytest.mark.usefixtures("others")
def test_what_cannot_be_imported_breaks_nothing_else(registry: Registry) -> None:
    for name, why in (("broken", "ModuleNotFoundError"), ("odd", "AttributeError")):
        with pytest.raises(
            PlacevecError, match=f"the example '{name}' of the package .* cannot be loaded: {why}"
        ):
            registry.load(name)
    problems = registry.problems()
    assert len(problems) == 4
    assert sum("is ignored: placevec already has this name" in line for line in problems) == 1
    assert all("\n" not in line for line in problems)


@pytest.mark.usefixtures("others")
def test_an_unknown_name_is_reported_with_near_ones(registry: Registry) -> None:
    with pytest.raises(UsageError, match="unknown example 'tua': did you mean 'tau'"):
        registry.load("tua")


def test_a_view_of_a_kind_that_no_one_reads(tmp_path) -> None:
    """One line that names the view, its kind and what there is."""
    import json

    from placevec.datasets.dataset import Dataset
    from tests.models import many_views

    dataset = many_views.write(tmp_path / "d", views=("text",))
    manifest = json.loads((dataset.path / "dataset.json").read_text())
    manifest["views"]["text"]["spec"]["kind"] = "smells"
    (dataset.path / "dataset.json").write_text(json.dumps(unsealed(manifest)))
    with pytest.raises(
        DatasetError, match=r"view 'text' has the kind 'smells', which no installed package reads \(available"
    ):
        Dataset.open(dataset.path).view("text")


@pytest.mark.usefixtures("others")
def test_an_error_in_code_of_others_names_where_it_arose(monkeypatch: pytest.MonkeyPatch) -> None:
    """Oracle: the traceback's own line; an error of ours, or of a library that we call, names nobody."""
    point = EntryPoint("climate", "climate_vectors:CLIMATE", "placevec.recipes")
    monkeypatch.setattr(plugins, "entry_points", lambda group: [point] if group == "placevec.recipes" else [])
    theirs: dict[str, object] = {"__name__": "climate_vectors"}
    exec(compile("def build(rows):\n    return int(rows)\n", "/site/climate_vectors.py", "exec"), theirs)
    with pytest.raises(ValueError) as raised:
        theirs["build"]("many")  # type: ignore[operator]
    assert plugins.fault_of(raised.value) == "climate_vectors.py, line 2, of the package ?"
    with pytest.raises(ValueError) as raised:
        int("many")
    assert plugins.fault_of(raised.value) is None
