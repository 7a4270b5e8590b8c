"""``placevec picture``: location encoders and their trainings as still pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from placevec.cli.output import JSON, QUIET, clean, print_json, progress_for, say
from placevec.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "picture"
HELP = """Draw location encoders and their trainings, several side by side, as a PNG.

kernels: how alike each finds every place on Earth and one (--at lon,lat), on a globe and by distance; of runs their
vectors, of named encoders their features. latitude: how good runs are by latitude, on places kept from training.
curves: how loss and a further measure of runs went.

Examples:

  placevec picture kernels xyz grid sphereC+ --at 179.5,-17 --out kernels.png

  placevec picture kernels grid sphereC --variant original --r-min 0.1 --out original.png

  placevec picture latitude runs/grid runs/sphereC+ --out latitude.png

  placevec picture curves runs/grid runs/sphereC+ --out curves.png
"""
_FEATURES = ("variant", "scales", "r_min")
_OF = {
    "kernels": ("at", "land", *_FEATURES),
    "latitude": ("dataset", "band"),
    "curves": ("metric",),
}


def command(
    what: Literal["kernels", "latitude", "curves"] = typer.Argument(
        ..., help="What to draw: kernels, latitude or curves."
    ),
    given: list[str] = typer.Argument(
        ..., metavar="RUN|ENCODER...", help="Runs; for kernels also names of location encoders."
    ),
    out: Path = typer.Option(..., "--out", "-o", help="Picture to write, .png."),
    at: str | None = typer.Option(None, help="kernels: lon,lat of the place. Default: 179.5,-17, in Fiji."),
    variant: str | None = typer.Option(None, help="kernels: corrected or original, of the named encoders."),
    scales: int | None = typer.Option(None, help="kernels: scales of the named encoders."),
    r_min: float | None = typer.Option(None, help="kernels: finest scale of the named encoders."),
    land: Path | None = typer.Option(
        None, help="kernels: outlines of the land. Default: coarse ones of Natural Earth."
    ),
    dataset: Path | None = typer.Option(
        None, help="latitude: dataset to judge on. Default: that of each run."
    ),
    band: float | None = typer.Option(None, help="latitude: degrees of a band. Default: 15."),
    metric: str | None = typer.Option(
        None, help="curves: measure of the lower chart, as metrics.jsonl calls it."
    ),
    as_json: bool = JSON,
    quiet: bool = QUIET,
) -> None:
    """Call the function of `placevec.api` that draws it, and say what was written."""
    from placevec import api

    options = {
        "at": at, "variant": variant, "scales": scales, "r_min": r_min, "land": land, "dataset": dataset, "band": band,
        "metric": metric,
    }  # fmt: skip
    told: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    for name in told:
        if name not in _OF[what]:
            raise UsageError(f"--{name.replace('_', '-')} is no option of picture {what}")
    progress = progress_for(as_json, quiet)
    found: Any
    if what == "kernels":
        features: dict[str, Any] = {key: value for key, value in told.items() if key in _FEATURES}
        place = {} if at is None else {"at": _place(at)}
        found = api.picture_kernels(given, out, options=features, land=land, progress=progress, **place)
    elif what == "latitude":
        wide = {} if band is None else {"band": band}
        found = api.picture_latitude(given, out, dataset=dataset, progress=progress, **wide)
    else:
        found = api.picture_curves(given, out, metric=metric)
    if as_json:
        print_json(_content(vars(found)))
        return
    say(f"{found.path}: {clean(found.summary, 400)}")


def _place(text: str) -> tuple[float, float]:
    try:
        lon, lat = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--at is a longitude and a latitude, lon,lat in degrees; got {text!r}") from None
    return lon, lat


def _content(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}
