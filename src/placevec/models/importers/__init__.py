"""Location encoders that others trained, out of files that the user supplies, into models of ours.

One file a system: ``torchspatial`` (its location encoders with the head of their classes), ``geoclip`` (its location
tower, vectors only). Each was checked against what the system's own code gives; SatCLIP's weights could not be had to
check, so they are not read.
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
    """Write the model that a checkpoint of ``torchspatial`` or ``geoclip`` holds.

    Args:
        file: the checkpoint.
        system: one of `SYSTEMS`.
        out: directory to write; it must not exist, or be empty.
        classes: names of the classes, a line each in the order of the checkpoint's outputs; it holds no names. Only of
            ``torchspatial``.
        training_points: table of the points that an ``rbf`` encoder was trained on, in their order: its checkpoint
            names its anchors by their positions there. Only of ``torchspatial``.

    Raises:
        UsageError: an unknown system, or an option that is not of it.
        InputError: there is no such file, or names or points that cannot be read or do not fit.
        ModelError: no such checkpoint, more in it than tensors and plain values, tensors that do not fit, an encoder
            that cannot be read; a directory in use.
    """
    from placevec.models.importers import geoclip, torchspatial

    if system == "torchspatial":
        return torchspatial.import_torchspatial(file, out, classes=classes, training_points=training_points)
    if system != "geoclip":
        raise UsageError(f"there are no weights {system!r}: choose from {', '.join(SYSTEMS)}")
    if classes is not None or training_points is not None:
        raise UsageError("GeoCLIP's location encoder has no classes and no anchors: leave out their options")
    return geoclip.import_geoclip(file, out)
