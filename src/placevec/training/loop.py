"""The training loop. It works with slots, views and objectives and does not depend on any recipe."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from placevec.core import Batch, Draw, Recipe, Sampler, View, with_fused
from placevec.errors import InputError, ModelError
from placevec.io.atomic import replacing_directory
from placevec.io.progress import SILENT, Progress
from placevec.training.batches import batches_of, layout, to_device
from placevec.training.bundle import Bundle
from placevec.training.collapse import CollapseWatch
from placevec.training.gradient_cache import GradientCache, rows_of
from placevec.training.log import RunLog
from placevec.training.options import TrainingOptions
from placevec.training.out_of_memory import halved, out_of_memory, release
from placevec.training.precision import chosen, instruction_set
from placevec.training.processes import average_gradients, share_buffers
from placevec.training.schedule import factor
from placevec.training.state import (
    Counters,
    load_counters,
    load_state,
    named_state,
    newest_state,
    save_state,
    write_state,
)


@dataclass
class TrainingResult:
    """The result of a run.

    Attributes:
        steps: number of steps done.
        best_loss: lowest validation loss (training loss without validation).
        best_step: the step after which it was reached.
        seconds: wall-clock time.
        stopped_early: whether ``patience`` ended the run.
    """

    steps: int
    best_loss: float | None
    best_step: int
    seconds: float
    stopped_early: bool
    batch_size: int | None = None
    """The final batch size if it was reduced because memory ran out; else None."""
    precision: str = "fp32"
    """``fp32`` or ``bf16``."""


class _Run:
    """One call of `train`: the accelerator, the module, the optimizer, the samplers and the counters."""

    def __init__(
        self,
        recipe: Recipe,
        views: Mapping[str, View],
        options: TrainingOptions,
        validation_views: Mapping[str, View] | None,
        progress: Progress,
        precision: str | None,
    ) -> None:
        from accelerate import Accelerator

        self.recipe, self.views, self.options, self.progress = recipe, views, options, progress
        self.validation_views = views if validation_views is None else validation_views
        self.sampler, self.validation = recipe.sampler, recipe.validation
        self.counters = Counters()
        self.accelerator = Accelerator(cpu=options.device == "cpu")
        self.device = self.accelerator.device
        if options.device not in ("auto", self.device.type):
            raise InputError(
                f"device {options.device!r} is not available here (available: {self.device.type})"
            )
        here = chosen(options.precision, self.device, recipe.encoders.values())
        self.precision = self.counters.precision = precision or here
        if options.precision == "auto" and self.precision != here:
            progress.say(f"The run continues in {self.precision}, as before; a new run would use {here}")
        self.bf16 = self.precision == "bf16"
        self.instruction_set = self.counters.instruction_set = instruction_set(self.device)
        self.layouts = {
            name: layout(encoder, self.device, fp32=not self.bf16)
            for name, encoder in recipe.encoders.items()
        }
        module = Bundle(recipe)
        for name, encoder in recipe.encoders.items():
            encoder.to(memory_format=self.layouts[name])  # type: ignore[call-overload]
        family = torch.optim.AdamW if options.optimizer == "adamw" else torch.optim.Adam
        optimizer = family(
            module.parameters(),
            lr=options.learning_rate,
            weight_decay=options.weight_decay,
            fused=self.device.type == "cpu"
            or None,  # six times faster on a CPU; elsewhere torch's default is best
        )
        self.module, self.optimizer = self.accelerator.prepare(module, optimizer)
        self.plain: Bundle = self.accelerator.unwrap_model(self.module)
        self.rank, self.world = self.accelerator.process_index, self.accelerator.num_processes

    @property
    def total(self) -> int:
        """Number of steps of the whole run."""
        return self.options.epochs * self.options.steps_per_epoch

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16)

    def rate(self, step: int) -> float:
        """The learning rate of a step."""
        options = self.options
        warmup = round(options.warmup * self.total)
        return options.learning_rate * factor(
            options.schedule, step, self.total, warmup, self.counters.history
        )

    def step(self, step: int, draw: Draw, batches: dict[str, Batch]) -> dict[str, float | Tensor]:
        """One optimizer step; dropout is seeded by the step, so no generator state needs saving."""
        options = self.options
        seed = (options.seed * 1_000_003 + step) * 1009 + self.rank
        torch.manual_seed(seed)
        rate = self.rate(step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.module.train()
        here = self._on_device(draw)
        self.optimizer.zero_grad(set_to_none=True)
        moved = self._moved(batches)
        if 0 < options.chunk_size < rows_of(here):
            cache = GradientCache(self.plain, options.chunk_size, seed, self.autocast)
            loss, parts, encoded = cache.backward(moved, here, self._backward(step))
            average_gradients(self.plain.parameters())
            share_buffers(self.plain)
        else:
            with self.autocast():
                loss, parts, encoded = self.module(moved, here)
            self._backward(step)(loss)
        norm = self.accelerator.clip_grad_norm_(self.module.parameters(), options.clip_norm or float("inf"))
        self.optimizer.step()
        watched = self.plain.watch(encoded, here.targets)
        if (
            self.recipe.measure is not None
            and not self._validates
            and (step + 1) % options.steps_per_epoch == 0
        ):
            counted = options.steps_per_epoch  # measured on one batch, but averaged over all steps
            with torch.no_grad():
                measured = self.recipe.measure(encoded, here.targets)
            watched |= {name: torch.tensor(value * counted) for name, value in measured.items()}
        return {
            "loss/train": loss.detach(),
            **parts,
            **{f"train/{name}": value for name, value in watched.items()},
            "gradient_norm": norm,
            "learning_rate": rate,
        }

    def _backward(self, step: int) -> Callable[[Tensor], None]:
        def backward(loss: Tensor) -> None:
            if not torch.isfinite(loss):
                raise ModelError(
                    f"the loss is {float(loss.detach())} at step {step}: lower --learning-rate; the last checkpoint is"
                    " kept"
                )
            self.accelerator.backward(loss)

        return backward

    def _moved(self, batches: Mapping[str, Batch]) -> dict[str, Batch]:
        return {
            name: to_device(batch, self.device, self.layouts[self.recipe.slots[name].encoder])
            for name, batch in batches.items()
        }

    def _on_device(self, draw: Draw) -> Draw:
        doubles = (
            self.device.type != "mps"
        )  # Apple's GPUs have no float64; there, positions resolve half a meter
        return Draw(
            draw.looks,
            {
                name: (value if doubles or value.dtype != torch.float64 else value.float()).to(self.device)
                for name, value in draw.targets.items()
            },
        )

    def epoch(self, advance: Callable[..., None]) -> dict[str, float]:
        """Train one epoch; returns the mean metrics of its steps. If memory runs out, the batch size is halved."""
        counters, count = self.counters, self.options.steps_per_epoch
        sums: dict[str, float | Tensor] = {}
        began, last = time.monotonic(), counters.step + count
        while counters.step < last:
            self._fitting(lambda: self._steps(last, sums, advance))
        seconds = max(time.monotonic() - began, 1e-9)
        numbers = {name: float(value) / count for name, value in sums.items()}
        batch_size = getattr(self.sampler, "batch_size", None)
        sizes = {} if batch_size is None else {"batch_size": float(batch_size)}
        return {**numbers, **sizes, "steps_per_second": count / seconds}

    def _steps(self, last: int, sums: dict[str, float | Tensor], advance: Callable[..., None]) -> None:
        options, counters = self.options, self.counters
        reading = batches_of(
            self.recipe, self.sampler, self.views, range(counters.step, last), self.rank, self.world,
            prefetch=options.prefetch, workers=options.workers,
        )  # fmt: skip
        for step, draw, batches in reading:
            for name, value in self.step(step, draw, batches).items():
                sums[name] = sums.get(name, 0.0) + value
            counters.step = step + 1
            advance(1)

    def validate(self) -> dict[str, float]:
        """Means over the same validation batches every time; empty without a validation sampler."""
        while self._validates:
            found: list[dict[str, float]] = []
            self._fitting(lambda: found.append(self._validated()))  # noqa: B023 (called at once)
            if found:
                return found[0]
        return {}

    @property
    def _validates(self) -> bool:
        return self.validation is not None and self.options.validation_steps > 0

    @torch.no_grad()
    def _validated(self) -> dict[str, float]:
        options, steps = self.options, self.options.validation_steps
        self.plain.eval()
        sums: dict[str, float] = {}
        assert self.validation is not None
        reading = batches_of(
            self.recipe, self.validation, self.validation_views, range(steps), 0, 1,
            prefetch=options.prefetch, workers=options.workers,
        )  # fmt: skip
        for _, draw, batches in reading:
            here = self._on_device(draw)
            moved = self._moved(batches)
            if 0 < options.chunk_size < rows_of(here):
                encoded = GradientCache(self.plain, options.chunk_size, 0, self.autocast).encoded(moved, here)
                with self.autocast():
                    loss, _, encoded = self.plain.loss(with_fused(self.recipe, encoded), here)
            else:
                with self.autocast():
                    loss, _, encoded = self.plain(moved, here)
            numbers = {"loss": float(loss)}
            numbers |= {name: float(value) for name, value in self.plain.watch(encoded, here.targets).items()}
            if self.recipe.measure is not None:
                numbers |= self.recipe.measure(encoded, here.targets)
            for name, value in numbers.items():
                sums[name] = sums.get(name, 0.0) + value
        return {f"validation/{name}": value / steps for name, value in sums.items()}

    def _fitting(self, work: Callable[[], None]) -> None:
        """Do some work; if memory runs out, halve the batch size, report it and return so that the caller retries."""
        try:
            work()
            return
        except Exception as error:
            if not out_of_memory(error):
                raise
        # not inside the handler: the error holds every tensor of the failed step
        if self.world > 1:
            raise ModelError(
                f"out of memory on one of {self.world} processes: use a smaller --batch-size and --resume"
            )
        before = (
            getattr(self.sampler, "batch_size", None) if hasattr(self.sampler, "with_batch_size") else None
        )
        after = halved(before)
        release(self.optimizer)
        self.progress.say(
            f"Out of memory at step {self.counters.step:,}: continuing with batches of {after} instead of {before}"
            " (use --batch-size or a smaller --size-px to choose differently)"
        )
        self.resize(after)

    def resize(self, batch_size: int) -> None:
        """Draw smaller batches from now on."""
        self.sampler = _resized(self.sampler, batch_size)
        self.validation = None if self.validation is None else _resized(self.validation, batch_size)
        self.counters.batch_size = batch_size


def _resized(sampler: Sampler, batch_size: int) -> Sampler:
    resized: Sampler = sampler.with_batch_size(batch_size) if hasattr(sampler, "with_batch_size") else sampler
    return resized


def train(
    recipe: Recipe,
    views: Mapping[str, View],
    run: Path | None,
    options: TrainingOptions,
    *,
    config: dict[str, Any],
    save: Callable[[Path], None],
    resume: bool | Path = False,
    validation_views: Mapping[str, View] | None = None,
    started: Callable[[str, str], None] | None = None,
    progress: Progress = SILENT,
) -> TrainingResult:
    """Train a recipe and keep its best weights.

    If a batch does not fit into memory, the batch size is halved and training continues from the last step; this is
    reported, stored in the state and logged (``batch_size``). Collapsing vectors are reported (`CollapseWatch`).

    Args:
        recipe: what to train; its encoders are trained in place and end with the last weights.
        views: every view that a slot names.
        run: directory of checkpoints and logs; None keeps neither, calls no ``save`` and cannot resume.
        options: training options.
        config: everything that must be the same for a resumed run (recipe and data); checked on resume.
        save: writes the model with the current weights to a directory: ``run`` whenever they are the best so far, and
            each named checkpoint.
        resume: continue from the newest state in ``run/state``, with the same result as an uninterrupted run; or from
            a named checkpoint of this or another run. ``options.epochs`` may differ, see `TrainingOptions`.
        validation_views: views for validation, if different from ``views``.
        started: called with the precision, ``fp32`` or ``bf16``, and the instruction set, before the first step and
            before anything is saved; a resumed run keeps the precision that it began with.
        progress: progress reporting.

    Raises:
        ModelError: the loss becomes infinite or NaN, the state to resume from does not match, or a batch of 2 does not
            fit into memory.
    """
    began = time.monotonic()
    torch.manual_seed(options.seed)
    state = (
        named_state(resume)
        if isinstance(resume, Path)
        else newest_state(run / "state")
        if resume and run is not None
        else None
    )
    begun = None if state is None else load_counters(state).precision
    work = _Run(recipe, views, options, validation_views, progress, begun)
    if started is not None:
        started(work.precision, work.instruction_set)
    chief = work.accelerator.is_main_process
    fixed = {**config, "training": asdict(options)}
    if state is not None and run is not None:
        _resume(work, state, fixed, run, save)
    counters = work.counters
    counters.planned = options.epochs
    watch = CollapseWatch(*_watched(recipe))
    with (
        RunLog(run or Path(), counters.step, active=chief and run is not None) as log,
        progress.task("Training", total=work.total) as advance,
    ):
        advance(counters.step)
        while counters.step < work.total and not _finished(counters, options):
            numbers = work.epoch(advance)
            numbers.update(work.validate())
            watched = numbers.get("validation/loss", numbers["loss/train"])
            counters.history.append(watched)
            if counters.best is None or watched < counters.best:
                counters.best, counters.best_step, counters.waited = watched, counters.step, 0
                if chief and run is not None:
                    save(run)
            else:
                counters.waited += 1
            log.write(counters.step, numbers)
            advance(0, note=_note(numbers))
            for warning in watch.look(numbers):
                progress.say(warning)
            if chief and run is not None:
                _keep(work, run, fixed, save)
            work.accelerator.wait_for_everyone()
    stopped = counters.step < work.total
    seconds = time.monotonic() - began
    return TrainingResult(
        counters.step,
        counters.best,
        counters.best_step,
        seconds,
        stopped,
        counters.batch_size,
        work.precision,
    )


def _resume(work: _Run, state: Path, fixed: dict[str, Any], run: Path, save: Callable[[Path], None]) -> None:
    """Restore a run from a state, and report what changes from there."""
    ours = newest_state(run / "state")
    same_best = ours is not None and state.parent == ours.parent
    work.counters = counters = load_state(state, work.plain, work.optimizer.optimizer, fixed)
    work.progress.say(f"Resuming after step {counters.step:,}")
    if counters.instruction_set not in ("", work.instruction_set):
        work.progress.say(
            f"Note: the run was computed with {counters.instruction_set} and continues with {work.instruction_set}: "
            f"the result will differ from an uninterrupted run in the last bits"
        )
    counters.instruction_set = work.instruction_set
    if counters.batch_size is not None:
        work.resize(counters.batch_size)
    options = work.options
    if 0 < counters.planned < options.epochs:
        counters.waited = 0  # a longer run must not stop at once
        work.progress.say(
            f"Extending the run from {counters.planned} to {options.epochs} epochs: the {options.schedule} schedule now"
            f" covers all of them, and the learning rate continues at {work.rate(counters.step):.3g}"
        )
    if same_best:
        return
    # A named checkpoint: the run may have newer weights, or be a new run.
    if counters.history:
        counters.best, counters.best_step, counters.waited = counters.history[-1], counters.step, 0
    if work.accelerator.is_main_process:
        run.mkdir(parents=True, exist_ok=True)
        save(run)
        save_state(run / "state", work.plain, work.optimizer.optimizer, counters, fixed)


def _keep(work: _Run, run: Path, fixed: dict[str, Any], save: Callable[[Path], None]) -> None:
    """Write the state, and a named checkpoint if one is due."""
    counters, every = work.counters, work.options.save_every
    epoch, between = divmod(counters.step, work.options.steps_per_epoch)
    if every and not between and epoch % every == 0:
        with replacing_directory(run / "checkpoints" / f"epoch-{epoch:03d}") as folder:
            save(folder)
            write_state(folder, work.plain, work.optimizer.optimizer, counters, fixed)
    save_state(run / "state", work.plain, work.optimizer.optimizer, counters, fixed)


def _watched(recipe: Recipe) -> tuple[dict[str, float], int]:
    """The losses of the objectives if all vectors are equal, and the length of the vectors."""
    losses = {
        name: objective.collapsed_loss
        for name, (_, objective) in recipe.objectives.items()
        if objective.collapsed_loss is not None
    }
    return losses, min((int(getattr(one, "dim", 2)) for one in recipe.encoders.values()), default=2)


def _finished(counters: Counters, options: TrainingOptions) -> bool:
    return 0 < options.patience <= counters.waited


def _note(numbers: dict[str, float]) -> str:
    shown = f"loss {numbers['loss/train']:.2f}"
    held_out = numbers.get("validation/loss")
    return shown if held_out is None else f"{shown}, validation {held_out:.2f}"
