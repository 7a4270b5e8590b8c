"""Named entities of an extract: a river with a relation and a hundred ways is one entity.

An entity is an object, or several, that has a type and a name or a Wikidata item. Which objects are one is decided in
`placevec.sources.osm.entities.joining`. While the extract is read the objects lie on the disk; memory holds some forty
bytes of each, and a million vertices at a time.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from placevec.geo import Floats
from placevec.geo.antimeridian import wrapped
from placevec.geo.polylines import Ints
from placevec.io.progress import SILENT, Progress
from placevec.sources.osm.entities.joining import join_objects
from placevec.sources.osm.entities.names import Name, main_name, ordered
from placevec.sources.osm.entities.reading import store_objects
from placevec.sources.osm.entities.shapes import Objects, joined, points_of
from placevec.sources.osm.entities.store import NO_PART, Store
from placevec.sources.osm.entities.types import TypeTable
from placevec.sources.osm.entities.words import MAX_WORDS
from placevec.sources.osm.reader import TYPE_NAMES, ReadReport, check_extract

OBJECTS_AT_ONCE, VERTICES_AT_ONCE = 20_000, 1_000_000
NO_GEOMETRY = "entities without any geometry: no member of the relation is in the extract"


@dataclass(frozen=True)
class Entity:
    """One entity, without its geometry.

    Attributes:
        entity_id: such as ``relation/123``: of its relation with the lowest number, else its way, else its node.
        type: such as ``water/river``.
        wikidata: such as ``Q1757``, or None.
        names: in every language.
        words: plain English words for it.
        osm_ids: all its objects, such as ``way/123``.
    """

    entity_id: str
    type: str
    wikidata: str | None
    names: list[Name]
    words: list[str]
    osm_ids: list[str]

    @property
    def name(self) -> str | None:
        """Its local name, or else the English or first one; None without a name."""
        return main_name(self.names)


@dataclass(frozen=True)
class Entities:
    """Some entities.

    Attributes:
        rows: N of them.
        geometry: (N,) shapely geometries within -180 to 180.
        lonlat: (N, 2) degrees of a point of each: within its area, or halfway along its line.
    """

    rows: list[Entity]
    geometry: Objects
    lonlat: Floats

    def __len__(self) -> int:
        return len(self.rows)


@dataclass
class EntityReport:
    """Counts of a reading.

    Attributes:
        objects: number of objects with a type, and a name or an item.
        entities: number of entities.
        joined: number of objects that were joined to another, by reason.
        problems: number of objects that were not used, or not completely, by reason.
        read: report of the extract reader.
    """

    objects: int = 0
    entities: int = 0
    joined: Counter[str] = field(default_factory=Counter)
    problems: Counter[str] = field(default_factory=Counter)
    read: ReadReport = field(default_factory=ReadReport)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        problems = {**self.problems, **self.read.broken}
        return {
            "objects": self.objects,
            "entities": self.entities,
            "joined": {reason: count for reason, count in self.joined.items() if count},
            "not used": {reason: count for reason, count in problems.items() if count},
            "extract_notes": self.read.notes,
        }


def read_entities(
    path: str | Path,
    table: TypeTable | None = None,
    *,
    report: EntityReport | None = None,
    work: Path | None = None,
    progress: Progress = SILENT,
) -> Iterator[Entities]:
    """Stream the entities of an extract.

    Args:
        path: .osm.pbf, .osm, .osm.gz or .osm.bz2.
        table: of the types; `TypeTable.default` when None.
        report: is filled while reading.
        work: folder for what does not fit in memory; the system's temporary folder when None.
        progress: where to report.

    Yields:
        Entities in the order of their first objects; all that was read is the same on every machine.

    Raises:
        SourceError: missing, empty, truncated or foreign files, and files without coordinates.
    """
    path, table = check_extract(path), table or TypeTable.default()
    report = EntityReport() if report is None else report
    with tempfile.TemporaryDirectory(prefix="placevec-", dir=work) as folder:
        with Store(Path(folder) / "objects.arrow") as store:
            memberships = store_objects(path, table, store, report.read, report.problems, progress)
        report.objects = int(np.count_nonzero(store.part_of == NO_PART))
        if not len(store):
            return
        roots = join_objects(store, memberships, report.joined)
        groups = {name: number for number, name in enumerate(table.groups)}
        with progress.task("Joining objects to entities", total=len(store)) as advance:
            for rows in _some_at_a_time(roots, store.vertices):
                found = _entities(store, rows, roots[rows], groups, report.problems)
                report.entities += len(found)
                advance(len(rows))
                if len(found):
                    yield found


def _some_at_a_time(roots: Ints, vertices: Ints) -> Iterator[Ints]:
    """Rows, ascending, of whole entities."""
    order = np.argsort(roots, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(roots[order])) + 1, len(order))
    until = np.cumsum(vertices[order])
    first = 0
    while first < len(order):
        limit = (until[first - 1] if first else 0) + VERTICES_AT_ONCE
        end = min(int(np.searchsorted(until, limit, side="right")), first + OBJECTS_AT_ONCE)
        at = int(np.searchsorted(ends, end, side="right"))
        end = int(ends[at - 1]) if at and ends[at - 1] > first else int(ends[at])
        yield np.sort(order[first:end])
        first = end


def _entities(
    store: Store, rows: Ints, roots: Ints, groups: dict[str, int], problems: Counter[str]
) -> Entities:
    """The entities that rows are of."""
    table = store.take(rows).to_pydict()
    is_part = store.part_of[rows] != NO_PART
    shapes: Objects = shapely.from_wkb(np.array([raw or None for raw in table["wkb"]], object))
    ids = list(zip(table["osm_type"], table["osm_id"], strict=True))
    kept, geometry = [], []
    order = np.argsort(roots, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(roots[order])) + 1):
        known: dict[tuple[int, int], Any] = {
            ids[row]: shapes[row] for row in members.tolist() if shapes[row] is not None
        }
        if not known:
            problems[NO_GEOMETRY] += 1
            continue
        own = [row for row in members.tolist() if not is_part[row]]
        own.sort(key=lambda row: (-ids[row][0], ids[row][1]))
        kept.append(_entity(own, ids, table, store.qid[rows[own]], groups))
        geometry.append(next(iter(known.values())) if len(known) == 1 else joined(list(known.values())))
    held: Objects = np.empty(len(geometry), object)
    held[:] = geometry
    held = wrapped(held)
    return Entities(kept, held, points_of(held) if len(held) else np.zeros((0, 2)))


def _entity(
    own: list[int], ids: list[tuple[int, int]], table: dict[str, list[Any]], qid: Ints, groups: dict[str, int]
) -> Entity:
    """One entity of its objects, the first of which it is named after."""
    names: dict[Name, None] = {}
    words: dict[str, None] = {}
    for row in own:
        called, described = json.loads(table["about"][row])
        names |= dict.fromkeys(Name(*one) for one in called)
        words |= dict.fromkeys(described)
    osm_ids = [f"{TYPE_NAMES[ids[row][0]]}/{ids[row][1]}" for row in own]
    item = int(next((one for one in qid.tolist() if one), 0))
    kind = _type_of([(table["entry"][row], table["type"][row]) for row in own], groups)
    return Entity(
        osm_ids[0], kind, f"Q{item}" if item else None, ordered(names), list(words)[:MAX_WORDS], osm_ids
    )


def _type_of(found: list[tuple[int, str]], groups: dict[str, int]) -> str:
    """Of the group that stands first in the table and its first entry, the type that most objects have."""
    first = min(found, key=lambda one: (groups[one[1].partition("/")[0]], one[0]))[0]
    counts = Counter(kind for entry, kind in found if entry == first)
    return min(counts, key=lambda kind: (-counts[kind], kind))
