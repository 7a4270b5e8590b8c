"""Learning-rate schedules as pure functions, so that a resumed run needs no scheduler state."""

from __future__ import annotations

import math
from collections.abc import Sequence


def factor(schedule: str, step: int, total: int, warmup: int, history: Sequence[float]) -> float:
    """The factor of the base learning rate at ``step`` of ``total``.

    ``cosine`` decays to 1%; ``plateau`` halves whenever ``history`` (the validation losses so far) has not improved for
    five epochs, as in both founding Loc2Vec pipelines; ``decay`` reduces the rate by 2% after every epoch, as in the
    founding Sphere2Vec. All schedules start with a linear warmup.

    >>> factor("constant", 0, 100, 10, [])
    0.1
    >>> factor("plateau", 50, 100, 0, [1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0])
    0.5
    >>> round(factor("decay", 50, 100, 0, [1.0, 2.0]), 4)
    0.9604
    """
    warm = min(1.0, (step + 1) / warmup) if warmup else 1.0
    if schedule == "cosine":
        progress = min(1.0, max(0, step - warmup) / max(1, total - warmup))
        return warm * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * progress)))
    if schedule == "plateau":
        return warm * 0.5 ** _plateaus(history, patience=5)
    return warm * 0.98 ** len(history) if schedule == "decay" else warm


def _plateaus(history: Sequence[float], patience: int) -> int:
    """How often the loss did not improve for more than ``patience`` epochs (as torch's ReduceLROnPlateau, rel. 1e-4)."""
    best, waited, count = math.inf, 0, 0
    for loss in history:
        if loss < best * (1.0 - 1e-4):
            best, waited = loss, 0
        else:
            waited += 1
        if waited > patience:
            count, waited = count + 1, 0
    return count
