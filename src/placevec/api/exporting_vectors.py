"""`export` of a table of vectors: into a database, for GIS, for other viewers of embeddings, or a selection."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

from placevec.api.inputs import PathLike, Vectors, recorded_dataset, table_of, window_m
from placevec.api.search_results import check_results
from placevec.errors import InputError, UsageError
from placevec.io import atomic
from placevec.io.progress import SILENT, Progress
from placevec.options.choices import CellGrid, Metric, Reduction

if TYPE_CHECKING:
    from placevec.datasets.dataset import Dataset
    from placevec.embeddings import Embeddings


def is_table(source: Dataset | Vectors | PathLike) -> TypeGuard[Vectors]:
    """Whether it is a table of vectors, or a file instead of a directory.

    >>> is_table("data/helsinki")
    False
    """
    return Path(source).is_file() if isinstance(source, str | Path) else hasattr(source, "provenance")


def export_vectors(
    embeddings: Vectors,
    *,
    to: str | None,
    table: str | None,
    metric: Metric,
    projector: PathLike | None,
    atlas: PathLike | None,
    selection: PathLike | None,
    out: PathLike | None,
    view: str | None,
    method: Reduction,
    max_places: int | None,
    seed: int,
    partitions: str | None,
    grid: CellGrid,
    level: int | None,
    stac: PathLike | None,
    cog: PathLike | None,
    progress: Progress = SILENT,
) -> int:
    """Write one of them; returns the number of places. Arguments as for `placevec.api.tiles.export`."""
    asked = sum(one is not None for one in (to, projector, atlas, selection, partitions, stac, cog))
    if asked > 1 or asked + (out is not None) == 0:
        raise UsageError(
            "for vectors, give one of --to ADDRESS, --out FILE, --projector DIR, --atlas FILE, --partitions PLACE, "
            "--stac DIR, --cog FILE and --selection FILE"
        )
    if partitions is None and (level is not None or grid != "quadkey"):
        raise UsageError("--grid and --level apply to --partitions")
    if selection is not None and out is None:
        raise UsageError("--selection FILE chooses the places; add --out FILE, the file to write them to")
    if out is not None and asked and selection is None:
        raise UsageError("--out FILE can only be combined with --selection FILE")
    if max_places is not None and projector is None:
        raise UsageError("--max-places applies only to --projector")
    if to is None and (table is not None or metric != "cosine"):
        raise UsageError("--table and --metric apply to a database: add --to ADDRESS")
    chosen = table_of(embeddings, view)
    if to is not None:
        from placevec.embeddings import pgvector

        found = pgvector.export_vectors(chosen, to, table=table, metric=metric, progress=progress)
        for line in found.lines():
            progress.say(line)
        return found.count
    if partitions is not None:
        return _write_partitions(chosen, partitions, grid, level, progress)
    if stac is not None:
        from placevec.embeddings.stac import ASSET_NOTE, TYPE_NOTE, write_stac

        path = Path(embeddings) if isinstance(embeddings, str | Path) else chosen.path
        if path is None:
            raise UsageError("--stac describes a file: save the vectors first")
        atomic.check_writable(stac, directory=True)
        count = write_stac(chosen, path, Path(stac))
        progress.say(f"Note: {TYPE_NOTE}")
        progress.say(f"Note: {ASSET_NOTE}")
        return count
    if cog is not None:
        from placevec.embeddings.rasterized import write_cog

        return write_cog(chosen, Path(cog))
    if projector is not None:
        from placevec.explorer.exported import write_projector_files
        from placevec.explorer.sample import Drawn

        atomic.check_writable(projector, directory=True)
        drawn = Drawn.of(
            chosen, dataset=recorded_dataset(chosen), window_m=window_m(chosen),
            max_places=max_places or max(len(chosen), 1), seed=seed, progress=progress,
        )  # fmt: skip
        return write_projector_files(drawn, Path(projector))
    if atlas is not None:
        from placevec.explorer.exported import write_atlas_file
        from placevec.explorer.reductions import require

        require(method)
        atomic.check_writable(atlas)
        return write_atlas_file(chosen, Path(atlas), method=method, seed=seed, progress=progress)
    assert out is not None
    if selection is not None:
        return _write_selection(chosen, Path(selection), Path(out))
    from placevec.explorer.gis_files import write_gis_file

    count = write_gis_file(chosen, out, chosen.provenance.attribution)
    if count < len(chosen):
        progress.say(
            f"Note: {len(chosen) - count:,} of {len(chosen):,} places have no coordinates and are left out"
        )
    return count


def _write_partitions(
    table: Embeddings, place: str, grid: CellGrid, level: int | None, progress: Progress
) -> int:
    from placevec.embeddings.partitioned import LEVELS, MAX_LEVELS, write_partitioned
    from placevec.io.object_store import store_at

    level = LEVELS[grid] if level is None else level
    if level > MAX_LEVELS[grid]:
        raise UsageError(f"--level must be at most {MAX_LEVELS[grid]} for {grid}; got {level}")
    count = write_partitioned(table, store_at(place), grid=grid, level=level, progress=progress)
    progress.say(f"Note: {count:,} {'file' if count == 1 else 'files'}, one per cell of {grid} level {level}")
    return len(table)


def _write_selection(table: Embeddings, selection: Path, out: Path) -> int:
    import numpy as np

    from placevec.sources.tables.points import read_columns

    check_results(out)
    columns = read_columns(selection)
    row_of = {str(place): row for row, place in enumerate(table.place_id)}
    found = (_unprotected(place, row_of) for place in columns["place_id"].astype(str))
    asked = list(dict.fromkeys(found))
    missing = [place for place in asked if place not in row_of]
    if missing:
        raise InputError(
            f"{len(missing)} of {len(asked)} places in {selection} are not in this table (for example, {missing[0]!r}):"
            " was the selection saved from the same table?"
        )
    chosen = table[np.sort([row_of[place] for place in asked])]
    if out.suffix.lower() == ".parquet":
        chosen.save(out)
    else:
        _write_text(chosen, out)
    return len(chosen)


def _unprotected(place: str, known: Mapping[str, int]) -> str:
    """An id as the table has it: in CSV, one that begins like a formula (``-0.13_51.50``) has an apostrophe before it."""
    return place[1:] if place not in known and place[:1] == "'" else place


def _write_text(chosen: Embeddings, out: Path) -> None:
    """The places and all their numbers as GeoJSON or CSV."""
    from placevec.geo.geojson import write_geojson

    numbers = [f"embedding_{n + 1}" for n in range(chosen.dim)]
    rows = zip(chosen.place_id, chosen.names, chosen.lonlat.tolist(), chosen.vectors.tolist(), strict=True)
    if out.suffix.lower() == ".csv":
        atomic.write_csv(
            out, ["place_id", "name", "lon", "lat", *numbers],
            (
                (place, name or "", *("" if value != value else value for value in lonlat), *vector)
                for place, name, lonlat, vector in rows
            ),
        )  # fmt: skip
        return
    features = (
        {"place_id": place, "name": name, **dict(zip(numbers, vector, strict=True))}
        for place, name, _, vector in rows
    )
    write_geojson(out, chosen.lonlat, features, {"attribution": chosen.provenance.attribution})
