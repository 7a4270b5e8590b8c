"""An option: its type, how a given value is checked, and its help."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from placevec.errors import UsageError, choose_from

_KINDS = {bool: "true or false", int: "an integer", float: "a number", str: "text", Path: "a path"}
_WORDS = {"above": "more than", "min": "at least", "max": "at most", "below": "less than"}


@dataclass(frozen=True)
class Option:
    """An option, as declared by its field.

    Attributes:
        name: name of the field and the keyword.
        kind: bool, int, float, str or Path: type of the value, or of each value with ``many``.
        default: the default value.
        help: help, with the default.
        group: its heading.
        choices: allowed texts; empty if any text is allowed.
        many: whether it takes several values, stored as a tuple.
        optional: whether None is allowed.
        limits: limits of a number, by their names in `option`.
        flags: additional flags.
        reader: see ``read`` of `option`.
        foreign: whether Python can give an object that no flag can, such as an open dataset instead of its path.
        required: whether it has no default.
        spelled: the flag, if it differs from the keyword.
    """

    name: str
    kind: type
    default: Any
    help: str
    group: str
    choices: tuple[str, ...] = ()
    many: bool = False
    optional: bool = False
    limits: Mapping[str, float] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    reader: Callable[[Any], Any] | None = None
    foreign: bool = False
    required: bool = False
    spelled: str | None = None

    @property
    def flag(self) -> str:
        """The flag on the command line.

        >>> Option("near_m", float, 100.0, "", "").flag
        '--near-m'
        """
        return self.spelled or flag_of(self.name)

    @property
    def takes(self) -> str:
        """The type in words, unless it is a switch or has choices.

        >>> Option("files", Path, (), "", "", many=True).takes
        'paths'
        """
        if self.kind is bool or self.choices:
            return ""
        return f"{_KINDS[self.kind].split(' ')[-1]}s" if self.many else _KINDS[self.kind]

    @property
    def fits(self) -> str:
        """The allowed values, in words.

        >>> Option("share", float, 0.1, "", "", limits={"min": 0, "below": 1}).fits
        'a number of at least 0 and less than 1'
        """
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        limits = " and ".join(f"{_WORDS[name]} {_number(value)}" for name, value in self.limits.items())
        return f"{_KINDS[self.kind]} of {limits}" if limits else _KINDS[self.kind]

    def read(self, value: Any, called: str) -> Any:
        """A given value, checked and converted to the type of the field.

        Args:
            value: a Python value, or what a TOML file holds.
            called: name of the option in messages.

        Raises:
            UsageError: an invalid value; the message says which values are allowed.
        """
        if self.reader is not None:
            return self.reader(value)
        if value is None and self.optional:
            return None
        if self.foreign and not isinstance(value, str | os.PathLike | list | tuple):
            return value
        if self.many:
            given = [value] if isinstance(value, str | Path) else value
            if not isinstance(given, Sequence) or isinstance(given, bytes):
                raise UsageError(f"{called} must be a list; got {_shown(value)}")
            if self.kind is str:
                given = [part for item in given for part in _parts(item)]
            return tuple(self._one(item, called) for item in given)
        return self._one(value, called)

    def _one(self, value: Any, called: str) -> Any:
        if self.foreign and not isinstance(value, str | os.PathLike):
            return value
        if self.choices and isinstance(value, str) and value not in self.choices:
            raise UsageError(f"{called} {value[:60]!r} is unknown: {choose_from(value, self.choices)}")
        found = _converted(value, self.kind)
        if found is None or not all(_within(found, name, limit) for name, limit in self.limits.items()):
            raise UsageError(f"{called} must be {self.fits}; got {_shown(value)}")
        return found


def flag_of(name: str) -> str:
    """The flag of a keyword."""
    return f"--{name.replace('_', '-')}"


def default_of(value: Any) -> str | None:
    """A default in words; None if there is nothing to say.

    >>> default_of(0.25), default_of(True), default_of(("a", "b")), default_of(None)
    ('0.25', 'on', 'a,b', None)
    """
    if value is None or value == () or value == "":
        return None
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ",".join(default_of(item) or "" for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def described(
    help: str, default: Any, choices: Sequence[str] = (), limits: Mapping[str, float] | None = None
) -> str:
    """A help with choices, default and range inserted before the remarks in parentheses at its end.

    A default of None is described by the help itself, if at all; that of a switch is off.

    >>> described("Share of units dropped", 0.5, limits={"min": 0, "below": 1})
    'Share of units dropped (default 0.5; at least 0, less than 1)'
    >>> described("Side of a block, meters (default: depends on the extent)", None, limits={"above": 0})
    'Side of a block, meters (default: depends on the extent; more than 0)'
    >>> described("Optimizer (adam as published)", "adamw", ("adamw", "adam"))
    'Optimizer: adamw, adam (default adamw; adam as published)'
    >>> described("Index: hnsw needs an extra", "exact", ("exact", "hnsw"))
    'Index: hnsw needs an extra. One of: exact, hnsw (default exact)'
    """
    head, bracket, remark = help.rpartition(" (") if help.endswith(")") else (help, "", "")
    if choices:
        head += f"{'. One of' if ':' in head or ';' in head else ''}: {', '.join(choices)}"
    shown = None if default is False else default_of(default)
    told = bool(bracket) and remark.startswith("default")
    remarks = [remark[:-1] if told else "" if shown is None else f"default {shown}", range_of(limits or {})]
    remarks = [one for one in (*remarks, "" if told else remark[:-1]) if one]
    return f"{head} ({'; '.join(remarks)})" if remarks else head


def range_of(limits: Mapping[str, float]) -> str:
    """Limits in a few words.

    >>> range_of({"min": 0, "max": 1}), range_of({"above": 0}), range_of({})
    ('0 to 1', 'more than 0', '')
    """
    if limits.keys() == {"min", "max"}:
        return f"{_number(limits['min'])} to {_number(limits['max'])}"
    return ", ".join(f"{_WORDS[name]} {_number(value)}" for name, value in limits.items())


def _converted(value: Any, kind: type) -> Any:
    """The value as a ``kind``, or None if it cannot be converted."""
    if kind is bool:
        return bool(value) if type(value).__name__ in ("bool", "bool_") else None
    if kind in (int, float):
        number = isinstance(value, Integral if kind is int else Real) and not isinstance(value, bool)
        return kind(value) if number and abs(value) < 2**63 and math.isfinite(value) else None
    if kind is Path:
        return Path(value) if isinstance(value, str | os.PathLike) else None
    return value if isinstance(value, kind) else None


def _parts(item: Any) -> list[Any]:
    """Texts can contain several values separated by commas."""
    return [part.strip() for part in item.split(",") if part.strip()] if isinstance(item, str) else [item]


def _within(value: Any, name: str, limit: float) -> bool:
    if name == "above":
        return bool(value > limit)
    if name == "min":
        return bool(value >= limit)
    return bool(value <= limit) if name == "max" else bool(value < limit)


def _number(value: float) -> str:
    if value != int(value):
        return f"{value:g}"
    return f"{int(value):,}" if abs(value) >= 10_000 else str(int(value))  # a year has no comma


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else repr(value)[:60]
