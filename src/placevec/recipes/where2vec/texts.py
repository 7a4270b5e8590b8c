"""What is said of places, and of which type they are: the choices of the sampler, and the view of type names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from torch import Tensor

from placevec.core import Look, ViewSpec
from placevec.datasets.dataset import Dataset
from placevec.datasets.joined import JoinedDataset
from placevec.datasets.views.text import read_texts
from placevec.errors import DatasetError, InputError
from placevec.geo import Ints
from placevec.geo.geoparquet import read_parquet
from placevec.io.byte_texts import VALUES, cut, tokens_of
from placevec.training.objectives.type_aware import UNKNOWN
from placevec.training.samplers.described import Choices

ENTITIES = "entities.parquet"
TYPES_SPEC = ViewSpec("types", "text", values=VALUES)
_UNDETERMINED = "und"


@dataclass(frozen=True)
class Types:
    """The types of N places.

    Attributes:
        names: of the types.
        codes: (N,) int64 positions in ``names``, `UNKNOWN` where there is none.
    """

    names: tuple[str, ...]
    codes: Ints

    def as_in(self, other: Types) -> Types:
        """With another's names and codes; types that it does not have are unknown."""
        at = {name: number for number, name in enumerate(other.names)}
        table = np.array([*(at.get(name, UNKNOWN) for name in self.names), UNKNOWN], np.int64)
        return Types(other.names, table[self.codes])


class TypeNames:
    """The view of the names of places' types: what the semantic part contrasts images with."""

    spec = TYPES_SPEC

    def __init__(self, types: Types) -> None:
        self._names, self._codes = [*(spoken(name) for name in types.names), ""], types.codes

    def read(self, look: Look) -> Mapping[str, Tensor]:
        """Tokens of the name of each row's type; nothing where it is not known."""
        rows = look.rows.numpy()
        codes = np.where(rows >= 0, self._codes[np.maximum(rows, 0)], UNKNOWN)
        return tokens_of([self._names[code] for code in codes.tolist()])


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


def _named(dataset: Dataset, view: str, level: str) -> np.ndarray:
    """(N,) names of types, empty where none is known."""
    if (dataset.path / ENTITIES).is_file():
        table = read_parquet(dataset.path / ENTITIES, "table of entities", columns=["entity_id", "type"])
        if missing := {"entity_id", "type"} - set(table.column_names):
            raise DatasetError(f"{dataset.path / ENTITIES} lacks the column {min(missing)}: prepare it again")
        ids = pa.array(_entities(dataset, view), pa.string())
        kinds = table["type"].take(pc.index_in(ids, value_set=table["entity_id"].combine_chunks()))
        kinds = np.array([kind or "" for kind in kinds.to_pylist()], object)
    elif dataset.has_labels and (labels := dataset.labels()).kind == "classes":
        kinds = np.array([*labels.classes, ""], object)[labels.values]
    else:
        kinds = np.full(len(dataset), "", object)
    place = 0 if level == "group" else -1
    return np.array([kind.split("/")[place] for kind in kinds], object)


def _entities(dataset: Dataset, view: str) -> list[str | None]:
    """(N,) the entity of every place: the one that its first text about one is about, else the one of its own id."""
    ids = [str(one) for one in dataset.places["place_id"]]
    file = _file(dataset, view)
    table = read_parquet(file, "table of texts", columns=["place_id", "view", "entity_id"])
    if "entity_id" not in table.column_names:
        return list(ids)
    table = table.filter(pc.and_(pc.equal(table["view"], view), pc.is_valid(table["entity_id"])))
    first: dict[str, str] = {}
    for place, entity in zip(table["place_id"].to_pylist(), table["entity_id"].to_pylist(), strict=True):
        first.setdefault(place, entity)
    return [first.get(one, one) for one in ids]


def choices_of(
    dataset: Dataset | JoinedDataset, view: str, languages: Sequence[str], kinds: Sequence[str]
) -> tuple[Choices, list[str]]:
    """(the texts of each place that may be drawn, all of these once).

    Raises:
        InputError: a language or kind that no text has.
    """
    parts = dataset.parts if isinstance(dataset, JoinedDataset) else (dataset,)
    tables = [read_texts(_file(part, view), view) for part in parts]
    for asked, column, flag in ((languages, "language", "--languages"), (kinds, "kind", "--kinds")):
        there = {one or _UNDETERMINED for table in tables for one in pc.unique(table[column]).to_pylist()}
        if unknown := [one for one in asked if one not in there]:
            raise InputError(
                f"{flag} {unknown[0]!r}: no text has this value; available: {', '.join(sorted(there)[:40])}"
            )
    counts, which, texts = [], [], set()
    for part, table in zip(parts, tables, strict=True):
        ids = pa.array(part.places["place_id"].to_numpy(object), pa.string())
        rows = np.asarray(pc.index_in(table["place_id"], value_set=ids).to_numpy()).astype(np.int64)
        order = np.argsort(rows, kind="stable")  # as the view numbers a place's texts
        starts = np.searchsorted(rows[order], np.arange(len(ids) + 1))
        number = np.arange(len(order)) - starts[rows[order]]
        allowed = (_among(table["language"], languages) & _among(table["kind"], kinds))[order]
        counts.append(np.bincount(rows[order][allowed], minlength=len(ids)))
        which.append(number[allowed])
        texts |= set(table["text"].filter(pa.array(_unordered(allowed, order))).to_pylist())
    starts = np.concatenate([[0], np.cumsum(np.concatenate(counts))])
    return Choices(starts, np.concatenate(which)), sorted(cut(text).decode() for text in texts)


def _among(column: pa.ChunkedArray, wanted: Sequence[str]) -> np.ndarray:
    """(M,) bool: whether a value is one of those wanted; all are where none is named."""
    if not wanted:
        return np.ones(len(column), bool)
    return np.asarray(pc.is_in(pc.fill_null(column, _UNDETERMINED), value_set=pa.array(list(wanted))))


def _unordered(values: np.ndarray, order: np.ndarray) -> np.ndarray:
    back = np.empty_like(values)
    back[order] = values
    return back


def _file(dataset: Dataset, view: str) -> Path:
    return dataset.path / str(dataset.manifest["views"][view]["files"][0])
