"""Points of interest given place by place, without coordinates: categories, and which points are neighbors.

``poi_rows.parquet`` has one row per place: ``place_id``, ``categories`` (list of int32, positions in the view's
channels), ``sources`` and ``targets`` (lists of int32): pairs of neighboring points, as positions in the place, in
both directions.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray

from placevec.core import Look, Ragged, View, ViewSpec
from placevec.datasets.views.poi_sets import WITH_EDGES, thinned
from placevec.datasets.views.registry import Reader, Stored, check_spec
from placevec.errors import DatasetError, InputError
from placevec.geo import Ints
from placevec.geo.geoparquet import read_parquet

FILE, KIND = "poi_rows.parquet", "poi-rows"
VALUES = "category, by place"
SCHEMA = pa.schema(
    [
        ("place_id", pa.string()), ("categories", pa.list_(pa.int32())), ("sources", pa.list_(pa.int32())),
        ("targets", pa.list_(pa.int32())),
    ]
)  # fmt: skip


class PoiRowsView:
    """Sets of points by place (the `View` of kind ``poi-rows``).

    Args:
        path: the table, see above.
        spec: its channels are the categories that are read. With `WITH_EDGES` in its values, reads have edges.
        place_ids: (N,) IDs of the dataset's places, in order.
        names: categories of the table, in order.

    Raises:
        DatasetError: the table is missing or damaged, or is of other places.
    """

    def __init__(
        self, path: str | Path, spec: ViewSpec, place_ids: Sequence[str] | NDArray[Any], names: Sequence[str]
    ) -> None:
        table = read_parquet(path, "table of points by place", SCHEMA.names)
        if not table.schema.equals(SCHEMA, check_metadata=False):
            raise DatasetError(f"{path} is not a table of points by place; prepare the dataset again")
        if table["place_id"].to_pylist() != list(place_ids):
            raise DatasetError(
                f"{path} does not have the same places as the dataset; prepare the dataset again"
            )
        self._names, self._spec = tuple(names), spec
        self._starts, self._category = _lists(table["categories"])
        self._edge_starts, self._source = _lists(table["sources"])
        other, self._target = _lists(table["targets"])
        sizes = np.repeat(np.diff(self._starts), np.diff(self._edge_starts))
        ends = (
            np.stack([self._source, self._target]) if len(self._source) == len(self._target) else sizes[None]
        )
        is_sound = np.array_equal(other, self._edge_starts) and bool(((ends >= 0) & (ends < sizes)).all())
        if not is_sound or not bool(((self._category >= 0) & (self._category < len(self._names))).all()):
            raise DatasetError(f"{path} is damaged: it refers to categories or neighbors that do not exist")

    @property
    def spec(self) -> ViewSpec:
        """Specification of what is read."""
        return self._spec

    def __len__(self) -> int:
        return len(self._starts) - 1

    @cached_property
    def categories(self) -> Ints:
        """(P,) category of each point; -1 of those that are not read."""
        number = {name: position for position, name in enumerate(self._spec.channels)}
        return np.array([number.get(name, -1) for name in self._names], np.int64)[self._category]

    @cached_property
    def known(self) -> NDArray[np.bool_]:
        """(N,) bool: places with a point."""
        place = np.repeat(np.arange(len(self)), np.diff(self._starts))
        return np.asarray(np.bincount(place[self.categories >= 0], minlength=len(self)) > 0)

    def window(
        self,
        *,
        size_m: float | None = None,
        channels: tuple[str, ...] | None = None,
        edges: bool | None = None,
    ) -> PoiRowsView:
        """The same points in other categories, with or without edges; they have no size, so ``size_m`` is nothing."""
        other = copy.copy(self)
        for cached in ("categories", "known"):
            other.__dict__.pop(cached, None)
        values = self._spec.values if edges is None else f"{VALUES}; {WITH_EDGES}" if edges else VALUES
        other._spec = dataclasses.replace(self._spec, channels=channels or self._spec.channels, values=values)
        return other

    def read(self, look: Look) -> Ragged:
        """The sets of the rows of a look.

        ``keep_share`` (0 to 1) with ``seed`` keeps a random part of each set, one point at least.

        Returns:
            ``values`` (total, 3) float32: category, and zeros in place of positions. ``edges`` (2, E), if the view has
            them.

        Raises:
            InputError: a row that does not exist, or another warp.
        """
        if unknown := set(look.warp) - {"keep_share", "seed"}:
            raise InputError(
                f"unknown warp {', '.join(unknown)}: points by place support keep_share and seed"
            )
        rows = look.rows.cpu().numpy()
        if (rows >= len(self)).any() or (rows == -1).any():
            raise InputError(f"row numbers must be at least 0 and below {len(self):,}, the number of places")
        there = np.flatnonzero(rows >= 0)
        begin, count = self._starts[rows[there]], np.diff(self._starts)[rows[there]]
        sets = np.repeat(there, count)
        points = _ranges(begin, count)
        kept = self.categories[points] >= 0
        if "keep_share" in look.warp:
            share, seed = (look.warp[name].cpu().numpy() for name in ("keep_share", "seed"))
            kept[kept] = thinned(sets[kept], points[kept], share, seed)
        values = np.zeros((int(kept.sum()), 3), np.float32)
        values[:, 0] = self.categories[points[kept]]
        sizes = np.bincount(sets[kept], minlength=len(look))
        offsets = torch.from_numpy(np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64))
        edges = None
        if WITH_EDGES in self._spec.values:
            first = np.concatenate([[0], np.cumsum(count)])[:-1]
            many = np.diff(self._edge_starts)[rows[there]]
            at = _ranges(self._edge_starts[rows[there]], many)
            base = np.repeat(first, many)
            ends = np.stack([self._source[at] + base, self._target[at] + base])
            place = np.cumsum(kept) - 1
            edges = torch.from_numpy(place[ends[:, kept[ends].all(axis=0)]].astype(np.int64).reshape(2, -1))
        return Ragged(torch.from_numpy(values), offsets, edges)


def _ranges(begin: Ints, count: Ints) -> Ints:
    """``begin[i], begin[i] + 1, ...``, ``count[i]`` of each.

    >>> _ranges(np.array([5, 0]), np.array([2, 1])).tolist()
    [5, 6, 0]
    """
    offset = np.cumsum(count) - count
    return np.asarray(np.arange(int(count.sum())) + np.repeat(begin - offset, count), np.int64)


def _lists(column: pa.ChunkedArray) -> tuple[Ints, Ints]:
    """(starts, values) of a column of lists; a missing list is empty."""
    lengths = np.asarray(pc.fill_null(pc.list_value_length(column), 0)).astype(np.int64)
    values = np.asarray(pc.list_flatten(column)).astype(np.int64)
    return np.concatenate([[0], np.cumsum(lengths)]), values


class PoiRowsReader(Reader):
    """Points of interest by place: a record."""

    words = "category"

    def open(self, stored: Stored) -> PoiRowsView:
        """The table, in memory."""
        file = (stored.entry.get("files") or [FILE])[0]
        return PoiRowsView(stored.path / file, stored.spec, stored.places.place_ids, stored.spec.channels)

    def fit(self, view: View, wanted: ViewSpec) -> View:
        """The categories that a model reads."""
        plain, asked = (dataclasses.replace(spec, values=VALUES, size_m=None) for spec in (view.spec, wanted))
        check_spec(plain, asked, words=self.words)
        return cast(PoiRowsView, view).window(channels=wanted.channels, edges=WITH_EDGES in wanted.values)

    def holds(self, view: View) -> Mapping[str, int]:
        """Points, categories, and places with a point."""
        rows = cast(PoiRowsView, view)
        return {
            "points of interest": int((rows.categories >= 0).sum()), "categories": len(view.spec.channels),
            "places with points": int(rows.known.sum()),
        }  # fmt: skip

    def shows(self, spec: ViewSpec) -> str:
        """How many categories."""
        return f"{len(spec.channels)} categories by place"


READER = PoiRowsReader()
