"""A new dataset of cells alone: your polygons and points, a grid in meters, map tiles or H3 cells of an area.

Views are added to it afterwards: images, points of interest, a map.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from placevec.datasets.additions import PLACES_PART, Made
from placevec.datasets.dataset import Dataset
from placevec.datasets.places import DEFAULT_SIZE_M, Places
from placevec.datasets.writer import begin, write_dataset
from placevec.errors import AreaError, MissingExtraError, UsageError
from placevec.geo import Area, metric_grid, tiles_of_area
from placevec.io import atomic
from placevec.io.progress import Progress, say_notes
from placevec.preparation.cell_options import CellOptions
from placevec.preparation.existing_places import box_around
from placevec.preparation.osm import MAX_PLACES, check_count
from placevec.sources.tables.points import Points, read_points

KIND = "cells"


def lay_out(out: Path, options: CellOptions, *, created: str, progress: Progress) -> Dataset:
    """A dataset of places without views; the existing one, if it was made from the same.

    Args:
        out: its directory.
        options: a table of points or polygons, or an area covered by a grid, by tiles or by H3 cells; area and zoom are
            those of the map, if one is drawn afterwards.
        created: when, in ISO 8601.
        progress: where to report.

    Raises:
        UsageError: neither places nor an area with one way to divide it.
        MissingExtraError: H3 is not installed.
        SourceError: the table has no places.
        AreaError: more cells than memory holds, or none.
    """
    places, spacing_m, h3, size_m = options.places, options.spacing, options.h3, options.size_m
    area, zoom = (None, None) if options.draws else (options.area(), options.zoom)
    ways = {"--spacing": spacing_m, "--zoom": zoom, "--h3": h3}
    given = [flag for flag, value in ways.items() if value is not None]
    if places is not None and (area is not None or given):
        raise UsageError(
            f"--places already lists the cells: {given[0] if given else 'an area'} does not apply"
        )
    if places is None and (area is None or len(given) != 1):
        raise UsageError(
            "new cells need --places TABLE, or an area (--bbox, --polygon) with one of --spacing, --zoom and --h3"
        )
    inputs = {
        "places": None if places is None else atomic.sha256_of_file(places),
        "area": None if area is None else area.as_dict(),
        "spacing_m": spacing_m, "zoom": zoom, "h3": h3, "size_m": size_m,
    }  # fmt: skip
    parts = {PLACES_PART: Made(KIND, inputs)}
    if (there := begin(out, parts, progress)) is not None:
        return there
    if places is not None:
        points = read_points(places)
        laid, notes = _given(points, size_m)
        say_notes((*(f"{places}: {note}" for note in points.notes), *notes), progress)
        located = laid.lonlat[np.isfinite(laid.lonlat).all(axis=1)]
        area = box_around(located, float(laid.size_m or DEFAULT_SIZE_M))
    else:
        assert area is not None
        laid, notes = _of_area(area, spacing_m, zoom, h3, size_m), []
    if len(laid) == 0:
        raise AreaError("the area has no cell: choose a larger area, or smaller cells")
    source = {"kind": KIND, "name": "cells", "attribution": "", "sha256": inputs["places"]}
    return write_dataset(
        out, name=places.stem if places is not None else "cells", area=area, places=laid, names=None,
        sources=[source], views={}, report={KIND: {"notes": notes}}, parts=parts, created=created,
    )  # fmt: skip


def _of_area(
    area: Area, spacing_m: float | None, zoom: int | None, h3: int | None, size_m: float | None
) -> Places:
    if spacing_m is not None:
        check_count(area, 17, spacing_m)
        return Places.from_grid(metric_grid(area, spacing_m), size_m=size_m or spacing_m, spacing_m=spacing_m)
    if zoom is not None:
        check_count(area, zoom, None)
        return Places.from_tiles(tiles_of_area(area, zoom), zoom)
    assert h3 is not None
    return _of_h3(area, h3, size_m)


def _of_h3(area: Area, resolution: int, size_m: float | None) -> Places:
    """The H3 cells whose center lies in an area."""
    import shapely

    try:
        import h3
    except ImportError:
        raise MissingExtraError("h3", "cells") from None
    estimate = area_km2(area) / h3.average_hexagon_area(resolution, "km^2")
    if estimate > MAX_PLACES:
        raise AreaError(
            f"the area has about {estimate:,.0f} H3 cells, more than {MAX_PLACES:,}: use a lower --h3"
        )
    found: list[str] = []
    for west, south, east, north in area.parts():
        box = h3.LatLngPoly([(south, west), (south, east), (north, east), (north, west)])
        found += h3.polygon_to_cells(box, resolution)
    names = sorted(set(found))
    lonlat = np.array([h3.cell_to_latlng(name)[::-1] for name in names], np.float64).reshape(-1, 2)
    kept = area.contains(lonlat[:, 0], lonlat[:, 1]) if len(names) else np.zeros(0, bool)
    names, lonlat = [name for name, is_in in zip(names, kept, strict=True) if is_in], lonlat[kept]
    shapes = np.empty(len(names), object)
    for row, name in enumerate(names):
        ring = np.array(h3.cell_to_boundary(name))[:, ::-1]
        if np.ptp(ring[:, 0]) > 180.0:  # drawn around the center, beyond the antimeridian
            ring[:, 0] = np.where(ring[:, 0] - lonlat[row, 0] > 180.0, ring[:, 0] - 360.0, ring[:, 0])
            ring[:, 0] = np.where(ring[:, 0] - lonlat[row, 0] < -180.0, ring[:, 0] + 360.0, ring[:, 0])
        shapes[row] = shapely.Polygon(ring)
    side = size_m or float(np.sqrt(h3.average_hexagon_area(resolution, "m^2")))
    return Places(np.array(names, object), lonlat, shapes, side, "given")


def _given(points: Points, size_m: float | None) -> tuple[Places, list[str]]:
    """Places of a table, and what is odd about their polygons: invalid, without area, overlapping."""
    import shapely

    geometry = np.array(points.geometry, object)
    is_area = np.array([shape is not None and "Polygon" in shape.geom_type for shape in geometry], bool)
    notes: list[str] = []
    broken = is_area & ~shapely.is_valid(geometry)
    if broken.any():
        notes.append(
            f"{int(broken.sum()):,} of {int(is_area.sum()):,} polygons were invalid and have been repaired"
        )
        geometry[broken] = shapely.make_valid(geometry[broken])
    flat = is_area & (shapely.area(geometry) == 0)
    if flat.any():
        notes.append(f"{int(flat.sum()):,} polygons have no area")
    shapes = geometry[is_area & ~flat]
    if len(shapes):
        first, second = shapely.STRtree(shapes).query(shapes, predicate="overlaps")
        if (first < second).any():
            notes.append(f"{int((first < second).sum()):,} pairs of polygons overlap")
        size_m = size_m or _mean_side_m(shapes)
    return Places(points.place_id, points.lonlat, geometry, size_m or DEFAULT_SIZE_M, "given"), notes


def _mean_side_m(shapes: np.ndarray) -> float:  # type: ignore[type-arg]
    """Side of a square of the mean area of some polygons, meters."""
    from pyproj import Geod

    geod = Geod(ellps="WGS84")
    areas = [float(abs(geod.geometry_area_perimeter(shape)[0])) for shape in shapes]
    return float(np.sqrt(np.mean(areas)))


def area_km2(area: Area) -> float:
    """Square kilometers of the box of an area.

    >>> round(area_km2(Area(24.0, 60.0, 25.0, 61.0)), -2)
    6100.0
    """
    from pyproj import Geod
    from shapely.geometry import box

    geod = Geod(ellps="WGS84")
    return sum(float(abs(geod.geometry_area_perimeter(box(*part))[0])) for part in area.parts()) / 1e6
