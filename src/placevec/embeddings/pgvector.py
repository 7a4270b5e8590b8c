"""Writes vectors into PostgreSQL with pgvector: one table per view, loaded by COPY, with an HNSW index.

=========== ==================== =======================================================
column      type                 meaning
=========== ==================== =======================================================
place_id    text                 primary key
name        text                 raw name, or null
lon, lat    double precision     degrees, or null
embedding   vector(D)            as in the file
geometry    geometry(,4326)      where PostGIS is installed in the database
=========== ==================== =======================================================

Rows go into ``NAME_loading``, batch by batch; its comment says of which vectors it is, and each batch is one transaction
that also counts it there. So a call that was cut off continues, no row comes twice, and readers of ``NAME`` see the table
before until the new one, with its index, takes its place.
Binary COPY: https://www.postgresql.org/docs/current/sql-copy.html; a vector in it is as of pgvector's ``vector_send``.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from placevec.embeddings.table import Embeddings
from placevec.errors import InputError, OutputError, UsageError
from placevec.io.progress import SILENT, Progress
from placevec.options.choices import Metric
from placevec.sources.postgres import check_address, connected, has_extension

if TYPE_CHECKING:
    import psycopg

BATCH = 20_000
MAX_INDEXED = 2_000
"""Numbers of a vector that an index of pgvector takes."""
OPERATORS: dict[Metric, tuple[str, str]] = {
    "cosine": ("<=>", "vector_cosine_ops"), "angular": ("<=>", "vector_cosine_ops"),
    "euclidean": ("<->", "vector_l2_ops"), "manhattan": ("<+>", "vector_l1_ops"), "dot": ("<#>", "vector_ip_ops"),
}  # fmt: skip
"""Metric -> its operator in SQL, and what an index is built for."""
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,40}")
_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_ASKED = 50
_IN_PAGE = 1_900  # numbers of a vector that fit into a page of 8 KB


@dataclass(frozen=True)
class Loaded:
    """What is in the database.

    Attributes:
        table: name of the table.
        count: number of its rows.
        resumed: rows that an earlier call had loaded.
        indexed: whether it has an HNSW index.
        recall: share of the ten nearest places that the index finds, None without one.
        filtered_recall: the same among half of the places, with ``hnsw.iterative_scan``; None before pgvector 0.8.
        geometry: whether there is a column for PostGIS.
    """

    table: str
    count: int
    resumed: int
    indexed: bool
    recall: float | None
    filtered_recall: float | None
    geometry: bool

    def lines(self) -> list[str]:
        """What to say about it."""
        said = [f"Note: {self.resumed:,} vectors had already been written by an earlier run"] * bool(
            self.resumed
        )
        if not self.indexed:
            said.append(
                f"Note: pgvector can index vectors of at most {MAX_INDEXED:,} dimensions, so there is no index"
            )
        if self.recall is not None:
            some = "" if self.filtered_recall is None else (
                f", and {self.filtered_recall:.1%} among half of the places with hnsw.iterative_scan"
            )  # fmt: skip
            said.append(f"Note: the index finds {self.recall:.1%} of the ten nearest places{some}")
        return [*said, f"Note: the table is {self.table}"]


def export_vectors(
    emb: Embeddings,
    address: str,
    *,
    table: str | None = None,
    metric: Metric = "cosine",
    progress: Progress = SILENT,
) -> Loaded:
    """Write vectors into a database, or continue to.

    Args:
        emb: vectors of one view.
        address: ``postgresql://USER:PASSWORD@HOST:PORT/DATABASE``, whose password is never shown or kept.
        table: name of the table; default ``placevec_VIEW``. One that another program made is never replaced.
        metric: what the index is built for.
        progress: receives progress reports.

    Raises:
        UsageError: it is no address of a database, or no name of a table.
        MissingExtraError: psycopg is not installed.
        InputError: an empty table, or a database without pgvector, or a table of that name which is not ours.
        OutputError: the database cannot be reached or written; the rows so far stay, and the same call continues.
    """
    check_address(address)
    if len(emb) == 0:
        raise InputError("the table of embeddings is empty: there is nothing to write")
    name = table or "placevec_" + re.sub(r"[^a-z0-9_]", "_", emb.view.lower())[:32]
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"the name of a table must consist of a to z, 0 to 9 and _, at most 41 characters; got {name[:60]!r}"
        )
    with connected(address, "run the same command again to continue", autocommit=True) as connection:
        return _Load(connection, emb, name, metric, progress).run()


class _Load:
    """One table that is loaded."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        emb: Embeddings,
        name: str,
        metric: Metric,
        progress: Progress,
    ) -> None:
        self.connection, self.emb, self.name = connection, emb, name
        self.metric, self.progress = metric, progress
        self.loading = f"{name}_loading"
        self.about = {
            "placevec": "vectors",
            "content": emb.content_hash,
            "places": len(emb),
            "metric": metric,
        }

    def run(self) -> Loaded:
        """Load, index, measure, and put the table in its place."""
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(hashtext(%s))", (f"placevec {self.name}",))
            cursor.execute("SET client_min_messages = warning")
            version = self._extension(cursor)
            self._require_ours(cursor, self.name)
            geometry = has_extension(cursor, "postgis")
            done = self._begin(cursor, geometry)
            resumed = done
            with self.progress.task("Writing vectors", total=len(self.emb)) as advance:
                advance(done)
                while done < len(self.emb):
                    done = self._batch(cursor, done, geometry)
                    advance(min(BATCH, done - resumed))
            key = f"{self.loading}_pkey"  # quicker at the end than row by row
            cursor.execute(f"ALTER TABLE {self.loading} DROP CONSTRAINT IF EXISTS {key}")
            cursor.execute(f"ALTER TABLE {self.loading} ADD CONSTRAINT {key} PRIMARY KEY (place_id)")
            indexed = self.emb.dim <= MAX_INDEXED
            if indexed:
                operator_class = OPERATORS[self.metric][1]
                with self.progress.task("Building the index", total=None):
                    cursor.execute(f"DROP INDEX IF EXISTS {self.loading}_hnsw")
                    cursor.execute(
                        f"CREATE INDEX {self.loading}_hnsw ON {self.loading} USING hnsw (embedding {operator_class})"
                    )
            cursor.execute(f"ANALYZE {self.loading}")
            recall = self._recall(cursor, False) if indexed else None
            filtered = self._recall(cursor, True) if indexed and version >= (0, 8) else None
            self._replace(cursor, indexed)
        return Loaded(self.name, len(self.emb), resumed, indexed, recall, filtered, geometry)

    def _extension(self, cursor: psycopg.Cursor[Any]) -> tuple[int, ...]:
        """The version of pgvector, which is installed into the database where the server has it."""
        cursor.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'")
        if cursor.fetchone() is None:
            raise InputError(
                "the server has no pgvector: install it there, for example the package postgresql-17-pgvector"
            )
        cursor.execute("CREATE EXTENSION IF NOT EXISTS vector")
        cursor.execute("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
        (version,) = cursor.fetchone() or ("0",)
        return tuple(int(part) for part in re.findall(r"\d+", version))

    def _comment(self, cursor: psycopg.Cursor[Any], table: str) -> dict[str, Any] | None:
        """What placevec wrote about a table; None if there is no table, an empty dictionary if it is not ours."""
        cursor.execute("SELECT obj_description(to_regclass(%s)), to_regclass(%s) IS NOT NULL", (table, table))
        text, there = cursor.fetchone() or (None, False)
        if not there:
            return None
        try:
            told = json.loads(text or "")
        except ValueError:
            return {}
        return told if isinstance(told, dict) and told.get("placevec") == "vectors" else {}

    def _require_ours(self, cursor: psycopg.Cursor[Any], table: str) -> None:
        if self._comment(cursor, table) == {}:
            raise InputError(
                f"the database has a table {table} that placevec did not create: choose another --table"
            )

    def _write_comment(self, cursor: psycopg.Cursor[Any], table: str, **more: Any) -> None:
        from psycopg import sql

        text = json.dumps({**self.about, **more}, ensure_ascii=False)
        cursor.execute(sql.SQL("COMMENT ON TABLE {} IS {}").format(sql.Identifier(table), sql.Literal(text)))

    def _begin(self, cursor: psycopg.Cursor[Any], geometry: bool) -> int:
        """Make the table to load into, or continue with that of an earlier call; its rows so far."""
        self._require_ours(cursor, self.loading)
        told = self._comment(cursor, self.loading)
        same = told is not None and all(told.get(key) == value for key, value in self.about.items())
        if told is not None and same and told.get("geometry") == geometry:
            return int(told["done"])
        column = ", geometry geometry(Geometry, 4326)" if geometry else ""
        with self.connection.transaction():
            cursor.execute(f"DROP TABLE IF EXISTS {self.loading}")
            cursor.execute(
                f"CREATE TABLE {self.loading} (place_id text NOT NULL, name text, lon double precision,"
                f" lat double precision, embedding vector({self.emb.dim}) NOT NULL{column})"
            )
            if self.emb.dim < _IN_PAGE:  # kept in the row, which a search reads
                cursor.execute(f"ALTER TABLE {self.loading} ALTER COLUMN embedding SET STORAGE PLAIN")
            self._write_comment(cursor, self.loading, done=0, geometry=geometry)
        return 0

    def _batch(self, cursor: psycopg.Cursor[Any], start: int, geometry: bool) -> int:
        """Load rows and count them, both or neither; the rows so far."""
        end = min(start + BATCH, len(self.emb))
        columns = "place_id, name, lon, lat, embedding" + (", geometry" if geometry else "")
        with self.connection.transaction():
            with cursor.copy(f"COPY {self.loading} ({columns}) FROM STDIN (FORMAT binary)") as copy:
                for part in binary_rows(self.emb, start, end, geometry):
                    copy.write(part)
            self._write_comment(cursor, self.loading, done=end, geometry=geometry)
        return end

    def _recall(self, cursor: psycopg.Cursor[Any], filtered: bool) -> float:
        """Share of the ten nearest that the index finds for some places, all or half of the places allowed."""
        operator = OPERATORS[self.metric][0]
        rows = np.random.default_rng(0).permutation(len(self.emb))[:_ASKED].tolist()
        found = wanted = 0
        middle = float(np.nanmedian(self.emb.lonlat[:, 0])) if np.isfinite(self.emb.lonlat).any() else None
        where = "" if not filtered or middle is None else "WHERE lon <= %s "
        query = (
            f"SELECT place_id FROM {self.loading} {where}ORDER BY embedding {operator} %s::vector LIMIT 10"
        )
        for row in rows:
            vector = "[" + ",".join(map("%.9g".__mod__, self.emb.vectors[row].tolist())) + "]"
            given = (vector,) if not where else (middle, vector)
            ids = []
            for exact in (True, False):
                with self.connection.transaction():
                    cursor.execute(f"SET LOCAL enable_indexscan = {'off' if exact else 'on'}")
                    if not exact:
                        cursor.execute("SET LOCAL enable_seqscan = off")
                    if filtered and not exact:
                        cursor.execute("SET LOCAL hnsw.iterative_scan = strict_order")
                    ids.append({one for (one,) in cursor.execute(query, given)})
            found, wanted = found + len(ids[0] & ids[1]), wanted + len(ids[0])
        return found / max(wanted, 1)

    def _replace(self, cursor: psycopg.Cursor[Any], indexed: bool) -> None:
        """Put the loaded table in the place of the one before."""
        with self.connection.transaction():
            cursor.execute(f"DROP TABLE IF EXISTS {self.name}")
            cursor.execute(f"ALTER TABLE {self.loading} RENAME TO {self.name}")
            cursor.execute(f"ALTER INDEX {self.loading}_pkey RENAME TO {self.name}_pkey")
            if indexed:
                cursor.execute(f"ALTER INDEX {self.loading}_hnsw RENAME TO {self.name}_hnsw")
            made = asdict(self.emb.provenance) if self.emb.provenance is not None else {}
            self._write_comment(cursor, self.name, view=self.emb.view, provenance=made)


def binary_rows(emb: Embeddings, start: int, end: int, geometry: bool = False) -> Iterator[bytes]:
    """Rows ``start`` to ``end`` as COPY reads them in binary, in parts of about a megabyte."""
    if any("\0" in one for one in emb.place_id[start:end]):
        raise OutputError("a place_id has a zero byte, which PostgreSQL cannot store")
    rows = end - start
    fixed: NDArray[Any] = np.zeros(
        rows,
        [("n", ">i4"), ("lon", ">f8"), ("m", ">i4"), ("lat", ">f8"), ("size", ">i4"), ("dim", ">i2"), ("none", ">i2"),
         ("vector", ">f4", (emb.dim,))],
    )  # fmt: skip
    fixed["n"] = fixed["m"] = 8
    fixed["lon"], fixed["lat"] = emb.lonlat[start:end].T
    fixed["size"], fixed["dim"] = 4 + 4 * emb.dim, emb.dim
    fixed["vector"] = emb.vectors[start:end]
    content, width, pack = memoryview(fixed.tobytes()), fixed.dtype.itemsize, struct.Struct(">i").pack
    placed: list[bool] = np.asarray(np.isfinite(emb.lonlat[start:end]).all(axis=1), bool).tolist()
    nowhere, absent = pack(-1) * 2, pack(-1)
    shapes = _ewkb(emb, start, end) if geometry else [None] * rows
    count = struct.pack(">h", 6 if geometry else 5)
    parts: list[bytes | memoryview] = [_HEAD]
    for row in range(rows):
        place, name = emb.place_id[start + row].encode(), emb.names[start + row]
        text = None if name is None else str(name).replace("\0", "").encode("utf-8", "replace")
        values = content[row * width : (row + 1) * width]
        parts += [count, pack(len(place)), place, absent if text is None else pack(len(text)), text or b""]
        parts += [values] if placed[row] else [nowhere, values[24:]]
        if geometry:
            shape = shapes[row]
            parts += [absent if shape is None else pack(len(shape)), shape or b""]
        if len(parts) > 8_000:
            yield b"".join(parts)
            parts = []
    yield b"".join([*parts, b"\xff\xff"])


def _ewkb(emb: Embeddings, start: int, end: int) -> list[bytes | None]:
    import shapely

    geometry = shapely.set_srid(emb.geometry_at(slice(start, end)), 4326)
    found: list[bytes | None] = shapely.to_wkb(geometry, include_srid=True, byte_order=1).tolist()
    return found
