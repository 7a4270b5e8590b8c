"""Tiles at the command line: what is said, exit codes, JSON."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.cli.test_cli import call, call_json
from tests.sources.tiles.tile_files import png, write_layers

Z, X, Y = 17, 74_567, 37_890


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two layers of four tiles, black on white; one lacks a tile."""
    random = np.random.default_rng(0)
    tiles = {
        layer: {
            (X + x, Y + y): png((random.random((256, 256)) > 0.1).astype(np.uint8) * 255)
            for x in range(2)
            for y in range(2)
        }
        for layer in ("roads", "buildings")
    }
    del tiles["roads"][X, Y]
    write_layers(tmp_path / "tiles_of_mine", tiles, Z)
    return tmp_path / "tiles_of_mine"


def test_there_and_back(capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path) -> None:
    code, out, err = call(capsys, "prepare", "loc2vec", "--tile_folder", folder, "--out", tmp_path / "data")
    assert code == 0
    assert "4 places, 2 layers at zoom 17" in out
    assert "Background white, set from a contrast of 128 out of 255: buildings, roads" in err
    assert "have no attribution" in err
    code, out, err = call(capsys, "export", tmp_path / "data", "--tile-folder", tmp_path / "out", "-q")
    assert (code, err) == (0, "")
    assert "4 tiles of 2 layers at zoom 17" in out
    made = call_json(capsys, "export", tmp_path / "data", "--mbtiles", tmp_path / "mb")
    assert made == {"out": str(tmp_path / "mb"), "tiles": 4, "layers": ["buildings", "roads"], "zoom": 17}
    again = call_json(capsys, "prepare", "loc2vec", "--mbtiles", tmp_path / "mb", "--out", tmp_path / "again")
    assert again["sources"][0]["sha256"] == call_json(
        capsys, "prepare", "loc2vec", "--tile-folder", tmp_path / "out", "--out", tmp_path / "third"
    )["sources"][0]["sha256"]  # fmt: skip


def test_validate(capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path) -> None:
    code, out, _ = call(capsys, "validate", folder, "-q")
    assert code == 0
    for words in ("in any layer    4", "in all layers   3", "(4, 2, 256, 256)", "white", "It is usable."):
        assert words in out
    assert call_json(capsys, "validate", folder)["layers"][1]["tiles"] == 3
    code, out, err = call(capsys, "validate", tmp_path / "none")
    assert (code, err) == (1, "")
    assert "Problem: " in out
    assert "It is not usable." in out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--threshold", "300"], 2, "255"),
        (["--background", "pink"], 2, "--background must be auto"),
        (["--background", "sea=white"], 1, "unknown layer 'sea'"),
        (["--zoom", "12"], 1, "no tiles of zoom 12; it has: 17"),
        (["--mbtiles", "a.mbtiles"], 2, "give only one source"),
        (["--bbox", "1,1,2,2"], 1, "is in the area"),
    ],
)
def test_rejected(
    capsys: pytest.CaptureFixture[str],
    folder: Path,
    tmp_path: Path,
    arguments: list[str],
    code: int,
    words: str,
) -> None:
    found, out, err = call(
        capsys, "prepare", "loc2vec", "--tile-folder", folder, "--out", tmp_path / "X", "-q", *arguments
    )
    assert (found, out) == (code, "")
    assert words in err
    assert "Traceback" not in err
    assert not (tmp_path / "X").exists()
