"""``placevec predict``: maps a model's predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from placevec.api.predicting import predict
from placevec.cli.output import clean, print_json, progress_for, say
from placevec.cli.signature import taking_keywords_of
from placevec.errors import UsageError

HELP = """\
The extension of --out selects the format. .tif: GeoTIFF with one band per class, of any size. .png: a figure with one
row per class and one column per model. .html: a page with linked maps that needs no network. .parquet: predictions at
the points of a table. With --types, the places of a dataset are labeled with types given by name, which the model
need not have been trained on. With --labels, the labels of some places are predicted for all places of a dataset:
.tif, .parquet, .html, or a folder for all three.

For example:

  placevec predict runs/birds --class "Bradypus variegatus" --out map.tif --resolution 0.05

  placevec predict runs/grid runs/sphereC+ --class zoo,airport --out figure.png --land-only

  placevec predict runs/birds --class "Bradypus variegatus" --bbox=-90,-35,-33,16 --show-points --out map.html

  placevec predict runs/birds points.csv --out predictions.parquet

  placevec predict runs/named data/city --types park,school,harbor --out types.html

  placevec predict cells.parquet --labels census.gpkg --columns inhabitants --out population/"""


@taking_keywords_of(predict, without=("points", "dataset"), flags={"classes": "--class"})
def command(*runs: Path, out: Path, as_json: bool = False, quiet: bool = False, **options: Any) -> None:
    """Print what was written.

    Args:
        runs: Run or model directories; also a table of points to predict at, a table of vectors (with --labels), or
            the dataset directory whose places are labeled (with --types or --labels).
    """
    if options.get("labels") is not None:
        _labeled(runs, out, as_json, quiet, options)
        return
    tables = [path for path in runs if path.is_file()]
    if len(tables) > 1:
        raise UsageError(f"give at most one table of points; got {len(tables)}: {tables[0]}, {tables[1]}")
    datasets = [path for path in runs if (path / "dataset.json").is_file()]
    if len(datasets) > 1:
        raise UsageError(f"give at most one dataset; got {len(datasets)}: {datasets[0]}, {datasets[1]}")
    if datasets and not options.get("types"):
        raise UsageError(
            f"{datasets[0]} is a dataset: its places are labeled with --types; for a map, give only runs"
        )
    found = predict(
        [path for path in runs if not path.is_file() and path not in datasets], out,
        dataset=datasets[0] if datasets else None, points=tables[0] if tables else None,
        progress=progress_for(as_json, quiet), **options,
    )  # fmt: skip
    if as_json:
        print_json(vars(found))
        return
    say(f"{found.path}: {clean(found.summary, 400)}")


def _labeled(runs: tuple[Path, ...], out: Path, as_json: bool, quiet: bool, options: dict[str, Any]) -> None:
    """`predict` with labels: a run or a table of vectors, and maybe a dataset."""
    datasets = [path for path in runs if (path / "dataset.json").is_file()]
    sources = [path for path in runs if path not in datasets]
    if len(sources) != 1 or len(datasets) > 1:
        raise UsageError("--labels needs one run or table of vectors, and at most one dataset")
    if not sources[0].exists():
        raise UsageError(f"{sources[0]} does not exist: give a run or a table of vectors")
    found = predict(
        sources, out, dataset=datasets[0] if datasets else None, progress=progress_for(as_json, quiet), **options
    )  # fmt: skip
    if as_json:
        print_json({name: value for name, value in vars(found).items() if name != "told"})
        return
    say(f"{found.path}: {clean(found.summary, 600)}")
