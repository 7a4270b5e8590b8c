"""Scenes of Sentinel-2: what is known of one acquisition of one tile, whichever catalog or folder it comes from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from placevec.io.json_documents import NONE, check

BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
COMMON_NAMES = {
    "coastal": "B01", "blue": "B02", "green": "B03", "red": "B04", "rededge1": "B05", "rededge2": "B06",
    "rededge3": "B07", "nir": "B08", "nir08": "B8A", "nir09": "B09", "cirrus": "B10", "swir16": "B11", "swir22": "B12",
}  # fmt: skip
"""Names of the bands in STAC catalogs that do not number them."""
_TILE = re.compile(r"(?<![0-9A-Z])T?(\d{1,2})([C-HJ-NP-X][A-HJ-NP-Z]{2})(?![A-Z0-9])")
_BASELINE = re.compile(r"^\d{2}\.\d{2}$")
_IN_NAME = re.compile(r"_N(\d{2})(\d{2})_")


@dataclass(frozen=True)
class Asset:
    """One band in one raster file.

    Attributes:
        href: address or path of the file.
        number: its band in the file, from 1.
        scale: factor from stored numbers to reflectance that the catalog declares, or None.
        offset: what it declares to be added then, in reflectance, or None.
    """

    href: str
    number: int = 1
    scale: float | None = None
    offset: float | None = None


@dataclass(frozen=True)
class Scene:
    """One acquisition of one tile.

    Attributes:
        id: its name in the catalog.
        tile: MGRS tile such as ``35VLG``; empty if unknown.
        when: ISO date and time of sensing, or only the date.
        bounds: west, south, east, north of its outline in degrees; west > east across the antimeridian.
        bands: name of each band -> where it is.
        classes: scene classification (SCL), or None.
        cloud: cloud cover in percent, or None.
        baseline: processing baseline such as ``05.09``, or None.
        applied: what the catalog says about whether the offset of baseline 04.00 is applied already, or None.
        product: ``l2a``, ``l1c``, or empty if unknown.
        updated: when the catalog entry was made; the later of two equal ones counts.

    >>> scene = Scene("a", "35VLG", "2023-07-01T09:50:31Z", (24, 60, 26, 61), {"B04": Asset("red.tif")})
    >>> Scene.from_dict(scene.as_dict()) == scene
    True
    """

    id: str
    tile: str
    when: str
    bounds: tuple[float, float, float, float]
    bands: Mapping[str, Asset]
    classes: Asset | None = None
    cloud: float | None = None
    baseline: str | None = None
    applied: bool | None = None
    product: str = ""
    updated: str = ""

    @property
    def date(self) -> str:
        """ISO date of sensing; empty if unknown."""
        return self.when[:10]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        bands = {name: dict(asset.__dict__) for name, asset in self.bands.items()}
        classes = None if self.classes is None else dict(self.classes.__dict__)
        return {**self.__dict__, "bounds": list(self.bounds), "bands": bands, "classes": classes}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Scene:
        """The inverse of `as_dict`."""
        bands = {name: Asset(**asset) for name, asset in content["bands"].items()}
        classes = None if content["classes"] is None else Asset(**content["classes"])
        return cls(**{**content, "bounds": tuple(content["bounds"]), "bands": bands, "classes": classes})


@dataclass
class Found:
    """Scenes, and why others were left out.

    Attributes:
        scenes: usable ones, least cloudy first.
        left_out: reason -> number.
    """

    scenes: list[Scene] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)

    def leave_out(self, reason: str) -> None:
        """Count one."""
        self.left_out[reason] = self.left_out.get(reason, 0) + 1


def band_named(text: str) -> str | None:
    """The band of Sentinel-2 that a catalog or a file means by a name; None if it is another thing.

    >>> band_named("blue"), band_named("B8A"), band_named("B02_10m"), band_named("b4"), band_named("visual")
    ('B02', 'B8A', 'B02', 'B04', None)
    """
    name = re.sub(r"_\d{2}m$", "", text.strip().lower())
    if name in COMMON_NAMES:
        return COMMON_NAMES[name]
    found = re.fullmatch(r"b0?(\d{1,2}|8a)", name)
    if found is None:
        return None
    told = "B8A" if found[1] == "8a" else f"B{int(found[1]):02d}"
    return told if told in BANDS else None


def tile_in(text: str) -> str:
    """The MGRS tile in a name; empty if there is none.

    >>> tile_in("S2A_MSIL2A_20230701T095031_N0509_R079_T35VLG_20230701T160000"), tile_in("MGRS-5VLG"), tile_in("a")
    ('35VLG', '05VLG', '')
    """
    found = _TILE.search(text.replace("_", " "))
    return "" if found is None else f"{int(found[1]):02d}{found[2]}"


def baseline_in(text: str) -> str | None:
    """The processing baseline in the name of a product.

    >>> baseline_in("S2A_MSIL2A_20230701T095031_N0509_R079_T35VLG_20230701T160000.SAFE")
    '05.09'
    """
    found = _IN_NAME.search(text)
    return None if found is None else f"{found[1]}.{found[2]}"


def checked_baseline(value: Any) -> str | None:
    """A baseline as ``05.09``; None if it is none.

    >>> checked_baseline("05.09"), checked_baseline("4"), checked_baseline(None)
    ('05.09', None, None)
    """
    return value if isinstance(value, str) and _BASELINE.match(value) else None


def without_duplicates(scenes: Iterable[Scene], found: Found) -> list[Scene]:
    """Each tile and second of sensing once: the newest baseline, then the latest entry; least cloudy first.

    The date does not tell how a scene was processed: whole years have been processed again.
    """
    best: dict[tuple[Any, ...], Scene] = {}
    for scene in scenes:
        where = scene.tile or tuple(round(edge, 2) for edge in scene.bounds)
        key = (where, scene.when[:19], scene.product)
        other = best.get(key)
        if other is not None:
            found.leave_out("duplicates of the same tile and time")
        if other is None or _rank(scene) > _rank(other):
            best[key] = scene
    return sorted(best.values(), key=lambda scene: (100.0 if scene.cloud is None else scene.cloud, scene.id))


def _rank(scene: Scene) -> tuple[str, str, str]:
    return scene.baseline or "", scene.updated, scene.id


_ITEM = {
    "id": str,
    "properties": {"eo:cloud_cover?": (float, NONE), "updated?": (str, NONE), "created?": (str, NONE)},
    "assets": {str: dict},
}
_NO_DATA = ("thumbnail", "overview", "visual", "metadata")
_RASTERS = ("image/tiff", "image/vnd.stac.geotiff", "image/jp2")


def scene_of_item(item: Any, resolve: Any) -> Scene:
    """The scene of a STAC item.

    Args:
        item: its JSON.
        resolve: turns the href of an asset into an address or a path; None for one that must not be read.

    Raises:
        ValueError: it is no item of Sentinel-2, with the reason.

    >>> item = {"id": "S2B_35VLG_20230701_0_L2A", "bbox": [24, 60, 26, 61], "geometry": None, "assets": {
    ...     "blue": {"href": "B02.tif", "raster:bands": [{"offset": -0.1, "scale": 0.0001}]}, "scl": {"href": "SCL.tif"}},
    ...     "properties": {"datetime": "2023-07-01T09:50:31Z", "eo:cloud_cover": 4.5, "s2:processing_baseline": "05.09",
    ...     "earthsearch:boa_offset_applied": False}}
    >>> scene = scene_of_item(item, lambda href: f"/scenes/{href}")
    >>> scene.tile, scene.baseline, scene.bands["B02"].offset, scene.classes.href, scene.applied
    ('35VLG', '05.09', -0.1, '/scenes/SCL.tif', False)
    """
    check(item, _ITEM)
    about = item["properties"]
    when = about.get("datetime") or about.get("start_datetime")
    if not isinstance(when, str) or not re.match(r"\d{4}-\d{2}-\d{2}(T|$)", when):
        raise ValueError("an item has no date")
    bands, classes = _assets(item["assets"], resolve)
    uri = str(about.get("s2:product_uri") or "")
    flags = [value for name, value in about.items() if name.endswith("boa_offset_applied")]
    told = next((baseline_in(text) for text in (uri, item["id"]) if baseline_in(text)), None)
    levels = (
        f"{item['id']} {uri} {item.get('collection') or ''} {about.get('processing:level') or ''}".lower()
    )
    return Scene(
        id=item["id"][:200],
        tile=_tile(item["id"], about),
        when=when[:40],
        bounds=_bounds(item),
        bands=bands,
        classes=classes,
        cloud=None if about.get("eo:cloud_cover") is None else float(about["eo:cloud_cover"]),
        baseline=checked_baseline(about.get("s2:processing_baseline") or about.get("processing:version"))
        or told,
        applied=flags[0] if flags and isinstance(flags[0], bool) else None,
        product="l1c" if "l1c" in levels else "l2a" if re.search(r"l2a|\bl2\b", levels) else "",
        updated=str(about.get("updated") or about.get("created") or "")[:40],
    )


def _tile(name: str, about: Mapping[str, Any]) -> str:
    parts = [about.get(f"mgrs:{part}") for part in ("utm_zone", "latitude_band", "grid_square")]
    joined = "".join(map(str, parts)) if None not in parts else ""
    texts = (about.get("s2:mgrs_tile"), about.get("grid:code"), joined, name)
    return next((tile for text in texts if isinstance(text, str) and (tile := tile_in(text))), "")


def _bounds(item: Mapping[str, Any]) -> tuple[float, float, float, float]:
    """From the bbox, with or without heights, or else the geometry."""
    bbox: Any = item.get("bbox")
    if bbox is None and isinstance(item.get("geometry"), dict):
        from shapely.geometry import shape

        try:
            bbox = list(shape(item["geometry"]).bounds)
        except Exception as error:  # shapely raises whatever the nesting is worth
            raise ValueError(f"an item has an invalid geometry ({error})") from error
    check(bbox, [float], "bbox")
    if len(bbox) == 6:
        bbox = [*bbox[:2], *bbox[3:5]]
    if (
        len(bbox) != 4
        or max(map(abs, bbox)) > 180
        or bbox[1] > bbox[3]
        or max(abs(bbox[1]), abs(bbox[3])) > 90
    ):
        raise ValueError("an item has an invalid bbox")
    return (bbox[0], bbox[1], bbox[2], bbox[3])


def _assets(assets: Mapping[str, Any], resolve: Any) -> tuple[dict[str, Asset], Asset | None]:
    """Bands, and the scene classification, of an item's assets; GeoTIFF before JPEG 2000."""
    bands: dict[str, Asset] = {}
    classes: Asset | None = None
    for key, asset in sorted(assets.items(), key=lambda one: (_is_jp2(one), one[0])):
        roles = asset.get("roles") if isinstance(asset.get("roles"), list) else []
        kind = str(asset.get("type") or _RASTERS[0]).split(";")[0].strip().lower()
        href = asset.get("href")
        if kind not in _RASTERS or not isinstance(href, str) or any(role in _NO_DATA for role in roles):
            continue
        where = resolve(href)
        name = key.lower().removesuffix("-jp2")
        if where is None or name in _NO_DATA or name.startswith(("preview", "tci")):
            continue
        if re.sub(r"_\d{2}m$", "", name) == "scl":
            classes = classes or Asset(where)
            continue
        for number, band, about in _bands_of(name, asset):
            bands.setdefault(band, Asset(where, number, *_declared(about)))
    return bands, classes


def _is_jp2(named: tuple[str, Any]) -> bool:
    key, asset = named
    return key.endswith("-jp2") or str(asset.get("href", "")).lower().endswith(".jp2")


def _bands_of(name: str, asset: Mapping[str, Any]) -> Iterable[tuple[int, str, Any]]:
    """(number in the file, band, what is declared of it)."""
    said = asset.get("eo:bands") or asset.get("bands")
    said = [one if isinstance(one, dict) else {} for one in said] if isinstance(said, list) else []
    raster = asset.get("raster:bands")
    raster = [one if isinstance(one, dict) else {} for one in raster] if isinstance(raster, list) else []
    own = band_named(name)
    if own is not None:
        yield 1, own, {**asset, **(said[0] if len(said) == 1 else {}), **(raster[0] if raster else {})}
        return
    for number, one in enumerate(said, 1):
        texts = (one.get("name"), one.get("common_name"), one.get("eo:common_name"))
        band = next((found for text in texts if isinstance(text, str) and (found := band_named(text))), None)
        if band is not None:
            yield number, band, {**one, **(raster[number - 1] if number <= len(raster) else {})}


def _declared(about: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """(scale, offset) of a band."""
    found = []
    for name in ("scale", "offset"):
        value = about.get(name, about.get(f"raster:{name}"))
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e6
        found.append(float(value) if is_number and value == value else None)
    return found[0], found[1]
