"""The vector of an image that belongs to no place of a dataset: what somebody asks with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from placevec.core import FUSED
from placevec.datasets.views.registry import reader_of
from placevec.errors import UsageError
from placevec.models.model import Model, device_for
from placevec.sources.imagery.single_image import read_image


def image_views(model: Model) -> tuple[str, ...]:
    """Views of a model that read images.

    >>> image_views(Model({}, {}))
    ()
    """
    return tuple(name for name, spec in model.specs.items() if reader_of(spec).from_images)


def embed_image(model: Model, path: str | Path, view: str | None = None) -> tuple[NDArray[np.float32], str]:
    """((dim,) vector of an image, the view that it was read as).

    Args:
        model: with a view of images.
        path: GeoTIFF, numpy array or picture, see `placevec.sources.imagery.single_image.read_image`.
        view: the view; fused vectors are compared with those of the only view of images.

    Raises:
        UsageError: the model has no view of images, or several and none is chosen.
        SourceError: the file cannot be read.
        InputError: the image does not fit what the model reads.
    """
    there = image_views(model)
    wanted = [name for name in there if view in (None, FUSED, name)]
    if len(wanted) != 1:
        had = (
            f"several: {', '.join(there)}; choose one with --view"
            if wanted
            else f"none for {view or 'images'}"
        )
        reads = "" if wanted else f", it reads {', '.join(model.views)}"
        raise UsageError(f"embedding an image needs a model with a view of images; this one has {had}{reads}")
    (name,) = wanted
    spec = model.specs[name]
    batch = reader_of(spec).given_image(read_image(path), spec)
    assert isinstance(batch, Tensor)
    encoder = model.modules[model.readings[name].encoder]
    device = device_for(encoder)
    encoder.eval().to(device)
    with torch.inference_mode():
        vector = encoder(batch.to(device)).float().cpu().numpy()[0]
    return vector, name
