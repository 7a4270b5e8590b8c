"""Times on the command line: ``90s``, ``30m``, ``1.5h``."""

from __future__ import annotations

import re

from placevec.errors import UsageError


def seconds_of(given: str | float | None, called: str = "--budget") -> float | None:
    """Seconds from ``90s``, ``30m`` or ``1.5h``; a number is seconds already.

    Raises:
        UsageError: anything else, or 0.

    >>> seconds_of("30m")
    1800.0
    """
    if given is None:
        return None
    number = isinstance(given, int | float) and not isinstance(given, bool)
    found = re.fullmatch(
        r"(\d{1,6}(?:\.\d{1,3})?)\s*([smh])", f"{given}s" if number else str(given).strip().lower()
    )
    if found is None or float(found[1]) == 0:
        raise UsageError(f"{called} must be a time such as 90s, 30m or 2h; got {str(given)[:20]!r}")
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]]
