"""The kinds of views and their readers: placevec's own, and those that other packages add.

A view of a dataset has its own name (``map``, ``summer``, ``winter``) and a kind (``raster``, ``chips``). The kind
selects the reader that opens it. Another package adds a kind with an entry point of the group ``placevec.views`` that
refers to a `Reader`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from placevec.core import ROW_MISSING, Batch, Look, Ragged, View, ViewSpec
from placevec.errors import DatasetError, InputError, PlacevecError
from placevec.geo import Area, Floats
from placevec.geo.antimeridian import Objects
from placevec.plugins import Registry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from placevec.sources.imagery.chips import Chip

VIEWS = Registry(
    "placevec.views",
    "kind of view",
    {
        "raster": "placevec.datasets.views.raster.reader:READER",
        "chips": "placevec.datasets.views.chips:READER",
        "features": "placevec.datasets.views.features:READER",
        "coordinates": "placevec.datasets.views.coordinates:READER",
        "pois": "placevec.datasets.views.poi_sets:READER",
        "poi-rows": "placevec.datasets.views.poi_rows:READER",
        "text": "placevec.datasets.views.text:READER",
    },
)


class PlaceTable(Protocol):
    """What a reader can use of the places; each attribute is read from disk on first access."""

    @property
    def place_ids(self) -> NDArray[Any]:
        """(N,) IDs, in order."""

    @property
    def lonlat(self) -> Floats:
        """(N, 2) degrees, lon then lat; NaN without coordinates."""

    @property
    def footprint_m(self) -> float:
        """Side of their footprints in meters; 0 for points."""

    @property
    def area(self) -> Area:
        """The area of the places."""

    def geometry(self) -> Objects:
        """(N,) shapely geometries, or None."""

    def __len__(self) -> int:
        """N."""


@dataclass
class Stored:
    """The location and the owner of a view, from which a reader opens it.

    Attributes:
        path: the dataset's directory.
        spec: specification of the view.
        entry: the view's entry in the manifest.
        places: places of the dataset.
    """

    path: Path
    spec: ViewSpec
    entry: Mapping[str, Any]
    places: PlaceTable


class Reader:
    """Opens views of one kind, fits them to a model and joins those of several datasets.

    Attributes:
        from_coordinates: reads at any lon, lat on Earth without a dataset.
        from_texts: reads any text without a dataset, see `texts`.
        from_images: reads an image that a user gives, see `given_image`.
        by_coordinates: reads at any lon, lat in the dataset's area (a field); otherwise by row (a record).
        is_map: whether pages can draw it under the places.
        words: what a channel is called, such as ``layer``.
        image: what one of its pictures is called in a sentence; empty where it has none.
    """

    from_coordinates = False
    from_texts = False
    from_images = False
    by_coordinates = False
    is_map = False
    words = "channel"
    image = ""

    def open(self, stored: Stored) -> View:
        """The view; DatasetError for missing or damaged files."""
        raise NotImplementedError(f"{type(self).__name__} must define open")  # justified: abstract

    def fit(self, view: View, wanted: ViewSpec) -> View:
        """The view as read by a model that was trained on ``wanted``; PlacevecError if it does not fit."""
        check_spec(view.spec, wanted, words=self.words)
        return view

    def texts(self, texts: Sequence[str]) -> Batch:
        """Any texts in the format of the view, if ``from_texts``."""
        raise NotImplementedError(f"{type(self).__name__} reads no texts")  # justified: of some kinds only

    def given_image(self, chip: Chip, spec: ViewSpec) -> Batch:
        """An image in the format of the view, a batch of one, if ``from_images``; InputError if it does not fit."""
        raise NotImplementedError(f"{type(self).__name__} reads no images")  # justified: of some kinds only

    def join(self, views: Sequence[View], stored: Sequence[Stored]) -> View:
        """The views of several datasets as one, with their places concatenated."""
        return JoinedRecords(views, [len(one.places) for one in stored])

    def holds(self, view: View) -> Mapping[str, int]:
        """Counts of what a view holds, for people, besides its channels: name -> count."""
        return {}

    def shows(self, spec: ViewSpec) -> str:
        """What a view shows of a place, in a few words."""
        return f"{len(spec.channels)} {self.words}s" if spec.channels else spec.values or spec.kind


def reader_of(spec: ViewSpec) -> Reader:
    """The reader for a view's kind; DatasetError if no installed package has one.

    >>> type(reader_of(ViewSpec("map", "raster", ("roads",)))).__name__
    'RasterReader'
    """
    if spec.kind not in VIEWS:
        raise DatasetError(
            f"view {spec.name!r} has the kind {spec.kind!r}, which no installed package reads "
            f"(available: {', '.join(VIEWS.names())})"
        )
    return cast(Reader, VIEWS.load(spec.kind))


def check_spec(spec: ViewSpec, wanted: ViewSpec, *, words: str = "channel") -> None:
    """PlacevecError unless a view fits a model trained on ``wanted``.

    It must have the same kind, values (units and range) and rules, and all the channels.

    >>> check_spec(ViewSpec("map", "raster", ("roads", "water")), ViewSpec("map", "raster", ("roads",)))
    >>> check_spec(ViewSpec("map", "raster", ("roads",)), ViewSpec("map", "raster", ("roads", "water")), words="layer")
    Traceback (most recent call last):
        ...
    placevec.errors.PlacevecError: the model reads water of 'map', which the dataset lacks (it has: roads)
    """
    if spec.kind != wanted.kind:
        raise PlacevecError(
            f"the model reads {wanted.name!r} as {wanted.kind}, but the dataset has it as {spec.kind}"
        )
    missing = [channel for channel in wanted.channels if channel not in spec.channels]
    if missing:
        raise PlacevecError(
            f"the model reads {', '.join(missing)} of {wanted.name!r}, which the dataset lacks "
            f"(it has: {', '.join(spec.channels)})"
        )
    if wanted.rules is not None and spec.rules is None:
        raise PlacevecError(
            f"the model was trained on a {wanted.name!r} view drawn by known rules ({wanted.rules[:8]}), but the "
            f"rules of "
            "this dataset's tiles are unknown: train a model on it"
        )
    if wanted.rules is not None and spec.rules != wanted.rules:
        raise PlacevecError(
            f"the model was trained on a {wanted.name!r} view drawn by different rules "
            f"({str(wanted.rules)[:8]}, the dataset's are {str(spec.rules)[:8]}): prepare the dataset "
            "with the same layer table"
        )
    if wanted.values != spec.values:
        raise PlacevecError(
            f"the model was trained on a {wanted.name!r} view with {wanted.values or 'unknown values'}, but the "
            f"dataset has "
            f"{spec.values or 'unknown values'}: prepare the dataset in the same way"
        )


def known_rows(view: View, lonlat: Floats) -> NDArray[np.bool_]:
    """(N,) bool: the places for which a view has data.

    Args:
        view: the opened view.
        lonlat: (N, 2) of the dataset's places, needed for views that are read by coordinates.

    >>> from placevec.datasets.views.coordinates import CoordinatesView
    >>> lonlat = np.array([[24.9, 60.2], [np.nan, np.nan]])
    >>> known_rows(CoordinatesView(lonlat), lonlat).tolist()
    [True, False]
    """
    told = getattr(view, "known", None)
    known = np.ones(len(lonlat), bool) if told is None else np.asarray(told, bool)
    if len(known) != len(lonlat):
        raise DatasetError(
            f"view {view.spec.name!r} has {len(known):,} places, but the dataset has {len(lonlat):,}"
        )
    return known & np.isfinite(lonlat).all(axis=1) if reader_of(view.spec).by_coordinates else known


class JoinedRecords:
    """Views of several datasets that are read by row, as one.

    Args:
        views: one per dataset, with the same specification.
        counts: number of places of each.

    Raises:
        InputError: no views, or views with different specifications.
    """

    def __init__(self, views: Sequence[View], counts: Sequence[int]) -> None:
        if not views or any(view.spec != views[0].spec for view in views):
            raise InputError("joined views need at least one view, all with the same specification")
        self.views = tuple(views)
        self.first_row = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    @property
    def spec(self) -> ViewSpec:
        """Specification of all of them."""
        return self.views[0].spec

    @cached_property
    def known(self) -> NDArray[np.bool_]:
        """(N,) bool: places for which their view has data."""
        counts = np.diff(self.first_row)
        parts = [getattr(view, "known", None) for view in self.views]
        return np.concatenate(
            [
                np.ones(n, bool) if part is None else np.asarray(part, bool)
                for part, n in zip(parts, counts, strict=True)
            ]
        )

    def read(self, look: Look) -> Batch:
        """Each row from the view of its dataset, in the order of the look."""
        rows = look.rows.cpu().numpy()
        owner = np.clip(np.searchsorted(self.first_row, rows, side="right") - 1, 0, len(self.views) - 1)
        parts: list[Batch] = []
        order = []
        for number in np.unique(owner).tolist() or [0]:
            at = torch.from_numpy(np.flatnonzero(owner == number))
            own = look.rows[at]
            own = torch.where(own == ROW_MISSING, own, own - int(self.first_row[number]))
            lonlat = None if look.lonlat is None else look.lonlat[at]
            warp = {name: values[at] for name, values in look.warp.items()}
            parts.append(self.views[number].read(Look(own, lonlat, warp)))
            order.append(at)
        return reordered(parts, torch.cat(order))


def reordered(parts: Sequence[Batch], rows: Tensor) -> Batch:
    """Concatenated batches, with row ``i`` moved to ``rows[i]``.

    >>> parts = [torch.tensor([10, 12]), torch.tensor([11])]
    >>> reordered(parts, torch.tensor([0, 2, 1])).tolist()
    [10, 11, 12]
    """
    back = torch.argsort(rows)
    if all(isinstance(part, Tensor) for part in parts):
        return torch.cat([cast(Tensor, part) for part in parts])[back]
    if all(isinstance(part, Ragged) for part in parts):
        return _reordered_sets([cast(Ragged, part) for part in parts], back)
    tokens = [cast("Mapping[str, Tensor]", part) for part in parts]
    longest = {
        name: max(part[name].shape[1] for part in tokens) for name in tokens[0] if tokens[0][name].ndim > 1
    }
    return {
        name: torch.cat([_padded(part[name], longest.get(name)) for part in tokens])[back]
        for name in tokens[0]
    }


def _padded(values: Tensor, length: int | None) -> Tensor:
    if length is None or values.shape[1] == length:
        return values
    return torch.nn.functional.pad(values, (0, length - values.shape[1]))


def _reordered_sets(parts: Sequence[Ragged], back: Tensor) -> Ragged:
    sizes = torch.cat([part.offsets.diff() for part in parts])
    values = torch.cat([part.values for part in parts])
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), sizes.cumsum(0)])
    members = [torch.arange(int(starts[i]), int(starts[i + 1])) for i in back.tolist()]
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), sizes[back].cumsum(0)])
    if any(part.edges is not None for part in parts):
        raise InputError("sets with edges cannot be joined across datasets")
    order = torch.cat(members) if members else torch.zeros(0, dtype=torch.int64)
    return Ragged(values[order], offsets)
