"""The usual names of columns that hold longitude and latitude."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from placevec.errors import InputError

LON_NAMES = ("lon", "longitude", "lng", "long", "decimallongitude", "x")
LAT_NAMES = ("lat", "latitude", "decimallatitude", "y")
PAIRS = (
    ("lon", "lat"), ("longitude", "latitude"), ("lng", "lat"), ("long", "lat"), ("decimallongitude", "decimallatitude"),
)  # fmt: skip
"""Names that belong together; of several pairs in one table the one with most values holds the coordinates."""
LAST_PAIRS = (("x", "y"), ("verbatimlongitude", "verbatimlatitude"))
"""Names that are taken where there are no others: pixels are called x and y too."""


def coordinate_pairs(there: Sequence[str], taken: Collection[str] = ()) -> list[tuple[str, str]]:
    """Pairs of columns that hold longitude and latitude by their usual names, the likeliest first.

    >>> coordinate_pairs(["id", "lat", "lon", "latitude", "longitude"])
    [('lon', 'lat'), ('longitude', 'latitude')]
    """
    lower = {name.lower().strip(): name for name in reversed(there) if name not in taken}
    found = [(lower[lon], lower[lat]) for lon, lat in PAIRS if lon in lower and lat in lower]
    if not found:
        found = [(lower[lon], lower[lat]) for lon, lat in LAST_PAIRS if lon in lower and lat in lower]
    if not found:  # such as lon beside latitude
        lon, lat = (
            next((lower[name] for name in names if name in lower), None) for names in (LON_NAMES, LAT_NAMES)
        )
        found = [] if lon is None or lat is None else [(lon, lat)]
    return found


def coordinate_columns(frame: Any) -> tuple[Any, Any]:
    """The columns of a DataFrame that hold longitude and latitude; of several pairs, the one with the most values.

    Raises:
        InputError: no column has a usual name.

    >>> import pandas as pd
    >>> coordinate_columns(pd.DataFrame({"Latitude": [60.2], "Longitude": [24.9], "rent": [31]}))
    ('Longitude', 'Latitude')
    """
    named = {str(column): column for column in reversed(frame.columns)}
    pairs = [(named[lon], named[lat]) for lon, lat in coordinate_pairs([str(name) for name in frame.columns])]
    if not pairs:
        columns = ", ".join(map(str, frame.columns[:12]))
        raise InputError(
            f"the table needs a geometry, or columns named lon and lat; its columns are: {columns}"
        )
    return max(pairs, key=lambda pair: int(frame[list(pair)].notna().all(axis=1).sum()))
