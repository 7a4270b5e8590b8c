"""The one training loop. It knows slots, views and objectives, and nothing of any recipe."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from placevec.core import Batch, Draw, Encoded, Ragged, Recipe, Sampler, View, encode
from placevec.errors import InputError, ModelError
from placevec.progress import SILENT, Progress
from placevec.training.log import RunLog
from placevec.training.schedule import SCHEDULES, factor
from placevec.training.state import Counters, load_state, newest_state, save_state


@dataclass(frozen=True)
class TrainingOptions:
    """How long and how hard to train.

    Attributes:
        epochs: passes of ``steps_per_epoch`` steps, each followed by a validation and a checkpoint.
        steps_per_epoch: batches in a pass.
        validation_steps: batches of a validation; 0 trains without one.
        learning_rate: AdamW's peak.
        weight_decay: AdamW's decoupled decay.
        clip_norm: gradients are scaled down to this norm.
        warmup: share of all steps over which the rate rises linearly.
        schedule: ``cosine``, ``constant`` or ``plateau``.
        patience: validations without improvement before stopping; 0 never stops early.
        precision: ``auto`` (bf16 where the processor or GPU has it in hardware), ``fp32`` or ``bf16``.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        seed: of weights, draws and dropout; with the same one a run on a CPU is repeated bit by bit.
        prefetch: batches read ahead in a second thread.
    """

    epochs: int = 20
    steps_per_epoch: int = 100
    validation_steps: int = 4
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

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.steps_per_epoch < 1:
            raise InputError("training needs at least one epoch of one step")
        if not self.learning_rate > 0:
            raise InputError(f"the learning rate must be positive; got {self.learning_rate}")
        for name, value, allowed in (
            ("schedule", self.schedule, SCHEDULES),
            ("precision", self.precision, ("auto", "fp32", "bf16")),
            ("device", self.device, ("auto", "cpu", "cuda", "mps")),
        ):
            if value not in allowed:
                raise InputError(f"{name} {value!r} is unknown: choose from {', '.join(allowed)}")
        there: dict[str, Callable[[], bool]] = {
            "cuda": torch.cuda.is_available,
            "mps": torch.backends.mps.is_available,
        }
        if self.device in there and not there[self.device]():
            raise InputError(f"device {self.device!r} is not available here; auto takes what there is")


@dataclass
class TrainingResult:
    """How a run ended."""

    steps: int
    best_loss: float | None
    best_step: int
    seconds: float
    stopped_early: bool


class _Bundle(nn.Module):
    """All that is trained, with the whole step as its forward, so that DDP sees one module."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.encoders = nn.ModuleDict(recipe.encoders)
        self.objectives = nn.ModuleDict(
            {name: objective for name, (_, objective) in recipe.objectives.items()}
        )

    def forward(
        self, batches: dict[str, Batch], draw: Draw
    ) -> tuple[Tensor, dict[str, float], dict[str, Encoded]]:
        encoded = encode(self.recipe, batches, draw.looks)
        parts = {
            name: objective(encoded, draw.targets) for name, (_, objective) in self.recipe.objectives.items()
        }
        loss = torch.stack([self.recipe.objectives[name][0] * part for name, part in parts.items()]).sum()
        return loss, {f"loss/{name}": float(part.detach()) for name, part in parts.items()}, encoded


def hardware_bf16(device: torch.device) -> bool:
    """Whether bf16 is computed in hardware there; emulated bf16 is slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return False


def _to(batch: Batch, device: torch.device) -> Batch:
    if isinstance(batch, Tensor):
        moved = batch.to(device, non_blocking=True)
        return moved.contiguous(memory_format=torch.channels_last) if moved.dim() == 4 else moved
    if isinstance(batch, Ragged):
        edges = None if batch.edges is None else batch.edges.to(device)
        return Ragged(batch.values.to(device), batch.offsets.to(device), edges)
    return {name: value.to(device) for name, value in batch.items()}


def _batches(
    recipe: Recipe,
    sampler: Sampler,
    views: Mapping[str, View],
    steps: range,
    rank: int,
    world: int,
    prefetch: int,
) -> Iterator[tuple[int, Draw, dict[str, Batch]]]:
    """Draw and read each step, ``prefetch`` steps ahead in one other thread; the order never changes."""

    def read(step: int) -> tuple[int, Draw, dict[str, Batch]]:
        draw = sampler.draw(step, rank, world)
        return (
            step,
            draw,
            {name: views[recipe.slots[name].view].read(look) for name, look in draw.looks.items()},
        )

    if prefetch < 1:
        yield from map(read, steps)
        return
    with ThreadPoolExecutor(1, thread_name_prefix="placevec-read") as pool:
        waiting = [pool.submit(read, step) for step in steps[:prefetch]]
        try:
            for step in steps:
                ready = waiting.pop(0)
                if step + prefetch in steps:
                    waiting.append(pool.submit(read, step + prefetch))
                yield ready.result()
        finally:
            for future in waiting:
                future.cancel()


class _Run:
    """One call of `train`: the accelerator, the module, the optimiser and the counters."""

    def __init__(
        self, recipe: Recipe, views: Mapping[str, View], run: Path, options: TrainingOptions
    ) -> None:
        from accelerate import Accelerator

        self.recipe, self.views, self.run, self.options = recipe, views, run, options
        self.accelerator = Accelerator(cpu=options.device == "cpu")
        self.device = self.accelerator.device
        if options.device not in ("auto", self.device.type):
            raise InputError(f"device {options.device!r} is not available here (there is {self.device.type})")
        self.bf16 = options.precision == "bf16" or (
            options.precision == "auto" and hardware_bf16(self.device)
        )
        module = _Bundle(recipe).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimiser = torch.optim.AdamW(
            module.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay
        )
        self.module, self.optimiser = self.accelerator.prepare(module, optimiser)
        self.plain: _Bundle = self.accelerator.unwrap_model(self.module)
        self.rank, self.world = self.accelerator.process_index, self.accelerator.num_processes

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16)

    def step(
        self, step: int, draw: Draw, batches: dict[str, Batch], history: list[float]
    ) -> dict[str, float]:
        """One optimiser step; dropout is seeded by the step, so no generator state needs saving."""
        options = self.options
        torch.manual_seed((options.seed * 1_000_003 + step) * 1009 + self.rank)
        total = options.epochs * options.steps_per_epoch
        rate = options.learning_rate * factor(
            options.schedule, step, total, round(options.warmup * total), history
        )
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.module.train()
        with self.autocast():
            loss, parts, _ = self.module(
                {name: _to(batch, self.device) for name, batch in batches.items()}, self._on_device(draw)
            )
        if not torch.isfinite(loss):
            raise ModelError(
                f"the loss is {float(loss.detach())} at step {step}: lower the learning rate; the last checkpoint is kept"
            )
        self.optimiser.zero_grad(set_to_none=True)
        self.accelerator.backward(loss)
        norm = self.accelerator.clip_grad_norm_(self.module.parameters(), options.clip_norm)
        self.optimiser.step()
        return {
            "loss/train": float(loss.detach()),
            **parts,
            "gradient_norm": float(norm),
            "learning_rate": rate,
        }

    def _on_device(self, draw: Draw) -> Draw:
        doubles = (
            self.device.type != "mps"
        )  # Apple's GPUs have no float64; there, positions resolve half a metre
        return Draw(
            draw.looks,
            {
                name: (value if doubles or value.dtype != torch.float64 else value.float()).to(self.device)
                for name, value in draw.targets.items()
            },
        )

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Means over the same validation batches every time; empty without a validation sampler."""
        sampler, steps = self.recipe.validation, self.options.validation_steps
        if sampler is None or steps < 1:
            return {}
        self.plain.eval()
        sums: dict[str, float] = {}
        reading = _batches(self.recipe, sampler, self.views, range(steps), 0, 1, self.options.prefetch)
        for _, draw, batches in reading:
            here = self._on_device(draw)
            with self.autocast():
                loss, _, encoded = self.plain({n: _to(b, self.device) for n, b in batches.items()}, here)
            numbers = {"validation/loss": float(loss)}
            if self.recipe.measure is not None:
                measured = self.recipe.measure(encoded, here.targets)
                numbers.update({f"validation/{name}": value for name, value in measured.items()})
            for name, value in numbers.items():
                sums[name] = sums.get(name, 0.0) + value
        return {name: value / steps for name, value in sums.items()}


def train(
    recipe: Recipe,
    views: Mapping[str, View],
    run: Path,
    options: TrainingOptions,
    *,
    config: dict[str, Any],
    save: Callable[[], None],
    resume: bool = False,
    progress: Progress = SILENT,
) -> TrainingResult:
    """Train a recipe and keep its best weights.

    Args:
        recipe: what to train; its encoders are trained in place and end with the last weights.
        views: every view that a slot names.
        run: directory of checkpoints and logs.
        options: how long and how hard.
        config: everything that must be the same for a resumed run (recipe and data); checked on resume.
        save: called whenever the encoders hold the best weights so far, to write the model.
        resume: go on from the newest state in ``run/state``; the result equals the uninterrupted run's.
        progress: where to report.

    Raises:
        ModelError: the loss stops being finite, or a state to resume does not fit.
    """
    started = time.monotonic()
    torch.manual_seed(options.seed)
    work = _Run(recipe, views, run, options)
    fixed = {
        **config,
        "training": {name: value for name, value in asdict(options).items() if name != "prefetch"},
    }
    counters = Counters()
    state = newest_state(run / "state") if resume else None
    if state is not None:
        counters = load_state(state, work.plain, work.optimiser.optimizer, fixed)
        progress.say(f"Resuming after step {counters.step}")
    total = options.epochs * options.steps_per_epoch
    chief = work.accelerator.is_main_process
    with RunLog(run, counters.step, active=chief) as log, progress.task("Training", total=total) as advance:
        advance(counters.step)
        while counters.step < total and not _finished(counters, options):
            numbers = _epoch(work, counters, advance)
            numbers.update(work.validate())
            watched = numbers.get("validation/loss", numbers["loss/train"])
            counters.history.append(watched)
            if counters.best is None or watched < counters.best:
                counters.best, counters.best_step, counters.waited = watched, counters.step, 0
                if chief:
                    save()
            else:
                counters.waited += 1
            log.write(counters.step, numbers)
            advance(0, note=_note(numbers))
            if chief:
                save_state(run / "state", work.plain, work.optimiser.optimizer, counters, fixed)
            work.accelerator.wait_for_everyone()
    stopped = counters.step < total
    return TrainingResult(
        counters.step, counters.best, counters.best_step, time.monotonic() - started, stopped
    )


def _finished(counters: Counters, options: TrainingOptions) -> bool:
    return 0 < options.patience <= counters.waited


def _epoch(work: _Run, counters: Counters, advance: Callable[..., None]) -> dict[str, float]:
    """One pass; returns the means of its steps' numbers."""
    sums: dict[str, float] = {}
    began, count = time.monotonic(), work.options.steps_per_epoch
    steps = range(counters.step, counters.step + count)
    reading = _batches(
        work.recipe, work.recipe.sampler, work.views, steps, work.rank, work.world, work.options.prefetch
    )
    for step, draw, batches in reading:
        for name, value in work.step(step, draw, batches, counters.history).items():
            sums[name] = sums.get(name, 0.0) + value
        counters.step = step + 1
        advance(1)
    seconds = max(time.monotonic() - began, 1e-9)
    return {**{name: value / count for name, value in sums.items()}, "steps_per_second": count / seconds}


def _note(numbers: dict[str, float]) -> str:
    shown = f"loss {numbers['loss/train']:.2f}"
    held_out = numbers.get("validation/loss")
    return shown if held_out is None else f"{shown}, held out {held_out:.2f}"
