"""Entities of a dataset found by name, Wikidata item or OSM object, and those that places are about."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from placevec.datasets.entities import FILE, has_entities, read_entities
from placevec.datasets.views.registry import reader_of
from placevec.errors import InputError
from placevec.geo import to_ecef
from placevec.geo.geoparquet import read_parquet

if TYPE_CHECKING:
    from placevec.datasets.dataset import Dataset

_ITEM = re.compile(r"[Qq][1-9][0-9]{0,11}")
_OBJECT = re.compile(r"(node|way|relation)/[0-9]{1,19}")
_BY_PART = ("have names that begin with", "have names that contain")
_COLUMNS = ("entity_id", "type", "wikidata", "name", "names", "osm_ids", "lon", "lat")


@dataclass(frozen=True)
class Entity:
    """One row of ``entities.parquet``, without its geometry.

    Attributes:
        entity_id: such as ``relation/34914``.
        type: ``group`` or ``group/leaf``.
        wikidata: such as ``Q1757``, or None.
        name: raw, hostile text, or None.
        lon: degrees.
        lat: degrees.

    >>> Entity("way/1", "leisure/park", None, "Esplanadi", 24.95, 60.17).type
    'leisure/park'
    """

    entity_id: str
    type: str
    wikidata: str | None
    name: str | None
    lon: float
    lat: float


def find_entity(dataset: Dataset, asked: str) -> tuple[Entity, str]:
    """(the entity that is asked for, a remark for the user or an empty text).

    Args:
        dataset: with entities.
        asked: a Wikidata item (``Q1757``), an OSM object (``way/123``), or a name in any language: the whole name,
            else the beginning of one; case is ignored. Of several, the one in the middle of them is taken.

    Raises:
        InputError: there are no entities, or none that fits; similar names are suggested.
    """
    if not has_entities(dataset):
        raise InputError(
            f"{dataset.path} has no entities: prepare it from an OSM extract with a recipe that reads named entities"
        )
    table = read_entities(dataset.path / FILE, _COLUMNS)
    wanted = asked.strip()
    if _ITEM.fullmatch(wanted):
        rows, how = _where(pc.equal(table["wikidata"], wanted.upper())), "have the item"
    elif _OBJECT.fullmatch(wanted):
        rows, how = _of_object(table, wanted), "are made of"
    else:
        rows, how = _named(table, wanted)
    if len(rows) == 0:
        raise InputError(f"there is no entity {asked[:80]!r} among {table.num_rows:,}{_hint(table, wanted)}")
    places = np.stack([np.asarray(table[name].to_numpy())[rows] for name in ("lon", "lat")], axis=1)
    points = to_ecef(places[:, 0], places[:, 1])
    row = int(rows[np.square(points - points.mean(axis=0)).sum(axis=1).argmin()])
    found = _entity(table, row)
    others = [str(table["entity_id"][int(one)].as_py()) for one in rows if one != row]
    if not others and how in _BY_PART:
        return (
            found,
            f"no entity is named {asked[:80]!r}; selected {found.name} ({found.entity_id}), the only one to {how} it",
        )
    if not others:
        return found, ""
    more = ", ..." if len(others) > 3 else ""
    return found, (
        f"{len(rows)} entities {how} {asked[:80]!r}; selected {found.entity_id}, in their middle; others:"
        f" {', '.join(others[:3])}{more}"
    )


def entities_of(dataset: Dataset, place_ids: Sequence[str]) -> list[Entity | None]:
    """The entity of each place: the one that it is, else the first that its texts are about, else None."""
    if not has_entities(dataset):
        return [None] * len(place_ids)
    about = _from_texts(dataset, place_ids)
    wanted = {about.get(str(one), str(one)) for one in place_ids} | {str(one) for one in place_ids}
    table = read_entities(
        dataset.path / FILE, [name for name in _COLUMNS if name not in ("names", "osm_ids")]
    )
    table = table.filter(pc.is_in(table["entity_id"], value_set=pa.array(sorted(wanted), pa.string())))
    known = {str(table["entity_id"][row].as_py()): _entity(table, row) for row in range(table.num_rows)}
    return [known.get(str(one)) or known.get(about.get(str(one), "")) for one in place_ids]


def outlines_of(dataset: Dataset, entity_ids: Sequence[str]) -> dict[str, Any]:
    """entity_id -> shapely geometry, degrees; entities that do not exist are left out."""
    import shapely

    table = read_entities(dataset.path / FILE, ["entity_id", "geometry"])
    table = table.filter(pc.is_in(table["entity_id"], value_set=pa.array(list(entity_ids), pa.string())))
    shapes = shapely.from_wkb(table["geometry"].to_numpy(), on_invalid="ignore")
    return {
        name: shape
        for name, shape in zip(table["entity_id"].to_pylist(), shapes, strict=True)
        if shape is not None
    }


def _entity(table: pa.Table, row: int) -> Entity:
    return Entity(**{name: table[name][row].as_py() for name in Entity.__dataclass_fields__})


def _where(mask: pa.ChunkedArray) -> NDArray[np.int64]:
    return np.flatnonzero(np.asarray(pc.fill_null(mask, False)))


def _of_object(table: pa.Table, wanted: str) -> NDArray[np.int64]:
    """Rows of the entities that are named after an object, else of those that contain it."""
    rows = _where(pc.equal(table["entity_id"], wanted))
    if len(rows):
        return rows
    parts = table["osm_ids"].combine_chunks()
    parents = np.asarray(pc.list_parent_indices(parts))
    return np.unique(parents[_where(pc.equal(pc.list_flatten(parts), wanted))])


def _named(table: pa.Table, wanted: str) -> tuple[NDArray[np.int64], str]:
    """(rows of the entities with a name, in any language; in words how they have it)."""
    names = table["names"].combine_chunks()
    parents = np.asarray(pc.list_parent_indices(names))
    folded = pc.utf8_lower(pc.list_flatten(names).field("text"))
    plain = wanted.lower()
    by_part = zip((pc.starts_with, pc.match_substring), _BY_PART, strict=True)
    tests = ((pc.equal, "are named"), *by_part)
    for test, how in tests if plain else ():
        rows = np.unique(parents[_where(test(folded, plain))])
        if len(rows):
            return rows, how
    return np.zeros(0, np.int64), ""


def _hint(table: pa.Table, wanted: str, look_at: int = 20_000) -> str:
    known = [name for name in table["name"].slice(0, look_at).to_pylist() if name]
    near = difflib.get_close_matches(wanted, known, n=3)
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""


def _from_texts(dataset: Dataset, place_ids: Sequence[str]) -> dict[str, str]:
    """place_id -> the entity that its first text about one is about."""
    files = {
        str(view["files"][0])
        for name, view in dataset.manifest["views"].items()
        if view["files"] and reader_of(dataset.spec(name)).from_texts
    }
    about: dict[str, str] = {}
    wanted = pa.array([str(one) for one in place_ids], pa.string())
    for file in sorted(files):
        table = read_parquet(dataset.path / file, "table of texts")
        if not {"place_id", "entity_id"} <= set(table.column_names):
            continue
        table = table.select(["place_id", "entity_id"]).filter(
            pc.and_(pc.is_in(table["place_id"], value_set=wanted), pc.is_valid(table["entity_id"]))
        )
        for place, entity in zip(table["place_id"].to_pylist(), table["entity_id"].to_pylist(), strict=True):
            about.setdefault(place, entity)
    return about
