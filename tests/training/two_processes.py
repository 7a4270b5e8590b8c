"""One of two processes that train together over gloo: run by `test_processes`.

python -m tests.training.two_processes OUT; RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT say which.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from placevec.api.training import train as train_recipe
from placevec.core import Look, Recipe, Slot, ViewSpec
from placevec.io.progress import SILENT
from placevec.models.model import Model
from placevec.training import TrainingOptions, train
from placevec.training.bundle import Bundle
from placevec.training.gradient_cache import GradientCache
from placevec.training.log import read_metrics
from placevec.training.objectives.contrastive import InfoNCE
from placevec.training.objectives.type_aware import TypeAware
from placevec.training.processes import average_gradients, several
from placevec.training.samplers.described import Choices, DescribedSampler
from tests.preparation.points.tables import octant_points

PLACES, BATCH, CHUNK = 40, 26, 5
TYPES = np.arange(PLACES) % 3 - (np.arange(PLACES) == 7)  # one of unknown type


class Rows:
    def __init__(self, name: str, seed: int) -> None:
        self.spec = ViewSpec(name=name, kind="features")
        self.values = torch.randn(PLACES, 8, generator=torch.Generator().manual_seed(seed))

    def read(self, look: Look) -> torch.Tensor:
        return self.values[look.rows]


VIEWS: dict[str, Any] = {name: Rows(name, seed) for seed, name in enumerate(("satellite", "text", "types"))}


def recipe(form: Any = "log") -> Recipe:
    torch.manual_seed(0)
    encoders: dict[str, nn.Module] = {
        name: nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 4)) for name in ("image", "text")
    }
    choices = Choices(np.arange(PLACES + 1), np.zeros(PLACES, np.int64))
    semantic = "sigmoid" if form == "sigmoid" else "unicl"
    return Recipe(
        slots={"image": Slot("satellite", "image"), "words": Slot("text", "text"), "types": Slot("types", "text")},
        encoders=encoders,
        objectives={
            "types": (1.0, TypeAware(instance=form, semantic=semantic, temperature=0.2, learnable=True)),
            "pairs": (0.5, InfoNCE("image", "words", temperature=0.3)),
        },
        sampler=DescribedSampler(range(PLACES), TYPES, batch_size=BATCH, seed=0, choices=choices),
    )  # fmt: skip


def gradients(form: str, chunk: int, rank: int, world: int) -> dict[str, torch.Tensor]:
    """Of one step, and its loss: by DDP, or in parts."""
    made = recipe(form)
    bundle = Bundle(made).train()
    draw = made.sampler.draw(0, rank, world)
    batches = {name: VIEWS[made.slots[name].view].read(look) for name, look in draw.looks.items()}
    if chunk:
        loss, _, _ = GradientCache(bundle, chunk, 0).backward(batches, draw, lambda one: one.backward())
        average_gradients(bundle.parameters())
    else:
        whole = nn.parallel.DistributedDataParallel(bundle) if several() else bundle
        loss, _, _ = whole(batches, draw)
        loss.backward()
    found = {f"{form}/{chunk}/{name}": value.grad for name, value in bundle.named_parameters()}
    return {**found, f"{form}/{chunk}/loss": loss.detach()}  # type: ignore[dict-item]


def trained(out: Path, rank: int) -> Model:
    """Of `placevec.api.train`: every process prepares the same points, all train into one run."""
    points = octant_points(out / f"points-{rank}", 120, split=np.arange(120) % 3 // 2)
    sizes = {"scales": 4, "hidden": 16, "dim": 8, "batch_size": 20, "dropout": 0.0}
    return train_recipe(
        "sphere2vec", points, out=out / "points", epochs=2, device="cpu", precision="fp32", workers=0,
        projector=20, progress=Told(), **sizes,
    )  # fmt: skip


class Told:
    """Progress that only the first process may report."""

    def task(self, label: str, total: float | None = None) -> Any:
        self.say(label)
        return SILENT.task(label, total)

    def say(self, line: str) -> None:
        assert os.environ.get("RANK", "0") == "0", line


def results(out: Path, rank: int, world: int) -> dict[str, torch.Tensor]:
    """Weights and losses of runs by ``run/chunk``, gradients and losses of a step by ``form/chunk``."""
    found: dict[str, torch.Tensor] = {}
    made = recipe()
    for chunk in (0, CHUNK):
        options = TrainingOptions(
            epochs=2, steps_per_epoch=4, validation_steps=0, chunk_size=chunk, device="cpu", precision="fp32",
            workers=0,
        )  # fmt: skip
        made, run = recipe(), out / f"run-{chunk}"
        train(made, VIEWS, run, options, config={}, save=lambda path: path.mkdir(exist_ok=True))
        found |= {f"run/{chunk}/{name}": value for name, value in Bundle(made).state_dict().items()}
        if rank == 0:
            losses = [row["loss/train"] for row in read_metrics(run)]
            found[f"run/{chunk}/loss"] = torch.tensor(losses)
    for form in ("founding", "log", "unicl", "sigmoid"):
        for chunk in (0, CHUNK):
            found |= gradients(form, chunk, rank, world)
    for name, module in trained(out, rank).modules.items():
        found |= {f"points/{name}/{part}": value for part, value in module.state_dict().items()}
    return {name: value.clone() for name, value in found.items()}


def main() -> None:
    out, rank, world = Path(sys.argv[1]), int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    torch.save(results(out, rank, world), out / f"{rank}.pt")


if __name__ == "__main__":
    main()
