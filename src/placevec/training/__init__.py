"""The training loop, with its objectives, samplers, checkpoints and logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from placevec.training.options import TrainingOptions

if TYPE_CHECKING:
    from placevec.training.loop import TrainingResult, train

__all__ = ["TrainingOptions", "TrainingResult", "train"]


def __getattr__(name: str) -> Any:
    """Import the loop on first use: the options alone do not need PyTorch."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from placevec.training import loop

    globals()[name] = value = getattr(loop, name)
    return value
