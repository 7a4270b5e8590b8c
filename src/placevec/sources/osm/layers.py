"""Rules from OSM tags to map layers: the tables ``layers.toml`` and ``landuse.toml``, or a user's own.

The twelve layers are those of Loc2Vec (Sentiance, 2018); their tags follow the OSM wiki. ``layers.toml`` explains the
rules and their format.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

from placevec.errors import InputError
from placevec.io.atomic import sha256_of_json
from placevec.io.files import read_text
from placevec.sources.osm.objects import Kind

MAX_LAYERS = 64
MAX_METERS = 5000.0
"""Maximum width of a line or disc."""
_RULE_FIELDS = {"key", "values", "except", "where", "unless", "fill", "width_m", "point_m"}
_LAYER_FIELDS = {"name", "rules", "sea", "content"}

Values = frozenset[str] | None
"""Matching values; None matches any value except "no"."""


class How(IntEnum):
    """How an object is drawn."""

    FILL = 0
    LINE = 1
    POINT = 2


class Drawing(NamedTuple):
    """One object in one layer: ``meters`` is the width of a line or the diameter of a disc, 0 for fills."""

    layer: int
    how: How
    meters: float


@dataclass(frozen=True)
class Rule:
    """One rule of a table; ``layers.toml`` explains the fields.

    >>> (rule,) = parse_rules([{"key": "highway", "values": ["residential"], "width_m": 6}], "roads")
    >>> rule.matches({"highway": "residential"}), rule.matches({"highway": "motorway"})
    (True, False)
    """

    key: str
    values: Values = None
    excluded: frozenset[str] = frozenset()
    where: tuple[tuple[str, Values], ...] = ()
    unless: tuple[tuple[str, Values], ...] = ()
    fill: bool | Literal["explicit"] = False
    width_m: float = 0.0
    point_m: float = 0.0

    def matches(self, tags: Mapping[str, str]) -> bool:
        """Whether the rule matches an object with these tags."""
        value = tags.get(self.key)
        return (
            _among(value, self.values)
            and value not in self.excluded
            and all(_among(tags.get(key), values) for key, values in self.where)
            and not any(_among(tags.get(key), values) for key, values in self.unless)
        )

    def draws(self, tags: Mapping[str, str], kind: Kind) -> tuple[How, float] | None:
        """How the rule draws an object of a kind, or None if it draws only other kinds."""
        if kind == Kind.POINT:
            return (How.POINT, self.point_m) if self.point_m else None
        area = tags.get("area")
        is_area = kind == Kind.AREA or (
            kind == Kind.RING and area != "no" and (self.fill is True or area == "yes")
        )
        if self.fill and is_area:
            return How.FILL, 0.0
        return (How.LINE, self.width_m) if self.width_m else None

    def as_dict(self) -> dict[str, Any]:
        """Canonical JSON: equal for equal meaning."""
        return {
            "key": self.key,
            "values": _sorted(self.values),
            "except": sorted(self.excluded),
            "where": {key: _sorted(values) for key, values in self.where},
            "unless": {key: _sorted(values) for key, values in self.unless},
            "fill": self.fill,
            "width_m": self.width_m,
            "point_m": self.point_m,
        }


@dataclass(frozen=True)
class LayerTable:
    """Layers in order, with their rules.

    Attributes:
        layers: names, in the order of the map's bands.
        rules: rules of each layer; the first one that matches an object and draws its kind applies.
        sea: number of the layer filled with the sea, or None.
        content: for each layer, whether its content makes a tile a place.

    >>> table = LayerTable.default()
    >>> [table.layers[d.layer] for d in table.classify({"building": "yes", "amenity": "school"}, Kind.RING)]
    ['buildings', 'amenities']
    >>> table.classify({"highway": "residential"}, Kind.LINE)[0].meters
    6.0
    """

    layers: tuple[str, ...]
    rules: tuple[tuple[Rule, ...], ...]
    sea: int | None = None
    content: tuple[bool, ...] = ()

    @classmethod
    def default(cls) -> LayerTable:
        """The twelve layers: natural-features, boundaries, landcover, buildings, amenities, railways, ..."""
        return cls.from_toml(Path(__file__).with_name("layers.toml"))

    @classmethod
    def landuse(cls) -> LayerTable:
        """Classes of dominant land use, from tags that four of the twelve layers draw."""
        return cls.from_toml(Path(__file__).with_name("landuse.toml"))

    @classmethod
    def from_toml(cls, path: str | Path) -> LayerTable:
        """A table from a file in the format of ``layers.toml``; InputError names the invalid rule."""
        try:
            content = tomllib.loads(read_text(path, "layer table"))
        except OSError as error:
            raise InputError(f"cannot read the layer table {path}: {error.strerror}") from error
        except (ValueError, RecursionError) as error:
            raise InputError(f"the layer table {path} is not valid TOML: {error}") from error
        return _parse_table(content, str(path))

    @cached_property
    def keys(self) -> frozenset[str]:
        """Keys of the objects to look for."""
        return frozenset(rule.key for rules in self.rules for rule in rules)

    @cached_property
    def asked(self) -> frozenset[str]:
        """All keys whose values matter to `classify`: objects with equal values are drawn alike."""
        return asked_keys(rule for rules in self.rules for rule in rules)

    @cached_property
    def _keys_of_layers(self) -> tuple[frozenset[str], ...]:
        return tuple(frozenset(rule.key for rule in rules) for rules in self.rules)

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the meaning of the rules; spelling, comments and the order of values do not matter."""
        return sha256_of_json(self.as_dict())

    def as_dict(self) -> dict[str, Any]:
        """Canonical JSON."""
        rows = zip(self.layers, self.content, self.rules, strict=True)
        return {
            "layers": [
                {"name": n, "content": c, "rules": [r.as_dict() for r in rules]} for n, c, rules in rows
            ],
            "sea": self.sea,
        }

    def classify(self, tags: Mapping[str, str], kind: Kind) -> tuple[Drawing, ...]:
        """How an object with these tags is drawn, at most once per layer, in the order of the layers."""
        found = []
        for layer, rules in enumerate(self.rules):
            if self._keys_of_layers[layer].isdisjoint(tags):
                continue
            for rule in rules:
                if rule.matches(tags) and (drawn := rule.draws(tags, kind)):
                    found.append(Drawing(layer, *drawn))
                    break
        return tuple(found)


def asked_keys(rules: Iterable[Rule]) -> frozenset[str]:
    """All keys used by the rules.

    >>> rules = parse_rules([{"key": "highway", "where": {"tunnel": ["yes"]}, "width_m": 4}], "tunnels")
    >>> sorted(asked_keys(rules))
    ['area', 'highway', 'tunnel']
    """
    keys = {"area"}
    for rule in rules:
        keys.update((rule.key, *(key for key, _ in (*rule.where, *rule.unless))))
    return frozenset(keys)


def _among(value: str | None, values: Values) -> bool:
    return value is not None and (value != "no" if values is None else value in values)


def _sorted(values: Values) -> list[str] | None:
    return None if values is None else sorted(values)


# --- reading a table ---------------------------------------------------------------------------------------


def _parse_table(content: Mapping[str, Any], source: str) -> LayerTable:
    layers = content.get("layer")
    if set(content) != {"layer"} or not isinstance(layers, list) or not layers:
        raise InputError(f"{source}: a layer table must contain only [[layer]] entries")
    if len(layers) > MAX_LAYERS:
        raise InputError(
            f"{source}: there are {len(layers)} layers, more than the maximum of {MAX_LAYERS}: combine some of them"
        )
    names: list[str] = []
    for number, layer in enumerate(layers, 1):
        at = f"{source}: layer {number}"
        name = layer.get("name") if isinstance(layer, dict) else None
        if not isinstance(name, str) or not name.strip() or not name.isprintable():
            raise InputError(f"{at} needs a name")
        if name in names:
            raise InputError(f"{at} has a duplicate name {name!r}")
        _refuse_unknown(layer, _LAYER_FIELDS, f"{source}: layer {name!r}")
        for flag in ("sea", "content"):
            if not isinstance(layer.get(flag, False), bool):
                raise InputError(f"{source}: layer {name!r}: {flag} must be true or false")
        names.append(name)
    seas = [number for number, layer in enumerate(layers) if layer.get("sea", False)]
    if len(seas) > 1:
        raise InputError(f"{source}: only one layer can be filled with the sea, not {len(seas)}")
    rules = tuple(
        parse_rules(
            layer.get("rules", []), f"{source}: layer {layer['name']!r}", empty=layer.get("sea", False)
        )
        for layer in layers
    )
    content_flags = tuple(layer.get("content", True) for layer in layers)
    return LayerTable(tuple(names), rules, seas[0] if seas else None, content_flags)


def parse_rules(rules: Any, at: str, *, empty: bool = False, draws: bool = True) -> tuple[Rule, ...]:
    """Rules from TOML; InputError says, after ``at``, which one is invalid.

    Args:
        rules: a list of tables with the fields of `Rule`.
        at: their location, for messages.
        empty: whether an empty list is allowed.
        draws: whether each rule must say how it draws.

    >>> parse_rules([{"key": "building", "fill": True}], "buildings")[0].key
    'building'
    """
    if not isinstance(rules, list) or (not rules and not empty):
        raise InputError(f"{at} needs rules: a list of {{ key = ..., ... }}")
    parsed = tuple(_parse_rule(rule, f"{at}, rule {number}") for number, rule in enumerate(rules, 1))
    for number, rule in enumerate(parsed, 1):
        if draws and not (rule.fill or rule.width_m or rule.point_m):
            raise InputError(f"{at}, rule {number} draws nothing: set fill, width_m or point_m")
    return parsed


def _parse_rule(rule: Any, at: str) -> Rule:
    if not isinstance(rule, dict) or not isinstance(rule.get("key"), str) or not rule["key"]:
        raise InputError(f'{at} needs a key, such as {{ key = "highway", ... }}')
    _refuse_unknown(rule, _RULE_FIELDS, at)
    fill = rule.get("fill", False)
    if fill not in (True, False, "explicit") or (isinstance(fill, int) and not isinstance(fill, bool)):
        raise InputError(f'{at}: fill must be true, false or "explicit"; got {fill!r}')
    return Rule(
        rule["key"],
        _values(rule["values"], f"{at}: values") if "values" in rule else None,
        _values(rule.get("except", []), f"{at}: except", empty=True) or frozenset(),
        _conditions(rule.get("where", {}), f"{at}: where"),
        _conditions(rule.get("unless", {}), f"{at}: unless"),
        fill,
        _meters(rule.get("width_m"), f"{at}: width_m"),
        _meters(rule.get("point_m"), f"{at}: point_m"),
    )


def _refuse_unknown(found: Mapping[str, Any], known: set[str], at: str) -> None:
    unknown = sorted(set(found) - known)
    if unknown:
        raise InputError(f"{at}: unknown field {unknown[0]!r}; choose from {', '.join(sorted(known))}")


def _values(found: Any, at: str, empty: bool = False) -> Values:
    if found == ["*"]:
        return None
    if (
        not isinstance(found, list)
        or not all(isinstance(value, str) for value in found)
        or not (found or empty)
    ):
        raise InputError(f'{at} must be a list of strings, such as ["yes", "no"]; got {found!r}')
    return frozenset(found)


def _conditions(found: Any, at: str) -> tuple[tuple[str, Values], ...]:
    if not isinstance(found, dict):
        raise InputError(f'{at} must be a table such as {{ tunnel = ["yes"] }}; got {found!r}')
    return tuple((key, _values(values, f"{at} {key}")) for key, values in sorted(found.items()))


def _meters(found: Any, at: str) -> float:
    if found is None:
        return 0.0
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        raise InputError(f"{at} must be a number of meters; got {found!r}")
    if not 0 < found <= MAX_METERS:
        raise InputError(f"{at} must be more than 0 and at most {MAX_METERS:g} meters; got {found!r}")
    return float(found)
