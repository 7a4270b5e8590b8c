"""The location encoder: positional features of longitude and latitude, followed by a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from placevec.encoders.locations.fields import RasterField, fields_of
from placevec.encoders.locations.inputs import Order, degrees
from placevec.encoders.locations.names import FAMILIES, Variant, known_as, positional
from placevec.encoders.locations.networks import network as network_of
from placevec.encoders.locations.positional import AT_ONCE, table_of
from placevec.encoders.locations.times import TimeFeatures
from placevec.options.choices import Clock

CHUNK = 8192
"""Batch size of the network on a CPU without gradients, so that memory does not grow with the number of points."""


class LocationEncoder(nn.Module):
    """A location encoder; `placevec.encoders.location` is the shorter way to build one.

    Args:
        encoder: any name or alias in `names.FAMILIES`.
        dim: length of the vectors; ignored with the network ``none``, which returns the features.
        variant: ``corrected``, or ``original``: formulas, network and defaults of the published code.
        network: ffn, resnet, siren, residual, linear or none (default: the network the encoder was published with).
        hidden: units per hidden layer; ignored by ``resnet``, whose layers have ``dim`` units.
        layers: number of hidden layers or blocks (default: 1 for ffn, 2 for siren, 3 for residual, 4 for resnet).
        dropout: dropout probability (default 0.1; 0.5 for the original).
        activation: activation of ``ffn`` (default leakyrelu; relu for the original).
        seasons: number of harmonics of the time of year added to the features (default 0: none).
        months, hours, clock, period: further features of the time, see `times.TimeFeatures`.
        rasters: descriptions of rasters whose numbers are added to the features, see `fields.RasterField`; the cells are
            part of the weights.
        options: options of the positional features: scales, r_min, r_max, ...

    Attributes:
        positional: the module that computes the positional features.
        network: the module that maps features to vectors.

    Inputs are degrees; see `inputs.degrees`. Angles and features are float64, the network has the dtype of its weights
    (float32). The network may run under autocast; the angles do not.

    >>> LocationEncoder("grid", dim=32, options={"scales": 4})([24.94], [60.17]).shape
    torch.Size([1, 32])
    """

    needs_float64 = True
    """Needs a device that supports float64; see `placevec.models.model.device_for`."""
    bf16_on_cpu = True

    def __init__(
        self,
        encoder: str = "sphereC+",
        dim: int = 256,
        variant: Variant = "corrected",
        network: str | None = None,
        hidden: int = 512,
        layers: int | None = None,
        dropout: float | None = None,
        activation: str | None = None,
        seasons: int = 0,
        months: bool = False,
        hours: int = 0,
        clock: Clock = "utc",
        period: Sequence[float] | None = None,
        rasters: Sequence[Mapping[str, Any]] = (),
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.encoder = known_as(encoder)
        self.variant: Variant = variant
        dim, hidden, layers, dropout, seasons, hours = map(
            _own, (dim, hidden, layers, dropout, seasons, hours)
        )
        self.options = {name: _own(value) for name, value in (options or {}).items()}
        self.positional = positional(self.encoder, variant, **self.options)
        self.time = TimeFeatures(seasons, months, hours, clock, None if period is None else (*period,))  # type: ignore[arg-type]
        self.rasters = fields_of(list(rasters))
        inputs = self.positional.dim + self.time.dim + sum(field.dim for field in self._fields)
        kind = FAMILIES[self.encoder].network if network is None else network
        founding = variant == "original"
        self._network = {
            "network": kind,
            "hidden": hidden,
            "layers": _LAYERS.get(kind, 1) if layers is None else layers,
            "dropout": (0.5 if founding else 0.1) if dropout is None else dropout,
            "activation": ("relu" if founding else "leakyrelu") if activation is None else activation,
        }
        rest = {name: value for name, value in self._network.items() if name != "network"}
        self.network = network_of(kind, inputs, dim, output_activation=founding, **rest)  # type: ignore[arg-type]
        self.dim = inputs if kind == "none" else dim

    def encode(
        self, lon: Any, lat: Any = None, year: Any = None, *, order: Order = "lonlat", batch_size: int = CHUNK
    ) -> NDArray[np.float32]:
        """(N, dim) float32 vectors in NumPy, without dropout or gradients, computed ``batch_size`` points at a time.

        Arguments and errors are those of `features`. The encoder's training mode is left as it was.

        >>> LocationEncoder("sphereC", dim=8, options={"scales": 4}).encode([24.94], [60.17]).shape
        (1, 8)
        """
        across, along = (side.reshape(-1) for side in degrees(lon, lat, torch.device("cpu"), order))
        years = self.time.shaped(year, across.shape)
        found = np.empty((len(across), self.dim), np.float32)
        training, device = self.training, self._device(None)
        self.eval()
        try:
            with torch.inference_mode():
                for start in range(0, len(across), batch_size):
                    part = slice(start, start + batch_size)
                    now = None if years is None else years[part].to(device)
                    vectors = self(across[part].to(device), along[part].to(device), now)
                    found[part] = vectors.float().cpu().numpy()
        finally:
            self.train(training)
        return found

    def features(self, lon: Any, lat: Any = None, year: Any = None, *, order: Order = "lonlat") -> Tensor:
        """(N, D) float64: the input of the network, positional features, then those of rasters and of the time.

        Args:
            lon: longitudes in degrees; or, without ``lat``, (N, 2) rows of lon, lat, a DataFrame whose columns are
                read by their names, or a GeoSeries.
            lat: latitudes in degrees.
            year: with ``seasons``: elapsed fraction of the year, 0 to 1; for an encoder that reads more of the time,
                (N, K) numbers, those that ``time.reads`` names.
            order: order of the columns of an array, ``lonlat`` or ``latlon``.

        Raises:
            InputError: invalid coordinates; ``year`` missing for an encoder that reads the time, or given to others.

        >>> LocationEncoder("sphereC", options={"scales": 4}).features([24.94], [60.17]).shape
        torch.Size([1, 12])
        """
        across, along = degrees(lon, lat, self._device(lon), order)
        return self._features(across, along, year)

    def forward(self, lon: Any, lat: Any = None, year: Any = None) -> Tensor:
        """(N, dim) vectors on the device of the weights. Arguments and errors are those of `features`.

        For training. A new encoder is in training mode, as every PyTorch module is, so dropout is applied and gradients
        are kept; `encode` returns plain vectors.

        If the encoder reads K numbers of the time, an (N, 2 + K) tensor is read as lon, lat and those.
        """
        reads = len(self.time.reads)
        if (
            reads
            and lat is None
            and year is None
            and isinstance(lon, Tensor)
            and lon.shape[-1:] == (2 + reads,)
        ):
            lon, year = lon[..., :2], lon[..., 2:]
        across, along = degrees(lon, lat, self._device(lon))
        many = not torch.compiler.is_compiling() and across.dim() == 1 and len(across) > CHUNK
        if not many or torch.is_grad_enabled() or across.device.type != "cpu":
            return self._vectors(self._features(across, along, year))
        years = self.time.shaped(year, across.shape)
        parts = [slice(start, start + CHUNK) for start in range(0, len(across), CHUNK)]
        return torch.cat(
            [
                self._vectors(
                    self._features(across[part], along[part], None if years is None else years[part])
                )
                for part in parts
            ]
        )

    def unchecked(self, lonlat: Tensor) -> Tensor:
        """(N, dim) vectors of (N, 2) lon, lat in degrees on the device of the weights, without checking the values.

        For training loops whose coordinates were checked when they were read: a check would synchronize with the device.
        """
        lonlat = lonlat.to(torch.float64)
        return self._vectors(self._features(lonlat[..., 0], lonlat[..., 1], None))

    def describe(self) -> str:
        """A printable description: number of features, continuity, and the wavelength of each scale in km.

        >>> print(LocationEncoder("sphereC", options={"scales": 3, "r_min": 0.01}).describe())
        sphereC (corrected): 9 features, ffn to 256 dimensions
        continuous at the antimeridian: yes, at the poles: yes
        1/r = 99: 404.3 km
        1/r = 9: 4448 km
        1/r = 1: 4.003e+04 km
        """
        source = self.positional
        lines = [
            f"{self.encoder} ({self.variant}): {source.dim} features, "
            f"{self._network['network']} to {self.dim} dimensions",
            f"continuous at the antimeridian: {_yes(source.antimeridian)}, at the poles: {_yes(source.poles)}",
        ]
        for field in self._fields:
            read = f"{field.dim - 1} bands" if field.source is None else str(field.source)
            lines.append(f"raster: {read}, cells of {field.step_lon:.3g} x {field.step_lat:.3g} degrees")
        return "\n".join(
            [*lines, *self.time.describe(), *(f"{name}: {km:.4g} km" for name, km in source.scales_km())]
        )

    def config(self) -> dict[str, Any]:
        """The arguments that build this encoder again; anchors and random draws are part of the weights."""
        options = {name: _plain(name, value) for name, value in self.options.items()}
        return {
            "encoder": self.encoder, "dim": self.dim, "variant": self.variant, **self._network,
            **self.time.config(), "options": options,
            **({"rasters": [field.config() for field in self._fields]} if self._fields else {}),
        }  # fmt: skip

    @property
    def _fields(self) -> list[RasterField]:
        return [field for field in self.rasters if isinstance(field, RasterField)]

    def _features(self, lon: Tensor, lat: Tensor, year: Any) -> Tensor:
        times = self.time.shaped(year, lon.shape, lon.device)
        with torch.autocast(lon.device.type, enabled=False):
            found = self._positions(lon, lat)
            if len(self.rasters):
                found = torch.cat((found, *(field(lon, lat) for field in self._fields)), dim=-1)
            return found if times is None else torch.cat((found, self.time(times, lon)), dim=-1)

    def _positions(self, lon: Tensor, lat: Tensor) -> Tensor:
        """(N, D) positional features; for many points on a CPU, computed in parts into one table."""
        learned = (
            lon.requires_grad or lat.requires_grad or next(self.positional.parameters(), None) is not None
        )
        whole = (
            torch.compiler.is_compiling() or lon.device.type != "cpu" or lon.dim() != 1 or len(lon) <= AT_ONCE
        )
        if whole or (learned and torch.is_grad_enabled()):
            found: Tensor = self.positional(lon, lat)
            return found
        return table_of(self.positional, lon, lat)

    def _vectors(self, features: Tensor) -> Tensor:
        weight = next(self.network.parameters(), None)
        found: Tensor = self.network(features.to(torch.float32 if weight is None else weight.dtype))
        return found

    def _device(self, lon: Any) -> torch.device | None:
        """The device of the weights or buffers; if there are none, that of the coordinates."""
        for held in (*self.network.parameters(), *self.positional.buffers()):
            return held.device
        return lon.device if isinstance(lon, Tensor) else None

    def _apply(self, fn: Any, recurse: bool = True) -> LocationEncoder:
        """Move and cast like any module, but keep the angles in float64."""
        held = {name: value.dtype for name, value in self.positional.named_buffers()}
        exact = dict(self.positional.named_buffers())
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, value in list(self.positional.named_buffers()):
            if value.dtype != held[name]:
                owner, _, last = name.rpartition(".")
                setattr(self.positional.get_submodule(owner), last, exact[name].to(value.device))
        return self


_LAYERS = {"ffn": 1, "siren": 2, "residual": 3, "resnet": 4}


def _own(value: Any) -> Any:
    """A Python number: numpy scalars are not JSON-serializable, so a model with them could not be saved."""
    return value.item() if isinstance(value, np.generic) else value


def _plain(name: str, value: Any) -> Any:
    """An option as JSON; anchors are replaced by their number."""
    if value is None or isinstance(value, int | float | str):
        return value
    return [_own(one) for one in value] if name == "extent" else len(value)


def _yes(true: bool) -> str:
    return "yes" if true else "no"
