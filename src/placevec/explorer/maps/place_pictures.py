"""What a model reads of places, as pictures with the outline of the entity on them: map windows or chips."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from placevec.datasets.views.chips import open_shard, read_chips, shard_name
from placevec.explorer.maps.cartography import Bytes
from placevec.explorer.maps.pictures import MapPictures
from placevec.explorer.maps.scene import has_map
from placevec.geo import MAX_MERCATOR_LATITUDE, Floats, footprint_bounds, lonlat_to_tile_xy

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from placevec.datasets.dataset import Dataset

ACCENT = (179, 0, 75)
_HALO = (255, 255, 255)
_SUB = 4
"""Bits of a pixel's fraction in cv2's drawing."""
_COLORS = ("B04", "B03", "B02"), ("red", "green", "blue"), ("r", "g", "b")
Project = Callable[[Floats], Floats]
"""(N, 2) lon, lat degrees -> (N, 2) column, row in pixels."""


def place_pictures(
    dataset: Dataset,
    place_ids: Sequence[str],
    lonlat: Floats,
    shapes: Mapping[str, BaseGeometry],
    *,
    view: str,
    window_m: float | None = None,
    px: int = 256,
) -> list[Bytes | None]:
    """(px, px, 3) uint8 for each place; None where nothing is known to draw.

    Args:
        dataset: the dataset of the places.
        place_ids: N places.
        lonlat: (N, 2) degrees of their centers.
        shapes: place_id -> outline to draw, degrees; of places without one only the picture is drawn.
        view: the view searched: chips are drawn if it is one of chips; otherwise the map, if there is one.
        window_m: side in meters of the square that the model reads on a map; None takes the dataset's footprint.
        px: side of a picture.
    """
    chips = [name for name in dataset.view_names if dataset.spec(name).kind == "chips"]
    if has_map(dataset) and view not in chips:
        return _of_map(dataset, place_ids, lonlat, shapes, window_m or dataset.footprint_m or 200.0, px)
    if chips:
        return _of_chips(dataset, place_ids, shapes, view if view in chips else chips[0], px)
    return [None] * len(place_ids)


def _of_map(
    dataset: Dataset, place_ids: Sequence[str], lonlat: Floats, shapes: Mapping[str, BaseGeometry], window_m: float,
    px: int,
) -> list[Bytes | None]:  # fmt: skip
    maps = MapPictures.of(dataset)
    known = np.isfinite(lonlat).all(axis=1) & (np.abs(lonlat[:, 1]) < MAX_MERCATOR_LATITUDE)
    found: list[Bytes | None] = []
    for place, point, there in zip(place_ids, lonlat, known, strict=True):
        if not there:
            found.append(None)
            continue
        x0, y0, x1, y1 = footprint_bounds(point[None], window_m, maps.zoom)[0].tolist()
        picture = maps.picture(maps.read((x0, y0, x1, y1), px), window_m / px)

        def project(places: Floats, x0: float = x0, y0: float = y0, scale: float = px / (x1 - x0)) -> Floats:
            lat = np.clip(places[:, 1], -MAX_MERCATOR_LATITUDE, MAX_MERCATOR_LATITUDE)
            return (lonlat_to_tile_xy(places[:, 0], lat, maps.zoom) - (x0, y0)) * scale

        found.append(outlined(picture, shapes.get(place), project))
    return found


def _of_chips(
    dataset: Dataset, place_ids: Sequence[str], shapes: Mapping[str, BaseGeometry], view: str, px: int
) -> list[Bytes | None]:
    """The first chip of each place in its own colors, each stretched from its 2nd to its 98th percentile."""
    rows = read_chips(dataset.path, view)
    first: dict[str, int] = {}
    for row, place in enumerate(rows["place_id"].to_pylist()):
        first.setdefault(place, row)
    found: list[Bytes | None] = []
    for place in place_ids:
        if place not in first:
            found.append(None)
            continue
        about = {
            name: rows[name][first[place]].as_py() for name in ("shard", "row", "bands", "crs", "transform")
        }
        pixels = np.asarray(open_shard(dataset.path / shard_name(about["shard"]))[about["row"]], np.float32)
        picture = cv2.resize(_in_colors(pixels, about["bands"]), (px, px), interpolation=cv2.INTER_NEAREST)
        project = _onto_chip(about["crs"], about["transform"], (pixels.shape[2], pixels.shape[1]), px)
        found.append(picture if project is None else outlined(picture, shapes.get(place), project))
    return found


def _in_colors(pixels: NDArray[np.float32], bands: Sequence[str]) -> Bytes:
    """(H, W, 3) of (C, H, W) pixels."""
    at = next(([bands.index(name) for name in names] for names in _COLORS if set(names) <= set(bands)), None)
    shown = pixels[at] if at is not None else pixels[:3] if len(pixels) >= 3 else pixels[[0, 0, 0]]
    low, high = np.nanpercentile(shown, (2, 98))
    stretched = np.nan_to_num((shown - low) / max(float(high - low), 1e-9))
    return np.ascontiguousarray(np.moveaxis(np.rint(stretched.clip(0, 1) * 255).astype(np.uint8), 0, 2))


def _onto_chip(
    crs: str | None, transform: Sequence[float] | None, size: tuple[int, int], px: int
) -> Project | None:
    """From degrees to the pixels of a chip that is drawn ``px`` wide; None if it lies nowhere."""
    if not crs or not transform:
        return None
    from pyproj import Transformer
    from pyproj.exceptions import ProjError
    from rasterio.transform import Affine

    try:
        there = Transformer.from_crs("OGC:CRS84", crs, always_xy=True)
        back = ~Affine(*transform)
    except (ProjError, ValueError, ArithmeticError):
        return None
    scale = np.array([px / size[0], px / size[1]])

    def project(places: Floats) -> Floats:
        x, y = there.transform(places[:, 0], places[:, 1])
        column, row = back * (np.asarray(x), np.asarray(y))
        return np.asarray(np.stack([column, row], axis=1) * scale, np.float64)

    return project


def outlined(picture: Bytes, shape: BaseGeometry | None, project: Project) -> Bytes:
    """A picture with the outline of a shape drawn on it: lines with a white edge, points as rings.

    >>> import shapely
    >>> paper = np.full((32, 32, 3), 240, np.uint8)
    >>> drawn = outlined(paper, shapely.box(8, 8, 24, 24), lambda places: places)
    >>> drawn[8, 16].tolist(), drawn[16, 16].tolist()
    ([179, 0, 75], [240, 240, 240])
    """
    import shapely

    if shape is None or shape.is_empty:
        return picture
    out = np.ascontiguousarray(picture.copy())
    height, width = out.shape[:2]
    projected = shapely.transform(shape, project)
    if not np.isfinite(shapely.get_coordinates(projected)).all():
        return picture
    around = (-width, -height, 2 * width, 2 * height)  # drawing takes no numbers that are much larger
    lines: list[NDArray[np.int32]] = []
    rings: list[tuple[int, int]] = []
    for part in shapely.get_parts(projected).tolist():
        kind = part.geom_type
        if kind == "Point":
            x, y = part.x, part.y
            if around[0] <= x <= around[2] and around[1] <= y <= around[3]:
                rings.append((round(x * 2**_SUB), round(y * 2**_SUB)))
            continue
        edge = part.boundary if kind == "Polygon" else part
        for line in shapely.get_parts(shapely.clip_by_rect(edge, *around)).tolist():
            if line.geom_type in ("LineString", "LinearRing") and not line.is_empty:
                lines.append(np.rint(shapely.get_coordinates(line) * 2**_SUB).astype(np.int32)[:, None])
    thin = max(2, round(width / 128))
    for color, thick in ((_HALO, thin + 3), (ACCENT, thin)):
        cv2.polylines(out, lines, False, color, thick, cv2.LINE_AA, _SUB)
        for center in rings:
            cv2.circle(out, center, round(width / 24) << _SUB, color, thick, cv2.LINE_AA, _SUB)
    return out


def shapes_of(dataset: Dataset, place_ids: Sequence[str]) -> dict[str, Any]:
    """place_id -> outline of its entity, else of the place itself if it is no point; degrees."""
    from placevec.datasets.entities import has_entities
    from placevec.datasets.entity_lookup import entities_of, outlines_of

    found: dict[str, Any] = {}
    if has_entities(dataset):
        entities = entities_of(dataset, place_ids)
        outlines = outlines_of(dataset, sorted({one.entity_id for one in entities if one is not None}))
        found = {
            place: outlines[one.entity_id]
            for place, one in zip(place_ids, entities, strict=True)
            if one is not None and one.entity_id in outlines
        }
    rows = {str(place): row for row, place in enumerate(dataset.place_ids)}
    missing = [place for place in place_ids if place not in found and place in rows]
    geometry = dataset.geometry() if missing else ()
    for place in missing:
        shape = geometry[rows[place]]
        if shape is not None and shape.geom_type != "Point":
            found[place] = shape
    return found
