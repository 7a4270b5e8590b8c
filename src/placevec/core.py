"""The contracts that every recipe is made of: looks, draws, views, slots, objectives.

One training step of any recipe, whatever its views, is::

    draw    = recipe.sampler.draw(step, rank, world)
    batches = {slot: views[recipe.slots[slot].view].read(look) for slot, look in draw.looks.items()}
    encoded = encode(recipe, batches, draw)
    loss    = sum(w * objective(encoded, draw.targets) for w, objective in recipe.objectives.values())

A sampler returns numbers (rows, coordinates, angles), never pixels. So drawing is cheap and a pure function of
``(seed, step, rank)``, and resuming or distributing a run needs no further state.
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
"""Row of a look at a point that is not a place of the dataset."""
ROW_MISSING = -2
"""Row of a place for which this slot has no data."""
FUSED = "fused"
"""Name of the vectors fused from several views, wherever a view is named; no view may have this name."""
MAX_SIZE_PX = 4096
"""Maximum pixels along each side of a window in a stored specification."""
_FIELDS: dict[str, type | tuple[type, ...]] = {
    "name": str, "kind": str, "channels": list, "values": str, "size_px": (int, type(None)),
    "size_m": (int, float, type(None)), "zoom": (int, type(None)), "rules": (str, type(None)),
}  # fmt: skip


@dataclass
class Look:
    """What a sampler asks a view to read.

    Attributes:
        rows: (N,) int64 rows of the dataset's places; ``ROW_SYNTHETIC`` or ``ROW_MISSING`` otherwise.
        lonlat: (N, 2) float64 degrees, lon then lat, or None for views that are read by row.
        warp: how the read is transformed; the first dimension of each entry is N. Raster views support
            ``angle`` (N,) float32 radians, counterclockwise: rotation of the map under the window;
            ``shift`` (N, 2) float32 meters, east then north: shift of the window;
            ``flip`` (N, 2) bool: mirroring east to west, and north to south, applied last;
            ``keep`` (N, C) bool: channels that are not set to blank.

    >>> look = Look(torch.tensor([3, ROW_SYNTHETIC]), torch.tensor([[24.9, 60.2], [14.5, 35.9]], dtype=torch.float64))
    >>> len(look), look.lonlat.dtype
    (2, torch.float64)
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
    """Sets of different sizes in one batch, such as the POIs of a cell, or graphs.

    Attributes:
        values: (total, ...) the members of all sets, concatenated.
        offsets: (N + 1,) int64; set ``i`` is ``values[offsets[i]:offsets[i + 1]]``.
        edges: (2, E) int64 indices into ``values``, or None.

    >>> sets = Ragged(torch.arange(5), torch.tensor([0, 2, 2, 5]))
    >>> [sets.values[a:b].tolist() for a, b in zip(sets.offsets[:-1], sets.offsets[1:])]
    [[0, 1], [], [2, 3, 4]]
    """

    values: Tensor
    offsets: Tensor
    edges: Tensor | None = None


Batch: TypeAlias = Tensor | Ragged | Mapping[str, Tensor]
"""What a view returns and an encoder takes; a mapping holds tokens and their mask."""


@dataclass(frozen=True)
class ViewSpec:
    """What an encoder needs to know about a view to be used on another dataset; saved in every model and compared.

    Attributes:
        name: the view's name in the dataset, such as ``map``.
        kind: the kind of reader, see `placevec.datasets.views.registry`: ``raster``, ``chips``, ``text``, ...
        channels: names in order, such as the layers.
        values: meaning of the numbers, such as ``coverage 0..255``.
        size_px: side of a read in pixels (raster kinds).
        size_m: side of a read in meters; None means whole tiles at native resolution (the footprint then shrinks
            with the cosine of the latitude).
        zoom: zoom level of the native resolution, if there is one.
        rules: SHA-256 of the rules that made the view (the layer table), or None.

    >>> spec = ViewSpec("map", "raster", ("roads", "water"), "coverage 0..255", size_px=128, size_m=200.0, zoom=17)
    >>> ViewSpec.from_dict(spec.as_dict()) == spec
    True
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
        """The inverse of `as_dict`; TypeError for unknown or missing names, ValueError for invalid values."""
        for name, value in content.items():
            fits = _FIELDS.get(name, object)
            if not isinstance(value, fits) or (isinstance(value, bool) and name in _FIELDS):
                raise ValueError(f"{name} in the specification of a view is invalid: {value!r:.60}")
        if any(not isinstance(channel, str) for channel in content.get("channels", ())):
            raise ValueError("channels in the specification of a view must be names")
        spec = cls(**{**content, "channels": tuple(content.get("channels", ()))})
        if len(set(spec.channels)) < len(spec.channels) or not spec.name:
            raise ValueError("the specification of a view has no name, or a duplicate channel")
        if spec.size_px is not None and not 1 <= spec.size_px <= MAX_SIZE_PX:
            raise ValueError(f"size_px must be 1 to {MAX_SIZE_PX}; got {spec.size_px}")
        if spec.size_m is not None and not spec.size_m > 0:
            raise ValueError(f"size_m must be more than 0; got {spec.size_m}")
        return spec

    @property
    def hash(self) -> str:
        """SHA-256 of all fields above."""
        text = json.dumps(self.as_dict(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()


class View(Protocol):
    """Stored data of places, read in batches.

    A view that has no data for some places has an attribute ``known``, (N,) bool over the dataset's places. Without
    it, all places have data.
    """

    @property
    def spec(self) -> ViewSpec:
        """Specification of what is read."""
        ...

    def read(self, look: Look) -> Batch:
        """The batch for a look, with first dimension ``len(look)``; rows ``ROW_MISSING`` are zeros or empty."""
        ...


class Sampler(Protocol):
    """Decides which places go into a batch."""

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
    """The output of an encoder for a slot: ``z`` (N, dim) float32 and ``present`` (N,) bool.

    >>> encoded = Encoded(torch.zeros(2, 8), torch.tensor([True, False]))
    >>> encoded.z.shape, int(encoded.present.sum())
    (torch.Size([2, 8]), 1)
    """

    z: Tensor
    present: Tensor


class Objective(nn.Module):
    """A loss over encoded slots and targets; it may own parameters, which are trained and checkpointed.

    Attributes:
        collapsed_loss: the loss when all vectors are equal, if known. A run that stays there has learned nothing.
        across_processes: whether it wants the slots and targets of all processes that train together, because places
            of one batch are contrasted with each other; else each process computes the loss of its own.
    """

    collapsed_loss: float | None = None
    across_processes: bool = False

    def forward(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> Tensor:
        """The scalar loss."""
        raise NotImplementedError(f"{type(self).__name__} must define forward")  # justified: abstract

    def watch(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Scalars to log along with the loss, such as distances; none by default."""
        return {}

    def learned(self) -> dict[str, float]:
        """Numbers that the use of the vectors needs, such as a temperature; saved with the model; none by default."""
        return {}


class Fuse(nn.Module):
    """Turns the vectors of a place's several views into one.

    Attributes:
        dim: length of the fused vectors.
        views: names of the fused views. In training, each is taken from the first slot that reads it.
    """

    dim: int
    views: tuple[str, ...]

    def forward(self, slots: Mapping[str, Encoded]) -> Tensor:
        """(N, dim) from the (N, dim_view) vectors of each view. Any subset of ``views`` may be given. Rows that are not
        ``present`` in a view have no influence, and rows that are present in none are never used.
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
        fuse: module that combines the vectors of several views, or None. Objectives see its output as slot ``fused``.
        validation: draws the batches for validation, or None.
        measure: computes scalars to log from the encoded slots and targets of a validation batch.
    """

    slots: dict[str, Slot]
    encoders: dict[str, nn.Module]
    objectives: dict[str, tuple[float, Objective]]
    sampler: Sampler
    fuse: Fuse | None = None
    validation: Sampler | None = None
    measure: Callable[[Mapping[str, Encoded], Mapping[str, Tensor]], dict[str, float]] | None = None


def encode(recipe: Recipe, batches: Mapping[str, Batch], looks: Mapping[str, Look]) -> dict[str, Encoded]:
    """Encode every slot, and fuse them if the recipe has a fusion."""
    return with_fused(recipe, encode_slots(recipe, batches, looks))


def encode_slots(
    recipe: Recipe, batches: Mapping[str, Batch], looks: Mapping[str, Look]
) -> dict[str, Encoded]:
    """Encode every slot. Slots that share an encoder and have tensors of equal shape are encoded together."""
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
    return encoded


def with_fused(recipe: Recipe, encoded: Mapping[str, Encoded]) -> dict[str, Encoded]:
    """Encoded slots, and ``fused`` if the recipe has a fusion."""
    if recipe.fuse is None:
        return dict(encoded)
    return {**encoded, FUSED: fused(recipe.fuse, fused_slots(recipe, encoded))}


def fused_slots(recipe: Recipe, encoded: Mapping[str, Encoded]) -> dict[str, Encoded]:
    """View -> the first slot that reads it, for the views that a recipe fuses."""
    assert recipe.fuse is not None
    found: dict[str, Encoded] = {}
    for name, slot in recipe.slots.items():
        if slot.view in recipe.fuse.views and name in encoded:
            found.setdefault(slot.view, encoded[name])
    return found


def fused(fuse: Fuse, views: Mapping[str, Encoded]) -> Encoded:
    """The vectors of several views, (N, dim) each, combined into one; present if any of them is.

    >>> from placevec.models.fusion import MeanFusion
    >>> here, nowhere = torch.tensor([True]), torch.tensor([False])
    >>> views = {"map": Encoded(torch.tensor([[3.0, 0.0]]), here), "text": Encoded(torch.zeros(1, 2), nowhere)}
    >>> fused(MeanFusion(["map", "text"], 2), views).z.tolist()
    [[1.0, 0.0]]
    """
    present = torch.stack([part.present for part in views.values()]).any(dim=0)
    return Encoded(fuse(views).float(), present)
