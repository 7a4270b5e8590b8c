"""What runs leave behind and others hand on: tables of vectors, metrics, reports."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.fuzz.corpus import Corpus
from tests.fuzz.isolated import Isolated
from tests.fuzz.promise import holds, refused


@pytest.mark.parametrize(("name", "examples"), [("embeddings", 60), ("metrics", 80), ("report", 80)])
def test_damaged(corpus: Corpus, isolated: Isolated, name: str, examples: int) -> None:
    holds(name, corpus, isolated, examples)


def test_vectors_that_would_fill_the_memory(isolated: Isolated) -> None:
    """Thirty million places that are all alike."""
    names = pa.DictionaryArray.from_arrays(pa.array([0] * 8, pa.int32()), ["a"])
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, pa.schema([("place_id", pa.string())]), compression="zstd") as writer:
        chunk = pa.table({"place_id": pa.concat_arrays([names.cast(pa.string())] * 125_000)})
        for _ in range(30):
            writer.write_table(chunk)
    content = sink.getvalue().to_pybytes()
    assert len(content) < 300_000
    assert "would decompress" in refused(isolated, "embeddings", "plain.parquet", content)


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe\n",
        b"3\n",
        b"[]\n",
        b'{"step": null}\n',
        b'{"loss": 1}\n',
        b"[" * 100_000,
        b'{"step": "a"}\n',
    ],
)
def test_metrics_stop_at_the_first_line_that_is_none(isolated: Isolated, content: bytes) -> None:
    """Each was an exception of the command that showed the last row."""
    assert isolated.read("metrics", "metrics.jsonl", b'{"step": 1}\n' + content) == ("valid", "")


@pytest.mark.parametrize(
    "content", [b"[]", b"3", b"[" * 100_000, json.dumps({"model_hash": []}).encode(), b"\xff"]
)
def test_a_report_that_is_none_is_made_again(isolated: Isolated, content: bytes) -> None:
    assert isolated.read("report", "report.json", content) == ("valid", "")
