"""Ways to damage a valid file, driven by a `random.Random`: hypothesis and atheris both bring their own."""

from __future__ import annotations

import copy
import json
import struct
from collections.abc import Callable
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

WHOLE_NUMBERS = (
    0,
    1,
    2,
    7,
    127,
    128,
    255,
    256,
    32767,
    65535,
    2**24,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63 - 1,
    2**64 - 1,
)
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 3, 17, 64, 2**31, 2**63, -(2**70), 10**400, 0.5, -1.5, 1e308, 5e-324, float("nan"),
    float("inf"), "", "a", "map", "../x", "/etc/passwd", "é\u202e\ud800", "a\nb\r\n", "\x00", "x" * 70_000, "1e999",
    [], [[]], [None], [0, 0], ["a"], ["a", "a"], [1, 2, 3, 4], [{}], {}, {"": None}, {"a": {}}, {"type": "Polygon"},
)  # fmt: skip
"""What no field of a document expects everywhere."""


def damaged_bytes(content: bytes, random: Random) -> bytes:
    """One to four small injuries: flipped bits, absurd numbers, pieces cut out, moved, repeated."""
    out = bytearray(content)
    for _ in range(random.randint(1, 4)):
        random.choice(_INJURIES)(out, random)
    return bytes(out[: 2 * len(content) + 4096])


def _at(out: bytearray, random: Random) -> int:
    """A position, more often near an end, where formats keep their tables."""
    last = max(len(out) - 1, 0)
    near = min(random.randint(0, 64), last)
    return random.choice((near, last - near, random.randint(0, last), random.randint(0, last)))


def _flip(out: bytearray, random: Random) -> None:
    if out:
        out[_at(out, random)] ^= 1 << random.randint(0, 7)


def _byte(out: bytearray, random: Random) -> None:
    if out:
        out[_at(out, random)] = random.randint(0, 255)


def _number(out: bytearray, random: Random) -> None:
    kind = random.choice("BHIQ")
    raw = struct.pack(
        random.choice("<>") + kind, random.choice(WHOLE_NUMBERS) % 2 ** (8 * struct.calcsize(kind))
    )
    at = _at(out, random)
    out[at : at + len(raw)] = raw


def _truncate(out: bytearray, random: Random) -> None:
    del out[_at(out, random) :]


def _cut(out: bytearray, random: Random) -> None:
    at = _at(out, random)
    del out[at : at + random.choice((1, 2, 4, 8, 64, 1024))]


def _repeat(out: bytearray, random: Random) -> None:
    at = _at(out, random)
    piece = bytes(out[at : at + random.choice((1, 4, 16, 256))])
    out[at:at] = piece * random.choice((1, 2, 50))


def _move(out: bytearray, random: Random) -> None:
    at, to = _at(out, random), _at(out, random)
    piece = bytes(out[at : at + random.choice((4, 16, 256))])
    out[to : to + len(piece)] = piece


def _noise(out: bytearray, random: Random) -> None:
    at = _at(out, random)
    out[at:at] = bytes(random.randint(0, 255) for _ in range(random.randint(1, 12)))


_INJURIES: tuple[Callable[[bytearray, Random], None], ...] = (
    _flip, _byte, _number, _number, _truncate, _cut, _repeat, _move, _noise,
)  # fmt: skip


# --- documents ---------------------------------------------------------------------------------------------


def damaged_json(content: bytes, random: Random) -> bytes:
    """One to three fields of a JSON document (or of each line) removed, doubled, or of another type."""
    lines = content.decode().splitlines() if content.count(b"}\n{") else [content.decode()]
    documents = [json.loads(line) for line in lines]
    for _ in range(random.randint(1, 3)):
        number = random.randrange(len(documents))
        documents[number] = _spoiled(documents[number], random)
    return "\n".join(json.dumps(document) for document in documents).encode("utf-8", "surrogatepass")


def _spoiled(document: Any, random: Random) -> Any:
    found = list(_fields(document))
    if not found or random.randint(0, 40) == 0:
        return _value(random)
    parent, key = random.choice(found)
    how = random.randint(0, 9)
    if how == 0:
        del parent[key]
    elif how == 1 and isinstance(parent, dict):
        parent[random.choice(("x", "bounds", "a.b", ""))] = _value(random)
    elif how == 2:
        other, name = random.choice(found)
        parent[key] = copy.deepcopy(other[name])
    elif how == 3:
        value: Any = parent[key]
        for _ in range(random.choice((1, 2, 60))):
            value = [value]
        parent[key] = value
    else:
        parent[key] = _value(random)
    return document


def _value(random: Random) -> Any:
    return copy.deepcopy(random.choice(VALUES))


def _fields(document: Any) -> Any:
    """(container, key) of everything inside."""
    if isinstance(document, dict | list):
        for key in document if isinstance(document, dict) else range(len(document)):
            yield document, key
            yield from _fields(document[key])


def damaged_toml(content: bytes, random: Random) -> bytes:
    """The same for TOML, written with inline tables."""
    import tomllib

    document = _spoiled(tomllib.loads(content.decode()), random)
    if random.randint(0, 1):
        document = _spoiled(document, random)
    if not isinstance(document, dict):
        document = {"layer": document}
    return "".join(f"{json.dumps(str(key))} = {_toml(value)}\n" for key, value in document.items()).encode(
        "utf-8", "surrogatepass"
    )


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(str(k))} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, float) and value != value:
        return "nan"
    if isinstance(value, float) and abs(value) == float("inf"):
        return "inf"
    return "''" if value is None else json.dumps(value)


# --- tables ------------------------------------------------------------------------------------------------


def damaged_parquet(content: bytes, random: Random) -> bytes:
    """A well-formed table whose columns or metadata are not what they should be."""
    table = pq.read_table(pa.BufferReader(content))
    for _ in range(random.randint(1, 2)):
        table = random.choice(_SPOILS)(table, random)
    sink = pa.BufferOutputStream()
    try:
        pq.write_table(table, sink, compression="none")
    except (pa.ArrowException, TypeError):  # Parquet has no such column
        return content[:-1]
    return sink.getvalue().to_pybytes()


def _column(table: pa.Table, random: Random) -> int:
    return random.randrange(table.num_columns)


def _retyped(table: pa.Table, random: Random) -> pa.Table:
    at, count = _column(table, random), len(table)
    column = random.choice([
        pa.nulls(count), pa.nulls(count, pa.string()), pa.array(range(count)), pa.array([b"\xff\xfe"] * count),
        pa.array([1e300, float("nan"), -float("inf")] * count)[:count], pa.array([0.0] * count, pa.float32()),
        pa.array([True] * count), pa.array(["a"] * count), pa.array([[1.0]] * count), pa.array([{"x": 1}] * count),
        pa.array([2**62] * count, pa.timestamp("s")), pa.array(["a"] * count).dictionary_encode(),
        pa.array([b"\xff\xc0"] * count, pa.binary()).view(pa.string()), pa.array([""] * count),
        pa.array([10**30] * count, pa.decimal128(38, 0)), pa.array([b""] * count),
        pa.array([bytes.fromhex("0101000000") + b"\x7f" * 16] * count),
    ])  # fmt: skip
    return table.set_column(at, table.column_names[at], column)


def _renamed(table: pa.Table, random: Random) -> pa.Table:
    names = list(table.column_names)
    names[_column(table, random)] = random.choice([*names, "", "x", "\n", "geometry"])
    return table.rename_columns(names)


def _dropped(table: pa.Table, random: Random) -> pa.Table:
    return table.remove_column(_column(table, random)) if table.num_columns > 1 else table


def _rows(table: pa.Table, random: Random) -> pa.Table:
    if not len(table):
        return table
    return random.choice((table.slice(0, 0), table.slice(0, 1), pa.concat_tables([table, table.slice(0, 1)])))


def _holes(table: pa.Table, random: Random) -> pa.Table:
    at = _column(table, random)
    mask = pa.array([random.randint(0, 1) == 1 for _ in range(len(table))], pa.bool_())
    try:
        holed = pc.if_else(mask, table.column(at), pa.scalar(None, table.column(at).type))
    except pa.ArrowException:
        return table
    return table.set_column(at, table.column_names[at], holed)


def _told(table: pa.Table, random: Random) -> pa.Table:
    metadata = dict(table.schema.metadata or {})
    key = random.choice([*metadata, b"geo", b"placevec", b"pandas", b"stac", b"\xff"])
    old = metadata.get(key, b"{}")
    try:
        metadata[key] = damaged_json(old, random)
    except ValueError:
        metadata[key] = b"{"
    return table.replace_schema_metadata(metadata)


_SPOILS: tuple[Callable[[pa.Table, Random], pa.Table], ...] = (
    _retyped, _retyped, _renamed, _dropped, _rows, _holes, _told, _told,
)  # fmt: skip


def damaged(name: str, content: bytes, random: Random) -> bytes:
    """A file damaged in its bytes, or in its meaning where ``name`` tells its format."""
    by_meaning = {
        ".json": damaged_json, ".geojson": damaged_json, ".jsonl": damaged_json, ".toml": damaged_toml,
        ".parquet": damaged_parquet,
    }  # fmt: skip
    suffix = "." + name.rsplit(".", 1)[-1]
    if suffix in by_meaning and random.randint(0, 2):
        return by_meaning[suffix](content, random)
    return damaged_bytes(content, random)
