"""What a recipe hands to the training loop."""

from __future__ import annotations

from dataclasses import dataclass, field

from placevec.core import Recipe, View, ViewSpec
from placevec.datasets.splits import Split
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
        split: which places are trained on, which are kept from it and why.
        validation_views: what the validation reads, where that is another dataset.
        validation_split: which places of that dataset are validated on.
        notes: what the user should know.
        heads: view -> what the model will predict through, where it learns from labels.
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

    @property
    def places(self) -> int:
        """How many places are trained on."""
        return len(self.split.rows("train"))
