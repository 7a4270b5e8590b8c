"""Writes entities into PostGIS: the tables ``geo_entity`` and ``geo_alias`` of the founding system.

=============== ==================== ===================================================
geo_entity      type                 meaning
=============== ==================== ===================================================
entity_id       uuid                 `entity_uuid` of the entity's id: the same in every database
canonical_name  text                 its local name, or else the English or first one
entity_type     text                 such as ``water/river``
geometry        geometry(,4326)      as in ``entities.parquet``
centroid        geography(point)     a point in it
bbox            geometry(,4326)      around it
=============== ==================== ===================================================

``geo_alias`` has one row a name: alias, entity_id, language (BCP 47, null for names on the spot), source (``osm`` or
``wikidata``). Tables that are there are filled; entities that are there get their new values, and other tables may refer
to them. All is one transaction, and every value is bound: names are hostile text.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from placevec.datasets.dataset import Dataset
from placevec.datasets.entities import FILE, has_entities
from placevec.errors import DatasetError
from placevec.io import parquet
from placevec.io.progress import SILENT, Progress
from placevec.sources.postgres import check_address, connected, has_extension

if TYPE_CHECKING:
    import psycopg

OSM, WIKIDATA = "osm", "wikidata"
_OF_WIKIDATA = ("label", "alias")
_TABLES = (
    "CREATE TABLE IF NOT EXISTS geo_entity (entity_id uuid PRIMARY KEY, canonical_name text, entity_type text NOT NULL,"
    " geometry geometry(Geometry, 4326), centroid geography(Point, 4326), bbox geometry(Geometry, 4326))",
    "CREATE TABLE IF NOT EXISTS geo_alias (alias text NOT NULL, entity_id uuid NOT NULL REFERENCES geo_entity (entity_id)"
    " ON DELETE CASCADE, language text, source text)",
    "CREATE INDEX IF NOT EXISTS geo_entity_geometry ON geo_entity USING gist (geometry)",
    "CREATE INDEX IF NOT EXISTS geo_alias_entity ON geo_alias (entity_id)",
    "CREATE TEMPORARY TABLE new_entity (entity_id uuid, canonical_name text, entity_type text, wkb bytea,"
    " lon double precision, lat double precision) ON COMMIT DROP",
    "CREATE TEMPORARY TABLE new_alias (alias text, entity_id uuid, language text, source text) ON COMMIT DROP",
)
_SHAPE = "ST_SetSRID(ST_GeomFromWKB(new.wkb), 4326)"
_POINT = "ST_SetSRID(ST_MakePoint(new.lon, new.lat), 4326)::geography"
_MERGE = (
    f"UPDATE geo_entity old SET canonical_name = new.canonical_name, entity_type = new.entity_type, geometry = {_SHAPE},"
    f" centroid = {_POINT}, bbox = ST_Envelope({_SHAPE}) FROM new_entity new WHERE old.entity_id = new.entity_id",
    "INSERT INTO geo_entity (entity_id, canonical_name, entity_type, geometry, centroid, bbox) SELECT new.entity_id,"
    f" new.canonical_name, new.entity_type, {_SHAPE}, {_POINT}, ST_Envelope({_SHAPE}) FROM new_entity new"
    " WHERE NOT EXISTS (SELECT 1 FROM geo_entity old WHERE old.entity_id = new.entity_id)",
    "DELETE FROM geo_alias old USING new_entity new WHERE old.entity_id = new.entity_id",
    "INSERT INTO geo_alias (alias, entity_id, language, source) SELECT alias, entity_id, language, source FROM new_alias",
)


def entity_uuid(entity_id: str) -> uuid.UUID:
    """The number of an entity in a database: version 5, of its address at openstreetmap.org.

    >>> entity_uuid("relation/34914")
    UUID('afc46533-b50e-55ea-baad-24cbae22291f')
    """
    return uuid.uuid5(uuid.NAMESPACE_URL, f"https://www.openstreetmap.org/{entity_id}")


def export_entities(dataset: Dataset, address: str, *, progress: Progress = SILENT) -> int:
    """Write the entities of a dataset and their names into a PostGIS database.

    Args:
        dataset: with entities.
        address: ``postgresql://USER:PASSWORD@HOST:PORT/DATABASE``, whose password is never shown or kept.
        progress: receives progress reports.

    Returns:
        How many entities.

    Raises:
        UsageError: it is no address of a database.
        MissingExtraError: psycopg is not installed.
        DatasetError: the dataset has no entities.
        OutputError: the database cannot be reached or written; it stays as it was.
    """
    check_address(address)
    if not has_entities(dataset):
        raise DatasetError(f"{dataset.path} has no entities: prepare it from an OpenStreetMap extract first")
    with connected(address, "nothing was changed") as connection, connection.cursor() as cursor:
        if not has_extension(cursor, "postgis"):
            cursor.execute("CREATE EXTENSION postgis")
        for statement in _TABLES:
            cursor.execute(statement)
        count = _copy(cursor, dataset, progress)
        for statement in _MERGE:
            cursor.execute(statement)
        return count


def _copy(cursor: psycopg.Cursor[Any], dataset: Dataset, progress: Progress) -> int:
    """Bring entities and names into the temporary tables, row group by row group; how many entities."""
    path, count = dataset.path / FILE, 0
    columns = ["entity_id", "type", "name", "names", "lon", "lat", "geometry"]
    with (
        parquet.opened(path) as file,
        progress.task("Writing entities", total=file.metadata.num_rows) as advance,
    ):
        for group in range(file.num_row_groups):
            rows = file.read_row_group(group, columns=columns).to_pylist()
            with cursor.copy("COPY new_entity FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(
                        (entity_uuid(row["entity_id"]), row["name"], row["type"], row["geometry"], row["lon"], row["lat"])
                    )  # fmt: skip
            with cursor.copy("COPY new_alias FROM STDIN") as copy:
                for alias in _aliases(rows):
                    copy.write_row(alias)
            count += len(rows)
            advance(len(rows))
    return count


def _aliases(rows: list[dict[str, Any]]) -> Iterator[tuple[str, uuid.UUID, str | None, str]]:
    for row in rows:
        for name in row["names"]:
            source = WIKIDATA if name["kind"] in _OF_WIKIDATA else OSM
            yield name["text"], entity_uuid(row["entity_id"]), name["language"], source
