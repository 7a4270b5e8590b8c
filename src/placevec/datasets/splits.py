"""The split of a run: which places it was trained on, and which it held out.

``split.parquet`` is stored in a run's directory. It has one row for each place of every dataset used for training or
validation, in the order of the datasets' rows:

======== =================== ===================================================================================
column   type                meaning
======== =================== ===================================================================================
dataset  string              SHA-256 of the dataset (`placevec.datasets.dataset.Dataset.hash`)
place_id string              ID of the place
split    string, or null     ``train``, ``validation`` or ``test``; null if the run used the place for none of them
excluded string, or null     the reason why it was not used: one of `EXCLUDED`
block    int64, or null      number of the spatial block of the place, if whole blocks were held out
======== =================== ===================================================================================

How validation was chosen is stored in the file's metadata under ``placevec``, with the name and the hashes of each
dataset. The file is written before the first training step and does not change later.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from placevec.datasets.labels import SPLITS
from placevec.errors import ModelError, SourceError, other_schema
from placevec.geo import Ints
from placevec.geo.geoparquet import read_parquet
from placevec.io import atomic, parquet
from placevec.io.json_documents import check, parse_json

if TYPE_CHECKING:
    from placevec.datasets.dataset import Dataset

FILE = "split.parquet"
FORMAT = "placevec split"
SCHEMA_VERSION = 1
EXCLUDED = ("coordinates", "label", "date", "image", "sample", "buffer", "text")
"""Why a place is in no split: it lacks coordinates, a label, a date, an image or a text; it was not drawn, if only some
places are used; or it is in the buffer around held-out places."""
By = Literal["blocks", "dataset", "other dataset", "nothing"]
"""How validation places were chosen: whole spatial blocks were held out, by the dataset's own split, from another
dataset, or not at all."""

_ABOUT = {
    "format": str, "schema_version": int, "by": str, "options": dict,
    "datasets": [{"name": str, "hash": str, "places": str, "count": int}],
}  # fmt: skip
_METADATA = b"placevec"


@dataclass(frozen=True, eq=False)
class Split:
    """How the places of a dataset are split; several joined datasets are concatenated.

    Attributes:
        code: (N,) int8: 0 train, 1 validation, 2 test, -1 none of them.
        excluded: (N,) int8 position in `EXCLUDED` for places in no split; -1 for others.
        block: (N,) int64 spatial block of each place, -1 if unknown; None if no blocks were held out.
        by: how validation places were chosen.
        options: details for information: for blocks ``size_m``, ``share``, ``buffer_m`` and ``seed``.
    """

    code: NDArray[np.int8]
    excluded: NDArray[np.int8]
    block: Ints | None = None
    by: By = "nothing"
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        count: int,
        *,
        train: Ints,
        validation: Ints | None = None,
        test: Ints | None = None,
        excluded: Mapping[str, Ints] | None = None,
        block: Ints | None = None,
        by: By = "nothing",
        options: Mapping[str, Any] | None = None,
    ) -> Split:
        """A split from rows by purpose.

        Args:
            count: number of all places.
            train: training rows.
            validation: validation rows, without those that are also training rows.
            test: test rows.
            excluded: reason -> excluded rows; the last reason given for a row is kept.
            block: (count,) block of each place.
            by: how validation places were chosen.
            options: details.

        >>> Split.of(4, train=np.array([0, 2]), validation=np.array([3]), excluded={"label": np.array([1])}).code
        array([ 0, -1,  0,  1], dtype=int8)
        """
        code, why = np.full(count, -1, np.int8), np.full(count, -1, np.int8)
        for reason, rows in (excluded or {}).items():
            why[rows] = EXCLUDED.index(reason)
        for number, some in enumerate((train, validation, test)):
            if some is not None:
                code[some] = number
        why[code >= 0] = -1
        return cls(code, why, block, by, dict(options or {}))

    def __len__(self) -> int:
        return len(self.code)

    def rows(self, name: str) -> Ints:
        """Rows of ``train``, ``validation`` or ``test``, ascending."""
        return np.flatnonzero(self.code == SPLITS.index(name))

    @property
    def held_out(self) -> dict[str, Any]:
        """How places were held out, for information; empty if there are none."""
        return {} if self.by == "nothing" else {"by": self.by, **self.options}

    def part(self, first: int, stop: int) -> Split:
        """The split of a range of rows."""
        some = slice(first, stop)
        block = None if self.block is None else self.block[some]
        return Split(self.code[some], self.excluded[some], block, self.by, self.options)


@dataclass(frozen=True, eq=False)
class SplitPart:
    """The split of one dataset of a run.

    Attributes:
        name: display name of the dataset.
        hash: hash of the dataset at training time; views and labels may have been added since.
        places: `placevec.datasets.dataset.Dataset.places_hash`, which additions do not change.
        place_id: (N,) IDs of its places.
        split: split of its places.
    """

    name: str
    hash: str
    places: str
    place_id: pa.ChunkedArray
    split: Split


@dataclass(frozen=True, eq=False)
class RunSplit:
    """The splits of all datasets of a run."""

    parts: tuple[SplitPart, ...]

    @classmethod
    def of_datasets(
        cls, datasets: Sequence[Dataset], split: Split, hashes: Sequence[str] | None = None
    ) -> RunSplit:
        """From datasets whose rows are concatenated in ``split``; ``hashes`` default to theirs."""
        first, parts = 0, []
        for number, dataset in enumerate(datasets):
            stop = first + len(dataset)
            ids = pa.chunked_array([pa.array(dataset.places["place_id"], pa.string())])
            own = dataset.hash if hashes is None else hashes[number]
            parts.append(SplitPart(dataset.name, own, dataset.places_hash, ids, split.part(first, stop)))
            first = stop
        return cls(tuple(parts))

    def __add__(self, other: RunSplit) -> RunSplit:
        return RunSplit((*self.parts, *other.parts))

    def split_of(self, dataset: Dataset) -> Split | None:
        """The split of a dataset's places, one row each; None if the run used none of them.

        Datasets are identified by their places, so later additions do not change the split.

        Raises:
            ModelError: the split has other places than the dataset.
        """
        found = [part for part in self.parts if part.places == dataset.places_hash]
        if not found:
            return None
        part = next((part for part in found if part.hash == dataset.hash), found[0])
        ids = pa.array(dataset.places["place_id"], pa.string())
        if len(part.place_id) != len(ids) or not part.place_id.combine_chunks().equals(ids):
            raise ModelError(f"{FILE} of the run is damaged: its places are not those of {dataset.path}")
        return part.split

    def difference(self, other: RunSplit) -> str:
        """How another split differs from this one, in words; empty if it does not."""
        names = [[(part.hash, len(part.place_id)) for part in one.parts] for one in (self, other)]
        if names[0] != names[1]:
            return "the datasets are different"
        for before, now in zip(self.parts, other.parts, strict=True):
            if not before.place_id.combine_chunks().equals(now.place_id.combine_chunks()):
                return f"the places of {now.name} are different"
            moved = int((before.split.code != now.split.code).sum())
            if moved:
                return f"{moved:,} places of {now.name} were in another split"
        return ""


def write_split(folder: Path, split: RunSplit) -> None:
    """Write ``split.parquet`` into a folder, atomically."""
    tables = [_table(part) for part in split.parts]
    about = {
        "format": FORMAT, "schema_version": SCHEMA_VERSION, "by": split.parts[0].split.by,
        "options": dict(split.parts[0].split.options),
        "datasets": [
            {"name": part.name, "hash": part.hash, "places": part.places, "count": len(part.split)}
            for part in split.parts
        ],
    }  # fmt: skip
    table = pa.concat_tables(tables).replace_schema_metadata(
        {_METADATA: json.dumps(about, ensure_ascii=False)}
    )
    with atomic.replacing(folder / FILE) as temporary:
        parquet.write_table(table, temporary, use_dictionary=["dataset", "split", "excluded"])


def _table(part: SplitPart) -> pa.Table:
    split, count = part.split, len(part.split)
    block = np.full(count, -1, np.int64) if split.block is None else split.block
    return pa.table(
        {
            "dataset": pa.repeat(pa.scalar(part.hash, pa.string()), count),
            "place_id": part.place_id,
            "split": _named(split.code, SPLITS),
            "excluded": _named(split.excluded, EXCLUDED),
            "block": pa.array(block, pa.int64(), mask=block < 0),
        }
    )


def _named(codes: NDArray[np.int8], names: Sequence[str]) -> pa.Array:
    coded = pa.array(np.maximum(codes, 0), mask=codes < 0)
    return pa.DictionaryArray.from_arrays(coded, pa.array(names, pa.string())).cast(pa.string())


def read_split(folder: Path | None) -> RunSplit | None:
    """The split in a run's folder; None if there is none, as for imported models.

    Raises:
        ModelError: it is damaged, or has another schema.
    """
    if folder is None or not (folder / FILE).exists():
        return None
    path = folder / FILE
    try:
        table = read_parquet(path, "table of a split")
        about = parse_json((table.schema.metadata or {}).get(_METADATA, b"null"))
        if isinstance(about, dict) and about.get("schema_version") != SCHEMA_VERSION:
            remedy = "train again, or evaluate with the placevec version that trained it"
            raise ModelError(other_schema(path, about.get("schema_version"), SCHEMA_VERSION, remedy))
        check(about, _ABOUT, "its metadata")
        return _parts(table, about)
    except (SourceError, ValueError) as error:
        raise ModelError(f"{path} is damaged: {error}") from error


def _parts(table: pa.Table, about: Mapping[str, Any]) -> RunSplit:
    """The splits by dataset; ValueError if they are invalid."""
    if about["format"] != FORMAT or about["by"] not in get_args(By):
        raise ValueError("its metadata is not that of a split")
    for name in ("dataset", "place_id", "split", "excluded"):
        if name not in table.column_names or table[name].type != pa.string():
            raise ValueError(f"it has no text column {name}")
    if "block" not in table.column_names or table["block"].type != pa.int64():
        raise ValueError("it has no integer column named block")
    if table["place_id"].null_count:
        raise ValueError("a place has no ID")
    counts = [one["count"] for one in about["datasets"]]
    if min(counts, default=-1) < 0 or sum(counts) != table.num_rows:
        raise ValueError(f"it has {table.num_rows:,} places, but its metadata says {sum(counts):,}")
    code, excluded = _codes(table["split"], SPLITS), _codes(table["excluded"], EXCLUDED)
    block = np.asarray(pc.fill_null(table["block"], -1).to_numpy()).astype(np.int64)
    whole = Split(code, excluded, block if about["by"] == "blocks" else None, about["by"], about["options"])
    first, parts = 0, []
    for one, count in zip(about["datasets"], counts, strict=True):
        ids = table["place_id"].slice(first, count)
        split = whole.part(first, first + count)
        parts.append(SplitPart(one["name"], one["hash"], one["places"], ids, split))
        first += count
    return RunSplit(tuple(parts))


def _codes(column: pa.ChunkedArray, names: Sequence[str]) -> NDArray[np.int8]:
    """(N,) int8 position in ``names``, -1 for null; ValueError for any other text."""
    found = pc.index_in(column, value_set=pa.array(names, pa.string()))
    if found.null_count != column.null_count:
        raise ValueError(f"values must be {', '.join(names)}")
    return np.asarray(pc.fill_null(found, -1).to_numpy()).astype(np.int8)
