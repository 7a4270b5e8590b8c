"""`import_weights`: what other systems learned, as a model directory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from placevec.api.inputs import PathLike
from placevec.errors import UsageError

if TYPE_CHECKING:
    from placevec.models.model import Model


def import_weights(
    file: PathLike,
    *,
    system: str,
    out: PathLike,
    zoom: int | None = None,
    layers: Sequence[str] | None = None,
    classes: PathLike | None = None,
    training_points: PathLike | None = None,
) -> Model:
    """The weights of another system as a model directory; calling this is consent to read the file.

    Args:
        file: its checkpoint, of which only tensors and plain values are read.
        system: ``loc2vec-12`` or ``loc2vec-rgb`` (the founding Loc2Vecs), ``torchspatial`` or ``geoclip`` (location
            encoders).
        out: the model directory to make.
        zoom: of the tiles that a Loc2Vec was trained on; 17 by default.
        layers: input channels of a Loc2Vec in its order; placevec's twelve, or red, green, blue, by default.
        classes: file of names, a line each, of the classes that a checkpoint of ``torchspatial`` answers for.
        training_points: table of the points that its ``rbf`` was trained on, in their order.
    """
    from placevec.models import importers as foreign
    from placevec.models.importers import loc2vec as founding

    if system in foreign.SYSTEMS:
        if zoom is not None or layers is not None:
            raise UsageError(f"{system} reads coordinates: leave out --zoom and --layers")
        named, points = (None if path is None else Path(path) for path in (classes, training_points))
        return foreign.import_locations(Path(file), system, Path(out), classes=named, training_points=points)
    if system not in founding.SYSTEMS:
        known = (*founding.SYSTEMS, *foreign.SYSTEMS)
        raise UsageError(f"there are no weights {system!r} to import: choose from {', '.join(known)}")
    if classes is not None or training_points is not None:
        raise UsageError(f"{system} reads tiles: leave out --classes and --training-points")
    names = None if layers is None else tuple(layers)
    return founding.import_founding(
        Path(file), system, Path(out), zoom=17 if zoom is None else zoom, layers=names
    )
