"""Tables of places that are wrong: refused in one line that names the row, before the extract is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from placevec.datasets.dataset import Dataset
from tests.robustness import jobs
from tests.robustness.commands import Nursery, refused

HERE = "24.94,60.17"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", ("is empty",)),
        ("place_id,lon,lat\n", ("no rows",)),
        ("place_id,lon,lat\na,60.17,24.94\nb,60.171,24.95\n", ("swapped",)),
        ("place_id,lon,lat\na,60.17,124.94\n", ("not on Earth", "swapped")),
        (f"place_id,lon,lat\na,{HERE}\na,{HERE}\n", ("'a' occurs more than once",)),
        (f"id,lon,lat\n7,{HERE}\n7,{HERE}\n", ("'7' occurs more than once",)),
        (f"place_id,lon,lat\n,{HERE}\n,{HERE}\n", ("row 1 has no place_id",)),
        ("name,where\na,b\n", ("neither a geometry nor lon and lat", "name, where")),
        (f"place_id,lon,lat\n\"a,{HERE}\",1,2,3\n", ("1 of 1 rows have a different number of cells",)),
        ("\x00\x01\x02", ("places.csv",)),
    ],
)  # fmt: skip
def test_bad_tables(nursery: Nursery, tmp_path: Path, content: str, words: tuple[str, ...]) -> None:
    table, out = tmp_path / "places.csv", tmp_path / "out"
    table.write_text(content)
    refused(nursery.run("prepare", "loc2vec", *jobs.PLACES, "--places", table, "--out", out), *words)
    assert not out.exists()


def test_tables_that_are_none(nursery: Nursery, tmp_path: Path) -> None:
    for name, content in (
        ("none.csv", None), ("empty.parquet", b""), ("text.parquet", b"no table"), ("text.geojson", b"{no json"),
        ("cyrillic.csv", "place_id,lon,lat\nМосква,24.94,60.17\n".encode("cp1251")), ("table.xyz", b"1 2 3"),
    ):  # fmt: skip
        if content is not None:
            (tmp_path / name).write_bytes(content)
        command = ["prepare", "loc2vec", *jobs.PLACES, "--places", tmp_path / name, "--out", tmp_path / "out"]
        refused(nursery.run(*command), name)
        assert not (tmp_path / "out").exists()


def test_places_without_coordinates_are_kept_and_said(
    nursery: Nursery, quick_run: Path, tmp_path: Path
) -> None:
    """NaN, empty, words and infinities are no coordinates: such places stay in the dataset and get no vector."""
    table, data, out = tmp_path / "places.csv", tmp_path / "data", tmp_path / "e.parquet"
    table.write_text(
        f"place_id,lon,lat\na,{HERE}\nb,nan,60.17\nc,,\nd,east,north\ne,inf,60.17\nf,24.945,60.171\n"
    )
    small = ["--size-m", "120", "--places", table, "--out", data]
    made = nursery.run("prepare", "loc2vec", "--osm-name", "helsinki-center", "-q", *small)
    assert made.code == 0, made.err
    assert len(Dataset.open(data)) == 6
    notes = Dataset.open(data).manifest["report"]["notes"]
    assert any("row 4, column 'lon': 'east'" in note for note in notes)
    assert any("4 of 6 places have no coordinates" in note for note in notes)
    ended = nursery.run("embed", quick_run, data, "-o", out)
    assert ended.code == 0, ended.err
    assert "4 places without coordinates are left out" in ended.err
    assert '"count": 2' in nursery.run("info", out, "--json").out


def test_no_place_has_coordinates(nursery: Nursery, quick_run: Path, options: Path, tmp_path: Path) -> None:
    """A dataset of such places is one; what needs coordinates says so."""
    table, data = tmp_path / "places.csv", tmp_path / "data"
    table.write_text("place_id,lon,lat\na,nan,nan\nb,,\n")
    made = nursery.run(
        "prepare", "loc2vec", "--osm-name", "helsinki-center", "-q", "--places", table, "--out", data
    )
    if made.code:
        refused(made, "places.csv")
        return
    refused(nursery.run("embed", quick_run, data, "-o", tmp_path / "e.parquet"), "has data in the views")
    train = ["train", "loc2vec", data, "--config", options, "-q", "--out", tmp_path / "run"]
    refused(nursery.run(*train), "needs coordinates")
    assert nursery.run("info", data).code == 0
    assert not (tmp_path / "run").exists()
