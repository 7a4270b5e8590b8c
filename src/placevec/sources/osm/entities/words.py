"""Plain English words for an object: the words of its type, and the values of descriptive tags."""

from __future__ import annotations

import re
from collections.abc import Mapping

DESCRIBING = (
    "religion", "denomination", "cuisine", "sport", "leaf_type", "leaf_cycle", "genus", "wetland", "crop", "produce",
    "trees", "surface", "building", "building:architecture", "building:material", "material", "man_made", "amenity",
    "shop", "tourism", "historic", "leisure", "natural", "landuse", "water", "artwork_type", "memorial", "castle_type",
    "garden:type", "attraction", "information", "network:type", "station", "healthcare", "healthcare:speciality",
    "social_facility", "plant:source", "generator:source", "tower:type", "bridge", "tunnel", "intermittent", "salt",
    "protection_title", "heritage:description", "usage", "theatre:genre", "museum", "animal", "zoo", "vending",
)  # fmt: skip
"""Tags whose values are words, in output order."""
_ORDER = {key: number for number, key in enumerate(DESCRIBING)}
_SAY_IT_THEMSELVES = frozenset(("bridge", "tunnel", "intermittent", "salt"))
"""Keys that are the word themselves if the value is "yes"."""
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_' -]{1,39}")
_NOTHING = frozenset(("yes", "no", "unknown", "other", "fixme", "none", "mixed", "user defined"))
MAX_WORDS = 12


def words_of(tags: Mapping[str, str], called: str = "") -> list[str]:
    """Words for an object, without duplicates; tag values that are not plain words are left out.

    Args:
        tags: tags of the object.
        called: words of its type; they come first.

    >>> words_of({"amenity": "place_of_worship", "religion": "christian", "bridge": "yes"}, "place of worship")
    ['place of worship', 'christian', 'bridge']
    """
    found: dict[str, None] = {called: None} if called else {}
    for key in sorted(_ORDER.keys() & tags.keys(), key=_ORDER.__getitem__):
        for value in tags[key].split(";"):
            word = value.strip().replace("_", " ")
            if word == "yes" and key in _SAY_IT_THEMSELVES:
                found[key] = None
            elif word not in _NOTHING and _WORD.fullmatch(word):
                found[word] = None
    return list(found)[:MAX_WORDS]
