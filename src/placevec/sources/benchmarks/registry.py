"""The layouts by name."""

from __future__ import annotations

from pathlib import Path

from placevec.errors import SourceError, UsageError
from placevec.sources.benchmarks.birds import read_birds
from placevec.sources.benchmarks.coco import read_fmow, read_inat
from placevec.sources.benchmarks.layout import Layout
from placevec.sources.benchmarks.yfcc import read_yfcc

LAYOUTS = ("inat2017", "inat2018", "birdsnap", "nabirds", "yfcc", "fmow")


def read_layout(
    name: str, folder: str | Path, *, meta: str | None = None, features: str | None = None
) -> Layout:
    """Read the folder of a benchmark.

    Args:
        name: one of `LAYOUTS`.
        folder: folder with its files under their original names.
        meta: ``orig`` or ``ebird``, for birds.
        features: subfolder with the predictions of image classifiers; default is the layout's own.

    Raises:
        UsageError: an unknown layout, or a ``meta`` that it does not have.
        SourceError: files that are missing, damaged, or not of this layout.
    """
    folder = Path(folder)
    if name not in LAYOUTS:
        raise UsageError(f"--layout must be one of {', '.join(LAYOUTS)}; got {name!r}")
    if not folder.is_dir():
        raise SourceError(f"the folder {folder} does not exist")
    if meta is not None and name not in ("birdsnap", "nabirds"):
        raise UsageError(f"--meta applies only to birdsnap and nabirds, not to {name}")
    if features is not None and (Path(features).name != features or not (folder / features).is_dir()):
        raise UsageError(f"--features must be a subfolder of {folder}; there is no {features!r}")
    if name in ("birdsnap", "nabirds"):
        return read_birds(folder, name, meta, features)
    if name == "yfcc":
        return read_yfcc(folder, features)
    if name == "fmow":
        return read_fmow(folder, features)
    return read_inat(folder, int(name[-4:]), features)
