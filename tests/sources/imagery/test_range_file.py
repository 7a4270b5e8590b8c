"""Files read in parts over HTTP: oracle is the file itself; servers that answer badly."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from placevec.errors import SourceError
from placevec.sources.imagery import range_file
from placevec.sources.imagery.range_file import PAGE, RangeFile
from placevec.sources.patience import PatientClient
from tests.sources.imagery.range_server import Asked, RangeServer, Reply, serving

SIZE = 5 * PAGE + 1234


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    found = random.Random(3).randbytes(SIZE)
    (tmp_path / "a.tif").write_bytes(found)
    return found


def opened(server: RangeServer, waits: list[float] | None = None) -> RangeFile:
    held: list[float] = [] if waits is None else waits
    client = PatientClient((server.url,), max_bytes=2**24, sleep=held.append)
    return RangeFile(f"{server.url}/a.tif", client)


def test_reads_are_those_of_the_file_and_no_byte_comes_twice(tmp_path: Path, content: bytes) -> None:
    with serving(tmp_path) as server:
        file = opened(server)
        draw = random.Random(1)
        for _ in range(60):
            start, size = draw.randrange(SIZE + 10), draw.choice([0, 1, 100, PAGE, 3 * PAGE])
            file.seek(start)
            assert file.read(size) == content[start : start + size]
        file.seek(-10, 2)
        assert (file.tell(), file.read()) == (SIZE - 10, content[-10:])
        assert server.sent == SIZE


def test_few_pages_are_kept(tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(range_file, "KEPT_PAGES", 2)
    with serving(tmp_path) as server:
        file = opened(server)
        for start in (0, 3 * PAGE, 0, 4 * PAGE + 5):
            file.seek(start)
            assert file.read(2 * PAGE) == content[start : start + 2 * PAGE]
        assert len(file._pages) == 2


def test_a_server_without_ranges_sends_all_of_it(tmp_path: Path, content: bytes) -> None:
    with serving(tmp_path, lambda _: Reply(200, content)) as server:
        file = opened(server)
        file.seek(PAGE + 1)
        assert file.read(10) == content[PAGE + 1 : PAGE + 11]
        assert sum(server.asked.values()) == 1


def replaced(asked: Asked) -> Reply | None:
    span = {"Content-Range": f"bytes {PAGE}-{2 * PAGE - 1}/{SIZE}", "ETag": '"other"'}
    return Reply(206, bytes(PAGE), span) if asked.before else None


def elsewhere(asked: Asked) -> Reply | None:
    span = {"Content-Range": f"bytes 0-{PAGE - 1}/{SIZE}"}
    return Reply(206, bytes(PAGE), span) if asked.before else None


@pytest.mark.parametrize(
    ("answering", "message"),
    [
        (replaced, "replaced while it was read"),
        (elsewhere, "a different range than requested"),
        (lambda asked: Reply(206, bytes(PAGE)) if asked.before else None, "without a Content-Range header"),
        (lambda asked: Reply(404) if asked.before else None, "the server responded with 404"),
        (lambda asked: Reply(206, bytes(100), cut=60) if asked.before else None, "truncated"),
    ],
)
def test_bad_answers_end_the_file_with_one_line(
    tmp_path: Path, content: bytes, answering: object, message: str
) -> None:
    with serving(tmp_path, answering) as server:  # type: ignore[arg-type]
        file = opened(server)
        file.seek(PAGE)
        assert file.read(10) == b""
        assert file.failed is not None
        assert message in str(file.failed)


def test_what_may_pass_is_tried_again_after_the_time_that_is_asked_for(
    tmp_path: Path, content: bytes
) -> None:
    def busy(asked: Asked) -> Reply | None:
        return Reply(429, headers={"Retry-After": "7"}) if asked.before == 0 else None

    waits: list[float] = []
    with serving(tmp_path, busy) as server:
        assert opened(server, waits).read(3) == content[:3]
    assert waits == [7.0]


def test_a_server_that_asks_for_an_hour_is_not_waited_for(tmp_path: Path) -> None:
    with (
        serving(tmp_path, lambda _: Reply(503, headers={"Retry-After": "3600"})) as server,
        pytest.raises(SourceError, match="60 minutes"),
    ):
        opened(server)


def test_private_addresses_that_the_user_did_not_name_are_not_contacted(
    tmp_path: Path, content: bytes
) -> None:
    with serving(tmp_path) as named, serving(tmp_path) as other:
        client = PatientClient((named.url,), max_bytes=2**20)
        with pytest.raises(SourceError, match="not on the public internet"):
            RangeFile(f"{other.url}/a.tif", client)
        with serving(
            tmp_path, lambda _: Reply(302, headers={"Location": f"{other.url}/a.tif"})
        ) as redirecting:
            client = PatientClient((redirecting.url,), max_bytes=2**20)
            with pytest.raises(SourceError, match="not on the public internet"):
                RangeFile(f"{redirecting.url}/a.tif", client)
        assert not other.asked
