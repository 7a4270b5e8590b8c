"""What the columns and the metadata of a table's file hold: read and checked, and made for writing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from placevec.embeddings.provenance import Provenance
from placevec.errors import EmbeddingsError, InputError, other_schema
from placevec.geo import Floats
from placevec.geo.geoparquet import geometry_of
from placevec.options.choices import StoredType

Objects = np.ndarray[Any, np.dtype[np.object_]]

SCHEMA_VERSION = 1
MAX_DIM = 65_536
"""Numbers in a vector."""
STAC_EXTENSION = "https://stac-extensions.github.io/embeddings/v0.0.1/schema.json"
STORED: dict[str, Any] = {"float32": pa.float32(), "float16": pa.float16(), "int8": pa.int8()}
"""How vectors may be stored -> Arrow's type."""


def objects(items: Any) -> Objects:
    """(N,) object array, whatever the items are (shapely and arrays would otherwise be unpacked)."""
    if isinstance(items, np.ndarray) and items.dtype == object and items.ndim == 1:
        return items
    filled = np.empty(len(items), object)
    filled[:] = list(items)
    return filled


@dataclass(frozen=True)
class ViewColumn:
    """One view of a file of vectors: its name, the length of its vectors, and the scale of int8.

    ``dim`` is None in files that name it nowhere else than in the width of the column.
    """

    name: str
    dim: int | None
    scale: float | None


def read_views(metadata: dict[str, Any]) -> tuple[list[ViewColumn], Provenance]:
    """(the views that a file holds, provenance) from the ``placevec`` entry."""
    ours = metadata.get("placevec")
    if not isinstance(ours, dict):
        raise EmbeddingsError("it has no 'placevec' metadata; write it with Embeddings.save")
    if ours.get("schema_version") != SCHEMA_VERSION:
        remedy = "embed again with this one"
        raise EmbeddingsError(other_schema("it", ours.get("schema_version"), SCHEMA_VERSION, remedy))
    listed = ours.get("views")
    if listed is None:
        views = [_view_column(ours.get("view"), None, ours.get("scale"))]
    else:
        if not isinstance(listed, list) or not listed or not all(isinstance(one, dict) for one in listed):
            raise EmbeddingsError("its metadata names no views")
        views = [_view_column(one.get("name"), one.get("dim"), one.get("scale")) for one in listed]
        if len({view.name for view in views}) < len(views) or any(view.dim is None for view in views):
            raise EmbeddingsError("its metadata names a view twice, or one without the length of its vectors")
    return views, Provenance.from_dict(ours.get("provenance"))


def _view_column(name: Any, dim: Any, scale: Any) -> ViewColumn:
    if not isinstance(name, str) or not 0 < len(name) <= 200:
        raise EmbeddingsError("its metadata names no view")
    if dim is not None and (not isinstance(dim, int) or isinstance(dim, bool) or not 1 <= dim <= MAX_DIM):
        raise EmbeddingsError(f"the vectors of its view {name!r} have {str(dim)[:20]} numbers")
    if scale is not None and not (
        isinstance(scale, int | float) and not isinstance(scale, bool) and math.isfinite(scale) and scale > 0
    ):
        raise EmbeddingsError(f"its int8 scale is {str(scale)[:20]}, not a positive number")
    return ViewColumn(name, dim, None if scale is None else float(scale))


def read_texts(table: pa.Table, name: str) -> Objects:
    """(N,) the texts of a column, None where there is none; EmbeddingsError for another type."""
    column = table[name]
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        raise EmbeddingsError(f"its column {name} holds {column.type}, not text")
    return objects(column.to_pylist())


def read_degrees(table: pa.Table, name: str) -> Floats:
    """(N,) float64 of a column of lon or lat; EmbeddingsError for another type."""
    column = table[name]
    if not pa.types.is_floating(column.type):
        raise EmbeddingsError(f"its column {name} holds {column.type}, not degrees")
    return np.asarray(column.to_numpy(zero_copy_only=False), np.float64)


def read_geometry(table: pa.Table) -> Objects:
    """(N,) shapely geometries or None; EmbeddingsError for damaged ones."""
    try:
        return objects(geometry_of(table))
    except InputError as error:
        raise EmbeddingsError(str(error)) from error


def read_vectors(table: pa.Table, scale: float | None, dim: int | None = None) -> NDArray[np.float32]:
    """(N, D) the vectors, int8 multiplied by its scale, the first ``dim`` numbers of each where that is given.

    EmbeddingsError for missing ones or another type.
    """
    column = table["embedding"].combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    if not pa.types.is_fixed_size_list(column.type) or column.type.value_type not in STORED.values():
        raise EmbeddingsError(
            f"its column embedding holds {column.type}, not a fixed-size list of float32, float16 or int8"
        )
    values = column.flatten()  # leaves out null rows, which the length then shows
    size = int(column.type.list_size)
    if dim is not None and dim > size:
        raise EmbeddingsError(f"its vectors have {size} numbers, its metadata says {dim}")
    if column.null_count or values.null_count or len(values) != len(column) * size:
        raise EmbeddingsError("some of its vectors are missing")
    if (values.type == pa.int8()) != (scale is not None):
        raise EmbeddingsError(f"its vectors are {values.type}, which does not go with int8 scale {scale}")
    stored: NDArray[Any] = values.to_numpy(zero_copy_only=False).reshape(len(column), size)[:, :dim]
    vectors = stored.astype(np.float32)
    return vectors if scale is None else np.multiply(vectors, np.float32(scale), dtype=np.float32)


# --- writing -----------------------------------------------------------------------------------------------


def quantized(vectors: NDArray[np.float32], dtype: StoredType) -> tuple[NDArray[Any], float | None]:
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


def metadata_of(
    view: str, provenance: Provenance, dim: int, dtype: StoredType, scale: float | None
) -> dict[str, dict[str, Any]]:
    """The entries ``placevec`` and ``stac``."""
    ours = {
        "schema_version": SCHEMA_VERSION,
        "view": view,
        "scale": scale,
        "provenance": asdict(provenance),
    }
    return {"placevec": ours, "stac": _stac(provenance, dim, dtype, scale)}


def metadata_of_views(
    views: Sequence[ViewColumn], provenance: Provenance, dim: int, dtype: StoredType
) -> dict[str, dict[str, Any]]:
    """The entries ``placevec`` and ``stac`` of a file of several views, whose column is ``dim`` numbers wide."""
    ours = {
        "schema_version": SCHEMA_VERSION,
        "views": [asdict(view) for view in views],
        "provenance": asdict(provenance),
    }
    return {"placevec": ours, "stac": _stac(provenance, dim, dtype, views[0].scale)}


def _stac(provenance: Provenance, dim: int, dtype: StoredType, scale: float | None) -> dict[str, Any]:
    """The STAC fields. A place is a ``chip``: one vector for a footprint, the extension's nearest word."""
    content: dict[str, Any] = {
        "stac_extensions": [STAC_EXTENSION],
        "emb:type": "chip",
        "emb:dimensions": dim,
        "data_type": dtype,
        "processing:datetime": provenance.created,
        "links": [
            {"rel": "emb:model", "href": provenance.model_path, "title": provenance.model_hash},
            {
                "rel": "emb:source-data",
                "href": provenance.dataset_path,
                "title": provenance.dataset_hash,
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
