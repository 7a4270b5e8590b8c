"""Parquet files of placevec: zstd, checksums of pages, and a checksum of the footer and of the whole file in the footer.

Checksums of pages and of the footer are verified whenever a file is read, that of the whole file by `damage`.
Files of others have no checksum of their footer, and often none of their pages.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from placevec.errors import SourceError
from placevec.io.checksums import crc32_of_file, crc32_with_holes
from placevec.io.files import refuse_pipe

KEY = "placevec:checksums"
"""Key of the file's metadata: CRC-32 of its footer, and of the whole file, with zeros in their place, and its size.

Whoever reads the table and writes it again, with pyarrow for example, copies the key; the size says that it is another
file.
"""
_SUM, _LENGTH = 8, 28
_MARK = re.compile(re.escape(KEY.encode()) + rb"\x18\x1c([0-9a-f]{28})")
_TAIL = 2**16


class ParquetWriter(pq.ParquetWriter):  # type: ignore[misc]  # pyarrow has no types
    """`pyarrow.parquet.ParquetWriter` with checksums of everything; zstd unless ``compression`` is given."""

    def __init__(self, where: str | os.PathLike[str], schema: pa.Schema, **options: Any) -> None:
        self._path = Path(where)
        options = {"compression": "zstd", **options}
        super().__init__(where, _without_mark(schema), write_page_checksum=True, **options)

    def close(self) -> None:
        """Write the footer, then the checksums into it, unless the file was removed after an error."""
        if not self.is_open:
            return
        is_file = self._path.is_file()
        if is_file:
            self.add_key_value_metadata({KEY: "0" * _LENGTH})
        super().close()
        if is_file:
            _seal(self._path)

    def __exit__(self, *problem: Any) -> None:
        """Close; after an error, without checksums, which the file may be too short for."""
        if problem[0] is None:
            self.close()
            return
        with contextlib.suppress(OSError, pa.ArrowException):
            super().close()


def write_table(table: pa.Table, path: str | os.PathLike[str], **options: Any) -> None:
    """`pyarrow.parquet.write_table` with checksums of everything, zstd.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "a.parquet"
    >>> write_table(pa.table({"a": [1, 2]}), file)
    >>> damage(file) is None, pq.read_table(file)["a"].to_pylist()
    (True, [1, 2])
    """
    with ParquetWriter(path, table.schema, **options) as writer:
        writer.write_table(table)


def _without_mark(schema: pa.Schema) -> pa.Schema:
    """The schema of a table that may have been read from such a file."""
    metadata = dict(schema.metadata or {})
    return schema if metadata.pop(KEY.encode(), None) is None else schema.with_metadata(metadata or None)


def own_metadata(metadata: Mapping[bytes, bytes] | None) -> dict[bytes, bytes]:
    """Metadata of a table without what Arrow, pandas and this module put there."""
    technical = (b"ARROW:schema", b"pandas", KEY.encode())
    return {name: value for name, value in (metadata or {}).items() if name not in technical}


@contextlib.contextmanager
def opened(path: str | os.PathLike[str], what: str = "table", **options: Any) -> Iterator[pq.ParquetFile]:
    """`pyarrow.parquet.ParquetFile` that verifies the checksums of the footer and of every page that is read.

    Raises:
        SourceError: the file is damaged.
    """
    try:
        _require_footer(Path(path))
        with pq.ParquetFile(path, page_checksum_verification=True, **options) as file:
            yield file
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise SourceError(f"{path} is not a Parquet {what}, or is damaged") from error


def damage(path: Path) -> str | None:
    """Why a file of placevec is not as it was written; None if it is. The whole file is verified."""
    found = _marked_footer(path)
    if found is None:
        return "it has no checksum, or its footer is damaged"
    footer, start = found
    mark = _MARK.search(footer)
    assert mark is not None
    stored = mark[1][: 2 * _SUM]
    if int(stored[:8], 16) != _footer_sum(footer, mark):
        return "its footer has changed since it was written"
    at = start + mark.start(1)
    whole = crc32_with_holes(path, [at + 8])
    return None if int(stored[8:], 16) == whole else "its content has changed since it was written"


def _require_footer(path: Path) -> None:
    """OSError unless the footer is as it was written, as far as it has a checksum."""
    if (found := _marked_footer(path)) is not None:
        footer, _ = found
        mark = _MARK.search(footer)
        assert mark is not None
        if int(mark[1][:8], 16) != _footer_sum(footer, mark):
            raise OSError("the checksum of the footer does not match")


def _marked_footer(path: Path) -> tuple[bytes, int] | None:
    """(footer with its length and magic, its position) if it holds checksums."""
    refuse_pipe(path, "table")
    with open(path, "rb") as file:
        end = file.seek(0, os.SEEK_END)
        tail_start = max(0, end - _TAIL)
        file.seek(tail_start)
        tail = file.read()
        if tail[-4:] != b"PAR1":
            return None
        size = int.from_bytes(tail[-8:-4], "little") + 8
        if size > end:
            return None
        if size > len(tail):
            file.seek(end - size)
            tail = file.read()
    footer = tail[-size:]
    mark = _MARK.search(footer)
    if mark is None or int(mark[1][2 * _SUM :], 16) not in (0, end):
        return None
    return footer, end - size


def _footer_sum(footer: bytes, mark: re.Match[bytes]) -> int:
    return zlib.crc32(footer[: mark.start(1)] + b"0" * 2 * _SUM + footer[mark.start(1) + 2 * _SUM :])


def _seal(path: Path) -> None:
    found = _marked_footer(path)
    if found is None:
        raise OSError(errno.EIO, "the file was cut short while it was written", str(path))
    footer, start = found
    mark = _MARK.search(footer)
    assert mark is not None
    size = b"%012x" % (start + len(footer))
    footer = footer[: mark.start(1) + 2 * _SUM] + size + footer[mark.end(1) :]
    at = start + mark.start(1)
    with open(path, "r+b", buffering=0) as file:
        file.seek(at)
        file.write(b"%08x" % _footer_sum(footer, mark) + b"0" * _SUM + size)
    whole = crc32_of_file(path)
    with open(path, "r+b", buffering=0) as file:
        file.seek(at + 8)
        file.write(b"%08x" % whole)
