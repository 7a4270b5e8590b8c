"""What every test does without, since it costs time and decides nothing that is tested there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def without_flushing() -> None:
    """Files are written but not forced onto the disk: that is for power cuts, and no test cuts the power."""

    def fsync(descriptor: int) -> None:
        os.fstat(descriptor)  # which must be one

    os.fsync = fsync  # type: ignore[assignment]


def few_projected() -> None:
    """TensorBoard's projector shows 30 places of a run, not 500, whose pictures take longer than a small training;
    and t-SNE stops early.
    """
    from placevec.explorer import reductions, tensorboard

    tensorboard.MAX_PLACES = 30
    reductions.TSNE_ITERATIONS = 250  # the fewest that scikit-learn takes


def try_little(patch: pytest.MonkeyPatch) -> None:
    """Evaluations of every budget try little, and maps are coarse: for tests of what is evaluated and shown, not of the
    figures.
    """
    from placevec.api import predicting
    from placevec.evaluation import point_baselines
    from placevec.evaluation.engine import BUDGETS, Budget
    from placevec.evaluation.predictions import evaluate
    from placevec.evaluation.probes import Effort
    from placevec.explorer.figures import prediction_figure

    small = Budget(
        Effort(5, (0.1,), (10,), process_places=60), draws=200, places=2_000, epochs=2, mlp=(10.0,)
    )
    for name in BUDGETS:
        patch.setitem(BUDGETS, name, small)
    patch.setattr(point_baselines, "EFFORT", small.effort)
    patch.setattr(evaluate, "TREES", 5)
    patch.setattr(evaluate, "ROUNDS", 5)
    patch.setattr(evaluate, "PROCESS_PLACES", 60)
    patch.setattr(predicting, "CELLS_ACROSS", 180)
    patch.setattr(prediction_figure, "MAX_PIXELS", 300)
