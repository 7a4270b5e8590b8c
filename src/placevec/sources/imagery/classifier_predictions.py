"""Predictions of an image classifier: class probabilities, one row per photo; .npy, or sparse .npz of scipy.

Files come from the user and are never unpickled: numpy reads only plain arrays, and sizes are checked before reading.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from placevec.errors import SourceError
from placevec.io.atomic import replacing

MAX_BYTES = 16 * 2**30
"""Maximum uncompressed size of predictions: those of iNaturalist 2018's validation set are 0.8 GB, dense."""
_CELLS = 2**22
"""Numbers checked at a time, so that memory does not grow with the file."""
_SPARSE_PARTS = {
    "_is_array.npy",
    "indices.npy",
    "indptr.npy",
    "data.npy",
    "row.npy",
    "col.npy",
    "shape.npy",
    "format.npy",
    "offsets.npy",
}


def read_predictions(path: Path, shape: tuple[int, int] | None = None) -> Any:
    """(N, C) probabilities: a numpy array (memory-mapped) or a scipy CSR matrix, float32; NaN if missing.

    Every number is checked once, which takes less time than hashing the file or ranking with it.

    Args:
        path: .npy or .npz.
        shape: required shape.

    Raises:
        SourceError: the file does not exist, is not a plain array, is pickled, has another shape or numbers below 0, or
            is a damaged sparse matrix.
    """
    try:
        found = _sparse(path) if path.suffix == ".npz" else _dense(path)
    except FileNotFoundError:
        raise SourceError(f"the predictions {path} do not exist") from None
    except SourceError:
        raise
    except Exception as error:  # numpy, zipfile and scipy have their own errors for damaged files
        raise SourceError(
            f"{path} has no predictions that can be read without unpickling: {error}"
        ) from error
    if found.ndim != 2 or found.dtype.kind not in "fiub":
        raise SourceError(
            f"{path} must have one row of probabilities per photo; it is {found.dtype} with shape {tuple(found.shape)}"
        )
    if shape is not None and tuple(found.shape) != shape:
        raise SourceError(
            f"{path} has predictions for {found.shape[0]:,} photos and {found.shape[1]:,} classes, but there are "
            f"{shape[0]:,} photos and {shape[1]:,} classes"
        )
    _check_signs(found.ravel(order="K") if isinstance(found, np.ndarray) else found.data, path)
    return found


def _dense(path: Path) -> Any:
    found = np.load(path, mmap_mode="r", allow_pickle=False)
    if not isinstance(found, np.ndarray):  # numpy looks at the content: a zip of arrays, whatever its name
        found.close()
        raise SourceError(f"{path} is a zip of arrays, not one array: name it .npz if scipy wrote it")
    return found


def _check_signs(cells: Any, path: Path) -> None:
    """SourceError if one of (M,) numbers is below 0; NaN is allowed."""
    for start in range(0, len(cells), _CELLS):
        part = cells[start : start + _CELLS]
        if (part < 0).any():
            raise SourceError(
                f"{path} has the probability {part[part < 0][0]:g}, below 0: store the softmax of the scores"
            )


def _sparse(path: Path) -> Any:
    from scipy import sparse

    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if {member.filename for member in members} - _SPARSE_PARTS:
            raise SourceError(f"{path} is not a sparse matrix written by scipy")
        if sum(member.file_size for member in members) > MAX_BYTES:
            raise SourceError(f"{path} would unpack to more than {MAX_BYTES / 2**30:g} GiB")
    matrix = sparse.load_npz(path).tocsr()
    matrix.check_format(full_check=True)
    return matrix.astype(np.float32, copy=False)


def write_predictions(found: Any, folder: Path, name: str) -> str:
    """Write predictions into a folder, dense or sparse as they are; returns the file name."""
    from scipy import sparse

    is_sparse = sparse.issparse(found)
    file = f"{name}{'.npz' if is_sparse else '.npy'}"
    with replacing(folder / file) as temporary, open(temporary, "wb") as stream:
        if is_sparse:
            sparse.save_npz(stream, found)
        else:
            np.save(stream, np.asarray(found, np.float32), allow_pickle=False)
    return file
