"""Image chips provided by the user: folders or zip files of small GeoTIFFs, such as those of EuroSAT and SatCLIP.

Each file is read into memory as a whole, within limits, and opened only as GeoTIFF. Files or addresses that it refers
to are never opened, and nothing is extracted from an archive to disk. Numbers are kept as stored.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import re
import stat
import threading
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from placevec.core import MAX_SIZE_PX
from placevec.errors import SourceError, UsageError
from placevec.geo import distance_m
from placevec.sources.imagery.band_files import Layer, date_in, merged, patches_of
from placevec.sources.imagery.founding_chips import BANDS as FOUNDING_BANDS
from placevec.sources.imagery.founding_chips import decode_founding_chip

ENDINGS = (".tif", ".tiff")
NPZ = ".npz"
"""Chips of the original Where2Vec, which lie nowhere; see `founding_chips`."""
MAX_FILE_BYTES = 256 * 2**20
"""Maximum bytes of a file, and of its pixels; a Sentinel-2 chip has 0.1 to 2 MB."""
MAX_BANDS = 64
MAX_FILES = 10_000_000
TYPES = ("uint8", "uint16", "int16", "float32")
"""Supported pixel types."""

L2A = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12")
ORDERS: Mapping[str, tuple[str, ...]] = {
    "rgb": ("B04", "B03", "B02"),
    "l2a": L2A,
    "l1c": (*L2A[:10], "B10", *L2A[10:]),
    "eurosat": (*L2A[:8], "B09", "B10", "B11", "B12", "B8A"),
}
"""Sentinel-2 bands in common orders: SatCLIP and S2-100K use ``l2a``, EuroSAT has B8A last."""
_ZIP = b"PK\3\4"
_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_BAND = re.compile(r"\w[\w.+-]{0,31}")
_CIRRUS = "B10"
_LOOKED_AT = 16
"""Files whose pixels are used to detect the order of thirteen bands."""


@dataclass(frozen=True)
class Chip:
    """One image.

    Attributes:
        name: its path below the folder or in the archive, with ``/`` and without the extension.
        pixels: (C, H, W), one of `TYPES`, as stored.
        bands: (C,) names.
        crs: ``EPSG:n`` or WKT; empty if there is none.
        transform: a, b, c, d, e, f: maps column and row of a pixel's corner to x = a column + b row + c, y = d column +
            e row + f in the CRS; None if there is none.
        date: ISO date from the TIFF's time stamp, or None.
    """

    name: str
    pixels: NDArray[Any]
    bands: tuple[str, ...]
    crs: str
    transform: tuple[float, ...] | None
    date: str | None


def unreadable(error: SourceError) -> tuple[str, int, str, str]:
    """What `placevec.sources.tables.losses.Losses.add` takes of a file that cannot be read.

    >>> unreadable(SourceError("a.tif is damaged"))[:3]
    ('content that cannot be read', 1, 'a.tif is damaged')
    """
    return "content that cannot be read", 1, str(error), "repair these files, or remove them"


class Ground(NamedTuple):
    """Location of a chip: CRS and transform as in `Chip`, and (width, height) in pixels."""

    crs: str
    transform: tuple[float, ...] | None
    size: tuple[int, int]


@dataclass(frozen=True)
class ChipFiles:
    """The chips of a folder or of a zip file: GeoTIFFs, or founding ``.npz`` files.

    Attributes:
        path: the folder or zip file.
        names: names of the chips, sorted.
        fingerprint: changes when a file is added, removed or changed.
        bands: number of bands -> names of the bands of files that do not name them.
        named: band names given by the user, which override those in files with the same number of bands.
        content: position -> bytes of a file.
        patches: name of a chip -> band -> position of its file, where each band is a file of its own; else None.
    """

    path: Path
    names: tuple[str, ...]
    fingerprint: str
    bands: Mapping[int, tuple[str, ...]]
    named: tuple[str, ...]
    content: Callable[[int], bytes]
    patches: Mapping[str, Mapping[str, int]] | None = None

    def __len__(self) -> int:
        return len(self.names)

    def read(self, position: int) -> Chip:
        """One chip; SourceError if it is not a GeoTIFF of numbers, damaged or too large."""
        if self.patches is not None:
            return self._patch(self.names[position], self.patches[self.names[position]])
        return decode_chip(self.names[position], self.content(position), self.bands, self.named)

    def _patch(self, name: str, parts: Mapping[str, int]) -> Chip:
        """A chip of several files, see `band_files`."""
        layers, date = {}, date_in(name)
        for band, at in parts.items():
            chip = decode_chip(f"{name}_{band}", self.content(at), {})
            if len(chip.pixels) != 1:
                raise SourceError(f"the file of {band} of {name!r} must have a single band, like the others")
            layers[band], date = Layer(chip.pixels[0], chip.crs, chip.transform), date or chip.date
        bands, whole = merged(name, layers)
        return Chip(name, whole.pixels, bands, whole.crs, whole.transform, date)

    def ground(self, position: int) -> Ground:
        """Location of one chip, without its pixels; SourceError as in `read`."""
        if self.patches is not None:
            chip = self.read(position)
            return Ground(chip.crs, chip.transform, (chip.pixels.shape[2], chip.pixels.shape[1]))
        content = self.content(position)
        if content[:4] == _ZIP:
            high, wide = decode_founding_chip(self.names[position], content).shape[1:]
            return Ground("", None, (wide, high))
        with _opened(self.names[position], content) as file:
            return Ground(*_placed(file), (int(file.width), int(file.height)))


def open_chips(path: str | Path, bands: str | Sequence[str] | None = None) -> ChipFiles:
    """All GeoTIFFs and founding ``.npz`` chips below a folder, or in a zip file.

    Where all files are named like PATCH_B02.tif (BigEarthNet), the bands of a patch are one chip, see `band_files`.

    Args:
        path: the folder or zip file.
        bands: names in the order of the files, separated by commas, or a name in `ORDERS`. Default: the names in the
            files, or else by their number: 3 are red, green, blue; 12 are ``l2a``; 13 are ``eurosat`` or ``l1c``,
            whichever puts the cirrus band where the pixels are darkest; others are named band1, band2, ...

    Raises:
        SourceError: no folder or archive, no GeoTIFF in it, duplicate names, or a damaged archive.
        UsageError: invalid band names.
    """
    path = Path(path)
    if path.is_dir():
        found = _folder(path)
    elif path.is_file():
        found = _archive(path)
    else:
        raise SourceError(f"there is no folder or zip file {path}")
    if not found:
        raise SourceError(
            f"there is no GeoTIFF or original Where2Vec chip ({', '.join((*ENDINGS, NPZ))}) in {path}"
        )
    found.sort(key=lambda item: item[0])
    names = tuple(name for name, _, _ in found)
    for before, name in itertools.pairwise(names):
        if before == name:
            raise SourceError(f"{path} has two images named {name!r}")
    digest = hashlib.sha256()
    for name, stamp, _ in found:
        digest.update(f"{name}\0{stamp}\0".encode("utf-8", "surrogatepass"))
    readers = [read for _, _, read in found]
    if (patches := patches_of(names)) is not None:
        return ChipFiles(path, tuple(patches), digest.hexdigest(), {}, (), lambda at: readers[at](), patches)
    own = () if bands is None else named_bands(bands)
    files = ChipFiles(path, names, digest.hexdigest(), _BY_COUNT, own, lambda at: readers[at]())
    return files if len(own) == 13 else replace(files, bands={**_BY_COUNT, 13: _thirteen(files)})


_BY_COUNT = {3: ORDERS["rgb"], 12: L2A}


def named_bands(bands: str | Sequence[str]) -> tuple[str, ...]:
    """The band names given by the user, or one of `ORDERS`; UsageError if they are invalid.

    >>> named_bands("eurosat")[-1], named_bands("red,green")
    ('B8A', ('red', 'green'))
    """
    given = bands.split(",") if isinstance(bands, str) else list(bands)
    names = ORDERS.get(given[0], tuple(given)) if len(given) == 1 else tuple(name.strip() for name in given)
    if (
        not 1 <= len(names) <= MAX_BANDS
        or len(set(names)) < len(names)
        or not all(map(_BAND.fullmatch, names))
    ):
        raise UsageError(
            f"bands must be distinct names such as B02,B03,B04, or one of {', '.join(ORDERS)}; got {bands!r}"
        )
    return names


def decode_chip(
    name: str, content: bytes, bands: Mapping[int, tuple[str, ...]], named: tuple[str, ...] = ()
) -> Chip:
    """A chip from the bytes of a GeoTIFF; ``bands`` and ``named`` as in `ChipFiles`.

    Raises SourceError if it is neither a GeoTIFF nor a founding chip, damaged or too large.
    """
    if content[:4] == _ZIP:
        pixels = decode_founding_chip(name, content)
        own = named if len(named) == len(pixels) else FOUNDING_BANDS if len(pixels) == 4 else ()
        return Chip(
            name, pixels, own or tuple(f"band{at}" for at in range(1, len(pixels) + 1)), "", None, None
        )
    with _opened(name, content) as file:
        crs, transform = _placed(file)
        names = _bands_of(file, bands, named)
        date = _date(file.tags().get("TIFFTAG_DATETIME", ""))
        return Chip(name, file.read(), names, crs, transform, date)


@contextlib.contextmanager
def _opened(name: str, content: bytes) -> Iterator[Any]:
    """Open the bytes as a raster and check its size; errors become a SourceError."""
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioError
    from rasterio.io import MemoryFile

    if content[:4] not in _MAGIC:
        raise SourceError(f"the image {name!r} is not a GeoTIFF: it has another file signature")
    try:
        with warnings.catch_warnings(), MemoryFile(content) as memory:
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with memory.open(driver="GTiff") as file:
                _check_size(file, name)
                yield file
    except (RasterioError, rasterio.errors.CRSError, ValueError, OSError) as error:
        raise SourceError(f"the image {name!r} is not a GeoTIFF, or is damaged: {error}") from error


def _check_size(file: Any, name: str) -> None:
    kinds = set(file.dtypes)
    if len(kinds) != 1 or not kinds <= set(TYPES):
        raise SourceError(
            f"the image {name!r} has pixels of type {', '.join(sorted(kinds))}; supported types: {', '.join(TYPES)}"
        )
    sides = (file.width, file.height)
    if max(sides) > MAX_SIZE_PX or file.count > MAX_BANDS:
        raise SourceError(
            f"the image {name!r} has {file.width:,} x {file.height:,} px and {file.count} bands; a chip may have at most "
            f"{MAX_SIZE_PX:,} px per side and {MAX_BANDS} bands"
        )
    size = file.width * file.height * file.count * np.dtype(file.dtypes[0]).itemsize
    if size > MAX_FILE_BYTES:
        raise SourceError(f"the image {name!r} would unpack to {size:,} bytes, more than {MAX_FILE_BYTES:,}")


def _placed(file: Any) -> tuple[str, tuple[float, ...] | None]:
    """CRS and transform of an open file; both are empty if one of them is missing or invalid."""
    transform = tuple(float(value) for value in file.transform)[:6]
    determinant = transform[0] * transform[4] - transform[1] * transform[3]
    if not file.crs or file.transform.is_identity or not np.isfinite(transform).all() or determinant == 0:
        return "", None
    code = file.crs.to_epsg()
    return (f"EPSG:{code}" if code else file.crs.to_wkt()), transform


def _bands_of(file: Any, bands: Mapping[int, tuple[str, ...]], named: tuple[str, ...]) -> tuple[str, ...]:
    if file.count == len(named):
        return named
    said = [str(text or "").strip() for text in file.descriptions]
    if len(set(said)) == file.count and all(map(_BAND.fullmatch, said)):
        return tuple(said)
    return bands.get(file.count, tuple(f"band{number}" for number in range(1, file.count + 1)))


def _date(text: str) -> str | None:
    found = re.match(r"(\d{4})[:-](\d\d)[:-](\d\d)", text)
    if found is None:
        return None
    try:
        return str(np.datetime64("-".join(found.groups()), "D"))
    except ValueError:
        return None


def _thirteen(files: ChipFiles) -> tuple[str, ...]:
    """The order of thirteen bands: B10 shows little but high clouds, and is by far the darkest band."""
    votes: dict[str, int] = dict.fromkeys(("eurosat", "l1c"), 0)
    for position in range(min(_LOOKED_AT, len(files))):
        with contextlib.suppress(SourceError):
            pixels = files.read(position).pixels
            if len(pixels) == 13:
                means = pixels.reshape(13, -1).mean(1)
                votes[min(votes, key=lambda order: means[ORDERS[order].index(_CIRRUS)])] += 1
    return ORDERS[max(votes, key=lambda order: votes[order])]


_Found = list[tuple[str, str, Callable[[], bytes]]]


def _folder(folder: Path) -> _Found:
    """(name, stamp, reader) of every file below a folder; links to other folders are not followed."""
    found: _Found = []
    for here, folders, names in os.walk(folder, followlinks=False):
        folders.sort()
        for name in names:
            if name.lower().endswith((*ENDINGS, NPZ)) and not name.startswith("."):
                path = Path(here) / name
                status = path.stat()
                if stat.S_ISREG(status.st_mode):
                    title = path.relative_to(folder).with_suffix("").as_posix()
                    found.append((title, f"{status.st_size} {status.st_mtime_ns}", _reader(path)))
        if len(found) > MAX_FILES:
            raise SourceError(f"{folder} has more than {MAX_FILES:,} images: split it into several folders")
    return found


def _reader(path: Path) -> Callable[[], bytes]:
    def read() -> bytes:
        try:
            with open(path, "rb") as file:
                return _limited(file.read(MAX_FILE_BYTES + 1), path.name)
        except OSError as error:
            raise SourceError(f"cannot read {path}: {error.strerror}") from error

    return read


def _archive(path: Path) -> _Found:
    """(name, stamp, reader) of every GeoTIFF in a zip file."""
    try:
        archive = zipfile.ZipFile(path)
        members = [item for item in archive.infolist() if _is_image(item)]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise SourceError(f"{path} is not a zip file, or is damaged: {error}") from error
    if len(members) > MAX_FILES:
        raise SourceError(f"{path} has more than {MAX_FILES:,} images: split it into several zip files")
    lock = threading.Lock()
    return [
        (
            os.path.splitext(item.filename)[0],
            f"{item.file_size} {item.CRC}",
            _member(archive, item, lock),
        )
        for item in members
    ]


def _is_image(item: zipfile.ZipInfo) -> bool:
    last = item.filename.rsplit("/", 1)[-1]
    return not item.is_dir() and last.lower().endswith((*ENDINGS, NPZ)) and not last.startswith(".")


def _member(archive: zipfile.ZipFile, item: zipfile.ZipInfo, lock: threading.Lock) -> Callable[[], bytes]:
    def read() -> bytes:
        if item.flag_bits & 1:
            raise SourceError(f"{item.filename!r} is encrypted; unpack the archive first")
        try:
            with lock, archive.open(item) as file:  # the file has a single position for all threads
                return _limited(file.read(MAX_FILE_BYTES + 1), item.filename)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError) as error:
            raise SourceError(f"{item.filename!r} cannot be unpacked: {error}") from error
        except Exception as error:  # zlib, lzma and bz2 have their own errors for damaged streams
            if isinstance(error, SourceError):
                raise
            raise SourceError(f"{item.filename!r} cannot be unpacked: {error}") from error

    return read


def _limited(content: bytes, name: str) -> bytes:
    if len(content) > MAX_FILE_BYTES:
        raise SourceError(f"{name!r} is larger than {MAX_FILE_BYTES:,} bytes, too large for a chip")
    return content


def chip_centers(grounds: Sequence[Ground]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Locations of chips: (N, 2) lon, lat of each center in WGS84, and (N,) the shorter side in meters.

    NaN for a chip without a CRS, with an unknown CRS, or off the Earth.
    """
    from pyproj import Transformer
    from pyproj.exceptions import ProjError

    lonlat = np.full((len(grounds), 2), np.nan)
    sides = np.full(len(grounds), np.nan)
    names = np.array([ground.crs for ground in grounds], dtype=object)
    for name in dict.fromkeys(names):
        rows = np.flatnonzero(names == name)
        try:
            there = None if not name else Transformer.from_crs(name, "OGC:CRS84", always_xy=True)
        except ProjError:
            there = None
        if there is None:
            continue
        a, b, c, d, e, f = np.array([grounds[int(row)].transform for row in rows]).T[:, :, None]
        # the center, and the middle of the left, right, upper and lower edge
        shares = np.array([[0.5, 0.5], [0, 0.5], [1, 0.5], [0.5, 0], [0.5, 1]])
        sizes = np.array([grounds[int(row)].size for row in rows])
        columns, lines = (shares[None] * sizes[:, None]).transpose(2, 0, 1)
        lon, lat = there.transform(a * columns + b * lines + c, d * columns + e * lines + f)
        known = np.isfinite(lon) & np.isfinite(lat) & (np.abs(lon) <= 180) & (np.abs(lat) <= 90)
        whole = known.all(1)
        lon, lat = lon[whole], lat[whole]
        lonlat[rows[whole]] = np.stack([lon[:, 0], lat[:, 0]], 1)
        across = distance_m(lon[:, 1], lat[:, 1], lon[:, 2], lat[:, 2])
        along = distance_m(lon[:, 3], lat[:, 3], lon[:, 4], lat[:, 4])
        sides[rows[whole]] = np.minimum(across, along)
    return lonlat, sides


def folders_of(names: Sequence[str]) -> Iterator[str]:
    """The folder of each chip, which in EuroSAT and the like is its class; empty at the top level.

    >>> list(folders_of(["EuroSAT/Forest/Forest_1", "patch"]))
    ['Forest', '']
    """
    for name in names:
        parts = name.rsplit("/", 2)
        yield parts[-2] if len(parts) > 1 else ""
