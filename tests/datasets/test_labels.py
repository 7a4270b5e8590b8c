"""Labels of places: read back as written, refused when damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from placevec.datasets.dataset import Dataset
from placevec.datasets.labels import LABELS, Labeled, check_about, read_labels
from placevec.errors import DatasetError

CLASSES = {"file": LABELS, "kind": "classes", "column": "species", "classes": ["ant", "bee"]}
NUMBER = {"file": LABELS, "kind": "number", "column": "height", "classes": []}


def written(folder: Path, **columns: pa.Array) -> Path:
    pq.write_table(pa.table(columns), folder / LABELS)
    return folder


def test_classes_with_all_that_goes_with_them(tmp_path: Path) -> None:
    written(
        tmp_path,
        label=pa.array([1, None, 0], pa.int32()),
        user=pa.array([None, 4, 0], pa.int32()),
        date=pa.array([0.5, None, 1.0]),
        split=pa.array(["train", "test", "validation"]).dictionary_encode(),
        image_row=pa.array([None, 7, 0], pa.int32()),
    )
    labels = read_labels(tmp_path, CLASSES, 3)
    assert labels.values.dtype == np.int32
    assert labels.values.tolist() == [1, -1, 0]
    assert labels.known.tolist() == [True, False, True]
    assert labels.classes == ("ant", "bee")
    assert labels.users is not None
    assert labels.users.tolist() == [-1, 4, 0]
    assert labels.user_count == 5
    assert labels.dates is not None
    assert np.array_equal(labels.dates, [0.5, np.nan, 1.0], equal_nan=True)
    assert labels.split is not None
    assert labels.split.dtype == np.int8
    assert labels.split.tolist() == [0, 2, 1]
    assert labels.rows("test").tolist() == [1]
    assert labels.image_rows is not None
    assert labels.image_rows.tolist() == [-1, 7, 0]


def test_numbers_alone(tmp_path: Path) -> None:
    labels = read_labels(written(tmp_path, label=pa.array([1.5, None, -2.0])), NUMBER, 3)
    assert np.array_equal(labels.values, [1.5, np.nan, -2.0], equal_nan=True)
    assert labels.known.tolist() == [True, False, True]
    assert (labels.users, labels.dates, labels.split, labels.user_count) == (None, None, None, 0)
    assert labels.rows("train").tolist() == [0, 1, 2]
    assert len(labels.rows("test")) == 0


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"label": pa.array([0, 2], pa.int32())}, "its labels are not indices of the 2 classes"),
        ({"label": pa.array([0, -2], pa.int32())}, "its labels are not indices of the 2 classes"),
        ({"label": pa.array([0.0, 1.0])}, "its column label must be int32"),
        ({"user": pa.array([0, 1], pa.int32())}, "its column label must be int32"),
        ({"label": pa.array([0], pa.int32())}, "has 1 labels for 2 places"),
        (
            {"label": pa.array([0, 1], pa.int32()), "user": pa.array([-5, 1], pa.int32())},
            "a user has the invalid index -5",
        ),
        (
            {"label": pa.array([0, 1], pa.int32()), "date": pa.array([0.1, 2.0])},
            "a date is not a fraction of the year",
        ),
        (
            {"label": pa.array([0, 1], pa.int32()), "split": pa.array(["train", "x"])},
            "split must be train, validation, test",
        ),
        ({"label": pa.array([0, 1], pa.int32()), "split": pa.array([1, 2])}, "its column split is int64"),
    ],
)
def test_damaged(tmp_path: Path, columns: dict[str, pa.Array], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        read_labels(written(tmp_path, **columns), CLASSES, 2)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "colors"},
        {"file": "/etc/passwd"},
        {"file": "../labels.parquet"},
        {"classes": ["ant", "ant"]},
        {"classes": [1]},
        {"kind": "number"},
        {"image_predictions": {"test": {"file": "../../x.npz"}}},
    ],
)
def test_a_manifest_that_cannot_be_used(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="label"):
        check_about({**CLASSES, **change})


def test_a_dataset_without_labels_says_how_to_get_them(helsinki_dataset: Dataset) -> None:
    assert not helsinki_dataset.has_labels
    with pytest.raises(DatasetError, match="--label COLUMN"):
        helsinki_dataset.labels()


def test_rows_of_a_side() -> None:
    assert Labeled("number", np.zeros(2)).rows("train").tolist() == [0, 1]
