"""The best epoch of a run, whose weights it keeps, and whether the run overfitted after it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from placevec.io.json_documents import NONE, check, read_json
from placevec.training.log import read_metrics
from placevec.training.state import newest_state

_WORSE = 1.1
"""The last validation loss is clearly worse from this multiple of the lowest one."""


@dataclass(frozen=True)
class BestEpoch:
    """The epoch whose weights a run keeps.

    Attributes:
        epoch: its number, from 1.
        epochs: number of epochs of the run.
        measure: the criterion, ``validation loss`` or ``training loss``.
        loss: its value in the best epoch.
        last: its value in the last epoch.
    """

    epoch: int
    epochs: int
    measure: str
    loss: float
    last: float

    @property
    def overfitted(self) -> bool:
        """Whether the best epoch was early and the validation loss got clearly worse after it.

        >>> BestEpoch(3, 20, "validation loss", 0.41, 0.65).overfitted
        True
        >>> BestEpoch(3, 20, "validation loss", 0.41, 0.42).overfitted
        False
        """
        early = 2 * self.epoch <= self.epochs
        return self.measure == "validation loss" and early and self.last > _WORSE * self.loss > 0

    def __str__(self) -> str:
        best = f"epoch {self.epoch} of {self.epochs}, with the lowest {self.measure}, {self.loss:.3g}"
        return best if self.epoch == self.epochs else f"{best}; the last epoch had {self.last:.3g}"


def read_best_epoch(run: Path) -> BestEpoch | None:
    """The best epoch according to the newest training state of a run; None without a state.

    The log does not say: a run resumed from a named checkpoint keeps the best epoch since then.

    >>> import tempfile
    >>> read_best_epoch(Path(tempfile.mkdtemp())) is None
    True
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
    return BestEpoch(epoch, epochs, measure, float(counters["best"]), float(counters["history"][-1]))
