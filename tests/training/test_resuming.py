"""Going on: from named checkpoints, for longer, with smaller batches where memory ends."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from placevec.core import Draw, Encoded, Look, Objective, Recipe, Slot, ViewSpec
from placevec.errors import ModelError, OutputError
from placevec.io.progress import Silent
from placevec.training import TrainingOptions, TrainingResult, state, train
from placevec.training.log import read_metrics
from placevec.training.schedule import factor
from placevec.training.state import Counters, newest_state, save_state
from tests.training.toy import toy_recipe

OPTIONS: dict[str, Any] = {
    "epochs": 4, "steps_per_epoch": 3, "validation_steps": 1, "device": "cpu", "seed": 3, "save_every": 2,
    "precision": "fp32",
}  # fmt: skip


class Told(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)


class Rows:
    """Rows of eight pictures, in batches whose size can be changed."""

    def __init__(self, batch_size: int = 16) -> None:
        self.batch_size = batch_size

    def with_batch_size(self, batch_size: int) -> Rows:
        return Rows(batch_size)

    def draw(self, step: int, rank: int = 0, world: int = 1) -> Draw:
        rows = torch.from_numpy(np.random.default_rng([1, step]).integers(0, 8, self.batch_size))
        return Draw({"anchor": Look(rows)})


class Pictures:
    """Eight small pictures."""

    spec = ViewSpec(name="pictures", kind="raster")

    def read(self, look: Look) -> Tensor:
        return torch.randn(8, 3, 6, 6, generator=torch.Generator().manual_seed(0))[look.rows]


class Spread(Objective):
    """Any loss."""

    def forward(self, slots: Mapping[str, Encoded], targets: Mapping[str, Tensor]) -> Tensor:
        return (slots["anchor"].z.std(0) - 1).square().mean()


class Heavy(nn.Module):
    """Fits a number of pictures into memory and no more."""

    dim = 4

    def __init__(self, most: int, error: Callable[[], BaseException]) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.Flatten(), nn.Linear(80, 4))
        self.most, self.error = most, error

    def forward(self, batch: Tensor) -> Tensor:
        if len(batch) > self.most:
            raise self.error()
        vectors: Tensor = self.network(batch)
        return vectors


def heavy(
    run: Path, *, most: int = 99, error: Callable[[], BaseException] = MemoryError, told: Told | None = None,
    resume: bool | Path = False, **options: Any,
) -> tuple[dict[str, Tensor], TrainingResult]:  # fmt: skip
    torch.manual_seed(0)
    encoder = Heavy(most, error)
    recipe = Recipe(
        slots={"anchor": Slot("pictures", "cnn")}, encoders={"cnn": encoder}, objectives={"spread": (1.0, Spread())},
        sampler=Rows(), validation=Rows(),
    )  # fmt: skip

    def save(folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(encoder.state_dict(), folder / "model")

    result = train(
        recipe, {"pictures": Pictures()}, run, TrainingOptions(**{**OPTIONS, **options}), config={}, save=save,
        resume=resume, progress=told or Told(),
    )  # fmt: skip
    return {name: value.clone() for name, value in encoder.state_dict().items()}, result


@pytest.mark.parametrize("optimizer", ["adamw", "adam"])
def test_a_named_checkpoint_goes_on_as_the_run_did(tmp_path: Path, optimizer: str) -> None:
    """Oracle: the run itself, bit by bit; convolutions lie in memory otherwise than in the file."""
    whole, _ = heavy(tmp_path / "a", optimizer=optimizer)
    kept = sorted(path.name for path in (tmp_path / "a" / "checkpoints").iterdir())
    assert kept == ["epoch-002", "epoch-004"]
    checkpoint = tmp_path / "a" / "checkpoints" / "epoch-002"
    for place in (checkpoint, checkpoint / "state.json"):
        elsewhere, result = heavy(tmp_path / place.name, optimizer=optimizer, resume=place)
        assert result.steps == 12
        assert all(torch.equal(whole[name], elsewhere[name]) for name in whole)
    assert [row["step"] for row in read_metrics(tmp_path / "epoch-002")] == [9, 12]


def test_an_older_checkpoint_of_the_same_run_is_where_it_goes_on(tmp_path: Path) -> None:
    """Also after a kill: the newer state is gone, and the model is the checkpoint's until a better one comes."""
    heavy(tmp_path)
    checkpoint = tmp_path / "checkpoints" / "epoch-002"
    heavy(tmp_path, resume=checkpoint, epochs=2)
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["step-00000006"]
    there, here = (torch.load(folder / "model", weights_only=True) for folder in (checkpoint, tmp_path))
    assert all(torch.equal(there[name], here[name]) for name in there)


def test_the_old_state_stays_until_the_new_one_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full at the second state: the first is whole. Oracle: the bytes before."""
    module = nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(module.parameters())
    save_state(tmp_path, module, optimizer, Counters(step=1), {})
    old = {path.name: path.read_bytes() for path in (tmp_path / "step-00000001").iterdir()}

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(state, "save_file", full)
        with pytest.raises(OutputError, match="no space left"):
            save_state(tmp_path, module, optimizer, Counters(step=2), {})
    (tmp_path / ".tmp-0a1b2c3d-step-00000002").mkdir()  # of a process that was killed
    assert newest_state(tmp_path) == tmp_path / "step-00000001"
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]
    assert {path.name: path.read_bytes() for path in (tmp_path / "step-00000001").iterdir()} == old
    save_state(tmp_path, module, optimizer, Counters(step=2), {})
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000002"]


def test_what_is_no_checkpoint_is_reported_with_those_that_are(tmp_path: Path) -> None:
    heavy(tmp_path)
    with pytest.raises(ModelError, match="epoch-004"):
        heavy(tmp_path, resume=tmp_path / "checkpoints" / "epoch-003")


@pytest.mark.parametrize("schedule", ["cosine", "constant", "plateau"])
def test_longer_under_the_schedule_of_the_longer_run(tmp_path: Path, schedule: str) -> None:
    """Oracle: the schedule as a function of the step and of all steps."""
    told = Told()
    heavy(tmp_path, schedule=schedule)
    _, result = heavy(tmp_path, schedule=schedule, epochs=8, resume=True, told=told)
    rows = read_metrics(tmp_path)
    assert result.steps == 24
    assert len(rows) == 8
    for number, row in enumerate(rows):
        total = 12 if number < 4 else 24
        history = [float(one["validation/loss"]) for one in rows[:number]]
        rates = [
            1e-3 * factor(schedule, 3 * number + i, total, round(0.05 * total), history) for i in range(3)
        ]
        assert row["learning_rate"] == pytest.approx(np.mean(rates))
    assert any("from 4 to 8 epochs" in line for line in told.lines)


def test_a_finished_run_has_nothing_more_to_do(tmp_path: Path) -> None:
    first, _ = heavy(tmp_path)
    again, result = heavy(tmp_path, resume=True)
    assert result.steps == 12
    assert all(torch.equal(first[name], again[name]) for name in first)


@pytest.mark.parametrize(
    "error",
    [
        lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        lambda: RuntimeError("[enforce fail at alloc_cpu.cpp:118] . DefaultCPUAllocator: can't allocate memory"),
        lambda: RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"),
        MemoryError,
    ],
)  # fmt: skip
def test_out_of_memory_halves_the_batch_and_goes_on(
    tmp_path: Path, error: Callable[[], BaseException]
) -> None:
    """Invariant: every step is done, with batches of 4 where 5 pictures fit; it is said, logged and kept."""
    told = Told()
    _, result = heavy(tmp_path, most=5, error=error, told=told)
    assert (result.steps, result.batch_size) == (12, 4)
    assert [line[:50] for line in told.lines] == [
        "Out of memory at step 0: continuing with batches of 8"[:50],
        "Out of memory at step 0: continuing with batches of 4"[:50],
    ]
    assert all(row["batch_size"] == 4 for row in read_metrics(tmp_path))
    later = Told()
    _, result = heavy(tmp_path, most=5, error=error, told=later, resume=True, epochs=6)
    assert (result.steps, result.batch_size) == (18, 4)
    assert not any("Out of memory" in line for line in later.lines)


def test_a_batch_that_never_fits_ends_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="even with a batch size of 2"):
        heavy(tmp_path, most=1)


def test_other_errors_are_not_taken_for_memory(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        heavy(tmp_path, most=1, error=lambda: RuntimeError("shapes do not match"))


def test_a_sampler_that_cannot_shrink_says_what_to_do(tmp_path: Path) -> None:
    recipe, views = toy_recipe()
    recipe.encoders = {"mlp": Heavy(1, MemoryError)}
    with pytest.raises(ModelError, match="--batch-size"):
        train(recipe, views, tmp_path, TrainingOptions(device="cpu"), config={}, save=lambda folder: None)


@pytest.mark.parametrize("workers", [0, 3])
def test_any_number_of_readers_gives_the_same(tmp_path: Path, workers: int) -> None:
    one, _ = heavy(tmp_path / "one")
    other, _ = heavy(tmp_path / "other", workers=workers)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_adam_and_adamw_are_torchs(tmp_path: Path) -> None:
    """Oracle: torch's optimizers step by step on the same batches in float32; no clipping, no warm-up."""
    for name, family in (("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)):
        found, _ = heavy(
            tmp_path / name, optimizer=name, clip_norm=0.0, schedule="constant", warmup=0.0, weight_decay=0.3,
            learning_rate=0.01,
        )  # fmt: skip
        torch.manual_seed(0)
        encoder = Heavy(99, MemoryError).train()
        optimizer = family(encoder.parameters(), lr=0.01, weight_decay=0.3)
        for step in range(12):
            loss = (encoder(Pictures().read(Rows().draw(step).looks["anchor"])).std(0) - 1).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        for key in ("network.0.weight", "network.1.weight", "network.3.weight"):
            # not the biases: of this loss their gradient is rounding, which Adam blows up
            torch.testing.assert_close(found[key], encoder.state_dict()[key], rtol=1e-3, atol=1e-4)
