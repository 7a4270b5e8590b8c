"""Which pass of a run its weights are of, and whether it went on to learn by heart."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from placevec.io.json_documents import NONE, check, read_json
from placevec.training.log import read_metrics
from placevec.training.state import newest_state

_WORSE = 1.1
"""Times the lowest validation loss: from there on the last one is clearly worse."""


@dataclass(frozen=True)
class Kept:
    """The pass whose weights a run keeps.

    Attributes:
        epoch: its number, from 1.
        epochs: passes that the run had.
        measure: what was lowest then, ``validation loss`` or ``training loss``.
        loss: its value.
        last: its value in the last pass.
    """

    epoch: int
    epochs: int
    measure: str
    loss: float
    last: float

    @property
    def overfitted(self) -> bool:
        """Whether the pass came early and the validation got clearly worse after it.

        >>> Kept(3, 20, "validation loss", 0.41, 0.65).overfitted, Kept(3, 20, "validation loss", 0.41, 0.42).overfitted
        (True, False)
        """
        early = 2 * self.epoch <= self.epochs
        return self.measure == "validation loss" and early and self.last > _WORSE * self.loss > 0

    def __str__(self) -> str:
        told = f"pass {self.epoch} of {self.epochs}, whose {self.measure} was the lowest, {self.loss:.3g}"
        return told if self.epoch == self.epochs else f"{told}; the last pass had {self.last:.3g}"


def read_best_epoch(run: Path) -> Kept | None:
    """What the newest state of a run says of it; None where there is none.

    Not the log: a run that went on from a named checkpoint keeps the best since then, whatever was logged before.
    """
    state = newest_state(run / "state")
    if state is None:
        return None
    try:
        content = read_json(state / "state.json")
        check(
            content, {"counters": {"step": int, "best": (float, NONE), "best_step": int, "history": [float]}}
        )
    except (OSError, ValueError):
        return None
    counters, rows = content["counters"], read_metrics(run)
    epochs = len(counters["history"])
    if counters["best"] is None or not epochs or counters["step"] % epochs:
        return None
    measure = "validation loss" if rows and "validation/loss" in rows[-1] else "training loss"
    epoch = counters["best_step"] * epochs // counters["step"]
    return Kept(epoch, epochs, measure, float(counters["best"]), float(counters["history"][-1]))
