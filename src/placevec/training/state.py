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
from placevec.errors import ModelError

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
    for path in folder.iterdir():
        match = _NAME.fullmatch(path.name)
        if match and int(match[1]) != counters.step:
            shutil.rmtree(path, ignore_errors=True)


def newest_state(folder: Path) -> Path | None:
    """The newest complete state in ``folder``, or None; half-written ones are cleared away."""
    if not folder.is_dir():
        return None
    remove_temporaries(folder)
    found = [
        path for path in folder.iterdir() if _NAME.fullmatch(path.name) and (path / "state.json").exists()
    ]
    return max(found, default=None, key=lambda path: path.name)


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
        content = json.loads((path / "state.json").read_text("utf-8"))
        tensors = load_file(path / "tensors.safetensors")
        counters, saved = Counters(**content["counters"]), content["config"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError, SafetensorError) as error:
        raise ModelError(
            f"the training state {path} is damaged ({error}); remove it to start afresh"
        ) from error
    differences = _differences(saved, json.loads(json.dumps(config)))
    if differences:
        raise ModelError(
            f"cannot resume {path.parent.parent}: {differences[0]}; use the same options or another --out"
        )
    device = next(module.parameters()).device
    weights = {name[len("module.") :]: value for name, value in tensors.items() if name.startswith("module.")}
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelError(
            f"the training state {path} does not fit this recipe: {str(error).splitlines()[0]}"
        ) from error
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimiser."):
            _, index, key = name.split(".", 2)
            # Adam keeps its step counter on the processor whatever the device
            state.setdefault(int(index), {})[key] = value if key == "step" else value.to(device)
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return counters
