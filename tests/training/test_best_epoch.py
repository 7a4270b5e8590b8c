"""Which pass a run keeps. Oracle: the lowest validation loss of its log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from placevec.training import TrainingOptions, train
from placevec.training.best_epoch import BestEpoch, read_best_epoch
from placevec.training.log import read_metrics
from placevec.training.state import newest_state
from tests.training.toy import toy_recipe


def test_the_pass_with_the_lowest_validation_loss(tmp_path: Path) -> None:
    recipe, views = toy_recipe()
    options = TrainingOptions(
        epochs=8, steps_per_epoch=5, validation_steps=2, learning_rate=0.5, schedule="constant", device="cpu"
    )
    train(recipe, views, tmp_path, options, config={}, save=lambda folder: None)
    losses = [row["validation/loss"] for row in read_metrics(tmp_path)]
    kept = read_best_epoch(tmp_path)
    assert kept is not None
    assert (kept.epoch, kept.epochs, kept.measure) == (losses.index(min(losses)) + 1, 8, "validation loss")
    assert (kept.loss, kept.last) == (min(losses), losses[-1])


def test_a_run_without_validation_or_state(tmp_path: Path) -> None:
    """The training loss decides, which cannot tell of overfitting; where nothing can be read, nothing is said."""
    assert read_best_epoch(tmp_path) is None
    recipe, views = toy_recipe()
    options = TrainingOptions(epochs=2, steps_per_epoch=5, validation_steps=0, device="cpu")
    train(recipe, views, tmp_path, options, config={}, save=lambda folder: None)
    kept = read_best_epoch(tmp_path)
    assert kept is not None
    assert (kept.measure, kept.overfitted) == ("training loss", False)
    state = newest_state(tmp_path / "state")
    assert state is not None
    (state / "state.json").write_text(json.dumps({"counters": {"step": "many"}}))
    assert read_best_epoch(tmp_path) is None


@pytest.mark.parametrize(
    ("epoch", "epochs", "last", "overfitted"),
    [(3, 20, 0.65, True), (3, 20, 0.42, False), (15, 20, 0.65, False), (20, 20, 0.41, False)],
)
def test_overfitting_is_an_early_best_and_a_clearly_worse_end(
    epoch: int, epochs: int, last: float, overfitted: bool
) -> None:
    kept = BestEpoch(epoch, epochs, "validation loss", 0.41, last)
    assert kept.overfitted is overfitted
    assert str(kept).startswith(f"epoch {epoch} of {epochs}, with the lowest validation loss, 0.41")
    assert ("the last epoch had" in str(kept)) is (epoch < epochs)
