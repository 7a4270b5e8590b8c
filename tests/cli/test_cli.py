"""The command line as a user meets it: one clear line, the right exit code, JSON for scripts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from placevec.cli import main
from placevec.datasets.dataset import Dataset
from placevec.io.progress import printable
from tests.cli.commands import commands


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def call_json(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    code, out, err = call(capsys, *arguments, "--json")
    assert code == 0, err
    return json.loads(out)


def test_help_explains(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "--help")
    assert code == 0
    for verb in ("demo", "prepare", "train", "embed", "evaluate", "search", "explore", "info", "doctor"):
        assert verb in out
    for words in commands():
        code, out, _ = call(capsys, *words.split(), "--help")
        assert code == 0
        assert out.startswith(f"Usage: placevec {words}")
    assert "loc2vec" in call(capsys, "prepare", "--help")[1]
    assert "For example" in call(capsys, "prepare", "loc2vec", "--help")[1]
    assert call(capsys, "--version")[1].startswith("placevec 0.")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["prepare", "loc2vek", "--osm-name", "helsinki-center", "--out", "X"], 2, "did you mean 'loc2vec'"),
        (["prepare", "loc2vec", "--osm", "missing.osm.pbf", "--out", "X"], 1, "missing.osm.pbf"),
        (
            ["prepare", "loc2vec", "--osm-name", "helsinki-center", "--out", "X", "--bbox", "1,2,3"],
            2,
            "four numbers",
        ),
        (
            [
                "prepare",
                "loc2vec",
                "--osm-name",
                "helsinki-center",
                "--out",
                "X",
                "--bbox",
                "24.95,60.16,24.94,60.18",
            ],
            2,
            "did you mean 24.94,60.16,24.95,60.18?",
        ),
        (
            ["prepare", "loc2vec", "--osm-name", "helsinki-center", "--out", "X", "--bbox", "14,35,15,36"],
            1,
            "outside",
        ),
        (["prepare", "loc2vec", "--osm-name", "helsinki-center", "--out", "X", "--zoom", "40"], 2, "zoom 40"),
        (
            [
                "prepare",
                "loc2vec",
                "--osm-name",
                "helsinki-center",
                "--out",
                "X",
                "--bbox",
                "60.17,24.94,60.18,24.95",
            ],
            1,
            "are longitude and latitude swapped?",
        ),
        (
            [
                "prepare",
                "loc2vec",
                "--tiles",
                "http://localhost/{z}/{x}/{y}.png",
                "--out",
                "X",
                "--bbox",
                "25,60,24,61",
            ],
            2,
            "did you mean 24,60,25,61?",
        ),
        (
            ["prepare", "loc2vec", "--osm", "a.pbf", "--out", "X", "--spacing", "-5"],
            2,
            "--spacing must be a number",
        ),
        (
            ["prepare", "loc2vec", "--osm-name", "helsinki-center", "--out", "X", "--layers", "no.toml"],
            1,
            "no.toml",
        ),
        (["prepare", "loc2vec", "--out", "X"], 1, "--osm"),
        (["prepare", "loc2vec"], 2, "--out"),
        (["train", "loc2vec", "nowhere", "--out", "X"], 1, "not a placevec dataset"),
        (["train", "loc2vec", "nowhere", "--out", "X", "--objective", "magic"], 2, "objective 'magic'"),
        (
            ["train", "loc2vec", "nowhere", "--out", "X", "--encoder", "nosuch"],
            2,
            "choose from shape-tile-cnn",
        ),
        (
            ["train", "loc2vec", "nowhere", "--out", "X", "--epochs", "0"],
            2,
            "--epochs must be an integer",
        ),
        (["train", "loc2vec", "nowhere", "--out", "X", "--near-m", "500"], 2, "must be less than --far-m"),
        (
            ["train", "loc2vec", "nowhere", "--out", "X", "--dim", "0"],
            2,
            "--dim must be an integer of at least 1",
        ),
        (["train", "loc2vec", "nowhere", "--out", "X", "--config", "no.toml"], 1, "no.toml"),
        (["embed", "nowhere", "nowhere", "-o", "x.parquet"], 1, "give a run, a model directory"),
        (["embed", "nowhere", "nowhere", "-o", "x.parquet", "--dtype", "int4"], 2, "int4"),
        (["embed", "nowhere", "nowhere", "-o", "x.csv"], 2, "must end in .parquet"),
        (["embed", "runs/a", "-o", "x.parquet"], 2, "expected 2 directories"),
        (["embed", "nowhere", "nowhere"], 2, "--out"),
        (["embed", "nowhere", "-o", "x.parquet"], 2, "expected 2 directories, got 1"),
        (["embed", "--model", "base", "a", "b", "-o", "x.parquet"], 2, "expected 1 directory, got 2"),
        (["train", "loc2vek", "nowhere", "--out", "X"], 2, "did you mean 'loc2vec'"),
        (["demo", "--test-only", "--train-only"], 2, "choose one of"),
        (["demo", "--visualize-only", "--force"], 2, "--force would remove it"),
        (["demo", "--visualize-only"], 1, "run without --visualize-only first"),
        (["demo", "--osm", "a.osm.pbf", "--tile-folder", "b"], 2, "give only one source"),
        (["demo", "--tile-folder", "missing"], 1, "missing"),
        (["demo", "--osm", "missing.osm.pbf"], 1, "missing.osm.pbf"),
        (["search", "nowhere.parquet", "--lon", "1"], 2, "--lon and --lat"),
        (["search", "nowhere.parquet"], 2, "give exactly one query"),
        (["search", "nowhere.parquet", "--place", "a"], 1, "nowhere.parquet"),
        (["info", "nowhere"], 1, "does not exist"),
        (["fly"], 2, "unknown command 'fly'"),
        (
            ["train", "loc2vec", "x", "--out", "y", "--epoch", "3"],
            2,
            "no option --epoch; did you mean --epochs?",
        ),
        (["train", "loc2vec", "--resume", "--out", "y"], 2, "DATASET is missing"),
        (
            ["train", "--resume", "loc2vec", "x", "--out", "y"],
            2,
            "a recipe is missing: placevec train RECIPE",
        ),
        (["train", "loc2vec", "x", "--resume-from", "--out", "y"], 2, "--resume-from needs a value"),
        (
            ["train", "sphere2vec", "x", "--out", "y", "--near-m", "5"],
            2,
            "train loc2vec, not of train sphere2vec",
        ),
        (
            ["prepare", "loc2vec", "--near-m", "5", "--out", "y"],
            2,
            "an option of train loc2vec, not of prepare loc2vec",
        ),
        (["search", "a.parquet", "--metric", "cosin"], 2, "did you mean 'cosine'"),
        (["search", "a.parquet", "-k", "0"], 2, "--k must be an integer of at least 1"),
        (["search", "a.parquet", "--lon", "east"], 2, "--lon must be a number"),
        (["info", "a", "b"], 2, "unexpected argument 'b'"),
        (["cluster", "a.parquet", "-o", "b.csv", "-o", "c.csv"], 2, "is given twice"),
        (["--versio"], 2, "--versio"),
    ],
)
def test_bad_input_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    arguments: list[str], code: int, message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    ended, out, err = call(capsys, *arguments)
    assert ended == code
    assert message in err
    notes, _, last = err.strip().rpartition("\n")
    assert all(note.startswith("Note: ") for note in notes.splitlines())
    assert last.startswith("placevec: ")
    assert "Traceback" not in err + out
    assert not (tmp_path / "X" / "dataset.json").exists()


def test_a_box_over_the_antimeridian_is_said(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Fiji's box is one, and is read as one; it lies outside of Helsinki whichever way it is read."""
    given = ["prepare", "loc2vec", "--osm-name", "helsinki-center", "--out", tmp_path / "x"]
    code, _, err = call(capsys, *given, "--bbox", "177,-20,-179,-16")
    assert code == 1
    assert "crosses the antimeridian" in err
    assert "outside Helsinki center" in err


def test_pickles_are_never_opened(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, helsinki_dataset: Dataset
) -> None:
    """A checkpoint whose unpickling would leave a trace leaves none."""
    trace = tmp_path / "trace"
    program = f"import pathlib; pathlib.Path({str(trace)!r}).touch()"
    (tmp_path / "evil.pt").write_bytes(b"c__builtin__\nexec\n(V" + program.encode() + b"\ntR.")
    code, _, err = call(
        capsys, "embed", tmp_path / "evil.pt", helsinki_dataset.path, "-o", tmp_path / "x.parquet"
    )
    assert code == 1
    assert "pickle" in err
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes((tmp_path / "evil.pt").read_bytes())
    assert call(capsys, "embed", folder, helsinki_dataset.path, "-o", tmp_path / "x.parquet")[0] == 1
    assert not trace.exists()


def test_steps_one_after_the_other(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    helsinki_dataset: Dataset,
    helsinki_run: Path,
    helsinki_table: Path,
) -> None:
    info = call_json(capsys, "info", helsinki_dataset.path)
    assert info["is"] == "dataset"
    assert info["places"] == len(helsinki_dataset)
    model = call_json(capsys, "info", helsinki_run)
    assert model["is"] == "model"
    assert model["layers left out"] == ["landcover", "natural-features", "leisure", "amenities"]
    assert len(model["map layers"]) == 8
    table = call_json(capsys, "info", helsinki_table)
    assert table["model_hash"] == model["hash"]
    assert table["dataset_hash"] == info["hash"]
    found = call_json(capsys, "search", helsinki_table, "--lon", "24.9414", "--lat", "60.1719", "-k", "3")
    assert found["query"]["embedded_afresh"]
    assert [row["rank"] for row in found["results"]] == [1, 2, 3]
    text = call(
        capsys,
        "search",
        helsinki_table,
        "--place",
        found["results"][0]["place_id"],
        "--csv",
        tmp_path / "r.csv",
    )[1]
    assert found["results"][0]["place_id"] in text
    assert len((tmp_path / "r.csv").read_text().splitlines()) == 11
    code, _, err = call(capsys, "train", "loc2vec", helsinki_dataset.path, "--out", helsinki_run)
    assert code == 1
    assert "--resume" in err


def test_underscores_are_dashes(capsys: pytest.CaptureFixture[str], helsinki_table: Path) -> None:
    found = call_json(
        capsys, "search", helsinki_table, "--lon=24.9414", "--lat=60.1719", "--min_distance_m=200"
    )
    assert len(found["results"]) == 10


def test_a_checkpoint_is_no_dataset(
    capsys: pytest.CaptureFixture[str], helsinki_dataset: Dataset, helsinki_run: Path, tmp_path: Path
) -> None:
    """As whoever writes ``--resume CHECKPOINT`` by habit finds out."""
    given = ["train", "loc2vec", helsinki_dataset.path, "--resume", helsinki_run, "--out", tmp_path / "x"]
    code, _, err = call(capsys, *given)
    assert code == 1
    assert f"--resume-from {helsinki_run}" in err


def test_names_cannot_disturb_the_terminal() -> None:
    hostile = "\x1b]0;title\x07<b>\u202egnp.exe\u2066\nline"
    assert printable(hostile) == "?]0;title?<b>?gnp.exe??line"


def test_a_process_of_its_own(tmp_path: Path) -> None:
    """The installed command: exit codes reach the shell, and importing stays light."""
    command = str(Path(sys.executable).with_name("placevec"))
    done = subprocess.run([command, "info", str(tmp_path / "no")], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("placevec: ")
    environment = {**os.environ, "PLACEVEC_DEBUG": "1"}
    told = subprocess.run(
        [command, "info", str(tmp_path / "no")], capture_output=True, text=True, env=environment
    )
    assert "Traceback" in told.stderr
    heavy = (
        "import sys, placevec, placevec.cli.app as app; app.build_app();"
        "print([name for name in ('torch', 'pandas', 'numpy', 'cv2') if name in sys.modules])"
    )
    light = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)
    assert light.stdout.strip() == "[]"


def test_doctor(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The network is asked only on request; oracle: an address where nothing listens."""
    from placevec.cli import doctor

    monkeypatch.setattr(doctor, "REACHED", ("http://127.0.0.1:1/",))
    assert doctor.examine(network=True)["network"] == {"127.0.0.1": "does not answer: ConnectError"}
    facts = call_json(capsys, "doctor")
    assert facts["problems"] == []
    assert "network" not in facts
    assert facts["packages"]["torch"].startswith("2.")
