"""The table of vectors: one row a place, with where the vectors came from. Read, written and checked here.

On disk it is GeoParquet 1.1 (``place_id, view, lon, lat, name, embedding, geometry``): geopandas, pyarrow,
DuckDB and QGIS open it without placevec. ``embedding`` is a fixed-size list of float32, float16 or int8; int8
is ``round(vector / scale)`` with one scale a table. The file's metadata holds, as JSON, ``placevec`` (view,
scale, provenance) and ``stac``: the fields of the STAC embedding extension v0.0.1
(https://github.com/geo-embeddings/embeddings-stac-specification).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from placevec.atomic import sha256_of_json
from placevec.errors import EmbeddingsError, InputError, other_schema
from placevec.geo import Floats
from placevec.geoparquet import geometry_of, read_geoparquet, write_geoparquet

if TYPE_CHECKING:
    import geopandas
    import pandas as pd

    from placevec.matching import On, Unmatched

Objects = np.ndarray[Any, np.dtype[np.object_]]
StoredType = Literal["float32", "float16", "int8"]

SCHEMA_VERSION = 1
MAX_DIM = 65_536
STAC_EXTENSION = "https://stac-extensions.github.io/embeddings/v0.0.1/schema.json"
_STORED: dict[str, Any] = {"float32": pa.float32(), "float16": pa.float16(), "int8": pa.int8()}
_MAX_PROVENANCE_TEXT = 10_000


@dataclass(frozen=True)
class Provenance:
    """Where vectors came from.

    Attributes:
        model_hash: SHA-256 of the model that made them; vectors of two models never share a table.
        dataset_hash: SHA-256 of the dataset that they describe.
        model_path: where the model lay when the vectors were made, so that later steps find it.
        dataset_path: the same for the dataset.
        attribution: the credit that every picture and table made from them must carry.
        created: UTC time, ISO 8601.
        placevec_version: of the placevec that made them.
    """

    model_hash: str
    dataset_hash: str
    model_path: str = ""
    dataset_path: str = ""
    attribution: str = ""
    created: str = ""
    placevec_version: str = ""

    @classmethod
    def from_dict(cls, content: Any) -> Provenance:
        """The inverse of `dataclasses.asdict`; EmbeddingsError unless all values are texts of sane length."""
        names = {field.name for field in fields(cls)}
        if not isinstance(content, dict) or not {"model_hash", "dataset_hash"} <= set(content) <= names:
            raise EmbeddingsError("provenance must name model_hash and dataset_hash and nothing unknown")
        for name, value in content.items():
            if not isinstance(value, str) or len(value) > _MAX_PROVENANCE_TEXT:
                raise EmbeddingsError(f"provenance field {name} is not a text of sane length")
        return cls(**content)


@dataclass
class Embeddings:
    """Vectors of places. ``len(emb)`` places; ``emb[rows]`` selects by slice, indices or mask.

    Attributes:
        place_id: (N,) distinct strings.
        vectors: (N, D) float32, finite.
        lonlat: (N, 2) float64 degrees, lon then lat; NaN where a place has no coordinates.
        geometry: (N,) shapely geometries (lon, lat) or None; coordinates without geometry become a point.
        names: (N,) raw OSM text or None: hostile input, show it as text only.
        view: what was looked at, such as ``map``.
        provenance: model and dataset.
    """

    place_id: Objects
    vectors: NDArray[np.float32]
    lonlat: Floats
    geometry: Objects
    names: Objects
    view: str
    provenance: Provenance

    def __repr__(self) -> str:
        return f"Embeddings({len(self)} places, dim={self.dim}, view={self.view!r})"

    def __post_init__(self) -> None:
        self.place_id = np.asarray(self.place_id, object)
        self.vectors = np.ascontiguousarray(self.vectors, np.float32)
        self.lonlat = np.asarray(self.lonlat, np.float64)
        self.geometry = _objects(self.geometry)
        self.names = _objects(self.names)
        _check(self)
        self.geometry = _with_points(self.geometry, self.lonlat)

    def __len__(self) -> int:
        return len(self.place_id)

    @property
    def dim(self) -> int:
        """Numbers in a vector."""
        return int(self.vectors.shape[1])

    def __getitem__(self, rows: slice | NDArray[Any] | Sequence[int]) -> Embeddings:
        """The places at ``rows``: a slice, (M,) indices or an (N,) mask, in that order."""
        if not isinstance(rows, slice):
            rows = np.asarray(rows)
            if (
                rows.ndim != 1
                or rows.dtype.kind not in "iub"
                or (rows.dtype == bool and len(rows) != len(self))
            ):
                raise EmbeddingsError(f"places are selected by a slice, indices or a mask of {len(self)}")
        return Embeddings(
            self.place_id[rows], self.vectors[rows], self.lonlat[rows], self.geometry[rows], self.names[rows],
            self.view, self.provenance,
        )  # fmt: skip

    def to_geodataframe(self) -> geopandas.GeoDataFrame:
        """One row a place: place_id, view, name, lon, lat, embedding and geometry, in EPSG:4326.

        ``embedding`` is one object column of (D,) float32 arrays: ``np.stack(frame["embedding"])`` is (N, D).
        Provenance is in ``frame.attrs["provenance"]``.
        """
        import geopandas

        columns = {
            "place_id": self.place_id,
            "view": self.view,
            "name": self.names,
            "lon": self.lonlat[:, 0],
            "lat": self.lonlat[:, 1],
            "embedding": _objects(list(self.vectors)),
        }
        frame = geopandas.GeoDataFrame(columns, geometry=list(self.geometry), crs=4326)
        frame.attrs["provenance"] = asdict(self.provenance)
        return frame

    def join(
        self,
        frame: pd.DataFrame,
        *,
        on: On | None = None,
        max_distance_m: float | None = None,
        unmatched: Unmatched = "nan",
        prefix: str = "v",
    ) -> pd.DataFrame:
        """``frame`` with the vectors of its rows' places as columns ``v000``, ``v001``, ...: features for other models.

        A GeoDataFrame may be in any CRS and hold points or polygons; a DataFrame has ``lon`` and ``lat`` columns in
        degrees, or ``place_id``. Rows meet places by ``place_id`` where there is that column, else by where they lie:

        - a polygon gets the mean of the vectors of all places whose centres it holds;
        - a point, and a polygon that holds no centre, gets the place whose footprint holds it (map tiles have one; the
          points of a grid have none), else the nearest place at most ``max_distance_m`` away.

        Args:
            frame: is left as it is.
            on: only ``place_id``, ``footprint`` or ``nearest``.
            max_distance_m: metres; by default the median distance between neighbouring places.
            unmatched: rows without a place keep NaN (``nan``), are left out (``drop``) or an InputError (``error``).
                A UserWarning counts them in the first two cases.
            prefix: of the new columns.

        Returns:
            A frame of the same kind and index, with ``place_id`` before the vectors where a row has one place and the
            frame has no such column. ``.attrs["join"]`` holds the numbers of rows and of unmatched rows, and
            ``farthest_m``.

        Raises:
            InputError: nothing to join by, no row with a place, columns of those names already there.
        """
        from placevec.matching import match, with_vectors

        matches = match(
            frame, self.place_id, self.geometry, self.lonlat, on=on, max_distance_m=max_distance_m
        )  # fmt: skip
        return with_vectors(frame, matches, self.vectors, self.place_id, unmatched=unmatched, prefix=prefix)

    def save(self, path: str | PathLike[str], dtype: StoredType = "float32") -> None:
        """Write GeoParquet, whole or not at all.

        ``float16`` halves the file at about three digits; ``int8`` quarters it, with an error of at most
        half of ``max |vector| / 127`` an entry.
        """
        if dtype not in _STORED:
            raise EmbeddingsError(f"vectors are stored as float32, float16 or int8, not {dtype!r}")
        stored, scale = _quantized(self.vectors, dtype)
        values = pa.array(stored.reshape(-1), _STORED[dtype])
        columns = {
            "place_id": pa.array(list(self.place_id), pa.string()),
            "view": pa.array([self.view] * len(self), pa.string()),
            "lon": pa.array(self.lonlat[:, 0], pa.float64()),
            "lat": pa.array(self.lonlat[:, 1], pa.float64()),
            "name": pa.array(list(self.names), pa.string()),
            "embedding": pa.FixedSizeListArray.from_arrays(values, self.dim),
        }
        ours = {
            "schema_version": SCHEMA_VERSION,
            "view": self.view,
            "scale": scale,
            "provenance": asdict(self.provenance),
        }
        split = ["embedding.list.element"] if dtype != "int8" else []
        write_geoparquet(
            path,
            columns,
            self.geometry,
            metadata={"placevec": ours, "stac": _stac(self, dtype, scale)},
            byte_stream_split=split,
        )

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Embeddings:
        """Read and validate.

        Raises:
            EmbeddingsError: in one line, when there is no such file, it is no Parquet table of vectors,
                holds vectors that are not finite or places twice, or its metadata makes no sense.
        """
        try:
            table, metadata = read_geoparquet(path, "table of embeddings")
            missing = {"place_id", "lon", "lat", "name", "embedding"} - set(table.column_names)
            if missing:
                raise EmbeddingsError(f"it lacks the columns {', '.join(sorted(missing))}")
            view, scale, provenance = _read_metadata(metadata)
            return cls(
                _strings(table, "place_id"),
                _vectors(table, scale),
                np.stack([_degrees(table, "lon"), _degrees(table, "lat")], axis=-1),
                _geometry(table),
                _strings(table, "name"),
                view,
                provenance,
            )
        except InputError as error:
            raise EmbeddingsError(str(error)) from error
        except EmbeddingsError as error:
            raise EmbeddingsError(f"{path} is not a table of embeddings that can be used: {error}") from error


def concat(tables: Sequence[Embeddings]) -> Embeddings:
    """All places of several tables, one after the other.

    Raises:
        EmbeddingsError: nothing to join, vectors of two models or views (both are named), a place twice.
    """
    if not tables:
        raise EmbeddingsError("there is no table of embeddings to join")
    first = tables[0]
    for other in tables[1:]:
        ours, theirs = first.provenance.model_hash, other.provenance.model_hash
        if ours != theirs or first.dim != other.dim:
            raise EmbeddingsError(
                f"vectors of two models cannot be mixed: {ours} ({first.dim} numbers) and {theirs} "
                f"({other.dim} numbers); embed all places with one model"
            )
        if first.view != other.view:
            raise EmbeddingsError(f"vectors of two views cannot be mixed: {first.view!r} and {other.view!r}")
    return Embeddings(
        np.concatenate([table.place_id for table in tables]),
        np.concatenate([table.vectors for table in tables]),
        np.concatenate([table.lonlat for table in tables]),
        np.concatenate([table.geometry for table in tables]),
        np.concatenate([table.names for table in tables]),
        first.view,
        _joined([table.provenance for table in tables]),
    )


def _joined(parts: Sequence[Provenance]) -> Provenance:
    """What is common stays; several datasets become the hash of their hashes, and no path."""
    first = parts[0]
    datasets = sorted({part.dataset_hash for part in parts})
    one = len(datasets) == 1
    return Provenance(
        model_hash=first.model_hash,
        dataset_hash=datasets[0] if one else sha256_of_json(datasets),
        model_path=first.model_path,
        dataset_path=first.dataset_path if one else "",
        attribution="; ".join(dict.fromkeys(part.attribution for part in parts if part.attribution)),
        created=max(part.created for part in parts),
        placevec_version=first.placevec_version,
    )


# --- checking ----------------------------------------------------------------------------------------------


def _objects(items: Any) -> Objects:
    """(N,) object array, whatever the items are (shapely and arrays would otherwise be unpacked)."""
    if isinstance(items, np.ndarray) and items.dtype == object and items.ndim == 1:
        return items
    filled = np.empty(len(items), object)
    filled[:] = list(items)
    return filled


def _shown(text: object) -> str:
    return repr(str(text)[:60])


def _check(emb: Embeddings) -> None:
    """EmbeddingsError unless shapes agree, vectors are finite and every place_id is a text of its own."""
    count = len(emb.place_id)
    if emb.vectors.ndim != 2 or not 1 <= emb.vectors.shape[1] <= MAX_DIM:
        raise EmbeddingsError(f"vectors must be (places, 1 to {MAX_DIM} numbers); got {emb.vectors.shape}")
    shapes = (len(emb.vectors), emb.lonlat.shape, len(emb.geometry), len(emb.names))
    if shapes != (count, (count, 2), count, count):
        raise EmbeddingsError(
            f"columns disagree: {count} place_ids, but {shapes} vectors, lonlat, geometry, names"
        )
    seen: set[str] = set()
    for row, name in enumerate(emb.place_id):
        if not isinstance(name, str) or not name:
            raise EmbeddingsError(f"row {row} has no place_id")
        if name in seen:
            raise EmbeddingsError(f"place_id {_shown(name)} occurs more than once")
        seen.add(name)
    finite = np.isfinite(emb.vectors).all(axis=1)
    if not finite.all():
        row = int(np.flatnonzero(~finite)[0])
        raise EmbeddingsError(
            f"{int((~finite).sum())} of {count} vectors hold values that are not finite, "
            f"the first at place {_shown(emb.place_id[row])}"
        )
    known = ~np.isnan(emb.lonlat).all(axis=1)
    lon, lat = emb.lonlat[known, 0], emb.lonlat[known, 1]
    wrong = ~((np.abs(lon) <= 180) & (np.abs(lat) <= 90))
    if wrong.any():
        row = int(np.flatnonzero(known)[np.flatnonzero(wrong)[0]])
        lon_of, lat_of = emb.lonlat[row]
        raise EmbeddingsError(
            f"place {_shown(emb.place_id[row])} is not on Earth: lon={lon_of}, lat={lat_of}"
        )


def _with_points(geometry: Objects, lonlat: Floats) -> Objects:
    import shapely

    bare = np.isfinite(lonlat).all(axis=1) & np.array([item is None for item in geometry], bool)
    if not bare.any():
        return geometry
    filled = geometry.copy()
    filled[bare] = shapely.points(lonlat[bare])
    return filled


# --- reading -----------------------------------------------------------------------------------------------


def _read_metadata(metadata: dict[str, Any]) -> tuple[str, float | None, Provenance]:
    """(view, int8 scale or None, provenance) from the ``placevec`` entry."""
    ours = metadata.get("placevec")
    if not isinstance(ours, dict):
        raise EmbeddingsError("it has no 'placevec' metadata; write it with Embeddings.save")
    if ours.get("schema_version") != SCHEMA_VERSION:
        remedy = "embed again with this one"
        raise EmbeddingsError(other_schema("it", ours.get("schema_version"), SCHEMA_VERSION, remedy))
    view, scale = ours.get("view"), ours.get("scale")
    if not isinstance(view, str) or not 0 < len(view) <= 200:
        raise EmbeddingsError("its metadata names no view")
    if scale is not None and not (
        isinstance(scale, int | float) and not isinstance(scale, bool) and math.isfinite(scale) and scale > 0
    ):
        raise EmbeddingsError(f"its int8 scale is {str(scale)[:20]}, not a positive number")
    return view, None if scale is None else float(scale), Provenance.from_dict(ours.get("provenance"))


def _strings(table: pa.Table, name: str) -> Objects:
    column = table[name]
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        raise EmbeddingsError(f"its column {name} holds {column.type}, not text")
    return _objects(column.to_pylist())


def _degrees(table: pa.Table, name: str) -> Floats:
    column = table[name]
    if not pa.types.is_floating(column.type):
        raise EmbeddingsError(f"its column {name} holds {column.type}, not degrees")
    return np.asarray(column.to_numpy(zero_copy_only=False), np.float64)


def _geometry(table: pa.Table) -> Objects:
    try:
        return _objects(geometry_of(table))
    except InputError as error:
        raise EmbeddingsError(str(error)) from error


def _vectors(table: pa.Table, scale: float | None) -> NDArray[np.float32]:
    column = table["embedding"].combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    if not pa.types.is_fixed_size_list(column.type) or column.type.value_type not in _STORED.values():
        raise EmbeddingsError(
            f"its column embedding holds {column.type}, not a fixed-size list of float32, float16 or int8"
        )
    values = column.flatten()  # leaves out null rows, which the length then shows
    size = int(column.type.list_size)
    if column.null_count or values.null_count or len(values) != len(column) * size:
        raise EmbeddingsError("some of its vectors are missing")
    if (values.type == pa.int8()) != (scale is not None):
        raise EmbeddingsError(f"its vectors are {values.type}, which does not go with int8 scale {scale}")
    stored: NDArray[Any] = values.to_numpy(zero_copy_only=False).reshape(len(column), size)
    vectors = stored.astype(np.float32)
    return vectors if scale is None else np.multiply(vectors, np.float32(scale), dtype=np.float32)


# --- writing -----------------------------------------------------------------------------------------------


def _quantized(vectors: NDArray[np.float32], dtype: StoredType) -> tuple[NDArray[Any], float | None]:
    """(what is stored, int8 scale or None)."""
    if dtype == "float32":
        return vectors, None
    largest = float(np.abs(vectors).max(initial=0.0))
    if dtype == "float16":
        if largest > float(np.finfo(np.float16).max):
            raise EmbeddingsError(f"entries up to {largest:g} do not fit float16; store float32 or int8")
        return vectors.astype(np.float16), None
    scale = float(np.float32(largest / 127.0)) or 1.0
    return np.clip(np.rint(vectors / np.float32(scale)), -127, 127).astype(np.int8), scale


def _stac(emb: Embeddings, dtype: StoredType, scale: float | None) -> dict[str, Any]:
    """The STAC fields. A place is a ``chip``: one vector for a footprint, the extension's nearest word."""
    content: dict[str, Any] = {
        "stac_extensions": [STAC_EXTENSION],
        "emb:type": "chip",
        "emb:dimensions": emb.dim,
        "data_type": dtype,
        "processing:datetime": emb.provenance.created,
        "links": [
            {"rel": "emb:model", "href": emb.provenance.model_path, "title": emb.provenance.model_hash},
            {
                "rel": "emb:source-data",
                "href": emb.provenance.dataset_path,
                "title": emb.provenance.dataset_hash,
            },
        ],
    }
    if dtype != "float32":
        content["emb:quantization"] = {
            "method": "symmetric linear" if scale else "rounding",
            "original_dtype": "float32",
            "quantized_dtype": dtype,
            "scale": [scale if scale else 1.0],
            "offset": [0.0],
        }
    return content
