"""Which encoding the text of a file is in: UTF-8, what its byte order mark says, or Windows-1252."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from placevec.errors import SourceError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins as the mark of UTF-16 does
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
WESTERN = "cp1252"
_SAMPLE = 2**18
_RUN = re.compile(rb"[\x80-\xff]{3,}")
_MAX_RUNS = 0.2
"""Largest share of letters beyond ASCII that stand three or more in a row in a text of Western Europe; in Cyrillic, Greek
and Asian encodings nearly all do."""


def encoding_of(path: Path) -> str:
    """The encoding of a file, by its mark and by samples of its beginning, middle and end.

    Raises:
        SourceError: neither UTF-8 nor Windows-1252.
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        begin = file.read(_SAMPLE)
        for mark, name in _MARKS:
            if begin.startswith(mark):
                return name
        samples = [begin]
        for at in (size // 2, size - _SAMPLE):
            if at >= len(begin):
                file.seek(at)
                samples.append(file.read(_SAMPLE))
    if all(_is_utf8(sample) for sample in samples):
        return "utf-8"
    text = b"".join(samples)
    high = sum(byte >= 0x80 for byte in text)
    in_runs = sum(len(run) for run in _RUN.findall(text))
    try:
        if b"\0" in text or in_runs > _MAX_RUNS * high:
            raise ValueError("another alphabet")
        text.decode(WESTERN)
    except ValueError:
        raise SourceError(
            f"{path} is neither UTF-8 nor Windows-1252: convert it, for example with iconv -f ENCODING -t utf-8, "
            f"with the encoding of the program that wrote it"
        ) from None
    return WESTERN


def _is_utf8(sample: bytes) -> bool:
    """Whether a piece of a file is UTF-8; its ends may cut a character."""
    if sample.isascii():
        return True
    start = next((at for at in range(min(4, len(sample))) if sample[at] & 0xC0 != 0x80), 0)
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample[start:])
    except UnicodeDecodeError:
        return False
    return True
