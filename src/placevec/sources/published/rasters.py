"""Rasters of vectors, a pixel a vector: what AlphaEarth and TESSERA publish, read in windows and brought to numbers.

AlphaEarth: GeoTIFF, 64 bands of int8, ``sign(v) (v / 127.5)^2``, -128 where there is none, length 1
(https://developers.google.com/earth-engine/guides/aef_on_gcs_readme). Its files are bottom-up: the first row is the
southernmost. Rows are found through the file's own transform here, whichever way it runs; nothing is flipped.
TESSERA: ``grid_LON_LAT.npy``, (H, W, 128) int8, times ``grid_LON_LAT_scales.npy``, (H, W) or (H, W, 128) float32, on the
grid of a GeoTIFF that masks land; or float32 GeoTIFF, 128 bands (https://github.com/ucam-eo/geotessera).
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from placevec.errors import SourceError
from placevec.io.files import check_regular
from placevec.sources.imagery.range_file import RangeFile
from placevec.sources.imagery.stac import client_for, is_address
from placevec.sources.patience import PatientClient
from placevec.sources.published.products import ALPHAEARTH, TESSERA, UNKNOWN, Edition, year_in
from placevec.sources.web_address import printable_address

NO_DATA = -128
MAX_SIDE = 1_000_000
_UNIT = (0.9, 1.1)
"""Lengths of AlphaEarth's vectors after quantization to 8 bits: 1 but for rounding."""
_OUTLIER = 100.0
"""Times the median: a scale, or a length, that no vector of TESSERA has."""
_SAMPLED = 16
"""Every which row and column of a tile's scales says what is usual."""
_NUMBERS = itertools.count()


class VectorRaster(Protocol):
    """A raster whose pixels are vectors.

    Attributes:
        name: of the file, for messages.
        edition: what it is of.
        system: its coordinate reference system, for PROJ.
        transform: from (column, row) to its coordinates.
        shape: (rows, columns).
    """

    name: str
    edition: Edition
    system: Any
    transform: Any
    shape: tuple[int, int]

    def read(self, rows: slice, columns: slice) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """((H, W, D) vectors, NaN where there is none; (H, W) where it is no vector of this product)."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


class GeoTiff:
    """AlphaEarth's or TESSERA's GeoTIFF, on this machine or on a web server; see `VectorRaster`.

    Raises:
        SourceError: it cannot be read, or is neither.
    """

    def __init__(self, path: str) -> None:
        import rasterio

        self.name = printable_address(path) if is_address(path) else path
        self._remote: RangeFile | None = None
        self._client: PatientClient | None = None
        self._key = f"published-{next(_NUMBERS)}"
        try:
            if is_address(path):
                self._client = client_for(path)
                self._remote = RangeFile(path, self._client)
                self._file = rasterio.open(self._key, driver="GTiff", opener=self._only)
            else:
                self._file = rasterio.open(check_regular(path, "raster"), driver="GTiff")
        except rasterio.errors.RasterioError as error:
            raise SourceError(f"{self.name} is not a GeoTIFF, or is damaged: {str(error)[:200]}") from error
        try:
            self.edition = self._edition(path)
        except SourceError:
            self._file.close()
            raise
        self.system, self.transform = self._file.crs.to_wkt(), self._file.transform
        self.shape = (self._file.height, self._file.width)

    def _only(self, path: str, mode: str = "rb") -> RangeFile:
        """Opens nothing beside the file itself."""
        if not path.endswith(self._key) or self._remote is None:
            raise FileNotFoundError(path)
        self._remote.seek(0)
        return self._remote

    def _edition(self, path: str) -> Edition:
        file, kinds = self._file, set(self._file.dtypes)
        if file.crs is None or max(file.height, file.width) > MAX_SIDE:
            raise SourceError(
                f"{self.name} has no coordinate reference system, or has more than {MAX_SIDE:,} rows"
            )
        tags = file.tags()
        if file.count == 64 and kinds <= {"int8", "float32", "float64"} and len(kinds) == 1:
            named = [one for one in file.descriptions if one]
            if named and named != [f"A{band:02d}" for band in range(64)]:
                raise SourceError(
                    f"{self.name} has 64 bands, but AlphaEarth's are A00 to A63 in order; its first are "
                    f"{', '.join(named[:3])[:60]}"
                )
            return Edition(ALPHAEARTH, 64, tags.get("MODEL_VERSION", "v1"), year_in(path))
        if file.count == 128 and kinds <= {"float32", "float64"}:
            return _tessera(tags.get("TESSERA_DATASET_VERSION"), tags.get("TESSERA_DATASET_VARIANT"),
                            tags.get("TESSERA_YEAR") or year_in(path))  # fmt: skip
        if file.count == 128 and kinds == {"int8"}:
            raise SourceError(
                f"{self.name} has TESSERA's 128 bands as int8, but a GeoTIFF has no scales: give the .npy file with "
                f"its _scales.npy, or float32"
            )
        raise SourceError(
            f"{self.name} has {file.count:,} bands of {', '.join(sorted(kinds))}; AlphaEarth has 64 bands of int8, "
            f"and TESSERA 128 of float32"
        )

    def read(self, rows: slice, columns: slice) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """See `VectorRaster`."""
        import rasterio

        window = rasterio.windows.Window.from_slices(rows, columns)
        try:
            stored = np.moveaxis(self._file.read(window=window), 0, -1)
        except rasterio.errors.RasterioError as error:
            told = self._remote.failed if self._remote is not None else None
            raise told or SourceError(f"{self.name} is damaged: {str(error)[:200]}") from error
        if self._remote is not None and self._remote.failed is not None:
            raise self._remote.failed
        if stored.dtype == np.int8:
            empty = (stored == NO_DATA).any(axis=-1)
            vectors = alphaearth_numbers(stored)
        else:
            missing = ~np.isfinite(stored)
            if self._file.nodata is not None and np.isfinite(self._file.nodata):
                missing |= stored == self._file.nodata
            vectors, empty = stored.astype(np.float32), missing.any(axis=-1) | (stored == 0).all(axis=-1)
        vectors[empty] = np.nan
        length = np.linalg.norm(vectors, axis=-1)
        if self.edition.product.unit:
            odd = (length < _UNIT[0]) | (length > _UNIT[1])
        else:
            odd = length > _OUTLIER * np.nanmedian(length) if not empty.all() else np.zeros_like(empty)
        vectors[odd] = np.nan
        return vectors, odd

    def close(self) -> None:
        """Close the file, and its connections."""
        self._file.close()
        if self._client is not None:
            self._client.close()


def alphaearth_numbers(stored: NDArray[np.int8]) -> NDArray[np.float32]:
    """Stored numbers of AlphaEarth as they are meant, in [-1, 1].

    >>> [f"{one:.3f}" for one in alphaearth_numbers(np.array([-127, 0, 51], np.int8))]
    ['-0.992', '0.000', '0.160']
    """
    part = stored.astype(np.float32) / np.float32(127.5)
    return np.asarray(part * np.abs(part), np.float32)


def _tessera(version: str | None, variant: str | None, year: str | None) -> Edition:
    """Version and variant together: their vectors are not of one space."""
    told = " ".join(one for one in (version, variant) if one)
    return Edition(TESSERA, 128, told or UNKNOWN, year or "")


class TesseraTile:
    """TESSERA's tile of 0.1 degrees as numpy files, see `VectorRaster`; only the windows asked for are read.

    Args:
        path: ``grid_LON_LAT.npy``.
        land: GeoTIFF of the tile's grid.
        version: of the dataset.
        variant: of the version.

    Raises:
        SourceError: a file is missing or damaged, or they do not fit together.
    """

    def __init__(
        self, path: Path, land: Path, version: str | None = None, variant: str | None = None, year: str = ""
    ) -> None:
        import rasterio

        self.name = str(path)
        scales = path.with_name(f"{path.stem}_scales.npy")
        for needed, what in ((path, "vectors"), (scales, "scales, without which its values are meaningless"),
                             (land, "landmask GeoTIFF, which gives its location")):  # fmt: skip
            if not needed.exists():
                raise SourceError(f"{path} lacks its {what}: {needed} does not exist")
        self._vectors, self._scales = _mapped(path), _mapped(scales)
        shape = self._vectors.shape
        if self._vectors.dtype != np.int8 or len(shape) != 3 or shape[2] != 128:
            raise SourceError(
                f"{path} must be (rows, columns, 128) of int8; it is {shape} of {self._vectors.dtype}"
            )
        if self._scales.dtype != np.float32 or self._scales.shape not in (shape[:2], shape):
            raise SourceError(
                f"{scales} must be {shape[:2]} or {shape} of float32; it is {self._scales.shape} of {self._scales.dtype}"
            )
        try:
            with rasterio.open(check_regular(land, "raster"), driver="GTiff") as file:
                if file.crs is None or (file.height, file.width) != shape[:2]:
                    raise SourceError(
                        f"{land} has {file.height:,} x {file.width:,} pixels, but {path} has {shape[0]:,} x {shape[1]:,}:"
                        " they do not belong to the same tile"
                    )
                self.system, self.transform = file.crs.to_wkt(), file.transform
        except rasterio.errors.RasterioError as error:
            raise SourceError(f"{land} is not a GeoTIFF, or is damaged: {str(error)[:200]}") from error
        self.shape = (int(shape[0]), int(shape[1]))
        self.edition = _tessera(version, variant, year or year_in(str(path)))
        sample = np.asarray(self._scales[::_SAMPLED, ::_SAMPLED], np.float64)
        sample = sample[np.isfinite(sample) & (sample > 0)]
        self._usual = float(np.median(sample)) if len(sample) else np.nan

    def read(self, rows: slice, columns: slice) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """See `VectorRaster`; a scale that is negative, or far from those of the tile, is an error of the file."""
        stored, scales = self._vectors[rows, columns], np.asarray(self._scales[rows, columns])
        every = scales[..., None] if scales.ndim == 2 else scales
        with np.errstate(invalid="ignore"):
            odd = ((every < 0) | (every > _OUTLIER * self._usual)).any(axis=-1)
        empty = ~np.isfinite(every).all(axis=-1) | (every == 0).all(axis=-1) | (stored == 0).all(axis=-1)
        odd |= np.isinf(every).any(axis=-1)
        vectors = np.asarray(stored.astype(np.float32) * np.where(odd[..., None], 0, every), np.float32)
        vectors[odd | empty] = np.nan
        return vectors, odd

    def close(self) -> None:
        """Nothing is held but maps of files."""


def _mapped(path: Path) -> NDArray[Any]:
    try:
        found = np.load(check_regular(path, "array"), mmap_mode="r", allow_pickle=False)
    except Exception as error:  # a header can contain anything, even syntax errors and overflows
        raise SourceError(f"{path} is not a numpy array, or is damaged: {str(error)[:200]}") from error
    if not isinstance(found, np.ndarray):
        raise SourceError(f"{path} is not a numpy array")
    return found
