"""An extract whose names attack: HTML, scripts, terminal codes, formulas, right-to-left marks, line breaks."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np
import pytest

from placevec import api
from placevec.cli import main
from placevec.cli.search import PRINTED
from placevec.geo import Area, metric_grid

NAMES = [
    "</script><img src=x onerror=alert(1)>",
    '=HYPERLINK("http://evil")',
    "@SUM(1+1)",
    "a\nb\r\nc",
    "\u202egnp.exe\u2066",
    "\u001b is not XML, but \u009b31m is a terminal code".replace("\u001b", ""),
    "`${alert(1)}`",
    "'; DROP TABLE places; --",
    "[bold red]rich markup[/]",
    "../../../etc/passwd",
]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hundred named shops on a grid, and a road."""
    folder = tmp_path_factory.mktemp("hostile")
    points = metric_grid(Area(10.0, 50.0, 10.012, 50.008), 60.0)
    lines = [
        '<?xml version="1.0"?><osm version="0.6"><bounds minlat="50" minlon="10" maxlat="50.008" maxlon="10.012"/>'
    ]
    for number, (lon, lat) in enumerate(points, start=1):
        name = quoteattr(NAMES[number % len(NAMES)], {"\n": "&#10;", "\r": "&#13;"})
        lines.append(
            f'<node id="{number}" version="1" lat="{lat:.7f}" lon="{lon:.7f}"><tag k="shop" v="bakery"/>'
            f'<tag k="name" v={name}/></node>'
        )
    lines.append(
        '<way id="1" version="1"><nd ref="1"/><nd ref="2"/><nd ref="3"/><tag k="highway" v="residential"/></way></osm>'
    )
    (folder / "town.osm").write_text("\n".join(lines), "utf-8")
    return folder


def test_hostile_names_through_every_output(town: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Names survive literally in the data and are text everywhere else; the page itself is tested in a browser."""
    dataset = api.prepare("loc2vec", osm=town / "town.osm", out=town / "data", spacing=60, size_m=60)
    names = {name for name in dataset.places.name if name}
    assert {NAMES[0], NAMES[1], NAMES[4]} <= names
    api.train(
        "loc2vec",
        dataset,
        out=town / "run",
        epochs=1,
        steps_per_epoch=1,
        size_px=32,
        size_m=60,
        near_m=20,
        far_m=60,
    )
    table = api.embed(town / "run", dataset, out=town / "e.parquet")
    assert set(table.names) == set(dataset.places.name)
    query = str(table.place_id[0])
    result = town / "result.csv"
    assert main(["search", str(town / "e.parquet"), "--place", query, "-k", "100", "--csv", str(result)]) == 0
    printed = capsys.readouterr().out
    assert "[bold red]" in printed
    assert not any(mark in printed for mark in ("\u202e", "\u2066", "\u009b", "\r"))
    assert len(printed.splitlines()) == 2 + PRINTED + 1, "the first rows, and a line that says so"
    with open(result, newline="", encoding="utf-8") as file:
        cells = [row["name"] for row in csv.DictReader(file)]
    assert not any(cell.startswith(("=", "@", "+", "-")) for cell in cells)
    assert main(["search", str(town / "e.parquet"), "--place", query, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["results"]
    assert main(["search", str(town / "e.parquet"), "--name", "nothing\x1b[31m\nhere"]) == 1
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert "\x1b" not in error
    api.explore(table, town / "page.html", dataset=dataset)
    page = (town / "page.html").read_text("utf-8")
    assert "<img src=x" not in page
    assert "</script><img" not in page
    assert np.isfinite(table.vectors).all()
    assert not list(town.rglob("passwd"))
