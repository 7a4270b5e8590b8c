"""A ``pois`` view for a dataset: the points of interest of its map's extract, or those of a table, by category."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from placevec.core import ViewSpec
from placevec.datasets.additions import MAP_PART, Joining, Made, add
from placevec.datasets.dataset import Dataset
from placevec.datasets.places import DEFAULT_SIZE_M
from placevec.datasets.views.poi_sets import VALUES, WITHIN_POLYGONS
from placevec.datasets.views.pois import Poi, PoiTable, PoiWriter, read_pois
from placevec.errors import DatasetError, SourceError, UsageError
from placevec.io import atomic
from placevec.io.progress import Progress, say_notes
from placevec.preparation.existing_places import POIS
from placevec.preparation.poi_groups import KEYS, TOPICS, regrouped
from placevec.preparation.poi_options import PoiOptions
from placevec.sources.tables.opened import open_table
from placevec.sources.tables.points import read_points

NAME = KIND = "pois"
TABLE = "poi_table.parquet"
"""Points of a table; ``pois.parquet`` holds those of an extract."""
_CATEGORY_NAMES = ("category", "type", "class", "kind")


def add_pois(dataset: Dataset, options: PoiOptions, *, created: str, progress: Progress) -> Dataset:
    """The dataset with a ``pois`` view: the points of a table, or those of the extract that its map was drawn from.

    Raises:
        UsageError: columns of no table.
        SourceError: a table without such columns, or without a point in the dataset's area.
        DatasetError: no extract and no table, or a view made otherwise.
    """
    table, category, group, groups = options.pois, options.category, options.group, options.poi_groups
    if table is None and (category or group):
        raise UsageError("--category and --group are columns of a table: they need --pois")
    side = float(options.poi_size_m or dataset.footprint_m or DEFAULT_SIZE_M)
    inputs = {"min_pois": options.min_pois, "size_m": side, "category": category, "group": group}
    within = options.poi_size_m is None and _are_polygons(dataset)
    if within:
        inputs["polygons"] = True
    if groups != TOPICS:
        inputs["poi_groups"] = groups if groups == KEYS else atomic.sha256_of_file(Path(groups))
    values = f"{VALUES}; {WITHIN_POLYGONS}" if within else VALUES
    if table is None:
        if not has_pois(dataset):
            raise DatasetError(
                f"{dataset.path} has no points of interest: give a table with --pois, or an extract with --osm"
            )
        content = atomic.sha256_of_file(dataset.path / POIS)
    else:
        content = atomic.sha256_of_file(table)
    of = Made("table" if table is not None else "osm", {"content": content, **inputs})

    def write(folder: Path) -> Joining:
        if table is None:
            pois, files, file, sources = read_pois(dataset.path / POIS), list[str](), POIS, []
        else:
            notes = _write_table(folder / TABLE, table, category, group, dataset)
            say_notes(notes, progress)
            pois, files, file = read_pois(folder / TABLE), [TABLE], TABLE
            name = table.name
            sources = [{"kind": KIND, "name": name, "path": name, "sha256": content, "attribution": ""}]
        if groups != TOPICS:
            pois, notes = regrouped(pois, groups, of_osm=table is None)
            say_notes(notes, progress)
            pois, files, file = pois[pois["group"].notna().to_numpy()], [TABLE], TABLE
            _write_points(folder / TABLE, pois)
        channels = categories_of(pois, options.min_pois)
        rules = None if table or groups not in (TOPICS, KEYS) else PoiTable.default().hash
        if rules and groups == KEYS:
            rules = atomic.sha256_of_json([rules, KEYS])
        spec = ViewSpec(NAME, KIND, channels, values, size_m=side, rules=rules)
        points = int(pois["group"].notna().sum())
        return Joining(
            f"{points:,} points of interest in {len(channels)} categories", files, sources,
            views={NAME: {"spec": spec.as_dict(), "files": [file]}},
        )  # fmt: skip

    return add(dataset, NAME, of, write, created=created, progress=progress)


def _write_points(path: Path, pois: pd.DataFrame) -> None:
    """Write points with their groups as a table of points."""
    names = pois["name"].astype(object).where(pois["name"].notna(), None)
    columns = (pois["key"], pois["value"], pois["group"], names, pois["prominence"])
    rows = [Poi(*row) for row in zip(*(column.astype(object) for column in columns), strict=True)]
    lonlat = pois[["lon", "lat"]].to_numpy(np.float64)
    with atomic.replacing(path) as temporary, PoiWriter(temporary) as writer:
        writer.add(pois["osm_type"].astype(str).tolist(), pois["osm_id"].to_numpy(np.int64), lonlat, rows)


def _are_polygons(dataset: Dataset) -> bool:
    """Whether places are polygons of their own: given ones or H3 cells, not map tiles."""
    given = dataset.manifest["places"]["grid"] == "given"
    return given and any(shape is not None and "Polygon" in shape.geom_type for shape in dataset.geometry())


def has_pois(dataset: Dataset) -> bool:
    """Whether the extract of a dataset's map gave it points of interest."""
    return POIS in dataset.manifest["views"].get(MAP_PART, {}).get("files", ())


def categories_of(pois: pd.DataFrame, min_points: int) -> tuple[str, ...]:
    """The groups, and below each its categories with enough points: the channels of a view of points.

    Args:
        pois: rows of `placevec.datasets.views.pois.read_pois`.
        min_points: of a category.

    Raises:
        SourceError: no point has a category.

    >>> table = pd.DataFrame({"group": ["food"] * 3 + [None], "value": ["cafe", "cafe", "bar", "x"]})
    >>> categories_of(table, 2)
    ('food', 'food/cafe')
    """
    known = pois[pois["group"].notna().to_numpy()]
    if not len(known):
        raise SourceError("no point of interest has a category")
    group = known["group"].astype(object)
    names, counts = np.unique((group + "/" + known["value"].astype(object)).to_numpy(str), return_counts=True)
    groups = sorted(set(group))
    kept = [str(name) for name, count in zip(names, counts, strict=True) if count >= min_points]
    return tuple(sorted([*groups, *kept]))


def check_table(table: str | Path, category: str | None, group: str | None) -> str:
    """The column of categories of a table, found before anything is made; SourceError for a table without it."""
    names = open_table(Path(table)).names
    found = category or next((name for name in names if str(name).lower() in _CATEGORY_NAMES), None)
    if found is None:
        raise SourceError(
            f"{table} has no column of categories: give it with --category; it has {', '.join(names)}"
        )
    for name in filter(None, (found, group)):
        if name not in names:
            raise SourceError(f"{table} has no column {name!r}; it has {', '.join(names)}")
    return str(found)


def _write_table(
    path: Path, table: Path, category: str | None, group: str | None, dataset: Dataset
) -> list[str]:
    """Write the points of a table that have coordinates and a category; returns what was lost."""
    column = check_table(table, category, group)
    points = read_points(table)
    values = points.table[column].astype("string").str.strip()
    groups = values if group is None else points.table[group].astype("string").str.strip()
    located = np.asarray(np.isfinite(points.lonlat).all(axis=1), bool)
    named = ((values.fillna("") != "") & (groups.fillna("") != "")).to_numpy(bool)
    inside = np.zeros(len(located), bool)
    inside[located] = dataset.area.contains(points.lonlat[located, 0], points.lonlat[located, 1])
    kept = located & named
    if not (kept & inside).any():
        west, south, east, north = dataset.area.bounds
        raise SourceError(
            f"no point of {table} with a category is in the area of {dataset.path}, "
            f"{west:g},{south:g},{east:g},{north:g} (west,south,east,north)"
        )
    rows = np.flatnonzero(kept)
    twice = pd.DataFrame(points.lonlat[rows]).assign(value=values.to_numpy()[rows]).duplicated().to_numpy()
    pois = [
        Poi(column, str(value), str(of), None, 0)
        for value, of in zip(values.to_numpy()[rows], groups.to_numpy()[rows], strict=True)
    ]
    with atomic.replacing(path) as temporary, PoiWriter(temporary) as writer:
        writer.add(["node"] * len(rows), rows.astype(np.int64), points.lonlat[rows], pois)
    counted = {
        "without coordinates": int((~located).sum()),
        "without a category": int((located & ~named).sum()),
        "outside the area of the dataset": int((kept & ~inside).sum()),
        "at the same coordinates with the same category as another one": int(twice.sum()),
    }
    lost = [
        f"{count:,} of {len(located):,} points of {table.name} are {what}"
        for what, count in counted.items()
        if count
    ]
    return [*points.notes, *lost]
