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
placevec.errors.UsageError: --epochs is 0, not a whole number of at least 1
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
"""How an option is named in a message: as a flag, a keyword, or a key of a file."""
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
