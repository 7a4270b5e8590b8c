"""Conditions on columns of places, as text: `cluster=3`, `rent>=20`, `name~park`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from placevec.embeddings.search.metrics import Mask
from placevec.embeddings.table import Embeddings
from placevec.errors import InputError, UsageError, choose_from
from placevec.sources.tables.joins import Join, join_by_id

if TYPE_CHECKING:
    import pandas as pd

_CONDITION = re.compile(r"\s*([^<>=!~]+?)\s*(>=|<=|!=|=|<|>|~)\s*(.*?)\s*", re.DOTALL)
_ORDERS: dict[str, Callable[[Any, Any], Any]] = {
    ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt,
}  # fmt: skip


def passing(emb: Embeddings, conditions: Sequence[str], columns: pd.DataFrame | None = None) -> Mask:
    """(N,) bool: the places for which all conditions hold.

    ``=`` and ``!=`` compare numbers or texts, and with nothing after them ask for missing and given values; ``<``,
    ``<=``, ``>`` and ``>=`` compare numbers; ``~`` finds a part of a text, in any case. Missing values pass only ``!=``
    and ``=`` without a value.

    Args:
        emb: table of places, with the columns place_id, name, lon and lat.
        conditions: texts such as ``cluster=3``.
        columns: table with place_id and further columns; places that it lacks have missing values.

    Raises:
        UsageError: no condition, an unknown column, or a text where a number must be.
        InputError: a table without place_id, or with a place twice.

    >>> lonlat = [[24.9, 60.2], [24.9, 60.3]]
    >>> emb = Embeddings(["a", "b"], [[1.0], [2.0]], lonlat, [None] * 2, ["City park", None], "map", None)
    >>> passing(emb, ["name~PARK"]).tolist(), passing(emb, ["lat>60.25", "name="]).tolist()
    ([True, False], [False, True])
    """
    mask = np.ones(len(emb), bool)
    for condition in conditions:
        found = _CONDITION.fullmatch(condition)
        if found is None:
            raise UsageError(
                f"{condition[:60]!r} is not a condition: write COLUMN=VALUE, or with !=, <, <=, >, >= or ~"
            )
        column, sign, value = found.groups()
        mask &= _holds(_values(emb, column, columns), sign, value, column)
    return mask


def join_of(emb: Embeddings, columns: pd.DataFrame, table: object) -> Join:
    """How many rows of a table of columns, called ``table``, and how many places meet nobody.

    Raises:
        InputError: a table without place_id.
    """
    if "place_id" not in columns.columns:
        raise InputError(f"{table} has no column place_id")
    return join_by_id(columns["place_id"].astype(str).to_numpy(object), emb.place_id, table)[1]


def _values(emb: Embeddings, column: str, columns: pd.DataFrame | None) -> pd.Series[Any]:
    """(N,) the values of a column."""
    import pandas as pd

    own: dict[str, Any] = {
        "place_id": emb.place_id, "name": emb.names, "lon": emb.lonlat[:, 0], "lat": emb.lonlat[:, 1]
    }  # fmt: skip
    if columns is not None and column in columns.columns and column != "place_id":
        if "place_id" not in columns.columns:
            raise InputError("the table of columns has no column place_id")
        ids = columns["place_id"].astype(str)
        if ids.duplicated().any():
            twice = str(ids[ids.duplicated()].iloc[0])[:60]
            raise InputError(f"the table of columns has the place {twice!r} more than once")
        return columns.set_index(ids)[column].reindex(emb.place_id).reset_index(drop=True)
    if column not in own:
        known = [
            *own,
            *(() if columns is None else (str(one) for one in columns.columns if one != "place_id")),
        ]
        raise UsageError(f"there is no column {column[:60]!r}: {choose_from(column, known)}")
    return pd.Series(own[column])


def _holds(values: pd.Series[Any], sign: str, value: str, column: str) -> Mask:
    """(N,) bool: where a condition holds."""
    import pandas as pd

    missing = values.isna().to_numpy(bool)
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    if sign in ("=", "!="):
        if value == "":
            same = missing
        elif numeric:
            same = (values == _number(value, column)).to_numpy(bool, na_value=False)
        else:
            same = (values.astype(str).str.casefold() == value.casefold()).to_numpy(bool) & ~missing
        return np.asarray(same if sign == "=" else ~same, bool)
    if sign == "~":
        found = values.astype(str).str.contains(value, case=False, regex=False).to_numpy(bool)
        return np.asarray(found & ~missing, bool)
    if not numeric:
        raise UsageError(f"the column {column[:60]!r} has no numbers to compare with {sign}: use =, != or ~")
    return np.asarray(_ORDERS[sign](values, _number(value, column)).to_numpy(bool, na_value=False), bool)


def _number(value: str, column: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise UsageError(
            f"the column {column[:60]!r} has numbers, but {value[:60]!r} is not a number"
        ) from None
