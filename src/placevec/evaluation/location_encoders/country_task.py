"""The country of random points on land, with more of them where encoders tear: the antimeridian and the poles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from placevec.errors import SourceError
from placevec.evaluation.location_encoders.strata import near_antimeridian
from placevec.evaluation.tasks import Task, classes_of, point_task, with_common_classes
from placevec.geo import Floats
from placevec.geo.coordinates import wrap_longitude

_AT_ONCE = 40_000
_NEAR_DEGREES = 20.0  # of longitude that 500 km are at 75 degrees, and a little


def country_of_land(data: Path, points: int = 20_000, extra: int = 3_000, seed: int = 0) -> Task:
    """Which of Natural Earth's countries a point lies in, of ``points`` drawn evenly on land.

    ``extra`` points are drawn within 500 km of the antimeridian, and as many beyond 75 degrees; they are only tested.

    Raises:
        SourceError: the data folder has no boundaries.
    """
    path = data / "boundaries" / "ne_50m_admin_0_countries_v4.0.0.zip"
    if not path.is_file():
        raise SourceError(
            f"the data folder has no boundaries/{path.name}: add it, or leave out country-of-land"
        )
    random = np.random.default_rng([seed, 0x1A4D])
    land = _Land(path)
    everywhere = land.drawn(random, points, -90.0, 90.0, 180.0)
    east = land.drawn(random, extra, -75.0, 75.0, _NEAR_DEGREES, near=True)
    top = land.drawn(random, extra // 2, 75.0, 90.0, 180.0)
    bottom = land.drawn(random, extra // 2, -90.0, -75.0, 180.0)
    lonlat = np.concatenate([found[0] for found in (everywhere, east, top, bottom)])
    target, names = classes_of(np.concatenate([found[1] for found in (everywhere, east, top, bottom)]))
    only_tested = np.arange(len(lonlat)) >= len(everywhere[0])
    return with_common_classes(
        point_task(
            "country-of-land",
            "classification",
            lonlat,
            target,
            names,
            extra=only_tested,
            description="country of points drawn evenly on land",
            credit="Natural Earth, public domain",
        )
    )


def sphere_points(
    random: np.random.Generator, count: int, south: float = -90.0, north: float = 90.0
) -> Floats:
    """(count, 2) lon, lat drawn evenly by area between two latitudes."""
    low, high = np.sin(np.radians([south, north]))
    lat = np.degrees(np.arcsin(random.uniform(low, high, count)))
    return np.stack([random.uniform(-180.0, 180.0, count), lat], axis=-1)


class _Land:
    """The countries, to ask which one a point is in."""

    def __init__(self, path: Path) -> None:
        import geopandas

        try:
            table = geopandas.read_file(f"zip://{path.resolve()}")[["ADM0_A3", "geometry"]]
        except Exception as error:  # GDAL raises many kinds
            raise SourceError(f"cannot read {path.name}: {error}") from error
        self.names = np.array(table["ADM0_A3"].tolist(), dtype=str)
        self.shapes = table.geometry.to_numpy()

    def drawn(
        self,
        random: np.random.Generator,
        count: int,
        south: float,
        north: float,
        width: float,
        near: bool = False,
    ) -> tuple[Floats, NDArray[np.str_]]:
        """``count`` points on land between two latitudes, and their countries; ``near``: only near the antimeridian."""
        import shapely

        found, names, have = [], [], 0
        for _ in range(400):
            lonlat = sphere_points(random, _AT_ONCE, south, north)
            if near:
                lonlat[:, 0] = 180.0 + (lonlat[:, 0] / 180.0) * width
                lonlat[:, 0] = wrap_longitude(lonlat[:, 0])
                lonlat = lonlat[near_antimeridian(lonlat)]
            shape, point = shapely.STRtree(shapely.points(lonlat)).query(self.shapes, predicate="contains")
            rows, first = np.unique(point, return_index=True)
            found.append(lonlat[rows])
            names.append(self.names[shape[first]])
            have += len(rows)
            if have >= count:
                break
        return np.concatenate(found)[:count], np.concatenate(names)[:count]
