"""Images that a user uploads as a query: checked for size, format, pixels, bands and values before they are embedded."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from placevec.app.project import Project
from placevec.errors import InputError, SourceError, UsageError
from placevec.sources.imagery.single_image import FORMATS

MAX_UPLOAD_MB = 64
"""Size of an upload, megabytes."""


def vector_of_upload(project: Project, name: str, content: bytes) -> tuple[NDArray[np.float32], str]:
    """((D,) vector of an image in the space of the table, a remark or an empty text).

    The name gives nothing but the format: the content is read from a temporary file that is removed again.

    Raises:
        SourceError: not an image, of another format, damaged, or too large in bytes or pixels.
        InputError: without the model, or with bands or values that the model does not read.
    """
    from placevec.inference.images import embed_image

    if project.model is None:
        raise InputError(
            "an image is embedded by the model that made the vectors, which was not found: see --model"
        )
    ending = Path(name).suffix.lower()
    if ending not in FORMATS:
        raise SourceError(f"an image must be one of {', '.join(FORMATS)}")
    if len(content) > MAX_UPLOAD_MB * 1_000_000:
        raise SourceError(f"an image has at most {MAX_UPLOAD_MB} MB; this one has {len(content) / 1e6:.1f}")
    with tempfile.TemporaryDirectory(prefix="placevec-") as folder:
        path = Path(folder) / f"image{ending}"
        path.write_bytes(content)
        try:
            vector, view = embed_image(project.model, path, project.compared.view)
        except SourceError as error:
            raise SourceError(
                str(error).replace(str(path), "the image").replace(path.name, "the image")
            ) from None
    if len(vector) != project.compared.dim:
        raise UsageError(
            f"vectors of {project.compared.view} have {project.compared.dim} numbers, those of images {len(vector)}: "
            "start the app with another --view"
        )
    return (
        vector,
        "" if view == project.compared.view else f"read as {view}, the places by {project.compared.view}",
    )
