"""Converts location encoders trained by other projects, from files that the user supplies, to placevec models.

One module per system: ``torchspatial`` and ``csp`` (the encoders of Sphere2Vec), ``sinr`` (with its taxa), ``satclip``,
``climplicit`` and ``geoclip`` (vectors only). Weights are read without executing anything, and their SHA-256 and license
are kept in the model.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from placevec.errors import UsageError

if TYPE_CHECKING:
    from placevec.models.model import Model

SYSTEMS = ("torchspatial", "geoclip", "satclip", "climplicit", "sinr", "csp")
_WITH_CLASSES, _WITH_POINTS = ("torchspatial", "sinr", "csp"), ("torchspatial", "csp")


def import_locations(
    file: Path, system: str, out: Path, *, classes: Path | None = None, training_points: Path | None = None
) -> Model:
    """Convert a checkpoint of one of `SYSTEMS` to a model.

    Args:
        file: the checkpoint.
        system: one of `SYSTEMS`.
        out: directory to write; it must not exist, or must be empty.
        classes: text file of class names, one per line in the order of the checkpoint's outputs, because checkpoints
            have no names. Only for ``torchspatial``, ``sinr`` and ``csp``.
        training_points: table of the points that an ``rbf`` encoder was trained on, in their order, because the
            checkpoint identifies anchors by their positions in it. Only for ``torchspatial`` and ``csp``.

    Raises:
        UsageError: an unknown system, or an option of another system.
        InputError: the file does not exist, or names or points cannot be read or do not match.
        ModelError: not a checkpoint of the system, contents other than tensors and plain values, tensors that do not
            fit, an unsupported encoder, or a directory in use.
    """
    from importlib import import_module

    from placevec.models.importers.writer import require_free, written

    if system not in SYSTEMS:
        raise UsageError(f"unknown system {system!r}: choose from {', '.join(SYSTEMS)}")
    if classes is not None and system not in _WITH_CLASSES:
        raise UsageError(f"{system} has vectors only and no classes: remove --classes")
    if training_points is not None and system not in _WITH_POINTS:
        raise UsageError(f"{system} does not use training points: remove --training-points")
    require_free(out)
    given = {"classes": classes, "training_points": training_points}
    convert = import_module(f"placevec.models.importers.{system}").convert
    found = convert(file, **{name: value for name, value in given.items() if value is not None})
    return written(found, file=file, out=out, system=system)
