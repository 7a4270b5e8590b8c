"""One pass over an extract: its named and typed objects go to a `Store`."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from placevec.geo.polylines import Ints
from placevec.io.progress import Progress
from placevec.sources.osm.entities.names import READ_KEYS, Name, main_name, name_key, names_of, qid_of
from placevec.sources.osm.entities.relations import RELATION, Gathered, read_gathered
from placevec.sources.osm.entities.shapes import shapes_of
from placevec.sources.osm.entities.store import NO_PART, Columns, Store
from placevec.sources.osm.entities.types import Typed, TypeTable
from placevec.sources.osm.entities.words import words_of
from placevec.sources.osm.objects import Kind
from placevec.sources.osm.reader import Features, ReadReport, read_features

UNTYPED = "objects with a name but no type"
_NO_TYPE = Typed(-1, "", False, "")


def store_objects(
    path: Path, table: TypeTable, store: Store, report: ReadReport, problems: Counter[str], progress: Progress
) -> Ints:
    """Put the objects of an extract that may be entities into a store.

    Args:
        path: of the extract.
        table: of the types.
        store: to be filled; the relations of `read_gathered` come first.
        report: of the reader, to be filled.
        problems: counts what could not be used, by reason.
        progress: where to report.

    Returns:
        (M, 2) rows of objects and of the relations of their name that they are members of.
    """
    keys = READ_KEYS | table.keys
    gathered = read_gathered(path, keys, lambda tags: _is_wanted(tags, table))
    problems.update(gathered.problems)
    reading = _Reading(store, gathered, problems)
    reading.add_relations(table)
    chunks = read_features(
        path, keys=keys, wanted=lambda tags, kind: table.classify(tags, kind) or _NO_TYPE, asked=table.asked,
        report=report, work=store.folder, progress=progress,
    )  # fmt: skip
    for chunk in chunks:
        reading.add(chunk)
    return np.array(sorted(reading.memberships), np.int64).reshape(-1, 2)


def _is_wanted(tags: Mapping[str, str], table: TypeTable) -> bool:
    """Whether a relation that is no area is of a type, and has a name or a Wikidata item."""
    return bool(table.classify(tags, Kind.LINE) and (names_of(tags) or qid_of(tags)))


class _Reading:
    """What is known while chunks come by."""

    def __init__(self, store: Store, gathered: Gathered, problems: Counter[str]) -> None:
        self.store, self.gathered, self.problems = store, gathered, problems
        self.memberships: list[tuple[int, int]] = []
        self._relation_hash = np.zeros(0, np.uint64)

    def add_relations(self, table: TypeTable) -> None:
        """The relations themselves, which have no geometry of their own."""
        typed = [table.classify(tags, Kind.LINE) or _NO_TYPE for tags in self.gathered.tags]
        none = np.full(len(typed), NO_PART, np.int64)
        relation = np.full(len(typed), RELATION, np.int64)
        columns = self._columns(relation, self.gathered.ids, typed, self.gathered.tags, none)
        self._relation_hash = columns.hash
        self.store.add(columns)
        for child, parent in self.gathered.within.tolist():
            if columns.hash[child] and columns.hash[child] == columns.hash[parent]:
                self.memberships.append((child, parent))

    def add(self, chunk: Features[Typed]) -> None:
        """The objects of a chunk that have a name or an item and a type; and members of relations, whatever they are."""
        osm_type = int(chunk.osm_type[0])
        typed = np.array([answer.entry >= 0 for answer in chunk.answers], bool)[chunk.answer]
        named = _has_tag(chunk)
        self.problems[UNTYPED] += int(np.count_nonzero(named & ~typed))
        at, relation = self.gathered.among(osm_type, chunk.osm_id)
        own = np.flatnonzero(named & typed)
        rows = np.union1d(own, at)
        if not len(rows):
            return
        tags = dict(zip(rows.tolist(), chunk.tags.take(rows).rows(), strict=True))
        is_area = np.array([answer.is_area for answer in chunk.answers], bool)[chunk.answer]
        shapes = dict(zip(rows.tolist(), shapes_of(chunk.paths.take(rows), is_area[rows]), strict=True))
        first = len(self.store)
        columns = self._columns(
            chunk.osm_type[own].astype(np.int64), chunk.osm_id[own],
            [chunk.answers[number] for number in chunk.answer[own].tolist()],
            [tags[row] for row in own.tolist()], np.full(len(own), NO_PART, np.int64),
        )  # fmt: skip
        called = np.flatnonzero((columns.hash > 0) | (columns.qid > 0))  # not by white space alone
        columns, own = columns.take(called), own[called]
        self._with_shapes(columns, [shapes[row] for row in own.tolist()])
        position = {row: number for number, row in enumerate(own.tolist())}
        self.store.add(columns)
        parts: list[tuple[int, int]] = []
        for row, number in zip(at.tolist(), relation.tolist(), strict=True):
            here = position.get(row)
            if here is not None and columns.hash[here] and columns.hash[here] == self._relation_hash[number]:
                self.memberships.append((first + here, number))
            parts.append((row, number))
        self._add_parts(chunk, parts, shapes)

    def _add_parts(
        self, chunk: Features[Typed], parts: list[tuple[int, int]], shapes: dict[int, object]
    ) -> None:
        """Geometries of relations: those of all their members, whatever these are called."""
        rows = np.array([row for row, _ in parts], np.int64)
        if not len(rows):
            return
        columns = self._columns(
            chunk.osm_type[rows].astype(np.int64), chunk.osm_id[rows], [_NO_TYPE] * len(rows), [{}] * len(rows),
            np.array([number for _, number in parts], np.int64),
        )  # fmt: skip
        self._with_shapes(columns, [shapes[row] for row in rows.tolist()])
        self.store.add(columns)

    def _columns(
        self, osm_type: Ints, osm_id: Ints, typed: list[Typed], tags: list[dict[str, str]], part_of: Ints
    ) -> Columns:
        """Everything but geometries."""
        about, hashes, qid = [], [], []
        for what, own in zip(typed, tags, strict=True):
            names = names_of(own, self.problems)
            qid.append(qid_of(own, self.problems))
            hashes.append(_hash(what.type, names))
            about.append(json.dumps([names, words_of(own, what.words)], ensure_ascii=False) if own else "")
        return Columns(
            osm_type, osm_id, np.array([what.entry for what in typed], np.int64), [what.type for what in typed], about,
            [b""] * len(typed), np.array(hashes, np.uint64), np.array(qid, np.int64), part_of,
            np.zeros(len(typed), np.int64),
        )  # fmt: skip

    def _with_shapes(self, columns: Columns, shapes: list[object]) -> None:
        held = np.empty(len(shapes), object)
        held[:] = shapes
        columns.wkb = shapely.to_wkb(held).tolist()
        columns.vertices = np.asarray(shapely.get_num_coordinates(held), np.int64)


def _has_tag(chunk: Features[Typed]) -> NDArray[np.bool_]:
    """(N,) objects with a name in any language, or a Wikidata item."""
    tags = chunk.tags
    names = np.zeros(len(tags.strings), bool)
    for number in np.unique(tags.keys).tolist():
        key = tags.strings[number].decode("utf-8", "replace")
        names[number] = key == "wikidata" or name_key(key) is not None
    ends = np.concatenate([[0], np.cumsum(names[tags.keys])])[tags.offsets]
    return np.asarray(np.diff(ends) > 0)


def _hash(kind: str, names: list[Name]) -> int:
    """A number for the group and the name of an object; 0 without a name."""
    name = main_name(names)
    if name is None:
        return 0
    text = f"{kind.partition('/')[0]}\0{name.casefold()}".encode("utf-8", "replace")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") or 1
