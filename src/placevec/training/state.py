"""What a run needs to go on after a kill: weights and optimiser as safetensors, counters as JSON. No pickles.

``state/step-00000120/`` holds ``tensors.safetensors`` and ``state.json``; each is written whole under another
name and renamed, and the one before it is removed only afterwards, so that a complete one is always there.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from placevec.atomic import remove_temporaries, replacing_directory
from placevec.documents import NONE, check, read_json
from placevec.errors import ModelError

_COUNTERS = {"step": int, "best": (float, NONE), "best_step": int, "waited": int, "history": [float]}
_DAMAGED = "the training state {} is damaged ({}); remove it to start afresh"
_NAME = re.compile(r"step-(\d{8})")


@dataclass
class Counters:
    """Where a run stands: steps done, the best validation loss, how long ago, all validation losses so far."""

    step: int = 0
    best: float | None = None
    best_step: int = 0
    waited: int = 0
    history: list[float] = field(default_factory=list)


def _optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    tensors = {}
    for index, entries in optimiser.state_dict()["state"].items():
        for key, value in entries.items():
            tensors[f"optimiser.{index}.{key}"] = value if isinstance(value, Tensor) else torch.tensor(value)
    return tensors


def save_state(
    folder: Path,
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    counters: Counters,
    config: dict[str, Any],
) -> None:
    """Write ``folder/step-N`` whole, then remove the ones before it."""
    tensors = {f"module.{name}": value for name, value in module.state_dict().items()}
    tensors.update(_optimiser_tensors(optimiser))
    target = folder / f"step-{counters.step:08d}"
    with replacing_directory(target) as temporary:
        save_file(
            {name: value.detach().cpu().contiguous() for name, value in tensors.items()},
            temporary / "tensors.safetensors",
        )
        (temporary / "state.json").write_text(
            json.dumps({"counters": asdict(counters), "config": config}), "utf-8"
        )
    _remove_others(folder, target.name)


def _remove_others(folder: Path, kept: str) -> None:
    for path in folder.iterdir():
        if _NAME.fullmatch(path.name) and path.name != kept:
            shutil.rmtree(path, ignore_errors=True)


def newest_state(folder: Path) -> Path | None:
    """The newest complete state in ``folder``, or None; half-written and older ones are cleared away."""
    if not folder.is_dir():
        return None
    remove_temporaries(folder)
    found = [
        path for path in folder.iterdir() if _NAME.fullmatch(path.name) and (path / "state.json").exists()
    ]
    newest = max(found, default=None, key=lambda path: path.name)
    if newest is not None:
        _remove_others(folder, newest.name)
    return newest


def _differences(saved: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    return [
        f"{name} was {saved.get(name)!r}, now {wanted.get(name)!r}"
        for name in sorted({*saved, *wanted})
        if saved.get(name) != wanted.get(name)
    ]


def load_state(
    path: Path, module: nn.Module, optimiser: torch.optim.Optimizer, config: dict[str, Any]
) -> Counters:
    """Fill ``module`` and ``optimiser`` from ``path``; ModelError when it was saved under another configuration."""
    try:
        content = read_json(path / "state.json")
        check(content, {"counters": _COUNTERS, "config": dict})
        tensors = load_file(path / "tensors.safetensors")
        counters, saved = Counters(**content["counters"]), content["config"]
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise ModelError(_DAMAGED.format(path, error)) from error
    differences = _differences(saved, json.loads(json.dumps(config)))
    if differences:
        raise ModelError(
            f"cannot resume {path.parent.parent}: {differences[0]}; use the same options or another --out"
        )
    try:
        state = _optimiser_state(tensors, optimiser)
    except ValueError as error:
        raise ModelError(_DAMAGED.format(path, error)) from error
    device = next(module.parameters()).device
    weights = {name[len("module.") :]: value for name, value in tensors.items() if name.startswith("module.")}
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelError(
            f"the training state {path} does not fit this recipe: {str(error).splitlines()[0]}"
        ) from error
    for entries in state.values():  # Adam keeps its step counter on the processor whatever the device
        entries.update({key: value.to(device) for key, value in entries.items() if key != "step"})
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return counters


def _optimiser_state(
    tensors: dict[str, Tensor], optimiser: torch.optim.Optimizer
) -> dict[int, dict[str, Tensor]]:
    """Adam's memory of each parameter; ValueError unless it is whole and of the parameter's shape."""
    shapes = [value.shape for group in optimiser.param_groups for value in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimiser."):
            _, index, key = name.split(".", 2)
            state.setdefault(int(index), {})[key] = value
    for number, entries in state.items():
        if not 0 <= number < len(shapes) or set(entries) != {"step", "exp_avg", "exp_avg_sq"}:
            raise ValueError(f"the memory of parameter {number} is not whole")
        if any(entries[key].shape != shapes[number] for key in ("exp_avg", "exp_avg_sq")):
            raise ValueError(f"the memory of parameter {number} has another shape")
        step = entries["step"]
        if step.numel() != 1 or not step.dtype.is_floating_point or not 0 <= float(step) < 2**31:
            raise ValueError(f"parameter {number} has no number of steps")
    return state
