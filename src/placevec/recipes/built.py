"""What a recipe passes to the training loop."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from placevec.core import Recipe, View, ViewSpec
from placevec.datasets.splits import Split
from placevec.models.heads import Head
from placevec.options import Options
from placevec.training import TrainingOptions


@dataclass
class Built:
    """A recipe on a dataset, ready for the training loop.

    Attributes:
        recipe: the recipe to train.
        config: its final configuration, for example with all distances also in meters.
        views: the views that its slots read.
        specs: specifications of the views that the model will read, which can be fewer than those used in training.
        training: options of the training loop.
        split: which places are used for training, which are excluded and why.
        validation_views: the views used for validation, if that is another dataset.
        validation_split: which places of that dataset are used for validation.
        notes: remarks for the user.
        heads: view -> head for predictions, if the recipe learns from labels.
        about: what else a model keeps of its training data, as plain JSON.
    """

    recipe: Recipe
    config: Options
    views: dict[str, View]
    specs: dict[str, ViewSpec]
    training: TrainingOptions
    split: Split
    validation_views: dict[str, View] | None = None
    validation_split: Split | None = None
    notes: list[str] = field(default_factory=list)
    heads: dict[str, Head] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def places(self) -> int:
        """Number of training places."""
        return len(self.split.rows("train"))
