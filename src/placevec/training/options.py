"""Options of the training loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from placevec.errors import InputError
from placevec.options import Options, option

Schedule = Literal["cosine", "constant", "plateau", "decay"]


@dataclass(frozen=True)
class TrainingOptions(Options):
    """Options of the training loop, shared by all recipes.

    A finished run that is resumed with more ``epochs`` continues under the schedule of the longer run: a cosine is
    stretched over all epochs (the learning rate rises again to that of the longer run), the other schedules continue
    unchanged. On a CPU, runs with the same ``seed`` are bitwise identical. A named checkpoint of ``save_every`` contains
    a model and the state to resume from.

    Raises:
        UsageError: a value of the wrong type or out of range.
        InputError: a device that is not available.

    >>> TrainingOptions(epochs=5).schedule
    'cosine'
    """

    GROUP: ClassVar[str] = "Training"

    epochs: int = option(
        20, "Number of epochs; after each, the model is validated and a state to resume from is saved", min=1
    )
    steps_per_epoch: int = option(100, "Batches per epoch (default: as many as cover all places once)", min=1)
    validation_steps: int = option(
        4, "Batches per validation (default: depends on the size of the data; 0 disables validation)", min=0
    )
    optimizer: Literal["adamw", "adam"] = option(
        "adamw", "Optimizer (adam adds the weight decay to the gradient, as the original systems do)"
    )
    learning_rate: float = option(1e-3, "Peak learning rate", above=0)
    weight_decay: float = option(1e-4, "Weight decay", min=0)
    clip_norm: float = option(1.0, "Maximum gradient norm (0 disables clipping)", min=0)
    warmup: float = option(
        0.05, "Share of all steps over which the learning rate rises linearly", min=0, max=1
    )
    chunk_size: int = option(
        0,
        "Places of a batch encoded at once, to save memory (0 encodes all at once; smaller chunks take about a third "
        "longer and give the same gradient, except that batch norm uses each chunk's statistics)",
        min=0,
    )
    schedule: Schedule = option(
        "cosine",
        "Learning-rate schedule (plateau halves the rate after five epochs without improvement; decay reduces it by "
        "2% after each epoch)",
    )
    patience: int = option(
        0, "Validations without improvement before training stops (0 never stops early)", min=0
    )
    precision: Literal["auto", "fp32", "bf16"] = option(
        "auto",
        "Floating-point precision (auto: bf16 if the hardware supports it and the encoders benefit)",
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = option("auto", "Device to train on")
    seed: int = option(0, "Seed of initial weights, sampling and dropout", min=0)
    prefetch: int = option(2, "Batches read ahead", min=0)
    workers: int = option(
        1,
        "Threads that read batches ahead (any number gives the same result; 0 reads in the main thread)",
        min=0,
    )
    save_every: int = option(0, "Epochs between permanent checkpoints (0 keeps none)", min=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.device in ("cuda", "mps"):
            import torch

            there = torch.cuda if self.device == "cuda" else torch.backends.mps
            if not there.is_available():
                raise InputError(f"--device {self.device} is not available here; auto picks one that is")
