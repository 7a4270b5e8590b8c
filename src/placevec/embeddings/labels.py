"""What people call places: which of them a name means, and labels that are distinct where names are not."""

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
    """The places that a name means.

    Attributes:
        asked: the name, as it was asked for.
        match: whether it is their whole name, its beginning, or a part of it; case is ignored.
        rows: (M,) all of them, as they stand in the table.
        row: the one that is taken: of those called like the first, the one amid the others.
        name: what that one is called.
    """

    asked: str
    match: Match
    rows: Rows
    row: int
    name: str

    def note(self, emb: Embeddings, shown: int = 3) -> str:
        """One line: how many places the name means and which was taken; empty where there was no choice."""
        if len(self.rows) == 1 and self.match == "whole":
            return ""
        how = {
            "whole": "are called",
            "beginning": "have names that begin with",
            "part": "have names that contain",
        }
        taken = emb.place_id[self.row]
        others = [str(emb.place_id[row]) for row in self.rows if row != self.row]
        if not others:
            return f"{self.asked!r} is taken for {self.name!r} ({taken})"
        more = ", ..." if len(others) > shown else ""
        return (
            f"{len(self.rows)} places {how[self.match]} {self.asked!r}; taken is {labels(emb, [self.row])[0]!r}"
            f" ({taken}); others by place id: {', '.join(others[:shown])}{more}"
        )


def places_named(emb: Embeddings, name: str) -> Named:
    """The places called ``name``; else those whose names begin with it; else those whose names contain it.

    Of several places of one name the one nearest to their middle is taken.

    Raises:
        InputError: there is none; names spelled like it are suggested.
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
    """(M,) distinct labels of the places at ``rows``, of all by default: raw OSM text, and so hostile.

    A name that one place of the table has is its label. Of places that share a name, the one in their middle keeps it
    bare, and the others add how far and where from it they lie, ``Farringdon, 240 m NE``, and their place_id where that
    still leaves two alike. A place without a name is called by its place_id.
    """
    chosen = np.arange(len(emb)) if rows is None else np.asarray(rows, np.int64)
    found = np.array([str(one) for one in emb.place_id[chosen]], object)
    shared: dict[str, dict[int, str]] = {}
    for position, row in enumerate(chosen.tolist()):
        name = emb.names[row]
        if name:
            if name not in shared:
                shared[name] = _told_apart(emb, str(name), np.flatnonzero(emb.names == name))
            found[position] = shared[name][row]
    return found


def _told_apart(emb: Embeddings, name: str, rows: Rows) -> dict[int, str]:
    """A label for each of the rows of one name."""
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
    """How far and in which of eight directions a place lies from another."""
    (lon_a, lat_a), (lon_b, lat_b) = lonlat[start], lonlat[row]
    if not np.isfinite([lon_a, lat_a, lon_b, lat_b]).all():
        return "elsewhere"
    from pyproj import Geod

    bearing, _, _ = Geod(ellps="WGS84").inv(lon_a, lat_a, lon_b, lat_b)
    away = float(distance_m(lon_a, lat_a, lon_b, lat_b))
    far = f"{away:.0f} m" if away < 10_000 else f"{away / 1000:.0f} km"
    return f"{far} {_WINDS[round((bearing % 360.0) / 45.0) % 8]}"


def _amid(lonlat: Floats, rows: Rows) -> int:
    """Of some rows the one nearest to the middle of them; the first of those without coordinates."""
    known = rows[np.isfinite(lonlat[rows]).all(axis=1)]
    if len(known) == 0:
        return int(rows[0])
    points = to_ecef(lonlat[known, 0], lonlat[known, 1])
    return int(known[np.square(points - points.mean(axis=0)).sum(axis=1).argmin()])
