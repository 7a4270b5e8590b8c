"""Entities in a real PostgreSQL with PostGIS, started for these tests; they are skipped where there is none.

Oracle: the database's own answers in SQL, and the entities of the dataset.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from placevec import api
from placevec.datasets.dataset import Dataset
from placevec.datasets.entities import read_entities
from placevec.errors import DatasetError, OutputError, UsageError
from placevec.preparation.postgis import entity_uuid
from tests.osm_xml import OsmFile, box

HOSTILE = "Robert'); DROP TABLE geo_entity;-- %s {0} \\ \t\"<b>מגדל</b> 東京"


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin")) if Path("/usr/lib/postgresql").is_dir() else []
    if not found:
        pytest.skip("no PostgreSQL: apt-get install postgresql postgresql-15-postgis-3")
    return found[-1]


def _as_nobody(command: list[str], folder: Path) -> None:
    """PostgreSQL does not run as root."""
    import pwd

    options: dict[str, Any] = {}
    if os.geteuid() == 0:
        try:
            user = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
        options = {"user": user.pw_uid, "group": user.pw_gid}
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, **options)
    assert ran.returncode == 0, ran.stderr


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Address of a database that is gone afterwards."""
    psycopg = pytest.importorskip("psycopg")
    programs = _programs()
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="placevec-pg-", dir="/tmp"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    try:
        data = str(folder / "data")
        _as_nobody(
            [
                str(programs / "initdb"),
                "-D",
                data,
                "-A",
                "trust",
                "-U",
                "postgres",
                "--no-sync",
                "-E",
                "UTF8",
            ],
            folder,
        )
        settings = (
            f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off -c shared_buffers=16MB"
        )
        _as_nobody(
            [str(programs / "pg_ctl"), "-D", data, "-o", settings, "-l", str(folder / "log"), "-w", "start"],
            folder,
        )
        try:
            address = f"postgresql://postgres@/postgres?host={folder}"
            with psycopg.connect(address) as connection:
                known = "SELECT 1 FROM pg_available_extensions WHERE name = 'postgis'"
                if connection.execute(known).fetchone() is None:
                    pytest.skip("no PostGIS: apt-get install postgresql-15-postgis-3")
            yield address
        finally:
            _as_nobody([str(programs / "pg_ctl"), "-D", data, "-m", "immediate", "stop"], folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("postgis")
    osm = OsmFile()
    osm.way(
        box(10.0, 50.0, 10.004, 50.004),
        {"leisure": "park", "name": HOSTILE, "name:uk": "Старий парк", "alt_name": "A;B"},
    )
    osm.node((10.02, 50.02), {"shop": "bakery", "name": "Brot"})
    osm.way([(10.03, 50.0), (10.04, 50.01)], {"waterway": "river", "name": "Bach"})
    path = osm.write(folder / "town.osm", bounds=(9.99, 49.99, 10.07, 50.07))
    return api.prepare("where2vec", osm=path, out=folder / "ds")


def asked(address: str, query: str) -> list[Any]:
    import psycopg

    with psycopg.connect(address) as connection:
        return connection.execute(query).fetchall()


def test_entities_and_names_arrive(server: str, dataset: Dataset) -> None:
    assert api.export(dataset, to=server) == 3
    table = read_entities(dataset.path / "entities.parquet").to_pylist()
    rows = asked(
        server,
        "SELECT entity_id, canonical_name, entity_type, ST_AsBinary(geometry), ST_SRID(geometry) FROM geo_entity",
    )
    assert {row[0]: tuple(row[1:]) for row in rows} == {
        entity_uuid(one["entity_id"]): (one["name"], one["type"], one["geometry"], 4326) for one in table
    }
    names = asked(server, "SELECT alias, entity_id, language, source FROM geo_alias")
    expected = [
        (name["text"], entity_uuid(one["entity_id"]), name["language"], "osm")
        for one in table
        for name in one["names"]
    ]
    assert sorted(names, key=str) == sorted(expected, key=str)
    assert any("DROP TABLE" in name[0] for name in names)
    near = "SELECT canonical_name FROM geo_entity WHERE ST_DWithin(centroid, ST_MakePoint(10.02, 50.02)::geography, 100)"
    assert asked(server, near) == [("Brot",)]
    assert asked(server, "SELECT bool_and(ST_Covers(bbox, geometry)) FROM geo_entity") == [(True,)]


def test_again_is_an_update(server: str, dataset: Dataset) -> None:
    """The same entities twice are there once; what other tables refer to stays, and what was changed comes back."""
    api.export(dataset, to=server)
    asked_before = asked(server, "SELECT count(*) FROM geo_alias")
    import psycopg

    with psycopg.connect(server) as connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS s2_observation (entity_id uuid REFERENCES geo_entity (entity_id))"
        )
        connection.execute("INSERT INTO s2_observation SELECT entity_id FROM geo_entity")
        connection.execute("UPDATE geo_entity SET canonical_name = 'x'")
    assert api.export(dataset, to=server) == 3
    assert asked(server, "SELECT count(*) FROM geo_alias") == asked_before
    assert asked(server, "SELECT count(*) FROM geo_entity WHERE canonical_name = 'x'") == [(0,)]


def test_a_table_of_another_shape_is_named_and_nothing_changes(server: str, dataset: Dataset) -> None:
    """In a schema of its own, whose tables are not there yet: all is one transaction."""
    import psycopg

    other = f"{server}&options=-csearch_path%3Dother,public"
    with psycopg.connect(server) as connection:
        connection.execute("CREATE SCHEMA other")
        connection.execute("CREATE TABLE other.geo_alias (alias integer)")
    with pytest.raises(OutputError, match=r"cannot write into postgresql:///postgres.*nothing was changed"):
        api.export(dataset, to=other)
    assert asked(server, "SELECT to_regclass('other.geo_entity')") == [(None,)]
    with psycopg.connect(server) as connection:
        connection.execute("DROP TABLE other.geo_alias")
    assert api.export(dataset, to=other) == 3


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("mysql://h/d", "--to must look like postgresql"),
        ("postgresql://h", "--to must look like postgresql"),
        ("postgresql://[/d", "is not an address"),
    ],
)
def test_addresses_that_are_none(address: str, words: str, dataset: Dataset) -> None:
    with pytest.raises(UsageError, match=words):
        api.export(dataset, to=address)


def test_no_server_and_no_password_in_the_message(dataset: Dataset) -> None:
    pytest.importorskip("psycopg")
    from tests.tile_servers import closed_port

    with pytest.raises(OutputError, match="cannot write into") as error:
        api.export(dataset, to=f"postgresql://me:secret@127.0.0.1:{closed_port()}/d")
    assert "secret" not in str(error.value)


def test_a_dataset_without_entities(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("lon,lat\n24.9,60.1\n25.0,60.2\n")
    points = api.prepare("sphere2vec", points=tmp_path / "t.csv", out=tmp_path / "ds")
    with pytest.raises(DatasetError, match="has no entities"):
        api.export(points, to="postgresql://localhost/d")
