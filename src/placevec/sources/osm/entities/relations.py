"""Relations that gather objects without being areas: a river of its ways, a site of its buildings.

osmium assembles multipolygons and boundaries; all others that have a name and a type are read here, with the numbers of
their members. Members that are relations themselves are not followed, and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import osmium

from placevec.geo.polylines import Ints
from placevec.sources.osm.mended import readable
from placevec.sources.osm.problems import translated

ASSEMBLED = ("multipolygon", "boundary")
RELATION = 2
_NUMBER = {"n": 0, "w": 1, "r": RELATION}
NOT_FOLLOWED = "relations that are members of another: not followed"


@dataclass
class Gathered:
    """Relations and their members.

    Attributes:
        ids: (R,) int64 of the relations.
        tags: R dictionaries.
        members: for nodes and for ways: (M, 2) int64 number of a member and index of its relation, by number.
    """

    ids: Ints
    tags: list[dict[str, str]]
    members: tuple[Ints, Ints]
    problems: Counter[str] = field(default_factory=Counter)

    def among(self, osm_type: int, ids: Ints) -> tuple[Ints, Ints]:
        """(position in ``ids``, index of the relation) of every membership of objects of a type."""
        if osm_type == RELATION:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        members = self.members[osm_type]
        order = np.argsort(ids, kind="stable")
        first, last = (np.searchsorted(members[:, 0], ids[order], side) for side in ("left", "right"))  # type: ignore[arg-type]
        counts = last - first
        at = np.repeat(order, counts)
        index = np.repeat(first - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
        return at, members[index, 1]


def read_gathered(path: Path, keys: Collection[str], wanted: Callable[[Mapping[str, str]], bool]) -> Gathered:
    """The relations of an extract with one of the keys that somebody wants, but for those that osmium assembles."""
    source = readable(path)
    ids: list[int] = []
    tags: list[dict[str, str]] = []
    members: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
    problems: Counter[str] = Counter()
    with translated(path):
        relations = osmium.FileProcessor(str(source.path), osmium.osm.RELATION)
        for relation in relations.with_filter(osmium.filter.KeyFilter(*sorted(keys))):
            if relation.tags.get("type") in ASSEMBLED:
                continue
            own = {tag.k: tag.v for tag in relation.tags}
            if not wanted(own):
                continue
            for member in relation.members:
                number = _NUMBER[member.type]
                if number == RELATION:
                    problems[NOT_FOLLOWED] += 1
                else:
                    members[number].append((member.ref, len(ids)))
            ids.append(relation.id)
            tags.append(own)
    tables = [np.unique(np.array(some, np.int64).reshape(-1, 2), axis=0) for some in members]
    for number, table in enumerate(tables):
        table[:, 0] = source.own_ids(number, table[:, 0])
        tables[number] = table[np.argsort(table[:, 0], kind="stable")]
    own_ids = source.own_ids(RELATION, np.array(ids, np.int64))
    return Gathered(own_ids, tags, (tables[0], tables[1]), problems)
