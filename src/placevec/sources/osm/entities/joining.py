"""Which objects are one entity: those with the same Wikidata item, and those that share a node, a name and a type group.

Objects that are only near each other stay separate, whatever their names, and a connection never joins objects with
different items. An item on objects with more than `MAX_NAMES` different names describes a kind of thing, such as a series
of memorials, and joins nothing.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator

import numpy as np
import shapely
from numpy.typing import NDArray

from placevec.geo.polylines import Ints
from placevec.sources.osm.entities.shapes import vertex_keys
from placevec.sources.osm.entities.store import NO_PART, Store

MAX_NAMES = 12
"""Maximum number of different names of the objects of one item; long rivers have several."""
SAME_ITEM, CONNECTED, MEMBERS = "same Wikidata item", "shared node, name and type", "member of the relation"
OF_A_KIND = "objects whose item describes a kind of thing, which does not join them"
VERTICES_AT_ONCE = 1_000_000


class Sets:
    """Disjoint sets of rows, each with at most one Wikidata item."""

    def __init__(self, qid: Ints) -> None:
        self._parent = array("q", range(len(qid)))
        self._qid = array("q", qid.tolist())

    def find(self, row: int) -> int:
        """The row that stands for the set of another: its first."""
        parent = self._parent
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    def join(self, one: int, other: int) -> bool:
        """Merge the sets of two rows; returns whether they were separate and do not name different items."""
        first, second = sorted((self.find(one), self.find(other)))
        if first == second or (
            self._qid[first] and self._qid[second] and self._qid[first] != self._qid[second]
        ):
            return False
        self._parent[second] = first
        self._qid[first] = self._qid[first] or self._qid[second]
        return True

    def roots(self) -> Ints:
        """(N,) the row that stands for each row's set."""
        return np.fromiter(map(self.find, range(len(self._parent))), np.int64, len(self._parent))


def join_objects(store: Store, memberships: Ints, counts: Counter[str]) -> Ints:
    """(N,) for each object the row that stands for its entity.

    Args:
        store: of the objects.
        memberships: (M, 2) rows of objects and of the relations of their name that they are members of.
        counts: how many objects were joined to another, by reason.
    """
    joinable = _joinable_items(store, counts)
    sets = Sets(np.where(store.part_of == NO_PART, store.qid, 0))
    for reason, edges in ((SAME_ITEM, _same_item(store.qid, joinable)), (MEMBERS, memberships)):
        counts[reason] += sum(sets.join(a, b) for a, b in edges.tolist())
    for edges in _connections(store):
        counts[CONNECTED] += sum(sets.join(a, b) for a, b in edges.tolist())
    roots = sets.roots()
    parts = np.flatnonzero(store.part_of != NO_PART)
    roots[parts] = roots[store.part_of[parts]]
    return roots


def _joinable_items(store: Store, counts: Counter[str]) -> NDArray[np.bool_]:
    """(N,) objects whose item joins them."""
    has = (store.qid > 0) & (store.part_of == NO_PART)
    rows = np.flatnonzero(has)
    pairs = np.unique(np.stack([store.qid[rows].astype(np.uint64), store.hash[rows]], axis=1), axis=0)
    items, names = np.unique(pairs[:, 0], return_counts=True)
    kinds = items[names > MAX_NAMES].astype(np.int64)
    of_a_kind = has & np.isin(store.qid, kinds)
    if of_a_kind.any():
        counts[OF_A_KIND] += int(of_a_kind.sum())
    return np.asarray(has & ~of_a_kind)


def _same_item(qid: Ints, joinable: NDArray[np.bool_]) -> Ints:
    rows = np.flatnonzero(joinable)
    rows = rows[np.argsort(qid[rows], kind="stable")]
    alike = np.flatnonzero(qid[rows[1:]] == qid[rows[:-1]])
    return np.stack([rows[alike], rows[alike + 1]], axis=1)


def _connections(store: Store) -> Iterator[Ints]:
    """(E, 2) rows that share a node, a name and a group, some millions of vertices at a time."""
    rows = np.flatnonzero((store.hash > 0) & (store.part_of == NO_PART) & (store.vertices > 0))
    order = rows[np.argsort(store.hash[rows], kind="stable")]
    hashes = store.hash[order]
    repeated = np.zeros(len(order), bool)
    repeated[1:] = hashes[1:] == hashes[:-1]
    repeated[:-1] |= repeated[1:]
    order, hashes = order[repeated], hashes[repeated]
    if not len(order):
        return
    ends = np.append(np.flatnonzero(hashes[1:] != hashes[:-1]) + 1, len(hashes))
    until = np.cumsum(store.vertices[order])
    first = 0
    while first < len(order):
        limit = (until[first - 1] if first else 0) + VERTICES_AT_ONCE
        end = int(np.searchsorted(until, limit, side="right"))
        at = int(np.searchsorted(ends, end, side="right"))  # objects of one name stay together
        end = int(ends[at - 1]) if at and ends[at - 1] > first else int(ends[at])
        yield _edges(store, np.sort(order[first:end]))
        first = end


def _edges(store: Store, rows: Ints) -> Ints:
    wkb = store.take(rows, ("wkb",))["wkb"].to_numpy(zero_copy_only=False)
    keys, owner = vertex_keys(shapely.from_wkb(wkb))
    hashes = store.hash[rows][owner]
    order = np.lexsort((owner, keys, hashes))
    keys, hashes, owner = keys[order], hashes[order], owner[order]
    alike = np.flatnonzero((keys[1:] == keys[:-1]) & (hashes[1:] == hashes[:-1]) & (owner[1:] != owner[:-1]))
    pairs = np.stack([owner[alike], owner[alike + 1]], axis=1)
    return rows[np.unique(pairs, axis=0)]
