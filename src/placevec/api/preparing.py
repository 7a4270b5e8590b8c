"""`prepare`: makes the dataset for a recipe."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from placevec.api.inputs import PathLike, now, open_dataset
from placevec.errors import DatasetError, InputError, SourceError
from placevec.io import atomic
from placevec.io.locks import locked
from placevec.io.progress import SILENT, Progress

if TYPE_CHECKING:
    from placevec.datasets.dataset import Dataset


def prepare(
    recipe: str,
    *,
    out: PathLike,
    force: bool = False,
    wait: bool = False,
    progress: Progress = SILENT,
    **options: Any,
) -> Dataset:
    """Make the dataset for a recipe, or add missing parts to an existing one.

    Args:
        recipe: Name of the recipe, such as ``loc2vec``.
        out: Dataset directory to create; if it exists, its parts are reused and missing ones are added for the same
            places.
        force: Start over, removing what --out holds.
        wait: Wait for another process that is writing --out, instead of stopping.
        progress: Receives progress reports.
        options: the source of the data, and all other options of the recipe, such as ``osm="helsinki.osm.pbf"``;
            docs/reference/options.md lists them, with their allowed values.

    Raises:
        UsageError: an unknown recipe or option, an invalid value, or options that cannot be combined.
        SourceError: a source that is missing or damaged.
        DatasetError: ``out`` holds something else, or a dataset made with other options.
        OutputError: ``out`` cannot be written, or another process is writing it.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "trees.csv").write_text("lon,lat,species\\n24.94,60.17,oak\\n24.95,60.18,elm\\n24.96,60.16,oak\\n")
    >>> trees = prepare("sphere2vec", points=folder / "trees.csv", label="species", out=folder / "trees")
    >>> len(trees), trees.labels().classes
    (3, ('elm', 'oak'))
    """
    from placevec.recipes import recipe as entry_of
    from placevec.recipes.unknown import unknown_option

    out = Path(out)
    entry = entry_of(recipe)
    asked = entry.prepare_options_of(options, unknown=lambda name: unknown_option(entry, "prepare", name))
    make = partial(entry.prepared, options=asked, created=now(), progress=progress)
    with locked(out, wait=wait, progress=progress):
        _adopt(out)
        afresh = force and out.exists()
        if afresh and not (
            (out / "dataset.json").exists() or (out / ".work").is_dir() or not any(out.iterdir())
        ):
            raise DatasetError(f"{out} is not a placevec dataset, so --force will not delete it")
        if afresh or not (out / "dataset.json").exists():
            atomic.check_writable(out, directory=True)
        existed = out.exists()
        try:
            return _prepared_afresh(make, out) if afresh else make(out)
        except InputError as error:
            if not existed and not isinstance(error, SourceError):  # the same command would fail again
                shutil.rmtree(out, ignore_errors=True)
            raise


def _prepared_afresh(make: Callable[[Path], Dataset], out: Path) -> Dataset:
    """Prepare next to ``out`` and replace it once complete, so that a damaged extract costs no dataset."""
    out, beside = out.resolve(), _beside(out)
    shutil.rmtree(beside, ignore_errors=True)
    try:
        make(beside)
        atomic.exchange_directory(beside, out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return open_dataset(out)


def _beside(out: Path) -> Path:
    """Path of the new dataset until it is complete."""
    out = out.resolve()
    return out.with_name(f".{out.name}.new")


def _adopt(out: Path) -> None:
    """Finish the replacement if a kill fell between its two renames."""
    if not out.exists() and (_beside(out) / "dataset.json").exists():
        os.replace(_beside(out), out.resolve())
        atomic.remove_temporaries(out.resolve().parent, of=out.resolve().name)
