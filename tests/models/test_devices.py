"""On which device a model computes. Oracle: torch itself, which has no Apple GPU here and says so when one is taken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from placevec import encoders
from placevec.core import ViewSpec
from placevec.datasets.views.coordinates import SPEC
from placevec.encoders.locations.geoclip import GeoClipEncoder
from placevec.models.heads import Head
from placevec.models.model import Model, device_for
from placevec.models.reading import Reading
from tests.preparation.points.tables import octant_points

MAP = ViewSpec("map", "raster", ("water",), "coverage 0..255", size_px=32, zoom=17)


@pytest.fixture
def apple(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose only GPU is Apple's."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)


@pytest.mark.usefixtures("apple")
def test_coordinates_are_read_where_there_is_float64(tmp_path: Path) -> None:
    """Vectors and answers are those of the modules called directly, by every way that leads to them."""
    torch.manual_seed(1)
    encoder = encoders.location("rff", dim=8, frequencies=16, hidden=16).eval()
    head = Head(8, "classes", ("sea", "land"))
    model = Model(
        {"location": encoder}, {"coordinates": Reading("location", SPEC)}, heads={"coordinates": head}
    )
    dataset = octant_points(tmp_path / "ds", 20)
    points = dataset.lonlat
    with torch.inference_mode():
        wanted = encoder(torch.from_numpy(points))
        answers = head.answers(wanted)
    np.testing.assert_array_equal(model.embed_lonlat(points), wanted.numpy())
    np.testing.assert_array_equal(model.vectors(dataset, lonlat=points), wanted.numpy())
    np.testing.assert_array_equal(model.vectors(dataset), wanted.numpy())
    np.testing.assert_array_equal(model.predict_lonlat(points), answers.numpy())
    assert {value.device.type for value in encoder.buffers()} == {"cpu"}


@pytest.mark.usefixtures("apple")
def test_geoclip_too() -> None:
    model = Model({"location": GeoClipEncoder()}, {"coordinates": Reading("location", SPEC)})
    assert model.embed_lonlat([[24.94, 60.17]]).shape == (1, 512)


@pytest.mark.usefixtures("apple")
def test_maps_are_read_on_it() -> None:
    assert device_for(encoders.build("compact-tile-cnn", channels=1, dim=4)).type == "mps"
    assert device_for(encoders.location("grid", dim=4)).type == "cpu"


@pytest.mark.parametrize(
    ("cuda", "mps", "found"), [(True, True, "cuda"), (True, False, "cuda"), (False, False, "cpu")]
)
def test_elsewhere_all_take_the_best(
    cuda: bool, mps: bool, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert {device_for(spec).type for spec in (MAP, SPEC)} == {found}
