"""The one training loop, its checkpoints and its logs."""

from placevec.training.loop import TrainingOptions, TrainingResult, train

__all__ = ["TrainingOptions", "TrainingResult", "train"]
