"""Options as fields of a dataclass, with type, default, limits and help.

The keyword in Python, the flag on the command line, the key in a TOML file, the check and the line of the reference
page all come from that field:

>>> from dataclasses import dataclass
>>> @dataclass(frozen=True)
... class Schedule(Options):
...     GROUP: ClassVar[str] = "Training"
...     epochs: int = option(20, "Number of epochs", min=1)
...     clip_norm: float = option(1.0, "Maximum gradient norm (0 disables it)", min=0)
>>> [one.help for one in options_of(Schedule)]
['Number of epochs (default 20; at least 1)', 'Maximum gradient norm (default 1; at least 0; 0 disables it)']
>>> Schedule(epochs=0)
Traceback (most recent call last):
    ...
placevec.errors.UsageError: --epochs must be an integer of at least 1; got 0
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import Field, field, fields
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from placevec.errors import InputError, UsageError
from placevec.options.hints import taken_by
from placevec.options.values import Option, described, flag_of

T = TypeVar("T")
Called = Callable[[str], str]
"""How messages name an option: as a flag, a keyword, or a key of a file."""
_LIMITS = ("above", "min", "max", "below")


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
        default: the default value.
        help: a noun phrase with its unit, without the default, which is added; remarks in parentheses at the end.
        group: heading in the help and on the reference page; by default the ``GROUP`` of the class.
        above, min, max, below: limits of a number; those of ``above`` and ``below`` are not allowed themselves.
        flags: additional flags on the command line, such as ``-o``.
        kind: type of a flag or of a value in a file, if the annotation has several (``str`` of ``Area | str``).
        read: converts a given value to the one to store, instead of the checks here; raises UsageError.
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


class Options:
    """Base class of options dataclasses: instances are always valid."""

    GROUP: ClassVar[str] = "Options"

    def __post_init__(self) -> None:
        for one in options_of(type(self)):
            object.__setattr__(self, one.name, one.read(getattr(self, one.name), one.flag))

    def as_json(self) -> dict[str, Any]:
        """Plain JSON of all options: paths as text, tuples as lists."""
        found = {one.name: getattr(self, one.name) for one in options_of(type(self))}
        return {name: _plain(value) for name, value in found.items()}


def options_of(cls: type[Options]) -> tuple[Option, ...]:
    """The options of a class, in the order of its fields; fields not made by `option` are left out."""
    return _options_of(cls)  # type: ignore[arg-type]  # classes are hashable, whatever their objects are


def checked(
    classes: Iterable[type[Options]], given: Mapping[str, Any], *, called: Called, unknown: Called
) -> dict[str, Any]:
    """The given options, each checked.

    Args:
        classes: classes whose options are known.
        given: name -> value; hyphens in names count as underscores.
        called: see `Called`.
        unknown: the message for a name that no class has.

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


def no_option(name: str) -> str:
    """The default message for an unknown option."""
    return f"there is no option {flag_of(name)}"


def toml_options(path: str | Path) -> dict[str, Any]:
    """The options in a TOML file, by name; InputError if it cannot be read.

    They are at the top level, as ``near_m = 100`` or ``near-m = 100``.
    """
    import tomllib

    try:
        if Path(path).is_fifo():
            raise InputError(
                f"the file of options {path} is a pipe: write it to a file first, and use that file"
            )
        content = tomllib.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise InputError(f"cannot read the options in {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"cannot read the options in {path}: {error}") from error
    if table := next((name for name, value in content.items() if isinstance(value, dict)), None):
        raise InputError(
            f"[{table}] in {path}: tables are not supported; put all options at the top level of the file"
        )
    return {name.replace("-", "_"): value for name, value in content.items()}


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
    taken = taken_by(hint)
    assert taken is not None, one.name
    taken |= {"limits": about["limits"], "reader": about["read"], "foreign": False}
    return Option(
        name=one.name, default=one.default,
        help=described(about["help"], one.default, taken["choices"], about["limits"]),
        group=about["group"] or getattr(owner, "GROUP", Options.GROUP), flags=about["flags"], **taken,
    )  # fmt: skip


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
