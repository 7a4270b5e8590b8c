"""Writes an imported location encoder as a model directory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from placevec.datasets.views.coordinates import NAME, SPEC
from placevec.errors import ModelError
from placevec.io import atomic
from placevec.io.progress import printable
from placevec.models.heads import Head
from placevec.models.model import Model
from placevec.models.reading import Reading


def require_free(out: Path) -> None:
    """ModelError if a directory is in use; checked before the work starts."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ModelError(f"{out} already exists: choose another --out")


def written(
    encoder: nn.Module,
    head: Head | None,
    *,
    file: Path,
    out: Path,
    system: str,
    attribution: str,
    of: str,
    more: Mapping[str, Any] | None = None,
) -> Model:
    """The model of an encoder and its head, saved and loaded again.

    Args:
        encoder: the encoder with its weights.
        head: the head of its classes with its weights.
        file: the checkpoint.
        out: directory to create.
        system: name of the system, as given by the user.
        attribution: authors and license.
        of: description of the training data.
        more: further plain values from the checkpoint about its training.
    """
    origin = {
        "dataset": of,
        "attribution": attribution,
        "imported": {
            "file": printable(file.name), "sha256": atomic.sha256_of_file(file), "as": system, **(more or {})
        },
    }  # fmt: skip
    recipe = {"name": system, "config": {"encoder": getattr(encoder, "encoder", system)}}
    atomic.check_writable(out, directory=True)
    Model(
        {"location": encoder},
        {NAME: Reading("location", SPEC)},
        recipe,
        origin,
        heads={} if head is None else {NAME: head},
    ).save(out)
    return Model.load(out)
