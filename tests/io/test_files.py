"""Pipes, and files that are larger than what they should be, are refused before they are read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from placevec.errors import PlacevecError, SourceError
from placevec.io import files, parquet
from placevec.io.atomic import sha256_of_file
from placevec.io.checksums import read_sealed
from placevec.io.json_documents import read_json
from placevec.io.tensors import read_tensors
from placevec.options.fields import toml_options
from placevec.sources.osm.entities.types import TypeTable
from placevec.sources.osm.layers import LayerTable
from placevec.sources.wikidata.dump import read_dump
from placevec.training.log import read_metrics


def test_small_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.txt").write_bytes("käfe\r\nbar\n".encode())
    assert files.read_text(tmp_path / "a.txt") == "käfe\nbar\n"
    monkeypatch.setattr(files, "MAX_TEXT_BYTES", 4)
    with pytest.raises(SourceError, match=r"list of queries .*a\.txt is larger than"):
        files.read_text(tmp_path / "a.txt", "list of queries")


READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "manifests": ("dataset.json", read_sealed),
    "documents": ("a.json", read_json),
    "tables of ours": ("a.parquet", lambda path: parquet.damage(path)),
    "weights": ("model.safetensors", read_tensors),
    "options": ("a.toml", toml_options),
    "layers": ("layers.toml", LayerTable.from_toml),
    "dumps": ("dump.json", lambda path: list(read_dump(path, [1]))),
    "types": ("types.toml", TypeTable.of),
    "hashes": ("a.bin", sha256_of_file),
    "logs": ("metrics.jsonl", lambda path: read_metrics(path.parent)),
}


@pytest.mark.parametrize("name", READERS)
def test_pipes(tmp_path: Path, name: str) -> None:
    """Opening one would wait for ever; tables, extracts and tiles have tests of their own."""
    file, read = READERS[name]
    os.mkfifo(tmp_path / file)
    with pytest.raises(PlacevecError, match="is a pipe"):
        read(tmp_path / file)
