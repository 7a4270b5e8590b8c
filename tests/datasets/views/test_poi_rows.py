"""Points by place. Oracle: the lists that were written, looked up in Python one place at a time."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from placevec.core import Look, ViewSpec
from placevec.datasets.views.poi_rows import FILE, KIND, SCHEMA, VALUES, PoiRowsView
from placevec.errors import DatasetError, InputError

NAMES = ("bar", "cafe", "shop")
CATEGORIES = [[2, 0, 1], [], [1], [0, 0, 2, 1]]
EDGES = [[(0, 1), (1, 0), (1, 2)], [], [], [(3, 0), (0, 3), (1, 2)]]


def view(folder: Path, edges: list[list[tuple[int, int]]] = EDGES) -> PoiRowsView:
    columns = {
        "place_id": list("abcd"),
        "categories": CATEGORIES,
        "sources": [[one for one, _ in own] for own in edges],
        "targets": [[other for _, other in own] for own in edges],
    }
    pq.write_table(pa.table(columns, schema=SCHEMA), folder / FILE)
    return PoiRowsView(folder / FILE, ViewSpec("pois", KIND, NAMES, VALUES), list("abcd"), NAMES)


def test_rows_in_any_order_twice_or_missing(tmp_path: Path) -> None:
    """Edges point at points of the same place, wherever it stands in the batch."""
    rows = [3, 0, -2, 3, 1, 2]
    found = view(tmp_path).window(edges=True).read(Look(torch.tensor(rows)))
    assert found.edges is not None
    pairs = {tuple(pair) for pair in found.edges.T.tolist()}
    for at, row in enumerate(rows):
        first, stop = found.offsets[at : at + 2].tolist()
        own = [] if row < 0 else CATEGORIES[row]
        assert found.values[first:stop, 0].tolist() == own
        wanted = set() if row < 0 else {(one + first, other + first) for one, other in EDGES[row]}
        assert {pair for pair in pairs if first <= pair[0] < stop} == wanted


def test_categories_that_are_not_read_take_their_edges_with_them(tmp_path: Path) -> None:
    few = view(tmp_path).window(channels=("shop", "cafe"), edges=True)
    assert few.known.tolist() == [True, False, True, True]
    found = few.read(Look(torch.tensor([0, 3])))
    assert found.values[:, 0].tolist() == [0, 1, 0, 1]
    assert found.offsets.tolist() == [0, 2, 4]
    assert found.edges is not None
    assert found.edges.T.tolist() == []


def test_what_does_not_exist_is_refused(tmp_path: Path) -> None:
    for row in (4, -1):
        with pytest.raises(InputError, match="below 4, the number of places"):
            view(tmp_path).read(Look(torch.tensor([row])))
    with pytest.raises(DatasetError, match="neighbors that do not exist"):
        view(tmp_path, [[(0, 3)], [], [], []])
