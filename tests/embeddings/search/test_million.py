"""A million places: found, filtered, kept apart and sampled. Oracle: numpy over all of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from placevec.app.project import open_project
from placevec.app.searching import Query, find
from placevec.embeddings import Embeddings, Provenance
from placevec.embeddings.search import similar
from placevec.geo import Area, distance_m

COUNT = 1_000_000


@pytest.fixture(scope="module")
def million() -> Embeddings:
    random = np.random.default_rng(0)
    lonlat = random.uniform([24, 60], [25, 61], (COUNT, 2))
    vectors = random.normal(size=(COUNT, 3)).astype(np.float32)
    none = np.full(COUNT, None, object)
    ids = np.char.add("p", np.arange(COUNT).astype(str)).astype(object)
    return Embeddings(ids, vectors, lonlat, none, none, "map", Provenance("m", "d"))


def test_all_are_searched_and_a_sample_is_drawn(million: Embeddings, tmp_path: Path) -> None:
    """Also in the app, which opens their file, says what it draws, and finds what is not drawn."""
    units = million.vectors / np.linalg.norm(million.vectors, axis=1, keepdims=True)
    far = 1.0 - units @ units[7]
    order = np.argpartition(far, 3000)[:3000]
    order = order[np.argsort(far[order])]
    lon, lat = million.lonlat.T
    inside = (lon > 24.2) & (lon < 24.7) & (lat > 60.3) & (lat < 60.8)
    found = similar(million, place="p7", bbox=Area(24.2, 60.3, 24.7, 60.8), k=5)
    assert found["place_id"].tolist() == [f"p{row}" for row in order if inside[row] and row != 7][:5]
    taken = [7]
    for row in order[1:]:
        if len(taken) == 6:
            break
        if not (distance_m(lon[row], lat[row], lon[taken], lat[taken]) < 20_000).any():
            taken.append(int(row))
    apart = similar(million, place="p7", min_distance_m=20_000, k=5)
    assert apart["place_id"].tolist() == [f"p{row}" for row in taken[1:]]
    million.save(tmp_path / "million.parquet")
    project = open_project(tmp_path / "million.parquet")
    assert len(set(project.drawn.rows.tolist())) == 20_000
    assert any("draws 20,000 of 1,000,000 places, " in one for one in project.remarks)
    shown = find(project, Query({"place": "p7"}), k=500)["place_id"].tolist()
    assert set(shown) == {f"p{row}" for row in order[:501]} - {"p7"}
    assert not set(shown) <= set(project.drawn.place_id.tolist())
