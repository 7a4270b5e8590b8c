"""Preparing cells: a map, the points of interest in them, and aerial images of them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from placevec.errors import UsageError
from placevec.preparation.cell_options import CellOptions

if TYPE_CHECKING:
    from placevec.datasets.dataset import Dataset
    from placevec.io.progress import Progress


def prepare(out: Path, options: CellOptions, *, created: str, progress: Progress) -> Dataset:
    """Make a dataset with a map, points of interest and aerial images, or add them to one that is there.

    A first command that fails leaves no places behind, unless a view of them is done.
    """
    from placevec.datasets.layout import MANIFEST
    from placevec.errors import DatasetError, InputError

    is_new = not (out / MANIFEST).exists()
    try:
        return _prepared(out, options, created=created, progress=progress)
    except (InputError, DatasetError):
        if is_new and (out / MANIFEST).exists():
            _forget_places(out, progress)
        raise


def _prepared(out: Path, options: CellOptions, *, created: str, progress: Progress) -> Dataset:
    from placevec.datasets.dataset import Dataset
    from placevec.datasets.layout import MANIFEST
    from placevec.preparation import map as maps
    from placevec.preparation.chips.aerial import add_aerial
    from placevec.preparation.new_cells import lay_out
    from placevec.preparation.pois import add_pois, check_table, has_pois

    if options.chip_folder is not None:
        from placevec.preparation.chips import chip_folder

        return chip_folder.prepare(
            out,
            options.chip_folder,
            attribution=options.aerial_attribution,
            created=created,
            progress=progress,
        )
    if options.pois is not None:
        check_table(options.pois, options.category, options.group)
    is_new, draws = not (out / MANIFEST).exists(), options.draws
    if (options.lays_out and not draws) or (is_new and (options.places is not None or not draws)):
        lay_out(out, options, created=created, progress=progress)
    dataset = maps.prepare(out, options, created=created, progress=progress) if draws else Dataset.open(out)
    has_points = options.pois is not None or has_pois(dataset)
    if not has_points and not options.has_images and not options.lays_out:
        raise UsageError(
            "nothing to add: give --pois TABLE, --aerial IMAGES, --aerial-tiles, or an extract with --osm"
        )
    if has_points:
        dataset = add_pois(dataset, options, created=created, progress=progress)
    return add_aerial(dataset, options, created=created, progress=progress) if options.has_images else dataset


def _forget_places(out: Path, progress: Progress) -> None:
    """Remove a dataset of places alone; say that one with views stays."""
    from placevec.datasets.dataset import Dataset

    views = Dataset.open(out).manifest["views"]
    if views:
        progress.say(
            f"Note: {out} keeps what is finished ({', '.join(views)}): the corrected command adds the rest"
        )
        return
    for path in out.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    out.rmdir()
