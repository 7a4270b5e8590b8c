"""A batch over two processes (gloo). Oracle: one process with the whole batch."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.training.two_processes import BATCH, CHUNK, gradients, results

Tensors = dict[str, torch.Tensor]


def _began(out: Path, rank: int, port: int) -> subprocess.Popen[str]:
    several = {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-m", "tests.training.two_processes", str(out)], env={**os.environ, **several},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tensors, Tensors, Tensors]:
    """(what one process finds, the first of two, the second)."""
    out = tmp_path_factory.mktemp("processes")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = [_began(out, rank, port) for rank in (0, 1)]
    whole = results(out / "whole", 0, 1)
    for one in running:
        said, _ = one.communicate(timeout=240)
        assert one.returncode == 0, said
    first, second = (torch.load(out / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    return whole, first, second


@pytest.mark.parametrize("chunk", [0, CHUNK])
@pytest.mark.parametrize("form", ["founding", "log", "unicl", "sigmoid"])
def test_loss_and_gradient_are_those_of_the_whole_batch(
    found: tuple[Tensors, Tensors, Tensors], form: str, chunk: int
) -> None:
    """To 1e-5, of both networks and the temperature: by DDP and in parts, and the same on both processes."""
    whole, *processes = found
    names = [name for name in whole if name.startswith(f"{form}/{chunk}/")]
    assert len(names) >= 10
    for name in names:
        assert whole[name].abs().sum() > 0
        for one in processes:
            torch.testing.assert_close(one[name], whole[name], atol=1e-5, rtol=1e-5)


def test_a_batch_of_their_own_would_be_another(found: tuple[Tensors, Tensors, Tensors]) -> None:
    """The loss of half a batch alone has half the negatives: about log 2 less in each of the contrasts."""
    half = gradients("log", 0, 0, 2)["log/0/loss"]
    assert BATCH % 2 == 0
    assert float(found[0]["log/0/loss"] - half) > 0.3


@pytest.mark.parametrize("chunk", [0, CHUNK])
def test_training_by_two_is_training_by_one(found: tuple[Tensors, Tensors, Tensors], chunk: int) -> None:
    """Eight steps of AdamW, which divides by the size of gradients: losses to 1e-5, weights to 1e-3."""
    whole, first, second = found
    torch.testing.assert_close(first[f"run/{chunk}/loss"], whole[f"run/{chunk}/loss"], atol=1e-5, rtol=1e-5)
    names = [name for name in whole if name.startswith(f"run/{chunk}/") and not name.endswith("/loss")]
    assert names
    for name in names:
        torch.testing.assert_close(first[name], second[name], atol=0, rtol=0)
        torch.testing.assert_close(first[name], whole[name], atol=1e-3, rtol=1e-3)


def test_a_recipe_is_trained_by_two_as_by_one(found: tuple[Tensors, Tensors, Tensors]) -> None:
    """`placevec.api.train` into one run: only the first process writes and reports, and both return its model."""
    whole, first, second = found
    names = [name for name in whole if name.startswith("points/")]
    assert names
    for name in names:
        torch.testing.assert_close(first[name], second[name], atol=0, rtol=0)
        torch.testing.assert_close(first[name], whole[name], atol=1e-3, rtol=1e-3)
