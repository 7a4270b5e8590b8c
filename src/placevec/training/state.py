"""What a run needs to go on after a kill: weights and optimiser as safetensors, counters as JSON. No pickles.

``state/step-00000120/`` holds ``tensors.safetensors`` and ``state.json``; each is written whole under another
name and renamed, and the one before it is removed only afterwards, so that a complete one is always there.
A named checkpoint, ``checkpoints/epoch-010/``, holds the same two beside a model, and is kept.
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

from placevec.errors import ModelError
from placevec.io.atomic import remove_temporaries, replacing_directory
from placevec.io.json_documents import NONE, check, read_json

_COUNTERS = {
    "step": int, "best": (float, NONE), "best_step": int, "waited": int, "history": [float],
    "batch_size?": (int, NONE), "planned?": int, "precision": str,
}  # fmt: skip
FREE = ("epochs", "patience", "prefetch", "workers", "save_every", "device")
"""Training options that a resumed run may change: they decide when and where it goes on, not what it learns from."""
_DAMAGED = "the training state {} is damaged ({}); remove it to start afresh"
_NAME = re.compile(r"step-(\d{8})")


@dataclass
class Counters:
    """Where a run stands.

    Attributes:
        step: steps done.
        best: the best validation loss.
        best_step: when it was reached.
        waited: validations since.
        history: all validation losses so far.
        batch_size: of the batches since memory ran out; None while they are as asked for.
        planned: passes that the run was to have.
        precision: what it computes in, ``fp32`` or ``bf16``.
    """

    step: int = 0
    best: float | None = None
    best_step: int = 0
    waited: int = 0
    history: list[float] = field(default_factory=list)
    batch_size: int | None = None
    planned: int = 0
    precision: str = "fp32"


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
    target = folder / f"step-{counters.step:08d}"
    with replacing_directory(target) as temporary:
        write_state(temporary, module, optimiser, counters, config)
    _remove_others(folder, target.name)


def write_state(
    folder: Path,
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    counters: Counters,
    config: dict[str, Any],
) -> None:
    """Write the two files of a state into a folder that is not yet in place."""
    tensors = {f"module.{name}": value for name, value in module.state_dict().items()}
    tensors.update(_optimiser_tensors(optimiser))
    save_file(
        {name: value.detach().cpu().contiguous() for name, value in tensors.items()},
        folder / "tensors.safetensors",
    )
    content = {"counters": asdict(counters), "config": config}
    (folder / "state.json").write_text(json.dumps(content), "utf-8")


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


def named_state(path: Path) -> Path:
    """The folder of a checkpoint that is named by itself or by a file in it; ModelError when it is none."""
    folder = path.parent if path.is_file() else path
    if (folder / "state.json").is_file() and (folder / "tensors.safetensors").is_file():
        return folder
    beside = (
        sorted(one.parent for one in folder.parent.glob("*/state.json"))[-3:]
        if folder.parent.is_dir()
        else []
    )
    there = f"; there are {', '.join(map(str, beside))}" if beside else ""
    raise ModelError(
        f"{path} is not a checkpoint to resume from{there} (--resume alone goes on from the newest in --out)"
    )


def _compared(config: dict[str, Any]) -> dict[str, Any]:
    """What must agree, by plain names."""
    training = config.get("training")
    options = training if isinstance(training, dict) else {}
    rest = {name: value for name, value in config.items() if name != "training"}
    return rest | {name: value for name, value in options.items() if name not in FREE}


def _differences(saved: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    saved, wanted = _compared(saved), _compared(wanted)
    return [
        f"{name} was {saved.get(name)!r}, now {wanted.get(name)!r}"
        for name in sorted({*saved, *wanted})
        if saved.get(name) != wanted.get(name)
    ]


def load_counters(path: Path) -> Counters:
    """Where the run of the state ``path`` stood, and what it computed in; ModelError when the state is damaged."""
    try:
        content = read_json(path / "state.json")
        check(content, {"counters": _COUNTERS, "config": dict})
        counters = Counters(**content["counters"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(_DAMAGED.format(path, error)) from error
    if counters.precision not in ("fp32", "bf16"):
        raise ModelError(_DAMAGED.format(path, f"its precision is {counters.precision[:20]!r}"))
    return counters


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
        raise ModelError(f"cannot resume {path}: {differences[0]}; use the same options or another --out")
    try:
        state = _optimiser_state(tensors, optimiser)
    except ValueError as error:
        raise ModelError(_DAMAGED.format(path, error)) from error
    weights = {name[len("module.") :]: value for name, value in tensors.items() if name.startswith("module.")}
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelError(
            f"the training state {path} does not fit this recipe: {str(error).splitlines()[0]}"
        ) from error
    parameters = [value for group in optimiser.param_groups for value in group["params"]]
    for number, entries in state.items():  # Adam keeps its step counter on the processor whatever the device
        for key in ("exp_avg", "exp_avg_sq"):
            # laid out in memory as the parameter is: fused Adam goes through both byte by byte
            entries[key] = torch.empty_like(parameters[number]).copy_(entries[key])
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
