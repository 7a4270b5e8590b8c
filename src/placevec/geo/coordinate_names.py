"""The usual names of columns that hold longitude and latitude."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from placevec.errors import InputError

LON_NAMES = ("lon", "longitude", "lng", "long", "decimallongitude", "x")
LAT_NAMES = ("lat", "latitude", "decimallatitude", "y")
PAIRS = (
    ("lon", "lat"), ("longitude", "latitude"), ("lng", "lat"), ("long", "lat"), ("decimallongitude", "decimallatitude"),
)  # fmt: skip
"""Names that belong together; of several pairs in one table the one with most values holds the coordinates."""
FAR = 0.01
"""Degrees by which two pairs may differ: they may be rounded."""
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

    A UserWarning says where another pair names other places.

    Raises:
        InputError: no column has a usual name.

    >>> import pandas as pd
    >>> coordinate_columns(pd.DataFrame({"Latitude": [60.2], "Longitude": [24.9], "rent": [31]}))
    ('Longitude', 'Latitude')
    """
    import pandas as pd

    named = {str(column): column for column in reversed(frame.columns)}
    pairs = [(named[lon], named[lat]) for lon, lat in coordinate_pairs([str(name) for name in frame.columns])]
    if not pairs:
        columns = ", ".join(map(str, frame.columns[:12]))
        raise InputError(
            f"the table needs a geometry, or columns named lon and lat; its columns are: {columns}"
        )
    best = max(pairs, key=lambda pair: int(frame[list(pair)].notna().all(axis=1).sum()))
    for other in pairs:
        if note := contradiction(
            best, other, *(pd.to_numeric(frame[one], errors="coerce") for one in (*best, *other))
        ):
            warnings.warn(note, UserWarning, stacklevel=4)
    return best


def contradiction(
    read: tuple[str, str], other: tuple[str, str], lon: ArrayLike, lat: ArrayLike, lon2: ArrayLike, lat2: ArrayLike
) -> str:  # fmt: skip
    """A sentence if two pairs of columns name places more than a hundredth of a degree apart; else empty.

    >>> contradiction(("lon", "lat"), ("longitude", "latitude"), [24.9, 1.0], [60.2, 2.0], [-335.1, 1.5], [60.2, 2.0])
    'the columns lon, lat and longitude, latitude differ in 1 of 2 rows: lon, lat are read'
    """
    x, y, x2, y2 = (np.asarray(one, np.float64) for one in (lon, lat, lon2, lat2))
    both = np.isfinite(x) & np.isfinite(y) & np.isfinite(x2) & np.isfinite(y2)
    turns = np.abs((x - x2 + 180) % 360 - 180)[both]
    count = int(((turns > FAR) | (np.abs(y - y2)[both] > FAR)).sum())
    if not count:
        return ""
    return (
        f"the columns {', '.join(read)} and {', '.join(other)} differ in {count:,} of {len(x):,} rows: "
        f"{', '.join(read)} are read"
    )
