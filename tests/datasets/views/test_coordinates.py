"""The view of coordinates: what it reads is what it was given."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from placevec.core import ROW_MISSING, ROW_SYNTHETIC, Look
from placevec.datasets.dataset import Dataset
from placevec.datasets.views.coordinates import CoordinatesView
from placevec.errors import InputError

LONLAT = np.array([[24.9, 60.2], [-179.999999999, -89.5], [np.nan, np.nan]])


def test_rows_are_read_bit_for_bit() -> None:
    read = CoordinatesView(LONLAT).read(Look(torch.tensor([1, 0, 1])))
    assert read.dtype == torch.float64
    assert np.array_equal(read.numpy(), LONLAT[[1, 0, 1]])


def test_missing_rows_are_zeros_and_places_without_coordinates_stay_unknown() -> None:
    read = CoordinatesView(LONLAT).read(Look(torch.tensor([ROW_MISSING, 2])))
    assert read[0].tolist() == [0.0, 0.0]
    assert read[1].isnan().all()


def test_own_coordinates_come_first() -> None:
    """Synthetic points (background) have no row; a look's coordinates replace those of its rows."""
    rows = torch.tensor([ROW_SYNTHETIC, 0, ROW_MISSING])
    own = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], dtype=torch.float64)
    assert CoordinatesView(LONLAT).read(Look(rows, own)).tolist() == [[1.0, 2.0], [3.0, 4.0], [0.0, 0.0]]


@pytest.mark.parametrize("rows", [[ROW_SYNTHETIC], [3], [0, 7]])
def test_rows_that_there_are_not(rows: list[int]) -> None:
    with pytest.raises(InputError, match="out of range for 3 places"):
        CoordinatesView(LONLAT).read(Look(torch.tensor(rows)))


def test_shapes() -> None:
    assert CoordinatesView(LONLAT).read(Look(torch.zeros(0, dtype=torch.int64))).shape == (0, 2)
    assert CoordinatesView(np.zeros((0, 2))).read(Look(torch.tensor([ROW_MISSING]))).tolist() == [[0.0, 0.0]]
    with pytest.raises(InputError, match="lon and lat"):
        CoordinatesView(np.zeros((3, 3)))


def test_every_dataset_has_it(helsinki_dataset: Dataset) -> None:
    view = helsinki_dataset.view("coordinates")
    assert view.spec == helsinki_dataset.spec("coordinates")
    read = view.read(Look(torch.arange(len(helsinki_dataset))))
    assert isinstance(read, torch.Tensor)
    assert np.array_equal(read.numpy(), helsinki_dataset.lonlat)


def test_a_look_that_carries_the_share_of_the_year_reads_it_as_a_third_column() -> None:
    view = CoordinatesView(np.array([[1.0, 2.0], [3.0, 4.0]]))
    look = Look(
        torch.tensor([1, -1]), torch.tensor([[3.0, 4.0], [5.0, 6.0]]), {"year": torch.tensor([0.25, 0.5])}
    )
    assert view.read(look).tolist() == [[3.0, 4.0, 0.25], [5.0, 6.0, 0.5]]
