"""Images that a user uploads as a query: checked for size, format, pixels, bands and values before they are embedded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from placevec.api import asking
from placevec.app.project import Project
from placevec.errors import InputError, UsageError
from placevec.io.progress import printable

MAX_UPLOAD_MB = 64
"""Size of an upload, megabytes."""
MAX_SHOWN = 60
"""Characters of the name of a file that a message gives."""


def vector_of_upload(project: Project, name: str, content: bytes) -> tuple[NDArray[np.float32], str]:
    """((D,) vector of an image in the space of the table, a remark or an empty text).

    Args:
        project: what is searched.
        name: of the user's file, which messages give; its ending says the format.
        content: its bytes.

    Raises:
        SourceError: not an image, of another format, damaged, or too large in bytes or pixels.
        InputError: without the model, or with bands or values that the model does not read.
    """
    if project.model is None:
        raise InputError(
            "embedding an image needs the model that made the vectors, but it was not found: give it with --model"
        )
    ending, compared = Path(name).suffix.lower(), project.compared
    vector, view = asking.vector_of_upload(
        project.model, content, ending, compared.view, MAX_UPLOAD_MB * 1_000_000, _shown(name)
    )
    if len(vector) != compared.dim:
        raise UsageError(
            f"{compared.view} vectors have {compared.dim} dimensions but image vectors have {len(vector)}: "
            "start the app with another --view"
        )
    return (
        vector,
        "" if view == compared.view else f"read as {view}, but the places are embedded by {compared.view}",
    )


def _shown(name: str) -> str:
    """The name of the user's file in messages: without folders, control characters, and what is beyond `MAX_SHOWN`."""
    last = printable(name.replace("\\", "/").rpartition("/")[2])
    return last if len(last) <= MAX_SHOWN else f"{last[: MAX_SHOWN - 10]}…{last[-9:]}"
