"""Training state, from which a killed run resumes: weights and optimizer as safetensors, counters as JSON. No pickles.

``state/step-00000120/`` holds ``tensors.safetensors`` and ``state.json``. A state is written under a temporary name and
renamed, and the previous one is removed only afterwards, so there is always a complete one. A named checkpoint,
``checkpoints/epoch-010/``, holds the same two files and a model, and is kept.
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
from safetensors.torch import save_file
from torch import Tensor, nn

from placevec.errors import ModelError
from placevec.io.atomic import remove_temporaries, replacing_directory
from placevec.io.checksums import OWN, crc32_of_file, read_sealed, sealed
from placevec.io.json_documents import NONE, check
from placevec.io.tensors import read_tensors

_COUNTERS = {
    "step": int, "best": (float, NONE), "best_step": int, "waited": int, "history": [float],
    "batch_size?": (int, NONE), "planned?": int, "precision?": str, "instruction_set?": str,
}  # fmt: skip
FREE = ("epochs", "patience", "prefetch", "workers", "save_every", "device", "chunk_size")
"""Training options that may change when a run is resumed: they affect how long and where it runs, not what it learns."""
_DAMAGED = "the training state {} is damaged ({}); delete it to start over"
_TENSORS = "tensors.safetensors"
_NAME = re.compile(r"step-(\d{8})")


@dataclass
class Counters:
    """The progress of a run.

    Attributes:
        step: number of steps done.
        best: the lowest validation loss.
        best_step: the step after which it was reached.
        waited: number of validations since.
        history: all validation losses so far.
        batch_size: batch size since memory ran out; None if it was never reduced.
        planned: planned number of epochs.
        precision: ``fp32`` or ``bf16``.
        instruction_set: see `placevec.training.precision.instruction_set`; empty in states of earlier versions.
    """

    step: int = 0
    best: float | None = None
    best_step: int = 0
    waited: int = 0
    history: list[float] = field(default_factory=list)
    batch_size: int | None = None
    planned: int = 0
    precision: str = "fp32"
    instruction_set: str = ""


def _optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    tensors = {}
    for index, entries in optimizer.state_dict()["state"].items():
        for key, value in entries.items():
            tensors[f"optimizer.{index}.{key}"] = value if isinstance(value, Tensor) else torch.tensor(value)
    return tensors


def save_state(
    folder: Path,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    counters: Counters,
    config: dict[str, Any],
) -> None:
    """Atomically write ``folder/step-N``, then remove older states."""
    target = folder / f"step-{counters.step:08d}"
    with replacing_directory(target) as temporary:
        write_state(temporary, module, optimizer, counters, config)
    _remove_others(folder, target.name)


def write_state(
    folder: Path,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    counters: Counters,
    config: dict[str, Any],
) -> None:
    """Write the two files of a state to a temporary folder."""
    tensors = {f"module.{name}": value for name, value in module.state_dict().items()}
    tensors.update(_optimizer_tensors(optimizer))
    save_file(
        {name: value.detach().cpu().contiguous() for name, value in tensors.items()},
        folder / _TENSORS,
    )
    content = {"counters": asdict(counters), "config": config, "checksum": crc32_of_file(folder / _TENSORS)}
    (folder / "state.json").write_bytes(sealed(content, indent=None))


def _remove_others(folder: Path, kept: str) -> None:
    for path in folder.iterdir():
        if _NAME.fullmatch(path.name) and path.name != kept:
            shutil.rmtree(path, ignore_errors=True)


def newest_state(folder: Path) -> Path | None:
    """The newest complete state in ``folder``, or None; incomplete and older states are removed.

    >>> import tempfile
    >>> newest_state(Path(tempfile.mkdtemp())) is None
    True
    """
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
    """The folder of a checkpoint, given the folder or a file in it; ModelError if it is not a checkpoint."""
    folder = path.parent if path.is_file() else path
    if (folder / "state.json").is_file() and (folder / "tensors.safetensors").is_file():
        return folder
    beside = (
        sorted(one.parent for one in folder.parent.glob("*/state.json"))[-3:]
        if folder.parent.is_dir()
        else []
    )
    there = f"; available are {', '.join(map(str, beside))}" if beside else ""
    raise ModelError(
        f"{path} is not a checkpoint to resume from{there} (--resume alone continues from the newest state in --out)"
    )


def _compared(config: dict[str, Any]) -> dict[str, Any]:
    """The part of a configuration that must match on resume."""
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


def stored_config(path: Path) -> dict[str, Any]:
    """The configuration that a state was saved with; ModelError when the state is damaged."""
    try:
        content = read_sealed(path / "state.json")
        check(content, {"config": dict})
    except (OSError, ValueError) as error:
        raise ModelError(_DAMAGED.format(path, error)) from error
    return dict(content["config"])


def require_config(path: Path, config: dict[str, Any]) -> None:
    """ModelError unless a state was saved with this configuration, except for the options in `FREE`."""
    _require_same(path, stored_config(path), config)


def _require_same(path: Path, saved: dict[str, Any], config: dict[str, Any]) -> None:
    differences = _differences(saved, json.loads(json.dumps(config)))
    if differences:
        raise ModelError(
            f"cannot resume {path}: {differences[0]}; use the same options and version of placevec, or another --out"
        )


def load_counters(path: Path) -> Counters:
    """Where the run of the state ``path`` stood, and what it computed in; ModelError when the state is damaged."""
    try:
        content = read_sealed(path / "state.json")
        check(content, {"counters": _COUNTERS, "config": dict})
        counters = Counters(**content["counters"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(_DAMAGED.format(path, error)) from error
    if counters.precision not in ("fp32", "bf16"):
        raise ModelError(_DAMAGED.format(path, f"its precision is {counters.precision[:20]!r}"))
    return counters


def load_state(
    path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, config: dict[str, Any]
) -> Counters:
    """Load ``module`` and ``optimizer`` from ``path``; ModelError if it was saved with another configuration."""
    try:
        content = read_sealed(path / "state.json")
        check(content, {"counters": _COUNTERS, "config": dict, "checksum?": int})
        if content.get("checksum") not in (None, crc32_of_file(path / _TENSORS)):
            raise ValueError(f"{_TENSORS} has changed since it was written")
        tensors = read_tensors(path / _TENSORS)
        counters, saved = Counters(**content["counters"]), content["config"]
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise ModelError(_DAMAGED.format(path, error)) from error
    _require_same(path, saved, config)
    try:
        state = _optimizer_state(tensors, optimizer)
    except ValueError as error:
        raise ModelError(_DAMAGED.format(path, error)) from error
    weights = {name[len("module.") :]: value for name, value in tensors.items() if name.startswith("module.")}
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelError(
            f"the training state {path} does not match this recipe: {str(error).splitlines()[0]}"
        ) from error
    parameters = [value for group in optimizer.param_groups for value in group["params"]]
    for number, entries in state.items():  # Adam keeps its step counter on the CPU
        for key in ("exp_avg", "exp_avg_sq"):
            # in the parameter's memory format, which fused Adam requires
            entries[key] = torch.empty_like(parameters[number]).copy_(entries[key])
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return counters


def damage_of_state(path: Path) -> list[str]:
    """What is wrong with the bytes of a state, one line each; empty if nothing is."""
    try:
        content = read_sealed(path / "state.json")
        check(content, {"checksum": int, OWN: str})
        if content["checksum"] != crc32_of_file(path / _TENSORS):
            raise ValueError(f"{_TENSORS} has changed since it was written")
    except (OSError, ValueError) as error:
        return [_DAMAGED.format(path, error)]
    return []


def _optimizer_state(
    tensors: dict[str, Tensor], optimizer: torch.optim.Optimizer
) -> dict[int, dict[str, Tensor]]:
    """Adam's state of each parameter; ValueError if it is incomplete or has the wrong shape."""
    shapes = [value.shape for group in optimizer.param_groups for value in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".", 2)
            state.setdefault(int(index), {})[key] = value
    for number, entries in state.items():
        if not 0 <= number < len(shapes) or set(entries) != {"step", "exp_avg", "exp_avg_sq"}:
            raise ValueError(f"the optimizer state of parameter {number} is incomplete")
        if any(entries[key].shape != shapes[number] for key in ("exp_avg", "exp_avg_sq")):
            raise ValueError(f"the optimizer state of parameter {number} has the wrong shape")
        step = entries["step"]
        if step.numel() != 1 or not step.dtype.is_floating_point or not 0 <= float(step) < 2**31:
            raise ValueError(f"the optimizer state of parameter {number} has an invalid step")
    return state
