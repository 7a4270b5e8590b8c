"""What an image classifier said of photos: probabilities of classes, a row a photo; .npy, or sparse .npz of scipy.

Files are the user's and never unpickled: numpy reads plain arrays only, and sizes are checked before they are read.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from placevec.atomic import replacing
from placevec.errors import SourceError

MOST_BYTES = 16 * 2**30
"""Largest predictions, unpacked: those of iNaturalist 2018's validation are 0.8 GB, dense."""
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
    """(N, C) probabilities, float32: a numpy array (memory-mapped) or a scipy CSR matrix; NaN where there are none.

    Args:
        path: .npy or .npz.
        shape: that they must have.

    Raises:
        SourceError: no such file, pickled content, another shape, numbers below 0, or a sparse matrix that is damaged.
    """
    try:
        found = _sparse(path) if path.suffix == ".npz" else np.load(path, mmap_mode="r", allow_pickle=False)
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
    return found


def _sparse(path: Path) -> Any:
    from scipy import sparse

    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if {member.filename for member in members} - _SPARSE_PARTS:
            raise SourceError(f"{path} is no sparse matrix that scipy wrote")
        if sum(member.file_size for member in members) > MOST_BYTES:
            raise SourceError(f"{path} would unpack to more than {MOST_BYTES / 2**30:g} GiB")
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
