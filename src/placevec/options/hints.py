"""What an annotation means on the command line: type, choices, limits, and whether it takes several values."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin


@dataclass(frozen=True)
class Limits:
    """Limits of a number, in its annotation; ``above`` and ``below`` themselves are not allowed.

    >>> k: Annotated[int, Limits(min=1)] = 10
    """

    above: float | None = None
    min: float | None = None
    max: float | None = None
    below: float | None = None


@dataclass(frozen=True)
class Reads:
    """In an annotation: a function that converts the text of a flag, or a Python value, to the value to store.

    It replaces all other checks, and raises UsageError.
    """

    read: Callable[[Any], Any]


def taken_by(hint: Any) -> dict[str, Any] | None:
    """The attributes of an `Option` that follow from its annotation; None if no flag can give such a value.

    Of several types, the first that a flag can give is used, a path before text; others are for Python only.

    >>> taken_by(Annotated[int, Limits(min=1)] | None)["limits"]
    {'min': 1}
    >>> found = taken_by(Sequence[Literal["a", "b"]])
    >>> found["kind"], found["many"], found["choices"]
    (<class 'str'>, True, ('a', 'b'))
    >>> taken_by(Callable[[], int]) is None
    True
    """
    found: dict[str, Any] = {"many": False, "optional": False, "foreign": False, "choices": (), "limits": {}}
    found["reader"], kinds = None, []
    for part in _parts(hint):
        if part is type(None):
            found["optional"] = True
        elif isinstance(part, Limits):
            found["limits"] = {name: value for name, value in vars(part).items() if value is not None}
        elif isinstance(part, Reads):
            found["reader"] = part.read
        elif get_origin(part) is Literal:
            found["choices"] = get_args(part)
        elif part is _SEVERAL:
            found["many"] = True
        elif part in (Path, bool, int, float, str):
            kinds.append(part)
        else:
            found["foreign"] = True
    if found["choices"] or found["reader"]:
        kinds = [str]
    found["kind"] = Path if Path in kinds else kinds[0] if kinds else None
    return found if kinds else None


_SEVERAL = object()


def _parts(hint: Any) -> Iterator[Any]:
    """The types in a hint, and their annotations."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Annotated, Union, types.UnionType):
        for part in parts:
            yield from _parts(part)
    elif origin in (Sequence, list) or (origin is tuple and parts[-1] is Ellipsis):
        yield _SEVERAL
        yield from _parts(parts[0])
    else:
        yield hint
