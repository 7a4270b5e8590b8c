"""Items from a JSON dump of Wikidata (https://www.wikidata.org/wiki/Wikidata:Database_download), in constant memory.

A dump is one long list with one entity per line. It is read once from beginning to end; of lines that hold none of the
wanted items, only the first bytes are read.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import re
import zlib
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, Any

from placevec.errors import SourceError
from placevec.io.files import refuse_pipe
from placevec.io.json_documents import parse_json
from placevec.io.progress import SILENT, Progress
from placevec.sources.tables.losses import FEW, SHARE
from placevec.sources.wikidata.items import Item, item_of, number_of

MAX_LINE_BYTES = 64 * 2**20
"""Maximum bytes of an entity; the longest have some four million."""
BAD_LINES, LONG_LINES = "lines that are not entities", "lines that are too long"
_BEGINNING = re.compile(
    rb'\s*\{\s*(?:"type"\s*:\s*"(?:item|property|lexeme)"\s*,\s*)?"id"\s*:\s*"([QPL])([1-9][0-9]{0,11})"'
)
_MAGIC = {b"\x1f\x8b": gzip.open, b"BZ": bz2.open}
_TICK = 2_000


def read_dump(
    path: str | Path,
    wanted: Collection[int],
    *,
    counts: Counter[str] | None = None,
    label: str = "Reading Wikidata",
    progress: Progress = SILENT,
) -> Iterator[Item]:
    """Stream the wanted items of a dump; those that it lacks, such as redirects, are left out.

    Args:
        path: .json, .json.gz or .json.bz2; with or without the brackets around the list.
        wanted: numbers of the items.
        counts: is filled: entities, and lines that could not be read, by reason.
        label: of the progress bar.
        progress: receives progress reports.

    Raises:
        SourceError: the file is missing, no dump, or truncated.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "dump.json"
    >>> _ = file.write_text('[\\n{"type":"item","id":"Q9","labels":{"en":{"language":"en","value":"park"}}},\\n]\\n')
    >>> [(item.qid, item.labels) for item in read_dump(file, {9, 10})]
    [(9, {'en': 'park'})]
    """
    path, counts = Path(path), Counter() if counts is None else counts
    wanted = frozenset(wanted)
    refuse_pipe(path, "dump")
    try:
        with (
            open(path, "rb") as raw,
            _unpacked(raw) as file,
            progress.task(label, total=path.stat().st_size) as advance,
        ):
            at, there = 0, 0
            for number, line in enumerate(_lines(file, counts), 1):
                if number % _TICK == 0:
                    told = raw.tell()
                    advance(
                        told - at, f"{counts['entities']:,} entities, {there:,} of {len(wanted):,} wanted"
                    )
                    at = told
                item = _item(line, wanted, counts)
                if item is not None:
                    there += 1
                    yield item
            advance(path.stat().st_size - at)
    except (EOFError, zlib.error) as error:
        raise SourceError(f"{path} is truncated or damaged ({error}): download it again") from error
    except OSError as error:
        raise SourceError(f"cannot read the dump {path}: {error.strerror or error}") from error
    lines = sum(counts.values())
    if not counts["entities"]:
        raise SourceError(f"{path} is not a JSON dump of Wikidata: of {lines:,} lines, none is an entity")
    lost = lines - counts["entities"]
    if lost > FEW and lost > SHARE * lines:
        raise SourceError(
            f"{path}: {lost:,} of {lines:,} lines are not entities or are longer than {MAX_LINE_BYTES // 10**6:,} MB: "
            "download the dump again, or put one entity on each line"
        )


def _unpacked(raw: IO[bytes]) -> Any:
    head = raw.read(2)
    raw.seek(0)
    opens: Any = _MAGIC.get(head)
    return opens(raw, "rb") if opens else contextlib.nullcontext(raw)


def _lines(file: IO[bytes], counts: Counter[str]) -> Iterator[bytes]:
    """Lines, without the comma after each; those that are too long are passed over."""
    while line := file.readline(MAX_LINE_BYTES):
        if not line.endswith(b"\n") and len(line) == MAX_LINE_BYTES:
            counts[LONG_LINES] += 1
            while line and not line.endswith(b"\n"):
                line = file.readline(MAX_LINE_BYTES)
            continue
        line = line.strip().rstrip(b",")
        if line and line not in (b"[", b"]"):
            yield line


def _item(line: bytes, wanted: frozenset[int], counts: Counter[str]) -> Item | None:
    """The item of a line, if it is wanted."""
    begins = _BEGINNING.match(line[:200])
    if begins and (begins[1] != b"Q" or int(begins[2]) not in wanted):
        counts["entities"] += 1
        return None
    try:
        content = parse_json(line)
        if not isinstance(content, dict) or not isinstance(content.get("id"), str):
            raise ValueError("it is not an entity")
        item = item_of(content) if number_of(content["id"]) in wanted else None
    except ValueError:
        counts[BAD_LINES] += 1
        return None
    counts["entities"] += 1
    return item
