"""Label columns of a user's own table: numbers, classes, flags, or shares of a whole."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placevec.errors import EvaluationError
from placevec.geo import Floats
from placevec.geo.coordinate_names import LAT_NAMES, LON_NAMES
from placevec.sources.tables.columns import ID_NAMES

MAX_VALUES = 10
"""Whole numbers with at most this many distinct values are classes."""
_NOT_LABELS = {*ID_NAMES, *LON_NAMES, *LAT_NAMES, "geometry", "bbox"}
_ROUNDED = 0.02  # how far shares that were rounded may be from a whole


def label_names(columns: Sequence[str]) -> list[str]:
    """Columns that are neither ids nor coordinates.

    >>> label_names(["place_id", "Lon", "lat", "rent"])
    ['rent']
    """
    return [name for name in columns if name.lower() not in _NOT_LABELS]


def are_numbers(name: str, values: pd.Series) -> bool:
    """Whether known values of a column are numbers to predict, not classes.

    Numbers count as classes if they are integers with at most `MAX_VALUES` distinct values; text and booleans always
    do.

    Raises:
        EvaluationError: the column has neither numbers nor text.
    """
    if _numeric(values):
        distinct = np.unique(values.to_numpy(np.float64))
        return len(distinct) > MAX_VALUES or bool((distinct != np.rint(distinct)).any())
    if not all(isinstance(value, str | bool | np.bool_) for value in values):
        raise EvaluationError(f"column {name!r} has neither numbers nor text")
    return False


def numbers_of(name: str, values: pd.Series) -> Floats:
    """(n,) the column as numbers; EvaluationError where it is text."""
    if not _numeric(values):
        raise EvaluationError(
            f"column {name!r} has values that are not numbers (such as {str(values.iloc[0])[:30]!r})"
        )
    return np.asarray(values.to_numpy(np.float64))


def texts_of(name: str, values: pd.Series, max_classes: int) -> NDArray[np.object_]:
    """(n,) the column as names of classes; whole numbers without decimals.

    Raises:
        EvaluationError: more than ``max_classes`` distinct ones.
    """
    whole = _numeric(values) and bool((values == np.rint(values)).all())
    texts = (values.astype(np.int64) if whole else values).astype(str).to_numpy(object)
    distinct = len(np.unique(texts.astype(str)))
    if distinct > max_classes and (stray := _stray(texts)):
        raise EvaluationError(
            f"column {name!r} has numbers, but also text, such as {stray[:30]!r}: empty those cells"
        )
    if distinct > max_classes:
        raise EvaluationError(
            f"column {name!r} has {distinct:,} distinct values, too many for classes (at most {max_classes:,})"
        )
    return np.asarray(texts, object)


def _stray(texts: NDArray[np.object_]) -> str:
    """The first text among values of which most are numbers; empty where most are not."""
    wrong = np.isnan(np.asarray(pd.to_numeric(pd.Series(texts), errors="coerce"), np.float64))
    return str(texts[wrong.argmax()]) if wrong.any() and 2 * int(wrong.sum()) < len(texts) else ""


_FLAGS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "false": 0, "true": 1}


def flags_of(name: str, values: pd.Series) -> NDArray[np.bool_]:
    """(n,) the column as yes or no; EvaluationError for anything but 0, 1, true and false."""
    plain = values.map(lambda value: _FLAGS.get(str(value).strip().lower(), -1)).to_numpy(np.int64)
    if (plain < 0).any():
        other = values[plain < 0].iloc[0]
        raise EvaluationError(f"column {name!r} holds {str(other)[:30]!r}, but only 0 and 1 are allowed")
    return np.asarray(plain == 1, np.bool_)


def shares_of(table: pd.DataFrame) -> Floats:
    """(n, G) shares that sum to 1, from columns that do, or whose rows sum to 100.

    Raises:
        EvaluationError: one column, text, a number below 0, or a row that sums to something else.
    """
    names = [str(name) for name in table.columns]
    if len(names) < 2:
        raise EvaluationError(f"a distribution needs at least two columns of shares; got {len(names)}")
    values = np.stack([numbers_of(name, table[name]) for name in names], axis=-1)
    total = values.sum(axis=1)
    percent = abs(float(np.median(total)) - 100.0) <= 100.0 * _ROUNDED
    wrong = np.flatnonzero(
        (values < 0).any(axis=1) | (np.abs(total / (100.0 if percent else 1.0) - 1.0) > _ROUNDED)
    )
    if len(wrong):
        row = wrong[0]
        shown = ", ".join(f"{name} {value:g}" for name, value in zip(names[:6], values[row], strict=False))
        raise EvaluationError(
            f"row {table.index[row] + 1}: shares must be 0 or more and sum to 1 (or 100), but these sum to "
            f"{total[row]:g} ({shown}): choose the columns with --columns"
        )
    return np.asarray(values / total[:, None])


def _numeric(values: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
