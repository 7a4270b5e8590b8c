"""`import_weights`: what other systems learned, as a model directory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from placevec.api.opening import PathLike

if TYPE_CHECKING:
    from placevec.model import Model


def import_weights(
    file: PathLike,
    *,
    system: str,
    out: PathLike,
    zoom: int = 17,
    layers: Sequence[str] | None = None,
) -> Model:
    """The weights of a founding Loc2Vec as a model directory; calling this is consent to read the file.

    Args:
        file: its ``.pt`` or ``.pth``, of which only tensors and plain values are read.
        system: ``loc2vec-12`` or ``loc2vec-rgb``.
        out: the model directory to make.
        zoom: of the tiles that it was trained on.
        layers: its input channels in its order; placevec's twelve, or red, green, blue, by default.
    """
    from placevec.founding_weights import import_founding

    names = None if layers is None else tuple(layers)
    return import_founding(Path(file), system, Path(out), zoom=zoom, layers=names)
