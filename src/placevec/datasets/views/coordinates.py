"""The coordinates of a place: the view that location encoders read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from placevec.core import ROW_MISSING, Look, View, ViewSpec
from placevec.datasets.views.registry import Reader, Stored
from placevec.errors import InputError
from placevec.geo import Floats

NAME = "coordinates"
SPEC = ViewSpec(NAME, "coordinates", values="degrees lon, lat, WGS84")


class CoordinatesView:
    """The coordinates of places, on the device of the look.

    Args:
        lonlat: (N, 2) float64 degrees, lon then lat; NaN for places without coordinates, which samplers must leave out,
            because they are read as NaN.

    >>> view = CoordinatesView([[24.9, 60.2], [14.5, 35.9]])
    >>> view.read(Look(torch.tensor([1, -2]))).tolist()
    [[14.5, 35.9], [0.0, 0.0]]
    """

    spec = SPEC

    def __init__(self, lonlat: Floats | Tensor) -> None:
        table = torch.as_tensor(lonlat) if isinstance(lonlat, Tensor) else torch.from_numpy(_array(lonlat))
        if table.ndim != 2 or table.shape[1] != 2:
            raise InputError(f"coordinates must have the shape (N, 2), lon and lat; got {tuple(table.shape)}")
        self._table = table.to(torch.float64)

    def __len__(self) -> int:
        return int(self._table.shape[0])

    def read(self, look: Look) -> Tensor:
        """(n, 2) float64 degrees: the look's own coordinates if it has them, otherwise those of its rows; missing rows
        are zeros.

        A look with ``year`` in its warp, (n,) or (n, K) numbers of the time, is read as (n, 2 + K).

        Raises:
            InputError: a look of synthetic points without coordinates, or a row that does not exist.
        """
        found = self._degrees(look)
        year = look.warp.get("year")
        return found if year is None else torch.cat((found, year.reshape(len(found), -1).to(found)), dim=1)

    def _degrees(self, look: Look) -> Tensor:
        missing = look.rows == ROW_MISSING
        if look.lonlat is not None:
            return torch.where(missing[:, None], 0.0, look.lonlat.to(torch.float64))
        if self._table.device != look.rows.device:
            self._table = self._table.to(look.rows.device)  # once: the table then stays on the looks' device
        rows = look.rows.masked_fill(missing, 0)
        if len(rows) and len(self) == 0 and not bool(missing.all()):
            raise InputError("there are no coordinates to read: the dataset has no places")
        if rows.device.type == "cpu" and len(rows) and (int(rows.min()) < 0 or int(rows.max()) >= len(self)):
            if len(self) == 0:
                return torch.zeros(len(rows), 2, dtype=torch.float64)
            raise InputError(
                f"rows {int(rows.min())} to {int(rows.max())} are out of range for {len(self):,} places; "
                "synthetic points need lonlat"
            )
        return torch.where(missing[:, None], 0.0, self._table[rows])


def _array(lonlat: Floats) -> Floats:
    array = np.array(lonlat, np.float64)  # a copy, because torch cannot share read-only memory
    return array.reshape(0, 2) if array.size == 0 else array


class CoordinatesReader(Reader):
    """Coordinates need no files."""

    from_coordinates = True
    by_coordinates = True

    def open(self, stored: Stored) -> CoordinatesView:
        """The places' coordinates."""
        return CoordinatesView(stored.places.lonlat)

    def join(self, views: Sequence[View], stored: Sequence[Stored]) -> CoordinatesView:
        """The coordinates of all places."""
        return CoordinatesView(np.concatenate([one.places.lonlat for one in stored]))

    def shows(self, spec: ViewSpec) -> str:
        """The point only."""
        return "the point"


READER = CoordinatesReader()
