"""The chips view: images of places, each a row of a plain numpy file, read by place.

``chips/NNNN.npy`` holds up to `MAX_ROWS` chips of one shape and dtype, (rows, C, H, W), and is memory-mapped.
``chips.parquet`` describes them, one row per chip; a place can have several.

========= ===================== ================================================================================
column    type                  meaning
========= ===================== ================================================================================
place_id  string                its place: the link to ``places.parquet``, independent of the order of either
view      string                view that it belongs to
shard     int32                 number of the file
row       int32                 row in the file
date      date32, may be null   when it was taken
bands     list of strings       names of the C bands
crs       string, may be null   ``EPSG:n`` or WKT
transform list of 6 doubles     a, b, c, d, e, f: maps a pixel corner (column, row) to x = a column + b row + c, y =
                                d column + e row + f; may be null
source    string, may be null   name of the source file or scenes
========= ===================== ================================================================================

``offset_applied`` (number added to what the source stores), ``nodata`` and ``cloud`` (share of pixels) are float32 and
null where unknown; tables of earlier versions lack them.

Chips of several products can be in one view. What is read are the bands and the size that all have; larger chips are
cropped to the center. `placevec.preparation.chips.shards` writes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from placevec.core import MAX_SIZE_PX, ROW_MISSING, Look, View, ViewSpec
from placevec.datasets.views.given_image import bands_of, centered, require_type
from placevec.datasets.views.registry import Reader, Stored, check_spec
from placevec.errors import DatasetError, InputError, PlacevecError, SourceError
from placevec.geo import Ints
from placevec.geo.geoparquet import read_parquet
from placevec.sources.imagery.chips import Chip

TABLE = "chips.parquet"
FOLDER = "chips"
NAME, KIND = "chips", "chips"
MAX_ROWS = 1024
MAX_BANDS = 64
TYPES = ("uint8", "uint16", "int16", "float32")
MAX_SHARDS = 1_000_000
_SAME_PIXELS = 0.02
"""Share by which the sides of two pixels may differ."""
THOUSANDS = ", x 10,000"
"""Of float32 in a view's ``values``: its numbers are reflectances times 10,000, not reflectances."""
_FULL_SCALES = {"uint8": 255.0, "uint16": 10_000.0, "int16": 10_000.0}
_COLUMNS = {"place_id": pa.string(), "view": pa.string(), "shard": pa.int32(), "row": pa.int32()}
_WARPS = ("chip", "crop", "turn", "flip", "light", "keep")


def full_scale_of(values: str) -> float:
    """The number that stands for a reflectance of 1, by the ``values`` of a view of chips.

    >>> [full_scale_of(text) for text in ("uint16 as stored", "float32 as stored", "float32 as stored, x 10,000")]
    [10000.0, 1.0, 10000.0]
    """
    first = values.split(" ", 1)[0]
    return 10_000.0 if values.endswith(THOUSANDS) else _FULL_SCALES.get(first, 1.0)


def shard_name(shard: int) -> str:
    """Path of a shard in the dataset; it depends only on the number.

    >>> shard_name(7)
    'chips/0007.npy'
    """
    return f"{FOLDER}/{shard:04d}.npy"


class ChipsView:
    """The images of places (the `View` of kind ``chips``).

    Args:
        folder: the dataset's directory.
        spec: name of the view, the bands to read, in order, and ``size_px`` of the center to read.
        place_ids: (N,) IDs of the dataset's places, in order.

    Attributes:
        counts: (N,) int64 number of chips of each place.

    Raises:
        DatasetError: the table or files are missing or damaged, or chips belong to unknown places.
        InputError: an invalid size, or bands that do not exist.
    """

    def __init__(self, folder: str | Path, spec: ViewSpec, place_ids: ArrayLike | Sequence[str]) -> None:
        self._shards = _Shards(Path(folder))
        table = read_chips(Path(folder), spec.name)
        self._shard = np.asarray(table["shard"].to_numpy()).astype(np.int64)
        self._row = np.asarray(table["row"].to_numpy()).astype(np.int64)
        self._bands = _bands_of_shards(table, self._shard, self._shards.path)
        place = _places_of(table["place_id"], place_ids, self._shards.path)
        order = np.argsort(place, kind="stable")
        self._shard, self._row = self._shard[order], self._row[order]
        self._starts = np.searchsorted(place[order], np.arange(len(np.asarray(place_ids)) + 1))
        self.counts: Ints = np.diff(self._starts)
        self._set(spec)

    def _set(self, spec: ViewSpec) -> None:
        if spec.size_px is None or not 1 <= spec.size_px <= MAX_SIZE_PX:
            raise InputError(f"size_px of a chip must be 1 to {MAX_SIZE_PX}; got {spec.size_px}")
        if not spec.channels or len(set(spec.channels)) < len(spec.channels):
            raise InputError("a view of chips needs at least one band, and no duplicates")
        self._places = {}
        for shard, bands in self._bands.items():
            missing = [band for band in spec.channels if band not in bands]
            if missing:
                raise InputError(f"some chips have no band {missing[0]!r}; they have {', '.join(bands)}")
            self._places[shard] = [bands.index(band) for band in spec.channels]
        self._spec = spec

    @property
    def spec(self) -> ViewSpec:
        """Specification of what is read."""
        return self._spec

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def known(self) -> NDArray[np.bool_]:
        """(N,) bool: places with a chip."""
        return self.counts > 0

    def window(self, *, size_px: int | None = None, channels: Sequence[str] | None = None) -> ChipsView:
        """The same chips with fewer bands or a smaller center; InputError for unavailable ones."""
        import copy
        import dataclasses

        other = copy.copy(self)
        size_m = self._spec.size_m
        if size_m is not None and size_px is not None and self._spec.size_px:
            size_m = size_m * size_px / self._spec.size_px
        other._set(
            dataclasses.replace(
                self._spec,
                size_px=self._spec.size_px if size_px is None else size_px,
                size_m=size_m,
                channels=self._spec.channels if channels is None else tuple(channels),
            )
        )
        return other

    def read(self, look: Look) -> Tensor:
        """(n, C, size_px, size_px) float32: the stored numbers. Rows without a chip are zeros.

        A look's ``warp`` can have ``chip`` (n,) int64, which of a place's chips, modulo their number (default the
        first); ``crop`` (n, 3) float32, a square that is enlarged to the whole chip, bilinearly: its side as a share of
        the chip's, and where it begins, from 0 (west, north) to 1 (as far east, as far south as it fits); ``turn`` (n,)
        int64, quarter turns counter-clockwise; ``flip`` (n, 2) bool, mirroring east to west, and north to south;
        ``light`` (n, 3) float32, factors of brightness, contrast (about the mean of the chip) and saturation (about the
        mean of the bands; 0 is gray), after which values are at least 0, and of bytes at most 255; ``keep`` (n, C) bool,
        bands that are not set to zero.

        Raises:
            InputError: a row that does not exist, a synthetic point, or another warp.
            DatasetError: a file that is damaged, or smaller than what is read.
        """
        self._check(look)
        size = int(self._spec.size_px or 0)
        out = np.zeros((len(look), len(self._spec.channels), size, size), np.float32)
        at = self._chips(look)
        for one in np.argsort(
            self._shard[at], kind="stable"
        ):  # file by file; missing chips are -1 and can sort anywhere
            if at[one] < 0:
                continue
            shard = int(self._shard[at[one]])
            array = self._shards.opened(shard, len(self._bands[shard]), size)
            top, left = ((side - size) // 2 for side in array.shape[2:])
            row = int(self._row[at[one]])
            if not 0 <= row < len(array):
                raise DatasetError(f"{self._shards.path / TABLE} refers to row {row} of {shard_name(shard)}")
            out[one] = array[row, :, top : top + size, left : left + size][self._places[shard]]
        return _warped(torch.from_numpy(out), look, 255.0 if self._spec.values.startswith("uint8") else None)

    def _check(self, look: Look) -> None:
        rows = look.rows
        if unknown := [name for name in look.warp if name not in _WARPS]:
            raise InputError(f"unknown warp {unknown[0]!r}: chips support {', '.join(_WARPS)}")
        wrong = (rows != ROW_MISSING) & ((rows < 0) | (rows >= len(self)))
        if bool(wrong.any()):
            row = int(rows[wrong][0])
            what = "a synthetic point has no chips" if row == -1 else f"there is no place {row}"
            raise InputError(f"{what}: chips are read by row, and there are {len(self):,} places")

    def _chips(self, look: Look) -> Ints:
        """(n,) position of the chip for each row, -1 if there is none."""
        if not len(self._shard):
            return np.full(len(look), -1, np.int64)
        rows = look.rows.numpy()
        there = rows >= 0
        place = np.where(there, rows, 0)
        count = self.counts[place]
        which = look.warp["chip"].numpy() if "chip" in look.warp else np.zeros(len(rows), np.int64)
        at = self._starts[place] + which % np.maximum(count, 1)
        return np.asarray(np.where(there & (count > 0), at, -1), np.int64)


def _cropped(chips: Tensor, crop: Tensor) -> Tensor:
    """Squares of the chips, as large as the chips: `torch.nn.functional.grid_sample` between the centers of pixels."""
    side, begin = crop[:, :1], crop[:, 1:]
    across = (torch.arange(chips.shape[3]) + 0.5) / chips.shape[3]  # chips are square
    x, y = (2.0 * (side * across + (1.0 - side) * begin[:, axis, None]) - 1.0 for axis in (0, 1))
    square = (len(chips), *chips.shape[2:])
    grid = torch.stack([x[:, None, :].expand(square), y[:, :, None].expand(square)], dim=3)
    return F.grid_sample(chips, grid.to(chips.dtype), padding_mode="border", align_corners=False)


def _lit(chips: Tensor, light: Tensor, most: float | None) -> Tensor:
    """Other brightness, contrast and saturation, as torchvision's ``ColorJitter``; bands are weighted equally."""
    bright, contrast, saturation = light.to(chips.dtype)[:, :, None, None, None].unbind(1)
    chips = chips * bright
    mean = chips.mean((1, 2, 3), keepdim=True)
    chips = mean + contrast * (chips - mean)
    gray = chips.mean(1, keepdim=True)
    return (gray + saturation * (chips - gray)).clamp(0.0, most)


def _warped(chips: Tensor, look: Look, most: float | None = None) -> Tensor:
    if "crop" in look.warp:
        chips = _cropped(chips, look.warp["crop"])
    if "turn" in look.warp:
        quarters = look.warp["turn"] % 4
        for turns in (1, 2, 3):
            some = quarters == turns
            if bool(some.any()):
                chips[some] = torch.rot90(chips[some], turns, (2, 3))
    if "flip" in look.warp:
        for axis, dim in ((0, 3), (1, 2)):
            chips = torch.where(look.warp["flip"][:, axis, None, None, None], chips.flip(dim), chips)
    if "light" in look.warp:
        chips = _lit(chips, look.warp["light"], most)
    return chips * look.warp["keep"][:, :, None, None] if "keep" in look.warp else chips


class _Shards:
    """The files, opened on first use."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open: dict[int, np.memmap[Any, Any]] = {}

    def opened(self, shard: int, bands: int, size: int) -> np.memmap[Any, Any]:
        """(rows, C, H, W) of a shard, checked against its table and the part to read."""
        array = self._open.get(shard)
        if array is None:
            array = self._open[shard] = open_shard(self.path / shard_name(shard))
        if array.shape[1] != bands or min(array.shape[2:]) < size:
            raise DatasetError(
                f"{self.path / shard_name(shard)} has chips of {array.shape[1]} bands and "
                f"{array.shape[3]} x {array.shape[2]} px, not {bands} bands and at least {size} px per side"
            )
        return array


def open_shard(path: Path) -> np.memmap[Any, Any]:
    """A memory-mapped shard, (rows, C, H, W); nothing in it is ever unpickled.

    Raises:
        DatasetError: it is missing, not a numpy file, truncated, or has a shape or dtype that chips cannot have.
    """
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError:
        raise DatasetError(f"{path} does not exist: prepare the dataset again") from None
    except Exception as error:  # a header can contain anything, even syntax errors and overflows
        raise DatasetError(f"{path} is not a numpy file of chips, or is damaged: {error}") from error
    if array.ndim != 4 or str(array.dtype) not in TYPES or 0 in array.shape:
        raise DatasetError(f"{path} has {array.dtype} of shape {array.shape}, not chips (rows, C, H, W)")
    if len(array) > MAX_ROWS or array.shape[1] > MAX_BANDS or max(array.shape[2:]) > MAX_SIZE_PX:
        raise DatasetError(f"{path} has chips of shape {array.shape}: too many, or too large")
    return array


def read_chips(folder: Path, view: str | None = None) -> pa.Table:
    """The rows of ``chips.parquet``, all or of one view; DatasetError if it is missing or damaged."""
    path = folder / TABLE
    try:
        table = read_parquet(path, "table of chips")
    except SourceError as error:
        raise DatasetError(str(error)) from error
    for name, kind in _COLUMNS.items():
        if name not in table.column_names or table[name].type != kind or table[name].null_count:
            held = table[name].type if name in table.column_names else "nothing"
            raise DatasetError(
                f"{path} is damaged: its column {name} must be {kind} everywhere; it is {held}"
            )
    bands = table["bands"].type if "bands" in table.column_names else None
    if bands != pa.list_(pa.string()) or table["bands"].null_count:
        raise DatasetError(f"{path} is damaged: its column bands must be lists of names; it is {bands}")
    if view is not None:
        table = table.filter(pc.equal(table["view"], view))
    if table.num_rows:
        shards, rows = (pc.min_max(table[name]).as_py() for name in ("shard", "row"))
        if shards["min"] < 0 or shards["max"] >= MAX_SHARDS or rows["min"] < 0:
            raise DatasetError(f"{path} is damaged: it refers to an invalid file or row")
    return table


def _bands_of_shards(table: pa.Table, shards: Ints, folder: Path) -> dict[int, tuple[str, ...]]:
    """Shard -> names of its bands; DatasetError unless all its rows agree."""
    joined = pc.binary_join(table["bands"].combine_chunks(), "\n")
    if joined.null_count:
        raise DatasetError(f"{folder / TABLE} is damaged: a band has no name")
    coded = joined.dictionary_encode()
    codes = np.asarray(coded.indices.to_numpy(zero_copy_only=False)).astype(np.int64)
    names, first, inverse = np.unique(shards, return_index=True, return_inverse=True)
    if not np.array_equal(codes, codes[first][inverse]):
        raise DatasetError(f"{folder / TABLE} is damaged: chips in one file have different bands")
    said = coded.dictionary.to_pylist()
    return {int(shard): tuple(said[codes[at]].split("\n")) for shard, at in zip(names, first, strict=True)}


def _places_of(chips: pa.ChunkedArray, place_ids: ArrayLike | Sequence[str], folder: Path) -> Ints:
    """(M,) the row of each chip's place."""
    ids = pa.array(np.asarray(place_ids, object), pa.string())
    rows = pc.index_in(chips, value_set=ids)
    if rows.null_count:
        lost = pc.filter(chips, pc.is_null(rows))[0].as_py()
        raise DatasetError(f"{folder / TABLE} is damaged: there is no place {lost[:80]!r}")
    return np.asarray(rows.to_numpy()).astype(np.int64)


class ChipsReader(Reader):
    """Images of places: records, several per place."""

    words = "band"
    from_images = True
    image = "satellite image"

    def open(self, stored: Stored) -> ChipsView:
        """The chips, memory-mapped."""
        return ChipsView(stored.path, stored.spec, stored.places.place_ids)

    def fit(self, view: View, wanted: ViewSpec) -> View:
        """The bands that a model reads, in its order, cropped to its size."""
        check_spec(view.spec, wanted, words=self.words)
        held = view.spec.size_px or 0
        if wanted.size_px is not None and wanted.size_px > held:
            raise PlacevecError(
                f"the model reads {wanted.size_px} px per side of {wanted.name!r}, but the dataset's chips have only "
                f"{held}: prepare larger chips"
            )
        own, other = _pixel_m(view.spec), _pixel_m(wanted)
        if own is not None and other is not None and abs(own / other - 1.0) > _SAME_PIXELS:
            raise PlacevecError(
                f"the model reads {wanted.name!r} in pixels of {other:g} m, but the dataset's have {own:g} m: prepare "
                "the dataset in the same way"
            )
        return cast(ChipsView, view).window(size_px=wanted.size_px, channels=wanted.channels)

    def given_image(self, chip: Chip, spec: ViewSpec) -> Tensor:
        """The middle of an image as a batch of one, with the numbers as they are."""
        pixels, size = bands_of(chip, spec, self.words), int(spec.size_px or 0)
        require_type(pixels, [one for one in TYPES if one in spec.values.split(" ")], chip.name, spec)
        if min(pixels.shape[1:]) < size:
            raise InputError(
                f"{chip.name} has {pixels.shape[2]} x {pixels.shape[1]} px, but the model needs at least {size} per "
                f"side: give a larger image for the view {spec.name!r}"
            )
        part = np.asarray(centered(pixels, size), np.float32)
        if not np.isfinite(part).all():
            raise InputError(f"{chip.name} has pixels that are not finite")
        return torch.from_numpy(part)[None]

    def shows(self, spec: ViewSpec) -> str:
        """Pixels, and the size in meters if known."""
        return f"{spec.size_px} px" + ("" if spec.size_m is None else f", {spec.size_m:g} m")


def _pixel_m(spec: ViewSpec) -> float | None:
    """Side of a pixel in meters, if known."""
    return spec.size_m / spec.size_px if spec.size_m and spec.size_px else None


READER = ChipsReader()
