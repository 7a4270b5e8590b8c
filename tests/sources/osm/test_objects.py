"""Geometry out of decoded ways and of WKB, against shapely; and the memory of a file-backed index."""

from __future__ import annotations

import mmap
import sys
from pathlib import Path

import numpy as np
import pytest
import shapely

from placevec.sources.osm.node_index import PageReturner
from placevec.sources.osm.objects import multipolygon_rings, node_paths, way_paths
from placevec.sources.osm.pbf import Block

NOWHERE = [2**31 - 1, 2**31 - 1]
"""What osmium writes for a node that the extract lacks."""


def block(osm_type: int, *ways: list[list[int]]) -> Block:
    offsets = np.cumsum([0, *map(len, ways)])
    lonlat = np.array([place for way in ways for place in way], np.int64).reshape(-1, 2)
    none = np.zeros(0, np.int64)
    return Block(
        osm_type, np.arange(len(ways)), [], np.zeros(len(ways) + 1, np.int64), none, none, offsets, lonlat
    )


def test_nodes_without_a_place_are_left_out() -> None:
    paths, rows = node_paths(block(0, [[10**7, 2 * 10**7]], [NOWHERE], [[0, 91 * 10**7]], [[-5, 5]]))
    assert rows.tolist() == [0, 3]
    assert paths.xy.tolist() == [[1.0, 2.0], [-5e-7, 5e-7]]


def test_ways_lose_repeated_vertices_and_are_cut_where_nodes_are_missing() -> None:
    a, b, c = [10**7, 0], [2 * 10**7, 0], [3 * 10**7, 10**7]
    paths, rows = way_paths(
        block(
            1,
            [a, a, b, b, c],
            [a, b, NOWHERE, c, b],
            [a, a],
            [NOWHERE, a, NOWHERE],
            [],
            [b, a],
            [NOWHERE, a, b],
        )
    )
    assert rows.tolist() == [0, 1, 5, 6]
    found = [[path[:, 0].tolist() for path in paths.row(row)] for row in range(4)]
    assert found == [[[1.0, 2.0, 3.0]], [[1.0, 2.0], [3.0, 2.0]], [[2.0, 1.0]], [[1.0, 2.0]]]


def test_multipolygons_equal_shapely() -> None:
    shell = [(0, 0), (9, 0), (9, 9), (0, 9), (0, 0)]
    hole = [(1, 1), (1, 2), (2, 2), (2, 1), (1, 1)]
    far = [(20, 0), (20, 5), (29, 5), (20, 0)]  # clockwise
    rings = multipolygon_rings(shapely.MultiPolygon([(shell, [hole]), (far, [])]).wkb)
    assert [shapely.LinearRing(ring).is_ccw for ring in rings] == [True, False, True]
    assert [abs(shapely.Polygon(ring).area) for ring in rings] == [81.0, 1.0, 22.5]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_returned_pages_leave_memory_and_keep_their_content(tmp_path: Path) -> None:
    """Oracle: what the kernel counts as this mapping's resident pages."""
    path, size = tmp_path / "nodes.index", 2**24
    path.write_bytes(bytes(size))
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), size) as mapped:
        mapped[:] = b"x" * size
        assert _resident(path) == size
        PageReturner(path).return_pages()
        assert _resident(path) == 0
        assert mapped[:] == b"x" * size


def _resident(path: Path) -> int:
    """Bytes of a mapped file in memory, from the kernel's table."""
    lines = iter(Path("/proc/self/smaps").read_text().splitlines())
    for line in lines:
        if line.endswith(str(path)):
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Rss:"))
    raise AssertionError("the file is not mapped")
