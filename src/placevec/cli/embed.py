"""``placevec embed``: turn a dataset's places, or a table of points, into vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import typer

from placevec.cli.output import JSON, QUIET, print_json, progress_for, say
from placevec.errors import UsageError

NAME = "embed"
HELP = """Turn a dataset's places into vectors: one GeoParquet table that opens everywhere.

A killed run goes on where it was. --model base takes the model that comes with placevec: nothing to train. A model that
reads bare coordinates (sphere2vec) takes any table of points too, of any number of rows.

Examples:

  placevec embed runs/malta data/malta -o malta.parquet

  placevec embed --model base data/malta -o malta.parquet

  placevec embed runs/sightings points.csv -o points.parquet
"""
POINTS = "Tables of points"


def command(
    paths: list[Path] = typer.Argument(
        ...,
        metavar="[RUN] DATASET|POINTS",
        help="Run or model directory, then dataset directory: it may be another one than was trained on. Or a table of"
        " points: CSV, TSV, Parquet, GeoJSON, GeoPackage, Shapefile or FlatGeobuf.",
    ),
    model: str | None = typer.Option(None, "--model", help="Instead of RUN: a model directory, or base."),
    out: Path = typer.Option(..., "--out", "-o", help="GeoParquet file to write."),
    dtype: Literal["float32", "float16", "int8"] = typer.Option("float32", help="Numbers as stored."),
    batch_size: int = typer.Option(64, min=1, help="Places encoded at once."),
    lon: str | None = typer.Option(
        None, help="Column of longitudes (found by name).", rich_help_panel=POINTS
    ),
    lat: str | None = typer.Option(None, help="Column of latitudes (found by name).", rich_help_panel=POINTS),
    crs: str | None = typer.Option(
        None,
        help="System of the coordinates, such as EPSG:3067 (degrees, or the file's).",
        rich_help_panel=POINTS,
    ),
    id_: str | None = typer.Option(
        None,
        "--id",
        help="Column of distinct names (place_id, id, or the row's number).",
        rich_help_panel=POINTS,
    ),
    date: str | None = typer.Option(
        None, help="Column of dates, where the model was trained with --seasons.", rich_help_panel=POINTS
    ),
    as_json: bool = JSON,
    quiet: bool = QUIET,
) -> None:
    """Call `placevec.api.embed` and say what was written."""
    from placevec import api

    run, dataset = _given(paths, model)
    columns = {"lon": lon, "lat": lat, "crs": crs, "id": id_, "date": date}
    if not dataset.is_dir():
        _points(run, dataset, out, dtype, columns, as_json, quiet)
        return
    if given := [name for name, value in columns.items() if value is not None]:
        raise UsageError(f"--{given[0]} is for tables of points: {dataset} is a dataset")
    table = api.embed(
        run, dataset, out=out, dtype=dtype, batch_size=batch_size, progress=progress_for(as_json, quiet)
    )
    count, dim = len(table), max(table.dims.values())
    if as_json:
        print_json(
            {"embeddings": str(out), "count": count, "dim": dim, "model_hash": table.provenance.model_hash}
        )
        return
    say(f"{count:,} vectors of {dim} numbers: {out} ({out.stat().st_size / 1e6:.1f} MB)")
    say(f"Next: placevec evaluate {out}    placevec explore {out} --html PAGE.html")


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


def _given(paths: list[Path], model: str | None) -> tuple[str | Path, Path]:
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
