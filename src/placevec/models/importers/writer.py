"""A foreign location encoder as a model directory."""

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
from placevec.models.model import Model, Reading


def require_free(out: Path) -> None:
    """ModelError where a directory is in use; asked before the work."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ModelError(f"{out} exists: choose another --out")


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
        encoder: with its weights.
        head: of its classes, with its weights.
        file: where they are from.
        out: directory to make.
        system: the name under which it was asked for.
        attribution: whose work it is, and its licence.
        of: what it was trained on, for people.
        more: further plain values that the checkpoint tells of its training.
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
    Model({"location": encoder}, {NAME: Reading("location", SPEC)}, recipe, origin, head=head).save(out)
    return Model.load(out)
