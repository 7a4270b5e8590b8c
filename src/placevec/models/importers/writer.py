"""Writes an imported location encoder as a model directory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

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


@dataclass(frozen=True)
class Imported:
    """What a checkpoint holds.

    Attributes:
        encoder: the encoder with its weights.
        attribution: authors and license.
        of: description of the training data.
        called: name of the encoder in its system.
        held: the tensors of the checkpoint by its names.
        ours: those that belong to the encoder, by placevec's names.
        head: the head of its classes with its weights, if it has classes.
        classes_named: whether the user named the classes; None for systems without.
    """

    encoder: nn.Module
    attribution: str
    of: str
    called: str
    held: Mapping[str, Tensor]
    ours: Mapping[str, Tensor]
    head: Head | None = None
    classes_named: bool | None = None

    @property
    def left_out(self) -> int:
        """How many tensors of the checkpoint belong neither to the encoder nor to its head."""
        state = self.encoder.state_dict()
        taken = sum(name in state and name != "positional.anchors" for name in self.ours)
        return len(self.held) - taken - (self.head is not None)


def written(found: Imported, *, file: Path, out: Path, system: str) -> Model:
    """The model of an encoder and its head, saved in ``out`` and loaded again; ``system`` as given by the user."""
    more = {} if found.classes_named is None else {"classes_named": found.classes_named}
    name = printable(file.name)
    origin = {
        "dataset": f"{found.of}; {name}",
        "attribution": found.attribution,
        "imported": {
            "file": name, "sha256": atomic.sha256_of_file(file), "as": system, "encoder": found.called,
            "tensors_left_out": found.left_out, **more,
        },
    }  # fmt: skip
    recipe = {"name": system, "config": {"encoder": getattr(found.encoder, "encoder", system)}}
    atomic.check_writable(out, directory=True)
    Model(
        {"location": found.encoder},
        {NAME: Reading("location", SPEC)},
        recipe,
        origin,
        heads={} if found.head is None else {NAME: found.head},
    ).save(out)
    return Model.load(out)
