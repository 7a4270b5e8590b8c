"""The promises: public names, command-line options, file formats. A change here belongs into the CHANGELOG."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import placevec
from placevec.datasets.dataset import Dataset
from tests.cli.commands import commands, options_of

PINNED = Path(__file__).with_name("surface.json")


def current() -> dict[str, object]:
    verbs = {words: sorted(options_of(words)) for words in sorted(commands())}
    return {"names": sorted(placevec.__all__), "verbs": verbs}


def test_names_and_options() -> None:
    """Regenerate after a change that is meant: ``python -m tests.test_surface``."""
    assert current() == json.loads(PINNED.read_text())


@pytest.mark.parametrize("name", placevec.__all__)
def test_every_public_name_exists(name: str) -> None:
    assert getattr(placevec, name) is not None


def test_formats(helsinki_dataset: Dataset, helsinki_run: Path, helsinki_table: Path) -> None:
    assert pq.read_schema(helsinki_dataset.path / "places.parquet").names == [
        "place_id",
        "lon",
        "lat",
        "name",
        "geometry",
    ]
    assert {"place_id", "view", "lon", "lat", "name", "geometry", "embedding"} == set(
        pq.read_schema(helsinki_table).names
    )
    manifest = helsinki_dataset.manifest
    assert manifest["schema_version"] == 1
    assert {"area", "sources", "places", "views", "report", "created", "placevec_version"} <= set(manifest)
    assert {"path", "sha256", "bytes", "timestamp", "licence", "attribution"} <= set(manifest["sources"][0])
    config = json.loads((helsinki_run / "config.json").read_text())
    assert {
        "format", "schema_version", "recipe", "encoders", "reads", "training", "weights_sha256", "card_sha256",
        "checksum_of_this_file",
    } == set(config)  # fmt: skip
    assert {path.name for path in helsinki_run.iterdir()} == {
        "config.json", "model.safetensors", "MODEL_CARD.md", "split.parquet", "metrics.jsonl", "tensorboard", "state",
        "checksums.json",
    }  # fmt: skip


if __name__ == "__main__":
    PINNED.write_text(json.dumps(current(), indent=1) + "\n")
