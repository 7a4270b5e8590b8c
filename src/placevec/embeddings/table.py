"""The table of vectors: validated on creation, selected from, joined to other tables, saved and loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

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
    read_views,
    stream_vectors,
)
from placevec.embeddings.provenance import Provenance, joined
from placevec.errors import EmbeddingsError, InputError, UsageError
from placevec.geo import Floats
from placevec.geo.geoparquet import are_points_at, read_geoparquet, read_summary, write_geoparquet
from placevec.io.notebook import facts_html
from placevec.options.choices import StoredType

if TYPE_CHECKING:
    import geopandas
    import pandas as pd

    from placevec.embeddings.matching import On, Unmatched

T = TypeVar("T")
_BLOCK_ROWS = 8_192
_SHOWN_ROWS = 5


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
        path: file that the table was loaded from; indexes and projections are kept beside it.

    Indexes and the like stay with the table (`derived`) until one of its arrays is replaced; do not change their numbers.

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
    path: Path | None = field(default=None, compare=False)

    def __setattr__(self, name: str, value: object) -> None:
        if name != "path":
            self.__dict__["_derived"] = {}
        super().__setattr__(name, value)

    def __repr__(self) -> str:
        return f"Embeddings({len(self)} places, dim={self.dim}, view={self.view!r})"

    def _repr_html_(self) -> str:
        """What notebooks show."""
        made = self.provenance
        facts = {
            "places": len(self), "without coordinates": int(np.isnan(self.lonlat).any(axis=1).sum()) or None,
            "dimensions": self.dim, "view": self.view, "west, south, east, north": _bounds(self.lonlat),
            "model": made.model_path or made.model_hash[:12], "dataset": made.dataset_path or made.dataset_hash[:12],
            "created": made.created, "attribution": made.attribution,
            "file": None if self.path is None else str(self.path),
        }  # fmt: skip
        rows = [
            {
                "place_id": self.place_id[row], "name": self.names[row], "lon": float(self.lonlat[row, 0]),
                "lat": float(self.lonlat[row, 1]), "vector": [f"{one:.3g}" for one in self.vectors[row, :4]] + ["…"],
            }
            for row in range(min(len(self), _SHOWN_ROWS))
        ]  # fmt: skip
        return facts_html("Embeddings", facts, rows)

    def __post_init__(self) -> None:
        self.place_id = np.asarray(self.place_id, object)
        self.vectors = np.ascontiguousarray(self.vectors, np.float32)
        self.lonlat = np.asarray(self.lonlat, np.float64)
        geometry = objects(self.geometry)
        self.names = objects(self.names)
        _check(self, geometry)
        missing = np.array([item is None for item in geometry], bool)
        if missing.all():
            del self.geometry  # points, made when asked for: a million take 200 MB
        else:
            self.geometry = _with_points(geometry, missing, self.lonlat)

    def __getattr__(self, name: str) -> Any:
        if name != "geometry" or "lonlat" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        self.__dict__["geometry"] = self.geometry_at(slice(None))
        return self.__dict__["geometry"]

    def geometry_at(self, rows: slice | NDArray[Any] | Sequence[int]) -> Objects:
        """The geometries of some rows, without making those of all if they are points."""
        if "geometry" in self.__dict__:
            return self.geometry[rows]
        lonlat = self.lonlat[rows]
        nothing = np.full(len(lonlat), None, object)
        return _with_points(nothing, np.ones(len(lonlat), bool), lonlat)

    @property
    def are_points(self) -> bool:
        """Whether no place has a geometry besides its coordinates, as far as is known without looking at each."""
        return "geometry" not in self.__dict__

    def __len__(self) -> int:
        return len(self.place_id)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.vectors.shape[1])

    def derived(self, name: str, make: Callable[[], T]) -> T:
        """What ``make`` returned when it was first asked for by this name: for what is needed again and again."""
        kept: dict[str, Any] = self.__dict__["_derived"]
        if name not in kept:
            kept[name] = make()
        found: T = kept[name]
        return found

    def forget(self, name: str) -> None:
        """Discard what `derived` keeps under this name, so that it is made again when next asked for."""
        self.__dict__["_derived"].pop(name, None)

    @property
    def content_hash(self) -> str:
        """SHA-256 of the vectors: names the indexes and projections of this table."""
        return self.derived("content_hash", lambda: hash_of_vectors(self.vectors))

    def row_of(self, place_id: str) -> int | None:
        """The row of a place; None if it is unknown."""
        order, hashes = self.derived("rows_by_hash", self._rows_by_hash)
        first = int(np.searchsorted(hashes, hash(place_id)))
        for at in range(first, len(hashes)):
            if hashes[at] != hash(place_id):
                break
            if self.place_id[order[at]] == place_id:
                return int(order[at])
        return None

    def _rows_by_hash(self) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """(rows, hashes of their place_ids) by hash: a dictionary of a million texts would take ten times as much."""
        hashes = np.fromiter(map(hash, self.place_id), np.int64, len(self))
        order = np.argsort(hashes, kind="stable").astype(np.int32)
        return order, hashes[order]

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
                raise EmbeddingsError(f"select places with a slice, indices or a mask of length {len(self)}")
        count = len(self.place_id[rows])
        lazy = "geometry" not in self.__dict__
        return Embeddings(
            self.place_id[rows], self.vectors[rows], self.lonlat[rows],
            np.full(count, None, object) if lazy else self.geometry[rows], self.names[rows], self.view, self.provenance,
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
        self.path = Path(path)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Embeddings:
        """Read and validate a file with one view; `placevec.embeddings.load` reads any.

        Raises:
            EmbeddingsError: in one line, if the file does not exist, is not a Parquet table of vectors, has vectors
                that are not finite or duplicate places, or its metadata is invalid.
        """
        (table,) = load_tables(path, one=True)
        return table


def load_tables(
    path: str | PathLike[str],
    *,
    one: bool = False,
    vectors_of: Callable[[str, int, int | None], NDArray[np.float32]] | None = None,
) -> list[Embeddings]:
    """The table of each view in a file; EmbeddingsError in one line, also for several views if there must be ``one``.

    ``vectors_of`` gives the vectors of a view instead of the file, by its name, count and dimensions (None: any).
    Vectors are unpacked a few thousand rows at a time into the arrays that hold them: at no time are there two copies.
    """
    try:
        table, metadata = read_geoparquet(path, "table of embeddings", columns=_BESIDE_VECTORS)
        views, provenance = read_views(metadata)
        if one and len(views) > 1:
            names = ", ".join(view.name for view in views)
            raise EmbeddingsError(f"it has vectors of several views ({names}): choose one with --view")
        schema, _ = read_summary(path, "table of embeddings")
        missing = {*_BESIDE_VECTORS, "embedding"} - {"geometry", "view"} - set(schema.names)
        if missing:
            raise EmbeddingsError(f"columns are missing: {', '.join(sorted(missing))}")
        rows, count = _rows_of_views(table, views), table.num_rows
        beside = [_beside_vectors(table if own is None else table.take(pa.array(own))) for own in rows]
        del table  # before as much is taken again
        pa.default_memory_pool().release_unused()
        if vectors_of is None:
            vectors = stream_vectors(path, views, rows, count)
            pa.default_memory_pool().release_unused()
        else:
            counts = [count if own is None else len(own) for own in rows]
            vectors = [vectors_of(one.name, many, one.dim) for one, many in zip(views, counts, strict=True)]
        return [
            Embeddings(ids, own, lonlat, geometry, names, view.name, provenance, Path(path))
            for view, own, (ids, lonlat, geometry, names) in zip(views, vectors, beside, strict=True)
        ]
    except InputError as error:
        raise EmbeddingsError(str(error)) from error
    except EmbeddingsError as error:
        raise EmbeddingsError(f"{path} is not a valid table of embeddings: {error}") from error


_BESIDE_VECTORS = ("place_id", "view", "lon", "lat", "name", "geometry")


def _rows_of_views(table: pa.Table, views: list[ViewColumn]) -> list[NDArray[np.int64] | None]:
    """The rows of each view; None: all."""
    if len(views) == 1:
        return [None]
    if "view" not in table.column_names:
        raise EmbeddingsError("there are several views but no column view")
    column = np.asarray(table["view"].to_pylist(), object)
    if unknown := sorted(set(column.tolist()) - {view.name for view in views}, key=str):
        raise EmbeddingsError(f"there are vectors of view {unknown[0]!r}, which the metadata does not list")
    return [np.flatnonzero(column == view.name) for view in views]


def _beside_vectors(table: pa.Table) -> tuple[Objects, Floats, Objects, Objects]:
    """(place_id, lonlat, geometry, names) of some rows; geometry is None where it is a point at lonlat."""
    lonlat = np.stack([read_degrees(table, "lon"), read_degrees(table, "lat")], axis=-1)
    geometry = np.full(len(lonlat), None, object) if are_points_at(table, lonlat) else read_geometry(table)
    return read_texts(table, "place_id"), lonlat, geometry, read_texts(table, "name")


def hash_of_vectors(vectors: NDArray[np.float32]) -> str:
    """SHA-256 of the shape and the numbers of (N, D) vectors.

    >>> hash_of_vectors(np.zeros((2, 1), np.float32)) == hash_of_vectors(np.zeros((1, 2), np.float32))
    False
    """
    digest = hashlib.sha256(f"{vectors.shape[0]} x {vectors.shape[1]}".encode())
    for start in range(0, len(vectors), _BLOCK_ROWS):
        digest.update(np.ascontiguousarray(vectors[start : start + _BLOCK_ROWS], "<f4").data)
    return digest.hexdigest()


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
                f"vectors of two models cannot be mixed: {ours} ({first.dim} dimensions) and {theirs} "
                f"({other.dim} dimensions); embed all places with one model"
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


def _bounds(lonlat: Floats) -> list[float] | None:
    """West, south, east, north of (N, 2) degrees, rounded to a meter; None without coordinates."""
    known = lonlat[np.isfinite(lonlat).all(axis=1)]
    return (
        None if not len(known) else np.concatenate([known.min(axis=0), known.max(axis=0)]).round(5).tolist()
    )


def _check(emb: Embeddings, geometry: Objects) -> None:
    """EmbeddingsError unless shapes agree, vectors are finite and every place_id is a unique string."""
    count = len(emb.place_id)
    if emb.vectors.ndim != 2 or not 1 <= emb.vectors.shape[1] <= MAX_DIM:
        raise EmbeddingsError(
            f"vectors must have the shape (places, dimensions) with 1 to {MAX_DIM} dimensions; got {emb.vectors.shape}"
        )
    shapes = (len(emb.vectors), emb.lonlat.shape, len(geometry), len(emb.names))
    if shapes != (count, (count, 2), count, count):
        raise EmbeddingsError(
            f"columns differ in length: {count} place_ids, but {shapes} vectors, lonlat, geometry, names"
        )
    for row, name in enumerate(emb.place_id):
        if not isinstance(name, str) or not name:
            raise EmbeddingsError(f"row {row + 1} has no place_id")
    hashes = np.sort(np.fromiter(map(hash, emb.place_id), np.int64, count))  # a set of a million takes 35 MB
    if (hashes[1:] == hashes[:-1]).any():
        seen: set[str] = set()
        for name in emb.place_id:
            if name in seen:
                raise EmbeddingsError(f"place_id {_shown(name)} occurs more than once")
            seen.add(name)
    del hashes
    finite = np.empty(count, bool)
    for start in range(0, count, _BLOCK_ROWS):
        finite[start : start + _BLOCK_ROWS] = np.isfinite(emb.vectors[start : start + _BLOCK_ROWS]).all(
            axis=1
        )
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


def _with_points(geometry: Objects, missing: NDArray[np.bool_], lonlat: Floats) -> Objects:
    """Points where geometry is missing and coordinates are known."""
    import shapely

    bare = np.isfinite(lonlat).all(axis=1) & missing
    if not bare.any():
        return geometry
    filled = geometry.copy()
    filled[bare] = shapely.points(lonlat[bare])
    return filled
