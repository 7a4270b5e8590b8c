"""`validate` and `export`: check ready tiles or a dataset, and write the map of a dataset as tiles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from placevec.api.inputs import PathLike, dataset_of
from placevec.errors import InputError, UsageError
from placevec.io.progress import SILENT, Progress
from placevec.options import checked_keywords
from placevec.options.choices import Rows

if TYPE_CHECKING:
    from placevec.datasets.dataset import Dataset
    from placevec.preparation.validate import Validation


@checked_keywords
def validate(
    path: PathLike, *, zoom: int | None = None, scheme: Rows = "auto", progress: Progress = SILENT
) -> Validation:
    """Check whether a folder of tiles, MBTiles or a dataset is usable; nothing is written.

    Args:
        path: Folder of tiles, MBTiles (a file or a folder of them) or a dataset.
        zoom: Zoom to check, if there are several.
        scheme: Direction of the rows of tiles (xyz: from the north; tms: from the south; auto: from metadata files).
        progress: Receives progress reports.
    """
    from placevec.preparation.validate import validate as look_through

    if (Path(path) / "config.json").is_file() or Path(path).suffix in (".parquet", ".geoparquet"):
        raise InputError(f"{path} is a run or a table of vectors: placevec info checks and describes it")
    return look_through(path, zoom=zoom, scheme=scheme, progress=progress)


@checked_keywords
def export(
    dataset: Dataset | PathLike,
    *,
    tile_folder: PathLike | None = None,
    mbtiles: PathLike | None = None,
    progress: Progress = SILENT,
) -> int:
    """Write the map of a dataset as tiles; returns their number, each with a picture of every layer.

    Args:
        dataset: Dataset or its directory.
        tile_folder: Folder to make: tiles/LAYER/z/x/y.png, or tiles/tile_z_x_y.png for colors.
        mbtiles: MBTiles file to make for colors; for layers, a folder with one file each.
        progress: Receives progress reports.
    """
    from placevec.preparation.tiles.export import export_mbtiles, export_tile_folder

    opened = dataset_of(dataset)
    if (tile_folder is None) == (mbtiles is None):
        raise UsageError("give either --tile-folder DIR or --mbtiles FILE to write")
    if tile_folder is not None:
        return export_tile_folder(opened, Path(tile_folder), progress=progress)
    return export_mbtiles(opened, Path(str(mbtiles)), progress=progress)
