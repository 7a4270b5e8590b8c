"""The demo on one's own extract: its parts, one after the other, each going on from what the one before made."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from placevec.cli.demo.check import first_batch, layers_held
from placevec.cli.demo.plan import Plan, embedded, of_extract
from placevec.cli.output import spelled
from placevec.datasets.dataset import Dataset
from tests.cli.test_cli import call, call_json
from tests.sources.tiles.tile_files import png, write_layers


@pytest.mark.slow
@pytest.mark.usefixtures("small_probes")
def test_own_extract_part_by_part_and_as_a_whole(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, helsinki_pbf: Path
) -> None:
    """Check and load; train; draw at most 50 places with the model that is there; no part does more than it says.

    Then everything; the call after it makes nothing again; each step says the command that does it alone.
    """
    out = tmp_path / "own"
    given = ["demo", "--osm", helsinki_pbf, "--out", out, "--epochs", "1"]
    tested = call_json(capsys, *given, "--test-only")
    assert tested["check"]["is"] == "OpenStreetMap extract"
    assert tested["batch"][0]["shape"][1:] == [8, 64, 64]
    assert all(row["finite"] and 0 < row["drawn_on"] < 1 for row in tested["batch"])
    assert tested["layers"]["buildings"] > 100
    assert sorted(tested["files"]) == ["dataset"]
    code, _, err = call(capsys, *given, "--visualize-only")
    assert code == 1
    assert "there is no model" in err
    trained = call_json(capsys, *given, "--train-only")
    assert sorted(trained["files"]) == ["dataset", "run"]
    seen = call_json(capsys, *given, "--visualize-only", "--max-places", "50")
    assert sorted(seen["files"]) == ["dataset", "run", "vectors"]
    page = Path(seen["page"])
    assert page.parent == out
    assert page.read_text("utf-8").startswith("<!doctype html>")
    code, _, told = call(capsys, *given)  # everything: goes on from the parts
    assert code == 0, told
    for number in range(1, 9):
        assert f"[{number}/8]" in told
    assert "placevec prepare loc2vec --osm" in told
    before = json.loads((out / "report" / "report.json").read_text())
    again = call_json(capsys, *given)
    assert len(again["similar"]) == 5
    assert again["report"]["places"] > 100
    assert before["created"] == again["report"]["created"]


@pytest.fixture
def layered(tmp_path: Path) -> Path:
    """Founding document 004's ``LAYER/z/x/y.png``: three layers of a 10 x 10 block of tiles of Kyiv, each with a box."""
    random = np.random.default_rng(0)

    def tile() -> bytes:
        pixels = np.zeros((256, 256), np.uint8)
        x, y, width, height = random.integers([0, 0, 20, 20], [200, 200, 56, 56])
        pixels[y : y + height, x : x + width] = 255
        return png(pixels)

    layers = {
        layer: {(76_600 + x, 44_200 + y): tile() for x in range(10) for y in range(10)}
        for layer in ("buildings", "roads", "water")
    }
    write_layers(tmp_path / "kyiv" / "tiles", layers, 17)
    return tmp_path / "kyiv"


@pytest.mark.slow
@pytest.mark.usefixtures("small_probes")
def test_own_tiles(capsys: pytest.CaptureFixture[str], tmp_path: Path, layered: Path) -> None:
    """Checked as `placevec validate` checks, then everything; without labels, only what needs none is measured."""
    given = ["demo", "--tile-folder", layered, "--out", tmp_path / "own", "--epochs", "1"]
    tested = call_json(capsys, *given, "--test-only")
    assert tested["check"]["usable"]
    assert tested["check"]["common"] == 100
    assert tested["layers"] == {"buildings": 100, "roads": 100, "water": 100}
    assert tested["batch"][0]["shape"] == [64, 3, 64, 64]
    founding = call_json(capsys, *given, "--test-only", "--preset", "founding")
    assert founding["batch"][0]["shape"] == [16, 3, 256, 256]  # its own batch and window
    code, out, told = call(capsys, *given)
    assert code == 0, told
    assert "These places have no labels: only metrics without labels are computed" in told
    assert "without labels" in out
    assert sorted(path.name for path in (tmp_path / "own").iterdir()) == [
        "kyiv", "kyiv.html", "kyiv.parquet", "report", "run",
    ]  # fmt: skip


def test_tiles_that_cannot_be_used(capsys: pytest.CaptureFixture[str], tmp_path: Path, layered: Path) -> None:
    (layered / "tiles" / "roads" / "17" / "76600" / "44200.png").write_bytes(b"no picture")
    for layer in ("buildings", "water"):
        for x in range(76_600, 76_610):
            for y in range(44_200, 44_210):
                (layered / "tiles" / layer / "17" / str(x) / f"{y}.png").write_bytes(b"no picture")
    code, _, told = call(capsys, "demo", "--tile-folder", layered, "--out", tmp_path / "own", "-q")
    assert code == 1
    assert "cannot be used" in told
    assert not (tmp_path / "own" / "kyiv" / "dataset.json").exists()


def test_settings_suit_the_size(helsinki_pbf: Path, tmp_path: Path) -> None:
    """A small extract gets a grid; the folder is named after it, so that it does not meet the embedded demo's."""
    plan = of_extract(helsinki_pbf, None, 3, None, 7)
    assert plan.source["spacing"] == 60.0
    assert plan.training["seed"] == 7
    assert plan.out.name == f"demo-{plan.name}"
    assert embedded(None, 3, None, 0).out == Path("demo")
    assert embedded(tmp_path, 3, "Kluuvi", 0).query == "Kluuvi"


def test_hostile_file_names_stay_in_the_folder(helsinki_pbf: Path, tmp_path: Path) -> None:
    link = tmp_path / "..; rm -rf ~ $(x).osm.pbf"
    link.symlink_to(helsinki_pbf)
    plan = of_extract(link, tmp_path, 1, None, 0)
    assert plan.dataset.parent == tmp_path
    assert "'" in spelled(plan.source)
    assert not set(plan.name) & set("/;$~ ")


def test_the_batch_is_what_training_draws(helsinki_dataset: Dataset) -> None:
    held = layers_held(helsinki_dataset)
    assert list(held) == list(helsinki_dataset.spec("map").channels)
    assert max(held.values()) <= len(helsinki_dataset)
    options = {"size_m": 120.0, "size_px": 32, "near_m": 40.0, "far_m": 160.0, "batch_size": 8}
    rows = first_batch(helsinki_dataset, options)
    assert [row["slot"] for row in rows] == ["anchor", "positive"]
    assert rows[0]["shape"] == [8, 12, 32, 32]


def test_every_file_lies_in_out(tmp_path: Path) -> None:
    plan = Plan("a", "a", tmp_path, {}, {})
    for path in (plan.dataset, plan.run, plan.table, plan.report, plan.page):
        assert path.parent == tmp_path
