"""Features provided by the user, such as those of a frozen network: a numpy file, or a Parquet table by place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from placevec.errors import SourceError
from placevec.geo.geoparquet import read_parquet
from placevec.io.files import check_regular
from placevec.sources.tables.joins import join_by_id
from placevec.sources.tables.values import texts

PLACE_ID = "place_id"
_NOT_FEATURES = ("lon", "lat", "longitude", "latitude", "label")


@dataclass(frozen=True)
class FeatureTable:
    """Features of places.

    Attributes:
        numbers: (N, D) real numbers; memory-mapped if the file allows it.
        place_id: (N,) unique IDs of the places; None if rows are in the order of the places.

    >>> features = FeatureTable(np.array([[1.0], [2.0]]), np.array(["b", "a"], object))
    >>> rows, places, lost = features.of(np.array(["a", "b", "c"], object), "features.parquet")
    >>> rows.tolist(), places.tolist()
    ([1, 0], [0, 1])
    """

    numbers: NDArray[Any]
    place_id: NDArray[np.object_] | None

    def of(
        self, place_ids: NDArray[np.object_], what: object
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], str]:
        """(rows of the features, rows of the places that they belong to, what met nobody), the places ascending.

        Raises:
            SourceError: features by order of another number of places, or by name of none or few of these.
        """
        if self.place_id is None:
            if len(self.numbers) != len(place_ids):
                raise SourceError(
                    f"{what} has {len(self.numbers):,} rows, but there are {len(place_ids):,} places: a numpy file "
                    "needs one row per place, in the order of the table; a Parquet file with place_id can have fewer"
                )
            every = np.arange(len(place_ids))
            return every, every, ""
        at, join = join_by_id(self.place_id, place_ids, what)
        join.check()
        rows = np.flatnonzero(at >= 0)
        rows = rows[np.argsort(at[rows], kind="stable")]
        return rows, at[rows], join.note()


def read_feature_table(path: str | Path) -> FeatureTable:
    """Features from ``.npy`` (N, D), or from ``.parquet`` with ``place_id`` and one column of lists or several of
    numbers.

    Raises:
        SourceError: the file does not exist, is of another type, is damaged, or has no numbers; it is never unpickled.
    """
    path = check_regular(path, "table of features")
    if path.suffix.lower() == ".npy":
        return FeatureTable(_numpy(path), None)
    if path.suffix.lower() in (".parquet", ".geoparquet", ".pq"):
        return _parquet(path)
    raise SourceError(
        f"features must be a numpy file (.npy) or a Parquet table (.parquet) with place_id; got {path.name}"
    )


def _numpy(path: Path) -> NDArray[Any]:
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # a header can contain anything, even syntax errors and overflows
        raise SourceError(f"{path} is not a numpy file of numbers, or is damaged: {error}") from error
    if array.ndim != 2 or array.dtype.kind not in "fiu" or 0 in array.shape:
        raise SourceError(
            f"features must be numbers of shape (N, D); {path} has {array.dtype} of shape {array.shape}"
        )
    return array


def _parquet(path: Path) -> FeatureTable:
    table = read_parquet(path, "table of features")
    if PLACE_ID not in table.column_names:
        raise SourceError(f"{path} has no place_id; its columns are {', '.join(table.column_names[:12])}")
    ids = pa.chunked_array([texts(part) for part in table[PLACE_ID].chunks], pa.string())
    if table.num_rows == 0 or ids.null_count or pc.count_distinct(ids).as_py() < len(ids):
        raise SourceError(f"{path} has a duplicate or missing place_id: each row needs a unique one")
    lists = [name for name in table.column_names if _is_list(table[name].type)]
    if len(lists) == 1:
        numbers = _of_lists(table[lists[0]].combine_chunks(), path)
    elif lists:
        raise SourceError(f"{path} has several columns of lists: {', '.join(lists[:5])}; keep only one")
    else:
        names = [name for name in table.column_names if name.lower() not in (PLACE_ID, *_NOT_FEATURES)]
        names = [name for name in names if _is_number(table[name].type)]
        if not names:
            raise SourceError(f"{path} has no columns of numbers besides place_id")
        if any(table[name].null_count for name in names):
            raise SourceError(f"{path} has rows with missing numbers: remove those rows")
        numbers = np.stack([table[name].to_numpy().astype(np.float64) for name in names], 1)
    return FeatureTable(numbers, ids.to_numpy().astype(object))


def _of_lists(column: pa.Array, path: Path) -> NDArray[Any]:
    lengths = pc.list_value_length(column)
    least, most = (pc.min_max(lengths)[side].as_py() for side in ("min", "max"))
    if column.null_count or least != most or not least:
        raise SourceError(f"the lists in {path} differ in length")
    values = pc.list_flatten(column)
    if values.null_count:
        raise SourceError(f"{path} has rows with missing numbers: remove those rows")
    return np.asarray(values.to_numpy(zero_copy_only=False)).reshape(-1, least)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def _is_list(kind: pa.DataType) -> bool:
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return bool(lists and _is_number(kind.value_type))
