"""`validate` and `export`: look through ready tiles, and write the map of a dataset as such."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from placevec.api.inputs import PathLike, dataset_of
from placevec.datasets.dataset import Dataset
from placevec.errors import UsageError
from placevec.io.progress import SILENT, Progress

if TYPE_CHECKING:
    from placevec.preparation.validate import Validation


def validate(
    path: PathLike, *, zoom: int | None = None, scheme: str = "auto", progress: Progress = SILENT
) -> Validation:
    """Look through a folder of tiles, MBTiles or a dataset and say whether it can be used; nothing is written.

    Args:
        path: what to look at.
        zoom: of the tiles, when there are several.
        scheme: of the tiles: ``xyz`` where rows are counted from the north, ``tms`` from the south; ``auto`` goes by the
            files beside them.
        progress: where to report.
    """
    from placevec.preparation.validate import validate as look_through

    return look_through(path, zoom=zoom, scheme=scheme, progress=progress)


def export(
    dataset: Dataset | PathLike,
    *,
    tile_folder: PathLike | None = None,
    mbtiles: PathLike | None = None,
    progress: Progress = SILENT,
) -> int:
    """Write the map of a dataset as ready tiles; returns how many there are, each with a picture of every layer.

    Args:
        dataset: it, or its directory.
        tile_folder: folder to make: ``tiles/LAYER/z/x/y.png``, or ``tiles/tile_z_x_y.png`` of colors.
        mbtiles: or the MBTiles file to make of colors, or the folder of one file a layer.
        progress: where to report.
    """
    from placevec.preparation.tiles.export import export_mbtiles, export_tile_folder

    opened = dataset_of(dataset)
    if (tile_folder is None) == (mbtiles is None):
        raise UsageError("name what to write: --tile-folder DIR or --mbtiles FILE, one of the two")
    if tile_folder is not None:
        return export_tile_folder(opened, Path(tile_folder), progress=progress)
    return export_mbtiles(opened, Path(str(mbtiles)), progress=progress)
