"""Options, each declared once: a field of a dataclass, with its type, default, limits and help.

The keyword in Python, the flag on the command line, the key in a TOML file, the check and the line of the reference
page all come from that field:

>>> @dataclass(frozen=True)
... class Schedule(Options):
...     GROUP: ClassVar[str] = "Training"
...     epochs: int = option(20, "Number of epochs", min=1)
...     clip_norm: float = option(1.0, "Maximum gradient norm (0 disables clipping)", min=0)
>>> [f"{one.flag}: {one.help}" for one in options_of(Schedule)]
['--epochs: Number of epochs (default 20)', '--clip-norm: Maximum gradient norm (default 1; 0 disables clipping)']
>>> Schedule(epochs=0)
Traceback (most recent call last):
    ...
placevec.errors.UsageError: --epochs is 0, not a whole number of at least 1
"""

from __future__ import annotations

import math
import os
import sys
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from functools import cache
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar, Union, get_args, get_origin

from placevec.errors import InputError, UsageError, choose_from

T = TypeVar("T")
Called = Callable[[str], str]
"""How an option is named in a message: as a flag, a keyword, or a key of a file."""
_LIMITS = ("above", "min", "max", "below")
_KINDS = {int: "a whole number", float: "a number", str: "a text", Path: "a path"}


def option(
    default: T,
    help: str,
    *,
    group: str | None = None,
    above: float | None = None,
    min: float | None = None,
    max: float | None = None,
    below: float | None = None,
    flags: Sequence[str] = (),
    kind: type | None = None,
    read: Callable[[Any], Any] | None = None,
) -> T:
    """A field of an options dataclass.

    Args:
        default: what holds where nothing is given.
        help: a noun phrase with its unit, without the default, which is added; remarks in brackets at its end.
        group: heading of the help and the reference page; by default the ``GROUP`` of the class.
        above, min, max, below: limits of a number; those of ``above`` and ``below`` are not allowed themselves.
        flags: further flags of the command line, such as ``-o``.
        kind: what a flag or a file gives, where the annotation names more (``str`` of ``Area | str``).
        read: turns a value that was given into the one to keep, in the place of the checks here; raises UsageError.
    """
    limits = {
        name: value
        for name, value in zip(_LIMITS, (above, min, max, below), strict=True)
        if value is not None
    }
    metadata = {
        "help": help,
        "group": group,
        "limits": limits,
        "flags": tuple(flags),
        "kind": kind,
        "read": read,
    }
    return field(default=default, metadata=metadata)  # type: ignore[return-value]


@dataclass(frozen=True)
class Option:
    """An option as its field declares it.

    Attributes:
        name: of the field and the keyword.
        kind: bool, int, float, str or Path: of the value, or of each where it takes ``many``.
        default: what holds where nothing is given.
        help: with the default.
        group: heading that it stands under.
        choices: the texts that are allowed; empty where any is.
        many: whether it takes several values, kept as a tuple.
        optional: whether None is allowed.
        limits: of a number, by the names that `option` has for them.
        flags: further flags.
        reader: see ``read`` of `option`.
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

    @property
    def flag(self) -> str:
        """As the command line spells it.

        >>> Option("near_m", float, 100.0, "", "").flag
        '--near-m'
        """
        return flag_of(self.name)

    @property
    def fits(self) -> str:
        """What a value has to be, in words.

        >>> Option("share", float, 0.1, "", "", limits={"min": 0, "below": 1}).fits
        'a number of at least 0 and less than 1'
        """
        if self.kind is bool:
            return "true or false"
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        words = {"above": "more than", "min": "at least", "max": "at most", "below": "less than"}
        limits = " and ".join(f"{words[name]} {_number(value)}" for name, value in self.limits.items())
        return f"{_KINDS[self.kind]} of {limits}" if limits else _KINDS[self.kind]

    def read(self, value: Any, called: str) -> Any:
        """A value that was given, checked and in the type of the field.

        Args:
            value: a Python value, or what a TOML file holds.
            called: what the message calls the option.

        Raises:
            UsageError: a value of another type or out of range; the message says what fits.
        """
        if self.reader is not None:
            return self.reader(value)
        if value is None and self.optional:
            return None
        if self.many:
            given = [value] if isinstance(value, str | Path) else value
            if not isinstance(given, Sequence) or isinstance(given, bytes):
                raise UsageError(f"{called} is {_shown(value)}, not a list")
            if self.kind is str:
                given = [part for item in given for part in _parts(item)]
            return tuple(self._one(item, called) for item in given)
        return self._one(value, called)

    def _one(self, value: Any, called: str) -> Any:
        if self.choices and isinstance(value, str) and value not in self.choices:
            raise UsageError(f"{called} {value[:60]!r} is unknown: {choose_from(value, self.choices)}")
        found = _converted(value, self.kind)
        if found is None or not all(_within(found, name, limit) for name, limit in self.limits.items()):
            raise UsageError(f"{called} is {_shown(value)}, not {self.fits}")
        return found


class Options:
    """Base of options dataclasses: what is made has been checked."""

    GROUP: ClassVar[str] = "Options"

    def __post_init__(self) -> None:
        for one in options_of(type(self)):
            object.__setattr__(self, one.name, one.read(getattr(self, one.name), one.flag))

    def as_json(self) -> dict[str, Any]:
        """Plain JSON of all options: paths as text, tuples as lists."""
        found = {one.name: getattr(self, one.name) for one in options_of(type(self))}
        return {name: _plain(value) for name, value in found.items()}


def options_of(cls: type[Options]) -> tuple[Option, ...]:
    """The options of a class, in the order of its fields; fields that `option` did not make are none."""
    return _options_of(cls)  # type: ignore[arg-type]  # classes are hashable, whatever their objects are


def checked(
    classes: Iterable[type[Options]], given: Mapping[str, Any], *, called: Called, unknown: Called
) -> dict[str, Any]:
    """The options that were given, each checked.

    Args:
        classes: whose options are known.
        given: name -> value; dashes in names count as underscores.
        called: see `Called`.
        unknown: the message about a name that no class has.

    Raises:
        UsageError: an unknown name, a value of another type or out of range.
    """
    known = {one.name: one for cls in classes for one in options_of(cls)}
    found = {}
    for name, value in given.items():
        own = known.get(name.replace("-", "_"))
        if own is None:
            raise UsageError(unknown(name))
        found[own.name] = own.read(value, called(name))
    return found


def flag_of(name: str) -> str:
    """The flag of a keyword."""
    return f"--{name.replace('_', '-')}"


def no_option(name: str) -> str:
    """The message about an option that there is not, where nobody knows more of it."""
    return f"there is no option {flag_of(name)}"


def toml_options(path: str | Path) -> dict[str, Any]:
    """The options in a TOML file, by name; InputError when it cannot be read.

    They stand at the top, as ``near_m = 100`` or ``near-m = 100``.
    """
    import tomllib

    try:
        content = tomllib.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise InputError(f"cannot read the options in {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"cannot read the options in {path}: {error}") from error
    if table := next((name for name, value in content.items() if isinstance(value, dict)), None):
        raise InputError(
            f"[{table}] in {path}: tables are not read; all options stand at the top of the file"
        )
    return {name.replace("-", "_"): value for name, value in content.items()}


def default_of(value: Any) -> str | None:
    """A default in words; None where there is nothing to say.

    >>> default_of(0.25), default_of(True), default_of(("a", "b")), default_of(None)
    ('0.25', 'on', 'a,b', None)
    """
    if value is None or value == () or value == "":
        return None
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def described(help: str, default: Any, choices: Sequence[str] = ()) -> str:
    """A help with the choices and the default in it, before what stands in brackets at its end.

    A default of None is named in the help itself, where there is something to say.

    >>> described("Share of units dropped", 0.5), described("Side of a block (default: by the extent)", None)
    ('Share of units dropped (default 0.5)', 'Side of a block (default: by the extent)')
    >>> described("Optimizer (adam as founded)", "adamw", ("adamw", "adam"))
    'Optimizer: adamw, adam (default adamw; adam as founded)'
    """
    head, bracket, remark = help.rpartition(" (") if help.endswith(")") else (help, "", "")
    if choices:
        head = f"{head}: {', '.join(choices)}"
    shown = default_of(default)
    remarks = [f"default {shown}"] if shown is not None and not remark.startswith("default") else []
    remarks += [remark[:-1]] if bracket else []
    return f"{head} ({'; '.join(remarks)})" if remarks else head


@cache
def _options_of(cls: Any) -> tuple[Option, ...]:
    owners = {
        name: owner for owner in reversed(cls.__mro__) for name in vars(owner).get("__annotations__", {})
    }
    return tuple(_option(owners[one.name], one) for one in fields(cls) if "help" in one.metadata)


def _option(owner: type, one: Field[Any]) -> Option:
    about = one.metadata
    hint = one.type if about["kind"] is None else about["kind"]
    if isinstance(hint, str):
        hint = eval(hint, vars(sys.modules[owner.__module__]), dict(vars(owner)))
    parts = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    bare = next(part for part in parts if part is not type(None))
    many = get_origin(bare) is tuple
    bare = get_args(bare)[0] if many else bare
    choices = get_args(bare) if get_origin(bare) is Literal else ()
    return Option(
        name=one.name, kind=str if choices else bare, default=one.default,
        help=described(about["help"], one.default, choices),
        group=about["group"] or getattr(owner, "GROUP", Options.GROUP), choices=choices, many=many,
        optional=type(None) in parts, limits=about["limits"], flags=about["flags"], reader=about["read"],
    )  # fmt: skip


def _converted(value: Any, kind: type) -> Any:
    """The value as a ``kind``, or None where it is none."""
    if kind is bool:
        return bool(value) if type(value).__name__ in ("bool", "bool_") else None
    if kind in (int, float):
        number = isinstance(value, Integral if kind is int else Real) and not isinstance(value, bool)
        return kind(value) if number and abs(value) < 2**63 and math.isfinite(value) else None
    if kind is Path:
        return Path(value) if isinstance(value, str | os.PathLike) else None
    return value if isinstance(value, kind) else None


def _parts(item: Any) -> list[Any]:
    """Texts may hold several between commas."""
    return [part.strip() for part in item.split(",") if part.strip()] if isinstance(item, str) else [item]


def _within(value: Any, name: str, limit: float) -> bool:
    if name == "above":
        return bool(value > limit)
    if name == "min":
        return bool(value >= limit)
    return bool(value <= limit) if name == "max" else bool(value < limit)


def _number(value: float) -> str:
    return f"{int(value):,}" if value == int(value) else f"{value:g}"


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else repr(value)[:60]


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
