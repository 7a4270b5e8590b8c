"""What is said of places, and of which type they are: the choices of the sampler, and the view of type names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from torch import Tensor

from placevec.core import Look, ViewSpec
from placevec.datasets.dataset import Dataset
from placevec.datasets.joined import JoinedDataset
from placevec.datasets.place_types import UNKNOWN, Types, spoken
from placevec.datasets.views.text import read_texts
from placevec.errors import InputError
from placevec.io.byte_texts import VALUES, cut, tokens_of
from placevec.training.samplers.described import Choices

TYPES_SPEC = ViewSpec("types", "text", values=VALUES)
_UNDETERMINED = "und"


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
