"""``placevec embed``: turns a dataset's places, or a table of points, into vectors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from placevec.api.embedding import embed
from placevec.api.embedding_points import PointsEmbedded, embed_points
from placevec.cli.output import print_json, progress_for, remark, say
from placevec.cli.signature import taking_keywords_of
from placevec.errors import UsageError
from placevec.options import flag_of, keywords_of

HELP = """\
If interrupted, run the same command again to continue. --model base uses the model that comes with placevec, so no
training is needed. A model that reads only coordinates also takes a table of points, with any number of rows.

For example:

  placevec embed runs/malta data/malta -o malta.parquet

  placevec embed --model base data/malta -o malta.parquet

  placevec embed runs/sightings points.csv -o points.parquet"""
POINTS = "Tables of points"


@taking_keywords_of(embed, keywords_of(embed_points, group=POINTS))
def command(
    *paths: Path,
    out: Path,
    model: str | None = None,
    as_json: bool = False,
    quiet: bool = False,
    **options: Any,
) -> None:
    """Print what was written.

    Args:
        paths: Run or model directory, then a dataset directory, which can differ from the training dataset; or a table
            of points: CSV, TSV, Parquet, GeoJSON, GeoPackage, Shapefile or FlatGeobuf.
        model: Model directory to use instead of a run, or `base` for the model that comes with placevec.
    """
    from placevec.core import FUSED

    run, dataset = _given(paths, model)
    of_datasets, of_points = ({one.name for one in keywords_of(one)} for one in (embed, embed_points))
    progress = progress_for(as_json, quiet)
    if not dataset.is_dir():
        if other := [name for name in options if name not in of_points]:
            raise UsageError(f"{flag_of(other[0])} applies to datasets, but {dataset} is a table of points")
        _show_points(embed_points(run, dataset, out=out, progress=progress, **options), as_json, quiet)
        return
    if other := [name for name in options if name not in of_datasets]:
        raise UsageError(f"{flag_of(other[0])} applies to tables of points, but {dataset} is a dataset")
    table = embed(run, dataset, out=out, progress=progress, **options)
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
        say(f"{len(one):,} vectors of {one.dim} dimensions{f' of the view {one.view}' if of_each else ''}")
    say(f"{out} ({out.stat().st_size / 1e6:.1f} MB)")
    view = f" --view {made[0].view}" if of_each and FUSED not in table.views else ""
    remark(f"Next: placevec evaluate {out}{view}    placevec explore {out}{view} --html PAGE.html", quiet)


def _show_points(done: PointsEmbedded, as_json: bool, quiet: bool) -> None:
    """Print a summary for a table of points."""
    if as_json:
        print_json(
            {"embeddings": str(done.path), "count": done.count, "dim": done.dim, "left_out": done.left_out,
             "undated": done.undated, "model_hash": done.model_hash}
        )  # fmt: skip
        return
    if unplaced := done.left_out - done.undated:  # rows without a time have their own note
        remark(f"Note: {unplaced:,} rows without coordinates were left out", quiet)
    size = done.path.stat().st_size / 1e6
    say(f"{done.count:,} vectors of {done.dim} dimensions: {done.path} ({size:.1f} MB)")


def _given(paths: Sequence[Path], model: str | None) -> tuple[str | Path, Path]:
    """(model, dataset) from the command line."""
    wanted = 2 if model is None else 1
    if len(paths) != wanted:
        usage = "embed RUN DATASET, or embed --model base DATASET"
        raise UsageError(
            f"expected {wanted} {'directories' if wanted > 1 else 'directory'}, got {len(paths)}: {usage}"
        )
    run, dataset = (paths[0] if model is None else model), paths[-1]
    if model is None and (paths[0] / "dataset.json").exists() and not (paths[0] / "config.json").exists():
        raise UsageError(f"{paths[0]} is a dataset: give the run first, embed RUN DATASET")
    return run, dataset
