"""What a recipe hands to the training loop."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from placevec.core import Recipe, View, ViewSpec
from placevec.models.heads import Head
from placevec.options import Options
from placevec.training import TrainingOptions


@dataclass
class Built:
    """A recipe over a dataset, ready for the training loop.

    Attributes:
        recipe: what is trained.
        config: its configuration as it came out, such as distances also in meters.
        views: what its slots read.
        specs: of the views that the model will read; of some of them, where others only teach.
        training: how long and how hard.
        places: that are trained on.
        validation_views: what the validation reads, where that is another dataset.
        held_out: how the validation's places were held out; empty where none were.
        notes: what the user should know.
        head: what the model will answer through, where it learns from labels.
    """

    recipe: Recipe
    config: Options
    views: dict[str, View]
    specs: dict[str, ViewSpec]
    training: TrainingOptions
    places: int
    validation_views: dict[str, View] | None = None
    held_out: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    head: Head | None = None
