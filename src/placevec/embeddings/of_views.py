"""The vectors of several views of the same places: one table per view, one file for all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from placevec.core import FUSED
from placevec.embeddings.columns import STORED, ViewColumn, metadata_of_views, quantized
from placevec.embeddings.provenance import Provenance
from placevec.embeddings.table import Embeddings, columns_of, load_tables
from placevec.errors import EmbeddingsError, UsageError
from placevec.geo.geoparquet import write_geoparquet
from placevec.options.choices import StoredType

if TYPE_CHECKING:
    import geopandas
    import pandas as pd


class EmbeddingsOfViews:
    """Vectors of places in several views, one `Embeddings` per view. A place without data in a view has no row there.

    ``len`` counts all rows; iterating yields the names of the views.

    Args:
        tables: view -> its vectors, all from one model and one dataset.

    Raises:
        EmbeddingsError: no tables, or tables from different models or datasets.

    >>> from placevec.embeddings import Provenance
    >>> none, made = np.array([None], object), Provenance("model", "dataset")
    >>> def table(view: str) -> Embeddings:
    ...     return Embeddings(["a"], [[1.0, 0.0]], [[24.9, 60.2]], none, none, view, made)
    >>> tables = {view: table(view) for view in ("map", "text")}
    >>> both = EmbeddingsOfViews(tables)
    >>> both.views, both.of("text").view, len(both)
    (('map', 'text'), 'text', 2)
    """

    def __init__(self, tables: Mapping[str, Embeddings]) -> None:
        self.tables = dict(tables)
        if not self.tables:
            raise EmbeddingsError("there are no vectors in any view")
        for name, table in self.tables.items():
            if table.view != name:
                raise EmbeddingsError(f"the vectors of view {table.view!r} are listed as {name!r}")
        made = {(t.provenance.model_hash, t.provenance.dataset_hash) for t in self.tables.values()}
        if len(made) > 1:
            raise EmbeddingsError("vectors of two models or two datasets cannot be mixed")

    def __repr__(self) -> str:
        parts = ", ".join(f"{name}: {len(table)} x {table.dim}" for name, table in self.tables.items())
        return f"EmbeddingsOfViews({parts})"

    def _repr_html_(self) -> str:
        """What notebooks show: each view."""
        return "".join(table._repr_html_() for table in self.tables.values())

    def __len__(self) -> int:
        return sum(map(len, self.tables.values()))

    def __iter__(self) -> Iterator[str]:
        return iter(self.tables)

    @property
    def provenance(self) -> Provenance:
        """Model and dataset, the same for all views."""
        return next(iter(self.tables.values())).provenance

    @property
    def dims(self) -> dict[str, int]:
        """View -> length of its vectors."""
        return {name: table.dim for name, table in self.tables.items()}

    @property
    def views(self) -> tuple[str, ...]:
        """Names of the views, including ``fused`` if there is a fusion."""
        return tuple(self.tables)

    def of(self, view: str | None = None) -> Embeddings:
        """The vectors of one view: the given one, by default ``fused``, or else the only one.

        Raises:
            UsageError: an unknown view, or no view given although there are several and no fusion.
        """
        if view is None:
            view = (
                FUSED if FUSED in self.tables else next(iter(self.tables)) if len(self.tables) == 1 else None
            )
        if view is None:
            raise UsageError(
                f"these vectors have several views ({', '.join(self.tables)}): choose one with --view"
            )
        if view not in self.tables:
            raise UsageError(f"there are no vectors of view {view!r}: choose from {', '.join(self.tables)}")
        return self.tables[view]

    def join(self, frame: pd.DataFrame, **options: Any) -> pd.DataFrame:
        """``frame`` with the vectors of `of` as columns; options as in `Embeddings.join`."""
        return self.of().join(frame, **options)

    def to_geodataframe(self) -> geopandas.GeoDataFrame:
        """One row per place and view, see `Embeddings.to_geodataframe`."""
        import geopandas
        import pandas as pd

        frames = [table.to_geodataframe() for table in self.tables.values()]
        attrs = frames[0].attrs
        for frame in frames:
            frame.attrs = {}
        joined = geopandas.GeoDataFrame(pd.concat(frames, ignore_index=True), crs=4326)
        joined.attrs = attrs
        return joined

    def save(self, path: str | PathLike[str], dtype: StoredType = "float32") -> None:
        """Write one GeoParquet file atomically: one row per place and view.

        Vectors of different lengths are padded with zeros to the longest; the metadata holds the length for each view.
        """
        if dtype not in STORED:
            raise EmbeddingsError(f"vectors are stored as float32, float16 or int8; got {dtype!r}")
        widest = max(table.dim for table in self.tables.values())
        parts, views = [], []
        for table in self.tables.values():
            stored, scale = quantized(table.vectors, dtype)
            views.append(ViewColumn(table.view, table.dim, scale))
            padded: NDArray[np.generic] = np.zeros((len(table), widest), stored.dtype)
            padded[:, : table.dim] = stored
            parts.append(columns_of(table, padded, dtype))
        columns = {name: pa.concat_arrays([part[name] for part in parts]) for name in parts[0]}
        geometry = np.concatenate([table.geometry for table in self.tables.values()])
        write_geoparquet(
            path, columns, geometry, metadata=metadata_of_views(views, self.provenance, widest, dtype),
            byte_stream_split=["embedding.list.element"] if dtype != "int8" else [],
        )  # fmt: skip
        for table in self.tables.values():
            table.path = Path(path)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> EmbeddingsOfViews:
        """Read and validate a file of one view or several; EmbeddingsError in one line, see `Embeddings.load`."""
        return cls({table.view: table for table in load_tables(path)})
