"""How far results stand out: noise is called noise in nineteen of twenty cases, and what was planted is found."""

from __future__ import annotations

import numpy as np

from placevec.embeddings import Embeddings, Provenance
from placevec.embeddings.search.background import Background, squares_of
from placevec.embeddings.search.query import similar
from placevec.geo import offset


def test_noise_is_noted_in_nineteen_of_twenty_cases() -> None:
    """Oracle: the level of the test, by 400 draws of normal distances; 3 standard errors either way."""
    rng = np.random.default_rng(0)
    noted = 0
    for _ in range(400):
        far = rng.normal(0.8, 0.1, 500)
        middle = float(np.median(far))
        spread = 1.4826 * float(np.median(np.abs(far - middle)))
        noted += bool(Background(500, middle, spread).note(np.sort(far)[:1]))
    assert abs(noted / 400 - 0.95) < 0.04


def test_what_is_planted_stands_out_and_overlapping_windows_count_once() -> None:
    """Oracle: places of a grid counted by hand; a query vector of which one place is a copy."""
    rng = np.random.default_rng(1)
    east, north = np.meshgrid(np.arange(20) * 50.0, np.arange(20) * 50.0)
    lonlat = offset(np.full(400, 24.9), np.full(400, 60.2), east_m=east.ravel(), north_m=north.ravel())
    assert len(set(squares_of(lonlat, 10.0))) == 400
    assert 36 - 12 <= len(set(squares_of(lonlat, 200.0))) <= 36  # 950 m hold five to six squares of 200 m
    vectors = rng.normal(size=(400, 64)).astype(np.float32)
    none = np.array([None] * 400, object)
    emb = Embeddings(
        [str(row) for row in range(400)], vectors, lonlat, none, none, "map", Provenance("m", "d")
    )
    found = similar(emb, vector=vectors[7], k=2, min_distance_m=0)
    assert found.attrs["notes"][-1].startswith("1 other place has exactly")
    assert found["z"].iloc[0] > 5 > found["z"].iloc[1]
    noise = similar(emb, vector=rng.normal(size=64), k=2)
    assert noise.attrs["notes"][-1].startswith("nothing stands out: the best z is")
    equal = Embeddings(emb.place_id, np.ones((400, 4)), lonlat, none, none, "map", Provenance("m", "d"))
    assert "most places are equally far" in similar(equal, vector=[1, 0, 0, 0], k=1).attrs["notes"][-1]
