"""Small files that would cost gigabytes or hours, through the commands that take them: each ends at once in one line."""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import placevec
from placevec.cli.main import main
from placevec.datasets.dataset import Dataset


def refused(capsys: pytest.CaptureFixture[str], command: list[object], *words: str) -> None:
    """It ends with 1 and one line that has these words; nothing is written."""
    assert main([str(one) for one in command]) == 1
    said = capsys.readouterr().err
    assert len(said.strip().splitlines()) == 1, said
    for word in words:
        assert word in said


def test_empty_tensors(capsys: pytest.CaptureFixture[str], tmp_path: Path, helsinki_dataset: Dataset) -> None:
    """300,000 of them, as the weights of a model whose checksum is right and as a checkpoint."""
    model = tmp_path / "model"
    shutil.copytree(Path(placevec.__file__).parent / "models" / "base", model)
    entry = json.dumps({"dtype": "F32", "shape": [0], "data_offsets": [0, 0]})
    content = ("{" + ",".join(f'"t{number}":{entry}' for number in range(300_000)) + "}").encode()
    weights = struct.pack("<Q", len(content)) + content
    (model / "model.safetensors").write_bytes(weights)
    config = json.loads((model / "config.json").read_text())
    config.pop("checksum_of_this_file", None)
    config["weights_sha256"] = [hashlib.sha256(weights).hexdigest()]
    (model / "config.json").write_text(json.dumps(config))
    out = tmp_path / "out.parquet"
    words = ("model.safetensors", "its list of tensors has 18 MiB")
    refused(capsys, ["embed", model, helsinki_dataset.path, "-o", out, "-q"], *words)
    one = torch.zeros(0)
    torch.save({f"t{number}": one for number in range(120_000)}, tmp_path / "t.pt")
    command = [
        "import-weights",
        tmp_path / "t.pt",
        "--as",
        "loc2vec-12",
        "--out",
        out,
        "--yes-i-trust-this-file",
    ]
    refused(capsys, command, "t.pt holds a list of tensors and other values of 2.")
    assert not out.exists()


def test_points_of_interest(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Two kilobytes, in which sixty rows share a text of 5 MB."""
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 60, pa.int32()), ["x" * 5_000_000])
    columns = {"lon": [24.94] * 60, "lat": [60.17] * 60, "category": ["cafe"] * 60, "name": text}
    pq.write_table(pa.table(columns), tmp_path / "p.parquet", compression="zstd")
    assert (tmp_path / "p.parquet").stat().st_size < 10_000
    (tmp_path / "places.csv").write_text("place_id,lon,lat\na,24.94,60.17\n")
    command = ["prepare", "mmgr", "--places", tmp_path / "places.csv", "--out", tmp_path / "out", "-q"]
    command += ["--size-m", 200, "--pois", tmp_path / "p.parquet"]
    refused(capsys, command, "p.parquet", "in the column 'name'", "implausible")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("lon,lat," + ",".join(f"c{number}" for number in range(500_000)) + "\n1,1\n", ("is too long",)),
        ("lon,lat," + "c," * 499_999 + "c\n1,1\n", ("500,002 columns, more than 10,000",)),
        ("lon,lat\n" + ("," * 2_000_000 + "\n") * 2, ("2 of 2 rows", "2,000,001 cells for 2 columns")),
    ],
    ids=["a long header", "many columns", "wide rows"],
)
def test_wide_tables(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: str, words: tuple[str, ...]
) -> None:
    table, out = tmp_path / "t.csv", tmp_path / "out"
    table.write_text(content)
    refused(capsys, ["prepare", "sphere2vec", "--points", table, "--out", out, "-q"], "t.csv", *words)
    refused(
        capsys,
        ["prepare", "loc2vec", "--osm-name", "helsinki-center", "--places", table, "--out", out, "-q"],
        "t.csv",
        *words,
    )
    assert not out.exists()
