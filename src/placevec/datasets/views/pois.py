"""Points of interest and named objects of an extract: ``pois.parquet``, with counts and names for places.

The groups, and how prominent a name is, are rules in ``pois.toml``. The file is GeoParquet 1.1, one row per object:
osm_type, osm_id, lon, lat (degrees, of the center), key, value, group (null for objects that only have a name), name
(raw OSM text, null if there is none), prominence (0 to 100, 0 without a name) and geometry (WKB point).
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from placevec.errors import DatasetError, SourceError
from placevec.geo import Floats, Ints, lonlat_to_tile_xy
from placevec.geo.geoparquet import geo_of_points, read_parquet, wkb_points
from placevec.geo.geotiff import ATTRIBUTION
from placevec.io import parquet
from placevec.io.arrow import few_texts, numbers, texts
from placevec.io.atomic import sha256_of_json
from placevec.sources.osm.layers import Rule, asked_keys, parse_rules

if TYPE_CHECKING:
    import pandas as pd

_KNOWN_BONUS = 10
_SCHEMA = pa.schema(
    [
        ("osm_type", pa.dictionary(pa.int8(), pa.string())),
        ("osm_id", pa.int64()),
        ("lon", pa.float64()),
        ("lat", pa.float64()),
        ("key", pa.dictionary(pa.int32(), pa.string())),
        ("value", pa.string()),
        ("group", pa.dictionary(pa.int8(), pa.string())),
        ("name", pa.string()),
        ("prominence", pa.uint8()),
        ("geometry", pa.binary()),
    ],
    metadata={"geo": json.dumps(geo_of_points()), "attribution": ATTRIBUTION},
)


class Poi(NamedTuple):
    """An object, classified by its tags; ``group`` is None for objects that only have a name.

    >>> PoiTable.default().classify({"shop": "bakery", "name": "Ekberg"}).group
    'food'
    """

    key: str
    value: str
    group: str | None
    name: str | None
    prominence: int


class Match(NamedTuple):
    """The rules that match an object's tags: key "" if none does, score 0 if a name would not be prominent."""

    key: str
    value: str
    group: str | None
    score: int


@dataclass(frozen=True)
class PoiTable:
    """Groups of points of interest, and which names are prominent.

    >>> PoiTable.default().classify({"amenity": "cafe", "name": "Fazer"})
    Poi(key='amenity', value='cafe', group='food', name='Fazer', prominence=40)
    >>> PoiTable.default().classify({"highway": "residential"}) is None
    True
    """

    groups: tuple[str, ...]
    group_rules: tuple[tuple[Rule, ...], ...]
    scores: tuple[int, ...]
    name_rules: tuple[tuple[Rule, ...], ...]

    @classmethod
    def default(cls) -> PoiTable:
        """The table of ``pois.toml``."""
        path = Path(__file__).with_name("pois.toml")
        content = tomllib.loads(path.read_text("utf-8"))
        groups, names = content["group"], content["name"]
        return cls(
            tuple(group["name"] for group in groups),
            tuple(parse_rules(group["rules"], f"{path}: {group['name']}", draws=False) for group in groups),
            tuple(entry["score"] for entry in names),
            tuple(
                parse_rules(entry["rules"], f"{path}: score {entry['score']}", draws=False) for entry in names
            ),
        )

    @cached_property
    def keys(self) -> frozenset[str]:
        """Keys of the objects to look for."""
        return frozenset(rule.key for rules in self.group_rules + self.name_rules for rule in rules)

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the rules."""
        rules = [
            [[rule.as_dict() for rule in entry] for entry in kind]
            for kind in (self.group_rules, self.name_rules)
        ]
        return sha256_of_json([self.groups, self.scores, rules])

    @cached_property
    def asked(self) -> frozenset[str]:
        """All keys whose values matter to `match`."""
        return asked_keys(rule for rules in self.group_rules + self.name_rules for rule in rules)

    described = frozenset((b"name", b"wikidata", b"wikipedia"))
    """Keys of the tags that `describe` uses."""

    def match(self, tags: Mapping[str, str]) -> Match:
        """The matching rules, regardless of the name."""
        group_rule, group = _first(self._group_by_key, tags)
        name_rule, number = _first(self._name_by_key, tags)
        rule = group_rule or name_rule
        if rule is None:
            return Match("", "", None, 0)
        group_name = None if group_rule is None else self.groups[group]
        return Match(rule.key, tags[rule.key], group_name, 0 if name_rule is None else self.scores[number])

    def classify(self, tags: Mapping[str, str]) -> Poi | None:
        """Classify an object by its tags; None if it has neither a group nor a name."""
        return self.describe(tags, self.match(tags))

    def describe(self, tags: Mapping[str, str], match: Match) -> Poi | None:
        """The point of interest of an object, from its match and its own name; None if it has neither a group nor a
        name.
        """
        name = tags.get("name") or None
        if not match.key or (match.group is None and name is None):
            return None
        known = "wikidata" in tags or "wikipedia" in tags
        score = min(100, match.score + _KNOWN_BONUS * known) if name and match.score else 0
        return Poi(match.key, match.value, match.group, name, score)

    @cached_property
    def _group_by_key(self) -> dict[str, list[tuple[int, int, Rule]]]:
        return _by_key(self.group_rules)

    @cached_property
    def _name_by_key(self) -> dict[str, list[tuple[int, int, Rule]]]:
        return _by_key(self.name_rules)


def _by_key(table: Sequence[Sequence[Rule]]) -> dict[str, list[tuple[int, int, Rule]]]:
    found: dict[str, list[tuple[int, int, Rule]]] = {}
    for entry, rules in enumerate(table):
        for number, rule in enumerate(rules):
            found.setdefault(rule.key, []).append((entry, number, rule))
    return found


def _first(
    by_key: Mapping[str, list[tuple[int, int, Rule]]], tags: Mapping[str, str]
) -> tuple[Rule | None, int]:
    """The first matching rule in the order of the table, and the index of its entry."""
    matching = (
        next((found for found in by_key[key] if found[2].matches(tags)), None)
        for key in tags
        if key in by_key
    )
    best = min((found for found in matching if found is not None), key=lambda found: found[:2], default=None)
    return (best[2], best[0]) if best else (None, -1)


# --- the file ----------------------------------------------------------------------------------------------


class PoiWriter:
    """Writes ``pois.parquet`` in chunks (write to a temporary name and rename it)."""

    def __init__(self, path: Path) -> None:
        self._writer = parquet.ParquetWriter(path, _SCHEMA)
        self.rows = 0

    def __enter__(self) -> PoiWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def add(self, osm_type: Sequence[str], osm_id: Ints, lonlat: Floats, pois: Sequence[Poi]) -> None:
        """Append objects: their type and ID, (N, 2) lon, lat degrees, and the results of `PoiTable.classify`."""
        if not len(pois):
            return
        keys, values, groups, names, prominence = zip(*pois, strict=True)
        arrays = [
            few_texts(osm_type, _SCHEMA.field("osm_type").type),
            numbers(osm_id, pa.int64()),
            numbers(lonlat[:, 0], pa.float64()),
            numbers(lonlat[:, 1], pa.float64()),
            few_texts(keys, _SCHEMA.field("key").type),
            texts(values),
            few_texts(groups, _SCHEMA.field("group").type),
            texts(names),
            numbers(prominence, pa.uint8()),
            wkb_points(lonlat[:, 0], lonlat[:, 1]),
        ]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=_SCHEMA))
        self.rows += len(pois)


def read_pois(path: str | Path) -> pd.DataFrame:
    """The rows of a ``pois.parquet`` without the geometry (lon and lat are columns); DatasetError if it is invalid."""
    names = [name for name in _SCHEMA.names if name != "geometry"]
    try:
        table = read_parquet(path, "table of points of interest", names)
    except SourceError as error:
        raise DatasetError(f"{error}; prepare the dataset again") from error
    if table.column_names != names:
        raise DatasetError(
            f"{path} must have the columns {', '.join(names)}; it has {', '.join(table.column_names)}"
        )
    try:
        table = table.cast(pa.schema([_SCHEMA.field(name) for name in names]))
    except (pa.ArrowException, ValueError) as error:
        raise DatasetError(f"{path} is damaged ({error}); prepare the dataset again") from error
    return table.to_pandas(ignore_metadata=True)


# --- places ------------------------------------------------------------------------------------------------


def poi_counts(pois: pd.DataFrame, footprints: Floats, zoom: int) -> tuple[Ints, tuple[str, ...]]:
    """Number of points of each group in each footprint.

    Args:
        pois: rows from `read_pois`.
        footprints: (N, 4) x0, y0, x1, y1 in fractional tiles at ``zoom``; NaN for places without one.
        zoom: zoom of the footprints.

    Returns:
        (N, G) int64 counts and the names of the G groups.

    >>> import pandas as pd
    >>> pois = pd.DataFrame({"lon": [24.941, 24.941], "lat": [60.171, 60.171], "group": ["food", "shops"]})
    >>> here = lonlat_to_tile_xy(np.array([24.941]), np.array([60.171]), 17)[0] // 1
    >>> counts, groups = poi_counts(pois, np.array([[*here, *(here + 1)]]), 17)
    >>> int(counts.sum()), [groups[column] for column in np.flatnonzero(counts[0])]
    (2, ['food', 'shops'])
    """
    import pandas as pd  # slow to load, and not needed for writing

    groups = PoiTable.default().groups
    group = pd.Categorical(pois["group"], categories=list(groups)).codes
    places, points = points_inside(pois[group >= 0], footprints, zoom)
    number = group[group >= 0][points].astype(np.int64)
    flat = np.bincount(places * len(groups) + number, minlength=len(footprints) * len(groups))
    return flat.reshape(len(footprints), len(groups)).astype(np.int64), groups


def place_names(pois: pd.DataFrame, footprints: Floats, zoom: int) -> NDArray[np.object_]:
    """(N,) object: the most prominent name in each footprint, None if there is none.

    Args as in `poi_counts`. Of two equally prominent names, the one closer to the center is used.

    >>> import pandas as pd
    >>> poi = {"osm_type": ["node"], "osm_id": [1], "lon": [24.9414], "lat": [60.171]}
    >>> poi |= {"name": ["Ekberg"], "prominence": [60]}
    >>> here = lonlat_to_tile_xy(np.array([24.9414]), np.array([60.1710]), 17)[0] // 1
    >>> place_names(pd.DataFrame(poi), np.array([[*here, *(here + 1)]]), 17).tolist()
    ['Ekberg']
    """
    named = pois[pois["name"].notna() & (pois["prominence"] > 0)]
    places, points = points_inside(named, footprints, zoom)
    xy = lonlat_to_tile_xy(named["lon"].to_numpy()[points], named["lat"].to_numpy()[points], zoom)
    middle = (footprints[places, :2] + footprints[places, 2:]) / 2.0
    world = 2.0**zoom
    apart = np.abs(xy - middle)
    apart[:, 0] = np.minimum(apart[:, 0], world - np.minimum(apart[:, 0], world))
    away = np.hypot(*apart.T) if len(places) else np.zeros(0)
    prominence = named["prominence"].to_numpy()[points].astype(np.int64)
    order = np.lexsort((named["osm_id"].to_numpy()[points], away, -prominence, places))
    best, first = np.unique(places[order], return_index=True)
    names = np.full(len(footprints), None, object)
    names[best] = named["name"].to_numpy(dtype=object)[points[order][first]]
    return names


def points_inside(pois: pd.DataFrame, footprints: Floats, zoom: int) -> tuple[Ints, Ints]:
    """Pairs (place, point) of points inside footprints, including the left and upper edge, in order of the place."""
    from shapely import STRtree, box, points

    footprints = np.asarray(footprints, np.float64).reshape(-1, 4)
    if not len(pois) or not len(footprints):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    xy = lonlat_to_tile_xy(pois["lon"].to_numpy(), pois["lat"].to_numpy(), zoom)
    rows = np.arange(len(xy))
    whole = np.asarray(np.isfinite(footprints).all(axis=1))
    world = 2.0**zoom
    for beyond, shift in (
        ((footprints[whole, 2] > world).any(), world),
        ((footprints[whole, 0] < 0).any(), -world),
    ):
        if beyond:  # a footprint across the antimeridian also contains points on the other side
            xy = np.concatenate([xy, xy[: len(pois)] + np.array([shift, 0.0])])
            rows = np.concatenate([rows, np.arange(len(pois))])
    boxes = box(*np.where(whole[:, None], footprints, 0.0).T)
    places, found = STRtree(points(xy)).query(boxes)
    inside = whole[places] & np.all(xy[found] >= footprints[places, :2], axis=1)
    inside &= np.all(xy[found] < footprints[places, 2:], axis=1)
    order = np.lexsort((found[inside], places[inside]))
    return places[inside][order].astype(np.int64), rows[found[inside][order]].astype(np.int64)
