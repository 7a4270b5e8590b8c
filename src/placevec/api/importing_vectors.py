"""`import_vectors`: embeddings that others publish as an ordinary table of vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from placevec.api.inputs import BoxLike, PathLike, dataset_of, now
from placevec.errors import SourceError, UsageError
from placevec.io import atomic
from placevec.io.folders import shared_path
from placevec.io.progress import SILENT, Progress, say_notes
from placevec.options import Limits, checked_keywords
from placevec.options.choices import StoredType

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from placevec.datasets.dataset import Dataset
    from placevec.embeddings import Embeddings, Provenance
    from placevec.geo import Area, Floats
    from placevec.geo.antimeridian import Objects
    from placevec.sources.published.products import Edition
    from placevec.sources.published.tables import VectorTable

MAX_LOST = 0.5
"""Share of the places that may be without a vector."""


@dataclass(frozen=True)
class _Wanted:
    """Places that vectors are wanted for."""

    place_id: Objects
    lonlat: Floats
    shapes: Objects
    names: Objects
    dataset: Dataset | None = None
    size_m: float = 0.0


@checked_keywords
def import_vectors(
    files: PathLike | Sequence[PathLike],
    *,
    out: PathLike,
    dataset: Dataset | PathLike | None = None,
    places: PathLike | None = None,
    bbox: BoxLike | None = None,
    spacing: Annotated[float, Limits(above=0)] | None = None,
    size_m: Annotated[float, Limits(above=0)] | None = None,
    year: Annotated[int, Limits(min=1980, max=2100)] | None = None,
    model_version: str | None = None,
    crs: str | None = None,
    max_distance_m: Annotated[float, Limits(min=0)] | None = None,
    dtype: StoredType = "float32",
    progress: Progress = SILENT,
) -> Embeddings:
    """Write embeddings that others publish as a table of vectors: for search, explore, and evaluate, also as a baseline.

    Args:
        files: Rasters of AlphaEarth (64 bands) or TESSERA (.npy with scales, or 128 bands), addresses of GeoTIFFs,
            folders of them, or tables of Clay, Earth Index, Major TOM or CityRep (Parquet).
        out: GeoParquet file to write, atomically.
        dataset: Dataset whose places get the vectors.
        places: Table of places that get the vectors: points or polygons.
        bbox: Area as west,south,east,north, degrees: for the grid of --spacing, or for the rows of a table.
        spacing: Distance between the points of a grid over --bbox, meters, for rasters.
        size_m: Side of the square whose pixels are averaged for each point, meters (default: the footprint of the
            dataset's places, or the one pixel that holds the point).
        year: Year to read from a folder that has several years; for files whose name and contents state none, the year
            that they describe.
        model_version: Version of the model that made the vectors, if the files do not state it.
        crs: Coordinate reference system of x and y in CityRep tables, such as EPSG:32630 (default: taken from its
            registry).
        max_distance_m: Maximum distance between a place and the row of a table that is matched to it, meters
            (default: the usual distance between rows).
        dtype: Data type in which the vectors are stored.
        progress: Receives progress reports.

    Raises:
        SourceError: a file of another layout, several products, versions or years, missing scales, numbers out of range,
            or more than half of the places without a vector.
        UsageError: options that do not go together.

    >>> import tempfile
    >>> import_vectors([], out=Path(tempfile.mkdtemp()) / "a.parquet")
    Traceback (most recent call last):
    placevec.errors.UsageError: give at least one file of published embeddings
    """
    from placevec.sources.published.tables import ENDINGS

    path = Path(out)
    given = [files] if isinstance(files, str | Path) else list(files)
    if not given:
        raise UsageError("give at least one file of published embeddings")
    if path.suffix not in (".parquet", ".geoparquet"):
        raise UsageError(
            f"vectors are written as GeoParquet: the file name must end in .parquet; got {path.name}"
        )
    atomic.check_writable(path)
    if dataset is not None and places is not None:
        raise UsageError("give places as --dataset or --places, not both")
    wanted = _wanted(dataset, places, progress)
    tables = [Path(one) for one in given if str(one).lower().endswith(ENDINGS)]
    if tables and len(tables) < len(given):
        raise UsageError("rasters and tables are different products: import them separately")
    chosen = None if year is None else str(year)
    area: Area | None = bbox  # type: ignore[assignment]  # as read_box returns it
    if tables:
        if any(one is not None for one in (spacing, size_m)):
            raise UsageError("--spacing and --size-m apply to rasters: a table has its own places")
        table = _of_tables(tables, wanted, area, crs, model_version, max_distance_m, chosen, progress)
    else:
        if crs is not None or max_distance_m is not None:
            raise UsageError("--crs and --max-distance-m apply to tables")
        if wanted is None:
            wanted = _grid(area, spacing)
        elif area is not None or spacing is not None:
            raise UsageError(
                "--bbox and --spacing make a grid: remove them, or remove --dataset and --places"
            )
        table = _of_rasters([str(one) for one in given], wanted, size_m, chosen, model_version, progress)
    table.save(path, dtype)
    return table


def _wanted(
    dataset: Dataset | PathLike | None, places: PathLike | None, progress: Progress
) -> _Wanted | None:
    if dataset is not None:
        found = dataset_of(dataset)
        names = found.places["name"].to_numpy(object)
        return _Wanted(found.place_ids, found.lonlat, found.geometry(), names, found, found.footprint_m)
    if places is None:
        return None
    from placevec.sources.tables.points import read_points

    points = read_points(places)
    say_notes(points.notes, progress)
    return _Wanted(points.place_id, points.lonlat, points.geometry, _named(points.table, len(points.lonlat)))


def _named(frame: Any, count: int) -> Objects:
    """(N,) names of a table's rows, None without."""
    import numpy as np

    if "name" not in frame.columns:
        return np.full(count, None, object)
    return np.array([one if isinstance(one, str) else None for one in frame["name"]], object)


def _grid(area: Area | None, spacing: float | None) -> _Wanted:
    import numpy as np

    from placevec.datasets.places import Places
    from placevec.geo import metric_grid

    if area is None or spacing is None:
        raise UsageError(
            "a raster has a vector every few meters: choose the places with --dataset, --places, or --bbox and "
            "--spacing"
        )
    made = Places.from_grid(metric_grid(area, spacing), size_m=spacing, spacing_m=spacing)
    if not len(made):
        raise UsageError(
            f"--bbox contains no point of a grid with a spacing of {spacing:g} m: choose a smaller --spacing"
        )
    return _Wanted(made.place_id, made.lonlat, made.geometry, np.full(len(made), None, object))


def _of_rasters(
    paths: Sequence[str], wanted: _Wanted, size_m: float | None, year: str | None, version: str | None,
    progress: Progress,
) -> Embeddings:  # fmt: skip
    import shapely

    from placevec.sources.published.sampling import bounds_of, sample, squares
    from placevec.sources.published.stores import rasters_at

    shapes, side = wanted.shapes, wanted.size_m if size_m is None else size_m
    if side and (size_m is not None or not (shapely.get_dimensions(shapes) == 2).any()):
        shapes = squares(wanted.lonlat, side)
    bounds = bounds_of(wanted.lonlat, shapes)
    found = sample(
        rasters_at(paths, bounds, year), wanted.lonlat, shapes, version=version, progress=progress
    )  # fmt: skip
    edition = _of_year(found.edition, year, found.files[0] if found.files else paths[0])
    held = found.pixels > 0
    _check_lost(held, {why: int(rows.sum()) for why, rows in found.lost.items()}, paths, progress)
    progress.say(f"Note: {edition}; pixels averaged per place: {_spread(found.pixels[held])}")
    return _table(wanted, held, found.vectors[held], edition, found.files)


def _of_year(edition: Edition, year: str | None, file: str) -> Edition:
    """An edition with the year that is given where the file states none; SourceError if it states another one."""
    if year is not None and edition.year not in ("", year):
        raise SourceError(f"{file} is from {edition.year}, not from {year}")
    return edition if year is None else replace(edition, year=year)


def _spread(pixels: NDArray[np.int64]) -> str:
    low, high = int(pixels.min()), int(pixels.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _of_tables(
    paths: Sequence[Path], wanted: _Wanted | None, area: Area | None, crs: str | None, version: str | None,
    max_distance_m: float | None, year: str | None, progress: Progress,
) -> Embeddings:  # fmt: skip
    import numpy as np

    from placevec.embeddings.matching import match_by_location
    from placevec.sources.published.tables import read_tables

    if wanted is None and max_distance_m is not None:
        raise UsageError("--max-distance-m applies to places: add --dataset or --places")
    around = area if wanted is None else _around(wanted.lonlat)
    found = read_tables(paths, area=around, crs=crs, version=version, progress=progress)
    for why, count in found.lost.items():
        if wanted is None or why != "outside the area":
            progress.say(f"Note: {count:,} rows {why} are left out")
    names = [str(one) for one in paths]
    edition = _of_year(found.edition, year, names[0])
    if wanted is None:
        wanted = _Wanted(found.place_id, found.lonlat, found.shapes, np.full(len(found.lonlat), None, object))
        return _table(wanted, np.ones(len(found.lonlat), bool), found.vectors, edition, names)
    latest = _latest(found)
    matches = match_by_location(
        wanted.shapes, found.shapes[latest], found.lonlat[latest], max_distance_m=max_distance_m
    )  # fmt: skip
    vectors = matches.mean(found.vectors[latest])
    held = matches.matched
    _check_lost(held, {"without a row in the table": int((~held).sum())}, names, progress)
    return _table(wanted, held, vectors[held], edition, names)


def _around(lonlat: Floats) -> Area | None:
    """The area of some places and half a degree around them; None across the antimeridian."""
    import numpy as np

    from placevec.geo import Area

    known = lonlat[np.isfinite(lonlat).all(axis=1)]
    if not len(known) or np.ptp(known[:, 0]) > 180.0:
        return None
    (west, south), (east, north) = known.min(axis=0) - 0.5, known.max(axis=0) + 0.5
    return Area(max(west, -180.0), max(south, -90.0), min(east, 180.0), min(north, 90.0))


def _latest(table: VectorTable) -> NDArray[np.int64]:
    """Rows of a table, of several at one point the last by date."""
    import numpy as np

    order = np.argsort(table.date.astype(str), kind="stable")[::-1]
    _, first = np.unique(table.lonlat[order].round(6), axis=0, return_index=True)
    return np.sort(order[first])


def _check_lost(
    held: NDArray[np.bool_], reasons: dict[str, int], files: Sequence[str], progress: Progress
) -> None:
    """SourceError when most places have no vector; else a note for each reason."""
    told = [f"{count:,} of {len(held):,} places are {why}" for why, count in reasons.items() if count]
    if (~held).sum() > MAX_LOST * len(held):
        raise SourceError(
            f"{', '.join(files[:3])}{' and more' if len(files) > 3 else ''}: {'; '.join(told) or 'there are no places'}. "
            "Give the files for their area"
        )
    for one in told:
        progress.say(f"Note: {one}; they are left out")


def _table(
    wanted: _Wanted,
    held: NDArray[np.bool_],
    vectors: NDArray[np.float32],
    edition: Edition,
    files: Sequence[str],
) -> Embeddings:
    from placevec.embeddings import Embeddings

    return Embeddings(
        wanted.place_id[held], vectors, wanted.lonlat[held], wanted.shapes[held], wanted.names[held],
        edition.product.name, _provenance(wanted, edition, files),
    )  # fmt: skip


def _provenance(wanted: _Wanted, edition: Edition, files: Sequence[str]) -> Provenance:
    """Vectors of one product and version have one hash of their model, so that those of two never share a table."""
    from placevec._version import __version__
    from placevec.embeddings import Provenance

    product, ground = edition.product, wanted.dataset
    sizes = [
        [Path(one).name, Path(one).stat().st_size if Path(one).is_file() else 0] for one in sorted(set(files))
    ]
    credits = [product.attribution, *([ground.attribution] if ground is not None else [])]
    return Provenance(
        model_hash=atomic.sha256_of_json([product.name, edition.version, edition.dim]),
        dataset_hash=ground.hash if ground is not None else atomic.sha256_of_json([product.name, sizes]),
        dataset_path="" if ground is None else shared_path(ground.path),
        attribution="; ".join(one for one in credits if one).replace(".; ", ". "),
        created=now(),
        placevec_version=__version__,
        source=product.title,
        version=" ".join(one for one in (edition.version, edition.year) if one),
        license=product.license,
    )
