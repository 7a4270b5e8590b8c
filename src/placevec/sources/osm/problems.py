"""osmium's errors about unreadable files, in plain words, with what to do about them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import osmium

from placevec.errors import OutputError, SourceError
from placevec.io.atomic import disk_advice, disk_problem

MERGE = "join extracts with osmium merge, not with cat"
RENUMBER = "upload them first, or write them as XML from JOSM"
_TOO_LONG = ("is too long", "overlong string")
_DISORDERED = ("twice in input", "out of order")
_PLAIN = "convert it with osmium cat IN.osm.pbf -o OUT.osm.pbf -f pbf,pbf_compression=zlib"
_REMEDIES = {
    "OSMHeader in first blob": f"it may be several concatenated extracts: {MERGE}",
    "Lzma": _PLAIN,
    "lz4": _PLAIN,
    "zstd": _PLAIN,
    "unsupported compression": _PLAIN,
    "overlong string": "keys and values of OSM have at most 255 characters, and osmium does not read longer ones: "
    "shorten it",
    "is too long": "keys and values of OSM have at most 255 characters, and osmium does not read longer ones: "
    "shorten it",
    "file with version": "OSM XML has had version 0.6 since 2009: download it again",
    "without version": 'OSM\'s XML has version="0.6" in its first element: write or download it again',
}


class DisorderedError(SourceError):
    """Duplicate objects or unordered ways: the file must be sorted first."""


class LongTextError(SourceError):
    """Texts that osmium does not read, of more than 1,024 bytes: they must be cut first."""


class UnnumberedError(SourceError):
    """Objects with negative IDs, which osmium cannot look up: they must be renumbered."""


class translated:  # noqa: N801 - reads as a word in `with translated(path):`
    """Turns osmium's errors about a damaged file into one SourceError that names the file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, (RuntimeError, ValueError, osmium.InvalidLocationError, UnicodeDecodeError)):
            if reason := disk_problem(error):
                raise OutputError(
                    f"cannot write the objects of {self.path}: {reason}; {disk_advice(error)}"
                ) from error
            said = " ".join(str(error).split()) or type(error).__name__
            if any(sign in said for sign in _DISORDERED):
                raise DisorderedError(
                    f"{self.path} has duplicate or unordered objects ({said}): {MERGE}, or sort it with osmium sort"
                ) from error
            kind = LongTextError if any(sign in said for sign in _TOO_LONG) else SourceError
            remedy = next((remedy for sign, remedy in _REMEDIES.items() if sign in said), "download it again")
            raise kind(
                f"{self.path} is not a readable OSM extract, or is truncated ({said}); {remedy}"
            ) from error
