"""`validate`: checks the bytes and the content of what placevec wrote, and whether tiles or a dataset are usable."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from placevec.api.inputs import PathLike
from placevec.errors import PlacevecError, SourceError
from placevec.io.progress import SILENT, Progress
from placevec.options import checked_keywords
from placevec.options.choices import Rows

if TYPE_CHECKING:
    from placevec.preparation.validate import Validation


@checked_keywords
def validate(
    path: PathLike, *, zoom: int | None = None, scheme: Rows = "auto", progress: Progress = SILENT
) -> Validation:
    """Check whether tiles or a dataset are usable, and verify every byte of a dataset, run, model, table or
    raster.

    Args:
        path: Folder of tiles, MBTiles (a file or a folder of them), a dataset, a run, a model, a table of vectors (with
            its indexes and projections), or a predicted raster.
        zoom: Zoom to check, if there are several.
        scheme: Numbering of tile rows (xyz: from the north; tms: from the south; auto: from metadata files).
        progress: Receives progress reports.
    """
    from placevec.embeddings.precomputed import FOLDER
    from placevec.models.files import CONFIG, shipped
    from placevec.preparation.validate import Validation
    from placevec.preparation.validate import validate as look_through

    folder = shipped(path)
    if (folder / CONFIG).is_file():
        is_run = (folder / "split.parquet").is_file()
        found, check = Validation(str(path), "run" if is_run else "model"), _model
    elif folder.suffix in (".parquet", ".geoparquet"):
        found, check = Validation(str(path), "table"), _table
    elif folder.suffix in (".tif", ".tiff"):
        found, check = Validation(str(path), "raster"), _raster
    elif folder.name.endswith(FOLDER) or (folder.parent.name.endswith(FOLDER) and folder.is_file()):
        found, check = Validation(str(path), "precomputed"), _precomputed
    else:
        return look_through(path, zoom=zoom, scheme=scheme, progress=progress)
    try:
        check(folder, found)
    except PlacevecError as error:
        found.problems.append(str(error))
    return found


def _model(path: Path, found: Validation) -> None:
    """A model and, where it is a run, its split, log, training states and named checkpoints."""
    from placevec.datasets.splits import FILE as SPLIT
    from placevec.io import parquet
    from placevec.models.files import damage
    from placevec.models.model import Model
    from placevec.training.log import damage_of_log
    from placevec.training.state import damage_of_state

    found.problems += damage(path)
    if (path / SPLIT).is_file() and (problem := parquet.damage(path / SPLIT)):
        found.problems.append(f"{path / SPLIT} is damaged: {problem}")
    found.problems += damage_of_log(path)
    for state in sorted([*path.glob("state/step-*"), path]):
        if (state / "state.json").exists():
            found.problems += damage_of_state(state)
    for checkpoint in sorted(path.glob("checkpoints/epoch-*")):
        _model(checkpoint, found)
    if not found.problems:
        Model.load(path)


def _table(path: Path, found: Validation) -> None:
    """A table of vectors with what is precomputed for it, or another table, such as predictions or a split."""
    from placevec import embeddings
    from placevec.embeddings import precomputed, stac
    from placevec.geo.geoparquet import read_summary
    from placevec.io import parquet
    from placevec.io.files import check_regular

    check_regular(path, "table")
    if problem := parquet.damage(path):
        found.problems.append(f"{path} is damaged, or was not written by placevec: {problem}")
    schema, count = read_summary(path)
    found.coordinates = count
    if b"placevec" not in (schema.metadata or {}):
        return
    found.kind = "embeddings"
    found.notes.append(stac.TYPE_NOTE)
    if (beside := path.with_name(path.stem + precomputed.FOLDER)).is_dir():
        found.problems += precomputed.damage(beside)
    try:
        embeddings.load(path)
    except PlacevecError as error:
        raise SourceError(str(error)) from error


def _precomputed(path: Path, found: Validation) -> None:
    """The indexes and projections of a table: their folder, or a file in it."""
    from placevec.embeddings import precomputed

    if not path.exists():
        raise SourceError(f"{path} does not exist")
    found.problems += precomputed.damage(path if path.is_dir() else path.parent)


def _raster(path: Path, found: Validation) -> None:
    """A predicted raster."""
    from placevec.io import gdal
    from placevec.io.files import check_regular

    if problem := gdal.damage(check_regular(path, "raster")):
        found.problems.append(f"{path} is damaged, or was not written by placevec: {problem}")
