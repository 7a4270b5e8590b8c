"""The dataset directory: places and views, with a manifest that records the source of every byte.

::

    dataset.json            manifest: schema version, area, sources, places, views (written last: no manifest, no
    dataset) places.parquet          GeoParquet: place_id, lon, lat, name, geometry
    map/X_Y.tif  map.vrt    the map view's shards (see views.raster)
    chips.parquet  chips/    image chips of places (see views.chips)
    features/               features of places (see views.features)
    map_coverage.tif        share of every layer in coarse cells
    landuse_coverage.tif    the same for label classes, never an input
    pois.parquet            named features and points of interest
    names.parquet           names of places, added later
    labels.parquet          one label per place, with its user, date and split (see `placevec.datasets.labels`)
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from placevec.core import View, ViewSpec
from placevec.datasets.labels import Labeled, check_about, label_files, read_labels
from placevec.datasets.layout import FORMAT, MANIFEST, PLACES, SCHEMA_VERSION, WORK
from placevec.datasets.places import DEFAULT_SIZE_M, Objects, Places
from placevec.datasets.views import coordinates
from placevec.datasets.views.registry import VIEWS, Stored, reader_of
from placevec.errors import AreaError, DatasetError, InputError, other_schema
from placevec.geo import (
    MAX_ZOOM,
    TILE_PX,
    Area,
    Floats,
    meters_per_pixel,
)
from placevec.geo.geoparquet import geometry_of, read_parquet, read_summary
from placevec.io import atomic
from placevec.io.checksums import OWN, changes, read_sealed
from placevec.io.json_documents import NONE, check
from placevec.io.notebook import facts_html
from placevec.sources.imagery.classifier_predictions import read_predictions

_MANIFEST = {
    "name?": str,
    "created?": str,
    "area": dict,
    "sources": [{"attribution": str, "sha256?": (str, NONE)}],
    "places": {
        "count": int,
        "grid": str,
        "zoom": (int, NONE),
        "size_m": (float, NONE),
        "spacing_m": (float, NONE),
    },
    "views": {str: {"spec": dict, "files": [str]}},
    "labels?": (dict, NONE),
    "names?": (dict, NONE),
    "files?": {str: str},
    "provenance?": {str: {"kind": str, "created": str, "sources": [int], "inputs": dict}},
    "additions?": [{"hash": str, "created": str, "added": [str]}],
    "report?": {
        "inputs?": dict,
        "labels?": {"why?": str, "range?": [float], "largest?": {str: int}},
        "split?": {str: (str, int)},
        "users?": int,
    },
}
_COLUMNS = {
    "place_id": pa.types.is_string,
    "lon": pa.types.is_floating,
    "lat": pa.types.is_floating,
    "name": lambda kind: pa.types.is_string(kind) or pa.types.is_null(kind),
}


@dataclass
class Dataset:
    """A validated dataset directory.

    >>> import tempfile
    >>> from placevec.api import prepare
    >>> folder = Path(tempfile.mkdtemp())
    >>> rows = ["lon,lat,species", "24.94,60.17,oak", "24.95,60.18,elm", "24.96,60.16,oak", "24.97,60.15,elm"]
    >>> _ = (folder / "trees.csv").write_text("\\n".join(rows))
    >>> _ = prepare("sphere2vec", points=folder / "trees.csv", label="species", out=folder / "trees")
    >>> dataset = Dataset.open(folder / "trees")
    >>> len(dataset), dataset.labels().classes, dataset.view("coordinates").spec.values
    (4, ('elm', 'oak'), 'degrees lon, lat, WGS84')
    """

    path: Path
    manifest: dict[str, Any] = field(repr=False)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Dataset:
        """Open and validate; DatasetError says what is missing or has another schema."""
        path = Path(path)
        try:
            manifest = read_sealed(path / MANIFEST)
        except FileNotFoundError:
            if (path / WORK).is_dir():
                hint = "its preparation did not finish; run the same `placevec prepare` command again to continue"
            else:
                hint = f"it has no {MANIFEST}"
            raise DatasetError(f"{path} is not a placevec dataset: {hint}") from None
        except (OSError, ValueError) as error:
            raise DatasetError(f"cannot read {path / MANIFEST}: {error}") from error
        dataset = cls(path, manifest)
        dataset.validate()
        return dataset

    def validate(self) -> None:
        """DatasetError unless the manifest is valid and the files in it exist."""
        manifest = self.manifest
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            raise DatasetError(f"{self.path / MANIFEST} is not the manifest of a placevec dataset")
        version = manifest.get("schema_version")
        if version != SCHEMA_VERSION:
            remedy = "prepare it again, with --force or in another directory"
            raise DatasetError(other_schema(self.path, version, SCHEMA_VERSION, remedy))
        try:
            check(manifest, _MANIFEST)
            self._check_contents()
        except (AreaError, OSError, TypeError, ValueError) as error:
            raise DatasetError(f"{self.path / MANIFEST} is damaged: {error}") from error

    def _check_contents(self) -> None:
        Area.from_dict(self.manifest["area"])
        _check_layout(self.manifest["places"])
        for view in self.manifest["views"].values():
            ViewSpec.from_dict(view["spec"])
        for name, view in self.manifest["views"].items():
            for file in view["files"]:
                if Path(file).is_absolute() or ".." in Path(file).parts:
                    raise DatasetError(f"{self.path}: view {name} refers to {file!r}, outside the dataset")
                if not (self.path / file).exists():
                    raise DatasetError(
                        f"{self.path} is missing {file}, which belongs to its view {name}: prepare it again"
                    )
        if labels := self.manifest.get("labels"):
            check_about(labels)
            for file in label_files(labels):
                if not (self.path / file).exists():
                    raise DatasetError(f"{self.path} is missing {file}, which holds labels: prepare it again")
        if self.manifest.get("names") is not None:
            check(self.manifest["names"], {"file": str}, "names")
        if (names := self._names) is not None:
            if Path(names).is_absolute() or ".." in Path(names).parts:
                raise ValueError(f"names refer to {names!r}, outside the dataset")
            if not (self.path / names).exists():
                raise DatasetError(
                    f"{self.path} is missing {names}, the names of its places: prepare it again"
                )
        self._check_places(int(self.manifest["places"]["count"]))

    def _check_places(self, expected: int) -> None:
        """DatasetError unless the table of places is valid, as far as its metadata show."""
        try:
            schema, count = read_summary(self.path / PLACES, "table of places")
        except InputError as error:
            raise DatasetError(str(error)) from error
        missing = set(_COLUMNS) - set(schema.names)
        if missing:
            raise DatasetError(f"{self.path / PLACES} lacks the columns {', '.join(sorted(missing))}")
        for name, fits in _COLUMNS.items():
            column = schema.field(name).type
            if not fits(column):
                raise DatasetError(f"{self.path / PLACES} is damaged: its column {name} has type {column}")
        if count != expected:
            raise DatasetError(f"{self.path / PLACES} has {count} places, but the manifest says {expected}")

    def _columns(self, *names: str) -> pa.Table:
        """Columns of the table of places; only these are read, because there can be millions of places."""
        try:
            table = read_parquet(self.path / PLACES, "table of places", columns=names)
        except InputError as error:
            raise DatasetError(str(error)) from error
        if "place_id" in names and table["place_id"].null_count:
            raise DatasetError(
                f"{self.path / PLACES} is damaged: {table['place_id'].null_count} places have no ID"
            )
        return table

    @cached_property
    def places(self) -> pd.DataFrame:
        """place_id, lon, lat (degrees, NaN without coordinates) and name (raw OSM text or None), one row per place."""
        frame = self._columns(*_COLUMNS).to_pandas(ignore_metadata=True)
        frame["name"] = frame["name"].astype(object).where(frame["name"].notna(), self._added_names())
        return frame

    @property
    def _names(self) -> str | None:
        """The file of names that were added after the places."""
        names = self.manifest.get("names")
        return None if names is None else str(names["file"])

    def _added_names(self) -> Objects | None:
        """(N,) names that were added after the places, raw OSM text or None; None if there are none."""
        if self._names is None:
            return None
        path = self.path / self._names
        try:
            column = read_parquet(path, "table of names", columns=["name"])["name"]
        except (InputError, KeyError) as error:
            raise DatasetError(f"{path} is damaged: {error}") from error
        if not pa.types.is_string(column.type):
            raise DatasetError(f"{path} is damaged: its column name has type {column.type}")
        if len(column) != len(self):
            raise DatasetError(f"{path} has {len(column):,} names for {len(self):,} places: prepare it again")
        return np.asarray(column.to_numpy(zero_copy_only=False), object)

    def geometry(self) -> Objects:
        """(N,) shapely geometries or None."""
        try:
            schema, _ = read_summary(self.path / PLACES, "table of places")
            return geometry_of(self._columns("geometry" if "geometry" in schema.names else "lon"))
        except InputError as error:
            raise DatasetError(f"{self.path / PLACES} is damaged: {error}") from error

    def __len__(self) -> int:
        return int(self.manifest["places"]["count"])

    @cached_property
    def place_ids(self) -> np.ndarray[Any, np.dtype[np.object_]]:
        """(N,) place_id of every place."""
        return np.asarray(self._columns("place_id")["place_id"].to_numpy(zero_copy_only=False), object)

    @cached_property
    def lonlat(self) -> Floats:
        """(N, 2) float64 degrees of the places' centers; NaN without coordinates."""
        table = self._columns("lon", "lat")
        lonlat = np.stack([np.asarray(table[name], np.float64) for name in ("lon", "lat")], axis=1)
        off = (np.abs(lonlat) > (180.0, 90.0)).any(axis=1)
        if off.any():
            lon, lat = lonlat[np.flatnonzero(off)[0]]
            raise DatasetError(f"{self.path / PLACES} is damaged: lon={lon:g}, lat={lat:g} is not on Earth")
        return lonlat

    @property
    def area(self) -> Area:
        """The requested area."""
        return Area.from_dict(self.manifest["area"])

    @property
    def name(self) -> str:
        """The display name."""
        return str(self.manifest.get("name", self.path.name))

    def _repr_html_(self) -> str:
        """What notebooks show."""
        views = {name: self.spec(name).kind for name in self.view_names}
        facts = {
            "name": self.name, "places": len(self), "views": views, "created": self.manifest.get("created"),
            "west, south, east, north": [round(edge, 5) for edge in self.area.bounds],
            "layers": self.base_map_spec.channels if self.base_map is not None else None,
            "attribution": self.attribution, "path": str(self.path),
        }  # fmt: skip
        return facts_html("Dataset", facts, self.places.head(5).to_dict("records"))

    @property
    def attribution(self) -> str:
        """The credit required on every figure and table made from this dataset."""
        credits = dict.fromkeys(str(source["attribution"]) for source in self.manifest["sources"])
        return "; ".join(filter(None, credits))

    @property
    def license(self) -> str:
        """SPDX identifier of the license of all sources; empty if they have several, or one does not state it."""
        found = {str(source.get("licence") or "") for source in self.manifest["sources"]}
        return found.pop() if len(found) == 1 else ""

    @cached_property
    def hash(self) -> str:
        """SHA-256 over places, sources, view specifications and the content of every file: equal content has an equal
        hash.
        """
        manifest = self.manifest
        content = {
            "places": manifest["places"],
            "sources": [source.get("sha256") for source in manifest["sources"]],
            "views": {name: view["spec"] for name, view in manifest["views"].items()},
        }
        if manifest.get("labels"):
            content["labels"] = manifest["labels"]
        if "files" in manifest:
            content["files"] = manifest["files"]
        return atomic.sha256_of_json(content)

    def damage(self) -> list[str]:
        """What is wrong with the bytes of its files, one line each; all of them are read. Empty if nothing is."""
        manifest = self.manifest
        if "files" not in manifest:  # of earlier versions
            return changes(self.path, {PLACES: manifest["places"].get("sha256", "")})
        lost = [] if OWN in manifest else [f"{self.path / MANIFEST} has no checksum"]
        return lost + changes(self.path, manifest["files"])

    def descends_from(self, hash: str) -> bool:
        """Whether it is the dataset with that hash, or comes from it by additions only, which change nothing in it."""
        return hash == self.hash or any(
            addition["hash"] == hash for addition in self.manifest.get("additions", ())
        )

    @cached_property
    def places_hash(self) -> str:
        """SHA-256 of its places only, which additions do not change."""
        return atomic.sha256_of_json(self.manifest["places"])

    def footprints(self) -> Floats:
        """(N, 4) x0, y0, x1, y1 of every place in fractional tile coordinates at the map's zoom.

        For points, those of a window of `placevec.datasets.places.DEFAULT_SIZE_M`; NaN without coordinates.
        """
        places, lonlat, size_m = self.manifest["places"], self.lonlat, self.manifest["places"]["size_m"]
        if size_m is None and places["zoom"] is None:
            lonlat, size_m = (
                np.clip(lonlat, (-180.0, -85.0), (180.0, 85.0)),
                DEFAULT_SIZE_M,
            )  # limits of the map
        rows = Places(
            self.places["place_id"].to_numpy(object), lonlat, np.empty(0, object), size_m, places["grid"],
            places["zoom"], places["spacing_m"],
        )  # fmt: skip
        return rows.footprints(self.zoom)

    @cached_property
    def footprint_m(self) -> float:
        """Side of the widest footprint in meters; for points, of their window on a map, or 0 without a map."""
        places = self.manifest["places"]
        if places["size_m"] is not None:
            return float(places["size_m"])
        if places["zoom"] is None:
            is_mapped = self.base_map is not None
            return DEFAULT_SIZE_M if is_mapped else 0.0
        known = np.isfinite(self.lonlat[:, 1])
        return float(np.max(meters_per_pixel(self.lonlat[known, 1], int(places["zoom"])))) * TILE_PX

    @property
    def view_names(self) -> tuple[str, ...]:
        """The views of this dataset."""
        return tuple(self.manifest["views"])

    def spec(self, view: str) -> ViewSpec:
        """Specification of a view: ``coordinates``, or a stored one; DatasetError lists the available ones."""
        if view not in self.manifest["views"] and view == coordinates.NAME:
            return coordinates.SPEC
        if view not in self.manifest["views"]:
            there = ", ".join(self.view_names) or "none"
            raise DatasetError(
                f"{self.path} has no view {view!r} (it has: {there}); prepare it with a recipe that creates it"
            )
        return ViewSpec.from_dict(self.manifest["views"][view]["spec"])

    @cached_property
    def base_map(self) -> str | None:
        """Name of the view that pages draw under the places, the first that can be drawn; None if there is none."""
        for name, view in self.manifest["views"].items():
            spec = ViewSpec.from_dict(view["spec"])
            if spec.kind in VIEWS and reader_of(spec).is_map:
                return str(name)
        return None

    @property
    def base_map_spec(self) -> ViewSpec:
        """Specification of `base_map`; DatasetError if there is none."""
        if self.base_map is None:
            raise DatasetError(f"{self.path} has no map (it has: {', '.join(self.view_names) or 'no views'})")
        return self.spec(self.base_map)

    @property
    def zoom(self) -> int:
        """Zoom of the native resolution of `base_map`; footprints are in tiles of this zoom."""
        zoom = self.base_map_spec.zoom
        if zoom is None:
            raise DatasetError(f"the map of {self.path} has no zoom")
        return zoom

    def stored(self, view: str) -> Stored:
        """The location and the owner of a view, from which its reader opens it."""
        return Stored(self.path, self.spec(view), self.manifest["views"].get(view, {}), self)

    def view(self, name: str) -> View:
        """A view by name, through the registry of views; DatasetError if it is missing or damaged."""
        stored = self.stored(name)
        return reader_of(stored.spec).open(stored)

    @property
    def has_labels(self) -> bool:
        """Whether its places have labels of their own."""
        return bool(self.manifest.get("labels"))

    def labels(self) -> Labeled:
        """The labels of the places, one row per place; DatasetError if they are missing or damaged."""
        if not self.has_labels:
            raise DatasetError(
                f"{self.path} has no labels: prepare it from a table of points, with --label COLUMN"
            )
        return read_labels(self.path, self.manifest["labels"], len(self))

    def image_predictions(self, split: str) -> Any | None:
        """(M, C) probabilities of an image classifier for the photos of a split, numpy or scipy sparse.

        Row ``labels().image_rows[i]`` belongs to place ``i``; None if there are none. SourceError if they are damaged.
        """
        found = (self.manifest.get("labels") or {}).get("image_predictions", {}).get(split)
        if found is None:
            return None
        predictions = read_predictions(self.path / found["file"])
        classes = len(self.manifest["labels"]["classes"])
        if predictions.shape[1] != classes:
            raise DatasetError(
                f"{self.path / found['file']} has {predictions.shape[1]:,} classes, but the dataset has {classes:,}"
            )
        return predictions

    def require_coordinates(self, rows: np.ndarray[Any, Any], what: str) -> np.ndarray[Any, Any]:
        """``rows`` with coordinates; DatasetError, naming ``what`` needs them, if there are none."""
        known: np.ndarray[Any, Any] = rows[np.isfinite(self.lonlat[rows]).all(axis=1)]
        if len(known) == 0:
            raise DatasetError(f"{what} needs coordinates, but no place of {self.path} has any")
        return known


def _check_layout(places: dict[str, Any]) -> None:
    """ValueError unless the places are whole tiles or squares of some size."""
    zoom, size_m, spacing_m = places["zoom"], places["size_m"], places["spacing_m"]
    if zoom is not None and size_m is not None:
        raise ValueError("places must be either tiles of one zoom or squares of one size")
    if zoom is None and size_m is None and places["grid"] != "given":
        raise ValueError("generated places must be tiles of one zoom or squares of one size")
    if zoom is not None and not 0 <= zoom <= MAX_ZOOM:
        raise ValueError(f"zoom of the places must be 0 to {MAX_ZOOM}; got {zoom}")
    if any(value is not None and value <= 0 for value in (size_m, spacing_m)):
        raise ValueError("size and spacing of the places must be more than 0 m")
