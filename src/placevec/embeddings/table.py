"""The table of vectors: validated on creation, selected from, joined to other tables, saved and loaded."""

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
    """Vectors of places. ``len(emb)`` counts places; ``emb[rows]`` selects by slice, indices or mask.

    Attributes:
        place_id: (N,) distinct strings.
        vectors: (N, D) float32, finite.
        lonlat: (N, 2) float64 degrees, lon then lat; NaN if a place has no coordinates.
        geometry: (N,) shapely geometries (lon, lat) or None; coordinates without geometry become a point.
        names: (N,) raw OSM text or None: untrusted, show it as text only.
        view: name of the view, such as ``map``.
        provenance: model and dataset.

    >>> import pandas as pd
    >>> from placevec.embeddings import Provenance
    >>> none = np.array([None, None], object)
    >>> lonlat = [[24.94, 60.17], [24.95, 60.16]]
    >>> emb = Embeddings(["station", "market"], [[1, 0, 0], [0, 1, 0]], lonlat, none, none, "map", Provenance("m", "d"))
    >>> emb
    Embeddings(2 places, dim=3, view='map')
    >>> emb[[1]].place_id.tolist()
    ['market']
    >>> emb.join(pd.DataFrame({"place_id": ["market"], "rent": [31.0]}))[["v000", "v001", "v002"]].values.tolist()
    [[0.0, 1.0, 0.0]]
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
        """Length of a vector."""
        return int(self.vectors.shape[1])

    @property
    def views(self) -> tuple[str, ...]:
        """The only view, as a tuple, for the same interface as `EmbeddingsOfViews`."""
        return (self.view,)

    @property
    def dims(self) -> dict[str, int]:
        """View -> length of its vectors."""
        return {self.view: self.dim}

    def of(self, view: str | None = None) -> Embeddings:
        """These vectors; UsageError if ``view`` is another view."""
        if view not in (None, self.view):
            raise UsageError(f"there are no vectors of view {view!r}: choose from {self.view}")
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
                raise EmbeddingsError(f"select places by a slice, indices or a mask of length {len(self)}")
        return Embeddings(
            self.place_id[rows], self.vectors[rows], self.lonlat[rows], self.geometry[rows], self.names[rows],
            self.view, self.provenance,
        )  # fmt: skip

    def to_geodataframe(self) -> geopandas.GeoDataFrame:
        """One row per place: place_id, view, name, lon, lat, embedding and geometry, in EPSG:4326.

        ``embedding`` is an object column of (D,) float32 arrays: ``np.stack(frame["embedding"])`` is (N, D).
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

        A GeoDataFrame can have any CRS, and points or polygons. A DataFrame needs ``lon`` and ``lat`` columns in
        degrees, or ``place_id``. Rows are matched by ``place_id`` if there is such a column, otherwise by location:

        - a polygon gets the mean vector of all places whose centers it contains;
        - a point, or a polygon without a center inside, gets the place whose footprint contains it (map tiles have
          footprints, points of a grid do not), otherwise the nearest place within ``max_distance_m``.

        Args:
            frame: not modified.
            on: match only by ``place_id``, ``footprint`` or ``nearest``.
            max_distance_m: meters; default is the median distance between neighboring places.
            unmatched: rows without a place keep NaN (``nan``), are removed (``drop``) or raise an InputError
                (``error``). In the first two cases, a UserWarning counts them.
            prefix: prefix of the new columns.

        Returns:
            A frame of the same type and index. ``place_id`` comes before the vectors if each row has one place and the
            frame lacks that column. ``.attrs["join"]`` holds the numbers of rows and of unmatched rows, and
            ``farthest_m``.

        Raises:
            InputError: nothing to join by, no row with a place, or columns of those names already exist.
        """
        from placevec.embeddings.matching import match, with_vectors

        matches = match(
            frame, self.place_id, self.geometry, self.lonlat, on=on, max_distance_m=max_distance_m
        )  # fmt: skip
        return with_vectors(frame, matches, self.vectors, self.place_id, unmatched=unmatched, prefix=prefix)

    def save(self, path: str | PathLike[str], dtype: StoredType = "float32") -> None:
        """Write GeoParquet atomically.

        ``float16`` halves the file and keeps about three digits; ``int8`` quarters it, with an error per value of at
        most half of ``max |vector| / 127``.
        """
        if dtype not in STORED:
            raise EmbeddingsError(f"vectors are stored as float32, float16 or int8; got {dtype!r}")
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
        """Read and validate a file with one view; `placevec.embeddings.load` reads any.

        Raises:
            EmbeddingsError: in one line, if the file does not exist, is not a Parquet table of vectors, has vectors
                that are not finite or duplicate places, or its metadata is invalid.
        """
        try:
            table, metadata = read_geoparquet(path, "table of embeddings")
            views, provenance = read_views(metadata)
            if len(views) > 1:
                names = ", ".join(view.name for view in views)
                raise EmbeddingsError(f"it has vectors of several views ({names}): choose one with --view")
            return load_columns(table, views[0], provenance)
        except InputError as error:
            raise EmbeddingsError(str(error)) from error
        except EmbeddingsError as error:
            raise EmbeddingsError(f"{path} is not a valid table of embeddings: {error}") from error


def load_columns(table: pa.Table, view: ViewColumn, provenance: Provenance) -> Embeddings:
    """The vectors of one view from the rows of a file; EmbeddingsError for missing or damaged columns."""
    missing = {"place_id", "lon", "lat", "name", "embedding"} - set(table.column_names)
    if missing:
        raise EmbeddingsError(f"columns are missing: {', '.join(sorted(missing))}")
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
    """The columns of a file for the vectors of one view, without the geometry; ``stored`` is (N, D) of ``dtype``."""
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
    """All places of several tables, concatenated.

    Raises:
        EmbeddingsError: no tables, vectors of two models or views (both are named), or a duplicate place.

    >>> from placevec.embeddings import Provenance
    >>> def table(place: str) -> Embeddings:
    ...     none = np.array([None], object)
    ...     return Embeddings([place], [[1.0, 0.0]], [[24.9, 60.2]], none, none, "map", Provenance("m", "d"))
    >>> concat([table("a"), table("b")]).place_id.tolist()
    ['a', 'b']
    """
    if not tables:
        raise EmbeddingsError("there are no tables to concatenate")
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
    """EmbeddingsError unless shapes agree, vectors are finite and every place_id is a unique string."""
    count = len(emb.place_id)
    if emb.vectors.ndim != 2 or not 1 <= emb.vectors.shape[1] <= MAX_DIM:
        raise EmbeddingsError(
            f"vectors must have the shape (places, 1 to {MAX_DIM} numbers); got {emb.vectors.shape}"
        )
    shapes = (len(emb.vectors), emb.lonlat.shape, len(emb.geometry), len(emb.names))
    if shapes != (count, (count, 2), count, count):
        raise EmbeddingsError(
            f"columns differ in length: {count} place_ids, but {shapes} vectors, lonlat, geometry, names"
        )
    seen: set[str] = set()
    for row, name in enumerate(emb.place_id):
        if not isinstance(name, str) or not name:
            raise EmbeddingsError(f"row {row + 1} has no place_id")
        if name in seen:
            raise EmbeddingsError(f"place_id {_shown(name)} occurs more than once")
        seen.add(name)
    finite = np.isfinite(emb.vectors).all(axis=1)
    if not finite.all():
        row = int(np.flatnonzero(~finite)[0])
        raise EmbeddingsError(
            f"{int((~finite).sum())} of {count} vectors have values that are not finite, "
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
