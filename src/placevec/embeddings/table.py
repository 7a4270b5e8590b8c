"""The table of vectors: checked when it is made, selected from, joined to other tables, saved and loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from placevec.embeddings.columns import (
    MAX_DIM,
    STORED,
    Objects,
    ViewColumn,
    metadata_of,
    objects,
    quantized,
    read_degrees,
    read_geometry,
    read_texts,
    read_vectors,
    read_views,
)
from placevec.embeddings.provenance import Provenance, joined
from placevec.errors import EmbeddingsError, InputError, UsageError
from placevec.geo import Floats
from placevec.geo.geoparquet import read_geoparquet, write_geoparquet
from placevec.options.choices import StoredType

if TYPE_CHECKING:
    import geopandas
    import pandas as pd

    from placevec.embeddings.matching import On, Unmatched


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
        self.geometry = objects(self.geometry)
        self.names = objects(self.names)
        _check(self)
        self.geometry = _with_points(self.geometry, self.lonlat)

    def __len__(self) -> int:
        return len(self.place_id)

    @property
    def dim(self) -> int:
        """Numbers in a vector."""
        return int(self.vectors.shape[1])

    @property
    def views(self) -> tuple[str, ...]:
        """The one view, as `EmbeddingsOfViews` names several."""
        return (self.view,)

    @property
    def dims(self) -> dict[str, int]:
        """View -> numbers in a vector."""
        return {self.view: self.dim}

    def of(self, view: str | None = None) -> Embeddings:
        """These vectors; UsageError where ``view`` names another view than theirs."""
        if view not in (None, self.view):
            raise UsageError(f"there are no vectors of the view {view!r}: there are {self.view}")
        return self

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
            "embedding": objects(list(self.vectors)),
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

        - a polygon gets the mean of the vectors of all places whose centers it holds;
        - a point, and a polygon that holds no center, gets the place whose footprint holds it (map tiles have one; the
          points of a grid have none), else the nearest place at most ``max_distance_m`` away.

        Args:
            frame: is left as it is.
            on: only ``place_id``, ``footprint`` or ``nearest``.
            max_distance_m: meters; by default the median distance between neighboring places.
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
        from placevec.embeddings.matching import match, with_vectors

        matches = match(
            frame, self.place_id, self.geometry, self.lonlat, on=on, max_distance_m=max_distance_m
        )  # fmt: skip
        return with_vectors(frame, matches, self.vectors, self.place_id, unmatched=unmatched, prefix=prefix)

    def save(self, path: str | PathLike[str], dtype: StoredType = "float32") -> None:
        """Write GeoParquet, whole or not at all.

        ``float16`` halves the file at about three digits; ``int8`` quarters it, with an error of at most
        half of ``max |vector| / 127`` an entry.
        """
        if dtype not in STORED:
            raise EmbeddingsError(f"vectors are stored as float32, float16 or int8, not {dtype!r}")
        stored, scale = quantized(self.vectors, dtype)
        columns = columns_of(self, stored, dtype)
        split = ["embedding.list.element"] if dtype != "int8" else []
        write_geoparquet(
            path,
            columns,
            self.geometry,
            metadata=metadata_of(self.view, self.provenance, self.dim, dtype, scale),
            byte_stream_split=split,
        )

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Embeddings:
        """Read and validate a file of one view; `placevec.embeddings.load` reads any.

        Raises:
            EmbeddingsError: in one line, when there is no such file, it is no Parquet table of vectors,
                holds vectors that are not finite or places twice, or its metadata makes no sense.
        """
        try:
            table, metadata = read_geoparquet(path, "table of embeddings")
            views, provenance = read_views(metadata)
            if len(views) > 1:
                names = ", ".join(view.name for view in views)
                raise EmbeddingsError(f"it holds vectors of several views ({names}): choose one with --view")
            return load_columns(table, views[0], provenance)
        except InputError as error:
            raise EmbeddingsError(str(error)) from error
        except EmbeddingsError as error:
            raise EmbeddingsError(f"{path} is not a table of embeddings that can be used: {error}") from error


def load_columns(table: pa.Table, view: ViewColumn, provenance: Provenance) -> Embeddings:
    """The vectors of one view out of the rows of a file; EmbeddingsError for missing or damaged columns."""
    missing = {"place_id", "lon", "lat", "name", "embedding"} - set(table.column_names)
    if missing:
        raise EmbeddingsError(f"it lacks the columns {', '.join(sorted(missing))}")
    return Embeddings(
        read_texts(table, "place_id"),
        read_vectors(table, view.scale, view.dim),
        np.stack([read_degrees(table, "lon"), read_degrees(table, "lat")], axis=-1),
        read_geometry(table),
        read_texts(table, "name"),
        view.name,
        provenance,
    )


def columns_of(table: Embeddings, stored: NDArray[Any], dtype: StoredType) -> dict[str, pa.Array]:
    """The columns of a file for the vectors of one view, but for the geometry; ``stored`` is (N, D) of ``dtype``."""
    values = pa.array(stored.reshape(-1), STORED[dtype])
    return {
        "place_id": pa.array(list(table.place_id), pa.string()),
        "view": pa.array([table.view] * len(table), pa.string()),
        "lon": pa.array(table.lonlat[:, 0], pa.float64()),
        "lat": pa.array(table.lonlat[:, 1], pa.float64()),
        "name": pa.array(list(table.names), pa.string()),
        "embedding": pa.FixedSizeListArray.from_arrays(values, stored.shape[1]),
    }


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
        joined([table.provenance for table in tables]),
    )


# --- checking ----------------------------------------------------------------------------------------------
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
