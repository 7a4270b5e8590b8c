"""Numbers of rasters, such as climate and elevation, at any point: features beside those of the position.

The cells lie in the model, so that it predicts anywhere without the files. Between the centers of cells, values are
interpolated linearly; where cells are missing, those that are there decide, and a further feature says how much was
missing. Values are standardized, missing ones are 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from placevec.encoders.arguments import whole
from placevec.errors import ModelError

MAX_CELLS = 16_000_000
"""Cells of a raster, times its bands: 64 MB."""


@dataclass(frozen=True)
class RasterSource:
    """The file that a raster was read from, so that a model says which one it holds.

    Attributes:
        name: name of the file, without its folder.
        sha256: hexadecimal SHA-256 of its bytes.
        channels: the file's description of each band, or ``band 1`` and so on.
        units: the file's unit of each band, empty where it has none.

    >>> print(RasterSource("srtm.tif", "ab" * 32, ("elevation", "band 2"), ("m", "")))
    srtm.tif (elevation in m, band 2), SHA-256 abababababababab
    """

    name: str
    sha256: str
    channels: tuple[str, ...]
    units: tuple[str, ...]

    def __str__(self) -> str:
        bands = (
            f"{name} in {unit}" if unit else name
            for name, unit in zip(self.channels, self.units, strict=True)
        )
        return f"{self.name} ({', '.join(bands)}), SHA-256 {self.sha256[:16]}"

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {**self.__dict__, "channels": list(self.channels), "units": list(self.units)}

    @classmethod
    def of(cls, described: Any, bands: int) -> RasterSource:
        """From a configuration; ModelError unless it describes ``bands`` bands."""
        texts, lists = ("name", "sha256"), ("channels", "units")
        if (
            not isinstance(described, Mapping)
            or described.keys() != {*texts, *lists}
            or any(not isinstance(described[one], str) for one in texts)
            or any(
                not isinstance(described[one], list | tuple) or len(described[one]) != bands for one in lists
            )
            or any(not isinstance(text, str) for one in lists for text in described[one])
        ):
            raise ModelError(
                f"the source of a raster must have a name, a SHA-256 and {bands} channels and units"
            )
        return cls(described["name"], described["sha256"], (*described["channels"],), (*described["units"],))


class RasterField(nn.Module):
    """A raster on a grid of degrees.

    Args:
        bands: number of bands.
        height, width: rows, from the north, and columns.
        west, north: outer corner, degrees.
        step_lon, step_lat: size of a cell in degrees.
        source: the fields of a `RasterSource`, the file it was read from; None in models written before it was kept.

    Attributes:
        values: (bands, height, width) standardized numbers; NaN where there are none.

    >>> field = RasterField(1, 2, 2, west=0.0, north=2.0, step_lon=1.0, step_lat=1.0)
    >>> field.values[0] = torch.tensor([[0.0, 1.0], [2.0, 3.0]])
    >>> field(torch.tensor([1.0]), torch.tensor([1.0])).tolist()
    [[1.5, 0.0]]
    """

    values: Tensor

    def __init__(
        self, bands: int, height: int, width: int, west: float, north: float, step_lon: float, step_lat: float,
        source: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        for name, value in (("bands", bands), ("height", height), ("width", width)):
            whole(name, value, 1, MAX_CELLS)
        if bands * height * width > MAX_CELLS or not (step_lon > 0 and step_lat > 0):
            raise ModelError(
                f"a raster of {bands} x {height} x {width} cells is too large: a model holds at most {MAX_CELLS:,}"
            )
        self.west, self.north, self.step_lon, self.step_lat = west, north, step_lon, step_lat
        self.source = None if source is None else RasterSource.of(source, bands)
        self.dim = bands + 1
        self.register_buffer("values", torch.full((bands, height, width), float("nan")))

    def config(self) -> dict[str, Any]:
        """Arguments that build it again; the cells are part of the weights."""
        bands, height, width = self.values.shape
        return {
            "bands": bands, "height": height, "width": width, "west": self.west, "north": self.north,
            "step_lon": self.step_lon, "step_lat": self.step_lat,
            **({} if self.source is None else {"source": self.source.as_dict()}),
        }  # fmt: skip

    def forward(self, lon: Tensor, lat: Tensor) -> Tensor:
        """(..., bands + 1) float64 at lon, lat degrees: the bands, and the share that is missing."""
        _, height, width = self.values.shape
        x = torch.remainder(lon.double() - self.west, 360.0) / self.step_lon - 0.5
        x = torch.where(x > width - 0.5 + 1e-9, x - 360.0 / self.step_lon, x)
        y = (self.north - lat.double()) / self.step_lat - 0.5
        around = abs(width * self.step_lon - 360.0) < 0.5 * self.step_lon  # once around the Earth
        left, top = x.floor(), y.floor()
        total = torch.zeros(*x.shape, len(self.values), dtype=torch.float64, device=x.device)
        weights = torch.zeros_like(total)
        for dx in (0, 1):
            for dy in (0, 1):
                column, row = left + dx, top + dy
                share = (1 - (x - column).abs()) * (1 - (y - row).abs())
                inside = (row >= -1) & (row <= height) & (around | ((column >= -1) & (column <= width)))
                at = torch.remainder(column, width) if around else column.clamp(0, width - 1)
                held = self.values[:, row.clamp(0, height - 1).long(), at.long()].double().movedim(0, -1)
                known = inside[..., None] & ~held.isnan()
                part = torch.where(known, share[..., None], 0.0)
                total = total + torch.where(known, held, 0.0) * part
                weights = weights + part
        values = torch.where(weights > 1e-6, total / weights.clamp(min=1e-6), 0.0)
        return torch.cat((values, 1 - weights.mean(-1, keepdim=True)), dim=-1)


def fields_of(described: Any) -> nn.ModuleList:
    """The rasters of an encoder's configuration, without their cells.

    Raises:
        ModelError: a description that is no list of sizes and corners.
    """
    if not isinstance(described, list | tuple) or not all(isinstance(one, Mapping) for one in described):
        raise ModelError(f"rasters must be a list of descriptions; got {type(described).__name__}")
    try:
        return nn.ModuleList(RasterField(**one) for one in described)
    except TypeError as error:
        raise ModelError(f"a raster has an invalid description: {error}") from error
