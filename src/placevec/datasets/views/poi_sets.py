"""Points of interest of any place, as sets of different sizes: categories, positions and, if asked for, neighbors.

A set is what lies within a square around a point or, where places are polygons, within the polygon of the place.

A category is a group of the table (``food``) or a group with a value (``food/cafe``). A point counts as its own category
if the view has that, otherwise as its group, so that a model reads categories that it never met by what they are part of.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from placevec.core import ROW_MISSING, Look, Ragged, View, ViewSpec
from placevec.datasets.views.pois import read_pois
from placevec.datasets.views.registry import Reader, Stored, check_spec
from placevec.errors import InputError
from placevec.geo import Floats, Ints, offset, to_ecef
from placevec.geo.antimeridian import Objects, wrapped
from placevec.geo.delaunay import delaunay_edges

FILE = "pois.parquet"
VALUES = "category, meters east, meters north"
WITHIN_POLYGONS = "within polygons"
"""Added to the values of a view whose sets are bounded by the polygons of places, where places are such."""
WITH_EDGES = "Delaunay edges"
"""Added to the values of a view that also reads which points are neighbors."""
_WARPS = ("angle", "shift", "keep_share", "seed")
_DIAGONAL = 1.45
_AREAS = ("Polygon", "MultiPolygon")


class PoiSetsView:
    """Points of interest within a square around each point (the `View` of kind ``pois``).

    Args:
        path: the table, see `placevec.datasets.views.pois`.
        spec: its channels are the categories, in order; points of other groups are left out. ``size_m`` is the side of
            the square in meters. Its values say whether reads have edges, and whether polygons bound sets.
        places: (N, 2) lon, lat degrees of the places, which says where there are points at all (`known`).
        shapes: (N,) shapely geometries of the places, or None; needed with `WITHIN_POLYGONS`.

    Raises:
        DatasetError: the table is missing or damaged.
        InputError: a specification without categories or without a size.
    """

    def __init__(
        self, path: str | Path, spec: ViewSpec, places: Floats | None = None, shapes: Objects | None = None
    ) -> None:
        if spec.size_m is None or not spec.channels:
            raise InputError(f"the view {spec.name!r} needs categories and a size in meters")
        pois = read_pois(path)
        pois = pois[pois["group"].notna().to_numpy()]
        group = pois["group"].astype(object)
        self._names = (group.to_numpy(), (group + "/" + pois["value"].astype(object)).to_numpy())
        self._lonlat = pois[["lon", "lat"]].to_numpy(np.float64)
        self._places, self._shapes, self._spec = places, shapes, spec
        self._tree = _tree(self._lonlat)

    @property
    def spec(self) -> ViewSpec:
        """Specification of what is read."""
        return self._spec

    @property
    def lonlat(self) -> Floats:
        """(P, 2) lon, lat degrees of all points, also of those without a category."""
        found: Floats = self._lonlat
        return found

    @cached_property
    def categories(self) -> Ints:
        """(P,) category of each point; -1 of groups that the view does not have."""
        number = {name: position for position, name in enumerate(self._spec.channels)}
        found = np.array([number.get(name, -1) for name in self._names[1].tolist()], np.int64)
        groups = np.array([number.get(name, -1) for name in self._names[0].tolist()], np.int64)
        return np.where(found >= 0, found, groups)

    @cached_property
    def known(self) -> NDArray[np.bool_] | None:
        """(N,) bool: places with a point in their square; None if the places are not known."""
        if self._places is None:
            return None
        found = np.zeros(len(self._places), bool)
        there = np.flatnonzero(np.isfinite(self._places).all(axis=1))
        found[there[np.unique(self._around(self._places[there], rows=there)[0])]] = True
        return found

    def window(
        self,
        *,
        size_m: float | None = None,
        channels: tuple[str, ...] | None = None,
        edges: bool | None = None,
    ) -> PoiSetsView:
        """The same points in a square of another size, in other categories, with or without edges."""
        other = copy.copy(self)
        for cached in ("categories", "known"):
            other.__dict__.pop(cached, None)
        values = self._spec.values
        if edges is not None:
            values = values.removesuffix(f"; {WITH_EDGES}") + f"; {WITH_EDGES}" * edges
        other._spec = dataclasses.replace(
            self._spec,
            size_m=size_m or self._spec.size_m,
            channels=channels or self._spec.channels,
            values=values,
        )
        return other

    def category_counts(self, rows: Ints, lonlat: Floats) -> Ints:
        """(N, C) number of points of each category in the sets of the places at ``rows``, at (N, 2) degrees lon, lat."""
        places = torch.from_numpy(np.asarray(lonlat, np.float64))
        found = self.read(Look(torch.from_numpy(np.asarray(rows, np.int64)), places))
        of = np.repeat(np.arange(len(places)), np.diff(found.offsets.numpy()))
        many = len(self._spec.channels)
        number = of * many + found.values[:, 0].numpy().astype(np.int64)
        return np.bincount(number, minlength=len(places) * many).reshape(-1, many).astype(np.int64)

    def read(self, look: Look) -> Ragged:
        """The sets around the points of a look.

        A look's ``shift`` (meters east, north) moves the square, then ``angle`` (radians, counterclockwise) rotates the
        points under it around its center, as `RasterView.read` does with the map. ``keep_share`` (0 to 1) with ``seed``
        keeps a random part of each set, one point at least.

        Returns:
            ``values`` (total, 3) float32: category, meters east and meters north of the center; sets of missing rows
            and of NaN coordinates are empty. ``edges`` (2, E) in both directions, if the view has them.

        Raises:
            InputError: a look without coordinates, or another warp.
        """
        if look.lonlat is None:
            raise InputError(f"the view {self._spec.name!r} needs coordinates, but none are given")
        if unknown := set(look.warp) - set(_WARPS):
            raise InputError(f"unknown warp {', '.join(unknown)}: sets of points support {', '.join(_WARPS)}")
        lonlat = look.lonlat.cpu().numpy().astype(np.float64)
        rows = look.rows.cpu().numpy()
        there = np.flatnonzero((rows != ROW_MISSING) & np.isfinite(lonlat).all(axis=1))
        warp = {name: values.cpu().numpy()[there] for name, values in look.warp.items()}
        sets, points, away = self._around(lonlat[there], warp, rows[there])
        sets = there[sets]
        sizes = np.bincount(sets, minlength=len(look))
        values = np.column_stack([self.categories[points], away]).astype(np.float32).reshape(-1, 3)
        offsets = torch.from_numpy(np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64))
        edges = self._edges(sets, points) if WITH_EDGES in self._spec.values else None
        return Ragged(torch.from_numpy(values), offsets, edges)

    def _around(
        self, lonlat: Floats, warp: Mapping[str, NDArray[Any]] | None = None, rows: Ints | None = None
    ) -> tuple[Ints, Ints, Floats]:
        """(set, point, meters east and north) of all points in the polygons of rows, else in the squares around (N, 2)
        lon, lat, set by set.
        """
        from pyproj import Geod

        warp, half = warp or {}, cast(float, self._spec.size_m) / 2.0
        if self._tree is None or not len(lonlat):
            return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 2))
        if "shift" in warp:
            east, north = warp["shift"].astype(np.float64).T
            lonlat = offset(lonlat[:, 0], lonlat[:, 1], east_m=east, north_m=north)
        bounded = np.zeros(len(lonlat), bool)
        near: list[Any] = [()] * len(lonlat)
        if rows is not None and WITHIN_POLYGONS in self._spec.values:
            bounded = (rows >= 0) & self._members[0][np.maximum(rows, 0)]
            for at in np.flatnonzero(bounded).tolist():
                near[at] = self._members[1][rows[at]]
        squares = np.flatnonzero(~bounded)
        xyz = to_ecef(lonlat[squares, 0], lonlat[squares, 1])
        of_squares = self._tree.query_ball_point(xyz, half * _DIAGONAL, return_sorted=True)
        for at, one in zip(squares.tolist(), of_squares, strict=True):
            near[at] = one
        sets = np.repeat(np.arange(len(lonlat)), [len(one) for one in near])
        points = np.concatenate([np.asarray(one, np.int64) for one in near])
        kept = self.categories[points] >= 0
        sets, points = sets[kept], points[kept]
        others = self._lonlat[points]
        bearing, _, meters = Geod(ellps="WGS84").inv(
            lonlat[sets, 0], lonlat[sets, 1], others[:, 0], others[:, 1]
        )
        turn = np.radians(bearing)
        if "angle" in warp:  # counterclockwise, bearings are clockwise
            turn = turn - warp["angle"].astype(np.float64)[sets]
        away = np.column_stack([meters * np.sin(turn), meters * np.cos(turn)])
        kept = (np.abs(away) <= half).all(axis=1) | bounded[sets]
        sets, points, away = sets[kept], points[kept], away[kept]
        if "keep_share" in warp:
            kept = thinned(sets, points, warp["keep_share"], warp["seed"])
            sets, points, away = sets[kept], points[kept], away[kept]
        return sets, points, away

    @cached_property
    def _members(self) -> tuple[NDArray[np.bool_], list[Ints]]:
        """(whether each place is a polygon, the points within it or on its edge)."""
        import shapely

        shapes = np.array(np.zeros(0, object) if self._shapes is None else self._shapes, object)
        is_area = np.array([shape is not None and shape.geom_type in _AREAS for shape in shapes], bool)
        areas = wrapped(shapes[is_area])
        areas = np.where(shapely.is_valid(areas), areas, shapely.make_valid(areas))
        inside, point = shapely.STRtree(shapely.points(self._lonlat)).query(areas, predicate="intersects")
        order = np.lexsort((point, inside))
        members = np.split(point[order], np.searchsorted(inside[order], np.arange(1, len(areas))))
        found: list[Ints] = [np.zeros(0, np.int64)] * len(shapes)
        for row, own in zip(np.flatnonzero(is_area).tolist(), members, strict=False):
            found[row] = own.astype(np.int64)
        return is_area, found

    def _edges(self, sets: Ints, points: Ints) -> Tensor:
        """(2, E) neighbors within each set, as positions in it, in both directions."""
        starts, neighbors = self._graph
        degree = np.diff(starts)[points]
        source = np.repeat(np.arange(len(points)), degree)
        within = np.arange(len(source)) - np.repeat(np.cumsum(degree) - degree, degree)
        target = neighbors[starts[points[source]] + within]
        keys, wanted = sets * len(self._lonlat) + points, sets[source] * len(self._lonlat) + target
        at = np.minimum(np.searchsorted(keys, wanted), max(len(keys) - 1, 0))
        found = keys[at] == wanted if len(keys) else np.zeros(0, bool)
        return torch.from_numpy(np.stack([source[found], at[found]]).astype(np.int64))

    @property
    def _graph(self) -> tuple[Ints, Ints]:
        """The Delaunay graph of all points: first neighbor of each, neighbors."""
        known: tuple[Ints, Ints] | None = self.__dict__.get("graph")
        if known is None:
            edges = delaunay_edges(self._lonlat)
            source, target = np.concatenate([edges, edges[::-1]], axis=1)
            order = np.lexsort((target, source))
            known = (np.searchsorted(source[order], np.arange(len(self._lonlat) + 1)), target[order])
            self.__dict__["graph"] = known
        return known


def thinned(sets: Ints, points: Ints, share: Floats, seed: Ints) -> NDArray[np.bool_]:
    """Which members stay: a random part of each set, the same for the same seed, and one at least."""
    state = points.astype(np.uint64) + seed.astype(np.uint64)[sets] * np.uint64(0x9E3779B97F4A7C15)
    for factor, shift in ((0xBF58476D1CE4E5B9, 30), (0x94D049BB133111EB, 27), (1, 31)):  # splitmix64
        state = (state ^ (state >> np.uint64(shift))) * np.uint64(factor)
    chance = (state >> np.uint64(11)).astype(np.float64) / 2.0**53
    kept = chance < share[sets]
    order = np.lexsort((chance, sets))
    first = order[np.r_[True, np.diff(sets[order]) > 0]] if len(order) else order
    kept[first] = True
    return kept


def _tree(lonlat: Floats) -> Any:
    from scipy.spatial import cKDTree

    return cKDTree(to_ecef(lonlat[:, 0], lonlat[:, 1])) if len(lonlat) else None


class PoiSetsReader(Reader):
    """Points of interest: a field of points."""

    by_coordinates = True
    words = "category"

    def open(self, stored: Stored) -> PoiSetsView:
        """The table of points, in memory."""
        files = stored.entry.get("files") or [FILE]
        shapes = stored.places.geometry() if WITHIN_POLYGONS in stored.spec.values else None
        return PoiSetsView(stored.path / files[0], stored.spec, stored.places.lonlat, shapes)

    def fit(self, view: View, wanted: ViewSpec) -> View:
        """The square and the categories that a model reads: what it does not know is read as its group.

        Polygons bound the sets wherever the dataset has them, whatever the model was trained on.
        """
        plain, asked = (dataclasses.replace(spec, channels=(), values=VALUES) for spec in (view.spec, wanted))
        check_spec(plain, asked, words=self.words)
        return cast(PoiSetsView, view).window(
            size_m=cast(float, wanted.size_m), channels=wanted.channels, edges=WITH_EDGES in wanted.values
        )

    def holds(self, view: View) -> Mapping[str, int]:
        """Points with a category, categories, and places with a point."""
        pois = cast(PoiSetsView, view)
        found = {
            "points of interest": int((pois.categories >= 0).sum()),
            "categories": len(view.spec.channels),
        }
        return found if pois.known is None else {**found, "places with points": int(pois.known.sum())}

    def shows(self, spec: ViewSpec) -> str:
        """The size of the square."""
        where = "polygons" if WITHIN_POLYGONS in spec.values else f"{spec.size_m:g} m"
        return f"{len(spec.channels)} categories within {where}"


READER = PoiSetsReader()
