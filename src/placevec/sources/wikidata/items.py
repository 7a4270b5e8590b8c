"""One Wikidata item, out of untrusted JSON.

The API's ``wbgetentities`` and the JSON dumps write an item alike: https://doc.wikimedia.org/Wikibase/master/php/docs_topics_json.html
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from placevec.sources.osm.entities.names import MAX_NAME, cleaned

INSTANCE_OF, COORDINATES = "P31", "P625"
MAX_TERMS = 2_000
"""Labels, descriptions or aliases of an item that are read; there are some 400 languages."""
MAX_TYPES = 32
EARTH = "http://www.wikidata.org/entity/Q2"
_QID = re.compile(r"Q([1-9][0-9]{0,11})")
_LANGUAGE = re.compile(r"[a-z]{2,12}(-[A-Za-z0-9]{1,12})*")
_RANKS = ("preferred", "normal")


@dataclass(frozen=True)
class Item:
    """What is used of an item.

    Attributes:
        qid: the number behind the Q.
        labels: language -> its name there. Codes are Wikidata's; ``mul`` is the label for all languages.
        descriptions: language -> what it is, in a few words.
        aliases: language -> its other names there.
        types: numbers of the items that it is an instance of (P31): those of the best rank.
        lonlat: degrees of a point on Earth (P625), or None.
    """

    qid: int
    labels: Mapping[str, str] = field(default_factory=dict)
    descriptions: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    types: tuple[int, ...] = ()
    lonlat: tuple[float, float] | None = None

    def stored(self) -> str:
        """Short JSON.

        >>> Item.of_stored(Item(9, {"fi": "Puisto"}, lonlat=(24.9, 60.1)).stored()).lonlat
        (24.9, 60.1)
        """
        return json.dumps(
            [self.qid, self.labels, self.descriptions, self.aliases, self.types, self.lonlat],
            ensure_ascii=False, separators=(",", ":"),
        )  # fmt: skip

    @classmethod
    def of_stored(cls, text: str) -> Item:
        """The same again."""
        qid, labels, descriptions, aliases, types, lonlat = json.loads(text)
        held = {language: tuple(found) for language, found in aliases.items()}
        return cls(qid, labels, descriptions, held, tuple(types), None if lonlat is None else tuple(lonlat))


def number_of(text: Any) -> int:
    """The number behind the Q; 0 where it is none.

    >>> number_of("Q1757"), number_of("P31"), number_of(None)
    (1757, 0, 0)
    """
    found = _QID.fullmatch(text) if isinstance(text, str) else None
    return int(found[1]) if found else 0


def item_of(content: Any) -> Item:
    """The item in a document of the API or of a dump.

    Raises:
        ValueError: it is no item, or its names are not what they should be.

    >>> item_of({"type": "item", "id": "Q1757", "labels": {"fi": {"language": "fi", "value": "Helsinki"}}}).labels
    {'fi': 'Helsinki'}
    """
    if not isinstance(content, dict) or content.get("type", "item") != "item":
        raise ValueError("it is not an item")
    qid = number_of(content.get("id"))
    if not qid:
        raise ValueError(f"invalid ID {repr(content.get('id'))[:40]}")
    aliases: dict[str, tuple[str, ...]] = {}
    for language, several in _by_language(content, "aliases"):
        if not isinstance(several, list):
            raise ValueError(f"its aliases in {language} are not a list")
        found = dict.fromkeys(text for one in several[:MAX_TERMS] if (text := _value(one)))
        if found:
            aliases[language] = tuple(found)
    claims = content.get("claims") or {}
    return Item(
        qid, _terms(content, "labels"), _terms(content, "descriptions"), aliases, _types(claims), _lonlat(claims)
    )  # fmt: skip


def _by_language(content: Mapping[str, Any], name: str) -> Iterator[tuple[str, Any]]:
    """Its terms; where there is none, PHP writes an empty list instead of a document."""
    terms = content.get(name) or {}
    if not isinstance(terms, dict):
        raise ValueError(f"{name} is not a JSON object")
    for language, value in list(terms.items())[:MAX_TERMS]:
        if _LANGUAGE.fullmatch(language):
            yield language, value


def _terms(content: Mapping[str, Any], name: str) -> dict[str, str]:
    return {language: text for language, value in _by_language(content, name) if (text := _value(value))}


def _value(term: Any) -> str:
    """The text of a term, on one line; empty where it was removed."""
    if not isinstance(term, dict) or not isinstance(text := term.get("value", ""), str):
        raise ValueError(f"invalid term {repr(term)[:60]}")
    return cleaned(text[: 2 * MAX_NAME])[:MAX_NAME].rstrip()


def _best(claims: Any, name: str) -> Iterator[Any]:
    """The values of the statements of the best rank; others than those that can be read are passed over."""
    stated = claims.get(name) if isinstance(claims, dict) else None
    found: dict[str, list[Any]] = {rank: [] for rank in _RANKS}
    for one in stated if isinstance(stated, list) else ():
        snak = one.get("mainsnak") if isinstance(one, dict) else None
        held = snak.get("datavalue") if isinstance(snak, dict) else None
        rank = one.get("rank", "normal") if isinstance(one, dict) else None
        if isinstance(held, dict) and isinstance(rank, str) and rank in found:
            found[rank].append(held.get("value"))
    yield from next((found[rank] for rank in _RANKS if found[rank]), [])


def _types(claims: Any) -> tuple[int, ...]:
    numbers = (number_of(one.get("id")) for one in _best(claims, INSTANCE_OF) if isinstance(one, dict))
    return tuple(dict.fromkeys(number for number in numbers if number))[:MAX_TYPES]


def _lonlat(claims: Any) -> tuple[float, float] | None:
    for one in _best(claims, COORDINATES):
        if not isinstance(one, dict) or one.get("globe", EARTH) != EARTH:
            continue
        lon, lat = (_degrees(one.get(side)) for side in ("longitude", "latitude"))
        if abs(lon) <= 360 and abs(lat) <= 90:
            return (lon if abs(lon) <= 180 else (lon + 180) % 360 - 180), lat
    return None


def _degrees(value: Any) -> float:
    """A number; NaN where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    return float(value) if abs(value) <= 360 else math.nan
