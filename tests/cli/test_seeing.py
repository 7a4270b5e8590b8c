"""``cluster`` and ``explore`` as a user meets them: what is written, what is said, and what is refused."""

from __future__ import annotations

import html
import json
from pathlib import Path

import numpy as np
import pytest

from placevec import api
from placevec.cli import main
from placevec.embeddings import Embeddings, Provenance


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
    assert "the best for 2 to 20 clusters" in out
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
            "--projections applies only to --html, --dashboard, --png and --serve",
        ),
        (["explore", "{table}", "{table}", "--map", "{out}"], "take one table and one --view"),
        (["explore", "{table}", "--html", "p.html", "--views", "text"], "no vectors of view 'text'"),
        (
            ["explore", "{table}", "--html", "p.html", "--view", "map", "--views", "all"],
            "give only one of the two",
        ),
        (
            ["export", "{table}"],
            "--projector DIR, --atlas FILE, --partitions PLACE, --stac DIR, --cog FILE and",
        ),
        (["export", "{table}", "--csv", "c.csv"], "--projector, --atlas, --partitions, --stac, --cog or"),
        (["export", "{table}", "--selection", "{table}"], "add --out FILE"),
        (["export", "{table}", "--selection", "{table}", "--out", "x.shp"], "unsupported format x.shp"),
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
    written = api.explore(table, tmp_path / "page.html")
    assert written.page is not None
    assert (written.map, written.plots, written.shown) == (None, None, None)
    assert written.page.projections == ("pca", "tsne")
    page = (tmp_path / "page.html").read_text("utf-8")
    assert html.escape(page) in str(written._repr_html_())
    inline = api.explore(table, projections=["pca"])
    frame = str(inline._repr_html_())
    assert 'sandbox="allow-scripts allow-downloads"' in frame
    assert "<script" not in frame
    assert inline.page is None
    found = api.cluster(table, clusters=3, out=tmp_path / "c.geojson")
    assert len(found) == 3
    assert json.loads((tmp_path / "c.geojson").read_text("utf-8"))["attribution"] == "© Somebody"


def test_tables_side_by_side_and_in_a_dashboard(
    capsys: pytest.CaptureFixture[str], table: Path, tmp_path: Path
) -> None:
    """The second table lacks places of the first and has one of its own; a third has no place in common with either."""
    first = api.load_embeddings(table).of()
    other, far = first[10:][::-1], first[:5]
    other.place_id[0], far.place_id[:] = "elsewhere", [f"far-{n}" for n in range(5)]
    other.save(tmp_path / "<b>other.parquet")
    far.save(tmp_path / "far.parquet")
    tables = [table, tmp_path / "<b>other.parquet"]
    code, out, _ = call(capsys, "explore", *tables, "--html", tmp_path / "page.html", "--json")
    assert code == 0
    told = json.loads(out)["html"]
    assert (told["panels"], told["places_drawn"]) == (["e", "<b>other"], 40)
    assert "<b>other" not in (tmp_path / "page.html").read_text("utf-8")
    code, _, err = call(capsys, "explore", table, tmp_path / "far.parquet", "--html", tmp_path / "none.html")
    assert (code, len(err.splitlines())) == (1, 1)
    assert "far has no place in common with the first table" in err
    code, out, _ = call(
        capsys, "explore", *tables, tmp_path / "far.parquet", "--dashboard", tmp_path / "all", "--clusters", 3
    )
    assert code == 0
    assert "index.html: 3 pages" in out
    master = (tmp_path / "all" / "index.html").read_text("utf-8")
    assert {path.name for path in (tmp_path / "all").iterdir()} == {
        "index.html", "e.html", "b-other.html", "far.html",
    }  # fmt: skip
    assert [name in master for name in ('href="e.html"', 'href="b-other.html"', 'href="far.html"')] == [
        True
    ] * 3
    assert "&lt;b&gt;other" in master
    assert "<b>" not in master
    assert "<script" not in master
