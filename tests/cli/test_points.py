"""Labeled points at the command line: what is said, exit codes, JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_cli import call, call_json
from tests.sources.benchmarks import layout_files as geo_prior_files

ROWS = "".join(f"{row},{row % 7},{'ab'[row % 2]},u{row % 3}\n" for row in range(30))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "sightings.csv"
    path.write_text(f"lon,lat,species,who\n{ROWS},,a,u1\n0,0,a,u0\n")
    return path


def test_prepare_info_validate(capsys: pytest.CaptureFixture[str], table: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    asked = [
        "prepare",
        "sphere2vec",
        table,
        "--label",
        "species",
        "--user",
        "who",
        "--attribution",
        "Me, 2026",
        "--out",
        data,
    ]
    code, out, err = call(capsys, *asked, "-q")
    assert (code, err) == (0, "")
    for words in (
        "30 places of 32 rows", "Left out: 1 row, no coordinates", "1 row, duplicates of an earlier row; "
        "--keep-duplicates",
        "Kind: 2 classes: text, such as 'a'", "(by rows at random)", "Users: 3", "Data: Me, 2026",
    ):  # fmt: skip
        assert words in out
    code, _, err = call(capsys, *asked)
    assert code == 0
    assert "Reusing" in err
    code, _, err = call(capsys, *asked, "--kind", "classes")
    assert code == 1
    assert '--kind was "auto" and is "classes" now' in err
    code, out, _ = call(capsys, "info", data)
    assert code == 0
    assert "2 classes" in out
    assert call_json(capsys, "info", data)["views"] == ["coordinates"]
    found = call_json(capsys, "validate", data)
    assert found["labels"]["kind"] == "2 classes"
    assert sum(int(found["labels"][side]) for side in ("train", "validation", "test")) == 30
    assert found["batch"] == {"coordinates": [4, 2]}
    made = call_json(
        capsys, "prepare", "sphere2vec", "--points", table, "--label", "species", "--out", tmp_path / "2"
    )
    assert made["labels"]["classes"] == ["a", "b"]


def test_layouts(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    geo_prior_files.inat(tmp_path / "inat", 2018)
    code, out, _ = call(
        capsys,
        "prepare",
        "sphere2vec",
        "--layout",
        "inat2018",
        "--folder",
        tmp_path / "inat",
        "--out",
        tmp_path / "data",
    )
    assert code == 0
    assert "Image predictions: validation" in out
    assert "1 places have no coordinates" in out
    assert "iNaturalist 2018" in out
    found = call_json(capsys, "validate", tmp_path / "data")
    assert found["labels"]["validation image predictions"] == "3 x 4"
    assert found["usable"]
    assert "not in the training set: 1, such as 'kea'" in found["notes"][0]


def test_wrong_usage(capsys: pytest.CaptureFixture[str], table: Path, tmp_path: Path) -> None:
    for arguments, words in (
        (["prepare", "sphere2vec"], "give a table of points"),
        (["prepare", "sphere2vec", table, "--points", table], "not both"),
        (
            ["prepare", "sphere2vec", table, "--zoom", "12"],
            "--zoom is an option of prepare loc2vec",
        ),
        (["prepare", "loc2vec", table], "unexpected argument"),
        (
            ["prepare", "sphere2vec", table, "--label", "species", "--kind", "color"],
            "--kind 'color' is unknown",
        ),
    ):
        code, _, err = call(capsys, *arguments, "--out", tmp_path / "x")
        assert (code, words in err) == (2, True), err
        assert not (tmp_path / "x").exists()


def test_bad_input_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("lon,lat,s\n60,24,a\n-16,-179,b\n")
    code, out, err = call(
        capsys, "prepare", "sphere2vec", tmp_path / "bad.csv", "--label", "s", "--out", tmp_path / "x", "-q"
    )
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert "look swapped" in err


def test_hostile_names_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Classes and columns are text of others: control characters and changes of direction are not printed."""
    bad = "\x1b[31mred\u202e"
    rows = "".join(f"{row},{row},{'b' if row % 2 else bad}\n" for row in range(8))
    (tmp_path / "p.csv").write_text(f"lon,lat,{bad}\n{rows}")
    code, out, err = call(
        capsys, "prepare", "sphere2vec", tmp_path / "p.csv", "--label", bad, "--out", tmp_path / "x"
    )
    assert code == 0
    shown = out + err
    for verb in ("info", "validate"):
        code, out, err = call(capsys, verb, tmp_path / "x")
        assert code == 0
        shown += out + err
    assert "\x1b[31m" not in shown
    assert "\u202e" not in shown
    assert json.loads((tmp_path / "x" / "dataset.json").read_text())["labels"]["classes"] == sorted(
        [bad, "b"]
    )


def test_the_extent_shows_swapped_coordinates(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """European coordinates are on Earth either way round; oracle: the corners that were written."""
    rows = "".join(f"{35 + row},{-10 + row},{'ab'[row % 2]}\n" for row in range(36))
    (tmp_path / "p.csv").write_text(f"lon,lat,s\n{rows}")
    code, out, _ = call(
        capsys, "prepare", "sphere2vec", tmp_path / "p.csv", "--label", "s", "--out", tmp_path / "d", "-q"
    )
    assert code == 0
    assert "Extent: longitude 35 to 70, latitude -10 to 25\n" in out


def test_what_the_summary_of_a_table_says(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A class with a comma is told from two classes, and a credit that is missing names its option."""
    rows = "".join(
        f"{row},{row},{('spruce', chr(34) + 'oak, holm' + chr(34))[row % 3 == 0]}\n" for row in range(9)
    )
    (tmp_path / "p.csv").write_text(f"lon,lat,s\n{rows}")
    code, out, _ = call(
        capsys, "prepare", "sphere2vec", tmp_path / "p.csv", "--label", "s", "--out", tmp_path / "d", "-q"
    )
    assert code == 0
    assert 'Largest: spruce 6, "oak, holm" 3\n' in out
    assert "Data: unknown: the table names no source; set it with --attribution" in out


def test_a_table_of_eight_rows_is_trained(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """One place validates, in a batch of one; the note says so, and which pass was kept is said."""
    rows = "".join(f"{20 + row},{60 + row % 3},{row / 4}\n" for row in range(8))
    (tmp_path / "p.csv").write_text(f"lon,lat,t\n{rows}")
    data, run = tmp_path / "d", tmp_path / "r"
    assert call(capsys, "prepare", "sphere2vec", tmp_path / "p.csv", "--label", "t", "--out", data)[0] == 0
    code, out, err = call(
        capsys, "train", "sphere2vec", data, "--out", run, "--epochs", 2, "--device", "cpu", "--hidden", 8,
        "--dim", 4, "--projector", 0,
    )  # fmt: skip
    assert code == 0, err
    assert "only 1 of 6 places is in the validation set" in err
    assert "prepare more places" in err
    assert "Kept: epoch " in out
    assert "of 2, with the lowest validation loss" in out


def test_doors_that_are_wrong(capsys: pytest.CaptureFixture[str], table: Path, tmp_path: Path) -> None:
    """One line that says what lies there and what to do, and nothing is written."""
    for arguments, words in (
        (
            ["train", "sphere2vec", table, "--out", tmp_path / "x"],
            f"prepare it first, with placevec prepare sphere2vec {table} --label COLUMN --out DATASET",
        ),
        (
            ["train", "sphere2vec", table, "--encoder", "all", "--out", tmp_path / "x"],
            "is a file, not a dataset",
        ),
        (["evaluate", tmp_path / "runs" / "nothere"], "give a table of vectors, a run or a model"),
    ):
        code, out, err = call(capsys, *arguments)
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert words in err
        assert not (tmp_path / "x").exists()


@pytest.mark.usefixtures("small_probes")
def test_vectors_of_a_table_are_not_evaluated(
    capsys: pytest.CaptureFixture[str], table: Path, tmp_path: Path
) -> None:
    """`evaluate` says whose vectors it judges, with the dataset of the same table named or not; theirs it takes."""
    data, run, made = tmp_path / "d", tmp_path / "r", tmp_path / "e.parquet"
    prepared = ["prepare", "sphere2vec", table, "--label", "species", "--out", data, "-q"]
    trained = [
        "train", "sphere2vec", data, "--out", run, "--epochs", 1, "--hidden", 8, "--dim", 4, "--projector", 0, "-q",
    ]  # fmt: skip
    for arguments in (prepared, trained, ["embed", run, table, "-o", made, "-q"]):
        assert call(capsys, *arguments)[0] == 0
    for further in ([], ["--dataset", data]):
        code, _, err = call(capsys, "evaluate", made, *further)
        assert code == 1
        assert "come from a table of points" in err
        assert f"placevec embed {run} DATASET -o E.parquet" in err
    assert call(capsys, "embed", run, data, "-o", made, "-q")[0] == 0
    assert "table of points" not in call(capsys, "evaluate", made, "-q")[2]
