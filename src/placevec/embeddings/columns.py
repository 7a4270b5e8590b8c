"""Columns and metadata of a table's file: read, checked and prepared for writing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from os import PathLike, fspath, stat
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from placevec.embeddings.provenance import Provenance
from placevec.errors import EmbeddingsError, InputError, SourceError, other_schema
from placevec.geo import Floats
from placevec.geo.geoparquet import geometry_of
from placevec.geo.parquet_bounds import FREE_BYTES, MAX_EXPANSION, check_unpacked
from placevec.io import parquet
from placevec.options.choices import StoredType

Objects = np.ndarray[Any, np.dtype[np.object_]]

SCHEMA_VERSION = 1
MAX_DIM = 65_536
"""Maximum length of a vector."""
STAC_EXTENSION = "https://stac-extensions.github.io/embeddings/v0.0.1/schema.json"
STORED: dict[str, Any] = {"float32": pa.float32(), "float16": pa.float16(), "int8": pa.int8()}
"""Stored dtype -> Arrow type."""


def objects(items: Any) -> Objects:
    """(N,) object array of any items (numpy would unpack shapely geometries and arrays).

    >>> objects(["a", None]).tolist(), objects([[1, 2], [3]]).shape
    (['a', None], (2,))
    """
    if isinstance(items, np.ndarray) and items.dtype == object and items.ndim == 1:
        return items
    filled = np.empty(len(items), object)
    filled[:] = list(items)
    return filled


@dataclass(frozen=True)
class ViewColumn:
    """One view of a file of vectors: its name, the length of its vectors, and the scale of int8.

    ``dim`` is None if the file gives it only as the width of the column.
    """

    name: str
    dim: int | None
    scale: float | None


def read_views(metadata: dict[str, Any]) -> tuple[list[ViewColumn], Provenance]:
    """(the views in a file, provenance) from the ``placevec`` entry."""
    ours = metadata.get("placevec")
    if not isinstance(ours, dict):
        raise EmbeddingsError("there is no 'placevec' metadata; write the file with Embeddings.save")
    if ours.get("schema_version") != SCHEMA_VERSION:
        remedy = "embed the places again with this version"
        raise EmbeddingsError(other_schema("it", ours.get("schema_version"), SCHEMA_VERSION, remedy))
    listed = ours.get("views")
    if listed is None:
        views = [_view_column(ours.get("view"), None, ours.get("scale"))]
    else:
        if not isinstance(listed, list) or not listed or not all(isinstance(one, dict) for one in listed):
            raise EmbeddingsError("the metadata lists no views")
        views = [_view_column(one.get("name"), one.get("dim"), one.get("scale")) for one in listed]
        if len({view.name for view in views}) < len(views) or any(view.dim is None for view in views):
            raise EmbeddingsError(
                "the metadata lists a view twice, or a view without the length of its vectors"
            )
    return views, Provenance.from_dict(ours.get("provenance"))


def _view_column(name: Any, dim: Any, scale: Any) -> ViewColumn:
    if not isinstance(name, str) or not 0 < len(name) <= 200:
        raise EmbeddingsError("the metadata has no name for a view")
    if dim is not None and (not isinstance(dim, int) or isinstance(dim, bool) or not 1 <= dim <= MAX_DIM):
        raise EmbeddingsError(
            f"the metadata gives the vectors of view {name!r} an invalid length: {str(dim)[:20]}"
        )
    if scale is not None and not (
        isinstance(scale, int | float) and not isinstance(scale, bool) and math.isfinite(scale) and scale > 0
    ):
        raise EmbeddingsError(f"the int8 scale must be a positive number; got {str(scale)[:20]}")
    return ViewColumn(name, dim, None if scale is None else float(scale))


def read_texts(table: pa.Table, name: str) -> Objects:
    """(N,) the strings of a column, None if missing; EmbeddingsError for another type.

    >>> read_texts(pa.table({"name": pa.array(["Esplanadi", None])}), "name").tolist()
    ['Esplanadi', None]
    """
    column = table[name]
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        raise EmbeddingsError(f"column {name} must be text; it is {column.type}")
    return objects(column.to_pylist())


def read_degrees(table: pa.Table, name: str) -> Floats:
    """(N,) float64 from a column of lon or lat; EmbeddingsError for another type.

    >>> read_degrees(pa.table({"lon": pa.array([24.9, None])}), "lon").tolist()
    [24.9, nan]
    """
    column = table[name]
    if not pa.types.is_floating(column.type):
        raise EmbeddingsError(f"column {name} must be degrees as numbers; it is {column.type}")
    return np.asarray(column.to_numpy(zero_copy_only=False), np.float64)


def read_geometry(table: pa.Table) -> Objects:
    """(N,) shapely geometries or None; EmbeddingsError for damaged ones."""
    try:
        return objects(geometry_of(table))
    except InputError as error:
        raise EmbeddingsError(str(error)) from error


_ROWS_AT_ONCE = 8192


def stream_vectors(
    path: str | PathLike[str],
    views: Sequence[ViewColumn],
    rows: Sequence[NDArray[np.int64] | None],
    count: int,
) -> list[NDArray[np.float32]]:
    """The (N, D) vectors of each view, int8 multiplied by its scale, unpacked a few thousand rows at a time.

    Args:
        path: Parquet file with a column embedding.
        views: views of the file.
        rows: sorted rows of each view; None: all.
        count: number of rows.

    Raises:
        EmbeddingsError: missing vectors, or another type.
        SourceError: the file is damaged.
    """
    try:
        check_unpacked(fspath(path), ["embedding"])
        with parquet.opened(path, buffer_size=2**20, pre_buffer=False) as file:
            kind = file.schema_arrow.field("embedding").type
            if not pa.types.is_fixed_size_list(kind) or kind.value_type not in STORED.values():
                raise EmbeddingsError(
                    f"column embedding must be a fixed-size list of float32, float16 or int8; it is {kind}"
                )
            _check_room(path, views, rows, count, int(kind.list_size))
            found = [
                _room(view, kind, count if own is None else len(own))
                for view, own in zip(views, rows, strict=True)
            ]
            start = 0
            for batch in file.iter_batches(_ROWS_AT_ONCE, columns=["embedding"]):
                block = _numbers(batch.column(0))
                for view, own, target in zip(views, rows, found, strict=True):
                    at, chosen = slice(start, start + len(block)), block
                    if own is not None:
                        at = slice(*np.searchsorted(own, (start, start + len(block))).tolist())
                        chosen = block[own[at] - start]
                    target[at] = chosen[:, : target.shape[1]]
                    if view.scale is not None:
                        target[at] *= np.float32(view.scale)
                start += len(block)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise SourceError(f"{path} is not a Parquet table of embeddings, or is damaged") from error
    return found


def _check_room(
    path: str | PathLike[str],
    views: Sequence[ViewColumn],
    rows: Sequence[NDArray[np.int64] | None],
    count: int,
    width: int,
) -> None:
    """SourceError if the vectors, as float32, take more than any table of the file's size holds."""
    wanted = sum(
        4 * (view.dim or width) * (count if own is None else len(own))
        for view, own in zip(views, rows, strict=True)
    )
    size = stat(path).st_size
    if wanted > FREE_BYTES + MAX_EXPANSION * size:
        raise SourceError(
            f"{path} has {size:,} bytes but would decompress to vectors of {wanted:,} bytes, which is implausible"
        )


def _room(view: ViewColumn, kind: pa.DataType, count: int) -> NDArray[np.float32]:
    size = int(kind.list_size)
    if view.dim is not None and view.dim > size:
        raise EmbeddingsError(f"the vectors have {size} dimensions, but the metadata says {view.dim}")
    if (kind.value_type == pa.int8()) != (view.scale is not None):
        raise EmbeddingsError(f"vectors of type {kind.value_type} do not match int8 scale {view.scale}")
    return np.empty((count, view.dim or size), np.float32)


def _numbers(column: pa.FixedSizeListArray) -> NDArray[Any]:
    """(M, D) numbers of some rows, as they are stored."""
    values, size = column.flatten(), int(column.type.list_size)  # which drops null rows
    if column.null_count or values.null_count or len(values) != len(column) * size:
        raise EmbeddingsError("some vectors are missing")
    numbers: NDArray[Any] = values.to_numpy(zero_copy_only=False).reshape(len(column), size)
    return numbers


# --- writing -----------------------------------------------------------------------------------------------


def quantized(vectors: NDArray[np.float32], dtype: StoredType) -> tuple[NDArray[Any], float | None]:
    """(stored array, int8 scale or None).

    >>> stored, scale = quantized(np.array([[1.0, -2.0]], np.float32), "int8")
    >>> stored.tolist(), round(scale, 4)
    ([[64, -127]], 0.0157)
    """
    if dtype == "float32":
        return vectors, None
    largest = float(np.abs(vectors).max(initial=0.0))
    if dtype == "float16":
        if largest > float(np.finfo(np.float16).max):
            raise EmbeddingsError(
                f"values up to {largest:g} are out of range for float16; store float32 or int8"
            )
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
    """The entries ``placevec`` and ``stac`` for a file of several views with a column ``dim`` numbers wide."""
    ours = {
        "schema_version": SCHEMA_VERSION,
        "views": [asdict(view) for view in views],
        "provenance": asdict(provenance),
    }
    return {"placevec": ours, "stac": _stac(provenance, dim, dtype, views[0].scale)}


def _stac(provenance: Provenance, dim: int, dtype: StoredType, scale: float | None) -> dict[str, Any]:
    """The STAC fields. A place is a ``chip``: one vector per footprint, the closest term of the extension."""
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
