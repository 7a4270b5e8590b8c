"""Converts location encoders trained by other projects, from files that the user supplies, to placevec models.

One module per system: ``torchspatial`` (location encoders with the head for their classes) and ``geoclip`` (location
tower, vectors only). Each was compared with the outputs of the system's own code. SatCLIP is not supported, because its
weights were not available for such a comparison.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from placevec.errors import UsageError

if TYPE_CHECKING:
    from placevec.models.model import Model

SYSTEMS = ("torchspatial", "geoclip")


def import_locations(
    file: Path, system: str, out: Path, *, classes: Path | None = None, training_points: Path | None = None
) -> Model:
    """Convert a checkpoint of ``torchspatial`` or ``geoclip`` to a model.

    Args:
        file: the checkpoint.
        system: one of `SYSTEMS`.
        out: directory to write; it must not exist, or must be empty.
        classes: text file of class names, one per line in the order of the checkpoint's outputs, because the checkpoint
            has no names. Only for ``torchspatial``.
        training_points: table of the points that an ``rbf`` encoder was trained on, in their order, because the
            checkpoint identifies anchors by their positions in it. Only for ``torchspatial``.

    Raises:
        UsageError: an unknown system, or an option of another system.
        InputError: the file does not exist, or names or points cannot be read or do not match.
        ModelError: not a checkpoint of the system, contents other than tensors and plain values, tensors that do not
            fit, an unsupported encoder, or a directory in use.
    """
    from placevec.models.importers import geoclip, torchspatial

    if system == "torchspatial":
        return torchspatial.import_torchspatial(file, out, classes=classes, training_points=training_points)
    if system != "geoclip":
        raise UsageError(f"unknown system {system!r}: choose from {', '.join(SYSTEMS)}")
    if classes is not None or training_points is not None:
        raise UsageError("GeoCLIP's location encoder has no classes and no anchors: remove these options")
    return geoclip.import_geoclip(file, out)
