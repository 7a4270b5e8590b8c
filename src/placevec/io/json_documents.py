"""Reads untrusted JSON from disk within limits and checks its fields before they are used; makes plain JSON."""

from __future__ import annotations

import json
import math
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from placevec.io.files import refuse_pipe

NONE = type(None)
_WHOLE = 2**63


def read_json(path: Path, *, nan_as_null: bool = False) -> Any:
    """The content of a JSON file, with or without a byte order mark; ``nan_as_null`` reads NaN as null.

    NaN and Infinity are no JSON, though some programs write them.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no JSON, is nested too deeply, or holds text that is no Unicode (half a surrogate pair).
    """
    refuse_pipe(path)
    return parse_json(path.read_bytes(), nan_as_null=nan_as_null)


def parse_json(text: str | bytes, *, nan_as_null: bool = False) -> Any:
    """The same for a text."""
    try:
        content = json.loads(text, parse_constant=(lambda _: None) if nan_as_null else None)
        json.dumps(content, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeEncodeError:
        raise ValueError("it holds text that is not valid Unicode") from None
    return content


def plain_json(value: Any) -> Any:
    """A value as JSON has it: numbers of numpy as such, NaN and infinity as null, anything else as text.

    >>> import numpy as np
    >>> plain_json({1: (np.float32(0.5), float("nan"), Path("a"))})
    {'1': [0.5, None, 'a']}
    """
    if isinstance(value, dict):
        return {str(key): plain_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(item) for item in value]
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def check(content: Any, shape: Any, at: str = "it") -> None:
    """ValueError that names the field unless ``content`` has the given structure.

    A shape is a type (``float`` takes whole numbers too; numbers are finite and less than 2**63), a tuple of types
    of which one fits, ``[shape]`` for lists, ``{str: shape}`` for mappings of any names, or ``{"name": shape}`` for
    documents, where ``"name?"`` may be absent and other names are let be.

    >>> check({"bounds": [24.9, 60]}, {"bounds": [float], "polygon?": dict})
    >>> check({"bounds": ["24.9"]}, {"bounds": [float]})
    Traceback (most recent call last):
    ValueError: bounds, item 1 is '24.9', not a number
    """
    if isinstance(shape, list):
        _require(isinstance(content, list), content, at, "a list")
        for number, item in enumerate(content, 1):
            check(item, shape[0], f"{_below(at)}item {number}")
    elif isinstance(shape, dict):
        _require(isinstance(content, dict), content, at, "a document")
        for name, part in shape.items():
            if name is str:
                for own, item in content.items():
                    check(item, part, f"{_below(at)}{own[:60]}")
            elif name.rstrip("?") in content:
                check(content[name.rstrip("?")], part, _below(at) + name.rstrip("?"))
            elif not name.endswith("?"):
                raise ValueError(f"{_below(at)}{name} is missing")
    else:
        kinds = shape if isinstance(shape, tuple) else (shape,)
        _require(any(_fits(content, kind) for kind in kinds), content, at, " or ".join(map(_called, kinds)))


def _below(at: str) -> str:
    return "" if at == "it" else f"{at}, "


def _fits(content: Any, kind: type) -> bool:
    if kind in (int, float):
        number = isinstance(content, Real if kind is float else Integral) and not isinstance(content, bool)
        return number and abs(content) < _WHOLE and math.isfinite(content)
    return isinstance(content, kind)


def _called(kind: type) -> str:
    return {int: "an integer", float: "a number", str: "a text", bool: "true or false", NONE: "null"}.get(
        kind, "a document"
    )


def _require(holds: bool, content: Any, at: str, what: str) -> None:
    if not holds:
        raise ValueError(f"{at} is {repr(content)[:60]}, not {what}")
