"""Which columns of a user's table hold the coordinates, the label and what goes with them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from placevec.errors import SourceError, UsageError
from placevec.sources.tables.points import LAT_NAMES, LON_NAMES

CRS_NAMES = ("crs", "srid", "epsg", "srs", "geodeticdatum")
"""Names in lower case; the long one is that of Darwin Core."""


ROW = "row"
"""What is asked for as the column of ids when places are called by the numbers of their rows."""


@dataclass(frozen=True)
class Columns:
    """Names of a table's columns by what they hold; None where it has none.

    Attributes:
        lon: longitude in degrees, or the easting of another system.
        lat: latitude in degrees, or the northing.
        geometry: a geometry, instead of the two.
        crs: the system of each row's coordinates.
        id: what places are called: distinct.
        name: what people call them.
        label: what is to be learned.
        user: who observed it.
        date: when: a date, or the share of the year that had passed.
        split: ``train``, ``validation`` or ``test``.
    """

    lon: str | None = None
    lat: str | None = None
    geometry: str | None = None
    crs: str | None = None
    id: str | None = None
    name: str | None = None
    label: str | None = None
    user: str | None = None
    date: str | None = None
    split: str | None = None

    def given(self) -> dict[str, str]:
        """What is held -> name of the column, of those that there are."""
        return {field.name: name for field in fields(self) if (name := getattr(self, field.name)) is not None}


def found_columns(
    there: Sequence[str],
    wanted: Mapping[str, str | None],
    what: object,
    *,
    geometry: str | None = None,
    ids_are_enough: bool = False,
) -> Columns:
    """The columns of a table: those named in ``wanted``, and coordinates, ids and names by their usual names.

    An ``id`` called `ROW` means no column, unless there is one of that name. With ``ids_are_enough`` a table of ids may
    lack coordinates, because the places are known.

    Raises:
        SourceError: two columns of one name, no coordinates, or a column that is named and not there.
        UsageError: a longitude without a latitude, or one column wanted for two things.
    """
    repeated = (
        sorted({name for name in there if list(there).count(name) > 1})
        if len(set(there)) < len(there)
        else []
    )
    if repeated:
        raise SourceError(f"{what} has two columns of one name, {repeated[0]!r}")
    asked = {role: name for role, name in wanted.items() if name is not None}
    numbered = asked.get("id") == ROW and ROW not in there
    if numbered:
        del asked["id"]
    for role, name in asked.items():
        if name not in there:
            raise SourceError(f"{what} has no column {name!r} for --{role}{_alike(name, there)}")
    if ("lon" in asked) != ("lat" in asked):
        raise UsageError("name both columns of coordinates, --lon and --lat, or none")
    twice = [name for name in asked.values() if list(asked.values()).count(name) > 1]
    if twice:
        roles = " and ".join(f"--{role}" for role, name in asked.items() if name == twice[0])
        raise UsageError(f"one column, {twice[0]!r}, cannot be {roles}")
    lower = {name.lower().strip(): name for name in reversed(there)}
    taken = set(asked.values())

    def usual(names: Sequence[str]) -> str | None:
        return next((lower[name] for name in names if name in lower and lower[name] not in taken), None)

    found: dict[str, Any] = {
        "id": usual(("place_id", "id")),
        "name": usual(("name",)),
        "crs": usual(CRS_NAMES),
        **asked,
    }
    if numbered:
        found["id"] = None
    if "lon" not in asked:
        if geometry is not None:
            found.update(geometry=geometry, crs=None)
        else:
            found.update(lon=usual(LON_NAMES), lat=usual(LAT_NAMES))
            if found["lon"] is None or found["lat"] is None:
                if ids_are_enough and found["id"] is not None:
                    return Columns(**{**found, "lon": None, "lat": None, "crs": None})
                raise SourceError(
                    f"{what} has neither geometry nor lon and lat columns (name them with --lon and --lat); "
                    f"its columns are: {_listed(there)}"
                )
    return Columns(**found)


def _alike(name: str, there: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, there, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return f"{hint}; its columns are: {_listed(there)}"


def _listed(there: Sequence[str]) -> str:
    return ", ".join(name[:40] for name in there[:15]) + (
        f" and {len(there) - 15} more" if len(there) > 15 else ""
    )
