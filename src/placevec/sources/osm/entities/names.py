"""Names of an object by language, and its Wikidata number, from its tags.

``name`` and ``name:xx`` are names, ``alt_name``, ``old_name``, ``official_name`` and the like, with or without ``:xx``,
are other names; several in one tag are divided by ``;``. Texts stay as people wrote them, but for control characters and
runs of white space, which become one space.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

MAX_NAME = 1_000
"""Characters of a name; OSM itself takes 255. What is longer is cut there, and counted."""
OTHER_NAMES = (
    "official_name", "alt_name", "int_name", "short_name", "loc_name", "nat_name", "reg_name", "old_name",
)  # fmt: skip
KINDS = ("name", *OTHER_NAMES)
"""What a name is, in the order in which names are listed: the tag's key without its language."""
QID = "wikidata"
_KEY = re.compile(rf"({'|'.join(KINDS)})(?::([a-z]{{2,3}}(?:[-_][A-Za-z0-9]{{2,8}})*))?")
_QID = re.compile(r"Q([1-9][0-9]{0,11})")
_BLANK = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_LANGUAGES_OF_KEYS = ("en", "de", "fr", "es", "ru", "zh", "ar", "uk", "it", "pt", "ja", "fi", "sv", "pl")

READ_KEYS = frozenset((QID, *KINDS, *(f"name:{language}" for language in _LANGUAGES_OF_KEYS)))
"""Tags by which named objects are looked for: osmium takes no patterns."""


class Name(NamedTuple):
    """One name.

    Attributes:
        language: BCP 47, such as ``uk`` or ``zh-Hant``; None for what is written on the spot.
        kind: one of `KINDS`.
        text: of the name.
    """

    language: str | None
    kind: str
    text: str


def name_key(key: str) -> tuple[str, str | None] | None:
    """(kind, language) of a tag's key; None where it holds no name.

    >>> name_key("alt_name:uk"), name_key("name:etymology"), name_key("name:zh-Hant")
    (('alt_name', 'uk'), None, ('name', 'zh-Hant'))
    """
    found = _KEY.fullmatch(key)
    return None if found is None else (found[1], found[2].replace("_", "-") if found[2] else None)


def cleaned(text: str) -> str:
    """A text on one line, without control characters.

    >>> cleaned("  Töölö\\x00\\nBay ")
    'Töölö Bay'
    """
    return _BLANK.sub(" ", text).strip()


def names_of(tags: Mapping[str, str], problems: Counter[str] | None = None) -> list[Name]:
    """All names in the tags of an object, each once: what is written on the spot first.

    Args:
        tags: of the object.
        problems: counts what could not be used, by reason.
    """
    found: dict[Name, None] = {}
    for key, value in tags.items():
        if (meant := name_key(key)) is None:
            continue
        kind, language = meant
        for part in value.split(";") if kind != "name" else [value]:
            text = cleaned(part)
            if not text and problems is not None and part:
                problems["names without a visible character"] += 1
            if len(text) > MAX_NAME:
                text = text[:MAX_NAME].rstrip()
                if problems is not None:
                    problems[f"names of more than {MAX_NAME:,} characters, cut there"] += 1
            if text:
                found[Name(language, kind, text)] = None
    return ordered(found)


def ordered(names: Iterable[Name]) -> list[Name]:
    """Names on the spot first, then by language; each name before its other names."""
    return sorted(
        names, key=lambda one: (one.language is not None, one.language or "", KINDS.index(one.kind))
    )


def main_name(names: Iterable[Name]) -> str | None:
    """The name on the spot, else the English one, else the first there is."""
    held = list(names)
    for wanted in ((None, "name"), ("en", "name")):
        for one in held:
            if (one.language, one.kind) == wanted:
                return one.text
    return held[0].text if held else None


def qid_of(tags: Mapping[str, str], problems: Counter[str] | None = None) -> int:
    """The number behind the Q of the first Wikidata item that a tag names; 0 where there is none.

    >>> qid_of({"wikidata": "Q1757"}), qid_of({"wikidata": "Helsinki"}), qid_of({"wikidata": "Q42;Q43"})
    (1757, 0, 42)
    """
    value = tags.get(QID)
    if value is None:
        return 0
    found = _QID.fullmatch(value.partition(";")[0].strip())
    if found is None and problems is not None:
        problems["wikidata tags that are not Q and a number"] += 1
    return int(found[1]) if found else 0
