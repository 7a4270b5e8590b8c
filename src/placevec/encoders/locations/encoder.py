"""A longitude and a latitude become a vector: positional features, then a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from placevec.encoders.locations.inputs import degrees
from placevec.encoders.locations.names import FAMILIES, Variant, known_as, positional
from placevec.encoders.locations.networks import network as network_of
from placevec.encoders.locations.positional import AT_ONCE, table_of
from placevec.encoders.locations.seasons import turning
from placevec.errors import InputError, ModelError

MOST_SEASONS = 16
CHUNK = 8192
"""Points that go through the network at once on a CPU where no derivative is asked for: memory does not grow."""


class LocationEncoder(nn.Module):
    """A location encoder; `placevec.encoders.location` makes them with fewer words.

    Args:
        encoder: any name of `names.FAMILIES`.
        dim: length of the vectors; with the network ``none``, that of the features.
        variant: ``corrected``, or ``original``: formula, network and defaults as published in code.
        network: ffn, resnet, siren, residual, linear or none; by default the one the encoder was published with.
        hidden: units of a hidden layer; not of ``resnet``, whose layers have ``dim``.
        layers: hidden layers or blocks; by default 1 (ffn), 2 (siren), 3 (residual) or 4 (resnet).
        dropout: share of units dropped in training; by default 0.1, in the original 0.5.
        activation: of ``ffn``; by default leakyrelu, in the original relu.
        seasons: harmonics of a share of the year beside the position; 0 for none.
        options: of the positional features: scales, r_min, r_max, ...

    Attributes:
        positional: the features.
        network: from features to vectors.

    Calls take degrees, as `inputs.degrees` does. Angles and features are float64, the network has the type of its
    weights (float32). The network may run under autocast; the angles do not.
    """

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
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.encoder = known_as(encoder)
        self.variant: Variant = variant
        dim, hidden, layers, dropout, seasons = map(_own, (dim, hidden, layers, dropout, seasons))
        if isinstance(seasons, bool) or not isinstance(seasons, int) or not 0 <= seasons <= MOST_SEASONS:
            raise ModelError(f"seasons is a whole number from 0 to {MOST_SEASONS}; got {seasons!r}")
        self.options = {name: _own(value) for name, value in (options or {}).items()}
        self.positional = positional(self.encoder, variant, **self.options)
        self.seasons = seasons
        inputs = self.positional.dim + 2 * seasons
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

    def features(self, lon: Any, lat: Any = None, year: Any = None) -> Tensor:
        """(N, D) float64: the positional features before the network, with those of the season where asked for.

        Args:
            lon: longitudes in degrees; or rows of lon, lat, or a GeoSeries, without ``lat``.
            lat: latitudes in degrees.
            year: share of the year passed, 0 to 1, with ``seasons``.

        Raises:
            InputError: coordinates that are none, or a missing or unasked-for share of the year.
        """
        across, along = degrees(lon, lat, self._device(lon))
        return self._features(across, along, year)

    def forward(self, lon: Any, lat: Any = None, year: Any = None) -> Tensor:
        """(N, dim): vectors, on the device of the weights. Arguments and errors are those of `features`.

        With ``seasons``, a tensor of (N, 3) is lon, lat and share of the year.
        """
        if (
            self.seasons
            and lat is None
            and year is None
            and isinstance(lon, Tensor)
            and lon.shape[-1:] == (3,)
        ):
            lon, year = lon[..., :2], lon[..., 2]
        across, along = degrees(lon, lat, self._device(lon))
        many = not torch.compiler.is_compiling() and across.dim() == 1 and len(across) > CHUNK
        if not many or torch.is_grad_enabled() or across.device.type != "cpu":
            return self._vectors(self._features(across, along, year))
        years = None if year is None else torch.as_tensor(year, dtype=torch.float64).expand(across.shape)
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
        """(N, dim) vectors of (N, 2) lon, lat in degrees on the device of the weights, without a look at the values.

        For loops over coordinates that were checked when they were read: a check waits for the device.
        """
        lonlat = lonlat.to(torch.float64)
        return self._vectors(self._features(lonlat[..., 0], lonlat[..., 1], None))

    def describe(self) -> str:
        """What this encoder is, in lines to print: numbers, continuity, and each scale's wavelength in km.

        >>> print(LocationEncoder("sphereC", options={"scales": 3, "r_min": 0.01}).describe())
        sphereC (corrected): 9 features, ffn to 256 numbers
        continuous at the antimeridian: yes, at the poles: yes
        1/r = 99: 404.3 km
        1/r = 9: 4448 km
        1/r = 1: 4.003e+04 km
        """
        source = self.positional
        lines = [
            f"{self.encoder} ({self.variant}): {source.dim} features, {self._network['network']} to {self.dim} numbers",
            f"continuous at the antimeridian: {_yes(source.antimeridian)}, at the poles: {_yes(source.poles)}",
        ]
        if self.seasons:
            lines.append(f"the year: {self.seasons} harmonics")
        return "\n".join([*lines, *(f"{name}: {km:.4g} km" for name, km in source.scales_km())])

    def config(self) -> dict[str, Any]:
        """What builds this encoder again; anchors and random draws lie in the weights."""
        options = {name: _plain(name, value) for name, value in self.options.items()}
        return {
            "encoder": self.encoder, "dim": self.dim, "variant": self.variant, **self._network,
            "seasons": self.seasons, "options": options,
        }  # fmt: skip

    def _features(self, lon: Tensor, lat: Tensor, year: Any) -> Tensor:
        if (year is None) != (self.seasons == 0):
            raise InputError(
                "this encoder needs year=, the share of the year passed"
                if self.seasons
                else "this encoder does not know the year: make it with seasons=1"
            )
        with torch.autocast(lon.device.type, enabled=False):
            found = self._positions(lon, lat)
            if year is None:
                return found
            share = torch.as_tensor(year, dtype=torch.float64, device=lon.device).expand(lon.shape)
            if not torch.compiler.is_compiling() and not bool(((share >= 0) & (share <= 1)).all()):
                raise InputError("year is the share of the year passed, from 0 to 1")
            return torch.cat((found, turning(share, self.seasons)), dim=-1)

    def _positions(self, lon: Tensor, lat: Tensor) -> Tensor:
        """(N, D) positional features; of many points on a CPU, part by part into one table."""
        learnt = (
            lon.requires_grad or lat.requires_grad or next(self.positional.parameters(), None) is not None
        )
        whole = (
            torch.compiler.is_compiling() or lon.device.type != "cpu" or lon.dim() != 1 or len(lon) <= AT_ONCE
        )
        if whole or (learnt and torch.is_grad_enabled()):
            found: Tensor = self.positional(lon, lat)
            return found
        return table_of(self.positional, lon, lat)

    def _vectors(self, features: Tensor) -> Tensor:
        weight = next(self.network.parameters(), None)
        found: Tensor = self.network(features.to(torch.float32 if weight is None else weight.dtype))
        return found

    def _device(self, lon: Any) -> torch.device | None:
        """Where the weights are, or the buffers; where the coordinates are if there is neither."""
        for held in (*self.network.parameters(), *self.positional.buffers()):
            return held.device
        return lon.device if isinstance(lon, Tensor) else None

    def _apply(self, fn: Any, recurse: bool = True) -> LocationEncoder:
        """Moved and cast as any module, but the angles stay float64."""
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
    """A number as Python has it: numpy's own are no JSON, and a model of them could not be saved."""
    return value.item() if isinstance(value, np.generic) else value


def _plain(name: str, value: Any) -> Any:
    """An option as JSON holds it: of anchors only how many."""
    if value is None or isinstance(value, int | float | str):
        return value
    return [_own(one) for one in value] if name == "extent" else len(value)


def _yes(true: bool) -> str:
    return "yes" if true else "no"
