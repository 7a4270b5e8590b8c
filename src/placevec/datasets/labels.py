"""Labels of places: a class or a number each, with observer, date and split.

``labels.parquet`` is stored next to ``places.parquet``, one row per place in the same order:

========== ======================== ==============================================================================
column     type                     meaning
========== ======================== ==============================================================================
label      int32 or float64         index of the class (-1 unknown), or the number (NaN unknown)
user       int32, may be absent     who observed it, numbered in order of appearance; -1 unknown
date       float64, may be absent   fraction of the year, 0 to 1; NaN unknown
time, hour float64, may be absent   the year with its fraction, such as 2018.5; hours of the day, UTC; NaN unknown
split      string, may be absent    ``train``, ``validation`` or ``test``
image_row  int32, may be absent     row of the split's image predictions; -1 none
========== ======================== ==============================================================================

``dataset.json`` describes them under ``labels``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from placevec.errors import DatasetError, SourceError
from placevec.geo import Floats
from placevec.geo.geoparquet import read_parquet
from placevec.io.json_documents import NONE, check
from placevec.sources.tables.dates import moments

LABELS = "labels.parquet"
Kind = Literal["classes", "number"]
SPLITS = ("train", "validation", "test")
"""Names of splits; their positions are the codes of `Labeled.split`."""
Rows = NDArray[np.int64]

ABOUT = {
    "file": str,
    "kind": str,
    "column": (str, NONE),
    "classes": [str],
    "sha256?": str,
    "image_predictions?": {str: {"file": str}},
}
"""Fields of ``labels`` in ``dataset.json``."""
OF_DATES = ("date", "time", "hour")
"""Columns of numbers that a date gives."""
_TYPES = {
    "label": None, "user": pa.int32(), "date": pa.float64(), "time": pa.float64(), "hour": pa.float64(),
    "image_row": pa.int32(),
}  # fmt: skip


@dataclass
class Labeled:
    """Labels of N places, in the order of the dataset's rows.

    Attributes:
        kind: ``classes`` or ``number``.
        values: (N,) int32 index of the class, -1 unknown; or float64 number, NaN unknown.
        classes: names of the classes, in order of their indices; empty for numbers.
        users: (N,) int32 who observed it, -1 unknown; or None.
        dates: (N,) float64 fraction of the year, 0 to 1, NaN unknown; or None.
        times: (N,) float64 the year with its fraction, NaN unknown; or None.
        hours: (N,) float64 hours of the day, UTC, NaN unknown; or None.
        split: (N,) int8: 0 train, 1 validation, 2 test; or None.
        image_rows: (N,) int32 row of the split's image predictions, -1 none; or None.
    """

    kind: Kind
    values: NDArray[Any]
    classes: tuple[str, ...] = ()
    users: NDArray[np.int32] | None = None
    dates: Floats | None = None
    split: NDArray[np.int8] | None = None
    image_rows: NDArray[np.int32] | None = None
    times: Floats | None = None
    hours: Floats | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def known(self) -> NDArray[np.bool_]:
        """(N,) bool: rows with a label."""
        known: NDArray[np.bool_] = self.values >= 0 if self.kind == "classes" else np.isfinite(self.values)
        return known

    def rows(self, side: str) -> Rows:
        """Rows of ``train``, ``validation`` or ``test``, ascending; without a split, all rows are ``train``.

        >>> labels = Labeled("number", np.zeros(3), split=np.array([0, 2, 0], np.int8))
        >>> labels.rows("train").tolist(), labels.rows("validation").tolist()
        ([0, 2], [])
        """
        code = SPLITS.index(side)
        if self.split is None:
            return np.arange(len(self) if code == 0 else 0)
        return np.flatnonzero(self.split == code)

    def moments(self, reads: Sequence[str]) -> Floats | None:
        """What an encoder reads of the time, see `placevec.sources.tables.dates.moments`; None without any dates."""
        if self.dates is None:
            return None
        return moments(reads, self.dates, self.times, self.hours)

    @property
    def user_count(self) -> int:
        """Number of users."""
        return 0 if self.users is None or not len(self.users) else int(self.users.max()) + 1


def read_labels(folder: Path, about: Mapping[str, Any], count: int) -> Labeled:
    """The labels of ``count`` places, as described by ``about`` (from ``dataset.json``).

    Raises:
        DatasetError: they are missing, damaged, or belong to other places.
    """
    check_about(about)
    path = folder / str(about["file"])
    try:
        table = read_parquet(path, "table of labels")
    except SourceError as error:
        raise DatasetError(str(error)) from error
    if table.num_rows != count:
        raise DatasetError(f"{path} has {table.num_rows:,} labels for {count:,} places: prepare it again")
    kind, classes = about["kind"], tuple(about["classes"])
    columns = {
        name: _column(table, name, pa.int32() if name == "label" and kind == "classes" else known, path)
        for name, known in _TYPES.items()
        if name == "label" or name in table.column_names
    }
    values, users, dates = columns["label"], columns.get("user"), columns.get("date")
    if kind == "classes" and count and not -1 <= int(values.min()) <= int(values.max()) < len(classes):
        raise DatasetError(f"{path} is damaged: its labels are not indices of the {len(classes):,} classes")
    if users is not None and count and int(users.min()) < -1:
        raise DatasetError(f"{path} is damaged: a user has the invalid index {int(users.min())}")
    if dates is not None and bool(np.any((dates < 0) | (dates > 1))):
        raise DatasetError(f"{path} is damaged: a date is not a fraction of the year")
    return Labeled(
        kind, values, classes, users, dates, _split(table, path), columns.get("image_row"), columns.get("time"),
        columns.get("hour"),
    )  # fmt: skip


def check_about(about: Mapping[str, Any]) -> None:
    """ValueError unless the description of labels in ``dataset.json`` is valid."""
    check(about, ABOUT, "labels")
    if about["kind"] not in get_args(Kind):
        raise ValueError(f"labels: kind must be {' or '.join(get_args(Kind))}; got {about['kind'][:20]!r}")
    if len(set(about["classes"])) < len(about["classes"]) or (about["kind"] == "number" and about["classes"]):
        raise ValueError("labels have a duplicate class, or have classes although they are numbers")
    for file in label_files(about):
        if Path(file).is_absolute() or ".." in Path(file).parts:
            raise ValueError(f"labels refer to {file!r}, outside the dataset")


def label_files(about: Mapping[str, Any]) -> list[str]:
    """All files of the labels, relative to the dataset.

    >>> label_files({"kind": "number", "name": "rent", "file": "labels.parquet", "image_predictions": {}})
    ['labels.parquet']
    """
    return [about["file"], *(item["file"] for item in about.get("image_predictions", {}).values())]


def _column(table: pa.Table, name: str, kind: pa.DataType | None, path: Path) -> NDArray[Any]:
    wanted = kind or pa.float64()
    if name not in table.column_names or table[name].type != wanted:
        held = table[name].type if name in table.column_names else "nothing"
        raise DatasetError(f"{path} is damaged: its column {name} must be {wanted}; it is {held}")
    unknown = np.nan if pa.types.is_floating(wanted) else -1
    filled = pc.fill_null(table[name], pa.scalar(unknown, wanted))
    return np.asarray(filled.to_numpy())


def _split(table: pa.Table, path: Path) -> NDArray[np.int8] | None:
    if "split" not in table.column_names:
        return None
    column = table["split"]
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not pa.types.is_string(column.type):
        raise DatasetError(f"{path} is damaged: its column split is {column.type}")
    codes = pc.index_in(column, value_set=pa.array(SPLITS))
    if codes.null_count:
        raise DatasetError(f"{path} is damaged: split must be {', '.join(SPLITS)}")
    return np.asarray(codes.to_numpy()).astype(np.int8)
