"""Every choice of the recipe poi2vec."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from placevec.options import Options, option

Hierarchy = Literal["paper", "code"]
WALKS, OBJECTIVE, TRAINING = "Walks", "Objective", "Training"


@dataclass(frozen=True)
class Poi2VecConfig(Options):
    """Every choice of the recipe."""

    GROUP: ClassVar[str] = WALKS

    walk_length: int = option(10, "Points per walk", min=2, max=1000)
    walks: int = option(5, "Walks from each point", min=1, max=1000)
    p: float = option(0.5, "Return parameter of node2vec", above=0)
    q: float = option(0.5, "In-out parameter of node2vec", above=0)
    across: float = option(
        0.4,
        "Weight factor for steps that cross from one cell into another (1: ignore the cells)",
        above=0,
        max=1,
    )
    dim: int = option(64, "Length of the vectors", group=OBJECTIVE, min=1)
    negatives: int = option(
        5,
        "Negative categories per context, drawn from those that never occur with the target",
        group=OBJECTIVE,
        min=1,
    )
    hierarchy: Hierarchy = option(
        "paper",
        "Term that pulls categories of the same group together (paper: Laplacian eigenmaps; code: as in the "
        "published code)",
        group=OBJECTIVE,
    )
    hierarchy_weight: float = option(
        1e-3, "Weight of the hierarchy term (0 leaves it out)", group=OBJECTIVE, min=0
    )
    batch_size: int = option(512, "Walks per batch", group=TRAINING, min=1)
