"""Gradients of a batch computed part by part. Oracle: the gradients of the whole batch at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from placevec.core import Draw, Encoded, Look, Objective, Recipe, Slot, with_fused
from placevec.errors import InputError
from placevec.models.fusion import MeanFusion
from placevec.training import TrainingOptions, train
from placevec.training.bundle import Bundle
from placevec.training.gradient_cache import GradientCache
from placevec.training.log import read_metrics
from placevec.training.objectives.contrastive import InfoNCE
from tests.training.toy import Rows, toy_recipe

ROWS = 40


def recipe(dropout: float, *, norm: bool = False) -> Recipe:
    """Two slots through two networks, one of which drops, contrasted with each other and with what is fused."""
    torch.manual_seed(0)
    layers = [nn.Linear(8, 32), nn.BatchNorm1d(32) if norm else nn.LayerNorm(32), nn.ReLU()]
    first = nn.Sequential(*layers, nn.Dropout(dropout), nn.Linear(32, 4))
    second = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 4))
    return Recipe(
        slots={"image": Slot("plane", "first"), "words": Slot("other", "second")},
        encoders={"first": first, "second": second},
        objectives={
            "pairs": (1.0, InfoNCE("image", "words", temperature=0.2, learnable=True)),
            "fused": (0.5, InfoNCE("image", "fused", temperature=0.2)),
        },
        sampler=Rows(0),
        fuse=MeanFusion(["plane", "other"], 4),
    )


class Norms(Objective):
    def forward(self, slots: Mapping[str, Encoded], targets: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return torch.stack([part.z.square().sum() for part in slots.values()]).sum()


def step(copies: int = 1) -> tuple[dict[str, Any], Draw]:
    rows = torch.arange(ROWS).repeat(copies)
    missing = torch.where(rows % 7 == 3, -2, rows)
    looks = {"image": Look(rows), "words": Look(missing)}
    values = torch.randn(2, ROWS * copies, 8, generator=torch.Generator().manual_seed(1))
    return {"image": values[0], "words": values[1]}, Draw(looks)


def gradients(bundle: Bundle) -> dict[str, torch.Tensor]:
    return {
        name: weight.grad.clone() for name, weight in bundle.named_parameters() if weight.grad is not None
    }


@pytest.mark.parametrize("chunk", [1, 7, 20, ROWS])
def test_gradient_is_that_of_the_whole_batch(chunk: int) -> None:
    """To 1e-5: of both networks and of the temperature, with missing rows and a fusion."""
    batches, draw = step()
    whole, parts = Bundle(recipe(0.0)).train(), Bundle(recipe(0.0)).train()
    loss, _, encoded = whole(batches, draw)
    loss.backward()
    found, _, again = GradientCache(parts, chunk, seed=3).backward(batches, draw, lambda one: one.backward())
    torch.testing.assert_close(found, loss, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(again["fused"].z, encoded["fused"].z)
    wanted = gradients(whole)
    assert set(gradients(parts)) == set(wanted) == {name for name, _ in whole.named_parameters()}
    for name, gradient in gradients(parts).items():
        torch.testing.assert_close(gradient, wanted[name], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("norm", [False, True])
def test_dropout_and_batch_norm_are_the_same_in_both_passes(norm: bool) -> None:
    """Oracle: the parts encoded once, with activations, from the same seeds; and statistics counted once a part."""
    batches, draw = step()
    cached, plain = Bundle(recipe(0.5, norm=norm)).train(), Bundle(recipe(0.5, norm=norm)).train()
    GradientCache(cached, 16, seed=3).backward(batches, draw, lambda one: one.backward())
    once = GradientCache(plain, 16, seed=3)
    parts = [once._encode(batches, draw, part) for part in once._parts(draw)]
    encoded = {
        name: Encoded(
            torch.cat([one[name].z for one in parts]), torch.cat([one[name].present for one in parts])
        )
        for name in parts[0]
    }
    plain.loss(with_fused(plain.recipe, encoded), draw)[0].backward()
    for name, gradient in gradients(cached).items():
        torch.testing.assert_close(gradient, gradients(plain)[name], atol=1e-5, rtol=1e-5)
    for one, other in zip(cached.buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(one, other)


def test_activations_of_one_part_at_a_time_are_kept() -> None:
    """Oracle: the numbers that autograd keeps between forward and backward, counted as they come and go."""
    peaks = []
    batches, draw = step(copies=20)
    for chunk in (ROWS, 0):
        held = peak = 0

        class Held:
            def __init__(self, tensor: torch.Tensor) -> None:
                nonlocal held, peak
                self.tensor = tensor
                held += tensor.numel()
                peak = max(peak, held)

            def __del__(self) -> None:
                nonlocal held
                held -= self.tensor.numel()

        made = recipe(0.0)
        made.fuse, made.objectives = None, {"norms": (1.0, Norms())}
        bundle = Bundle(made).train()
        with torch.autograd.graph.saved_tensors_hooks(Held, lambda one: one.tensor):
            if chunk:
                GradientCache(bundle, chunk, 0).backward(batches, draw, lambda one: one.backward())
            else:
                bundle(batches, draw)[0].backward()
        peaks.append(peak)
    assert peaks[0] < peaks[1] / 4


def test_training_in_parts_learns_the_same(tmp_path: Path) -> None:
    """Oracle: the run without, where neither dropout nor batch norm tells parts apart; validated in parts as well."""
    losses = []
    for chunk in (0, 5):
        made, views = toy_recipe()
        made.encoders["mlp"] = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 4))
        torch.manual_seed(1)
        made.encoders["mlp"].apply(lambda one: one.reset_parameters() if isinstance(one, nn.Linear) else None)
        options = TrainingOptions(
            epochs=2, steps_per_epoch=8, validation_steps=2, device="cpu", chunk_size=chunk, precision="fp32"
        )
        run = tmp_path / str(chunk)
        train(made, views, run, options, config={}, save=lambda path: path.mkdir(exist_ok=True))
        losses.append([(row["loss/train"], row["validation/loss"]) for row in read_metrics(run)])
    torch.testing.assert_close(torch.tensor(losses[1]), torch.tensor(losses[0]), atol=1e-4, rtol=1e-4)


def test_slots_of_different_sizes_are_rejected() -> None:
    batches, draw = step()
    draw = Draw({**draw.looks, "words": Look(torch.arange(3))})
    with pytest.raises(InputError, match="--chunk-size needs slots with the same number of rows"):
        GradientCache(Bundle(recipe(0.0)), 5, 0).backward(batches, draw, lambda one: one.backward())
