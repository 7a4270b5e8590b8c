"""A trained model: encoders, fusion and heads, used without the recipe that trained them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from placevec import encoders
from placevec._version import __version__
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
from placevec.encoders.locations.inputs import Order, degrees
from placevec.encoders.locations.times import TimeFeatures, time_of
from placevec.errors import DatasetError, InputError, ModelError, PlacevecError, UsageError
from placevec.io import atomic
from placevec.io.folders import shared_path
from placevec.io.notebook import facts_html
from placevec.io.progress import SILENT, Advance, Progress, no_advance
from placevec.models import files
from placevec.models.card import model_card
from placevec.models.fusion import name_of_fusion
from placevec.models.heads import Head
from placevec.models.reading import Reading
from placevec.sources.land import warn_if_swapped
from placevec.sources.tables.dates import read_moments

_AT_ONCE = 8192
"""Points encoded at once if a model reads only coordinates."""
MAX_NUMBERS = 2**26
"""Channels times pixels that are read and encoded at once: 64 windows of 256 x 256 pixels in 16 channels."""

Vectors = NDArray[np.float32]
_Read = tuple[Batch, Tensor]


@dataclass
class Model:
    """Encoders by name, how each view is read, and heads and fusion on its vectors.

    Attributes:
        modules: encoder name -> module.
        readings: view name -> encoder and specification.
        recipe: name and configuration of the recipe that trained it, for information.
        training: data that it was trained on (dataset hash, attribution, steps), for information.
        path: directory that it was loaded from or saved to.
        heads: view name, or ``fused`` -> head that turns its vectors into predictions, if trained with labels.
        fuse: combines the vectors of several views, or None.

    >>> from placevec import encoders
    >>> encoder = encoders.location("sphereC", dim=8, scales=4)
    >>> model = Model({"location": encoder}, {"coordinates": Reading("location", ViewSpec("coordinates", "coordinates"))})
    >>> model.embed_lonlat([[24.94, 60.17], [14.51, 35.90]]).shape, model.bare
    ((2, 8), True)
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

    def _repr_html_(self) -> str:
        """What notebooks show."""
        facts = {
            "recipe": self.recipe.get("name"), "reads": {name: spec.kind for name, spec in self.specs.items()},
            "dimensions": self.dims, "parameters": self.parameters,
            "predicts": {view: f"{head.kind} of {len(head.classes)}" for view, head in self.heads.items()},
            "trained on": self.training.get("dataset"), "attribution": self.training.get("attribution"),
            "path": None if self.path is None else str(self.path),
        }  # fmt: skip
        return facts_html("Model", facts)

    # --- what it is -----------------------------------------------------------------------------------

    @property
    def specs(self) -> dict[str, ViewSpec]:
        """The specification that each view must have."""
        return {name: reading.spec for name, reading in self.readings.items()}

    @property
    def views(self) -> tuple[str, ...]:
        """Names of the views that the model reads."""
        return tuple(self.readings)

    @property
    def seen(self) -> tuple[str, ...]:
        """Channels of all views that the model reads."""
        return tuple(channel for spec in self.specs.values() for channel in spec.channels)

    @property
    def dropped(self) -> tuple[str, ...]:
        """Layers left out of the input on purpose."""
        return tuple(self.recipe.get("config", {}).get("drop_layers", ()))

    @property
    def trained_labels(self) -> tuple[str, ...]:
        """Labels that it was trained to predict at its training places, such as ``landuse``."""
        return tuple(self.recipe.get("config", {}).get("predict", ()))

    @property
    def dims(self) -> dict[str, int]:
        """View -> length of its vectors, including ``fused`` if there is a fusion."""
        dims = {
            name: int(self.modules[reading.encoder].dim)  # type: ignore[arg-type]
            for name, reading in self.readings.items()
        }
        return dims if self.fuse is None else {**dims, FUSED: self.fuse.dim}

    @property
    def dim(self) -> int:
        """Length of a vector; ModelError if views have vectors of different lengths, see `dims`."""
        lengths = set(self.dims.values())
        if len(lengths) > 1:
            told = ", ".join(f"{name} {dim}" for name, dim in self.dims.items())
            raise ModelError(f"the vectors of this model's views have different lengths: {told}")
        return lengths.pop()

    @property
    def head(self) -> Head | None:
        """The head, or None; ModelError if there are several, see `heads`."""
        if len(self.heads) > 1:
            raise ModelError(f"this model has several heads ({', '.join(self.heads)}): choose one from heads")
        return next(iter(self.heads.values()), None)

    @property
    def parameters(self) -> int:
        """Number of parameters."""
        return sum(value.numel() for module in self._parts().values() for value in module.parameters())

    @property
    def bare(self) -> bool:
        """Whether it reads only coordinates, so that any point on Earth can be embedded without a dataset."""
        return all(reader_of(spec).from_coordinates for spec in self.specs.values())

    @property
    def _of_time(self) -> list[TimeFeatures]:
        """What its encoders read of the time."""
        return [found for module in self.modules.values() if (found := time_of(module)) is not None]

    @property
    def times(self) -> tuple[str, ...]:
        """What the model reads of the time, in the order of its numbers: ``season``, ``month``, ``hour``, ``time``.

        See `placevec.encoders.locations.times.LIMITS`; empty for a model without dates.
        """
        return next((one.reads for one in self._of_time), ())

    @property
    def period(self) -> tuple[float, float] | None:
        """First and last time of training, as years with their fraction; None for a model that reads no absolute time."""
        return next((one.period for one in self._of_time), None)

    def outside_period(self, times: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(N,) whether numbers of the time, as `times` names them, lie outside the period of training."""
        held = next(iter(self._of_time), None)
        return np.zeros(len(times), bool) if held is None else held.outside(times).numpy().reshape(-1)

    def default_view(self, view: str | None = None) -> str:
        """The given view, by default ``fused``, or else the only one.

        Raises:
            UsageError: an unknown view, or no view given although there are several and no fusion.
        """
        there = tuple(self.dims)
        if view is None and (self.fuse is not None or len(there) == 1):
            return there[-1]
        if view is None:
            raise UsageError(f"this model has several views ({', '.join(there)}): choose one with --view")
        if view not in there:
            raise UsageError(f"this model has no view {view!r}: choose from {', '.join(there)}")
        return view

    def _parts(self) -> dict[str, nn.Module]:
        """All modules with weights, by name."""
        return files.named_parts(self.modules, self.heads, self.fuse)

    def config(self) -> dict[str, Any]:
        """Everything except the weights, as plain JSON."""
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
        """SHA-256 over architecture, specifications and weights: vectors are comparable only if it is equal."""
        config = self.config()
        told = {name: config[name] for name in ("encoders", "reads", "heads", "fusion") if name in config}
        digest = hashlib.sha256(atomic.sha256_of_json(told).encode())
        for name, value in sorted(files.tensors_of(self._parts()).items()):
            digest.update(name.encode())
            digest.update(value.numpy().tobytes())
        return digest.hexdigest()

    # --- on disk --------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write configuration, card and weights; each file atomically, see `placevec.models.files`."""
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
        """Load a model or run directory, or an included model by its name in `files.MODELS`, on the CPU, ready to
        embed.

        Raises:
            ModelError: no model, a pickle, another schema, or weights that are damaged or do not fit.
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

    # --- use ------------------------------------------------------------------------------------------

    def untrained(self, seed: int) -> Model:
        """The same architecture with fresh weights and without heads: the baseline for training."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            config = self.config()
            modules, _, fuse = files.build_parts({**config, "heads": {}})
        for name, module in modules.items():  # cells of rasters are data, not learned
            theirs = getattr(self.modules[name], "rasters", ())
            for own, other in zip(getattr(module, "rasters", ()), theirs, strict=True):
                own.load_state_dict(other.state_dict())
        return Model(modules, self.readings, self.recipe, {"untrained": True, "seed": seed}, fuse=fuse)

    def views_of(self, dataset: Dataset, views: Sequence[str] | None = None) -> dict[str, View]:
        """A dataset's views, configured as this model reads them.

        Args:
            dataset: must have all of ``views`` or, with None, at least one view of the model.
            views: names of the model's views; by default all that the dataset has.

        Raises:
            UsageError: a view that the model does not read.
            ModelError: the dataset lacks a view, or has it with another specification.
        """
        if views is not None and not views:
            raise UsageError(f"no views are given: this model reads {', '.join(self.readings)}")
        for view in views or ():
            if view == FUSED and self.fuse is not None:
                raise UsageError(f"fused vectors are made from views: choose from {', '.join(self.readings)}")
            if view not in self.readings:
                raise UsageError(f"this model does not read {view!r}: choose from {', '.join(self.readings)}")
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
                f"this model does not fit {dataset.path}: it needs {' and '.join(lacking)}, but the dataset has "
                f"{', '.join(dataset.view_names) or 'no views'}; add views with prepare"
            )
        return found

    @torch.inference_mode()
    def encode_looks(self, views: Mapping[str, View], looks: Sequence[Look]) -> Iterator[dict[str, Vectors]]:
        """View -> (len(look), dim) vectors of each look in turn, including ``fused`` if requested.

        A row with ``ROW_MISSING`` is NaN in a view that lacks it, and in ``fused`` if no view has it.
        """
        devices = {name: device_for(self.modules[self.readings[name].encoder]) for name in views}
        for name, device in devices.items():
            self.modules[self.readings[name].encoder].eval().to(device)
        # A process of one thread reads in that thread, too: a second one costs a quarter more processor time, and takes
        # the core of another worker.
        ahead = torch.get_num_threads() > 1 or any(device.type != "cpu" for device in devices.values())
        found = (self._read(views, look) for look in looks)
        for read in _ahead(found) if ahead else found:
            encoded = {name: self._encoded(name, *shown, devices[name]) for name, shown in read.items()}
            yield {name: _with_nan(part) for name, part in self._with_fusion(encoded).items()}

    def _read(self, views: Mapping[str, View], look: Look) -> dict[str, _Read]:
        """What the views show of a look."""
        return {name: self._shown(name, view, look) for name, view in views.items()}

    def _shown(self, name: str, view: View, look: Look) -> _Read:
        """(what one view shows, (N,) whether it has data)."""
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
        timed = bool(time_of(self.modules[self.readings[name].encoder]))
        warp = {key: value for key, value in look.warp.items() if key != "year" or timed}
        return view.read(Look(rows, lonlat, warp)), rows != ROW_MISSING

    def _at_once(self, name: str) -> int:
        """Places of which a view is read at once, so that a few bytes of configuration take no gigabytes of pixels."""
        spec = self.readings[name].spec
        numbers = (spec.size_px or 1) ** 2 * max(1, len(spec.channels))
        if numbers > MAX_NUMBERS:
            raise ModelError(
                f"this model reads {spec.size_px:,} x {spec.size_px:,} pixels in {len(spec.channels)} channels of the "
                f"view {name!r}, {numbers:,} values per place, more than {MAX_NUMBERS:,}: train it with a smaller "
                "size_px"
            )
        return MAX_NUMBERS // numbers

    def _encoded(self, name: str, batch: Batch, present: Tensor, device: torch.device) -> Encoded:
        """The output of one view's encoder."""
        module = self.modules[self.readings[name].encoder]
        return Encoded(module(_on(batch, device)).float().cpu(), present)

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
        """View -> (N, dim) float32 vectors, including ``fused`` if the model has a fusion; NaN for missing data.

        Args:
            dataset: dataset whose views are read.
            rows: places (N,); all if None.
            lonlat: (N, 2) degrees, lon then lat, of any points instead; together with ``rows``, the points of those
                places. Points that are not places have no data in views that are read by row.
            views: some of the model's views; by default those that the dataset has. Any subset works.
            batch_size: places encoded at once, fewer where their windows would take gigabytes.
            advance: called after every batch.

        A model that reads the time uses the date of each place, and for points without one the middle of the year, noon
        and the middle of the period of training.
        """
        if lonlat is None:
            rows = np.arange(len(dataset)) if rows is None else np.asarray(rows, np.int64)
            lonlat = dataset.lonlat[rows]
        rows = np.full(len(lonlat), ROW_SYNTHETIC, np.int64) if rows is None else np.asarray(rows, np.int64)
        opened = self.views_of(dataset, views)
        years = self._years(dataset, rows, opened)
        looks = []
        at_once = min(batch_size, *(self._at_once(name) for name in opened))
        for start in range(0, len(lonlat), at_once):
            part = slice(start, start + at_once)
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
        """(N, dim) float32 vectors of one view, see `default_view` and `encode`; NaN for places without data.

        ModelError if the dataset lacks the view.
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
        """(N,) or (N, K) what encoders read of the time at the places ``rows``; None for a model without dates."""
        reads, fallback = self.times, next((one.fallback for one in self._of_time), None)
        if fallback is None or not any(time_of(self.modules[self.readings[name].encoder]) for name in views):
            return None
        found = dataset.labels().moments(reads) if dataset.has_labels else None
        if found is None:
            raise ModelError(f"this model needs dates, and {dataset.path} has none: prepare it with --date")
        years = found[np.maximum(rows, 0)].copy()
        years[rows < 0] = np.nan
        usual = fallback.numpy() if len(reads) > 1 else fallback.numpy()[0]
        return np.where(np.isfinite(years), years, usual)

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
        """Vectors of a dataset's places: one row per place and view, and a fused row if there is a fusion.

        Args:
            dataset: must have at least one view of the model.
            rows: places (N,); all if None.
            views: some of the model's views; by default those that the dataset has.
            batch_size: places encoded at once.
            created: UTC time, ISO 8601, for the provenance.
            progress: receives progress reports.

        Returns:
            An `Embeddings` of one view, or `EmbeddingsOfViews`; places without data in a view have no row there.

        Raises:
            ModelError: the dataset lacks a view, or has it with another specification.
            DatasetError: no place has data in any of the views.
        """
        rows = np.arange(len(dataset)) if rows is None else np.asarray(rows, np.int64)
        with progress.task("Embedding", total=len(rows)) as advance:
            found = self.encode(dataset, rows, views=views, batch_size=batch_size, advance=advance)
        return self.tables(dataset, rows, found, created=created)

    def tables(
        self, dataset: Dataset, rows: NDArray[np.int64], vectors: Mapping[str, Vectors], *, created: str = ""
    ) -> Embeddings | EmbeddingsOfViews:
        """The output of `encode` for the places at ``rows`` as one table per view, without rows of NaN."""
        provenance = Provenance(
            model_hash=self.hash,
            dataset_hash=dataset.hash,
            model_path="" if self.path is None else shared_path(self.path),
            dataset_path=shared_path(dataset.path),
            attribution=dataset.attribution,
            created=created,
            placevec_version=__version__,
            license=dataset.license,
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
            raise DatasetError(f"no place of {dataset.path} has data in the views {', '.join(vectors)}")
        return next(iter(tables.values())) if len(tables) == 1 else EmbeddingsOfViews(tables)

    def known(self, dataset: Dataset, views: Sequence[str] | None = None) -> NDArray[np.bool_]:
        """(N,) bool: the places with data in at least one of the views."""
        opened = self.views_of(dataset, views)
        known = np.stack([known_rows(view, dataset.lonlat) for view in opened.values()])
        return np.asarray(known.any(axis=0))

    # --- use with coordinates only ----------------------------------------------------------------------

    def embed_lonlat(
        self, lonlat: ArrayLike | Any, year: ArrayLike | None = None, *, order: Order = "lonlat"
    ) -> Vectors:
        """(N, dim) float32 vectors of points.

        Args:
            lonlat: (N, 2) lon, lat degrees; a DataFrame, whose columns are read by their names; or a GeoDataFrame or
                GeoSeries of points in any CRS. Points of an array that lie in the sea, and would not if the columns
                were swapped, cause a UserWarning.
            year: (N,) when, if the model was trained with dates: dates and times, as text of ISO 8601, datetimes or a
                Series of them, in UTC unless they name another zone; or what `times` names as numbers, (N,) or (N, K).
            order: order of the columns of an array, ``lonlat`` or ``latlon``.

        Raises:
            ModelError: the model reads other views.
            InputError: invalid coordinates, or a missing or unexpected ``year``.
        """
        return _joined(self._lonlat_vectors(lonlat, year, order), self.dim)

    def predict_lonlat(
        self, lonlat: ArrayLike | Any, year: ArrayLike | None = None, *, order: Order = "lonlat"
    ) -> Vectors:
        """(N, C) float32: predictions of the head at points, one column per class, or one number.

        Arguments are those of `embed_lonlat`. Memory grows with N times C: pass points in parts if there are many
        classes.

        Raises:
            ModelError: there is no head, or the model reads other views.
            InputError: as in `embed_lonlat`.
        """
        head = self.head
        if head is None:
            raise ModelError(
                "this model has no head, because it was trained without labels: it only gives vectors"
            )
        return _joined((head.answers(z) for z in self._lonlat_vectors(lonlat, year, order)), head.outputs)

    def _lonlat_vectors(self, lonlat: Any, year: ArrayLike | None, order: Order) -> Iterator[Tensor]:
        """Vectors of points, `_AT_ONCE` at a time, on the best device with float64."""
        if not self.bare or len(self.readings) > 1:
            raise ModelError(
                f"this model reads {' and '.join(map(repr, self.readings))}, not only coordinates: embed a dataset"
            )
        (reading,) = self.readings.values()
        points = torch.stack(degrees(lonlat, order=order), dim=-1).reshape(-1, 2)
        if not hasattr(lonlat, "columns") and not hasattr(lonlat, "to_crs"):
            warn_if_swapped(points.numpy())
        years = None if year is None else torch.from_numpy(read_moments(year, self.times))
        if years is not None and len(years) != len(points):
            raise InputError(
                f"there are {len(points)} points but {len(years)} years; give one year per point"
            )
        encoder = self.modules[reading.encoder]
        device = device_for(encoder)
        for module in (encoder, *self.heads.values()):
            make_ready(module, device)
        for start in range(0, len(points), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            with torch.inference_mode():
                yield encoder(points[part], year=None if years is None else years[part])


def _joined(parts: Iterator[Tensor], width: int) -> Vectors:
    """(N, width) array of concatenated parts."""
    with torch.inference_mode():
        found = [part.float().cpu().numpy() for part in parts]
    return np.concatenate(found) if found else np.zeros((0, width), np.float32)


def _with_nan(part: Encoded) -> Vectors:
    """(N, dim) vectors, NaN for missing rows."""
    vectors = part.z.numpy()
    missing = ~part.present.numpy()
    if missing.any():
        vectors = vectors.copy()
        vectors[missing] = np.nan
    return vectors


def _ahead(read: Iterator[dict[str, _Read]]) -> Iterator[dict[str, _Read]]:
    """The same, each read in a second thread while the one before it is encoded."""
    with ThreadPoolExecutor(1, "placevec-read") as reader:
        waiting = reader.submit(next, read, None)
        while (found := waiting.result()) is not None:
            waiting = reader.submit(next, read, None)
            yield found


def _on(batch: Batch, device: torch.device) -> Batch:
    if isinstance(batch, Tensor):
        return batch.to(device)
    if isinstance(batch, Ragged):
        edges = None if batch.edges is None else batch.edges.to(device)
        return Ragged(batch.values.to(device), batch.offsets.to(device), edges)
    return {name: value.to(device) for name, value in batch.items()}


def make_ready(module: nn.Module, device: torch.device) -> None:
    """Bring a module to a device, for use; if it is there, only that is looked at, because both take 0.5 ms.

    >>> make_ready(module := nn.Linear(1, 1), torch.device("cpu"))
    >>> module.training
    False
    """
    if module.training:
        module.eval()
    first = next(module.parameters(), None)
    if first is None or first.device != device:
        module.to(device)


def device_for(encoder: nn.Module) -> torch.device:
    """The best device for an encoder; one with ``needs_float64`` cannot use Apple's GPUs, which lack float64.

    >>> from placevec import encoders
    >>> device_for(encoders.location("sphereC", dim=8, scales=4)).type in ("cpu", "cuda")
    True
    """
    if torch.cuda.is_available():
        return torch.device("cuda")
    apple = not getattr(encoder, "needs_float64", False) and torch.backends.mps.is_available()
    return torch.device("mps" if apple else "cpu")
