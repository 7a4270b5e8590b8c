"""A configuration of a few bytes takes no gigabytes of pixels. Oracle: the same windows read without a bound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from placevec import api
from placevec.core import Look
from placevec.datasets.dataset import Dataset
from placevec.datasets.views.raster.raster import RasterView
from placevec.errors import ModelError
from placevec.models import model as models


def test_few_places_are_read_at_once_where_windows_are_large(
    helsinki_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, rows = api.load_model("base"), np.arange(7)
    whole = model.vectors(helsinki_dataset, rows)
    spec = model.specs["map"]
    held: list[int] = []
    read = RasterView.read

    def counted(self: RasterView, look: Look) -> object:
        held.append(len(look))
        return read(self, look)

    monkeypatch.setattr(RasterView, "read", counted)
    monkeypatch.setattr(models, "MAX_NUMBERS", 3 * (spec.size_px or 1) ** 2 * len(spec.channels) + 5)
    found = model.vectors(helsinki_dataset, rows)
    assert held == [3, 3, 1]
    np.testing.assert_allclose(found, whole, atol=2e-6)


def test_windows_that_are_too_large_for_one_place(helsinki_dataset: Dataset) -> None:
    model = api.load_model("base")
    reading = model.readings["map"]
    model.readings["map"] = replace(reading, spec=replace(reading.spec, size_px=4096))
    with pytest.raises(
        ModelError, match=r"4,096 x 4,096 pixels in 6 channels of the view 'map'.*smaller size_px"
    ):
        model.vectors(helsinki_dataset, np.arange(1))
