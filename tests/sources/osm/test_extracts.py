"""Extracts by path, by name and from the wheel; downloads against a server in the test."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import httpx
import pytest

from placevec.errors import SourceError
from placevec.io.folders import cache_folder
from placevec.sources.osm.extracts import embedded_extract, find_by_name, resolve_extract
from placevec.sources.osm.reader import read_header

CONTENT = bytes(range(256)) * 4000


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PLACEVEC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Server(httpx.BaseTransport):
    """Serves one file with an MD5 sum and ranges; cuts the first ``cuts`` answers in the middle."""

    def __init__(self, cuts: int = 0, md5: str | None = None, etag: str = '"one"', status: int = 200) -> None:
        self.cuts, self.md5, self.etag, self.status = cuts, md5, etag, status
        self.asked: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if request.url.path.endswith(".md5"):
            return httpx.Response(200, text=f"{self.md5}  file\n") if self.md5 else httpx.Response(404)
        if self.status != 200:
            return httpx.Response(self.status)
        start = 0
        if "Range" in request.headers and request.headers.get("If-Range") == self.etag:
            start = int(request.headers["Range"][len("bytes=") : -1])
        body = CONTENT[start:]
        headers = {"ETag": self.etag, "Content-Length": str(len(body))}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
        if self.cuts:
            self.cuts -= 1
            return httpx.Response(
                206 if start else 200, headers=headers, stream=Broken(body[: len(body) // 2])
            )
        return httpx.Response(206 if start else 200, headers=headers, content=body)


class Broken(httpx.SyncByteStream):
    """A connection that breaks off behind its bytes."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    def __iter__(self):  # type: ignore[no-untyped-def]
        yield self.body
        raise httpx.ReadError("connection reset")


class Offline(httpx.BaseTransport):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("[Errno -3] Temporary failure in name resolution")


MD5 = hashlib.md5(CONTENT).hexdigest()


def test_a_path_is_taken_as_it_is(helsinki_pbf: Path) -> None:
    with pytest.raises(SourceError, match=r"monaco does not exist.*--osm-name 'monaco'"):
        resolve_extract("monaco")
    extract = resolve_extract(helsinki_pbf)
    assert (extract.path, extract.url) == (helsinki_pbf, None)
    assert extract.name + ".osm.pbf" == helsinki_pbf.name


@pytest.mark.parametrize("given", [(None, None), ("a.osm", "Monaco")])
def test_one_of_path_and_name_is_needed(given: tuple[str | None, str | None]) -> None:
    with pytest.raises(SourceError, match="--osm-name"):
        resolve_extract(*given)


def test_the_embedded_extract_is_the_center_of_helsinki() -> None:
    """Oracle: the railway station, lon 24.9414, lat 60.1719 (OpenStreetMap, Wikipedia)."""
    area = read_header(embedded_extract().path).area
    assert area is not None
    assert area.contains([24.9414], [60.1719]).all()
    assert area.east - area.west < 0.05


@pytest.mark.parametrize(
    "name", ["Monaco", " monaco ", "europe/Monaco", "New York", "new-york", "great britain"]
)
def test_names_are_found_however_they_are_spelled(name: str) -> None:
    file, url = find_by_name(name)
    assert url.startswith("https://")
    assert url.endswith(file)


def test_near_names_are_offered() -> None:
    with pytest.raises(SourceError, match=r"did you mean .*monaco"):
        find_by_name("Monacco")


def test_a_name_that_two_regions_share_is_not_guessed() -> None:
    with pytest.raises(SourceError, match=r"(?i)ambiguous.*europe/georgia"):
        find_by_name("Georgia")
    assert find_by_name("europe/georgia")[1] != find_by_name("usa/georgia")[1]


def test_a_download_is_checked_kept_and_not_repeated(own_cache: Path) -> None:
    server = Server(md5=MD5)
    extract = resolve_extract(osm_name="Monaco", transport=server)
    assert extract.path.read_bytes() == CONTENT
    assert extract.path.is_relative_to(own_cache)
    assert (extract.checked, extract.name) == (True, "monaco-latest.osm.pbf")
    assert "placevec" in server.asked[0].headers["User-Agent"]
    again = resolve_extract(osm_name="Monaco", transport=Offline())
    assert again == extract
    assert sorted(path.name for path in extract.path.parent.iterdir()) == [
        extract.name,
        f"{extract.name}.json",
    ]


def test_without_a_published_sum_it_says_so() -> None:
    assert not resolve_extract(osm_name="Monaco", transport=Server()).checked


def test_a_broken_download_goes_on_where_it_stopped() -> None:
    server = Server(cuts=1, md5=MD5)
    with pytest.raises(SourceError, match=r"bytes are kept"):
        resolve_extract(osm_name="Monaco", transport=server)
    extract = resolve_extract(osm_name="Monaco", transport=server)
    assert extract.path.read_bytes() == CONTENT
    assert server.asked[1].headers["Range"] == f"bytes={len(CONTENT) // 2}-"


def test_a_changed_file_is_fetched_from_the_start() -> None:
    with pytest.raises(SourceError):
        resolve_extract(osm_name="Monaco", transport=Server(cuts=1, etag='"old"'))
    extract = resolve_extract(osm_name="Monaco", transport=Server(etag='"new"', md5=MD5))
    assert extract.path.read_bytes() == CONTENT


class Fixed(httpx.BaseTransport):
    """Answers each request for the file by the next of ``answers``, and knows no MD5 sum."""

    def __init__(self, *answers: httpx.Response) -> None:
        self.answers, self.asked = list(answers), list[httpx.Request]()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith(".md5"):
            return httpx.Response(404)
        self.asked.append(request)
        return self.answers.pop(0)


def broken(*, at: int, start: int = 0, **headers: str) -> httpx.Response:
    """The bytes from ``start`` on, cut off at ``at``."""
    length = {"Content-Length": str(len(CONTENT) - start)}
    ranged = {"Content-Range": f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"} if start else {}
    return httpx.Response(
        206 if start else 200, headers={**length, **ranged, **headers}, stream=Broken(CONTENT[start:at])
    )


def test_killed_twenty_times_it_is_the_same_file() -> None:
    """Every answer breaks off after a twentieth: twenty-one tries bring every byte once."""
    step = len(CONTENT) // 20
    starts = [number * step for number in range(21)]
    server = Fixed(*(broken(start=start, at=start + step, ETag='"one"') for start in starts))
    for _ in range(19):
        with pytest.raises(SourceError, match="bytes are kept"):
            resolve_extract(osm_name="Monaco", transport=server)
    with pytest.raises(SourceError):  # all bytes are there, but the connection broke before it ended
        resolve_extract(osm_name="Monaco", transport=server)
    server.answers[:] = [httpx.Response(416)]
    extract = resolve_extract(osm_name="Monaco", transport=server)
    assert extract.path.read_bytes() == CONTENT
    assert [request.headers.get("Range") for request in server.asked] == [
        None, *(f"bytes={start}-" for start in starts[1:]),
    ]  # fmt: skip


def test_an_answer_that_ends_early_without_a_word_is_gone_on_with() -> None:
    half = len(CONTENT) // 2
    headers = {"ETag": '"one"', "Content-Length": str(len(CONTENT))}
    short = httpx.Response(200, headers=headers, stream=Whole(CONTENT[:half]))
    rest = {"ETag": '"one"', "Content-Range": f"bytes {half}-{len(CONTENT) - 1}/{len(CONTENT)}"}
    server = Fixed(short, httpx.Response(206, headers=rest, content=CONTENT[half:]))
    with pytest.raises(SourceError, match=r"received 512,000 of 1,024,000 bytes.*512,000 bytes are kept"):
        resolve_extract(osm_name="Monaco", transport=server)
    assert resolve_extract(osm_name="Monaco", transport=server).path.read_bytes() == CONTENT


class Whole(httpx.SyncByteStream):
    """Its bytes, and a clean end."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    def __iter__(self):  # type: ignore[no-untyped-def]
        yield self.body


@pytest.mark.parametrize(
    ("headers", "sent"),
    [
        ({"ETag": '"one"', "Last-Modified": "Sat, 21 Nov 2026 06:00:00 GMT"}, '"one"'),
        (
            {"ETag": 'W/"weak"', "Last-Modified": "Sat, 21 Nov 2026 06:00:00 GMT"},
            "Sat, 21 Nov 2026 06:00:00 GMT",
        ),
        ({"ETag": 'W/"weak"'}, None),
        ({}, None),
    ],
)
def test_only_what_names_the_very_bytes_lets_a_download_go_on(
    headers: dict[str, str], sent: str | None
) -> None:
    """RFC 9110, 13.1.5: a weak entity tag must not be sent as If-Range. Without another, it begins again."""
    server = Fixed(broken(at=1000, **headers), httpx.Response(200, content=CONTENT))
    with pytest.raises(SourceError):
        resolve_extract(osm_name="Monaco", transport=server)
    assert resolve_extract(osm_name="Monaco", transport=server).path.read_bytes() == CONTENT
    assert server.asked[1].headers.get("If-Range") == sent
    assert server.asked[1].headers.get("Range") == (None if sent is None else "bytes=1000-")


def test_another_range_than_asked_for_is_never_kept() -> None:
    """Appended, or taken for the whole, it would be a damaged file that no MD5 sum tells of."""
    wrong = httpx.Response(
        206, headers={"Content-Range": f"bytes 5-{len(CONTENT) - 1}/{len(CONTENT)}"}, content=CONTENT[5:]
    )
    server = Fixed(broken(at=1000, ETag='"one"'), wrong, httpx.Response(200, content=CONTENT))
    for _ in range(2):
        with pytest.raises(SourceError):
            resolve_extract(osm_name="Monaco", transport=server)
    assert resolve_extract(osm_name="Monaco", transport=server).path.read_bytes() == CONTENT
    assert server.asked[1].headers["Range"] == "bytes=1000-"
    assert "Range" not in server.asked[2].headers


def test_a_file_is_not_fetched_twice_when_only_its_sum_could_not_be_asked() -> None:
    class WithoutSum(Server):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.path.endswith(".md5"):
                raise httpx.ReadError("connection reset")
            return super().handle_request(request)

    with pytest.raises(SourceError, match="1,024,000 bytes are kept"):
        resolve_extract(osm_name="Monaco", transport=WithoutSum())
    server = Fixed(httpx.Response(416))
    assert resolve_extract(osm_name="Monaco", transport=server).path.read_bytes() == CONTENT


@pytest.mark.parametrize("sum_", ["<html>404</html>", "0" * 31, "", "f" * 10_000])
def test_what_is_no_sum_is_no_sum(sum_: str) -> None:
    assert not resolve_extract(osm_name="Monaco", transport=Server(md5=sum_)).checked


class Redirecting(httpx.BaseTransport):
    """Sends every request that is not for ``mirror`` there."""

    def __init__(self, mirror: str) -> None:
        self.mirror, self.server, self.hosts = mirror, Server(md5=MD5), list[str]()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.hosts.append(request.url.host)
        if str(request.url).startswith(self.mirror):
            return self.server.handle_request(request)
        return httpx.Response(302, headers={"Location": self.mirror + request.url.path.rpartition("/")[2]})


def test_a_redirect_to_a_mirror_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    resolved(monkeypatch, "93.184.215.14")
    extract = resolve_extract(osm_name="Monaco", transport=Redirecting("https://mirror.example/osm/"))
    assert extract.checked
    assert extract.path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("mirror", "address", "why"),
    [
        ("http://mirror.example/", "93.184.215.14", "not encrypted"),
        ("https://mirror.example/", "10.0.0.7", "private address"),
        ("https://mirror.example/", "169.254.169.254", "private address"),
        ("https://[::1]/", "::1", "private address"),
        ("https://127.0.0.1:8443/", "127.0.0.1", "private address"),
        ("file:///etc/", "93.184.215.14", "not encrypted|cannot download"),
    ],
)
def test_a_redirect_elsewhere_is_not(
    monkeypatch: pytest.MonkeyPatch, own_cache: Path, mirror: str, address: str, why: str
) -> None:
    """Refused before anything is asked of it, in one line; nothing is kept."""
    resolved(monkeypatch, address)
    server = Redirecting(mirror)
    with pytest.raises(SourceError, match=why) as caught:
        resolve_extract(osm_name="Monaco", transport=server)
    assert "\n" not in str(caught.value)
    assert len(server.hosts) == 1
    assert not list(own_cache.rglob("*.osm.pbf"))


def resolved(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """Every name is at ``address``."""
    monkeypatch.setattr("socket.getaddrinfo", lambda host, port: [(2, 1, 6, "", (address, port))])


def test_a_damaged_download_is_thrown_away() -> None:
    with pytest.raises(SourceError, match="MD5"):
        resolve_extract(osm_name="Monaco", transport=Server(md5="0" * 32))
    assert resolve_extract(osm_name="Monaco", transport=Server(md5=MD5)).path.read_bytes() == CONTENT


def test_offline_says_so_in_one_line() -> None:
    with pytest.raises(SourceError, match="check the network connection") as caught:
        resolve_extract(osm_name="Monaco", transport=Offline())
    assert "\n" not in str(caught.value)
    assert "monaco-latest.osm.pbf" in str(caught.value)


def test_an_answer_of_the_server_is_reported() -> None:
    with pytest.raises(SourceError, match="404"):
        resolve_extract(osm_name="Monaco", transport=Server(status=404))


def test_the_cache_is_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PLACEVEC_CACHE")
    assert cache_folder() == Path.home() / ".cache" / "placevec"


def test_what_was_downloaded_is_written_down() -> None:
    extract = resolve_extract(osm_name="Monaco", transport=Server(md5=MD5))
    about = json.loads(extract.path.with_name(extract.name + ".json").read_text())
    assert about == {"url": extract.url, "md5": MD5, "bytes": len(CONTENT)}
