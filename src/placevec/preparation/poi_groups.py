"""What categories of points of interest are part of: topics, the keys of OpenStreetMap, or a file of the user's."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from placevec.errors import InputError, SourceError, UsageError
from placevec.io.files import check_regular, read_text

if TYPE_CHECKING:
    import pandas as pd

TOPICS, KEYS = "topics", "keys"


def read_groups(path: str | Path) -> dict[str, str]:
    """Category -> group, of a TOML file with a list of categories for each group.

    Raises:
        InputError: the file is not TOML, has a category in two groups, or an invalid name of a group.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "groups.toml"
    >>> _ = file.write_text('eating = ["cafe", "amenity/restaurant"]')
    >>> read_groups(file)
    {'cafe': 'eating', 'amenity/restaurant': 'eating'}
    """
    path = Path(path)
    check_regular(path, "TOML file of groups")
    try:
        content = tomllib.loads(read_text(path, "TOML file of groups"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise InputError(f"{path} is not TOML: {error}") from error
    found: dict[str, str] = {}
    for group, categories in content.items():
        if not isinstance(categories, list) or not all(isinstance(one, str) for one in categories):
            raise InputError(
                f'{path}: {group} must be a list of categories, such as {group} = ["cafe", "bar"]'
            )
        if not group.strip() or "/" in group:
            raise InputError(
                f"{path}: the name of a group must not be empty or contain a slash; got {group!r}"
            )
        for category in categories:
            if found.setdefault(category.strip(), group) != group:
                raise InputError(
                    f"{path}: {category!r} is in two groups, {found[category.strip()]} and {group}"
                )
    if not found:
        raise InputError(f'{path} has no groups: write lists of categories, such as food = ["cafe", "bar"]')
    return found


def regrouped(pois: pd.DataFrame, groups: str | Path, *, of_osm: bool) -> tuple[pd.DataFrame, list[str]]:
    """Points with other groups, and what to know of it.

    A line of a file may name ``key/value``, ``group/value``, a value, a group or a key; the first of these that is in
    the file counts. Points of none of them are left out.

    Args:
        pois: rows of `placevec.datasets.views.pois.read_pois`.
        groups: `KEYS`, or a file of `read_groups`.
        of_osm: whether the points have keys of OpenStreetMap.

    Raises:
        UsageError: keys of a table.
        SourceError: no point is in a group.
    """
    if str(groups) == KEYS:
        if not of_osm:
            raise UsageError("--poi-groups keys applies to OpenStreetMap; for a table, use --group COLUMN")
        found = pois["key"].astype(object).where(pois["group"].notna(), None)
        return pois.assign(group=found), []
    known = read_groups(groups)
    rows = pois[["key", "value", "group"]].astype(object).where(pois[["key", "value", "group"]].notna(), "")
    chosen = [_group_of(known, *row) for row in rows.itertuples(index=False, name=None)]
    left = int(
        np.count_nonzero((rows["group"] != "").to_numpy() & np.array([one is None for one in chosen], bool))
    )
    if all(one is None for one in chosen):
        raise SourceError(
            f"no point of interest has a category that is in {groups}, such as {next(iter(known))!r}"
        )
    notes = [
        f"{left:,} of {int((rows['group'] != '').sum()):,} points are not in any group of {Path(groups).name}"
    ]
    return pois.assign(group=np.array(chosen, object)), notes if left else []


def _group_of(known: Mapping[str, str], key: Any, value: Any, group: Any) -> str | None:
    names = (f"{key}/{value}", f"{group}/{value}", value, group, key)
    return next((known[name] for name in names if name in known), None)
