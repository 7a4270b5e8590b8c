"""An extract whose names attack, through every output: data keep them literally, everything else shows text.

`tests/cli/test_hostile_names.py` has the HTML page, CSV and the search; here are the other ways out, with terminal
codes in the 8-bit range, which XML and JSON let through.
"""

from __future__ import annotations

import csv
import json
import os
import pty
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from placevec import api
from placevec.geo import Area, metric_grid
from tests.osm_xml import OsmFile
from tests.robustness.commands import Nursery, refused
from tests.robustness.jobs import SHORT
from tests.unsealed import unsealed

NAMES = (
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(1)",
    "\t=1+1",
    "</script><script>alert(1)</script>",
    "\"><svg onload='alert(1)'>",
    "<b>&amp;</b> 'quoted' \"twice\"",
    "\u202etxt.exe\u2066\u200f",
    "two\nlines\r\nand\u2028more\u2029",
    "\u009b31mred\u009d0;title\u009c\u0085",
    "| a | table | \n| --- |",
    "[link](javascript:alert(1)) `code` **bold**",
    "[red]rich[/red] [link=file:///etc/passwd]x[/link]",
    "\U0001f4a9 \u0628\u0627\u0631\u064a\u0633",
    "a" * 250,
)
MARKS = (
    "\u202e",
    "\u2066",
    "\u200f",
    "\u2028",
    "\u2029",
    "\u009b",
    "\u009d",
    "\u009c",
    "\u0085",
    "\x1b",
    "\r",
)
"""What may never reach a terminal as it is."""


@pytest.fixture(scope="module")
def town(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Named shops 60 m apart, embedded; the extract's file, and so the dataset, has a hostile name too."""
    folder = tmp_path_factory.mktemp("town")
    file = OsmFile()
    for number, (lon, lat) in enumerate(metric_grid(Area(10.0, 50.0, 10.01, 50.006), 60.0)):
        file.node((float(lon), float(lat)), {"shop": "bakery", "name": NAMES[number % len(NAMES)]})
    extract = file.write(folder / "<b>\u202etown\n=1.osm")
    for command in (
        [
            "prepare",
            "loc2vec",
            "--osm",
            extract,
            "--out",
            folder / "data",
            "--spacing",
            60,
            "--size-m",
            60,
            "-q",
        ],
        ["train", "loc2vec", folder / "data", "--out", folder / "run", "-q", *SHORT],
        ["embed", folder / "run", folder / "data", "-o", folder / "e.parquet", "-q"],
    ):
        ended = nursery.run(*command)
        assert ended.code == 0, ended.err
        _is_plain(ended.out + ended.err)
    return folder


def _is_plain(printed: str) -> None:
    assert not [mark for mark in MARKS if mark in printed]


def test_data_keep_names_literally(town: Path) -> None:
    """Parquet of places and vectors. XML itself turns a carriage return into a line feed and drops edge blanks."""
    for names in (api.open_dataset(town / "data").places.name, api.load_embeddings(town / "e.parquet").names):
        found = {name.replace("\r", "\n") for name in names}
        for name in ("=cmd|' /C calc'!A0", "</script><script>alert(1)</script>", "\u202etxt.exe\u2066\u200f"):
            assert name in found
        assert any("\u009b31m" in name for name in found)


def test_the_terminal_gets_text(nursery: Nursery, town: Path) -> None:
    """`search`, `info` of everything, and errors: no code, mark or line of a name's own."""
    place = str(api.load_embeddings(town / "e.parquet").place_id[0])
    found = nursery.run("search", town / "e.parquet", "--place", place, "-k", 40)
    assert found.code == 0
    assert len(found.out.splitlines()) == 42
    _is_plain(found.out)
    assert "[red]rich[/red]" in found.out
    for path in ("data", "run", "e.parquet"):
        told = nursery.run("info", town / path)
        assert told.code == 0, told.err
        _is_plain(told.out)
    refused(nursery.run("search", town / "e.parquet", "--name", "\u009b31m\u202e\nnothing"))
    missed = nursery.run("search", town / "e.parquet", "--name", "two\nlinez")
    refused(missed, "no place is named")
    _is_plain(missed.err)


def test_a_terminal_of_its_own(town: Path) -> None:
    """The same through a pseudo-terminal, where colors are on: only the codes of the table's bold heading."""
    command = [
        str(Path(sys.executable).with_name("placevec")),
        "search",
        str(town / "e.parquet"),
        "--name",
        "=cmd",
    ]
    outer, inner = pty.openpty()
    process = subprocess.Popen(command, stdout=inner, stderr=inner, stdin=subprocess.DEVNULL)
    os.close(inner)
    shown = b""
    while True:
        try:
            some = os.read(outer, 65536)
        except OSError:  # the other end is closed
            break
        if not some:
            break
        shown += some
    os.close(outer)
    assert process.wait() == 0
    text = shown.decode("utf-8").replace("\r\n", "\n").replace("\x1b[1m", "").replace("\x1b[0m", "")
    assert "=cmd" in text
    _is_plain(text)


def test_json_is_escaped_and_the_same(nursery: Nursery, town: Path) -> None:
    """What a script parses is the literal name, what a terminal shows is text. Oracle: the standard library's parser."""
    table = api.load_embeddings(town / "e.parquet")
    ended = nursery.run("search", town / "e.parquet", "--place", table.place_id[0], "-k", 100, "--json")
    assert ended.code == 0
    _is_plain(ended.out)
    known = dict(zip(table.place_id, table.names, strict=True))
    results = json.loads(ended.out)["results"]
    assert len(results) > 50
    assert all(row["name"] == (known[row["place_id"]] or "") for row in results)
    for path in ("data", "run", "e.parquet"):
        told = nursery.run("info", town / path, "--json")
        _is_plain(told.out)
        assert json.loads(told.out)


def test_a_spreadsheet_gets_no_formula(nursery: Nursery, town: Path, tmp_path: Path) -> None:
    query = ["search", town / "e.parquet", "--name", "@SUM", "-k", 100, "--csv", tmp_path / "r.csv"]
    assert nursery.run(*query).code == 0
    with open(tmp_path / "r.csv", newline="", encoding="utf-8") as file:
        names = [row["name"] for row in csv.DictReader(file)]
    assert len(names) > 50
    assert not [name for name in names if name[:1] in ("=", "+", "-", "@", "\t", "\r")]


class _Tags(HTMLParser):
    """The tags and event handlers of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


def test_the_page_has_no_tag_of_a_name(nursery: Nursery, town: Path, tmp_path: Path) -> None:
    """Oracle: the same page of the same places with harmless names has the same tags, one by one."""
    table = api.load_embeddings(town / "e.parquet")
    tags = []
    for number, title in enumerate(("<script>alert(1)</script>", "title")):
        page = tmp_path / f"{number}.html"
        source = town / "e.parquet"
        if number:
            table.names[:] = "a name"
            source = tmp_path / "harmless.parquet"
            table.save(source)
        ended = nursery.run("explore", source, "--html", page, "--projections", "pca", "-q", "--title", title)
        assert ended.code == 0, ended.err
        parser = _Tags()
        parser.feed(page.read_text("utf-8"))
        assert parser.handlers == []
        tags.append(parser.tags)
    assert tags[0] == tags[1]


def test_reports_and_cards_have_no_line_of_a_name(nursery: Nursery, town: Path, tmp_path: Path) -> None:
    """Labels named by the user's table, and the dataset's name on the model's card."""
    table = api.load_embeddings(town / "e.parquet")
    rows = [
        [place, NAMES[number % 2 * 9], "x" if number % 3 else "=y"]
        for number, place in enumerate(table.place_id)
    ]
    with open(tmp_path / "labels.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["place_id", "<b>| \u202eclass\n", "plain"], *rows])
    ended = nursery.run(
        "evaluate", town / "e.parquet", "--labels", tmp_path / "labels.csv", "--budget", "quick", "--seeds", 1,
        "--folds", 2, "--out", tmp_path / "report", "-q",
    )  # fmt: skip
    assert ended.code in (0, 1), ended.err
    _is_plain(ended.out + ended.err)
    if ended.code == 0:
        report = (tmp_path / "report" / "report.md").read_text("utf-8")
        _is_plain(report)
        assert "<b>" not in report
    card = (town / "run" / "MODEL_CARD.md").read_text("utf-8")
    _is_plain(card)
    assert "<b>" not in card


def test_a_manifest_that_attacks(nursery: Nursery, town: Path, tmp_path: Path) -> None:
    """A dataset from somebody else: its name, attribution and layers are text as well."""
    data = Path(shutil.copytree(town / "data", tmp_path / "data"))
    manifest = json.loads((data / "dataset.json").read_text("utf-8"))
    manifest["name"] = manifest["created"] = "\x1b[31m\u202e\nname"
    manifest["sources"][0]["attribution"] = "\x1b]0;title\x07\n\u009b1m credit"
    (data / "dataset.json").write_text(json.dumps(unsealed(manifest)))
    for command in (
        ["info", data],
        ["info", data, "--json"],
        ["embed", town / "run", data, "-o", tmp_path / "e.parquet"],
        ["info", tmp_path / "e.parquet"],
        ["train", "loc2vec", data, "--out", tmp_path / "run", "--epochs", 1, "--size-px", 32, "--size-m", 60,
         "--near-m", 20, "--far-m", 100],
        ["info", tmp_path / "run"],
    ):  # fmt: skip
        ended = nursery.run(*command)
        assert ended.code == 0, ended.err
        _is_plain(ended.out + ended.err)
