"""``placevec embed``: turn a dataset's places, or a table of points, into vectors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from placevec.cli.output import print_json, progress_for, say
from placevec.cli.signature import Json, Quiet, at_least
from placevec.errors import UsageError

HELP = """\
A killed run goes on where it was. --model base takes the model that comes with placevec: nothing to train.
A model that reads bare coordinates takes any table of points too, of any number of rows.

For example:

  placevec embed runs/malta data/malta -o malta.parquet

  placevec embed --model base data/malta -o malta.parquet

  placevec embed runs/sightings points.csv -o points.parquet"""
POINTS = "Tables of points"
OfPoints = Annotated[str | None, Parameter(group=POINTS)]


def command(
    *paths: Annotated[Path, Parameter(required=True)],
    out: Annotated[Path, Parameter(name=("--out", "-o"))],
    model: str | None = None,
    views: Annotated[str | None, Parameter(name="--views")] = None,
    dtype: Literal["float32", "float16", "int8"] = "float32",
    batch_size: Annotated[int, Parameter(validator=at_least(1))] = 64,
    lon: OfPoints = None,
    lat: OfPoints = None,
    crs: OfPoints = None,
    id_: Annotated[str | None, Parameter(name="--id", group=POINTS)] = None,
    date: OfPoints = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Call `placevec.api.embed` and say what was written.

    Args:
        paths: Run or model directory, then dataset directory, which may be another one than was trained on; or a table
            of points: CSV, TSV, Parquet, GeoJSON, GeoPackage, Shapefile or FlatGeobuf.
        out: GeoParquet file to write.
        model: Model directory instead of the run, or base.
        views: Views to embed, separated by commas, where the model reads several (default: all that the dataset has).
        dtype: Numbers as stored.
        batch_size: Places encoded at once.
        lon: Column of longitudes (default: found by name).
        lat: Column of latitudes (default: found by name).
        crs: Coordinate system, such as EPSG:3067 (default: degrees, or that of the file).
        id_: Column of distinct names (default: place_id, id, or the number of the row).
        date: Column of dates, where the model was trained with --seasons.
    """
    from placevec import api
    from placevec.core import FUSED

    run, dataset = _given(paths, model)
    columns = {"lon": lon, "lat": lat, "crs": crs, "id": id_, "date": date}
    chosen = None if views is None else [view.strip() for view in views.split(",")]
    if not dataset.is_dir():
        if chosen is not None:
            raise UsageError(f"--views chooses those of a dataset: {dataset} is a table of points")
        _points(run, dataset, out, dtype, columns, as_json, quiet)
        return
    if given := [name for name, value in columns.items() if value is not None]:
        raise UsageError(f"--{given[0]} is for tables of points: {dataset} is a dataset")
    table = api.embed(
        run,
        dataset,
        views=chosen,
        out=out,
        dtype=dtype,
        batch_size=batch_size,
        progress=progress_for(as_json, quiet),
    )
    made = [table.of(view) for view in table.views]
    if as_json:
        print_json({
            "embeddings": str(out), "count": len(table), "dim": max(table.dims.values()),
            "views": {one.view: {"count": len(one), "dim": one.dim} for one in made},
            "model_hash": table.provenance.model_hash,
        })  # fmt: skip
        return
    of_each = len(made) > 1
    for one in made:
        say(f"{len(one):,} vectors of {one.dim} numbers{f' of the view {one.view}' if of_each else ''}")
    say(f"{out} ({out.stat().st_size / 1e6:.1f} MB)")
    view = f" --view {made[0].view}" if of_each and FUSED not in table.views else ""
    say(f"Next: placevec evaluate {out}{view}    placevec explore {out}{view} --html PAGE.html")


def _points(
    run: str | Path,
    points: Path,
    out: Path,
    dtype: Literal["float32", "float16", "int8"],
    columns: dict[str, str | None],
    as_json: bool,
    quiet: bool,
) -> None:
    """The vectors of a table of points."""
    from placevec.api.embedding_points import embed_points

    done = embed_points(run, points, out=out, dtype=dtype, progress=progress_for(as_json, quiet), **columns)
    if as_json:
        print_json(
            {"embeddings": str(out), "count": done.count, "dim": done.dim, "left_out": done.left_out,
             "model_hash": done.model_hash}
        )  # fmt: skip
        return
    if done.left_out:
        say(f"Note: {done.left_out:,} rows without coordinates are left out")
    say(f"{done.count:,} vectors of {done.dim} numbers: {out} ({out.stat().st_size / 1e6:.1f} MB)")


def _given(paths: Sequence[Path], model: str | None) -> tuple[str | Path, Path]:
    """(model, dataset) from what was written on the command line."""
    wanted = 2 if model is None else 1
    if len(paths) != wanted:
        usage = "embed RUN DATASET, or embed --model base DATASET"
        raise UsageError(
            f"{wanted} {'directories are' if wanted > 1 else 'directory is'} expected, {len(paths)} given: {usage}"
        )
    run, dataset = (paths[0] if model is None else model), paths[-1]
    if model is None and (paths[0] / "dataset.json").exists() and not (paths[0] / "config.json").exists():
        raise UsageError(f"{paths[0]} is a dataset: name the run first, embed RUN DATASET")
    return run, dataset
