"""Oracle: every flip of one bit; CRC-32 detects all of them."""

from __future__ import annotations

import contextlib
import json
import random
import zlib
from pathlib import Path

import pytest

from placevec.io.checksums import (
    OWN,
    changes,
    crc32_of_file,
    is_intact,
    read_sealed,
    sealed,
    sha256_of_files,
    write_sealed,
)


@pytest.mark.parametrize("indent", [None, 2])
def test_every_flip_in_a_sealed_file_is_found(indent: int | None, tmp_path: Path) -> None:
    """A flip in the key of the checksum leaves none, which `validate` reports."""
    raw = sealed({"name": "Ħamrun", "area": [14.4, 35.8], "00000000": "00000000"}, indent=indent)
    assert is_intact(raw)
    for number in range(0, 8 * len(raw), 3):
        flipped = bytearray(raw)
        flipped[number // 8] ^= 1 << number % 8
        assert not is_intact(bytes(flipped))
        (tmp_path / "a.json").write_bytes(flipped)
        with contextlib.suppress(ValueError):
            assert OWN not in read_sealed(tmp_path / "a.json")


def test_a_sealed_file_is_plain_json_sealed_again(tmp_path: Path) -> None:
    write_sealed(tmp_path / "a.json", {"b": 1})
    content = read_sealed(tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_text()) == content
    assert list(content) == ["b", OWN]
    assert sealed(content) == (tmp_path / "a.json").read_bytes()
    (tmp_path / "a.json").write_bytes((tmp_path / "a.json").read_bytes().replace(b"1", b"2", 1))
    with pytest.raises(ValueError, match=f"has changed since placevec wrote it; .* delete its line '{OWN}'"):
        read_sealed(tmp_path / "a.json")
    (tmp_path / "a.json").write_text('{"b": 2}')  # as the message says
    assert read_sealed(tmp_path / "a.json") == {"b": 2}


def test_files_and_their_beginnings(tmp_path: Path) -> None:
    """Oracle: zlib on the whole content."""
    content = random.Random(0).randbytes(2**20 + 17)
    (tmp_path / "a").write_bytes(content)
    for size in (None, 0, 1, 2**20, 2**20 + 1, len(content)):
        assert crc32_of_file(tmp_path / "a", size) == zlib.crc32(content[:size])
    (tmp_path / "b").write_bytes(b"")
    known = sha256_of_files(tmp_path, ["b", "a"])
    assert list(known) == ["a", "b"]
    assert changes(tmp_path, known) == []
    (tmp_path / "a").write_bytes(content[:-1])
    (tmp_path / "b").unlink()
    assert [line.rpartition("/")[2] for line in changes(tmp_path, known)] == [
        "a is damaged: its content has changed since it was written", "b is missing"
    ]  # fmt: skip
