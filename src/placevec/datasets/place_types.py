"""Of which type places are: as their entities say, else as labels do that are classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from placevec.datasets.dataset import Dataset
from placevec.datasets.joined import JoinedDataset
from placevec.errors import DatasetError
from placevec.geo import Ints
from placevec.geo.geoparquet import read_parquet

ENTITIES = "entities.parquet"
UNKNOWN = -1
"""The code of a place whose type is not known."""


@dataclass(frozen=True)
class Types:
    """The types of N places.

    Attributes:
        names: of the types.
        codes: (N,) int64 positions in ``names``, `UNKNOWN` where there is none.
    """

    names: tuple[str, ...]
    codes: Ints

    def shares(self, rows: Ints) -> dict[str, float]:
        """Share of each type among some rows of known type, without those that none is of.

        >>> Types(("lake", "park"), np.array([0, 1, 1, -1])).shares(np.arange(4))
        {'lake': 0.3333, 'park': 0.6667}
        """
        codes = self.codes[rows]
        counts = np.bincount(codes[codes != UNKNOWN], minlength=len(self.names))
        total = max(int(counts.sum()), 1)
        return {
            name: float(f"{count / total:.4g}")
            for name, count in zip(self.names, counts, strict=True)
            if count
        }

    def as_in(self, other: Types) -> Types:
        """With another's names and codes; types that it does not have are unknown.

        >>> Types(("lake", "park"), np.array([0, 1])).as_in(Types(("park",), np.array([0]))).codes.tolist()
        [-1, 0]
        """
        at = {name: number for number, name in enumerate(other.names)}
        table = np.array([*(at.get(name, UNKNOWN) for name in self.names), UNKNOWN], np.int64)
        return Types(other.names, table[self.codes])


def spoken(name: str) -> str:
    """A type as words.

    >>> spoken("nature_reserve")
    'nature reserve'
    """
    return name.replace("_", " ")


def types_of(dataset: Dataset | JoinedDataset, view: str, level: str) -> Types:
    """The type of every place: of the entity that it is, else of the first that its texts are about, else its label.

    Args:
        dataset: with ``entities.parquet``, or labels that are classes; without either no type is known.
        view: the view of texts.
        level: ``leaf`` or ``group`` of ``group/leaf``.
    """
    parts = dataset.parts if isinstance(dataset, JoinedDataset) else (dataset,)
    found = np.concatenate([_named(part, view, level) for part in parts])
    known = found != ""
    names, codes = np.unique(found[known], return_inverse=True)
    all_codes = np.full(len(found), UNKNOWN, np.int64)
    all_codes[known] = codes
    return Types(tuple(map(str, names)), all_codes)


def entities_of(dataset: Dataset, view: str) -> list[str | None]:
    """(N,) the entity of every place: the one that its first text about one is about, else the one of its own id."""
    ids = [str(one) for one in dataset.places["place_id"]]
    file = dataset.path / str(dataset.manifest["views"][view]["files"][0])
    table = read_parquet(file, "table of texts", columns=["place_id", "view", "entity_id"])
    if "entity_id" not in table.column_names:
        return list(ids)
    table = table.filter(pc.and_(pc.equal(table["view"], view), pc.is_valid(table["entity_id"])))
    first: dict[str, str] = {}
    for place, entity in zip(table["place_id"].to_pylist(), table["entity_id"].to_pylist(), strict=True):
        first.setdefault(place, entity)
    return [first.get(one, one) for one in ids]


def _named(dataset: Dataset, view: str, level: str) -> np.ndarray:
    """(N,) names of types, empty where none is known."""
    if (dataset.path / ENTITIES).is_file():
        table = read_parquet(dataset.path / ENTITIES, "table of entities", columns=["entity_id", "type"])
        if missing := {"entity_id", "type"} - set(table.column_names):
            raise DatasetError(f"{dataset.path / ENTITIES} lacks the column {min(missing)}: prepare it again")
        ids = pa.array(entities_of(dataset, view), pa.string())
        kinds = table["type"].take(pc.index_in(ids, value_set=table["entity_id"].combine_chunks()))
        kinds = np.array([kind or "" for kind in kinds.to_pylist()], object)
    elif dataset.has_labels and (labels := dataset.labels()).kind == "classes":
        kinds = np.array([*labels.classes, ""], object)[labels.values]
    else:
        kinds = np.full(len(dataset), "", object)
    place = 0 if level == "group" else -1
    return np.array([kind.split("/")[place] for kind in kinds], object)
