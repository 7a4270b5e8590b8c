"""``placevec predict``: maps a model's predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from placevec.api.predicting import predict
from placevec.cli.output import clean, print_json, progress_for, say
from placevec.cli.signature import taking_keywords_of
from placevec.errors import UsageError

HELP = """\
The extension of --out selects the format. .tif: GeoTIFF with one band per class, of any size. .png: a figure
with one row per class and one column per model. .html: a page with linked maps that needs no network.
.parquet: predictions at the points of a table.

For example:

  placevec predict runs/birds --class "Bradypus variegatus" --out map.tif --resolution 0.05

  placevec predict runs/grid runs/sphereC+ --class zoo,airport --out figure.png --land-only

  placevec predict runs/birds --class "Bradypus variegatus" --bbox=-90,-35,-33,16 --show-points --out map.html

  placevec predict runs/birds points.csv --out predictions.parquet"""


@taking_keywords_of(predict, without=("points",), flags={"classes": "--class"})
def command(*runs: Path, out: Path, as_json: bool = False, quiet: bool = False, **options: Any) -> None:
    """Print what was written.

    Args:
        runs: Runs or model directories; a file is a table of points.
    """
    tables = [path for path in runs if path.is_file()]
    if len(tables) > 1:
        raise UsageError(f"give at most one table of points; got {len(tables)}: {tables[0]}, {tables[1]}")
    found = predict(
        [path for path in runs if not path.is_file()], out, points=tables[0] if tables else None,
        progress=progress_for(as_json, quiet), **options,
    )  # fmt: skip
    if as_json:
        print_json(vars(found))
        return
    say(f"{found.path}: {clean(found.summary, 400)}")
