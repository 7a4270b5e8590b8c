"""Cells with images, points of interest and something to predict, on which `benchmarks.mmgr_quality` asks.

``world``: points of MOSAIKS with residents or night lights, NASA's Blue Marble around them, and the places of GeoNames as
points of interest, by their feature code alone: how many people live in one is what is asked about, and is not read.
``garmisch``: the cells of 1 km of the German census that lie wholly inside an OpenStreetMap extract.
``porto-alegre``: H3 cells of another extract, with residents and jobs.

Needs ``PLACEVEC_DATA``.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from benchmarks import blue_marble, extracts
from placevec import api
from placevec.core import Look
from placevec.datasets.dataset import Dataset
from placevec.evaluation.tasks import WORLD_BLOCK_M
from placevec.geo import Floats, Ints
from placevec.io import atomic

COUNT, SIDE_M = 6_000, 200_000.0
_EDGE_DEG = 175.0
_COLUMNS = {4: "lat", 5: "lon", 7: "category"}
_CENSUS, _SECRET = "EPSG:3035", -9
_GARMISCH = (10.9342, 47.4104, 11.2479, 47.5481)
"""West, south, east and north of the extract, which is complete there."""


@dataclass(frozen=True)
class Cells:
    """N cells.

    Attributes:
        name: of the set.
        dataset: with one view of images and one of points of interest.
        targets: name of a task -> (N,) what is predicted, NaN where nobody knows.
        block_m: side of the blocks that folds are made of, meters.
        buffer_m: meters that training keeps from tested cells.
        options: of training.
        about: what the set is, for the report.
    """

    name: str
    dataset: Dataset
    targets: dict[str, Floats]
    block_m: float
    buffer_m: float
    options: dict[str, Any] = field(default_factory=dict)
    about: str = ""

    def task(self, name: str) -> tuple[Ints, Floats]:
        """(rows with a label, their labels)."""
        rows = np.flatnonzero(np.isfinite(self.targets[name]))
        return rows, self.targets[name][rows]


def world(out: Path) -> Cells:
    """`COUNT` points with residents and as many with night lights; most have both."""
    folder = out / "world"
    table = _world_points()
    dataset = api.prepare(
        "mmgr", places=_written(table[["place_id", "lon", "lat"]], folder / "cells.csv"), size_m=SIDE_M,
        aerial=(_marble(folder / "marble.tif"),), aerial_px=32, pois=_written(_geonames(), folder / "places.csv"),
        group="kind", out=folder / "data",
    )  # fmt: skip
    at = table.set_index("place_id").loc[list(dataset.place_ids)]
    targets = {
        "population": at["population_log1p"].to_numpy(np.float64),
        "night lights": at["nightlights_log1p"].to_numpy(np.float64),
    }
    about = (
        f"windows of {SIDE_M / 1000:g} km (32 px) of Blue Marble and the places of GeoNames in them, by feature code; "
        "ln(1 + residents) and ln(1 + night light) of MOSAIKS"
    )
    options = {"encoder": "spectral-cnn", "width": 16}
    return Cells("world", dataset, targets, WORLD_BLOCK_M, SIDE_M * 2**0.5, options, about)


def _world_points() -> pd.DataFrame:
    points = pd.read_parquet(extracts.folder() / "points" / "mosaiks_global_labels.parquet")
    points = points[np.abs(points["lon"]) < _EDGE_DEG].reset_index(drop=True)
    has = [points[name].notna().to_numpy() for name in ("population_log1p", "nightlights_log1p")]
    random = np.random.default_rng(0)
    rows = [np.random.default_rng(1).permutation(np.flatnonzero(has[0] & has[1]))[:COUNT]]
    for mine, other in (has, has[::-1]):
        rows.append(random.permutation(np.flatnonzero(mine & ~other))[: COUNT - len(rows[0])])
    found = points.iloc[np.sort(np.concatenate(rows))]
    return found.assign(place_id=[f"m{number:06d}" for number in found.index])


def _geonames() -> pd.DataFrame:
    """Places of GeoNames: where they lie, and their feature codes (seat of a government, section, ...)."""
    path = extracts.folder() / "points" / "geonames_cities15000.zip"
    with zipfile.ZipFile(path) as archive, archive.open("cities15000.txt") as opened:
        table = pd.read_csv(opened, sep="\t", header=None, usecols=list(_COLUMNS))
    return table.rename(columns=_COLUMNS).assign(kind="place")


def _marble(path: Path) -> Path:
    """Blue Marble as a GeoTIFF in degrees."""
    import cv2
    import rasterio
    from rasterio.transform import from_bounds

    if not path.exists():
        image = cv2.imread(str(extracts.folder() / "more" / "bluemarble" / "bmng_5400x2700.jpg"))[:, :, ::-1]
        height, width, bands = image.shape
        profile = {
            "driver": "GTiff", "count": bands, "height": height, "width": width, "dtype": "uint8", "crs": "EPSG:4326",
            "tiled": True, "transform": from_bounds(-180, -90, 180, 90, width, height),
        }  # fmt: skip
        with atomic.replacing(path) as temporary, rasterio.open(temporary, "w", **profile) as written:
            written.write(image.transpose(2, 0, 1))
    return path


def garmisch(out: Path) -> Cells:
    """Cells of 1 km; the class of residents (1 to 6), 0 where nobody lives."""
    import geopandas as gpd
    from shapely.geometry import box

    folder, extract = out / "garmisch", _extract("garmisch")
    census = pd.read_parquet(extracts.folder() / "more" / "census_de" / "zensus2011_1km_classes.parquet")
    middle = census[["x_mp_1km", "y_mp_1km"]].to_numpy(np.float64)
    near = _near(middle)
    shapes = [box(x - 500.0, y - 500.0, x + 500.0, y + 500.0) for x, y in middle[near]]
    cells = gpd.GeoDataFrame(census[near].reset_index(drop=True), geometry=shapes, crs=_CENSUS).to_crs(4326)
    inside = cells[cells.within(box(*_GARMISCH))].copy()
    inside["place_id"] = [f"c{number:04d}" for number in range(len(inside))]
    classes = inside["Einwohner"].to_numpy(np.float64)
    people = np.where(classes == _SECRET, np.nan, np.maximum(classes, 0.0))
    places = _written(inside[["place_id", "geometry"]], folder / "cells.geojson")
    dataset = api.prepare("mmgr", osm=extract, places=places, size_m=1_000.0, out=folder / "data")
    rows = pd.Series(people, inside["place_id"]).loc[list(dataset.place_ids)]
    about = "cells of 1 km of the census of 2011, map and points of interest of OpenStreetMap; class of residents, 0 to 6"
    return Cells(
        "garmisch", dataset, {"residents": rows.to_numpy()}, 3_000.0, 1_500.0, {"size_px": 64}, about
    )


def _near(middle: Floats) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which points of the census projection are about where the extract is."""
    from pyproj import Transformer

    x, y = Transformer.from_crs(4326, _CENSUS, always_xy=True).transform(11.09, 47.48)
    return np.asarray((np.abs(middle - np.array([x, y])) < 20_000.0).all(axis=1), bool)


def porto_alegre(out: Path) -> Cells:
    """H3 cells of resolution 9; ln(1 + residents) and ln(1 + jobs)."""
    folder = out / "porto-alegre"
    table = pd.read_csv(extracts.folder() / "population" / "porto_alegre_hexgrid_h3r9.csv")
    table = table.rename(columns={"id": "place_id"})
    places = _written(table[["place_id", "lon", "lat"]], folder / "cells.csv")
    dataset = api.prepare(
        "mmgr", osm=_extract("porto_alegre"), places=places, size_m=500.0, out=folder / "data"
    )
    at = table.set_index("place_id").loc[list(dataset.place_ids)]
    targets = {name: np.log1p(at[name].to_numpy(np.float64)) for name in ("population", "jobs")}
    about = "H3 cells in windows of 500 m, map and points of interest of OpenStreetMap (an extract for routing, with few buildings)"
    return Cells("porto-alegre", dataset, targets, 1_500.0, 750.0, {"size_px": 64}, about)


SETS = {"world": world, "garmisch": garmisch, "porto-alegre": porto_alegre}


def _extract(name: str) -> Path:
    found = extracts.extract(name)
    if found is None:
        raise SystemExit(f"the extract {name} is needed: set PLACEVEC_DATA")
    return found


def _written(table: Any, path: Path) -> Path:
    """The table as CSV, or as GeoJSON; what is there stays."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic.replacing(path) as temporary:
            if path.suffix == ".csv":
                table.to_csv(temporary, index=False)
            else:
                table.to_file(temporary, driver="GeoJSON")
    return path


# --- what needs no encoder ---------------------------------------------------------------------------------


def colors(cells: Cells) -> Floats:
    """(N, D) of images: mean, deviation and percentiles of bands; of maps, the share that each layer covers."""
    dataset = cells.dataset
    name = next(one for one in dataset.view_names if dataset.spec(one).kind in ("chips", "raster"))
    spec = dataset.spec(name)
    window = {} if spec.kind == "chips" else {"size_px": 64, "size_m": dataset.footprint_m}
    view = dataset.view(name).window(**window)  # type: ignore[attr-defined]
    found = []
    for start in range(0, len(dataset), 512):
        rows = torch.arange(start, min(start + 512, len(dataset)))
        pixels = view.read(Look(rows, torch.from_numpy(dataset.lonlat[rows]))).numpy()
        found.append(
            blue_marble.statistics(pixels) if spec.kind == "chips" else pixels.mean(axis=(2, 3)) / 255.0
        )
    return np.nan_to_num(np.concatenate(found).astype(np.float64))


def counts(cells: Cells) -> Floats:
    """(N, K) points of interest of each category in the window of a cell; as many columns as the view has categories."""
    view = cells.dataset.view("pois")
    rows = torch.arange(len(cells.dataset))
    sets: Any = view.read(Look(rows, torch.from_numpy(cells.dataset.lonlat)))
    found = np.zeros((len(rows), len(view.spec.channels)))
    which = np.repeat(np.arange(len(rows)), np.diff(sets.offsets.numpy()))
    np.add.at(found, (which, sets.values[:, 0].numpy().astype(np.int64)), 1.0)
    return found


def near(cells: Cells) -> Floats:
    """(N, 7) points of interest within half a window's side of the center, a quarter, an eighth, and so on."""
    view = cells.dataset.view("pois")
    rows = torch.arange(len(cells.dataset))
    sets: Any = view.read(Look(rows, torch.from_numpy(cells.dataset.lonlat)))
    away = np.hypot(*sets.values[:, 1:].numpy().T)
    which = np.repeat(np.arange(len(rows)), np.diff(sets.offsets.numpy()))
    inside = [
        np.bincount(which[away < cells.dataset.footprint_m / 2**halved], minlength=len(rows))
        for halved in range(1, 8)
    ]
    return np.stack(inside, axis=1).astype(np.float64)
