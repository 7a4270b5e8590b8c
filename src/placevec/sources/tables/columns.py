"""Which columns of a user's table contain the coordinates, the label and other data."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from placevec.errors import SourceError, UsageError
from placevec.geo.coordinate_names import coordinate_pairs

ID_NAMES = ("place_id", "id", "gbifid", "occurrenceid")
CRS_NAMES = ("crs", "srid", "epsg", "srs", "geodeticdatum")
"""Names in lower case; the long one is that of Darwin Core."""


ROW = "row"
"""Value of the ID column that uses row numbers as names of places."""


@dataclass(frozen=True)
class Columns:
    """Column names of a table by role; None if there is none.

    Attributes:
        lon: longitude in degrees, or easting in another coordinate reference system.
        lat: latitude in degrees, or northing in another coordinate reference system.
        geometry: a geometry, instead of the two.
        crs: the coordinate reference system of each row.
        id: unique ID of the place.
        name: display name of the place.
        label: value to predict.
        user: who observed it.
        date: when: a date, or the fraction of the year.
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
        """Role -> column name, for the roles that are set."""
        return {field.name: name for field in fields(self) if (name := getattr(self, field.name)) is not None}


def found_columns(
    there: Sequence[str],
    wanted: Mapping[str, str | None],
    what: object,
    *,
    geometry: str | None = None,
    ids_are_enough: bool = False,
) -> Columns:
    """The columns of a table: those in ``wanted``, and coordinates, IDs and names by their usual names.

    An ``id`` of `ROW` means no column, unless there is one with that name. With ``ids_are_enough``, a table with IDs
    can lack coordinates, because the places are known.

    Raises:
        SourceError: duplicate column names, no coordinates, or a requested column that does not exist.
        UsageError: a longitude without a latitude, or one column for two roles.

    >>> found = found_columns(["Longitude", "Latitude", "species"], {"label": "species"}, "trees.csv")
    >>> found.given()
    {'lon': 'Longitude', 'lat': 'Latitude', 'label': 'species'}
    """
    repeated = (
        sorted({name for name in there if list(there).count(name) > 1})
        if len(set(there)) < len(there)
        else []
    )
    if repeated:
        raise SourceError(f"{what} has a duplicate column name, {repeated[0]!r}")
    asked = {role: name for role, name in wanted.items() if name is not None}
    numbered = asked.get("id") == ROW and ROW not in there
    if numbered:
        del asked["id"]
    for role, name in asked.items():
        if name not in there:
            raise SourceError(f"{what} has no column {name!r} for --{role}{_alike(name, there)}")
    if ("lon" in asked) != ("lat" in asked):
        raise UsageError("set both --lon and --lat, or neither")
    twice = [name for name in asked.values() if list(asked.values()).count(name) > 1]
    if twice:
        roles = " and ".join(f"--{role}" for role, name in asked.items() if name == twice[0])
        raise UsageError(f"the column {twice[0]!r} cannot be {roles}")
    lower = {name.lower().strip(): name for name in reversed(there)}
    taken = set(asked.values())

    def usual(names: Sequence[str]) -> str | None:
        return next((lower[name] for name in names if name in lower and lower[name] not in taken), None)

    found: dict[str, Any] = {
        "id": usual(ID_NAMES),
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
            pairs = coordinate_pairs(there, taken)
            if not pairs:
                if ids_are_enough and found["id"] is not None:
                    return Columns(**{**found, "crs": None})
                raise SourceError(
                    f"{what} has neither a geometry nor lon and lat columns (set them with --lon and --lat); "
                    f"its columns are: {_listed(there)}"
                )
            found.update(zip(("lon", "lat"), pairs[0], strict=True))
    return Columns(**found)


def _alike(name: str, there: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, there, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return f"{hint}; its columns are: {_listed(there)}"


def _listed(there: Sequence[str]) -> str:
    return ", ".join(name[:40] for name in there[:15]) + (
        f" and {len(there) - 15} more" if len(there) > 15 else ""
    )
