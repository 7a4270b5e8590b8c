"""Labelled points at the command line: what is said, exit codes, JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_cli import call, call_json
from tests.sources import geo_prior_files

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
        "30 places of 32 rows", "Left out: 1 rows, no coordinates", "1 rows, repeats an earlier row; --keep-repeats",
        "Kind: 2 classes: texts, such as 'a'", "(by rows at random)", "Users: 3", "Data: Me, 2026",
        f"Next: placevec train sphere2vec {data} --out RUN", "lie at lon=0, lat=0",
    ):  # fmt: skip
        assert words in out
    code, _, err = call(capsys, *asked)
    assert code == 0
    assert "Reusing" in err
    code, _, err = call(capsys, *asked, "--kind", "classes")
    assert code == 1
    assert "kind differs" in err
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
    assert "never trained on, such as 'kea'" in found["notes"][0]


def test_wrong_usage(capsys: pytest.CaptureFixture[str], table: Path, tmp_path: Path) -> None:
    for arguments, words in (
        (["prepare", "sphere2vec"], "name a table of points"),
        (["prepare", "sphere2vec", table, "--points", table], "not both"),
        (["prepare", "sphere2vec", table, "--zoom", "12"], "--zoom means nothing to prepare sphere2vec"),
        (["prepare", "loc2vec", table], "--points means nothing to prepare loc2vec"),
        (["prepare", "sphere2vec", table, "--label", "species", "--kind", "colour"], "--kind is auto"),
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
