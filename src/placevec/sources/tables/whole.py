"""Tables that open whole: GeoJSON, and what GDAL reads."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from placevec.errors import SourceError
from placevec.geo.antimeridian import Objects
from placevec.geo.geojson import CRS84, read_geojson
from placevec.geo.geometry_columns import GeometryColumn
from placevec.geo.parquet_footer import MAX_COLUMNS
from placevec.sources.tables import batches
from placevec.sources.tables.losses import Losses
from placevec.sources.tiles.loc2vec_metadata import read_loc2vec_metadata

SHAPES = "shapes"
"""The encoding of geometry that is read already."""


class WholeTable:
    """A table in memory; see `batches.OpenedTable`."""

    decimal_comma = False

    def __init__(
        self, path: Path, columns: dict[str, pa.Array], geometry: GeometryColumn | None, shapes: Any
    ) -> None:
        self.path, self.geometry, self.notes = path, geometry, list[str]()
        self.names = list(columns)
        self._columns, self._shapes = columns, shapes
        self.total = len(shapes) if shapes is not None else len(next(iter(columns.values()), ()))

    def is_flat(self, name: str) -> bool:
        """Whether the cells of a column are texts, numbers or times, not lists or documents."""
        kind = self._columns[name].type
        return not (pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind))

    def batches(self, names: Sequence[str], *, geometry: bool, losses: Losses) -> Iterator[batches.Batch]:
        """Rows in order."""
        for start in range(0, self.total, batches.BATCH_ROWS):
            stop = min(start + batches.BATCH_ROWS, self.total)
            shapes = self._shapes[start:stop] if geometry and self._shapes is not None else None
            cells = {name: self._columns[name].slice(start, stop - start) for name in names}
            yield batches.Batch(cells, shapes, stop - start, stop)


def of_geojson(path: Path) -> WholeTable:
    """The features of a GeoJSON file; not through GDAL, which fetches the address that a ``crs`` may link to."""
    found = read_geojson(path)
    if not found.features:  # of the founding pipeline
        lonlat = read_loc2vec_metadata(path).lonlat
        return WholeTable(path, {"lon": pa.array(lonlat[:, 0]), "lat": pa.array(lonlat[:, 1])}, None, None)
    names = list(dict.fromkeys(name for feature in found.features for name in feature.properties))
    if len(names) > MAX_COLUMNS:
        raise SourceError(
            f"{path} has more than {MAX_COLUMNS:,} properties: leave out the ones that are not needed"
        )
    columns = {name: _cells([one.properties.get(name) for one in found.features]) for name in names}
    ids = [feature.id for feature in found.features]
    if "id" not in columns and all(isinstance(one, str | int) and not isinstance(one, bool) for one in ids):
        columns["id"] = pa.array([str(one) for one in ids], pa.string())
    shapes: Objects = found.shapes(path)  # in degrees already
    return WholeTable(path, columns, GeometryColumn("geometry", SHAPES), shapes)


def _cells(values: list[Any]) -> pa.Array:
    """Values of JSON as a column: numbers or truth values throughout, else texts; lists and objects as JSON."""
    kinds = {type(value) for value in values if value is not None}
    try:
        if kinds == {bool}:
            return pa.array(values, pa.bool_())
        if kinds == {int}:
            return pa.array(values, pa.int64())
        if kinds and kinds <= {int, float}:
            return pa.array(values, pa.float64())
    except (pa.ArrowException, OverflowError):
        pass  # numbers that are no 64 bits long are texts
    return pa.array([None if value is None else _text(value) for value in values], pa.string())


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.encode("utf-8", "replace").decode()


def of_gdal(path: Path) -> WholeTable:
    """A GeoPackage, Shapefile or FlatGeobuf with one layer.

    Raises:
        SourceError: it has several layers with geometry, of which GDAL would read only the first.
    """
    import pyogrio

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        layers = [name for name, kind in pyogrio.list_layers(path) if kind is not None]
        if len(layers) > 1:
            raise SourceError(
                f"{path} holds {len(layers)} layers ({', '.join(map(str, layers[:3]))}): write the one to use "
                f"to a separate file, for example with ogr2ogr {path.stem}.parquet {path.name} {layers[0]}"
            )
        about, table = pyogrio.read_arrow(path)
    name = about["geometry_name"] or "wkb_geometry"
    columns = {one: _combined(table[one]) for one in table.column_names if one != name}
    if name not in table.column_names:
        return WholeTable(path, columns, None, None)
    system = about["crs"]
    found = GeometryColumn(name, "wkb", None if system in (None, CRS84, "EPSG:4326") else system)
    return WholeTable(path, columns, found, _combined(table[name]))


def _combined(column: pa.ChunkedArray) -> pa.Array:
    whole = column.combine_chunks()
    return pa.concat_arrays(whole.chunks) if isinstance(whole, pa.ChunkedArray) else whole
