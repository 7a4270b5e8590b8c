"""The one training loop, its checkpoints and its logs."""

from placevec.training.loop import TrainingResult, train
from placevec.training.options import TrainingOptions

__all__ = ["TrainingOptions", "TrainingResult", "train"]
