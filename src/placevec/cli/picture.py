"""``placevec picture``: location encoders and their trainings as still pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from placevec.cli.output import clean, print_json, progress_for, say
from placevec.cli.signature import Json, Quiet
from placevec.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

HELP = """\
kernels: how alike each finds every place on Earth and one (--at lon,lat), on a globe and by distance; of
runs their vectors, of named encoders their features. latitude: how good runs are by latitude, on places
held out of training. curves: how loss and a further measure of runs went.

For example:

  placevec picture kernels xyz grid sphereC+ --at 179.5,-17 --out kernels.png

  placevec picture kernels grid sphereC --variant original --r-min 0.1 --out original.png

  placevec picture latitude runs/grid runs/sphereC+ --out latitude.png

  placevec picture curves runs/grid runs/sphereC+ --out curves.png"""
_FEATURES = ("variant", "scales", "r_min")
_OF = {
    "kernels": ("at", "land", *_FEATURES),
    "latitude": ("dataset", "band"),
    "curves": ("metric",),
}


def command(
    what: Literal["kernels", "latitude", "curves"],
    /,
    *runs: Annotated[str, Parameter(required=True)],
    out: Annotated[Path, Parameter(name=("--out", "-o"))],
    at: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    variant: str | None = None,
    scales: int | None = None,
    r_min: float | None = None,
    land: Path | None = None,
    dataset: Path | None = None,
    band: float | None = None,
    metric: str | None = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Call the function of `placevec.api` that draws it, and say what was written.

    Args:
        what: What to draw.
        runs: Runs; for kernels also names of location encoders.
        out: Picture to write, .png.
        at: Place of kernels, lon,lat in degrees (default 179.5,-17, in Fiji).
        variant: Variant of the named encoders of kernels, corrected or original.
        scales: Number of scales of the named encoders of kernels.
        r_min: Finest scale of the named encoders of kernels, share of the Earth's radius.
        land: Outlines of the land of kernels (default: coarse ones of Natural Earth).
        dataset: Dataset to evaluate on, of latitude (default: that of each run).
        band: Width of a band of latitude, degrees (default 15).
        metric: Measure of the lower chart of curves, as metrics.jsonl calls it.
    """
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
        found = api.picture_kernels(list(runs), out, options=features, land=land, progress=progress, **place)
    elif what == "latitude":
        wide = {} if band is None else {"band": band}
        found = api.picture_latitude(list(runs), out, dataset=dataset, progress=progress, **wide)
    else:
        found = api.picture_curves(list(runs), out, metric=metric)
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
