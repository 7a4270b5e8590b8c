"""A trained model: encoders and all that is needed to use them again, without the recipe that trained them.

A directory with ``config.json``, ``model.safetensors`` and ``MODEL_CARD.md``. Nothing in it is ever unpickled. A head
lies in the same file of weights as the encoders, so that no kill leaves it beside others than it was trained with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from placevec import encoders
from placevec.core import COORDINATES, ROW_SYNTHETIC, Look, View, ViewSpec
from placevec.datasets.dataset import Dataset, same_rules
from placevec.errors import InputError, ModelError, PlacevecError, other_schema
from placevec.io import atomic
from placevec.io.json_documents import check, read_json
from placevec.io.progress import SILENT, Advance, Progress, no_advance
from placevec.models.card import model_card
from placevec.models.heads import DESCRIBED, Head

FORMAT = "placevec model"
SCHEMA_VERSION = 1
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
CARD = "MODEL_CARD.md"
SHIPPED = Path(__file__).parent
"""Models that come with placevec, a directory each."""
MODELS = ("base",)
"""Their names, which may be given wherever a model's directory is asked for."""
_MOST_ENCODERS = 64
_HEAD = "head"
_AT_ONCE = 8192
"""Points that are encoded at once where only their coordinates are read."""
_CONFIG = {
    "encoders": {str: {"type": str, "options": dict}},
    "reads": {str: {"encoder": str, "spec": dict}},
    "recipe?": {"name?": str, "config?": {"drop_layers?": [str], "predict?": [str]}},
    "head?": DESCRIBED,
    "training?": {"dataset?": str, "dataset_path?": str, "dataset_hash?": str, "attribution?": str},
}
_PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".tar")


@dataclass
class Reading:
    """How a model reads one view: through which encoder, and as what."""

    encoder: str
    spec: ViewSpec


@dataclass
class Model:
    """Encoders by name, and how each view is read.

    Attributes:
        modules: encoder name -> module.
        readings: view name -> encoder and specification.
        recipe: name and configuration of the recipe that trained it, for people.
        training: what it was trained on (dataset hash, attribution, steps), for people.
        path: where it was loaded from or saved to.
        head: what turns vectors into answers, where it was trained with labels.
    """

    modules: dict[str, nn.Module]
    readings: dict[str, Reading]
    recipe: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    path: Path | None = None
    head: Head | None = None

    def __repr__(self) -> str:
        return f"Model({self.recipe.get('name')}, dim={self.dim}, parameters={self.parameters:,}, path={self.path})"

    # --- what it is -----------------------------------------------------------------------------------

    @property
    def specs(self) -> dict[str, ViewSpec]:
        """What each view must look like."""
        return {name: reading.spec for name, reading in self.readings.items()}

    @property
    def seen(self) -> tuple[str, ...]:
        """Channels of all views that the model reads."""
        return tuple(channel for spec in self.specs.values() for channel in spec.channels)

    @property
    def dropped(self) -> tuple[str, ...]:
        """Layers kept out of the input on purpose."""
        return tuple(self.recipe.get("config", {}).get("drop_layers", ()))

    @property
    def taught(self) -> tuple[str, ...]:
        """What it learnt to foretell of the places trained on, such as ``landuse``."""
        return tuple(self.recipe.get("config", {}).get("predict", ()))

    @property
    def dim(self) -> int:
        """Length of a vector."""
        (reading,) = self.readings.values()
        return int(self.modules[reading.encoder].config()["dim"])  # type: ignore[operator]

    @property
    def parameters(self) -> int:
        """Number of trained numbers."""
        return sum(value.numel() for module in self._parts().values() for value in module.parameters())

    def _parts(self) -> dict[str, nn.Module]:
        """All that has weights, by name."""
        return self.modules if self.head is None else {**self.modules, _HEAD: self.head}

    def config(self) -> dict[str, Any]:
        """Plain JSON: everything but the weights."""
        return {
            "format": FORMAT,
            "schema_version": SCHEMA_VERSION,
            "recipe": self.recipe,
            "encoders": {
                name: {"type": encoders.name_of(module), "options": module.config()}  # type: ignore[operator]
                for name, module in self.modules.items()
            },
            "reads": {
                name: {"encoder": reading.encoder, "spec": reading.spec.as_dict()}
                for name, reading in self.readings.items()
            },
            **({} if self.head is None else {"head": self.head.config()}),
            "training": self.training,
        }

    def _tensors(self) -> dict[str, torch.Tensor]:
        return {
            f"{name}.{key}": value.detach().cpu().contiguous()
            for name, module in self._parts().items()
            for key, value in module.state_dict().items()
        }

    @cached_property
    def hash(self) -> str:
        """SHA-256 over architecture, specifications and weights: vectors compare only when this agrees."""
        import hashlib

        config = self.config()
        told = {name: config[name] for name in ("encoders", "reads", _HEAD) if name in config}
        digest = hashlib.sha256(atomic.sha256_of_json(told).encode())
        for name, value in sorted(self._tensors().items()):
            digest.update(name.encode())
            digest.update(value.numpy().tobytes())
        return digest.hexdigest()

    # --- on disk --------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write configuration, card and, last, the weights; each file whole or not at all."""
        path = Path(path)
        self.__dict__.pop("hash", None)
        atomic.write_json(path / CONFIG, self.config())
        atomic.write_text(path / CARD, model_card(self))
        with atomic.replacing(path / WEIGHTS) as temporary:
            save_file(self._tensors(), temporary, metadata={"format": "pt"})
        self.path = path

    @classmethod
    def load(cls, path: str | Path) -> Model:
        """Load a model directory (a run is one), or a model by its name in `SHIPPED`, on the CPU, ready to embed.

        Raises:
            ModelError: no model there, a pickle instead of one, another schema, weights that do not fit.
        """
        path = _shipped(path)
        if not path.exists():
            raise ModelError(
                f"there is no {path}: a model is a run or model directory, or one that comes with placevec "
                f"({', '.join(MODELS)})"
            )
        if path.is_file():
            hint = (
                "it looks like a pickle, which placevec never opens"
                if path.suffix in _PICKLES
                else "it is a file"
            )
            raise ModelError(f"{path} is not a model directory: {hint}")
        config = _read_config(path)
        try:
            check(config, _CONFIG)
            if len(config["reads"]) != 1 or len(config["encoders"]) > _MOST_ENCODERS:
                raise ModelError(f"{path / CONFIG} describes {len(config['reads'])} views; one can be read")
            tensors = _read_weights(path)
            _require_weights(config, tensors, path)
            modules = _build(config["encoders"])
            head = _head(config)
            readings = {
                name: Reading(entry["encoder"], ViewSpec.from_dict(entry["spec"]))
                for name, entry in config["reads"].items()
            }
            model = cls(modules, readings, config.get("recipe", {}), config.get("training", {}), path, head)
            if any(reading.encoder not in modules for reading in readings.values()):
                raise ModelError(f"{path / CONFIG} names an encoder that it does not describe")
        except (TypeError, ValueError) as error:
            raise ModelError(f"{path / CONFIG} is damaged: {error}") from error
        model._fill(tensors, path)
        return model

    def load_weights(self, path: Path) -> None:
        """Fill the encoders from ``path/model.safetensors``."""
        self._fill(_read_weights(path), path)

    def _fill(self, tensors: Mapping[str, torch.Tensor], path: Path) -> None:
        for name, module in self._parts().items():
            own = {
                key[len(name) + 1 :]: value for key, value in tensors.items() if key.startswith(f"{name}.")
            }
            try:
                module.load_state_dict(own)
            except RuntimeError as error:
                first = str(error).splitlines()[-1].strip()
                raise ModelError(f"the weights in {path} do not fit its configuration: {first}") from error
            module.eval()
        self.__dict__.pop("hash", None)

    # --- use ------------------------------------------------------------------------------------------

    def untrained(self, seed: int) -> Model:
        """The same architecture with fresh weights, without a head: the floor that training must rise above."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            modules = {
                name: encoders.build(encoders.name_of(module), **module.config())  # type: ignore[operator]
                for name, module in self.modules.items()
            }
        return Model(modules, self.readings, self.recipe, {"untrained": True, "seed": seed})

    def views_of(self, dataset: Dataset) -> dict[str, View]:
        """The dataset's views, set up as this model reads them; ModelError when it cannot."""
        views = {}
        for name, reading in self.readings.items():
            try:
                views[name] = fitted_view(dataset, reading.spec)
            except PlacevecError as error:
                raise ModelError(f"this model does not fit {dataset.path}: {error}") from error
        return views

    @torch.inference_mode()
    def embed_looks(self, views: Mapping[str, View], looks: Sequence[Look]) -> Iterator[NDArray[np.float32]]:
        """(len(look), dim) vectors of each look, one after the other."""
        ((name, reading),) = self.readings.items()
        device = _device_for(reading.spec)
        encoder = self.modules[reading.encoder].eval().to(device)
        for look in looks:
            batch = views[name].read(look)
            yield (
                encoder(batch.to(device) if isinstance(batch, torch.Tensor) else batch).float().cpu().numpy()
            )

    def embed_points(
        self,
        dataset: Dataset,
        lonlat: NDArray[np.float64],
        *,
        rows: NDArray[np.int64] | None = None,
        batch_size: int = 64,
        advance: Advance = no_advance,
    ) -> NDArray[np.float32]:
        """(N, dim) float32 vectors of any points (N, 2) lon, lat, read from a dataset's views.

        ``rows`` are their places where they are some; ``advance`` is told of every batch. A model that knows seasons
        reads places at their date, and points without one at the middle of the year.
        """
        rows = np.full(len(lonlat), ROW_SYNTHETIC, np.int64) if rows is None else rows
        years = self._years(dataset, rows)
        parts_of = (slice(at, at + batch_size) for at in range(0, len(lonlat), batch_size))
        looks = [
            Look(
                torch.from_numpy(rows[part]),
                torch.from_numpy(lonlat[part]),
                {} if years is None else {"year": torch.from_numpy(years[part])},
            )
            for part in parts_of
        ]
        parts = []
        for part in self.embed_looks(self.views_of(dataset), looks):
            parts.append(part)
            advance(len(part))
        return np.concatenate(parts) if parts else np.zeros((0, self.dim), np.float32)

    def _years(self, dataset: Dataset, rows: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """(N,) shares of the year at which the places ``rows`` are read; None for a model that knows no seasons."""
        ((_, reading),) = self.readings.items()
        if not getattr(self.modules[reading.encoder], "seasons", 0):
            return None
        dates = dataset.labels().dates if dataset.has_labels else None
        if dates is None:
            raise ModelError(
                f"this model reads the share of the year, and {dataset.path} has no dates: prepare it with --date"
            )
        years = np.where(rows >= 0, dates[np.maximum(rows, 0)], np.nan)
        return np.where(np.isfinite(years), years, 0.5)

    def embed(
        self,
        dataset: Dataset,
        rows: NDArray[np.int64] | None = None,
        *,
        batch_size: int = 64,
        label: str = "Embedding",
        progress: Progress = SILENT,
    ) -> NDArray[np.float32]:
        """(N, dim) float32 vectors of a dataset's places (all, or those at ``rows``); all need coordinates."""
        rows = np.arange(len(dataset)) if rows is None else np.asarray(rows, np.int64)
        with progress.task(label, total=len(rows)) as advance:
            return self.embed_points(
                dataset, dataset.lonlat[rows], rows=rows, batch_size=batch_size, advance=advance
            )

    # --- use with nothing but coordinates ---------------------------------------------------------------

    def embed_lonlat(self, lonlat: ArrayLike, year: ArrayLike | None = None) -> NDArray[np.float32]:
        """(N, dim) float32 vectors of (N, 2) degrees, lon then lat.

        Args:
            lonlat: the points.
            year: (N,) share of the year passed, 0 to 1, where the model was trained with dates.

        Raises:
            ModelError: it reads more than coordinates.
            InputError: coordinates that are none, or a missing or unasked-for ``year``.
        """
        return _joined(self._vectors(lonlat, year), self.dim)

    def predict_lonlat(self, lonlat: ArrayLike, year: ArrayLike | None = None) -> NDArray[np.float32]:
        """(N, C) float32: what the head answers at (N, 2) lon, lat degrees, a column a class, or one of numbers.

        Memory grows with N times C: hand over points part by part where there are many classes.

        Raises:
            ModelError: there is no head, or the model reads more than coordinates.
            InputError: as `embed_lonlat`.
        """
        if self.head is None:
            raise ModelError("this model has no head: it was trained without labels, and gives vectors only")
        return _joined((self.head.answers(z) for z in self._vectors(lonlat, year)), self.head.outputs)

    def _vectors(self, lonlat: ArrayLike, year: ArrayLike | None) -> Iterator[torch.Tensor]:
        """Vectors of points, `_AT_ONCE` after the other, on the best device that has float64."""
        ((name, reading),) = self.readings.items()
        if reading.spec.kind != COORDINATES:
            raise ModelError(f"this model reads {name!r}, not bare coordinates: it embeds datasets")
        points = torch.from_numpy(np.require(lonlat, np.float64, ["C", "W"])).reshape(-1, 2)
        years = (
            None if year is None else torch.from_numpy(np.require(year, np.float64, ["C", "W"])).reshape(-1)
        )
        if years is not None and len(years) != len(points):
            raise InputError(
                f"{len(points)} points and {len(years)} shares of the year do not belong together"
            )
        device = _device_for(reading.spec)
        encoder = self.modules[reading.encoder].eval().to(device)
        if self.head is not None:
            self.head.eval().to(device)
        for start in range(0, len(points), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            with torch.inference_mode():
                yield encoder(points[part], year=None if years is None else years[part])


def _joined(parts: Iterator[torch.Tensor], width: int) -> NDArray[np.float32]:
    """(N, width) of parts one after the other."""
    with torch.inference_mode():
        found = [part.float().cpu().numpy() for part in parts]
    return np.concatenate(found) if found else np.zeros((0, width), np.float32)


def _shipped(path: str | Path) -> Path:
    """``path``, or where a model lies that comes with placevec and is called that; a directory of one's own is first."""
    own = Path(path)
    return SHIPPED / own if str(path) in MODELS and not own.exists() else own


def _device_for(spec: ViewSpec) -> torch.device:
    """The best device for what a model reads; coordinates need float64, which Apple's GPUs have not."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    apple = spec.kind != COORDINATES and torch.backends.mps.is_available()
    return torch.device("mps" if apple else "cpu")


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = read_json(path / CONFIG)
    except FileNotFoundError:
        raise ModelError(f"{path} is not a model directory: there is no {CONFIG} in it") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot read {path / CONFIG}: {error}") from error
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise ModelError(f"{path / CONFIG} is not the configuration of a placevec model")
    if config.get("schema_version") != SCHEMA_VERSION:
        raise ModelError(
            other_schema(path, config.get("schema_version"), SCHEMA_VERSION, "train it again with this one")
        )
    return config


def _read_weights(path: Path) -> dict[str, torch.Tensor]:
    try:
        tensors: dict[str, torch.Tensor] = load_file(path / WEIGHTS)
    except FileNotFoundError:
        raise ModelError(f"{path} has no {WEIGHTS}: its training has not yet finished an epoch") from None
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise ModelError(f"{path / WEIGHTS} is damaged: {error}") from error
    return tensors


def _build(described: Mapping[str, Any]) -> dict[str, nn.Module]:
    return {name: encoders.build(entry["type"], **entry["options"]) for name, entry in described.items()}


def _head(config: Mapping[str, Any]) -> Head | None:
    return None if config.get(_HEAD) is None else Head.from_config(config[_HEAD])


def _require_weights(config: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """ModelError unless the file holds all weights that a configuration asks for.

    Asked of networks without memory: a few bytes of configuration must not order gigabytes of weights.
    """
    with torch.device("meta"):
        planned, head = _build(config["encoders"]), _head(config)
    if head is not None:
        if _HEAD in planned:
            raise ModelError(f"{path / CONFIG} calls an encoder {_HEAD!r}, which is the name of the head")
        if all(head.dim != getattr(module, "dim", None) for module in planned.values()):
            raise ModelError(
                f"{path / CONFIG} is damaged: its head reads {head.dim} numbers, its vectors have others"
            )
        planned[_HEAD] = head
    for name, module in planned.items():
        for key, value in module.state_dict().items():
            found = tensors.get(f"{name}.{key}")
            if found is None or found.shape != value.shape or found.dtype.is_complex:
                shape = "none" if found is None else f"{found.dtype} {tuple(found.shape)}"
                raise ModelError(
                    f"the weights in {path} do not fit its configuration: {name}.{key} is {shape}, not "
                    f"{value.dtype} {tuple(value.shape)}"
                )


def fitted_view(dataset: Dataset, spec: ViewSpec) -> View:
    """A dataset's view, windowed and restricted to the channels that ``spec`` asks for."""
    if spec.kind == COORDINATES:
        return dataset.view(spec.name)
    same_rules(dataset.spec(spec.name), spec)
    if spec.size_m is None and spec.zoom != dataset.zoom:
        raise PlacevecError(
            f"the model reads whole tiles of zoom {spec.zoom}, the dataset's are of zoom {dataset.zoom}"
        )
    view = dataset.map_view()
    return view.window(size_px=spec.size_px or 256, size_m=spec.size_m, channels=spec.channels)
