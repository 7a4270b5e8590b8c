"""A model's files: ``config.json``, ``model.safetensors`` and ``MODEL_CARD.md``. Nothing in them is ever unpickled.

The configuration holds its own checksum and the SHA-256 of the weights and of the card, and of the previous ones. If a
save is killed between two files, they still match.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn

from placevec import encoders
from placevec.core import FUSED
from placevec.errors import ModelError, other_schema
from placevec.io import atomic
from placevec.io.checksums import OWN, read_sealed, write_sealed
from placevec.io.files import refuse_pipe
from placevec.io.json_documents import NONE, check
from placevec.io.tensors import read_tensors
from placevec.models.fusion import build_fusion
from placevec.models.heads import DESCRIBED, Head

FORMAT = "placevec model"
SCHEMA_VERSION = 2
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
CARD = "MODEL_CARD.md"
SHIPPED = Path(__file__).parent
"""Models that come with placevec, one directory each."""
MODELS = ("base",)
"""Their names, which can be used wherever a model directory is expected."""
MAX_MODULES = 64
_PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".tar")
_CONFIG = {
    "encoders": {str: {"type": str, "options": dict}},
    "reads": {str: {"encoder": str, "spec": dict}},
    "heads?": {str: DESCRIBED},
    "fusion?": ({"type": str, "options": dict}, NONE),
    "weights_sha256": [str],
    "card_sha256?": [str],
    "recipe?": {"name?": str, "config?": {"drop_layers?": [str], "predict?": [str]}},
    "training?": {"dataset?": str, "dataset_path?": str, "dataset_hash?": str, "attribution?": str},
}


def shipped(path: str | Path) -> Path:
    """``path``, or the directory of an included model with that name; an existing directory takes precedence.

    >>> shipped("base").name, shipped("runs/mine").name
    ('base', 'mine')
    """
    own = Path(path)
    return SHIPPED / own if str(path) in MODELS and not own.exists() else own


def portable(path: Path) -> str:
    """How another machine finds a model directory: the name of an included model, or else the absolute path.

    >>> portable(SHIPPED / "base"), portable(Path("/shared/runs/malta"))
    ('base', '/shared/runs/malta')
    """
    return path.name if path.parent == SHIPPED else str(path.absolute())


def read_config(path: Path) -> dict[str, Any]:
    """The validated configuration of a model directory; ModelError says what is wrong."""
    if not path.exists():
        raise ModelError(
            f"there is no {path}: give a run, a model directory, or a model that comes with placevec "
            f"({', '.join(MODELS)})"
        )
    if path.is_file():
        pickled = path.suffix in _PICKLES
        hint = "it looks like a pickle, which placevec never opens" if pickled else "it is a file"
        raise ModelError(f"{path} is not a model directory: {hint}")
    try:
        config = read_sealed(path / CONFIG)
    except FileNotFoundError:
        raise ModelError(f"{path} is not a model directory: it has no {CONFIG}") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot read {path / CONFIG}: {error}") from error
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise ModelError(f"{path / CONFIG} is not the configuration of a placevec model")
    if config.get("schema_version") != SCHEMA_VERSION:
        raise ModelError(
            other_schema(
                path, config.get("schema_version"), SCHEMA_VERSION, "train it again with this version"
            )
        )
    try:
        fusion = config.get("fusion")
        check(config, {name: shape for name, shape in _CONFIG.items() if name != "fusion?"})
        if fusion is not None:
            check({"fusion": fusion}, {"fusion": {"type": str, "options": dict}})
        _check_names(config)
    except (TypeError, ValueError) as error:
        raise damaged(path, error) from error
    return config


def damaged(path: Path, error: Exception) -> ModelError:
    """The error for an invalid configuration."""
    return ModelError(f"{path / CONFIG} is damaged: {error}")


def _check_names(config: Mapping[str, Any]) -> None:
    """ValueError unless encoders, views, heads and fusion match."""
    views, described = config["reads"], config["encoders"]
    if not views or len(views) > MAX_MODULES or len(described) > MAX_MODULES:
        raise ValueError(
            f"a model must read 1 to {MAX_MODULES} views with at most as many encoders; it has {len(views)} views"
        )
    if FUSED in views:
        raise ValueError(f"a view is named {FUSED!r}, which is reserved for fused vectors")
    for entry in views.values():
        if entry["encoder"] not in described:
            raise ValueError(f"a view uses the encoder {entry['encoder']!r}, which is not defined")
    if taken := {"heads", FUSED} & set(described):
        raise ValueError(f"an encoder has the reserved name {sorted(taken)[0]!r}")
    fusion = config.get("fusion")
    if fusion is not None and (unknown := set(fusion["options"].get("views", ())) - set(views)):
        raise ValueError(
            f"the fusion uses the view {sorted(map(str, unknown))[0]!r}, which the model does not have"
        )
    for name in config.get("heads", {}):
        if name not in views and not (name == FUSED and fusion is not None):
            raise ValueError(f"a head uses the view {name!r}, which the model does not have")


def build_parts(config: Mapping[str, Any]) -> tuple[dict[str, nn.Module], dict[str, Head], Any]:
    """(encoders, heads, fusion or None) built from a configuration, with fresh weights."""
    for entry in config["encoders"].values():
        if entry["type"] not in encoders.names():
            raise ModelError(
                f"the model uses the encoder {entry['type']!r}, which no installed package provides: install the "
                f"package that "
                "it was trained with"
            )
    modules = {
        name: encoders.build(entry["type"], **entry["options"]) for name, entry in config["encoders"].items()
    }
    heads = {name: Head.from_config(entry) for name, entry in config.get("heads", {}).items()}
    fusion = config.get("fusion")
    return modules, heads, None if fusion is None else build_fusion(fusion["type"], **fusion["options"])


def named_parts(
    modules: Mapping[str, nn.Module], heads: Mapping[str, nn.Module], fuse: nn.Module | None
) -> dict[str, nn.Module]:
    """All modules with weights, by the prefix of their tensors.

    >>> sorted(named_parts({"tile": nn.Linear(2, 2)}, {"map": nn.Linear(2, 1)}, None))
    ['heads.map', 'tile']
    """
    parts = {**modules, **{f"heads.{name}": head for name, head in heads.items()}}
    return parts if fuse is None else {**parts, FUSED: fuse}


def tensors_of(parts: Mapping[str, nn.Module]) -> dict[str, torch.Tensor]:
    """The weights of all parts, on the CPU."""
    return {
        f"{name}.{key}": value.detach().cpu().contiguous()
        for name, module in parts.items()
        for key, value in module.state_dict().items()
    }


def write_files(path: Path, config: dict[str, Any], card: str, tensors: dict[str, torch.Tensor]) -> None:
    """Write configuration, card and, last, the weights; each file atomically, so that a kill at any moment is safe."""
    with atomic.replacing(path / WEIGHTS) as temporary:
        save_file(tensors, temporary, metadata={"format": "pt"})
        hashes = {
            "weights_sha256": [atomic.sha256_of_file(temporary)],
            "card_sha256": [hashlib.sha256(card.encode()).hexdigest()],
        }
        for name, before in (("weights_sha256", path / WEIGHTS), ("card_sha256", path / CARD)):
            if before.is_file():
                hashes[name].append(atomic.sha256_of_file(before))
        write_sealed(path / CONFIG, {**config, **hashes})
        atomic.write_text(path / CARD, card)


def read_weights(path: Path, config: Mapping[str, Any] | None = None) -> dict[str, torch.Tensor]:
    """The tensors of a model directory; ModelError if they are missing, damaged or do not match ``config``."""
    try:
        refuse_pipe(path / WEIGHTS, "file of weights")
        if config is not None and atomic.sha256_of_file(path / WEIGHTS) not in config["weights_sha256"]:
            raise ModelError(
                f"{path / WEIGHTS} is damaged or belongs to another model: its SHA-256 differs from the one in {CONFIG}"
            )
        tensors = read_tensors(path / WEIGHTS)
    except FileNotFoundError:
        raise ModelError(f"{path} has no {WEIGHTS}: training has not finished an epoch yet") from None
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise ModelError(f"{path / WEIGHTS} is damaged: {error}") from error
    return tensors


def damage(path: Path) -> list[str]:
    """What is wrong with the bytes of a model directory, one line each; empty if nothing is.

    Raises:
        ModelError: its configuration cannot be read, or is not as it was written.
    """
    config = read_config(path)
    problems = []
    if OWN not in config and "card_sha256" in config:
        problems.append(f"{path / CONFIG} has no checksum")
    for file, hashes in ((WEIGHTS, config["weights_sha256"]), (CARD, config.get("card_sha256", []))):
        if not (path / file).is_file():
            problems.append(f"{path / file} is missing")
        elif hashes and atomic.sha256_of_file(path / file) not in hashes:
            problems.append(f"{path / file} is damaged: its content has changed since it was written")
    return problems


def require_weights(config: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """ModelError unless the file has all weights that a configuration needs.

    Checked on modules without memory, because a few bytes of configuration must not allocate gigabytes of weights.
    """
    with torch.device("meta"):
        modules, heads, fuse = build_parts(config)
    for name, head in heads.items():
        made = fuse if name == FUSED else modules[config["reads"][name]["encoder"]]
        if head.dim != getattr(made, "dim", None):
            raise ModelError(
                f"{path / CONFIG} is damaged: its head expects vectors of {head.dim} dimensions, unlike its encoder's"
            )
    for name, module in named_parts(modules, heads, fuse).items():
        for key, value in module.state_dict().items():
            found = tensors.get(f"{name}.{key}")
            if found is None or found.shape != value.shape or found.dtype.is_complex:
                shape = "none" if found is None else f"{found.dtype} {tuple(found.shape)}"
                raise ModelError(
                    f"the weights in {path} do not match its configuration: {name}.{key} is {shape}, not "
                    f"{value.dtype} {tuple(value.shape)}"
                )


def fill(parts: Mapping[str, nn.Module], tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """Load the weights into all modules and set them to evaluation mode."""
    for name, module in parts.items():
        own = {key[len(name) + 1 :]: value for key, value in tensors.items() if key.startswith(f"{name}.")}
        try:
            module.load_state_dict(own)
        except RuntimeError as error:
            first = str(error).splitlines()[-1].strip()
            raise ModelError(f"the weights in {path} do not match its configuration: {first}") from error
        module.eval()
