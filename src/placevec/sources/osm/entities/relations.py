"""Relations that gather objects without being areas: a river of its ways, a site of its buildings.

osmium assembles multipolygons and boundaries; all others that have a name and a type are read here, with the numbers of
their members. Members that are relations themselves are followed: a multipolygon is a member with its area, any other
relation stands for its own members.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import osmium

from placevec.geo.polylines import Ints
from placevec.sources.osm.mended import readable, with_long_texts_cut
from placevec.sources.osm.problems import translated

ASSEMBLED = ("multipolygon", "boundary")
RELATION = 2
_NUMBER = {"n": 0, "w": 1, "r": RELATION}
MAX_DEPTH = 8
"""Relations within relations that are followed; rivers and networks have two or three."""
NOT_HERE = "relations that are members of another: not in the extract"
TOO_DEEP = "relations that are members of another: nested too deeply"
_APART = frozenset(("subarea", "tributary", "apply_to"))
"""Roles of relations that belong to something, but are no part of it."""


@dataclass
class Gathered:
    """Relations and their members.

    Attributes:
        ids: (R,) int64 of the relations.
        tags: R dictionaries.
        members: for nodes, ways and areas: (M, 2) int64 number of a member and index of its relation, by number.
        within: (W, 2) int64 indices of relations that are members of others, and of these.
    """

    ids: Ints
    tags: list[dict[str, str]]
    members: tuple[Ints, Ints, Ints]
    within: Ints
    problems: Counter[str] = field(default_factory=Counter)

    def among(self, osm_type: int, ids: Ints) -> tuple[Ints, Ints]:
        """(position in ``ids``, index of the relation) of every membership of objects of a type."""
        members = self.members[osm_type]
        order = np.argsort(ids, kind="stable")
        first, last = (np.searchsorted(members[:, 0], ids[order], side) for side in ("left", "right"))  # type: ignore[arg-type]
        counts = last - first
        at = np.repeat(order, counts)
        index = np.repeat(first - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
        return at, members[index, 1]


def read_gathered(path: Path, keys: Collection[str], wanted: Callable[[Mapping[str, str]], bool]) -> Gathered:
    """The relations of an extract with one of the keys that somebody wants, but for those that osmium assembles."""
    return with_long_texts_cut(path, lambda: _gathered(path, keys, wanted))


def _gathered(path: Path, keys: Collection[str], wanted: Callable[[Mapping[str, str]], bool]) -> Gathered:
    source = readable(path)
    found = _Members()
    ids: list[int] = []
    tags: list[dict[str, str]] = []
    with translated(path):
        relations = osmium.FileProcessor(str(source.path), osmium.osm.RELATION)
        for relation in relations.with_filter(osmium.filter.KeyFilter(*sorted(keys))):
            if relation.tags.get("type") in ASSEMBLED:
                continue
            own = {tag.k: tag.v for tag in relation.tags}
            if not wanted(own):
                continue
            found.add(relation, len(ids))
            ids.append(relation.id)
            tags.append(own)
        found.follow(source.path, {number: row for row, number in enumerate(ids)})
    tables = [np.unique(np.array(some, np.int64).reshape(-1, 2), axis=0) for some in found.members]
    for number, table in enumerate(tables):
        table[:, 0] = source.own_ids(number, table[:, 0])
        tables[number] = table[np.argsort(table[:, 0], kind="stable")]
    own_ids = source.own_ids(RELATION, np.array(ids, np.int64))
    within = np.array(sorted(found.within), np.int64).reshape(-1, 2)
    return Gathered(own_ids, tags, (tables[0], tables[1], tables[2]), within, found.problems)


class _Members:
    """Members of relations, and of the relations that are members of these."""

    def __init__(self) -> None:
        self.members: tuple[list[tuple[int, int]], ...] = ([], [], [])
        self.within: set[tuple[int, int]] = set()
        self.problems: Counter[str] = Counter()
        self._next: dict[int, list[int]] = {}
        self._seen: set[tuple[int, int]] = set()

    def add(self, relation: Any, row: int) -> None:
        """Take the members of a relation as those of the one with an index."""
        for member in relation.members:
            number = _NUMBER[member.type]
            if number != RELATION:
                self.members[number].append((member.ref, row))
            elif member.role not in _APART and (member.ref, row) not in self._seen:
                self._seen.add((member.ref, row))
                self._next.setdefault(member.ref, []).append(row)

    def follow(self, path: Path, rows: Mapping[int, int]) -> None:
        """Read the relations that are members, level by level; each once for each relation that it is in."""
        for _ in range(MAX_DEPTH):
            if not self._next:
                return
            parents, self._next = self._next, {}
            there: set[int] = set()
            relations = osmium.FileProcessor(str(path), osmium.osm.RELATION)
            for relation in relations.with_filter(osmium.filter.IdFilter(sorted(parents))):
                there.add(relation.id)
                for row in parents[relation.id]:
                    if rows.get(relation.id) == row:  # a relation that contains itself
                        continue
                    if relation.tags.get("type") in ASSEMBLED:
                        self.members[RELATION].append((relation.id, row))
                        continue
                    if relation.id in rows:
                        self.within.add((rows[relation.id], row))
                    self.add(relation, row)
            self.problems[NOT_HERE] += len(parents.keys() - there)
        self.problems[TOO_DEEP] += len(self._next)
