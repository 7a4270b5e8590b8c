"""Dumps that are whole, and dumps that are not. Oracle: what was written into them."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections import Counter
from pathlib import Path

import pytest

from placevec.errors import SourceError
from placevec.sources.wikidata import dump
from placevec.sources.wikidata.dump import BAD_LINES, LONG_LINES, read_dump
from placevec.sources.wikidata.items import item_of
from tests.wikibase import SMALL, entity, write_dump


@pytest.mark.parametrize("ending", [".json", ".json.gz", ".json.bz2"])
def test_wanted_items_are_read(ending: str, tmp_path: Path) -> None:
    counts: Counter[str] = Counter()
    path = write_dump(tmp_path / f"dump{ending}", [*SMALL, {"type": "property", "id": "P31", "labels": {}}])
    found = list(read_dump(path, {9, 1757, 404}, counts=counts))
    assert found == [item_of(SMALL[0]), item_of(SMALL[1])]
    assert counts == {"entities": len(SMALL) + 1}


def test_other_orders_of_fields_are_read(tmp_path: Path) -> None:
    """A line whose id stands last, one with spaces, and a plain list without brackets."""
    late = {**{key: value for key, value in SMALL[1].items() if key != "id"}, "id": "Q9"}
    (tmp_path / "lines.json").write_text(json.dumps(late) + "\n" + json.dumps(SMALL[0]) + "\n")
    assert [one.qid for one in read_dump(tmp_path / "lines.json", {9, 1757})] == [9, 1757]


def test_bad_lines_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Truncated, 100,000 deep, of wrong types, no item, too long: the others still come."""
    monkeypatch.setattr(dump, "MAX_LINE_BYTES", 150_000)
    bad = [
        b'{"type":"item","id":"Q9","labels":{"en":', b"[" * 100_000, b'{"type":"item","id":"Q9","labels":5}', b"null",
        b'{"type":"item","labels":{},"id":7}', b"\xff\xfe\x00", b'{"id":"' + b"Q" * 400_000 + b'"}',
    ]  # fmt: skip
    path, counts = (
        write_dump(
            tmp_path / "dump.json",
            SMALL[:1],
            more=[*bad, json.dumps(SMALL[1]).encode(), *[b'{"type":"item","id":"Q8"}'] * 70],
        ),
        Counter(),
    )
    assert [one.qid for one in read_dump(path, {9, 1757}, counts=counts)] == [1757, 9]
    assert counts == {"entities": 72, BAD_LINES: 6, LONG_LINES: 1}
    path = write_dump(tmp_path / "dump.json", SMALL, more=bad[:3])
    with pytest.raises(SourceError, match=r"3 of \d lines are not entities"):
        list(read_dump(path, {9}))


def test_truncated_files_are_refused(tmp_path: Path) -> None:
    whole = write_dump(
        tmp_path / "dump.json.gz", [entity(f"Q{n}", {"en": f"{n * 7919}"}) for n in range(1, 300)]
    )
    whole.write_bytes(whole.read_bytes()[:-200])
    with pytest.raises(SourceError, match=r"dump.json.gz is truncated or damaged .*download it again"):
        list(read_dump(whole, {5}))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a JSON dump"), (b"<html>\n<p>\n", "not a JSON dump"), (b"[\n]\n", "not a JSON dump"),
        (b"\x1f\x8b\x00\x00", "truncated or damaged|cannot read"), (b"BZh9 not", "truncated or damaged|cannot read"),
    ],
)  # fmt: skip
def test_other_files_are_refused(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "dump.json").write_bytes(content)
    with pytest.raises(SourceError, match=words):
        list(read_dump(tmp_path / "dump.json", {5}))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"nowhere\.json"):
        list(read_dump(tmp_path / "nowhere.json", {5}))


def test_memory_does_not_grow_with_the_dump(tmp_path: Path) -> None:
    """Twenty times as many entities take no more memory (the peak of Python's own allocations)."""
    line = json.dumps(entity("Q123456", {"en": "x" * 5_000})).encode()

    def peak(count: int) -> int:
        path = tmp_path / f"{count}.json.gz"
        with gzip.open(path, "wb", compresslevel=1) as file:
            file.write(b"[\n" + b",\n".join([line] * count) + b"\n]\n")
        tracemalloc.start()
        list(read_dump(path, {5}))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(10)
    assert peak(4_000) < 1.2 * peak(200) + 100_000
