"""``cluster`` and ``explore`` as a user meets them: what is written, what is said, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from placevec import api
from placevec.cli import main
from placevec.embeddings import Embeddings, Provenance
from placevec.errors import InputError


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty places of three kinds whose dataset is not at hand."""
    random = np.random.default_rng(0)
    names = np.array([None] * 40, object)
    names[:2] = ["[bold]Plaza[/bold]\x1b[31m", "=cmd"]
    emb = Embeddings(
        np.array([f"p{i}" for i in range(40)], object),
        np.eye(6)[np.arange(40) % 3] + random.normal(scale=0.1, size=(40, 6)),
        np.stack([random.uniform(24, 25, 40), random.uniform(60, 61, 40)], axis=1),
        np.full(40, None, object), names, "map", Provenance("a" * 8, "b" * 8, attribution="© Somebody"),
    )  # fmt: skip
    path = tmp_path_factory.mktemp("table") / "e.parquet"
    emb.save(path)
    return path


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_clusters_are_printed_and_colored_by(
    capsys: pytest.CaptureFixture[str], table: Path, tmp_path: Path
) -> None:
    code, out, _ = call(capsys, "cluster", table, "-o", tmp_path / "c.csv")
    assert code == 0
    assert "medoid" in out
    assert "the best of 2 to 20 clusters" in out
    assert "\x1b[31m" not in out
    code, out, _ = call(capsys, "cluster", table, "-o", tmp_path / "c.parquet", "--clusters", 3, "--json")
    told = json.loads(out)
    assert (told["places"], told["noise"], [one["places"] for one in told["clusters"]]) == (
        40,
        0,
        [14, 13, 13],
    )
    code, out, _ = call(
        capsys, "explore", table, "--map", tmp_path / "map", "--html", tmp_path / "page.html",
        "--columns", tmp_path / "c.parquet", "--max-places", 30,
    )  # fmt: skip
    assert code == 0
    for said in ("there is no map", "30 of 40 places are drawn", "all 6 dimensions", "the column cluster"):
        assert said in out
    assert {path.name for path in (tmp_path / "map").iterdir()} == {
        "embeddings_map.html",
        "embeddings.geojson",
    }
    assert (tmp_path / "page.html").exists()
    code, out, err = call(
        capsys,
        "explore",
        table,
        "--html",
        tmp_path / "page.html",
        "--max-places",
        30,
        "--clusters",
        3,
        "--quiet",
    )
    assert (code, err) == (0, "")
    assert "Note" not in out
    assert out.startswith(str(tmp_path / "page.html"))


def test_explore_as_json(capsys: pytest.CaptureFixture[str], table: Path, tmp_path: Path) -> None:
    code, out, _ = call(
        capsys, "explore", table, "--map", tmp_path / "map", "--png", tmp_path / "png", "--projections", "pca",
        "--clusters", 3, "--json",
    )  # fmt: skip
    assert code == 0
    told = json.loads(out)
    assert set(told) == {"map", "png"}
    assert (told["map"]["clusters"], told["map"]["dimensions"], told["map"]["page"]["places_drawn"]) == (
        3,
        6,
        40,
    )
    assert all((Path(told["png"]["folder"]) / name).stat().st_size > 10_000 for name in told["png"]["files"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["explore", "{table}"], "choose what to write"),
        (["explore", "{table}", "--png", "{out}", "--projections", "som"], "'som' is unknown"),
        (["explore", "{table}", "--map", "{out}", "--method", "som"], "som"),
        (["explore", "{table}", "--map", "{table}"], "is a file"),
        (["explore", "{table}", "--html", "p.html", "--method", "tsne"], "--method applies only to --map"),
        (
            ["explore", "{table}", "--map", "{out}", "--projections", "umap"],
            "--projections applies only to --png",
        ),
        (["explore", "{table}", "--map", "{out}", "--clusters", "41"], "1 to 40"),
        (["cluster", "{table}", "-o", "c.shp"], "unsupported format c.shp"),
        (["cluster", "{table}", "-o", "c.csv", "--clusters", "41"], "1 to 40"),
        (
            ["cluster", "{table}", "-o", "c.csv", "--method", "hdbscan", "--clusters", "2"],
            "--clusters applies to kmeans",
        ),
        (["cluster", "nowhere.parquet", "-o", "c.csv"], "nowhere.parquet"),
    ],
)
def test_bad_input_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, table: Path, tmp_path: Path,
    arguments: list[str], message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    filled = [one.format(table=table, out=tmp_path / "out") for one in arguments]
    code, out, err = call(capsys, *filled, "--quiet")
    assert code in (1, 2)
    assert (out, len(err.splitlines())) == ("", 1)
    assert message in err
    assert list(tmp_path.iterdir()) == []


def test_python_says_the_same(table: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="choose what to write"):
        api.explore(table)
    written = api.explore(table, tmp_path / "page.html")
    assert written.page is not None
    assert (written.map, written.plots) == (None, None)
    found = api.cluster(table, clusters=3, out=tmp_path / "c.geojson")
    assert len(found) == 3
    assert json.loads((tmp_path / "c.geojson").read_text("utf-8"))["attribution"] == "© Somebody"
