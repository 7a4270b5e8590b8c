"""Whether an item that a search found is the named thing that was looked for: by its names, and by where it lies."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Mapping

from placevec.geo import distance_m
from placevec.sources.wikidata.items import Item

MIN_SIMILARITY = 0.9
"""Of the names, 0 to 1: Ratcliff/Obershelp, without case and accents."""
MAX_DISTANCE_M = 2_000.0
_LONGEST = 200


def similarity(one: str, other: str) -> float:
    """How alike two names are, 0 to 1, without case and accents.

    >>> similarity("Étang de Villeparisis", "etang de villeparisis"), round(similarity("La Mare", "La Mare aux Fées"), 2)
    (1.0, 0.61)
    """
    return difflib.SequenceMatcher(None, _plain(one), _plain(other), autojunk=False).ratio()


def best_match(
    names: Iterable[str],
    lonlat: tuple[float, float],
    items: Mapping[int, Item],
    *,
    max_distance_m: float = MAX_DISTANCE_M,
    min_similarity: float = MIN_SIMILARITY,
) -> int | None:
    """The number of the item whose names are most like some names and that lies nearby; None where there is none.

    Args:
        names: of the thing.
        lonlat: lon, lat degrees of a point in it.
        items: that a search found by number, the best first. Those without coordinates cannot be checked, and are none.
        max_distance_m: maximum distance in meters.
        min_similarity: minimum similarity of a name and a label or alias.

    >>> lake = Item(7, {"fr": "La Mare"}, lonlat=(2.601, 48.95))
    >>> best_match(["La mare"], (2.6, 48.95), {7: lake}), best_match(["La mare"], (3.6, 48.95), {7: lake})
    (7, None)
    """
    own = list(names)
    best: tuple[float, int] | None = None
    for qid, item in items.items():
        if item.lonlat is None or _away(lonlat, item.lonlat) > max_distance_m:
            continue
        called = {*item.labels.values(), *(text for some in item.aliases.values() for text in some)}
        alike = max((similarity(one, other) for one in own for other in called), default=0.0)
        if alike >= min_similarity and (best is None or alike > best[0]):
            best = alike, qid
    return best[1] if best else None


def _away(one: tuple[float, float], other: tuple[float, float]) -> float:
    return float(distance_m(*one, *other))


def _plain(text: str) -> str:
    parts = unicodedata.normalize("NFKD", text[:_LONGEST])
    return "".join(one for one in parts if not unicodedata.combining(one)).casefold().strip()
