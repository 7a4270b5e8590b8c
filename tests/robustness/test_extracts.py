"""Extracts that are none, are damaged or lie elsewhere: refused in one line, and what was there stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from placevec.datasets.dataset import Dataset
from tests.osm_xml import OsmFile, box
from tests.robustness.commands import Nursery, fresh, refused
from tests.robustness.content import leftovers, of_dataset
from tests.robustness.jobs import PLACES, SHORT

NODE = b'<node id="1" lat="1" lon="2"><tag k="name" v="x"/></node>'
WAY = b'<way id="1"><nd ref="1"/><nd ref="2"/><tag k="highway" v="service"/></way>'


def spoiled(name: str, pbf: bytes) -> bytes | None:
    """The content of a bad extract; None when there is no such file."""
    return {
        "missing.osm.pbf": None,
        "empty.osm.pbf": b"",
        "truncated.osm.pbf": pbf[: len(pbf) * 2 // 3],
        "cut_in_the_last_byte.osm.pbf": pbf[:-1],
        "flipped.osm.pbf": pbf[:300_000] + bytes(64) + pbf[300_064:],
        "text.osm.pbf": b"this is no OSM file" * 99,
        "answer.osm": b"<html><body>404</body></html>",
        "truncated.osm": b'<osm version="0.6">' + NODE,
        "nothing.osm": b'<osm version="0.6"></osm>',
        "no_coordinates.osm": b'<osm version="0.6">' + WAY + b"</osm>",
    }[name]


NAMES = (
    "missing.osm.pbf", "empty.osm.pbf", "truncated.osm.pbf", "cut_in_the_last_byte.osm.pbf", "flipped.osm.pbf",
    "text.osm.pbf", "answer.osm", "truncated.osm", "nothing.osm", "no_coordinates.osm",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_bad_extracts(
    name: str, nursery: Nursery, helsinki_pbf: Path, helsinki_dataset: Dataset, tmp_path: Path
) -> None:
    """`prepare` makes nothing of them, `info` calls none of them healthy."""
    content = spoiled(name, helsinki_pbf.read_bytes())
    if content is not None:
        (tmp_path / name).write_bytes(content)
    refused(
        nursery.run("prepare", "loc2vec", "--osm", tmp_path / name, "--out", tmp_path / "out", "-q"), name
    )
    assert not (tmp_path / "out" / "dataset.json").exists()
    refused(nursery.run("info", tmp_path / "out"))
    refused(nursery.run("info", tmp_path / name), name)


def test_a_bad_extract_costs_no_one_a_dataset(
    nursery: Nursery, helsinki_pbf: Path, helsinki_dataset: Dataset, tmp_path: Path
) -> None:
    """``--force`` removes the old dataset when the new one is whole, not before. Oracle: the old one's bytes."""
    made = nursery.run("prepare", "loc2vec", *PLACES, "--spacing", 100, "--out", tmp_path / "data")
    assert made.code == 0
    before = of_dataset(tmp_path / "data")
    for name in ("missing.osm.pbf", "truncated.osm.pbf", "no_coordinates.osm"):
        content = spoiled(name, helsinki_pbf.read_bytes())
        if content is not None:
            (tmp_path / name).write_bytes(content)
        again = ["prepare", "loc2vec", "--osm", tmp_path / name, "--out", tmp_path / "data", "-q", "--force"]
        refused(nursery.run(*again), name)
        assert of_dataset(tmp_path / "data") == before
        assert leftovers(tmp_path) == []
    wrong = ["--bbox", "14,35,15,36"], ["--zoom", "40"], ["--layers", "no.toml"], ["--places", "no.csv"]
    for options in wrong:
        refused(nursery.run("prepare", "loc2vec", *PLACES, "--out", tmp_path / "data", "--force", *options))
        assert of_dataset(tmp_path / "data") == before


def test_in_a_process_of_its_own(helsinki_pbf: Path, tmp_path: Path) -> None:
    """What the shell sees: exit code 1, one line on standard error, nothing on standard output, no directory."""
    (tmp_path / "cut.osm.pbf").write_bytes(spoiled("truncated.osm.pbf", helsinki_pbf.read_bytes()) or b"")
    ended = fresh("info", "cut.osm.pbf", folder=tmp_path)
    refused(ended, "cut.osm.pbf", "truncated")
    assert ended.out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["cut.osm.pbf"]


# --- areas and options ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--bbox", "14,35,15,36"], ("outside Helsinki", "24.9352")),
        (["--bbox", "24.94,60.18,24.95,60.17"], ("upside down",)),
        (["--bbox", "60.16,24.93,60.17,24.96"], ("outside",)),
        (["--bbox", "24.94,60.16,24.94,60.17"], ("empty",)),
        (["--bbox", "nan,60,25,61"], ("not a finite number",)),
        (["--bbox", "20,60,300,61"], ("is out of range",)),
        (["--bbox", "179,-17,-179,-16"], ("outside",)),
        (["--bbox", "24,60,25,61", "--polygon", "x.geojson"], ("not both",)),
        (["--polygon", "x.geojson"], ("x.geojson",)),
        (["--zoom", "-1"], ("zoom -1",)),
        (["--zoom", "23"], ("zoom 23",)),
        (["--spacing", "0"], ("spacing",)),
        (["--spacing", "nan"], ("spacing",)),
        (["--spacing", "-5"], ("spacing",)),
        (["--size-m", "nan"], ("size",)),
    ],
)
def test_impossible_areas_and_options(
    nursery: Nursery, tmp_path: Path, options: list[str], words: tuple[str, ...]
) -> None:
    ended = nursery.run(
        "prepare", "loc2vec", "--osm-name", "helsinki-center", "-q", "--out", tmp_path / "out", *options
    )
    refused(ended, *words)
    assert not (tmp_path / "out").exists()


def test_unknown_recipes_and_layers(
    nursery: Nursery, helsinki_dataset: Dataset, quick_run: Path, tmp_path: Path
) -> None:
    train = ["train", "loc2vec", helsinki_dataset.path, "--out", tmp_path / "run", "-q"]
    refused(nursery.run(*train, "--drop-layers", "lava"), "lava", "buildings")
    misspelled = nursery.run("train", "loc2vek", *train[2:])
    assert misspelled.code == 2  # wrong usage
    assert "did you mean 'loc2vec'" in misspelled.err
    assert len(misspelled.err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
    before = sorted((path, path.stat().st_mtime_ns) for path in quick_run.rglob("*"))
    for options in (
        ["--drop-layers", "lava"],
        ["--near-m", "500"],
        ["--device", "cuda" if not cuda() else "mps"],
    ):
        refused(nursery.run(*train[:3], "--out", quick_run, "-q", "--force", *options))
        assert sorted((path, path.stat().st_mtime_ns) for path in quick_run.rglob("*")) == before


def cuda() -> bool:
    import torch

    return torch.cuda.is_available()


# --- the antimeridian ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fiji(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Houses and a road of 100 m on both sides of the 180th meridian; the file states no bounds."""
    file = OsmFile()
    for step in range(-8, 8):
        lon = 180.0 + step * 0.001 if step < 0 else -180.0 + step * 0.001
        file.way(
            box(lon + 0.0002, -16.8, lon + 0.0006, -16.7996), {"building": "yes", "name": f"house {step}"}
        )
    file.way([(179.995, -16.801), (179.999, -16.801)], {"highway": "residential"})
    return file.write(tmp_path_factory.mktemp("fiji") / "fiji.osm")


@pytest.mark.parametrize("options", [[], ["--bbox", "179.99,-16.81,-179.99,-16.79"]])
def test_across_the_antimeridian_every_step_works(
    nursery: Nursery, fiji: Path, options: list[str], tmp_path: Path
) -> None:
    """Oracle: the sixteen houses lie on both sides; the grid's places do too, and neighbors are found across."""
    data, run, table = tmp_path / "data", tmp_path / "run", tmp_path / "e.parquet"
    made = nursery.run(
        "prepare", "loc2vec", "--osm", fiji, "--out", data, "--spacing", 50, "--size-m", 60, "-q", *options
    )
    assert made.code == 0, made.err
    dataset = Dataset.open(data)
    assert dataset.area.crosses_antimeridian
    assert dataset.area.east - dataset.area.west < -359
    assert {lon > 0 for lon in dataset.lonlat[:, 0]} == {True, False}
    assert len(dataset) < 500
    for command in (
        ()
        if options
        else (
            ["train", "loc2vec", data, "--out", run, "-q", *SHORT],
            ["embed", run, data, "-o", table, "-q"],
            ["explore", table, "--html", tmp_path / "page.html", "--projections", "pca", "-q"],
            ["search", table, "--lon", "-179.9995", "--lat", "-16.7998", "-k", "60"],
            ["info", data],
        )
    ):  # once: the two datasets are of one kind
        ended = nursery.run(*command)
        assert ended.code == 0, ended.err
