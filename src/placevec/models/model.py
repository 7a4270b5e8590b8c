"""A trained model: encoders, fusion and heads, used without the recipe that trained them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from placevec import encoders
from placevec.core import (
    FUSED,
    ROW_MISSING,
    ROW_SYNTHETIC,
    Batch,
    Encoded,
    Fuse,
    Look,
    Ragged,
    View,
    ViewSpec,
    fused,
)
from placevec.datasets.dataset import Dataset
from placevec.datasets.views.registry import known_rows, reader_of
from placevec.embeddings import Embeddings, EmbeddingsOfViews, Provenance
from placevec.errors import DatasetError, InputError, ModelError, PlacevecError, UsageError
from placevec.io import atomic
from placevec.io.progress import SILENT, Advance, Progress, no_advance
from placevec.models import files
from placevec.models.card import model_card
from placevec.models.fusion import name_of_fusion
from placevec.models.heads import Head
from placevec.models.reading import Reading

_AT_ONCE = 8192
"""Points that are encoded at once where only their coordinates are read."""

Vectors = NDArray[np.float32]


@dataclass
class Model:
    """Encoders by name, how each view is read, and what its vectors are turned into.

    Attributes:
        modules: encoder name -> module.
        readings: view name -> encoder and specification.
        recipe: name and configuration of the recipe that trained it, for people.
        training: what it was trained on (dataset hash, attribution, steps), for people.
        path: where it was loaded from or saved to.
        heads: view name, or ``fused`` -> what turns its vectors into predictions, where trained with labels.
        fuse: how the vectors of several views become one, or None.
    """

    modules: dict[str, nn.Module]
    readings: dict[str, Reading]
    recipe: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    path: Path | None = None
    heads: dict[str, Head] = field(default_factory=dict)
    fuse: Fuse | None = None

    def __repr__(self) -> str:
        dims = ", ".join(f"{name}: {dim}" for name, dim in self.dims.items())
        name = self.recipe.get("name")
        return f"Model({name}, dims={{{dims}}}, parameters={self.parameters:,}, path={self.path})"

    # --- what it is -----------------------------------------------------------------------------------

    @property
    def specs(self) -> dict[str, ViewSpec]:
        """What each view must look like."""
        return {name: reading.spec for name, reading in self.readings.items()}

    @property
    def views(self) -> tuple[str, ...]:
        """Names of the views that it reads."""
        return tuple(self.readings)

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
        """What it learned to predict of the places trained on, such as ``landuse``."""
        return tuple(self.recipe.get("config", {}).get("predict", ()))

    @property
    def dims(self) -> dict[str, int]:
        """View -> length of its vectors, with ``fused`` where there is a fusion."""
        dims = {
            name: int(self.modules[reading.encoder].config()["dim"])  # type: ignore[operator]
            for name, reading in self.readings.items()
        }
        return dims if self.fuse is None else {**dims, FUSED: self.fuse.dim}

    @property
    def dim(self) -> int:
        """Length of a vector; ModelError where views have vectors of different lengths, see `dims`."""
        lengths = set(self.dims.values())
        if len(lengths) > 1:
            told = ", ".join(f"{name} {dim}" for name, dim in self.dims.items())
            raise ModelError(f"the vectors of this model's views have different lengths: {told}")
        return lengths.pop()

    @property
    def head(self) -> Head | None:
        """The head, where there is one; ModelError where there are several, see `heads`."""
        if len(self.heads) > 1:
            raise ModelError(f"this model has several heads: of {', '.join(self.heads)}")
        return next(iter(self.heads.values()), None)

    @property
    def parameters(self) -> int:
        """Number of trained numbers."""
        return sum(value.numel() for module in self._parts().values() for value in module.parameters())

    @property
    def bare(self) -> bool:
        """Whether it reads nothing but coordinates, so that any point of the Earth can be embedded without a dataset."""
        return all(reader_of(spec).from_coordinates for spec in self.specs.values())

    def default_view(self, view: str | None = None) -> str:
        """The view named, else ``fused``, else the only one.

        Raises:
            UsageError: an unknown view, or none named where there are several and no fusion.
        """
        there = tuple(self.dims)
        if view is None and (self.fuse is not None or len(there) == 1):
            return there[-1]
        if view is None:
            raise UsageError(
                f"this model has vectors of the views {', '.join(there)}: choose one with --view"
            )
        if view not in there:
            raise UsageError(f"this model has no view {view!r}: it has {', '.join(there)}")
        return view

    def _parts(self) -> dict[str, nn.Module]:
        """All that has weights, by name."""
        return files.named_parts(self.modules, self.heads, self.fuse)

    def config(self) -> dict[str, Any]:
        """Plain JSON: everything but the weights."""
        fusion = self.fuse
        return {
            "format": files.FORMAT,
            "schema_version": files.SCHEMA_VERSION,
            "recipe": self.recipe,
            "encoders": {
                name: {"type": encoders.name_of(module), "options": module.config()}  # type: ignore[operator]
                for name, module in self.modules.items()
            },
            "reads": {
                name: {"encoder": reading.encoder, "spec": reading.spec.as_dict()}
                for name, reading in self.readings.items()
            },
            **(
                {}
                if not self.heads
                else {"heads": {name: head.config() for name, head in self.heads.items()}}
            ),
            **(
                {}
                if fusion is None
                else {"fusion": {"type": name_of_fusion(fusion), "options": fusion.config()}}  # type: ignore[operator]
            ),
            "training": self.training,
        }

    @cached_property
    def hash(self) -> str:
        """SHA-256 over architecture, specifications and weights: vectors compare only when this agrees."""
        config = self.config()
        told = {name: config[name] for name in ("encoders", "reads", "heads", "fusion") if name in config}
        digest = hashlib.sha256(atomic.sha256_of_json(told).encode())
        for name, value in sorted(files.tensors_of(self._parts()).items()):
            digest.update(name.encode())
            digest.update(value.numpy().tobytes())
        return digest.hexdigest()

    # --- on disk --------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write configuration, card and weights; each file whole or not at all, see `placevec.models.files`."""
        path = Path(path)
        self.__dict__.pop("hash", None)
        card = model_card(
            modules=self.modules, readings=self.readings, heads=self.heads, fuse=self.fuse, dims=self.dims,
            recipe=self.recipe, training=self.training, parameters=self.parameters, hash=self.hash, bare=self.bare,
        )  # fmt: skip
        files.write_files(path, self.config(), card, files.tensors_of(self._parts()))
        self.path = path

    @classmethod
    def load(cls, path: str | Path) -> Model:
        """Load a model directory (a run is one), or a model by its name in `files.MODELS`, on the CPU, ready to embed.

        Raises:
            ModelError: no model there, a pickle instead of one, another schema, weights that do not fit or are damaged.
        """
        path = files.shipped(path)
        config = files.read_config(path)
        try:
            tensors = files.read_weights(path, config)
            files.require_weights(config, tensors, path)
            modules, heads, fuse = files.build_parts(config)
            readings = {
                name: Reading(entry["encoder"], ViewSpec.from_dict(entry["spec"]))
                for name, entry in config["reads"].items()
            }
        except (TypeError, ValueError) as error:
            raise files.damaged(path, error) from error
        model = cls(
            modules, readings, config.get("recipe", {}), config.get("training", {}), path, heads, fuse
        )
        files.fill(model._parts(), tensors, path)
        return model

    def load_weights(self, path: Path) -> None:
        """Fill encoders, heads and fusion from ``path/model.safetensors``."""
        files.fill(self._parts(), files.read_weights(path), path)
        self.__dict__.pop("hash", None)

    # --- use ------------------------------------------------------------------------------------------

    def untrained(self, seed: int) -> Model:
        """The same architecture with fresh weights, without heads: the baseline that training must beat."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            config = self.config()
            modules, _, fuse = files.build_parts({**config, "heads": {}})
        return Model(modules, self.readings, self.recipe, {"untrained": True, "seed": seed}, fuse=fuse)

    def views_of(self, dataset: Dataset, views: Sequence[str] | None = None) -> dict[str, View]:
        """A dataset's views, set up as this model reads them.

        Args:
            dataset: has all of ``views``, or with None, one of the model's at least.
            views: names of the model's views; all that the dataset has when None.

        Raises:
            UsageError: a view that the model does not read.
            ModelError: the dataset lacks a view, or holds it with another specification.
        """
        if views is not None and not views:
            raise UsageError(f"no view is named: this model reads {', '.join(self.readings)}")
        for view in views or ():
            if view == FUSED and self.fuse is not None:
                raise UsageError(
                    f"fused vectors come with those of the views: name some of {', '.join(self.readings)}"
                )
            if view not in self.readings:
                raise UsageError(f"this model does not read {view!r}: it reads {', '.join(self.readings)}")
        found: dict[str, View] = {}
        lacking: list[str] = []
        for name in views or self.readings:
            spec = self.readings[name].spec
            try:
                if views is None and not reader_of(spec).from_coordinates and name not in dataset.view_names:
                    lacking.append(name)
                    continue
                found[name] = reader_of(spec).fit(dataset.view(name), spec)
            except PlacevecError as error:
                raise ModelError(f"this model does not fit {dataset.path}: {error}") from error
        if not found:
            raise ModelError(
                f"this model does not fit {dataset.path}: it reads {' and '.join(lacking)}, "
                f"and the dataset has {', '.join(dataset.view_names) or 'no views'}; prepare adds views"
            )
        return found

    @torch.inference_mode()
    def encode_looks(self, views: Mapping[str, View], looks: Sequence[Look]) -> Iterator[dict[str, Vectors]]:
        """View -> (len(look), dim) vectors of each look, one after the other; ``fused`` among them where it is asked.

        A row that is ``ROW_MISSING`` has NaN, in a view that lacks it and where nothing is left to fuse.
        """
        devices = {name: device_for(self.modules[self.readings[name].encoder]) for name in views}
        for name, device in devices.items():
            self.modules[self.readings[name].encoder].eval().to(device)
        for look in looks:
            encoded = {name: self._encoded(name, view, look, devices[name]) for name, view in views.items()}
            yield {name: _with_nan(part) for name, part in self._with_fusion(encoded).items()}

    def _encoded(self, name: str, view: View, look: Look, device: torch.device) -> Encoded:
        """What one view's encoder makes of a look."""
        known = getattr(view, "known", None)
        rows = look.rows
        if known is not None:
            lacking = torch.from_numpy(~np.asarray(known, bool))[rows.clamp(min=0)]
            rows = torch.where((rows >= 0) & lacking, ROW_MISSING, rows)
        lonlat = look.lonlat
        if not reader_of(view.spec).by_coordinates:
            rows = torch.where(rows == ROW_SYNTHETIC, ROW_MISSING, rows)
        elif lonlat is not None:
            rows = torch.where(torch.isfinite(lonlat).all(dim=1), rows, ROW_MISSING)
        module = self.modules[self.readings[name].encoder]
        seasonal = bool(getattr(module, "seasons", False))
        warp = {key: value for key, value in look.warp.items() if key != "year" or seasonal}
        batch = view.read(Look(rows, lonlat, warp))
        return Encoded(module(_on(batch, device)).float().cpu(), rows != ROW_MISSING)

    def _with_fusion(self, encoded: dict[str, Encoded]) -> dict[str, Encoded]:
        if self.fuse is None:
            return encoded
        there = {name: part for name, part in encoded.items() if name in self.fuse.views}
        return encoded if not there else {**encoded, FUSED: fused(self.fuse.eval().cpu(), there)}

    def encode(
        self,
        dataset: Dataset,
        rows: NDArray[np.int64] | None = None,
        *,
        lonlat: NDArray[np.float64] | None = None,
        views: Sequence[str] | None = None,
        batch_size: int = 64,
        advance: Advance = no_advance,
    ) -> dict[str, Vectors]:
        """View -> (N, dim) float32 vectors, ``fused`` among them where the model has a fusion; NaN where one is missing.

        Args:
            dataset: whose views are read.
            rows: places (N,); all when None.
            lonlat: (N, 2) degrees, lon then lat, of any points instead; with ``rows`` those are their places. Points
                that are no places have nothing in views that are read by row.
            views: some of the model's; those that the dataset has when None. Any subset is enough.
            batch_size: places encoded at once.
            advance: told of every batch.

        A model that knows seasons reads places at their date, and points without one at the middle of the year.
        """
        if lonlat is None:
            rows = np.arange(len(dataset)) if rows is None else np.asarray(rows, np.int64)
            lonlat = dataset.lonlat[rows]
        rows = np.full(len(lonlat), ROW_SYNTHETIC, np.int64) if rows is None else np.asarray(rows, np.int64)
        opened = self.views_of(dataset, views)
        years = self._years(dataset, rows, opened)
        looks = []
        for start in range(0, len(lonlat), batch_size):
            part = slice(start, start + batch_size)
            warp = {} if years is None else {"year": torch.from_numpy(years[part])}
            looks.append(Look(torch.from_numpy(rows[part]), torch.from_numpy(lonlat[part]), warp))
        parts: dict[str, list[Vectors]] = {}
        for found in self.encode_looks(opened, looks):
            for name, vectors in found.items():
                parts.setdefault(name, []).append(vectors)
            advance(len(next(iter(found.values()))))
        if not looks:
            return {
                name: np.zeros((0, dim), np.float32)
                for name, dim in self.dims.items()
                if name in (*opened, FUSED)
            }
        return {name: np.concatenate(part) for name, part in parts.items()}

    def vectors(
        self,
        dataset: Dataset,
        rows: NDArray[np.int64] | None = None,
        *,
        lonlat: NDArray[np.float64] | None = None,
        view: str | None = None,
        batch_size: int = 64,
        label: str = "Embedding",
        progress: Progress = SILENT,
    ) -> Vectors:
        """(N, dim) float32 vectors of one view, see `default_view` and `encode`; NaN where it lacks a place.

        ModelError where the dataset cannot give them.
        """
        wanted = self.default_view(view)
        count = (
            len(dataset)
            if rows is None and lonlat is None
            else len(cast(Any, rows if lonlat is None else lonlat))
        )
        with progress.task(label, total=count) as advance:
            found = self.encode(
                dataset, rows, lonlat=lonlat, views=None if wanted == FUSED else [wanted], batch_size=batch_size,
                advance=advance,
            )  # fmt: skip
        if wanted not in found:
            raise ModelError(f"{dataset.path} has none of the views that this model fuses")
        return found[wanted]

    def _years(
        self, dataset: Dataset, rows: NDArray[np.int64], views: Mapping[str, View]
    ) -> NDArray[np.float64] | None:
        """(N,) shares of the year at which the places ``rows`` are read; None for a model that knows no seasons."""
        if not any(getattr(self.modules[self.readings[name].encoder], "seasons", 0) for name in views):
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
        views: Sequence[str] | None = None,
        batch_size: int = 64,
        created: str = "",
        progress: Progress = SILENT,
    ) -> Embeddings | EmbeddingsOfViews:
        """Vectors of a dataset's places: one row a place and view, and a fused row where there is a fusion.

        Args:
            dataset: has one of the model's views at least.
            rows: places (N,); all when None.
            views: some of the model's; those that the dataset has when None.
            batch_size: places encoded at once.
            created: UTC time, ISO 8601, for the provenance.
            progress: where to report.

        Returns:
            An `Embeddings` of one view, or `EmbeddingsOfViews`; places that a view lacks have no row there.

        Raises:
            ModelError: the dataset lacks a view, or holds it with another specification.
            DatasetError: no place is known to any of the views.
        """
        rows = np.arange(len(dataset)) if rows is None else np.asarray(rows, np.int64)
        with progress.task("Embedding", total=len(rows)) as advance:
            found = self.encode(dataset, rows, views=views, batch_size=batch_size, advance=advance)
        return self.tables(dataset, rows, found, created=created)

    def tables(
        self, dataset: Dataset, rows: NDArray[np.int64], vectors: Mapping[str, Vectors], *, created: str = ""
    ) -> Embeddings | EmbeddingsOfViews:
        """What `encode` gave of the places at ``rows``, as a table a view: rows of NaN are left out."""
        provenance = Provenance(
            model_hash=self.hash,
            dataset_hash=dataset.hash,
            model_path="" if self.path is None else str(self.path.resolve()),
            dataset_path=str(dataset.path.resolve()),
            attribution=dataset.attribution,
            created=created,
        )
        places, geometry = dataset.places, dataset.geometry()
        tables = {}
        for view, found in vectors.items():
            there = ~np.isnan(found[:, 0]) if len(found) else np.zeros(0, bool)
            if not there.any():
                continue
            kept = rows[there]
            tables[view] = Embeddings(
                place_id=places["place_id"].to_numpy(object)[kept], vectors=found[there], lonlat=dataset.lonlat[kept],
                geometry=geometry[kept], names=places["name"].to_numpy(object)[kept], view=view, provenance=provenance,
            )  # fmt: skip
        if not tables:
            raise DatasetError(f"no place of {dataset.path} is known to the views {', '.join(vectors)}")
        return next(iter(tables.values())) if len(tables) == 1 else EmbeddingsOfViews(tables)

    def known(self, dataset: Dataset, views: Sequence[str] | None = None) -> NDArray[np.bool_]:
        """(N,) bool: the places that one of the views knows something of."""
        opened = self.views_of(dataset, views)
        known = np.stack([known_rows(view, dataset.lonlat) for view in opened.values()])
        return np.asarray(known.any(axis=0))

    # --- use with nothing but coordinates ---------------------------------------------------------------

    def embed_lonlat(self, lonlat: ArrayLike, year: ArrayLike | None = None) -> Vectors:
        """(N, dim) float32 vectors of (N, 2) degrees, lon then lat.

        Args:
            lonlat: the points.
            year: (N,) share of the year passed, 0 to 1, where the model was trained with dates.

        Raises:
            ModelError: it reads more than coordinates.
            InputError: coordinates that are none, or a missing or unasked-for ``year``.
        """
        return _joined(self._lonlat_vectors(lonlat, year), self.dim)

    def predict_lonlat(self, lonlat: ArrayLike, year: ArrayLike | None = None) -> Vectors:
        """(N, C) float32: what the head predicts at (N, 2) lon, lat degrees, a column a class, or one of numbers.

        Memory grows with N times C: hand over points part by part where there are many classes.

        Raises:
            ModelError: there is no head, or the model reads more than coordinates.
            InputError: as `embed_lonlat`.
        """
        head = self.head
        if head is None:
            raise ModelError("this model has no head: it was trained without labels, and gives vectors only")
        return _joined((head.answers(z) for z in self._lonlat_vectors(lonlat, year)), head.outputs)

    def _lonlat_vectors(self, lonlat: ArrayLike, year: ArrayLike | None) -> Iterator[Tensor]:
        """Vectors of points, `_AT_ONCE` after the other, on the best device that has float64."""
        if not self.bare or len(self.readings) > 1:
            raise ModelError(
                f"this model reads {' and '.join(map(repr, self.readings))}, not bare coordinates: it embeds datasets"
            )
        (reading,) = self.readings.values()
        points = torch.from_numpy(np.require(lonlat, np.float64, ["C", "W"])).reshape(-1, 2)
        years = (
            None if year is None else torch.from_numpy(np.require(year, np.float64, ["C", "W"])).reshape(-1)
        )
        if years is not None and len(years) != len(points):
            raise InputError(
                f"{len(points)} points and {len(years)} shares of the year do not belong together"
            )
        encoder = self.modules[reading.encoder]
        device = device_for(encoder)
        encoder.eval().to(device)
        for head in self.heads.values():
            head.eval().to(device)
        for start in range(0, len(points), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            with torch.inference_mode():
                yield encoder(points[part], year=None if years is None else years[part])


def _joined(parts: Iterator[Tensor], width: int) -> Vectors:
    """(N, width) of parts one after the other."""
    with torch.inference_mode():
        found = [part.float().cpu().numpy() for part in parts]
    return np.concatenate(found) if found else np.zeros((0, width), np.float32)


def _with_nan(part: Encoded) -> Vectors:
    """(N, dim) vectors, NaN where missing."""
    vectors = part.z.numpy()
    missing = ~part.present.numpy()
    if missing.any():
        vectors = vectors.copy()
        vectors[missing] = np.nan
    return vectors


def _on(batch: Batch, device: torch.device) -> Batch:
    if isinstance(batch, Tensor):
        return batch.to(device)
    if isinstance(batch, Ragged):
        edges = None if batch.edges is None else batch.edges.to(device)
        return Ragged(batch.values.to(device), batch.offsets.to(device), edges)
    return {name: value.to(device) for name, value in batch.items()}


def device_for(encoder: nn.Module) -> torch.device:
    """The best device for an encoder; one with ``needs_float64`` cannot use Apple's GPUs, which have none."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    apple = not getattr(encoder, "needs_float64", False) and torch.backends.mps.is_available()
    return torch.device("mps" if apple else "cpu")
