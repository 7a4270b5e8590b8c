"""Names of places: which places a name matches, and labels that are distinct even if names are not."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from placevec.embeddings.table import Embeddings
from placevec.errors import InputError
from placevec.geo import Floats, distance_m, to_ecef

Rows = NDArray[np.int64]
Match = Literal["whole", "beginning", "part"]
_WINDS = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")
_TESTS: tuple[tuple[Match, Callable[[str, str], bool]], ...] = (
    ("whole", str.__eq__),
    ("beginning", str.startswith),
    ("part", str.__contains__),
)


@dataclass(frozen=True)
class Named:
    """The places that a name matches.

    Attributes:
        asked: the name that was searched for.
        match: whether it is the whole name, its beginning, or a part of it; case is ignored.
        rows: (M,) all matches, in the order of the table.
        row: the selected one: among places with the same name as the first match, the one in their middle.
        name: its name.
    """

    asked: str
    match: Match
    rows: Rows
    row: int
    name: str

    def note(self, emb: Embeddings, shown: int = 3) -> str:
        """One line: how many places match and which one was selected; empty if there is only one."""
        if len(self.rows) == 1 and self.match == "whole":
            return ""
        how = {
            "whole": "are named",
            "beginning": "have names that begin with",
            "part": "have names that contain",
        }
        taken = emb.place_id[self.row]
        others = [str(emb.place_id[row]) for row in self.rows if row != self.row]
        if not others:
            return f"{self.asked!r} matches {self.name!r} ({taken})"
        more = ", ..." if len(others) > shown else ""
        return (
            f"{len(self.rows)} places {how[self.match]} {self.asked!r}; selected {labels(emb, [self.row])[0]!r}"
            f" ({taken}); others by place_id: {', '.join(others[:shown])}{more}"
        )


def places_named(emb: Embeddings, name: str) -> Named:
    """The places named ``name``; otherwise those whose names begin with it; otherwise those that contain it.

    If several places share the name, the one nearest to their middle is selected.

    Raises:
        InputError: there is no match; similar names are suggested.

    >>> from placevec.embeddings import Embeddings, Provenance
    >>> names = np.array(["Market Square", "Market Hall", None], object)
    >>> lonlat = [[24.95, 60.17], [24.96, 60.17], [24.97, 60.17]]
    >>> emb = Embeddings(["a", "b", "c"], np.eye(3), lonlat, np.array([None] * 3), names, "map", Provenance("m", "d"))
    >>> found = places_named(emb, "market h")
    >>> found.name, found.match, found.rows.tolist()
    ('Market Hall', 'beginning', [1])
    """
    wanted = name.strip().casefold()
    known = [(row, str(text)) for row, text in enumerate(emb.names) if text]
    folded = [(row, text, text.casefold()) for row, text in known]
    for match, test in _TESTS if wanted else ():
        found = [(row, text) for row, text, plain in folded if test(plain, wanted)]
        if found:
            called = found[0][1]
            rows = np.array([row for row, _ in found], np.int64)
            alike = np.array([row for row, text in found if text == called], np.int64)
            return Named(name, match, rows, _amid(emb.lonlat, alike), called)
    near = difflib.get_close_matches(name, dict.fromkeys(text for _, text in known), n=3)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    count = f"{len(known)} of {len(emb.place_id)} places have a name"
    raise InputError(f"no place is named {name!r} ({count}){hint}")


def labels(emb: Embeddings, rows: Rows | list[int] | None = None) -> NDArray[np.object_]:
    """(M,) distinct labels of the places at ``rows`` (default: all). Raw OSM text, so untrusted.

    A unique name is its own label. If places share a name, the one in their middle keeps it, and the others add their
    distance and direction from it, ``Farringdon, 240 m NE``, and their place_id if labels would still be equal. A place
    without a name is labeled with its place_id.

    >>> from placevec.embeddings import Embeddings, Provenance
    >>> names, lonlat = np.array(["Farringdon", "Farringdon", None], object), [[0.0, 51.5], [0.01, 51.5], [0.02, 51.5]]
    >>> emb = Embeddings(["a", "b", "c"], np.eye(3), lonlat, np.array([None] * 3), names, "map", Provenance("m", "d"))
    >>> labels(emb).tolist()
    ['Farringdon', 'Farringdon, 694 m E', 'c']
    """
    chosen = np.arange(len(emb)) if rows is None else np.asarray(rows, np.int64)
    found = np.array([str(one) for one in emb.place_id[chosen]], object)
    shared: dict[int, dict[int, str]] = {}
    codes, counts = emb.derived("names by code", lambda: _codes(emb.names))
    for position, row in enumerate(chosen.tolist()):
        name, code = emb.names[row], int(codes[row])
        if name and counts[code] == 1:
            found[position] = str(name)
        elif name:
            if code not in shared:
                shared[code] = _distinct(emb, str(name), np.flatnonzero(codes == code))
            found[position] = shared[code][row]
    return found


def _codes(names: NDArray[np.object_]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """(a number for each name, how often each number occurs); -1 without a name."""
    import pandas as pd

    codes = pd.factorize(names)[0].astype(np.int32)
    return codes, np.bincount(codes[codes >= 0])


def _distinct(emb: Embeddings, name: str, rows: Rows) -> dict[int, str]:
    """A distinct label for each of the rows that share a name."""
    if len(rows) == 1:
        return {int(rows[0]): name}
    middle = _amid(emb.lonlat, rows)
    named = {
        int(row): name if row == middle else f"{name}, {_where(emb.lonlat, middle, row)}" for row in rows
    }
    counts: dict[str, int] = {}
    for label in named.values():
        counts[label] = counts.get(label, 0) + 1
    return {
        row: label if counts[label] == 1 else f"{label} ({emb.place_id[row]})" for row, label in named.items()
    }


def _where(lonlat: Floats, start: int, row: int) -> str:
    """Distance and direction (one of eight) from one place to another."""
    (lon_a, lat_a), (lon_b, lat_b) = lonlat[start], lonlat[row]
    if not np.isfinite([lon_a, lat_a, lon_b, lat_b]).all():
        return "elsewhere"
    from pyproj import Geod

    bearing, _, _ = Geod(ellps="WGS84").inv(lon_a, lat_a, lon_b, lat_b)
    away = float(distance_m(lon_a, lat_a, lon_b, lat_b))
    far = f"{away:.0f} m" if away < 10_000 else f"{away / 1000:.0f} km"
    return f"{far} {_WINDS[round((bearing % 360.0) / 45.0) % 8]}"


def _amid(lonlat: Floats, rows: Rows) -> int:
    """The row nearest to the middle of the given rows; the first one if none has coordinates."""
    known = rows[np.isfinite(lonlat[rows]).all(axis=1)]
    if len(known) == 0:
        return int(rows[0])
    points = to_ecef(lonlat[known, 0], lonlat[known, 1])
    return int(known[np.square(points - points.mean(axis=0)).sum(axis=1).argmin()])
