"""Vectors of words that belong to no place: what somebody asks for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from placevec.datasets.views.registry import reader_of
from placevec.errors import UsageError
from placevec.models.model import Model, device_for


def embed_texts(model: Model, texts: Sequence[str]) -> tuple[NDArray[np.float32], int]:
    """((N, dim) vectors of texts, how many were longer than the model reads, where it tells).

    Raises:
        UsageError: the model has no view of texts, or several; an empty text.
    """
    views = {name: spec for name, spec in model.specs.items() if reader_of(spec).from_texts}
    if len(views) != 1:
        had = f"several: {', '.join(views)}" if views else f"none, it reads {', '.join(model.views)}"
        raise UsageError(f"embedding words needs a model with one view of texts; this one has {had}")
    if any(not text.strip() for text in texts):
        raise UsageError("the text to search with is empty")
    ((name, spec),) = views.items()
    encoder = model.modules[model.readings[name].encoder]
    device = device_for(encoder)
    encoder.eval().to(device)
    batch = reader_of(spec).texts(texts)
    assert isinstance(batch, dict)
    before = getattr(encoder, "cut", 0)
    with torch.inference_mode():
        vectors = encoder({key: value.to(device) for key, value in batch.items()}).float().cpu().numpy()
    return vectors, int(getattr(encoder, "cut", 0)) - before
