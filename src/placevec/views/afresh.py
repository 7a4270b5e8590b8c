"""What an unfinished map of other inputs left in a dataset's directory is removed before another one begins there."""

from __future__ import annotations

import shutil
from pathlib import Path

from placevec.views.shards import SHARD_NAME


def remove_unfinished(dataset: Path, work: Path, note: Path) -> None:
    """Remove every file of a map, and of labels beside it, and all half-done work.

    The note of the old inputs goes first and the folder of half-done work stays: killed here, the next run neither
    takes what is left for whole nor the directory for somebody else's.

    Args:
        dataset: the directory, without a manifest yet.
        work: its folder of half-done work.
        note: the file in it that names the inputs.
    """
    note.unlink(missing_ok=True)
    (work / "inputs.json").unlink(missing_ok=True)
    for path in work.iterdir() if work.is_dir() else ():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
    for path in (dataset / "map").glob("*.tif"):
        if SHARD_NAME.fullmatch(path.name):
            path.unlink()
    for path in (*dataset.glob("*_coverage.tif"), dataset / "map.vrt", dataset / "pois.parquet"):
        path.unlink(missing_ok=True)
