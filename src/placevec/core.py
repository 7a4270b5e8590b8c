"""The contracts that every recipe is made of: looks, draws, views, slots, objectives.

One training step of any recipe, whatever its views, is::

    draw    = recipe.sampler.draw(step, rank, world)
    batches = {slot: views[recipe.slots[slot].view].read(look) for slot, look in draw.looks.items()}
    encoded = encode(recipe, batches, draw)
    loss    = sum(w * objective(encoded, draw.targets) for w, objective in recipe.objectives.values())

A sampler speaks in numbers (rows, coordinates, angles), never in pixels, so drawing is cheap and pure in
``(seed, step, rank)``: resuming and distributing a run need no further state.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor, nn

ROW_SYNTHETIC = -1
"""Row of a look at a point that is no place of the dataset."""
ROW_MISSING = -2
"""Row of a place that this slot knows nothing of."""
FUSED = "fused"
"""What vectors made of several views are called, where the name of a view is asked for; no view may be called so."""
MAX_SIZE_PX = 4096
"""Pixels along each side of a window that a stored specification may ask for."""
_FIELDS: dict[str, type | tuple[type, ...]] = {
    "name": str, "kind": str, "channels": list, "values": str, "size_px": (int, type(None)),
    "size_m": (int, float, type(None)), "zoom": (int, type(None)), "rules": (str, type(None)),
}  # fmt: skip


@dataclass
class Look:
    """What a sampler asks a view to read.

    Attributes:
        rows: (N,) int64 rows of the dataset's places; ``ROW_SYNTHETIC`` or ``ROW_MISSING`` where there is none.
        lonlat: (N, 2) float64 degrees, lon then lat, or None for views that are read by row.
        warp: how the read is disturbed, each entry of first dimension N. Raster views know
            ``angle`` (N,) float32 radians, counter-clockwise: by how much the map is turned under the window;
            ``shift`` (N, 2) float32 meters, east then north: by how much the window moves;
            ``flip`` (N, 2) bool: windows that are mirrored east to west, and north to south, last of all;
            ``keep`` (N, C) bool: channels that are not blanked.
    """

    rows: Tensor
    lonlat: Tensor | None = None
    warp: Mapping[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return int(self.rows.shape[0])


@dataclass
class Draw:
    """One batch as numbers: a look for each slot, and targets (labels, types, positions) by name."""

    looks: Mapping[str, Look]
    targets: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass
class Ragged:
    """Sets of different sizes in one batch: POIs of a cell, graphs.

    Attributes:
        values: (total, ...) the members of all sets, one after the other.
        offsets: (N + 1,) int64; set ``i`` is ``values[offsets[i]:offsets[i + 1]]``.
        edges: (2, E) int64 indices into ``values``, or None.
    """

    values: Tensor
    offsets: Tensor
    edges: Tensor | None = None


Batch: TypeAlias = Tensor | Ragged | Mapping[str, Tensor]
"""What a view returns and an encoder takes; a mapping holds tokens and their mask."""


@dataclass(frozen=True)
class ViewSpec:
    """What an encoder must know of a view to be used on another dataset; saved in every model and compared.

    Attributes:
        name: the view's name in the dataset, such as ``map``.
        kind: what reads it, see `placevec.datasets.views.registry`: ``raster``, ``chips``, ``text``, ...
        channels: names in order, such as the layers.
        values: what numbers mean, such as ``coverage 0..255``.
        size_px: side of a read in pixels (raster kinds).
        size_m: side of a read in meters; None means whole tiles of the native resolution (the footprint
            then shrinks with the cosine of the latitude).
        zoom: zoom whose resolution is native, when there is one.
        rules: SHA-256 of the rules that made the view (the layer table), or None.
    """

    name: str
    kind: str
    channels: tuple[str, ...] = ()
    values: str = ""
    size_px: int | None = None
    size_m: float | None = None
    zoom: int | None = None
    rules: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {**self.__dict__, "channels": list(self.channels)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> ViewSpec:
        """The inverse of `as_dict`; TypeError on unknown or missing names, ValueError on values that make no sense."""
        for name, value in content.items():
            fits = _FIELDS.get(name, object)
            if not isinstance(value, fits) or (isinstance(value, bool) and name in _FIELDS):
                raise ValueError(f"{name} of a view's specification is {value!r:.60}")
        if any(not isinstance(channel, str) for channel in content.get("channels", ())):
            raise ValueError("channels of a view are not names")
        spec = cls(**{**content, "channels": tuple(content.get("channels", ()))})
        if len(set(spec.channels)) < len(spec.channels) or not spec.name:
            raise ValueError("the view has no name, or a channel twice")
        if spec.size_px is not None and not 1 <= spec.size_px <= MAX_SIZE_PX:
            raise ValueError(f"size_px is 1 to {MAX_SIZE_PX}; got {spec.size_px}")
        if spec.size_m is not None and not spec.size_m > 0:
            raise ValueError(f"size_m is more than 0; got {spec.size_m}")
        return spec

    @property
    def hash(self) -> str:
        """SHA-256 over everything above."""
        text = json.dumps(self.as_dict(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()


class View(Protocol):
    """A stored look at places, read in batches.

    A view that knows nothing of some places has an attribute ``known``, (N,) bool over the dataset's places; one
    without it knows all of them.
    """

    @property
    def spec(self) -> ViewSpec:
        """What is read."""
        ...

    def read(self, look: Look) -> Batch:
        """The batch for a look, of first dimension ``len(look)``; rows ``ROW_MISSING`` come as zeros or empty."""
        ...


class Sampler(Protocol):
    """Decides which places meet in a batch."""

    def draw(self, step: int, rank: int = 0, world: int = 1) -> Draw:
        """The batch of a step on one of ``world`` processes; a pure function of (seed, step, rank, world)."""
        ...


@dataclass(frozen=True)
class Slot:
    """A named role in a batch; several slots may share one view and one encoder."""

    view: str
    encoder: str


@dataclass
class Encoded:
    """What an encoder made of a slot: ``z`` (N, dim) float32 and ``present`` (N,) bool."""

    z: Tensor
    present: Tensor


class Objective(nn.Module):
    """A loss over encoded slots and targets; it may own parameters, which are trained and checkpointed.

    Attributes:
        collapsed_loss: the loss when all vectors are the same, where that is known: a run that stays there has learned
            nothing.
    """

    collapsed_loss: float | None = None

    def forward(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> Tensor:
        """The scalar loss."""
        raise NotImplementedError(f"{type(self).__name__} must define forward")  # justified: abstract

    def watch(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Scalars worth watching beside the loss, such as distances; none by default."""
        return {}


class Fuse(nn.Module):
    """Turns the vectors of a place's several views into one.

    Attributes:
        dim: length of the fused vectors.
        views: names of the views that are fused. In training each is seen through the first slot that reads it.
    """

    dim: int
    views: tuple[str, ...]

    def forward(self, slots: Mapping[str, Encoded]) -> Tensor:
        """(N, dim) from each view's (N, dim_view). Any subset of ``views`` may be there, and what is not ``present``
        in a view has no influence; rows that are present in none are never used.
        """
        raise NotImplementedError(f"{type(self).__name__} must define forward")  # justified: abstract


@dataclass
class Recipe:
    """Slots, encoders, weighted objectives, a sampler and an optional fusion. Composition only.

    Attributes:
        slots: role -> view and encoder.
        encoders: encoder name -> module.
        objectives: name -> (weight, objective).
        sampler: draws the training batches.
        fuse: how several views' vectors become one, or None. Objectives then find it as the slot ``fused``.
        validation: draws the batches that are only measured, or None.
        measure: numbers worth watching from one validation batch's encoded slots and targets.
    """

    slots: dict[str, Slot]
    encoders: dict[str, nn.Module]
    objectives: dict[str, tuple[float, Objective]]
    sampler: Sampler
    fuse: Fuse | None = None
    validation: Sampler | None = None
    measure: Callable[[Mapping[str, Encoded], Mapping[str, Tensor]], dict[str, float]] | None = None


def encode(recipe: Recipe, batches: Mapping[str, Batch], looks: Mapping[str, Look]) -> dict[str, Encoded]:
    """Encode every slot; slots that share an encoder and hold tensors of one shape pass through it together."""
    encoded: dict[str, Encoded] = {}
    groups: dict[tuple[object, ...], list[str]] = {}
    for name, batch in batches.items():
        shape = tuple(batch.shape[1:]) if isinstance(batch, Tensor) else name
        groups.setdefault((recipe.slots[name].encoder, shape), []).append(name)
    for (encoder, _), names in groups.items():
        module = recipe.encoders[str(encoder)]
        if len(names) == 1:
            parts = [module(batches[names[0]])]
        else:
            stacked = torch.cat([batches[name] for name in names])  # type: ignore[misc]
            parts = list(module(stacked).split([len(looks[name]) for name in names]))
        for name, z in zip(names, parts, strict=True):
            present = (looks[name].rows != ROW_MISSING).to(z.device)
            encoded[name] = Encoded(z.float(), present)
    if recipe.fuse is not None:
        encoded[FUSED] = fused(recipe.fuse, fused_slots(recipe, encoded))
    return encoded


def fused_slots(recipe: Recipe, encoded: Mapping[str, Encoded]) -> dict[str, Encoded]:
    """View -> the first slot that reads it, of the views that a recipe fuses."""
    assert recipe.fuse is not None
    found: dict[str, Encoded] = {}
    for name, slot in recipe.slots.items():
        if slot.view in recipe.fuse.views and name in encoded:
            found.setdefault(slot.view, encoded[name])
    return found


def fused(fuse: Fuse, views: Mapping[str, Encoded]) -> Encoded:
    """The vectors of several views, (N, dim) each, as one; present where any of them is."""
    present = torch.stack([part.present for part in views.values()]).any(dim=0)
    return Encoded(fuse(views).float(), present)
