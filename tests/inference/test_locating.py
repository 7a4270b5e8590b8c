"""From a vector back to coordinates. Oracle: the points that the vectors were computed for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from placevec import api, encoders
from placevec.core import ViewSpec
from placevec.errors import PlacevecError
from placevec.geo import distance_m
from placevec.inference import locating
from placevec.models.model import Model
from placevec.models.reading import Reading


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    monkeypatch.setattr(locating, "POINTS", 3000)
    encoder = encoders.location("sphereC", dim=16, scales=3, r_min=0.2, hidden=32, seed=4).eval()
    reading = Reading("location", ViewSpec("coordinates", "coordinates"))
    Model({"location": encoder}, {"coordinates": reading}).save(tmp_path / "model")
    return Model.load(tmp_path / "model")


def test_points_are_found_again_and_the_gallery_is_kept(model: Model) -> None:
    """Gallery points are 400 km apart; the first is moved to within 60 km."""
    lonlat = np.array([[24.94, 60.17], [-170.7, -14.3], [18.4, -33.9]])
    vectors = model.embed_lonlat(lonlat)
    found = api.locate(model, vectors, k=3)
    assert list(found["rank"]) == [0, 1, 2] * 3
    first = found[found["rank"] == 0]
    away = distance_m(first["lon"].to_numpy(), first["lat"].to_numpy(), lonlat[:, 0], lonlat[:, 1])
    assert away.max() < 60_000
    assert model.path is not None
    assert (model.path / locating.GALLERY).is_file()
    kept = locating.gallery_of(model)
    assert kept.provenance.model_hash == model.hash
    again = api.locate(model.path, vectors[0], k=3)
    np.testing.assert_allclose(again["similarity"], found["similarity"][:3], rtol=1e-6)


def test_own_gallery_and_what_does_not_fit(model: Model) -> None:
    points = np.array([[0.0, 0.0], [90.0, 0.0], [0.0, 80.0]])
    gallery = locating.gallery_of(model, points)
    found = api.locate(model, model.embed_lonlat(points[1:2]), k=1, gallery=gallery, refine=False)
    assert (found["lon"][0], found["lat"][0]) == (90.0, 0.0)
    with pytest.raises(PlacevecError, match="16 finite numbers"):
        api.locate(model, np.zeros(16), gallery=gallery)
    with pytest.raises(PlacevecError, match="k must be"):
        api.locate(model, np.ones(16), k=4, gallery=gallery)
    other = Model(
        {"location": encoders.location("sphereC", dim=16, scales=3, r_min=0.2, seed=5).eval()}, model.readings
    )
    with pytest.raises(PlacevecError, match="another model"):
        api.locate(other, np.ones(16), k=1, gallery=gallery)
