"""The API of a Wikibase that behaves, and of ones that do not. Oracle: what the server holds, and what it was asked."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from placevec.errors import SourceError, UsageError
from placevec.sources.wikidata import api as live
from placevec.sources.wikidata.api import Fetched, WikidataApi, fetch_items
from placevec.sources.wikidata.items import Item
from placevec.sources.wikidata.store import ItemStore
from tests.tile_servers import Reply, closed_port
from tests.wikibase import CONTACT, Asked, Wikibase, as_json, entity, serving

DEEP = b"[" * 100_000


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Nobody waits, and how long it would have been."""
    told: list[float] = []
    monkeypatch.setattr(live, "sleep", told.append)
    return told


def bring(
    server: Wikibase, folder: Path, qids: list[int], languages: tuple[str, ...] = ()
) -> tuple[Fetched, dict[int, Item]]:
    with (
        WikidataApi(server.address, CONTACT, languages) as api,
        ItemStore(folder / "items.sqlite", languages) as store,
    ):
        return fetch_items(api, store, qids), store.read(qids)


def test_items_come_once_fifty_at_a_time(tmp_path: Path) -> None:
    """Labels, aliases, descriptions, types and coordinates are the server's; a second command asks for nothing."""
    many = [entity(f"Q{number}", {"en": f"thing {number}"}) for number in range(1, 121)]
    with serving(many) as server:
        done, items = bring(server, tmp_path, list(range(1, 121)))
        assert [len(one) for one in server.ids()] == [50, 50, 20]
        assert done.counts == {"found": 120}
        assert items[7].labels == {"en": "thing 7"}
        assert all(CONTACT in agent and "placevec" in agent for agent in server.agents)
        assert {asked["maxlag"] for asked in server.asked} == {"5"}
        again, _ = bring(server, tmp_path, list(range(1, 121)))
        assert (again.cached, again.requests, len(server.asked)) == (120, 0, 3)


def test_an_item_is_whole(tmp_path: Path) -> None:
    with serving() as server:
        item = bring(server, tmp_path, [1757])[1][1757]
    assert (item.labels["ar"], item.aliases["fi"]) == ("هلسنكي", ("Stadi", "Hesa"))
    assert (item.descriptions["uk"], item.types, item.lonlat) == ("столиця Фінляндії", (515,), (24.94, 60.17))


def test_languages_are_asked_for_and_kept_apart(tmp_path: Path) -> None:
    """Items that came in Finnish are asked for again in Ukrainian; those that came in all languages are not."""
    with serving() as server:
        assert set(bring(server, tmp_path, [1757], ("fi",))[1][1757].labels) == {"fi", "mul"}
        assert bring(server, tmp_path, [1757], ("uk",))[0].cached == 0
        assert bring(server, tmp_path, [1757])[0].cached == 0
        assert bring(server, tmp_path, [1757], ("sv",))[0].cached == 1
        assert len(server.asked) == 3


def test_redirects_and_missing_items(tmp_path: Path) -> None:
    with serving(redirects={"Q100": "Q1757"}) as server:
        done, items = bring(server, tmp_path, [100, 9, 8, 3_000_000_000])
        assert done.counts == {"redirected": 1, "found": 1, "missing": 2}
        assert (items[100].qid, items[100].labels["fi"], set(items)) == (1757, "Helsinki", {100, 9})
        assert bring(server, tmp_path, [100, 9, 8, 3_000_000_000])[0].cached == 4  # that there is none, too


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(429, headers={"Retry-After": "7"}), [7.0]),
        (Reply(503, headers={"Retry-After": "0"}), [0.0]),
        (Reply(502), [live.FIRST_WAIT_S]),
        (Reply(200, b'{"error":{"code":"maxlag","info":"6 seconds lagged"}}', {"Retry-After": "5"}), [5.0]),
        (Reply(200, b'{"error":{"code":"ratelimited","info":"slow down"}}'), [live.FIRST_WAIT_S]),
    ],
)
def test_waits_are_obeyed(reply: Reply, expected: list[float], waits: list[float], tmp_path: Path) -> None:
    with serving(answering=lambda asked, number: reply if number == 1 else None) as server:
        done, _ = bring(server, tmp_path, [1757])
    assert (waits, done.counts["found"], done.requests) == (expected, 1, 2)


@pytest.mark.parametrize(
    ("reply", "words", "asked"),
    [
        (Reply(403, b"Please set a user-agent"), "403: Please set a user-agent", 1),
        (Reply(429, headers={"Retry-After": "90000"}), "wait for 1,500 minutes", 1),
        (Reply(500), "500", live.ATTEMPTS),
        (Reply(404, b"<html>"), "is it an api.php", 1),
        (
            Reply(200, b'{"error":{"code":"internal_api_error","info":"bad\\u001b[31m"}}'),
            "internal_api_error",
            1,
        ),
        (Reply(200, b'{"error":["what"]}'), "error 'unknown'", 1),
    ],
)
def test_it_stops_where_it_is_told_to(reply: Reply, words: str, asked: int, tmp_path: Path) -> None:
    with serving(answering=lambda *_: reply) as server:
        with pytest.raises(SourceError, match=words) as error:
            bring(server, tmp_path, [1757, 9])
        assert len(server.asked) == asked
    assert "\x1b" not in str(error.value)


@pytest.mark.parametrize(
    "body",
    [
        DEEP,
        b'{"entities": {"Q9": {"id": "Q9", "labels',
        b"<html>log in</html>",
        b"[1]",
        b'{"entities": 5}',
        b'{"a": "\\ud800"}',
    ],
    ids=["deep", "truncated", "page", "list", "number", "surrogate"],
)
def test_unreadable_replies_cost_one_item(body: bytes, tmp_path: Path) -> None:
    """Whenever Q9 is asked for the reply is broken: the other nineteen items still come."""

    def broken(asked: Asked, _: int) -> Reply | None:
        return Reply(200, body, {"X": "plain"}) if "Q9" in asked["ids"].split("|") else None

    some = [entity(f"Q{number}", {"en": f"thing {number}"}) for number in range(1, 21)]
    with serving(some, answering=broken) as server:
        done, items = bring(server, tmp_path, list(range(1, 21)))
    assert done.counts == {"found": 19, "unreadable": 1}
    assert set(items) == set(range(1, 21)) - {9}


def test_a_server_of_nonsense_is_left_alone(tmp_path: Path) -> None:
    with serving(answering=lambda *_: Reply(200, b"<html>log in</html>")) as server:
        with pytest.raises(SourceError, match="gave no usable response: a reply that is not JSON"):
            bring(server, tmp_path, list(range(1, 51)))
        assert len(server.asked) <= 2 * live.MAX_UNREADABLE


def test_wrong_types_are_unreadable_items(tmp_path: Path) -> None:
    odd = {
        "Q1": {"id": "Q1", "type": "item", "labels": {"en": "Helsinki"}},
        "Q2": {"id": "Q2", "type": "item", "aliases": {"en": {"value": "x"}}},
        "Q3": {"id": 3, "type": "item"},
        "Q4": "Helsinki",
        "Q5": {"id": "Q5", "type": "property"},
        "Q6": {"id": "Q6", "claims": {"P31": "Q5", "P625": [{"mainsnak": {"datavalue": {"value": [1]}}}]}},
        "Q7": {"id": "Q7", "type": "item", "labels": {"en": {"language": "en", "removed": ""}}},
    }  # fmt: skip
    with serving(answering=lambda *_: as_json({"entities": odd})) as server:
        done, items = bring(server, tmp_path, list(range(1, 9)))
    assert done.counts == {"found": 2, "unreadable": 6}  # Q8 is not in the reply at all
    assert (items[6].types, items[6].lonlat, items[7].labels) == ((), None, {})


def test_a_killed_command_goes_on(tmp_path: Path) -> None:
    """What came before the server died is not asked for again."""
    many = [entity(f"Q{number}", {"en": f"thing {number}"}) for number in range(1, 121)]

    def dying(asked: Asked, number: int) -> Reply | None:
        return Reply(403) if number == 3 else None

    with serving(many, answering=dying) as server:
        with pytest.raises(SourceError):
            bring(server, tmp_path, list(range(1, 121)))
        done, items = bring(server, tmp_path, list(range(1, 121)))
        assert (done.cached, len(items)) == (100, 120)
        assert [len(one) for one in server.ids()] == [50, 50, 20, 20]


def test_truncated_bodies_are_tried_again(tmp_path: Path, waits: list[float]) -> None:
    body = json.dumps({"entities": {"Q9": entity("Q9", {"en": "Old Park"})}}).encode()
    with serving(
        answering=lambda _, number: Reply(200, body, {"X": "plain"}, cut=20) if number == 1 else None
    ) as server:
        done, _ = bring(server, tmp_path, [9])
    assert (done.counts["found"], waits) == (1, [live.FIRST_WAIT_S])


def test_redirects_of_the_server_stay_on_the_internet(tmp_path: Path) -> None:
    """A server must not send requests to addresses of the local network."""
    with (
        serving() as inner,
        serving(answering=lambda *_: Reply(302, headers={"Location": inner.address})) as server,
    ):
        with pytest.raises(SourceError, match="not on the public internet"):
            bring(server, tmp_path, [9])
        assert inner.asked == []


def test_nobody_there(tmp_path: Path) -> None:
    address = f"http://127.0.0.1:{closed_port()}/w/api.php"
    with (
        WikidataApi(address, CONTACT) as api,
        ItemStore(tmp_path / "items.sqlite", ()) as store,
        pytest.raises(SourceError, match=r"no connection to 127\.0\.0\.1"),
    ):
        fetch_items(api, store, [9])


@pytest.mark.parametrize("contact", [None, "", "me", "a@b", "a@b.org\r\nX: y", "http://x y"])
def test_a_contact_is_asked_for(contact: str | None) -> None:
    with pytest.raises(UsageError, match="--wikidata-contact"):
        WikidataApi("https://www.wikidata.org/w/api.php", contact)  # type: ignore[arg-type]


def test_a_damaged_cache_is_named(tmp_path: Path) -> None:
    (tmp_path / "items.sqlite").write_bytes(b"not a database at all" * 100)
    with pytest.raises(SourceError, match=r"items.sqlite are damaged .* remove that file"):
        ItemStore(tmp_path / "items.sqlite", ())


def test_best_statements_only(tmp_path: Path) -> None:
    """A preferred type hides the others, a deprecated one never counts, a point on Mars is none on Earth."""
    from tests.wikibase import statement

    def kind(qid: str, rank: str) -> dict[str, object]:
        return statement({"id": qid}, "wikibase-entityid", rank)

    one = entity("Q1", {"en": "a"})
    one["claims"] = {
        "P31": [
            kind("Q5", "normal"), kind("Q6", "preferred"), kind("Q7", "deprecated"),
            {"mainsnak": {"snaktype": "novalue"}},
        ],
        "P625": [statement({"latitude": 1.0, "longitude": 2.0, "globe": "http://www.wikidata.org/entity/Q111"}, "x")],
    }  # fmt: skip
    with serving([one]) as server:
        item = bring(server, tmp_path, [1])[1][1]
    assert (item.types, item.lonlat) == ((6,), None)
    assert Counter(item.labels) == {"en": "a"}
