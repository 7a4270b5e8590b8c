"""The one loop: it learns, resumes bit by bit after a kill, stops early, and refuses what does not fit."""

from __future__ import annotations

import json
import multiprocessing
import time
from dataclasses import replace
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
import torch

from placevec.errors import InputError, ModelError
from placevec.training import TrainingOptions, train
from placevec.training.log import read_metrics
from placevec.training.state import newest_state
from tests.training.toy import toy_recipe

OPTIONS = TrainingOptions(
    epochs=6, steps_per_epoch=5, validation_steps=2, device="cpu", seed=3, precision="fp32"
)


def weights(recipe: object) -> dict[str, torch.Tensor]:
    module = torch.nn.ModuleDict(recipe.encoders)  # type: ignore[attr-defined]
    objectives = torch.nn.ModuleDict({name: item for name, (_, item) in recipe.objectives.items()})  # type: ignore[attr-defined]
    found = {**module.state_dict(), **objectives.state_dict()}
    return {name: value.clone() for name, value in found.items()}


def run(
    folder: Path, options: TrainingOptions = OPTIONS, **more: object
) -> tuple[dict[str, torch.Tensor], object]:
    recipe, views = toy_recipe()
    result = train(recipe, views, folder, options, config={"data": 1}, save=lambda folder: None, **more)  # type: ignore[arg-type]
    return weights(recipe), result


def test_it_learns_and_writes_down_what_it_did(tmp_path: Path) -> None:
    options = TrainingOptions(epochs=10, steps_per_epoch=20, device="cpu")
    _, result = run(tmp_path, options)
    rows = read_metrics(tmp_path)
    assert [row["step"] for row in rows] == list(range(20, 201, 20))
    assert rows[-1]["loss/train"] < 0.6 * rows[0]["loss/train"]
    assert result.best_loss == min(row["validation/loss"] for row in rows)  # type: ignore[attr-defined]
    assert {"validation/size", "gradient_norm", "learning_rate", "loss/together"} <= set(rows[0])
    assert list((tmp_path / "tensorboard").glob("events.*"))


def test_the_same_seed_gives_the_same_weights(tmp_path: Path) -> None:
    first, _ = run(tmp_path / "a")
    again, _ = run(tmp_path / "b")
    other, _ = run(tmp_path / "c", TrainingOptions(**{**vars(OPTIONS), "seed": 4}))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_every_step_and_every_seed_drops_others(tmp_path: Path) -> None:
    """And a step drops the same again. Oracle: a number drawn beside the masks, in each of 6 steps."""
    runs = []
    for seed in (3, 3, 4):
        recipe, views = toy_recipe()
        drawn: list[float] = []
        recipe.encoders["mlp"].register_forward_pre_hook(
            lambda module, _, drawn=drawn: drawn.append(float(torch.rand(()))) if module.training else None
        )
        options = replace(OPTIONS, epochs=2, steps_per_epoch=3, seed=seed)
        train(recipe, views, tmp_path / f"{len(runs)}", options, config={}, save=lambda folder: None)
        runs.append(drawn)
    assert runs[0] == runs[1]
    assert len({*runs[0], *runs[2]}) == 2 * len(runs[0]) >= 12


def test_reading_ahead_changes_nothing(tmp_path: Path) -> None:
    first, _ = run(tmp_path / "a")
    none, _ = run(tmp_path / "b", TrainingOptions(**{**vars(OPTIONS), "prefetch": 0}))
    assert all(torch.equal(first[name], none[name]) for name in first)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("interrupted_after", [1, 3])
def test_resumed_equals_uninterrupted_bit_by_bit(
    tmp_path: Path, interrupted_after: int, precision: str
) -> None:
    """Oracle: the uninterrupted run; weights, batch-norm statistics, objective parameters and logged numbers."""
    options = replace(OPTIONS, precision=precision)
    whole, _ = run(tmp_path / "whole", options)
    recipe, views = toy_recipe()
    validations = 0

    def stop(folder: Path) -> None:
        nonlocal validations
        validations += 1

    class Interrupt(Exception):
        pass

    original = recipe.measure

    def measure(slots: object, targets: object) -> dict[str, float]:
        if validations >= interrupted_after and recipe.sampler_calls >= 2:  # type: ignore[attr-defined]
            raise Interrupt
        recipe.sampler_calls += 1  # type: ignore[attr-defined]
        return original(slots, targets)  # type: ignore[misc, arg-type]

    recipe.sampler_calls = 0  # type: ignore[attr-defined]
    recipe.measure = measure  # type: ignore[assignment]
    with pytest.raises(Interrupt):
        train(recipe, views, tmp_path / "cut", options, config={"data": 1}, save=stop)
    resumed, _ = run(tmp_path / "cut", options, resume=True)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    drop = ("steps_per_second",)
    rows = [
        [{k: v for k, v in row.items() if k not in drop} for row in read_metrics(tmp_path / name)]
        for name in ("whole", "cut")
    ]
    assert rows[0] == rows[1]


def _train_toy(folder: Path, ready: Event) -> None:
    recipe, views = toy_recipe()
    options = TrainingOptions(epochs=40, steps_per_epoch=5, device="cpu", seed=3)
    ready.set()
    train(recipe, views, folder, options, config={"data": 1}, save=lambda folder: None, resume=True)


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on(tmp_path: Path) -> None:
    """SIGKILL three times, resume to the end: the same weights as without a kill."""
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["tests.training.test_loop", "torch._dynamo"])  # which optimizers load

    def begun(name: str) -> BaseProcess:
        ready = processes.Event()
        process = processes.Process(target=_train_toy, args=(tmp_path / name, ready))
        process.start()
        assert ready.wait(60)
        return process

    for wait in (0.25, 0.6, 0.4):
        process = begun("killed")
        time.sleep(wait)
        process.kill()
        process.join()
    for name in ("killed", "whole"):
        process = begun(name)
        process.join()
        assert process.exitcode == 0
    states = [newest_state(tmp_path / name / "state") for name in ("killed", "whole")]
    assert states[0] is not None
    assert states[1] is not None
    assert (states[0] / "tensors.safetensors").read_bytes() == (
        states[1] / "tensors.safetensors"
    ).read_bytes()
    assert len(list((tmp_path / "killed" / "state").iterdir())) == 1


def test_patience_stops_early(tmp_path: Path) -> None:
    options = TrainingOptions(epochs=50, steps_per_epoch=2, patience=2, learning_rate=1e-12, device="cpu")
    _, result = run(tmp_path, options)
    assert result.stopped_early  # type: ignore[attr-defined]
    assert result.steps < 100  # type: ignore[attr-defined]


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    recipe, views = toy_recipe()
    calls = 0

    class Poisoned:
        def draw(self, step: int, rank: int = 0, world: int = 1) -> object:
            nonlocal calls
            calls += 1
            if step == 7:
                views["plane"].values[:] = float("nan")
            return toy_recipe()[0].sampler.draw(step, rank, world)

    recipe.sampler = Poisoned()  # type: ignore[assignment]
    recipe.validation = None
    with pytest.raises(ModelError, match="lower --learning-rate"):
        train(
            recipe,
            views,
            tmp_path,
            TrainingOptions(**{**vars(OPTIONS), "prefetch": 0}),
            config={},
            save=lambda folder: None,
        )
    state = newest_state(tmp_path / "state")
    assert state is not None
    assert json.loads((state / "state.json").read_text())["counters"]["step"] == 5


def test_resuming_with_other_options_is_rejected(tmp_path: Path) -> None:
    run(tmp_path)
    with pytest.raises(ModelError, match=r"data was 1, now 2"):
        recipe, views = toy_recipe()
        train(recipe, views, tmp_path, OPTIONS, config={"data": 2}, save=lambda folder: None, resume=True)
    with pytest.raises(ModelError, match=r"seed was 3, now 4"):
        run(tmp_path, replace(OPTIONS, seed=4), resume=True)


def test_a_damaged_state_is_one_clear_error(tmp_path: Path) -> None:
    run(tmp_path)
    state = newest_state(tmp_path / "state")
    assert state is not None
    whole = (state / "tensors.safetensors").read_bytes()
    flipped = bytearray(whole)
    flipped[-3] ^= 4  # of a weight: as many tensors, of the same shapes
    for content in (b"", whole[: len(whole) // 2], b"\x80\x04pickle", bytes(flipped)):
        (state / "tensors.safetensors").write_bytes(content)
        with pytest.raises(ModelError, match="damaged"):
            run(tmp_path, resume=True)


def test_unknown_choices_are_rejected() -> None:
    for wrong in (
        {"schedule": "linear"},
        {"precision": "int4"},
        {"device": "tpu"},
        {"epochs": 0},
        {"learning_rate": 0.0},
    ):
        with pytest.raises(InputError):
            TrainingOptions(**wrong)  # type: ignore[arg-type]
