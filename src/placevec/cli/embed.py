"""``placevec embed``: turn a dataset's places into vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import typer

from placevec.cli.output import JSON, QUIET, print_json, progress_for, say
from placevec.errors import UsageError

NAME = "embed"
HELP = """Turn a dataset's places into vectors: one GeoParquet table that opens everywhere.

A killed run goes on where it was. --model base takes the model that comes with placevec: nothing to train.

Examples:

  placevec embed runs/malta data/malta -o malta.parquet

  placevec embed --model base data/malta -o malta.parquet
"""


def command(
    paths: list[Path] = typer.Argument(
        ...,
        metavar="[RUN] DATASET",
        help="Run or model directory, then dataset directory: it may be another one than was trained on.",
    ),
    model: str | None = typer.Option(None, "--model", help="Instead of RUN: a model directory, or base."),
    out: Path = typer.Option(..., "--out", "-o", help="GeoParquet file to write."),
    dtype: Literal["float32", "float16", "int8"] = typer.Option("float32", help="Numbers as stored."),
    batch_size: int = typer.Option(64, min=1, help="Places encoded at once."),
    as_json: bool = JSON,
    quiet: bool = QUIET,
) -> None:
    """Call `placevec.api.embed` and say what was written."""
    from placevec import api

    run, dataset = _given(paths, model)
    table = api.embed(
        run, dataset, out=out, dtype=dtype, batch_size=batch_size, progress=progress_for(as_json, quiet)
    )
    count, dim = table.vectors.shape
    if as_json:
        print_json(
            {"embeddings": str(out), "count": count, "dim": dim, "model_hash": table.provenance.model_hash}
        )
        return
    say(f"{count:,} vectors of {dim} numbers: {out} ({out.stat().st_size / 1e6:.1f} MB)")
    say(f"Next: placevec evaluate {out}    placevec explore {out} --html PAGE.html")


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
