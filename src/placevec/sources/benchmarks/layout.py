"""The common structure of all layouts, and reading their files within limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from placevec.errors import SourceError
from placevec.geo import Floats
from placevec.io.json_documents import check, read_json
from placevec.sources.tables.batches import BATCH_ROWS
from placevec.sources.tables.columns import Columns
from placevec.sources.tables.labeled_points import PointRows
from placevec.sources.tables.values import Longitudes

MAX_JSON_BYTES = 2 * 2**30
"""Maximum size of an annotation file, because it is read as a whole."""


@dataclass
class Part:
    """One part of a benchmark's split.

    Attributes:
        split: ``train``, ``validation`` or ``test``.
        ids: (N,) names of the images, distinct within the part.
        lonlat: (N, 2) float64 degrees; NaN where a photo has no coordinates.
        classes: (N,) int64 index of the class.
        users: (N,) int64, -1 if unknown; or None.
        dates: (N,) float64 fraction of the year, NaN if unknown; or None.
        predictions: file of an image classifier's predictions, N rows of C probabilities; or None.
    """

    split: str
    ids: Sequence[str]
    lonlat: Floats
    classes: NDArray[np.int64]
    users: NDArray[np.int64] | None = None
    dates: Floats | None = None
    predictions: Path | None = None


@dataclass
class Layout:
    """A benchmark that has been read.

    Attributes:
        name: name of the layout.
        path: folder with its files.
        classes: distinct class names, in the order of their indices.
        parts: the parts of its split.
        files: the files that were read, in order.
        credit: its authors.
        notes: remarks for the user.
    """

    name: str
    path: Path
    classes: tuple[str, ...]
    parts: list[Part]
    files: list[Path]
    credit: str
    notes: list[str] = field(default_factory=list)

    @property
    def columns(self) -> Columns:
        """The columns of its rows."""
        users = "user" if any(part.users is not None for part in self.parts) else None
        dates = "date" if any(part.dates is not None for part in self.parts) else None
        return Columns(lon="lon", lat="lat", id="id", label="class", user=users, date=dates, split="split")

    @property
    def total(self) -> int:
        """Number of rows."""
        return sum(len(part.ids) for part in self.parts)

    def batches(self) -> Iterator[PointRows]:
        """Its rows, part by part, with checked coordinates; ``image_row`` counts within a part.

        Raises:
            SourceError: coordinates off the Earth, or longitudes in two conventions.
        """
        names, first, columns = np.array(self.classes, object), 0, self.columns
        longitudes = Longitudes(self.path)
        for part in self.parts:
            for start in range(0, len(part.ids), BATCH_ROWS):
                rows = slice(start, start + BATCH_ROWS)
                lonlat = np.array(part.lonlat[rows], np.float64)
                lonlat[~np.isfinite(lonlat).all(axis=1)] = np.nan
                longitudes.within_180(lonlat, start, f"{self.path} ({part.split})")
                count = len(lonlat)
                cells = {
                    "id": pa.array([f"{part.split}-{name}" for name in part.ids[rows]], pa.string()),
                    "label": pa.array(names[part.classes[rows]], pa.string()),
                    "split": pa.array([part.split] * count, pa.string()),
                    "image_row": pa.array(np.arange(start, start + count), pa.int32()),
                }
                if columns.user:
                    users = np.full(count, -1) if part.users is None else part.users[rows]
                    cells["user"] = pa.array(users, mask=users < 0)
                if columns.date:
                    cells["date"] = pa.array(
                        np.full(count, np.nan) if part.dates is None else part.dates[rows]
                    )
                first += count
                yield PointRows(first - count, lonlat, 0, cells, first)


def read_document(path: Path, shape: Any) -> Any:
    """A JSON file of the layout, with checked fields; SourceError in one line if it is invalid."""
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise SourceError(f"{path} is larger than {MAX_JSON_BYTES / 2**30:g} GiB")
        content = read_json(path, nan_as_null=True)
        check(content, shape, path.name)
    except FileNotFoundError:
        raise SourceError(f"{path} does not exist, but the layout needs it") from None
    except (OSError, ValueError) as error:
        raise SourceError(f"cannot read {path}: {error}") from error
    return content


def named_by_id(pairs: Mapping[int, str], path: Path) -> tuple[str, ...]:
    """Class names by ID, counted from 0; duplicate names get their ID appended.

    Raises:
        SourceError: missing IDs, or a class without a name.

    >>> named_by_id({1: "jay", 0: "owl", 2: "jay"}, Path("c.json"))
    ('owl', 'jay (1)', 'jay (2)')
    """
    if sorted(pairs) != list(range(len(pairs))):
        raise SourceError(f"{path}: classes must be numbered 0 to {len(pairs) - 1}")
    names = [str(pairs[number]).strip() for number in range(len(pairs))]  # labels are trimmed as well
    if "" in names:
        raise SourceError(f"{path}: class {names.index('')} has no name")
    repeated = {name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else set()
    return tuple(f"{name} ({number})" if name in repeated else name for number, name in enumerate(names))


def class_indices(values: Sequence[int], count: int, path: Path) -> NDArray[np.int64]:
    """Class indices, checked to be below ``count``.

    >>> class_indices([0, 2, 1], 3, Path("train.json")).tolist()
    [0, 2, 1]
    """
    indices = np.asarray(values, np.int64)
    if len(indices) and not 0 <= int(indices.min()) <= int(indices.max()) < count:
        raise SourceError(f"{path}: there is a class {int(indices.max())}, but only {count:,} classes")
    return indices


def number_or_nan(value: Any) -> float:
    """A number, or NaN for null.

    >>> number_or_nan(3), number_or_nan(None)
    (3.0, nan)
    """
    return float("nan") if value is None else float(value)


def found_file(folder: Path, names: Sequence[str]) -> Path | None:
    """The first existing file of a list."""
    return next((folder / name for name in names if (folder / name).is_file()), None)


def side_of(word: str) -> str:
    """placevec's name of a split.

    >>> side_of("valid"), side_of("val"), side_of("train")
    ('validation', 'validation', 'train')
    """
    return {"val": "validation", "valid": "validation"}.get(word, word)
