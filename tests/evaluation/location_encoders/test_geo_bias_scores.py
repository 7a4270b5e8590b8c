"""The family of geo-bias scores. Oracle: ``geo_bias.npz``, numbers of GeoBS's own code (github.com/seai-lab/PyGBS, MIT;
scores at 0e202f6, parts of a region at 01ab256, whose later form reads row numbers as coordinates) on random points of
the northern hemisphere: three clusters, hits that follow the longitude, and reciprocal ranks that follow nothing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from placevec.errors import EvaluationError
from placevec.evaluation.location_encoders import geo_bias_scores as family

RECORDED = np.load(Path(__file__).with_name("geo_bias.npz"))
LONLAT, HIT, RANK, ROWS = (RECORDED[name] for name in ("lonlat", "hit", "rank", "rows"))
RADIUS, SCALE, LAG, SECTORS = RECORDED["settings"]


def test_self_information_is_that_of_its_own_code() -> None:
    for number, row in enumerate(ROWS):
        near = family.neighborhood(LONLAT, int(row), RADIUS)
        assert len(near) == RECORDED["near"][number]
        here = LONLAT[row]
        assert family.unmarked_ssi(LONLAT[near], here, RADIUS) == pytest.approx(RECORDED["unmarked"][number])
        for name, marks in (("marked hit+1", HIT + 1), ("marked rank", RANK)):
            found = family.marked_ssi(LONLAT[near], marks[near], here, RADIUS)
            assert found == pytest.approx(RECORDED[name][number])


@pytest.mark.parametrize(("kind", "size"), [("grid", SCALE), ("distance", LAG), ("direction", SECTORS)])
def test_relative_information_is_that_of_its_own_code(kind: family.Parts, size: float) -> None:
    for number, row in enumerate(ROWS):
        parts, region = family.partition(LONLAT, int(row), RADIUS, kind, size)
        assert [len(parts), len(region)] == list(RECORDED[f"{kind} parts"][number])
        found = family.sri([RANK[part] for part in parts], RANK[region])
        assert found == pytest.approx(RECORDED[kind][number], abs=1e-12)


def test_a_model_that_fails_on_one_side_is_more_biased() -> None:
    """Hits that follow the longitude against the same hits shuffled; and the same scores for all longitudes and sides."""
    options = {"radius": 0.1, "scale": SCALE, "lag": LAG, "sectors": 6, "bins": 2, "max_centers": 25}
    uneven = family.scores(LONLAT, HIT, **options)
    even = family.scores(LONLAT, np.random.default_rng(0).permutation(HIT), **options)
    assert uneven.direction_sri > 2 * even.direction_sri
    assert uneven.unmarked_ssi == pytest.approx(even.unmarked_ssi)
    south = family.scores(LONLAT * [1, -1], HIT, **options)
    assert south.distance_sri == pytest.approx(uneven.distance_sri)


def test_what_cannot_be_scored() -> None:
    assert np.isnan(family.scores(LONLAT[:3], HIT[:3]).marked_ssi)
    with pytest.raises(EvaluationError, match="one finite performance"):
        family.scores(LONLAT, HIT[:-1])
