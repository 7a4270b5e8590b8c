"""Types of entities: a hierarchy of types by tags, from ``types.toml`` or a table of the user.

A type is written ``group`` or ``group/leaf``, such as ``water/river``. The format is explained at the top of
``types.toml``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from placevec.errors import InputError
from placevec.io.atomic import sha256_of_json
from placevec.io.files import read_text
from placevec.sources.osm.layers import Rule, asked_keys, parse_rules
from placevec.sources.osm.objects import Kind

DEFAULT, FOUNDING = "default", "founding"
MAX_TYPES = 1_000
_FIELDS = {"name": str, "rules": list, "by_value": bool, "lines": bool, "words": str}
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}(/[a-z][a-z0-9_]{0,39})?")
_LEAF = re.compile(r"[a-z][a-z0-9_]{0,39}")
_NO_LEAF = frozenset(("yes", "no", "unknown", "other", "fixme"))


class Typed(NamedTuple):
    """Type of an object.

    Attributes:
        entry: number of the matching entry of the table.
        type: such as ``amenity/school``.
        is_area: whether its closed way, or its relation, is an area.
        words: plain English words for the type.
    """

    entry: int
    type: str
    is_area: bool
    words: str


@dataclass(frozen=True)
class Entry:
    """One entry of a table; the fields are explained in ``types.toml``."""

    name: str
    rules: tuple[Rule, ...]
    by_value: bool = False
    lines: bool = False
    words: str = "{}"

    def as_dict(self) -> dict[str, Any]:
        """Canonical JSON."""
        told = {"name": self.name, "by_value": self.by_value, "lines": self.lines, "words": self.words}
        return {**told, "rules": [rule.as_dict() for rule in self.rules]}


@dataclass(frozen=True)
class TypeTable:
    """Types of entities, in the order in which they are looked for.

    >>> table = TypeTable.default()
    >>> table.classify({"waterway": "river"}, Kind.LINE).type
    'water/river'
    >>> table.classify({"shop": "bakery"}, Kind.POINT).words
    'bakery shop'
    >>> table.classify({"natural": "water", "place": "sea"}, Kind.AREA).type
    'place/sea'
    """

    entries: tuple[Entry, ...]

    @classmethod
    def default(cls) -> TypeTable:
        """The table of ``types.toml``."""
        return cls.of(DEFAULT)

    @classmethod
    def of(cls, name: str | Path) -> TypeTable:
        """A table by name (``default``, or ``founding`` with its three types), or from a file.

        Raises:
            InputError: it cannot be read; the message says which entry is wrong.
        """
        builtin = {DEFAULT: "types.toml", FOUNDING: "founding.toml"}.get(str(name))
        path = Path(__file__).with_name(builtin) if builtin else Path(name)
        try:
            content = tomllib.loads(read_text(path, "table of types"))
        except OSError as error:
            raise InputError(
                f"cannot read the table of types {path}: {error.strerror}; give a TOML file, {DEFAULT} or {FOUNDING}"
            ) from error
        except (ValueError, RecursionError) as error:
            raise InputError(f"the table of types {path} is not TOML: {error}") from error
        return _parse(content, str(path))

    @cached_property
    def keys(self) -> frozenset[str]:
        """Keys by which objects are looked for."""
        return frozenset(rule.key for entry in self.entries for rule in entry.rules)

    @cached_property
    def asked(self) -> frozenset[str]:
        """All keys whose values matter to `classify`."""
        return asked_keys(rule for entry in self.entries for rule in entry.rules)

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """The groups, the first of which counts most."""
        return tuple(dict.fromkeys(entry.name.partition("/")[0] for entry in self.entries))

    @cached_property
    def hash(self) -> str:
        """SHA-256 of what the table means; spelling and comments do not enter."""
        return sha256_of_json([entry.as_dict() for entry in self.entries])

    def classify(self, tags: Mapping[str, str], kind: Kind) -> Typed | None:
        """Type of an object with these tags; None if no entry matches."""
        for number, entry in self._candidates(tags):
            rule = next((rule for rule in entry.rules if rule.matches(tags)), None)
            if rule is not None:
                leaf = tags[rule.key].partition(";")[0].strip() if entry.by_value else ""
                area = tags.get("area")
                is_area = kind == Kind.AREA or (
                    kind == Kind.RING and area != "no" and (not entry.lines or area == "yes")
                )
                return _typed(number, entry, leaf, is_area)
        return None

    def _candidates(self, tags: Mapping[str, str]) -> list[tuple[int, Entry]]:
        numbers = {number for key in tags for number in self._by_key.get(key, ())}
        return [(number, self.entries[number]) for number in sorted(numbers)]

    @cached_property
    def _by_key(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for number, entry in enumerate(self.entries):
            for key in {rule.key for rule in entry.rules}:
                found.setdefault(key, []).append(number)
        return found


def _typed(number: int, entry: Entry, value: str, is_area: bool) -> Typed:
    group, _, leaf = entry.name.partition("/")
    if not leaf and value not in _NO_LEAF and _LEAF.fullmatch(value):
        leaf = value
    if leaf and leaf != group:
        words = entry.words.replace("{}", leaf.replace("_", " "))
        return Typed(number, f"{group}/{leaf}", is_area, words)
    words = " ".join(entry.words.replace("{}", "").split()) or group.replace("_", " ")
    return Typed(number, group, is_area, words)


# --- reading a table ---------------------------------------------------------------------------------------


def _parse(content: Mapping[str, Any], source: str) -> TypeTable:
    found, extends = content.get("type"), content.get("extends")
    if set(content) - {"type", "extends"} or not isinstance(found, list) or not found:
        raise InputError(
            f"{source}: a type table must be a list of [[type]] entries; to put them before the default types, start the "
            f'file with extends = "{DEFAULT}"'
        )
    if extends not in (None, DEFAULT, FOUNDING):
        raise InputError(f"{source}: extends must be {DEFAULT!r} or {FOUNDING!r}; got {extends!r}")
    if len(found) > MAX_TYPES:
        raise InputError(f"{source}: there are {len(found):,} types; at most {MAX_TYPES:,} are allowed")
    entries = tuple(_entry(entry, f"{source}: type {number}") for number, entry in enumerate(found, 1))
    return TypeTable(entries + (TypeTable.of(extends).entries if extends else ()))


def _entry(entry: Any, at: str) -> Entry:
    if not isinstance(entry, dict):
        raise InputError(f"{at} is not a table")
    for name, value in entry.items():
        if name not in _FIELDS:
            raise InputError(f"{at}: unknown field {name!r}; there are {', '.join(sorted(_FIELDS))}")
        if not isinstance(value, _FIELDS[name]):
            raise InputError(f"{at}: {name} is {value!r}, not a {_FIELDS[name].__name__}")
    name = entry.get("name", "")
    if not _NAME.fullmatch(name):
        raise InputError(f'{at} needs a name such as "water" or "water/river", in lowercase; got {name!r}')
    rules = parse_rules(entry.get("rules"), f"{at} ({name})", draws=False)
    words = entry.get("words", "{}")
    if not words.strip() or not words.isprintable() or len(words) > 100:
        raise InputError(
            f"{at} ({name}): words must be a short string in which {{}} stands for the leaf; got {words!r}"
        )
    return Entry(name, rules, entry.get("by_value", False), entry.get("lines", False), words)
