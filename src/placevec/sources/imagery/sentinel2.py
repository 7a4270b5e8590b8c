"""Chips out of scenes of Sentinel-2: local files, or files on a server that are read in parts.

A scene is opened once and read for all chips that lie in it, its bands side by side. Numbers come out as reflectance
x 10,000, from which the offset of baseline 04.00 is removed exactly once (`boa_offset`); 0 is no data.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec.errors import SourceError
from placevec.io.files import check_regular
from placevec.sources.imagery.boa_offset import DARKEST_SHARE, OffsetDecision, decide_offset
from placevec.sources.imagery.ground import Square, read_onto
from placevec.sources.imagery.range_file import RangeFile
from placevec.sources.imagery.scenes import Asset, Scene
from placevec.sources.imagery.stac import client_for, is_address
from placevec.sources.patience import PatientClient
from placevec.sources.web_address import printable_address

QUANTIFICATION = 10_000.0
"""Stored numbers of a reflectance of 1."""
TYPES = ("uint8", "uint16", "int16", "float32")
MAX_SIDE = 131_072
MAX_BLOCK_BYTES = 2**28
_NUMBERS = itertools.count()
_LOOKED_AT_PX = 512
"""Side of what is read of a scene to find its darkest pixels."""


@dataclass
class Chip:
    """What a scene shows of a square.

    Attributes:
        pixels: (C, H, W) reflectance x 10,000, at least 1; 0 where there is no data in some band.
        classes: (H, W) scene classification, NaN where there is none; None if the scene has none.
    """

    pixels: NDArray[np.uint16]
    classes: NDArray[np.float32] | None

    @property
    def empty(self) -> NDArray[np.bool_]:
        """(H, W) where there is no data."""
        return np.asarray(self.pixels[0] == 0)


class SceneReader:
    """Reads scenes, and keeps the last few open.

    Args:
        address: the catalog, whose server can be anywhere; see `stac.client_for`.
        bands: to read.
        connections: threads, each of which has its own connections and files.
        forced: what to add to the stored numbers whatever is said, or None to decide for each scene.
        keep: scenes kept open.
        signer: address that signs those of files, see `signing`.

    Attributes:
        decisions: id of each scene that was opened -> what is added to its numbers.
    """

    def __init__(
        self,
        address: str,
        bands: Sequence[str],
        *,
        connections: int = 4,
        forced: int | None = None,
        keep: int = 8,
        signer: str | None = None,
    ) -> None:
        self.bands, self._forced, self._keep = tuple(bands), forced, keep
        named = (address,) if signer is None else (address, signer)
        self._lanes = [_Lane(client_for(*named), signer) for _ in range(connections)]
        self._open: dict[str, _OpenScene] = {}
        self.decisions: dict[str, OffsetDecision] = {}

    def __enter__(self) -> SceneReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, scene: Scene, squares: Sequence[Square]) -> list[Chip]:
        """The chips of a scene, one per square.

        Raises:
            SourceError: the scene cannot be read (any more); it is closed then.
        """
        try:
            opened = self._opened(scene)
            return opened.read(squares)
        except SourceError:
            self._close(scene.id)
            raise

    def _opened(self, scene: Scene) -> _OpenScene:
        found = self._open.pop(scene.id, None)
        if found is None:
            while len(self._open) >= self._keep:
                self._close(next(iter(self._open)))
            found = _OpenScene(scene, self.bands, self._lanes)
        self._open[scene.id] = found  # the last one used is the last one closed
        if scene.id not in self.decisions:
            self.decisions[scene.id] = self._decided(scene, found)
        found.added = self.decisions[scene.id].added
        return found

    def _decided(self, scene: Scene, opened: _OpenScene) -> OffsetDecision:
        decided = decide_offset(scene, opened.darkest(), self.bands[0])
        if self._forced is None:
            return decided
        return replace(decided, added=self._forced, reason="given", doubtful=False)

    def _close(self, name: str) -> None:
        if (scene := self._open.pop(name, None)) is not None:
            scene.close()

    def close(self) -> None:
        """Close all files and connections."""
        for name in list(self._open):
            self._close(name)
        for lane in self._lanes:
            lane.close()


class _Lane:
    """A thread with its own connections: files that it opened are read and closed by it alone."""

    def __init__(self, client: PatientClient, signer: str | None) -> None:
        self.client, self.signer = client, signer
        self._thread = ThreadPoolExecutor(max_workers=1)

    def submit(self, work: Callable[[], Any]) -> Future[Any]:
        return self._thread.submit(work)

    def close(self) -> None:
        self._thread.submit(self.client.close)
        self._thread.shutdown(wait=True)


class _OpenScene:
    """The files of a scene, opened when first read."""

    def __init__(self, scene: Scene, bands: Sequence[str], lanes: Sequence[_Lane]) -> None:
        self.scene, self.bands, self.added = scene, tuple(bands), 0
        assets = [scene.bands[band] for band in bands]
        hrefs = list(dict.fromkeys(asset.href for asset in assets))  # one file may have several bands
        files = {href: _File(href, lanes[at % len(lanes)]) for at, href in enumerate(hrefs)}
        self._bands = [(asset, files[asset.href]) for asset in assets]
        self._classes = (
            None if scene.classes is None else _File(scene.classes.href, lanes[len(files) % len(lanes)])
        )
        self._files = [*files.values(), *([] if self._classes is None else [self._classes])]

    def darkest(self) -> float | None:
        """The stored number below which `DARKEST_SHARE` of the valid pixels of the darkest band lie."""
        waiting = [file.submit(partial(file.darkest, asset)) for asset, file in self._bands]
        found = [value for one in waiting if (value := _result(one, self.scene)) is not None]
        return min(found) if found else None

    def read(self, squares: Sequence[Square]) -> list[Chip]:
        waiting = [file.submit(partial(file.numbers, asset, squares)) for asset, file in self._bands]
        own = self._classes
        seen = None if own is None else own.submit(partial(own.read, 1, squares, classes=True))
        stored = [_result(one, self.scene) for one in waiting]
        classes = None if seen is None else _result(seen, self.scene)
        return [
            Chip(
                self._reflectance(np.stack([band[at] for band in stored])),
                None if classes is None else classes[at],
            )
            for at in range(len(squares))
        ]

    def _reflectance(self, stored: NDArray[np.float32]) -> NDArray[np.uint16]:
        empty = np.isnan(stored).any(axis=0)
        found = np.clip(np.rint(np.nan_to_num(stored) + self.added), 1, 65_535).astype(np.uint16)
        found[:, empty] = 0
        return found

    def close(self) -> None:
        for file in self._files:
            file.submit(file.close).result()


def _result(waiting: Future[Any], scene: Scene) -> Any:
    try:
        return waiting.result()
    except SourceError as error:
        raise SourceError(f"the scene {scene.id}: {error}") from error


class _File:
    """One raster file, used by the thread of one lane alone."""

    def __init__(self, href: str, lane: _Lane) -> None:
        self.href, self._lane = href, lane
        self._remote: RangeFile | None = None
        self._raster: Any = None
        self._name = f"remote-{next(_NUMBERS)}"
        self.submit = lane.submit

    def numbers(self, asset: Asset, squares: Sequence[Square]) -> list[NDArray[np.float32]]:
        """(H, W) each, of a band in stored numbers of which 10,000 are a reflectance of 1; NaN without data."""
        found = self.read(asset.number, squares)
        return [one * np.float32(self._scale(asset)) for one in found]

    def read(
        self, number: int, squares: Sequence[Square], *, classes: bool = False
    ) -> list[NDArray[np.float32]]:
        """(H, W) each, of a band as stored; NaN without data."""
        with self._explained():
            file = self._opened(number)
            return [read_onto(file, [number], square, classes=classes)[0] for square in squares]

    def darkest(self, asset: Asset) -> float | None:
        """See `_OpenScene.darkest`, of one band; None if nothing in it has data."""
        with self._explained():
            pixels = np.concatenate(
                [part.ravel() for part in _samples(self._opened(asset.number), asset.number)]
            )
            valid = pixels[np.isfinite(pixels) & (pixels != (self._raster.nodata or 0))]
            scale = self._scale(asset)
            return float(np.quantile(valid.astype(np.float64), DARKEST_SHARE)) * scale if len(valid) else None

    def _scale(self, asset: Asset) -> float:
        """Factor to numbers of which 10,000 are a reflectance of 1."""
        if asset.scale is not None and asset.scale > 0:
            return asset.scale * QUANTIFICATION
        return QUANTIFICATION if self._raster.dtypes[asset.number - 1] == "float32" else 1.0

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Errors of GDAL, and those that it hides, as a SourceError."""
        import rasterio
        from rasterio.errors import RasterioError

        try:
            with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR", GDAL_PAM_ENABLED=False):
                yield
        except (RasterioError, rasterio.errors.CRSError, ValueError, OSError, IndexError) as error:
            if self._remote is not None and self._remote.failed is not None:
                raise self._remote.failed from error
            raise SourceError(f"{printable_address(self.href)} cannot be read: {error}") from error
        if self._remote is not None and self._remote.failed is not None:
            raise self._remote.failed

    def _opened(self, number: int) -> Any:
        import rasterio

        if self._raster is None:
            if is_address(self.href):
                self._remote = RangeFile(self.href, self._lane.client, self._lane.signer)
                driver = _driver(self._remote.read(12))
                self._raster = rasterio.open(self._name, driver=driver, opener=self._only)
            else:
                with open(check_regular(self.href, "scene"), "rb") as file:
                    driver = _driver(file.read(12))
                self._raster = rasterio.open(self.href, driver=driver)
            _check(self._raster, self.href)
        if number > self._raster.count:
            raise SourceError(
                f"{printable_address(self.href)} has {self._raster.count} bands, and no band {number}"
            )
        return self._raster

    def _only(self, path: str, mode: str = "rb") -> RangeFile:
        """Opens nothing beside the file itself, such as overviews or metadata that might lie next to it."""
        if not path.endswith(self._name) or self._remote is None:
            raise FileNotFoundError(path)
        self._remote.seek(0)
        return self._remote

    def close(self) -> None:
        if self._raster is not None:
            self._raster.close()
        self._raster = self._remote = None


def _driver(head: bytes) -> str:
    """GDAL's driver of a file, which no other one is to open."""
    return "JP2OpenJPEG" if head[4:8] == b"jP  " else "GTiff"


def _check(raster: Any, href: str) -> None:
    """SourceError for a raster that no scene is."""
    shown = printable_address(href)
    kinds = set(raster.dtypes)
    if not kinds <= set(TYPES):
        raise SourceError(
            f"{shown} has pixels of type {', '.join(sorted(kinds))}; supported types: {', '.join(TYPES)}"
        )
    rows, columns = raster.block_shapes[0]
    if max(raster.width, raster.height) > MAX_SIDE or rows * columns * 4 > MAX_BLOCK_BYTES:
        raise SourceError(
            f"{shown} has {raster.width:,} x {raster.height:,} px in blocks of {columns:,} x {rows:,}: too large"
        )


def _samples(raster: Any, number: int) -> list[NDArray[Any]]:
    """Pixels from all over a raster, without reading all of it: of an overview, or of five of its parts."""
    from rasterio.windows import Window

    wide, high = raster.width, raster.height
    factor = max(wide, high) / _LOOKED_AT_PX
    if factor <= 4 or raster.overviews(number) or raster.driver == "JP2OpenJPEG":
        shape = (max(1, round(high / max(factor, 1))), max(1, round(wide / max(factor, 1))))
        return [np.asarray(raster.read(number, out_shape=shape))]
    side = _LOOKED_AT_PX // 2
    return [
        np.asarray(
            raster.read(number, window=Window(int(x * (wide - side)), int(y * (high - side)), side, side))
        )
        for x, y in ((0.5, 0.5), (0.2, 0.2), (0.8, 0.2), (0.2, 0.8), (0.8, 0.8))
    ]
