"""Writes vectors as they are computed: a table of any number of points in constant memory."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from placevec.embeddings.columns import STORED, metadata_of
from placevec.embeddings.provenance import Provenance
from placevec.errors import EmbeddingsError
from placevec.geo import Floats
from placevec.geo.geoparquet import geo_of_points, wkb_points
from placevec.io import parquet
from placevec.io.atomic import replacing
from placevec.options.choices import StoredType


class EmbeddingsWriter:
    """Writes the same table as `Embeddings.save`, for points, batch by batch and atomically.

    Args:
        path: the file.
        dim: length of a vector.
        view: name of the view.
        provenance: model and table of points.
        dtype: dtype of the stored numbers.
        largest: for int8, the largest absolute value that will occur.

    Use it as a context manager: the file exists if the block ends without an error.

    >>> import tempfile
    >>> import pyarrow.parquet as pq
    >>> file = Path(tempfile.mkdtemp()) / "points.parquet"
    >>> with EmbeddingsWriter(file, 2, "coordinates", Provenance("m", "d"), "float32") as writer:
    ...     vectors = np.array([[0.5, 1.0]], np.float32)
    ...     writer.write(pa.array(["a"]), pa.array(["Station"]), np.array([[24.9, 60.2]]), vectors)
    >>> pq.read_table(file)["embedding"].to_pylist()
    [[0.5, 1.0]]
    """

    def __init__(
        self, path: Path, dim: int, view: str, provenance: Provenance, dtype: StoredType, largest: float = 0.0
    ) -> None:
        self.dim, self.view, self.provenance, self.dtype = dim, view, provenance, dtype
        self.scale = (float(np.float32(largest / 127.0)) or 1.0) if dtype == "int8" else None
        self.count = 0
        self._bounds = [math.inf, math.inf, -math.inf, -math.inf]
        self._schema = pa.schema([
            ("place_id", pa.string()), ("view", pa.string()), ("lon", pa.float64()), ("lat", pa.float64()),
            ("name", pa.string()), ("embedding", pa.list_(STORED[dtype], dim)), ("geometry", pa.binary()),
        ])  # fmt: skip
        self._replacing = replacing(path)

    def __enter__(self) -> EmbeddingsWriter:
        temporary = self._replacing.__enter__()
        split = ["embedding.list.element"] if self.dtype != "int8" else []
        self._file = parquet.ParquetWriter(
            temporary,
            self._schema,
            use_dictionary=["view"],
            use_byte_stream_split=list(split) or False,
        )
        return self

    def write(
        self, place_id: pa.Array, names: pa.Array, lonlat: Floats, vectors: NDArray[np.float32]
    ) -> None:
        """Add (N,) places at (N, 2) lon, lat degrees with their (N, D) vectors."""
        if not len(vectors):
            return
        values = pa.array(self._stored(vectors).reshape(-1), STORED[self.dtype])
        columns = [
            place_id, pa.array([self.view]).take(pa.array(np.zeros(len(vectors), np.int32))),
            pa.array(lonlat[:, 0]), pa.array(lonlat[:, 1]), names,
            pa.FixedSizeListArray.from_arrays(values, self.dim), wkb_points(lonlat[:, 0], lonlat[:, 1]),
        ]  # fmt: skip
        self._file.write_table(pa.Table.from_arrays(columns, schema=self._schema))
        low, high = lonlat.min(axis=0), lonlat.max(axis=0)
        self._bounds = [
            *np.minimum(self._bounds[:2], low).tolist(), *np.maximum(self._bounds[2:], high).tolist()
        ]  # fmt: skip
        self.count += len(vectors)

    def _stored(self, vectors: NDArray[np.float32]) -> NDArray[Any]:
        if not np.isfinite(vectors).all():
            raise EmbeddingsError("the model returned vectors that are not finite")
        if self.scale is not None:
            whole: NDArray[Any] = np.clip(np.rint(vectors / np.float32(self.scale)), -127, 127).astype(
                np.int8
            )
            return whole
        stored: NDArray[Any] = vectors.astype(self.dtype)
        if not np.isfinite(stored).all():
            raise EmbeddingsError(
                f"values up to {np.abs(vectors).max():g} are out of range for float16; store float32 or int8"
            )
        return stored

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            told = {
                "geo": geo_of_points(self._bounds),
                **metadata_of(self.view, self.provenance, self.dim, self.dtype, self.scale),
            }
            self._file.add_key_value_metadata(
                {name: json.dumps(content, ensure_ascii=False) for name, content in told.items()}
            )
        self._file.close()
        self._replacing.__exit__(kind, error, trace)
