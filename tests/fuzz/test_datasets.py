"""A dataset of unknown origin: manifest, places, map, shares, points of interest."""

from __future__ import annotations

import copy
import json
import struct
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.fuzz.corpus import Corpus
from tests.fuzz.isolated import Isolated
from tests.fuzz.promise import holds, refused
from tests.unsealed import unsealed

KINDS = [
    ("manifest", 40), ("place-table", 25), ("shard", 35), ("coverage", 30), ("pois", 25), ("entities", 20), ("texts", 20),
]  # fmt: skip


@pytest.mark.parametrize(("name", "examples"), KINDS)
def test_damaged(corpus: Corpus, isolated: Isolated, name: str, examples: int) -> None:
    holds(name, corpus, isolated, examples)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("sources", 3),
        ("sources 0", "a"),
        ("sources 0 attribution", "\ud800"),
        ("places zoom", [17]),
        ("places size_m", 10**400),
        ("places size_m", -1),
        ("places count", 2**70),
        ("area bounds", [0, 1, 2]),
        ("area polygon", {"type": "Polygon", "coordinates": [[[0]]]}),
        ("views map spec", 0.5),
        ("views map spec channels", [["a"]]),
        ("views map spec zoom", 99),
        ("views map spec zoom", "17"),
        ("views map spec size_px", 2**40),
        ("views map files", ["x" * 5000]),
        ("views map files", ["../../../../etc/passwd"]),
        ("views map files", ["/etc/passwd"]),
        ("views map files", ["a\nb"]),
        ("report", []),
    ],
)
def test_a_manifest_with_another_field(corpus: Corpus, isolated: Isolated, path: str, value: Any) -> None:
    """Each was another exception than ours, when the dataset was opened or later, or a message of two lines."""
    manifest = json.loads((corpus.dataset / "dataset.json").read_text())
    place: Any = manifest
    *parents, last = [int(part) if part.isdigit() else part for part in path.split()]
    for part in parents:
        place = place[part]
    place[last] = copy.deepcopy(value)
    refused(isolated, "manifest", "dataset.json", json.dumps(unsealed(manifest)).encode())


def changed(table: pa.Table, name: str, column: pa.Array) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table.set_column(table.column_names.index(name), name, column), sink)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize(
    ("file", "name", "value"),
    [
        ("places.parquet", "lon", pa.scalar("east")),
        ("places.parquet", "lat", pa.scalar(91.0)),
        ("places.parquet", "place_id", pa.scalar(None, pa.string())),
        ("places.parquet", "place_id", pa.scalar(3)),
        ("places.parquet", "name", pa.scalar({"a": 1})),
        ("places.parquet", "geometry", pa.scalar(b"\x01\x03")),
        ("places.parquet", "geometry", pa.scalar({"a": 1})),
        ("pois.parquet", "lon", pa.scalar("east")),
        ("pois.parquet", "lat", pa.scalar({"a": 1})),
        ("pois.parquet", "prominence", pa.scalar("high")),
    ],
)
def test_tables_of_other_types(
    corpus: Corpus, isolated: Isolated, file: str, name: str, value: pa.Scalar
) -> None:
    """Were TypeErrors, ValueErrors, GEOSExceptions, and Arrow's and pandas' own."""
    table = pq.read_table(corpus.dataset / file)
    content = changed(table, name, pa.array([value.as_py()] * len(table), value.type))
    refused(isolated, "pois" if file == "pois.parquet" else "place-table", file, content)


def test_texts_that_are_no_text(corpus: Corpus, isolated: Isolated) -> None:
    for file, reader in (("places.parquet", "place-table"), ("pois.parquet", "pois")):
        table = pq.read_table(corpus.dataset / file)
        column = pa.array([b"\xff\xc0"] * len(table)).view(pa.string())
        refused(isolated, reader, file, changed(table, "name", column))


def test_metadata_of_pandas_are_not_believed(corpus: Corpus, isolated: Isolated) -> None:
    """pandas looked for columns in them and raised a KeyError."""
    for file, reader in (("places.parquet", "place-table"), ("pois.parquet", "pois")):
        table = pq.read_table(corpus.dataset / file)
        told = table.replace_schema_metadata({**(table.schema.metadata or {}), b"pandas": b"{}"})
        sink = pa.BufferOutputStream()
        pq.write_table(told, sink)
        assert isolated.read(reader, file, sink.getvalue().to_pybytes()) == ("valid", "")


@pytest.mark.parametrize("number", [0, 1, 2**31, 2**32 - 1])
@pytest.mark.parametrize("tag", [256, 257, 258, 277, 322, 324, 325])
def test_a_picture_that_lies_about_itself(corpus: Corpus, isolated: Isolated, tag: int, number: int) -> None:
    """Every value of the directory that says how large or where something is."""
    for kind, file in (("shard", next((corpus.dataset / "map").glob("*.tif"))), ("coverage", None)):
        path = file or corpus.dataset / "map_coverage.tif"
        content = bytearray(path.read_bytes())
        (start,) = struct.unpack_from("<I", content, 4)
        (entries,) = struct.unpack_from("<H", content, start)
        places = [start + 2 + 12 * entry for entry in range(entries)]
        (at,) = [place for place in places if struct.unpack_from("<H", content, place)[0] == tag]
        struct.pack_into("<I", content, at + 8, number)
        outcome, said = isolated.read(kind, str(path.relative_to(corpus.dataset)), bytes(content))
        assert outcome in ("valid", "refused"), said
