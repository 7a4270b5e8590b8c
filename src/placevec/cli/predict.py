"""``placevec predict``: where a trained model expects what."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from placevec.cli.output import clean, print_json, progress_for, say
from placevec.cli.signature import Flag, Json, Quiet, at_least
from placevec.errors import UsageError

HELP = """\
The ending of --out says which. .tif: GeoTIFF, a band a class, of any size. .png: a figure, a row a class, a
column a model. .html: a page with maps that move together; it needs no network. .parquet: predictions at
the points of a table.

For example:

  placevec predict runs/birds --class "Bradypus variegatus" --out map.tif --resolution 0.05

  placevec predict runs/grid runs/sphereC+ --class zoo,airport --out figure.png --land-only

  placevec predict runs/birds --class "Bradypus variegatus" --bbox=-90,-35,-33,16 --show-points --out map.html

  placevec predict runs/birds points.csv --out predictions.parquet"""


def command(
    *runs: Annotated[Path, Parameter(required=True)],
    out: Annotated[Path, Parameter(name=("--out", "-o"))],
    classes: Annotated[tuple[str, ...], Parameter(name="--class")] = (),
    bbox: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    resolution: float | None = None,
    land: Path | None = None,
    land_only: Flag = False,
    show_points: Flag = False,
    year: float | None = None,
    title: str | None = None,
    own_scales: Flag = False,
    seed: Annotated[int, Parameter(validator=at_least(0))] = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Call `placevec.api.predict` and say what was written.

    Args:
        runs: Runs or model directories; a file is a table of points.
        out: File to write: .tif, .png, .html or .parquet.
        classes: Class to ask for; several between commas, or repeated (none of a model of numbers).
        bbox: Area as west,south,east,north, degrees (default: the world).
        resolution: Side of a cell of a .tif or .html, degrees (default: 720 columns).
        land: Outlines of the land (default: coarse ones of Natural Earth).
        land_only: No value outside of the land.
        show_points: The points of each class that the first model was trained on drawn too.
        year: Share of the year passed, 0 to 1, of a model trained with dates.
        title: Title of a .png or .html (default: the class).
        own_scales: Each map of a .png in colors from its own lowest to its own highest value.
        seed: Seed of the sample where there are more than 5,000 points to draw.
    """
    from placevec import api

    tables = [path for path in runs if path.is_file()]
    if len(tables) > 1:
        raise UsageError(
            f"one table of points can be named, and {len(tables)} files are: {tables[0]}, {tables[1]}"
        )
    found = api.predict(
        [path for path in runs if not path.is_file()], out, classes=classes, points=tables[0] if tables else None,
        bbox=bbox, resolution=resolution, land=land, land_only=land_only, show_points=show_points, year=year,
        title=title, own_scales=own_scales, seed=seed, progress=progress_for(as_json, quiet),
    )  # fmt: skip
    if as_json:
        print_json(vars(found))
        return
    say(f"{found.path}: {clean(found.summary, 400)}")
