"""What Wikidata says, in datasets. Oracle: the items that a server on loopback, or a dump, holds."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from placevec import api
from placevec.datasets.dataset import Dataset
from placevec.datasets.entities import WIKIDATA_SCHEMA, read_entities
from placevec.errors import DatasetError, SourceError, UsageError
from placevec.sources.wikidata import api as live
from tests.osm_xml import OsmFile, box
from tests.tile_servers import Reply
from tests.wikibase import CONTACT, Wikibase, serving, write_dump


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PLACEVEC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(live, "sleep", lambda _: None)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A park with an item, one whose item was merged into another, one whose item is gone, a bakery without an item."""
    osm = OsmFile()
    osm.way(
        box(10.0, 50.0, 10.004, 50.004),
        {"leisure": "park", "name": "Old Park", "name:en": "Old Park", "wikidata": "Q9"},
    )
    osm.way(box(10.01, 50.0, 10.014, 50.004), {"leisure": "park", "wikidata": "Q100"})
    osm.way(box(10.03, 50.0, 10.034, 50.004), {"leisure": "park", "name": "Gone", "wikidata": "Q404"})
    osm.node((10.02, 50.02), {"shop": "bakery", "name": "Brot"})
    return osm.write(tmp_path_factory.mktemp("osm") / "town.osm", bounds=(9.99, 49.99, 10.07, 50.07))


@pytest.fixture(scope="module")
def plain(town: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset without Wikidata."""
    return api.prepare("where2vec", osm=town, out=tmp_path_factory.mktemp("plain") / "ds").path


def copied(plain: Path, folder: Path) -> Path:
    return Path(shutil.copytree(plain, folder / "ds"))


def added(out: Path, server: Wikibase, **options: object) -> Dataset:
    return api.prepare("where2vec", out=out, wikidata=server.address, wikidata_contact=CONTACT, **options)


def texts(dataset: Dataset) -> set[tuple[str, str | None, str, str]]:
    table = pd.read_parquet(dataset.path / "text.parquet").astype(object).where(lambda one: one.notna(), None)
    return set(zip(table.place_id, table.language, table.kind, table.text, strict=True))


def test_items_join_entities_and_texts(plain: Path, tmp_path: Path) -> None:
    """All that was there stays; labels, aliases, descriptions and words of types come, in every language, each once."""
    out = copied(plain, tmp_path)
    before = texts(Dataset.open(out))
    with serving(redirects={"Q100": "Q1757"}) as server:
        dataset = added(out, server)
    new = texts(dataset) - before
    assert before <= texts(dataset)
    assert {one[1:] for one in new if one[0] == "way/1"} == {
        ("de", "name", "Alter Park"), ("ja", "name", "旧公園"),
        ("en", "words", "park"), ("de", "words", "Park"), ("fi", "words", "puisto"),
    } - {one[1:] for one in before}  # fmt: skip
    moved = {one[1:] for one in new if one[0] == "way/2"}
    assert {
        ("uk", "alias", "Хельсінкі"),
        ("uk", "description", "столиця Фінляндії"),
        ("ar", "name", "هلسنكي"),
    } <= moved
    assert not {one for one in new if one[0] in ("way/3", "node/13")}
    rows = read_entities(out / "entities.parquet", WIKIDATA_SCHEMA.names).to_pandas().set_index("entity_id")
    assert (rows["wikidata"]["way/2"], rows["wikidata_from"]["way/2"]) == ("Q100", "tag")
    assert list(rows["wikidata_types"]["way/2"]) == ["Q515"]
    assert "city" in list(rows["words"]["way/2"])
    assert {one["language"] for one in rows["descriptions"]["way/2"]} == {"en", "uk"}
    report = dataset.manifest["report"]["wikidata"]
    assert (report["items wanted"], report["items"], report["redirected"]) == (3, 2, 1)
    assert report["labels"] == 5 + 3
    assert dataset.manifest["sources"][-1]["licence"] == "CC0-1.0"
    assert "Wikidata, CC0 1.0" in dataset.attribution


def test_the_same_from_a_dump(plain: Path, tmp_path: Path) -> None:
    """A dump of the same items gives the same texts; it holds no redirects."""
    with serving() as server:
        live_texts = texts(added(copied(plain, tmp_path / "a"), server))
    dump = write_dump(tmp_path / "wikidata.json.bz2")
    out = copied(plain, tmp_path / "b")
    assert texts(api.prepare("where2vec", out=out, wikidata=str(dump))) == live_texts
    source = Dataset.open(out).manifest["sources"][-1]
    assert (source["path"], len(source["sha256"])) == ("wikidata.json.bz2", 64)


def test_what_a_dump_lacks_is_asked_of_the_api_on_request(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Oracle: the same from the API alone, with an item that was merged into another; only what lacks is asked for."""
    from placevec import cli

    dump = str(write_dump(tmp_path / "wikidata.json"))
    with serving(redirects={"Q100": "Q1757"}) as server:
        monkeypatch.setattr(live, "ADDRESS", server.address)
        command = ["prepare", "where2vec", "--out", str(copied(plain, tmp_path / "a")), "--wikidata", dump]
        assert cli.main(command) == 0
        assert server.asked == []
        assert "2 were not found (a dump lacks items that were merged" in " ".join(
            capsys.readouterr().err.split()
        )
        out = copied(plain, tmp_path / "b")
        api.prepare("where2vec", out=out, wikidata=dump, wikidata_contact=CONTACT)
        assert [one["ids"] for one in server.asked] == ["Q100|Q404"]
        assert texts(Dataset.open(out)) == texts(added(copied(plain, tmp_path / "c"), server))


def test_in_one_command_and_again(town: Path, tmp_path: Path) -> None:
    """A second command asks for nothing and changes nothing; another option is named."""
    with serving() as server:
        dataset = added(tmp_path / "ds", server, osm=town, languages=("de", "uk"))
        assert {one[1] for one in texts(dataset) if one[2] == "name"} == {None, "en", "de"}
        asked, bytes_before = len(server.asked), (tmp_path / "ds" / "text.parquet").read_bytes()
        added(tmp_path / "ds", server, osm=town, languages=("de", "uk"))
        assert (len(server.asked), (tmp_path / "ds" / "text.parquet").read_bytes()) == (asked, bytes_before)
        with pytest.raises(DatasetError, match="--languages was"):
            added(tmp_path / "ds", server, osm=town, languages=("fi",))


def test_search_only_on_request(plain: Path, tmp_path: Path) -> None:
    """The bakery is found by its name and place; without the option nobody searches."""
    with serving() as server:
        without = added(copied(plain, tmp_path / "a"), server)
        assert {asked["action"] for asked in server.asked} == {"wbgetentities"}
        assert not {one for one in texts(without) if one[3] == "Bread shop"}
        out = copied(plain, tmp_path / "b")
        found = added(out, server, wikidata_search=True)
        assert ("node/13", "en", "name", "Bread shop") in texts(found)
        rows = read_entities(out / "entities.parquet", ["entity_id", "wikidata", "wikidata_from"]).to_pandas()
        assert rows[rows.entity_id == "node/13"].iloc[0].tolist() == ["node/13", "Q77", "search"]
        far = added(copied(plain, tmp_path / "c"), server, wikidata_search=True, wikidata_distance_m=5)
        assert not {one for one in texts(far) if one[3] == "Bread shop"}


def test_places_that_are_no_entities(town: Path, tmp_path: Path) -> None:
    """Tiles get the names of the entities in their windows, in Wikidata's languages too."""
    out = tmp_path / "tiles"
    api.prepare("loc2vec", osm=town, out=out, spacing=250, size_m=300)
    before = texts(api.prepare("where2vec", osm=town, out=out))
    with serving() as server:
        new = texts(added(out, server)) - before
    named = {one[0] for one in before if one[3] == "Old Park"}
    assert named
    assert {one[0] for one in new if one[3] == "旧公園"} == named


def test_a_refusal_loses_nothing(plain: Path, tmp_path: Path) -> None:
    out = copied(plain, tmp_path)
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    with serving(answering=lambda *_: Reply(403)) as server, pytest.raises(SourceError, match="403"):
        added(out, server)
    assert {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()} == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"wikidata": "api"}, "--wikidata-contact"),
        ({"languages": ("fi",)}, "it needs --wikidata"),
        ({"wikidata": "dump.json", "wikidata_search": True}, "it needs --wikidata api"),
        (
            {"wikidata": "api", "wikidata_contact": CONTACT, "wikidata_similarity": 0.5},
            "it needs --wikidata-search",
        ),
        ({"wikidata": "dump.json", "languages": ("Suomi!",)}, "--languages must be codes"),
    ],
)
def test_options_that_cannot_be(options: dict[str, object], words: str, plain: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=words):
        api.prepare("where2vec", out=copied(plain, tmp_path), **options)


def test_the_command_says_what_was_found(
    plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from placevec import cli

    with serving(redirects={"Q100": "Q1757"}) as server:
        command = [
            "prepare",
            "where2vec",
            "--out",
            str(copied(plain, tmp_path)),
            "--wikidata",
            server.address,
        ]
        assert cli.main([*command, "--languages", "fi,uk"]) == 2
        assert "--wikidata-contact" in capsys.readouterr().err
        assert cli.main([*command, "--languages", "fi,uk", "--wikidata-contact", CONTACT]) == 0
    told = " ".join(capsys.readouterr().err.split())
    assert "Wikidata: 2 of 3 items found, 1 of them under another ID; 1 were not found." in told
    assert "3 labels, 3 aliases and 1 descriptions in 3 languages (fi 1, uk 1, mul 1)" in told
