"""`import_weights`: converts weights of other systems to a model directory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from placevec.api.inputs import PathLike
from placevec.errors import UsageError
from placevec.options import checked_keywords

if TYPE_CHECKING:
    from placevec.models.model import Model


@checked_keywords
def import_weights(
    file: PathLike,
    *,
    system: str,
    out: PathLike,
    zoom: int | None = None,
    layers: Sequence[str] | None = None,
    classes: PathLike | None = None,
    training_points: PathLike | None = None,
    text_model: str | None = None,
) -> Model:
    """Convert weights of another system to a model directory. Calling this function means that you trust the file.

    Args:
        file: Checkpoint: .pt, .pth or .pth.tar; only its tensors and plain values are read.
        system: System that the weights come from: loc2vec-12, loc2vec-rgb, where2vec-s2, torchspatial, geoclip,
            satclip, climplicit, sinr or csp.
        out: Model directory to create.
        zoom: Zoom of the tiles that a Loc2Vec model was trained on (default 17).
        layers: Input channels of a Loc2Vec model, or bands of where2vec-s2, in order, separated by commas (default:
            for loc2vec-12, placevec's order, because the original code took the folders in whatever order the file
            system listed them; for where2vec-s2, B02,B03,B04,B08).
        classes: File with the class names of torchspatial, sinr or csp, one per line in the order of its outputs
            (default: class 0, class 1, ...; taxon IDs for sinr, none for csp).
        training_points: Table of the training points of an rbf encoder from torchspatial or csp, in their original
            order.
        text_model: Text model that where2vec-s2 was trained with: a folder, a Hugging Face name, or the model of an
            installed package
            (default all-MiniLM-L6-v2).
    """
    from placevec.models import importers as foreign
    from placevec.models.importers import loc2vec as founding

    names = None if layers is None else tuple(layers)
    if system == "where2vec-s2":
        from placevec.models.importers.where2vec import import_where2vec

        if zoom is not None or classes is not None or training_points is not None:
            raise UsageError(
                "where2vec-s2 reads chips and texts: remove --zoom, --classes and --training-points"
            )
        return import_where2vec(Path(file), Path(out), layers=names, text_model=text_model)
    if text_model is not None:
        raise UsageError(f"{system} reads no texts: remove --text-model")
    if system in foreign.SYSTEMS:
        if zoom is not None or layers is not None:
            raise UsageError(f"{system} reads coordinates: remove --zoom and --layers")
        named, points = (None if path is None else Path(path) for path in (classes, training_points))
        return foreign.import_locations(Path(file), system, Path(out), classes=named, training_points=points)
    if system not in founding.SYSTEMS:
        known = (*founding.SYSTEMS, "where2vec-s2", *foreign.SYSTEMS)
        raise UsageError(f"unknown system {system!r}: choose from {', '.join(known)}")
    if classes is not None or training_points is not None:
        raise UsageError(f"{system} reads tiles: remove --classes and --training-points")
    return founding.import_founding(
        Path(file), system, Path(out), zoom=17 if zoom is None else zoom, layers=names
    )
