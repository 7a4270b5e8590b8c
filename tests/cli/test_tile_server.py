"""The commands of founding document 001 in today's words, from a tile server to a table of vectors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from placevec.cli import main
from placevec.embeddings import Embeddings
from placevec.sources.tiles import download as tile_server
from tests.tile_servers import closed_port, serving

AREA = ("--min_lat", "60.160", "--max_lat", "60.172", "--min_lon", "24.930", "--max_lon", "24.955")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACEVEC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(tile_server, "FIRST_WAIT_S", 0.005)


@pytest.mark.usefixtures("small_probes")
def test_the_founding_pipeline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """prepare-osm and train-osm with their own spellings of options; the vectors have 64 numbers as there."""
    data, run, table = (str(tmp_path / name) for name in ("data", "run", "vectors.parquet"))
    with serving() as server:
        where = [
            "--server_ip",
            "127.0.0.1",
            "--server_port",
            str(server.port),
            "--server_path",
            "/hot/{z}/{x}/{y}.png",
        ]
        how = ["--zoom", "16", "--num_samples", "60", "--patch_size", "64", "--out", data]
        assert main(["prepare", "loc2vec", *where, *AREA, *how]) == 0
    told = capsys.readouterr()
    assert "60 places" in told.out
    assert "--size-px 64" in told.out
    assert "tiles downloaded" in told.err
    assert json.loads((tmp_path / "data" / "metadata.json").read_text("utf-8"))["num_samples"] == 60
    quick = ["--epochs", "1", "--steps-per-epoch", "1", "--batch-size", "8", "-q"]
    assert main(["train", "loc2vec", data, "--preset", "founding-rgb", *quick, "--out", run]) == 0
    assert main(["embed", run, data, "-q", "-o", table]) == 0
    assert Embeddings.load(table).vectors.shape == (60, 64)
    capsys.readouterr()
    assert main(["evaluate", table, "--seeds", "1", "-q"]) == 0
    assert "prepare it from an OSM extract" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--tiles", "https://tile.openstreetmap.org/{z}/{x}/{y}.png", *AREA], 1, "forbids bulk download"),
        (["--tiles", "http://127.0.0.1/tiles.png", *AREA], 2, "lacks {z}, {x}, {y}"),
        (["--tiles", "ftp://127.0.0.1/{z}/{x}/{y}.png", *AREA], 2, "over http or https"),
        (["--server-ip", "127.0.0.1", "--server-port", "0", *AREA], 2, "--server-port must be 1 to 65535"),
        (["--tiles", "http://127.0.0.1/{z}/{x}/{y}.png"], 2, "an area is required"),
        (["--tiles", "http://127.0.0.1/{z}/{x}/{y}.png", "--min-lat", "1"], 2, "all of --min-lat"),
        (
            ["--tiles", "http://127.0.0.1/{z}/{x}/{y}.png", "--mbtiles", "a.mbtiles", *AREA],
            2,
            "give only one source",
        ),
    ],
)
def test_what_is_rejected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
) -> None:
    assert main(["prepare", "loc2vec", *arguments, "--out", str(tmp_path / "data")]) == code
    told = capsys.readouterr().err
    assert words in told
    assert len(told.strip().splitlines()) == 1
    assert not (tmp_path / "data").exists()


def test_a_server_that_is_down(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    address = f"http://127.0.0.1:{closed_port()}/{{z}}/{{x}}/{{y}}.png"
    assert main(["prepare", "loc2vec", "--tiles", address, *AREA, "-q", "--out", str(tmp_path / "data")]) == 1
    told = capsys.readouterr().err
    assert "check that the server is running" in told
    assert len(told.strip().splitlines()) == 1
