"""Checks of encoders' arguments: a config from disk must not allocate terabytes, nor be read as something else."""

from __future__ import annotations

import math

from placevec.errors import ModelError


def whole(name: str, value: int, least: int, most: int) -> int:
    """``value`` if it is an integer in range; otherwise ModelError.

    >>> whole("dim", 128, 1, 8192)
    128
    """
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ModelError(f"{name} must be an integer from {least} to {most}; got {value!r}")
    return value


def channels_of_layers(width: int) -> int:
    """``width`` if it is a multiple of 8 from 8 to 512; otherwise ModelError."""
    if whole("width", width, 8, 512) % 8:
        raise ModelError(f"width must be a multiple of 8; got {width}")
    return width


def share(name: str, value: float, below: float = 1.0) -> float:
    """``value`` if it is at least 0 and less than ``below``; otherwise ModelError.

    >>> share("dropout", 0.5)
    0.5
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < below:
        raise ModelError(f"{name} must be at least 0 and less than {below:g}; got {value!r}")
    return float(value)


def positive(name: str, value: float) -> float:
    """``value`` if it is a finite number above 0; otherwise ModelError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ModelError(f"{name} must be a positive number; got {value!r}")
    return float(value)


def switch(name: str, value: bool) -> bool:
    """``value`` if it is true or false; otherwise ModelError."""
    if not isinstance(value, bool):
        raise ModelError(f"{name} must be true or false; got {value!r}")
    return value
