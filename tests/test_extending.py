"""`docs/extending.md` does what it says: a package adds a view, an encoder and a recipe, and every verb knows them.

The package is written out of the page, installed as entry points beside the tests, and used from the command line alone.
Oracle: series of three climate zones that training never sees: a station's nearest neighbor is of its zone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.robustness.commands import Ended, Nursery

PAGE = Path(__file__).resolve().parent.parent / "docs" / "extending.md"
MAX_LINES = 120


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text("utf-8"), re.S)


def install(site: Path) -> None:
    """What pip would put there: the module, and the names of its entry points."""
    (toml,), (module,) = blocks("toml"), blocks("python")
    site.mkdir()
    (site / "climate_vectors.py").write_text(module)
    about = site / "climate_vectors-0.1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: climate-vectors\nVersion: 0.1\n")
    groups = re.sub(r'\[project\.entry-points\."(.*?)"\]', r"[\1]", toml).replace('"', "")
    (about / "entry_points.txt").write_text(groups)


@pytest.fixture
def run(nursery: Nursery, tmp_path: Path) -> Callable[..., Ended]:
    """One command of placevec in a process of its own, where the package is installed."""
    return partial(nursery.run, folder=tmp_path, packages=tmp_path / "site")


def stations(folder: Path) -> dict[str, str]:
    """120 stations of three zones with noisy months, ten of them without a year; place_id -> zone."""
    random = np.random.default_rng(0)
    zone = np.arange(120) % 3
    months = np.arange(12)
    year = np.stack(
        [10 * np.cos((months - 6) * np.pi / 6), 25 + 0 * months, -10 * np.cos((months - 6) * np.pi / 6)]
    )
    values = year[zone] + np.array([5.0, 0.0, 15.0])[zone][:, None] + random.normal(0, 1.0, (120, 12))
    values[110:] = np.nan
    lat = np.array([50.0, 0.0, -35.0])[zone] + random.uniform(-8, 8, 120)
    ids = [f"s{row:03d}" for row in range(120)]
    table = pd.DataFrame({"place_id": ids, "lon": random.uniform(-150, 150, 120), "lat": lat})
    table[[f"m{month:02d}" for month in range(1, 13)]] = values
    table.to_csv(folder / "stations.csv", index=False)
    zones = [("north", "tropics", "south")[one] for one in zone]
    pd.DataFrame({"place_id": ids, "zone": zones}).to_csv(folder / "zones.csv", index=False)
    return dict(zip(ids, zones, strict=True))


def test_the_page_is_short() -> None:
    lines = sum(len(block.strip().splitlines()) for block in (*blocks("toml"), *blocks("python")))
    assert lines < MAX_LINES


def test_every_command_of_the_page_runs(run: Callable[..., Ended], tmp_path: Path) -> None:
    """In its order, as written; what it prints is looked at where there is something to know."""
    site = tmp_path / "site"
    install(site)
    zone_of = stations(tmp_path)
    (commands,) = blocks("console")
    for line in commands.strip().splitlines():
        words = line.split()
        assert words.pop(0) == "placevec"
        done = run(*words, *(["--json"] if words[0] == "search" else []))
        assert done.code == 0, (line, done.err)
        if words[0] == "search":
            results = json.loads(done.out)["results"]
            here = zone_of[words[words.index("--place") + 1]]
            assert [zone_of[one["place_id"]] for one in results[:3]] == [here] * 3
    told = json.loads(run("info", "stations.parquet", "--json").out)
    assert {name: view["count"] for name, view in told["views"].items()} == {
        "coordinates": 120,
        "series": 110,
        "fused": 120,
    }
    done = run(
        "search",
        "stations.parquet",
        "--view",
        "series",
        "--place",
        "s000",
        "-k",
        "500",
        "--json",
    )
    assert len(json.loads(done.out)["results"]) == 110 - 1
    again = run(*commands.splitlines()[0].split()[1:])
    assert again.code == 0
    assert "Reusing" in again.err
    (tmp_path / "stations.csv").write_text(
        (tmp_path / "stations.csv").read_text() + "x,0,0" + 12 * ",1" + "\n"
    )
    changed = run(*commands.splitlines()[0].split()[1:])
    assert changed.code == 1
    assert "made from other inputs: the content of 'stations' differs" in changed.err
    found = json.loads(run("search", "stations.parquet", "--lon", "20", "--lat", "50", "--json").out)
    assert (
        found["notes"][0]
        == "the query is embedded only from coordinates, but the places from coordinates, series"
    )
    lacking = run("search", "stations.parquet", "--view", "series", "--place", "s115")
    assert "'s115' has no vector of the view series; it has coordinates, fused" in lacking.err
    help_of_it = run("train", "climate", "--help").out
    assert "--temperature" in help_of_it
    assert "--near-m" not in help_of_it


def test_a_broken_plugin_breaks_nothing_else(run: Callable[..., Ended], tmp_path: Path) -> None:
    """One line names it; help and other recipes work."""
    site = tmp_path / "site"
    install(site)
    (site / "climate_vectors.py").write_text("raise RuntimeError('out of order')\n")
    done = run("train", "climate", "data", "--out", "run")
    assert done.code == 70
    assert (
        "the recipe 'climate' of the package climate-vectors cannot be loaded: RuntimeError: out of order "
        "(in climate_vectors.py, line 1" in done.err
    )
    assert len(done.err.strip().splitlines()) == 1
    assert run("train", "loc2vec", "--help").code == 0
    assert run("--help").code == 0


def test_a_fault_of_a_plugin_is_not_called_ours(run: Callable[..., Ended], tmp_path: Path) -> None:
    site = tmp_path / "site"
    install(site)
    module = (site / "climate_vectors.py").read_text()
    (site / "climate_vectors.py").write_text(module.replace("pd.read_csv(", "pd.no_such_function("))
    stations(tmp_path)
    done = run("prepare", "climate", "--stations", "stations.csv", "--out", "d")
    assert done.code == 70
    assert "it comes from climate_vectors.py, line " in done.err
    assert "of the package climate-vectors: please report it there" in done.err


def test_a_plugin_cannot_take_a_taken_name(run: Callable[..., Ended], tmp_path: Path) -> None:
    site = tmp_path / "site"
    install(site)
    points = site / "climate_vectors-0.1.dist-info" / "entry_points.txt"
    points.write_text(points.read_text().replace("climate = ", "loc2vec = "))
    done = run("train", "loc2vec", "--help")
    assert done.code == 0
    assert "--near-m" in done.out


@pytest.mark.parametrize("verb", ["prepare", "train"])
def test_options_of_another_recipe_are_named_as_such(
    verb: str, run: Callable[..., Ended], tmp_path: Path
) -> None:
    site = tmp_path / "site"
    install(site)
    words = ["prepare", "climate", "--label", "x", "--out", "d"] if verb == "prepare" else [
        "train", "climate", "d", "--near-m", "5", "--out", "r"
    ]  # fmt: skip
    done = run(*words)
    assert done.code == 2
    assert re.search(r"--(label|near-m) is an option of (prepare |train )?(sphere2vec|loc2vec)", done.err)
