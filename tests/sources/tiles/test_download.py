"""Downloading from servers that behave, and from servers that do not. Oracle: what the server sent, and was asked."""

from __future__ import annotations

import io
import sqlite3
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from placevec.errors import OutputError, SourceError, UsageError
from placevec.sources import http as tile_http
from placevec.sources.tiles import download as tile_server
from placevec.sources.tiles.address import TileTemplate
from placevec.sources.tiles.cache import CORRUPT, FAILED, MISSING, TileCache
from placevec.sources.tiles.download import Download, TooManyBadError, download_tiles, retry_after
from placevec.sources.tiles.plan import TilePlan
from tests.sources.tiles.test_decode import claiming
from tests.tile_servers import Asked, Reply, Server, closed_port, png, serving, well

ZOOM = 10


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tile_server, "FIRST_WAIT_S", 0.005)


def planned(count: int = 12) -> TilePlan:
    return TilePlan(ZOOM, np.arange(count, dtype=np.int64) + 5 * 2**ZOOM)


def bring(
    server: Server, folder: Path, plan: TilePlan | None = None, **options: object
) -> tuple[Download, list[bytes]]:
    """Download, and what is kept afterwards."""
    plan = plan or planned()
    with TileCache(folder / "tiles.mbtiles", ZOOM) as cache:
        done = download_tiles(TileTemplate.parse(server.template), plan, cache, **options)  # type: ignore[arg-type]
        return done, [cache.read(int(code)) or b"" for code in plan.codes]


def test_every_tile_comes_once(tmp_path: Path) -> None:
    with serving() as server:
        done, kept = bring(server, tmp_path)
        assert (done.fetched, done.bad) == (12, {})
        assert kept == [png(x, 5) for x in range(12)]
        assert set(server.asked.values()) == {1}
        assert all("placevec" in asked.headers["user-agent"] for asked in server.requests)
        again, _ = bring(server, tmp_path)
        assert (again.kept, again.fetched, len(server.requests)) == (12, 0, 12)


def test_connections_are_few(tmp_path: Path) -> None:
    with serving(lambda asked: Reply(body=png(asked.x, asked.y), wait=0.02)) as server:
        bring(server, tmp_path, planned(40), connections=3)
        assert 1 < server.max_at_once <= 3
    with pytest.raises(UsageError, match="--connections must be 1 to 64"):
        bring(server, tmp_path, connections=65)


def test_kept_tiles_are_asked_for_with_their_validators(tmp_path: Path) -> None:
    """A server that gives one an ETag, the other a date, and changes a third."""
    changed = False

    def answering(asked: Asked) -> Reply:
        tag = f'"v{int(changed and asked.x == 2)}"'
        date = "Wed, 21 Oct 2015 07:28:00 GMT"
        if asked.headers.get("if-none-match") == tag and asked.x != 1:
            return Reply(304, headers={"ETag": tag})
        if asked.headers.get("if-modified-since") == date and asked.x == 1:
            return Reply(304)
        headers = {"Last-Modified": date} if asked.x == 1 else {"ETag": tag}
        return Reply(body=png(asked.x, 7 if changed and asked.x == 2 else 5), headers=headers)

    with serving(answering) as server:
        bring(server, tmp_path, planned(4))
        changed = True
        done, kept = bring(server, tmp_path, planned(4), refresh=True)
    assert (done.unchanged, done.fetched) == (3, 1)
    assert kept == [png(0, 5), png(1, 5), png(2, 7), png(3, 5)]


def test_an_old_copy_is_better_than_none(tmp_path: Path) -> None:
    with serving() as server:
        bring(server, tmp_path, planned(3))
        server.answering = lambda asked: Reply(500)
        done, kept = bring(server, tmp_path, planned(3), refresh=True)
    assert (done.kept, done.bad) == (3, {})
    assert kept == [png(x, 5) for x in range(3)]


# --- answers that say no -----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [404, 410, 204])
def test_missing_tiles_are_counted_and_not_asked_for_again(tmp_path: Path, status: int) -> None:
    with serving(lambda asked: Reply(status) if asked.x == 3 else well(asked)) as server:
        for _ in range(2):
            done, kept = bring(server, tmp_path, max_bad=1)
            assert done.bad == {5 * 2**ZOOM + 3: (MISSING, "not on the server")}
            assert kept[3] == b""
        assert server.asked[ZOOM, 3, 5] == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_passing_trouble_is_tried_again(tmp_path: Path, status: int) -> None:
    with serving(lambda asked: Reply(status) if asked.before < 2 else well(asked)) as server:
        done, kept = bring(server, tmp_path)
    assert done.bad == {}
    assert kept == [png(x, 5) for x in range(12)]
    assert set(server.asked.values()) == {3}


@pytest.mark.parametrize("status", [429, 500])
def test_lasting_trouble_is_given_up(tmp_path: Path, status: int) -> None:
    with serving(lambda asked: Reply(status) if asked.x == 3 else well(asked)) as server:
        done, _ = bring(server, tmp_path, max_bad=1)
        assert done.bad == {5 * 2**ZOOM + 3: (FAILED, f"the server returned HTTP {status}")}
        assert server.asked[ZOOM, 3, 5] == tile_server.ATTEMPTS
        server.answering = well  # what failed is not kept as such
        assert bring(server, tmp_path)[0].bad == {}


def test_forbidden_is_not_tried_again(tmp_path: Path) -> None:
    with serving(lambda asked: Reply(403)) as server:
        with pytest.raises(
            TooManyBadError,
            match="1 of 12 tiles are missing, corrupt or failed, but at most 0 are allowed: 1: the server",
        ):
            bring(server, tmp_path)
        assert max(server.asked.values()) == 1


def test_retry_after_holds_everybody_back(tmp_path: Path) -> None:
    """While one tile must wait, no other connection asks. Oracle: the server's clock."""
    refused: list[float] = []
    late: list[float] = []

    def answering(asked: Asked) -> Reply:
        import time

        if not refused:
            refused.append(time.monotonic())
            return Reply(429, headers={"Retry-After": "1"})
        late.append(time.monotonic() - refused[0])
        return well(asked)

    with serving(answering) as server:
        assert bring(server, tmp_path, planned(30), connections=4)[0].bad == {}
    in_between = [seconds for seconds in late if 0.5 < seconds < 1.0]
    assert in_between == []
    assert max(late) >= 1.0


def test_a_server_that_asks_for_hours_is_left_alone(tmp_path: Path) -> None:
    with serving(lambda asked: Reply(503, headers={"Retry-After": "7200"})) as server:
        with pytest.raises(SourceError, match="asks to wait 120 minutes"):
            bring(server, tmp_path)
        assert len(server.requests) <= 8


def test_what_retry_after_may_say() -> None:
    assert retry_after({"retry-after": "3"}) == 3.0
    assert retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0.0
    for nonsense in ("", "soon", "-5", "1e9", "Wed, 99 Foo", "9" * 400):
        assert retry_after({"retry-after": nonsense}) is None


# --- servers that are not there, or too slow ---------------------------------------------------------------


def test_a_server_that_is_down(tmp_path: Path) -> None:
    template = TileTemplate.parse(f"http://127.0.0.1:{closed_port()}/{{z}}/{{x}}/{{y}}.png")
    with (
        TileCache(tmp_path / "tiles.mbtiles", ZOOM) as cache,
        pytest.raises(SourceError, match="check that the server is running"),
    ):
        download_tiles(template, planned(), cache)


@pytest.mark.parametrize(("not_for", "told"), [("", True), ("127.0.0.1", False)])
def test_a_proxy_is_not_used_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, not_for: str, told: bool
) -> None:
    """Oracle: the rules of the standard library for who is behind a proxy."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://192.0.2.1:3128")
    monkeypatch.setenv("NO_PROXY", not_for)
    template = TileTemplate.parse(f"http://127.0.0.1:{closed_port()}/{{z}}/{{x}}/{{y}}.png")
    with (
        TileCache(tmp_path / "tiles.mbtiles", ZOOM) as cache,
        pytest.raises(SourceError, match="check that the server is running") as raised,
    ):
        download_tiles(template, planned(), cache)
    assert ("not through the proxy in HTTP_PROXY" in str(raised.value)) == told


def test_a_name_that_no_one_has(tmp_path: Path) -> None:
    template = TileTemplate.parse("http://tiles.invalid/{z}/{x}/{y}.png")
    with (
        TileCache(tmp_path / "tiles.mbtiles", ZOOM) as cache,
        pytest.raises(SourceError, match="tiles.invalid is unknown".replace(".", r"\.")),
    ):
        download_tiles(template, planned(), cache)


def test_a_server_that_is_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tile_http, "SILENCE_S", 1.0)
    monkeypatch.setattr(tile_server, "ATTEMPTS", 1)
    with serving(lambda asked: Reply(body=png(asked.x, 5), wait=20.0 if asked.x == 3 else 0.0)) as server:
        done, _ = bring(server, tmp_path, planned(6), max_bad=1)
    assert list(done.bad.values()) == [(FAILED, "no response within 1 s")]


def test_a_server_that_drips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then keeps no connection for ever."""
    monkeypatch.setattr(tile_http, "WHOLE_S", 0.2)
    monkeypatch.setattr(tile_server, "ATTEMPTS", 1)
    with serving(lambda asked: Reply(body=png(asked.x, 5), drip=0.05 if asked.x == 3 else 0.0)) as server:
        done, _ = bring(server, tmp_path, planned(6), max_bad=1)
    assert [kind for kind, _ in done.bad.values()] == [FAILED]


def test_a_server_that_closes_every_connection(tmp_path: Path) -> None:
    with serving(keep_alive=False) as server:
        assert bring(server, tmp_path)[0].fetched == 12


def test_an_answer_that_is_cut_short(tmp_path: Path) -> None:
    with serving(lambda asked: Reply(body=png(asked.x, 5), cut=100 if asked.before == 0 else 0)) as server:
        assert bring(server, tmp_path)[1] == [png(x, 5) for x in range(12)]


def test_it_gives_up_when_nothing_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tile_server, "MAX_IN_A_ROW", 20)
    with serving(lambda asked: well(asked) if asked.x < 10 else Reply(502)) as server:
        with pytest.raises(
            SourceError,
            match=r"20 tiles in a row could not be downloaded.*returned HTTP 502; downloaded tiles are kept",
        ):
            bring(server, tmp_path, planned(900), max_bad=900)
        assert len(server.asked) < 100
        server.answering = well
        assert bring(server, tmp_path, planned(40))[0].kept >= 5


# --- answers that are not tiles ----------------------------------------------------------------------------


def other_size() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (512, 512)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(body=png(1, 1), headers={"Content-Type": "text/html"}), "content type is 'text/html'"),
        (Reply(body=b"<html>busy</html>"), "a web page"),
        (Reply(body=png(1, 1)[:-20]), "truncated"),
        (Reply(body=claiming(50_000, 50_000)), "50,000 x 50,000 px"),
        (Reply(body=other_size()), "512 x 512 px instead of 256 x 256"),
        (Reply(body=b""), "nothing at all"),
        (Reply(body=png(1, 1), headers={"Content-Encoding": "gzip"}), "compressed"),
    ],
)
def test_what_is_no_tile(tmp_path: Path, reply: Reply, reason: str) -> None:
    """It is asked for twice, listed with the reason, and kept out."""
    with serving(lambda asked: reply if asked.x == 3 else well(asked)) as server:
        done, kept = bring(server, tmp_path, max_bad=1)
        assert server.asked[ZOOM, 3, 5] == 2
    ((code, (kind, told)),) = done.bad.items()
    assert (code, kind) == (5 * 2**ZOOM + 3, CORRUPT)
    assert reason in told
    assert kept[3] == b""
    assert kept[4] == png(4, 5)


@pytest.mark.parametrize("honest", [True, False])
def test_an_answer_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, honest: bool) -> None:
    """Not more than the limit is read, whether the server tells the size or not."""
    monkeypatch.setattr(tile_server, "MAX_TILE_BYTES", 50_000)
    headers = {} if honest else {"Content-Length": "", "Connection": "close"}
    endless = Reply(body=bytes(300_000), headers=headers)
    with serving(lambda asked: endless if asked.x == 3 else well(asked), keep_alive=honest) as server:
        done, _ = bring(server, tmp_path, max_bad=1)
    ((kind, told),) = done.bad.values()
    assert kind == FAILED
    assert "is larger than" in told


# --- redirects ---------------------------------------------------------------------------------------------


def to(location: str) -> Reply:
    return Reply(302, headers={"Location": location})


def test_a_redirect_on_the_same_server(tmp_path: Path) -> None:
    with serving(lambda asked: to("/hot/10/7/7.png") if asked.x == 3 else well(asked)) as server:
        assert bring(server, tmp_path)[1][3] == png(7, 7)


def test_a_redirect_to_a_private_server(tmp_path: Path) -> None:
    """The other server is never asked, whether by its address or by a name that means it."""
    for host in ("127.0.0.1", "localhost", "[::1]", "0.0.0.0", "169.254.169.254", "[::ffff:127.0.0.1]"):
        with serving() as other:
            target = f"http://{host}:{other.port}/hot/1/1/1.png"
            with (
                serving(lambda asked, to_=target: to(to_)) as server,
                pytest.raises(SourceError, match="not on the public internet, and is not followed"),
            ):
                bring(server, tmp_path)
            assert other.requests == []


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("file:///etc/passwd", "http or https, not from file"),
        ("ftp://example.org/a.png", "http or https, not from ftp"),
        ("https://example.org/a.png", "another scheme and is not followed"),
        ("http://me:secret@example.org/a.png", "has a user name or a password"),
        ("http://a.tile.openstreetmap.org/1/1/1.png", "forbids bulk download"),
        ("", "another scheme and is not followed"),
        ("/hot/10/3/5.png", "redirected more than 5 times"),
        ("http://exa mple/", "has a space"),
    ],
)
def test_redirects_that_are_not_followed(tmp_path: Path, location: str, reason: str) -> None:
    with serving(lambda asked: to(location)) as server, pytest.raises(SourceError, match=reason) as caught:
        bring(server, tmp_path, planned(1))
    assert "secret" not in str(caught.value)


# --- the cache ---------------------------------------------------------------------------------------------


def test_the_cache_is_mbtiles(tmp_path: Path) -> None:
    """Oracle: GDAL's own reader of MBTiles."""
    import rasterio

    with serving() as server:
        bring(server, tmp_path)
    with rasterio.open(tmp_path / "tiles.mbtiles") as file:
        assert file.driver == "MBTiles"
    with sqlite3.connect(tmp_path / "tiles.mbtiles") as database:
        found = database.execute(
            "SELECT tile_row FROM tiles WHERE zoom_level = 10 AND tile_column = 3"
        ).fetchall()
    assert found == [(2**ZOOM - 1 - 5,)]


def test_zooms_share_a_cache(tmp_path: Path) -> None:
    for zoom in (9, 10):
        with TileCache(tmp_path / "tiles.mbtiles", zoom) as cache:
            assert cache.read(3) is None
            cache.put(3, b"%d" % zoom, tile_server.Kept(1, 0.0, None, None))
    with TileCache(tmp_path / "tiles.mbtiles", 9) as cache:
        assert cache.read(3) == b"9"


def test_two_programs_use_it_at_once(tmp_path: Path) -> None:
    with serving() as server:
        found: list[Download] = []
        threads = [
            threading.Thread(target=lambda: found.append(bring(server, tmp_path, planned(80))[0]))
            for _ in "ab"
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [done.bad for done in found] == [{}, {}]


def test_a_damaged_cache(tmp_path: Path) -> None:
    (tmp_path / "tiles.mbtiles").write_bytes(b"SQLite format 3\0" + bytes(5000))
    with pytest.raises(SourceError, match=r"are damaged .*: remove that file"):
        TileCache(tmp_path / "tiles.mbtiles", ZOOM)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"):
        TileCache(tmp_path / "file" / "tiles.mbtiles", ZOOM)
