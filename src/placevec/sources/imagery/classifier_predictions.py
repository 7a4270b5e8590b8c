"""What an image classifier said of photos: probabilities of classes, a row a photo; .npy, or sparse .npz of scipy.

Files are the user's and never unpickled: numpy reads plain arrays only, and sizes are checked before they are read.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from placevec.errors import SourceError
from placevec.io.atomic import replacing

MAX_BYTES = 16 * 2**30
"""Largest predictions, unpacked: those of iNaturalist 2018's validation are 0.8 GB, dense."""
_CELLS = 2**22
"""Numbers that are looked at together: memory does not grow with the file."""
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
    """(N, C) probabilities: a numpy array (memory-mapped) or a scipy CSR matrix, float32; NaN where there are none.

    Every number is looked at once, which takes less time than hashing the file or ranking with it.

    Args:
        path: .npy or .npz.
        shape: that they must have.

    Raises:
        SourceError: no such file, no plain array, pickled content, another shape, numbers below 0, or a sparse matrix
            that is damaged.
    """
    try:
        found = _sparse(path) if path.suffix == ".npz" else _dense(path)
    except FileNotFoundError:
        raise SourceError(f"the predictions {path} do not exist") from None
    except SourceError:
        raise
    except Exception as error:  # numpy, zipfile and scipy each raise their own for a damaged file
        raise SourceError(
            f"{path} holds no predictions that can be read without unpickling: {error}"
        ) from error
    if found.ndim != 2 or found.dtype.kind not in "fiub":
        raise SourceError(
            f"{path} holds {found.dtype} of shape {tuple(found.shape)}, not a row of probabilities a photo"
        )
    if shape is not None and tuple(found.shape) != shape:
        raise SourceError(
            f"{path} holds predictions of {found.shape[0]:,} photos and {found.shape[1]:,} classes; there are "
            f"{shape[0]:,} and {shape[1]:,}"
        )
    _check_signs(found.ravel(order="K") if isinstance(found, np.ndarray) else found.data, path)
    return found


def _dense(path: Path) -> Any:
    found = np.load(path, mmap_mode="r", allow_pickle=False)
    if not isinstance(found, np.ndarray):  # numpy goes by the content: a zip of arrays, whatever its name
        found.close()
        raise SourceError(f"{path} is a zip of arrays, not one array: name it .npz if scipy wrote it")
    return found


def _check_signs(cells: Any, path: Path) -> None:
    """SourceError where one of (M,) numbers is below 0; NaN is not."""
    for start in range(0, len(cells), _CELLS):
        part = cells[start : start + _CELLS]
        if (part < 0).any():
            raise SourceError(
                f"{path} holds {part[part < 0][0]:g}, and probabilities are 0 or more: write the softmax of scores"
            )


def _sparse(path: Path) -> Any:
    from scipy import sparse

    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if {member.filename for member in members} - _SPARSE_PARTS:
            raise SourceError(f"{path} is no sparse matrix that scipy wrote")
        if sum(member.file_size for member in members) > MAX_BYTES:
            raise SourceError(f"{path} would unpack to more than {MAX_BYTES / 2**30:g} GiB")
    matrix = sparse.load_npz(path).tocsr()
    matrix.check_format(full_check=True)
    return matrix.astype(np.float32, copy=False)


def write_predictions(found: Any, folder: Path, name: str) -> str:
    """Write predictions into a folder as they are, dense or sparse; returns the file's name."""
    from scipy import sparse

    is_sparse = sparse.issparse(found)
    file = f"{name}{'.npz' if is_sparse else '.npy'}"
    with replacing(folder / file) as temporary, open(temporary, "wb") as stream:
        if is_sparse:
            sparse.save_npz(stream, found)
        else:
            np.save(stream, np.asarray(found, np.float32), allow_pickle=False)
    return file
