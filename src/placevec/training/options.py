"""How long and how hard to train."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from placevec.errors import InputError, UsageError
from placevec.training.schedule import SCHEDULES


@dataclass(frozen=True)
class TrainingOptions:
    """How long and how hard to train.

    Attributes:
        epochs: passes of ``steps_per_epoch`` steps, each followed by a validation and a state to resume from. A
            finished run resumed with more goes on under the schedule of the longer run: a cosine is stretched over
            all of them (the rate rises again to where the longer run would be), the others go on as they were.
        steps_per_epoch: batches in a pass.
        validation_steps: batches of a validation; 0 trains without one.
        optimiser: ``adamw``, or ``adam`` as in both founding systems, whose decay is part of the gradient.
        learning_rate: its peak.
        weight_decay: of the weights.
        clip_norm: gradients are scaled down to this norm; 0 leaves them as they are.
        warmup: share of all steps over which the rate rises linearly.
        schedule: ``cosine``, ``constant``, ``plateau`` or ``decay``.
        patience: validations without improvement before stopping; 0 never stops early.
        precision: ``fp32``, ``bf16``, or ``auto``: bf16 where the GPU has it in hardware, or the CPU has and every
            encoder gains by it (`training.precision`).
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        seed: of weights, draws and dropout; with the same one a run on a CPU is repeated bit by bit.
        prefetch: batches read ahead in other threads.
        workers: threads that read them; the order, and so the result, is the same with any number. 0 reads in step.
        save_every: passes between named checkpoints, ``checkpoints/epoch-010``, which are kept: each a model and the
            state to resume from. 0 keeps none but the newest state.
    """

    epochs: int = 20
    steps_per_epoch: int = 100
    validation_steps: int = 4
    optimiser: str = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    clip_norm: float = 1.0
    warmup: float = 0.05
    schedule: str = "cosine"
    patience: int = 0
    precision: str = "auto"
    device: str = "auto"
    seed: int = 0
    prefetch: int = 2
    workers: int = 1
    save_every: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.steps_per_epoch < 1:
            raise UsageError("training needs at least one epoch of one step")
        if not self.learning_rate > 0:
            raise UsageError(f"the learning rate must be positive; got {self.learning_rate}")
        for name, least in (
            ("clip_norm", self.clip_norm),
            ("prefetch", self.prefetch),
            ("workers", self.workers),
            ("save_every", self.save_every),
            ("weight_decay", self.weight_decay),
        ):
            if not least >= 0:
                raise UsageError(f"{name} is 0 or more; got {least}")
        for name, value, allowed in (
            ("optimiser", self.optimiser, ("adamw", "adam")),
            ("schedule", self.schedule, SCHEDULES),
            ("precision", self.precision, ("auto", "fp32", "bf16")),
            ("device", self.device, ("auto", "cpu", "cuda", "mps")),
        ):
            if value not in allowed:
                raise UsageError(f"{name} {value!r} is unknown: choose from {', '.join(allowed)}")
        there: dict[str, Callable[[], bool]] = {
            "cuda": torch.cuda.is_available,
            "mps": torch.backends.mps.is_available,
        }
        if self.device in there and not there[self.device]():
            raise InputError(f"device {self.device!r} is not available here; auto takes what there is")
