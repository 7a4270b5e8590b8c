"""``placevec predict``: where a trained model expects what."""

from __future__ import annotations

from pathlib import Path

import typer

from placevec.cli.output import JSON, QUIET, clean, print_json, progress_for, say
from placevec.errors import UsageError

NAME = "predict"
HELP = """Write where models expect a class, or what number: as a raster, a figure, a page or a table.

The ending of --out says which. .tif: GeoTIFF, a band a class, of any size. .png: a figure, a row a class, a column a
model. .html: a page with maps that move together; it needs no network. .parquet: answers at the points of a table.

Examples:

  placevec predict runs/birds --class "Bradypus variegatus" --out map.tif --resolution 0.05

  placevec predict runs/grid runs/sphereC+ --class zoo,airport --out figure.png --land-only

  placevec predict runs/birds --class "Bradypus variegatus" --bbox=-90,-35,-33,16 --show-points --out map.html

  placevec predict runs/birds points.csv --out predictions.parquet
"""


def command(
    given: list[Path] = typer.Argument(
        ..., metavar="RUN... [POINTS]", help="Runs or model directories; a file is a table of points."
    ),
    out: Path = typer.Option(..., "--out", "-o", help="File to write: .tif, .png, .html or .parquet."),
    classes: list[str] = typer.Option(
        [],
        "--class",
        help="Class to ask for; several between commas, or repeat it. None of a model of numbers.",
    ),
    bbox: str | None = typer.Option(None, help="west,south,east,north in degrees. Default: the world."),
    resolution: float | None = typer.Option(
        None, help="Degrees a cell of a .tif or .html. Default: 720 columns."
    ),
    land: Path | None = typer.Option(
        None, help="Outlines of the land. Default: coarse ones of Natural Earth."
    ),
    land_only: bool = typer.Option(False, "--land-only", help="No value outside of the land."),
    show_points: bool = typer.Option(
        False, "--show-points", help="Draw the points of each class that the first model was trained on."
    ),
    year: float | None = typer.Option(
        None, help="Share of the year passed, 0 to 1, of a model trained with dates."
    ),
    title: str | None = typer.Option(None, help="Of a .png or .html. Default: the class."),
    own_scales: bool = typer.Option(
        False,
        "--own-scales",
        help="Of a .png: each map in colors from its own lowest to its own highest value.",
    ),
    seed: int = typer.Option(0, min=0, help="Of the sample where there are more than 5,000 points to draw."),
    as_json: bool = JSON,
    quiet: bool = QUIET,
) -> None:
    """Call `placevec.api.predict` and say what was written."""
    from placevec import api

    tables = [path for path in given if path.is_file()]
    if len(tables) > 1:
        raise UsageError(
            f"one table of points can be named, and {len(tables)} files are: {tables[0]}, {tables[1]}"
        )
    found = api.predict(
        [path for path in given if not path.is_file()], out, classes=classes, points=tables[0] if tables else None,
        bbox=bbox, resolution=resolution, land=land, land_only=land_only, show_points=show_points, year=year,
        title=title, own_scales=own_scales, seed=seed, progress=progress_for(as_json, quiet),
    )  # fmt: skip
    if as_json:
        print_json(vars(found))
        return
    say(f"{found.path}: {clean(found.summary, 400)}")
