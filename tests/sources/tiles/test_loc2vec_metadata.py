"""metadata.json of founding document 001. Oracle: its field names and order, from reference section 1.4."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from placevec.errors import SourceError
from placevec.geo import Area
from placevec.sources.tiles.loc2vec_metadata import (
    Loc2VecMetadata,
    read_loc2vec_metadata,
    write_loc2vec_metadata,
)

FOUNDING: dict[str, Any] = {
    "server_ip_source": "10.0.0.1", "server_port_source": 80, "server_path_source": "/hot/{z}/{x}/{y}.png",
    "zoom": 18, "patch_size": 64, "region_bounds": [50.3, 30.3, 50.6, 30.7], "num_samples": 2,
    "sample_coordinates": [[50.45, 30.52], [50.4, 30.6]],
}  # fmt: skip


def test_coordinates_change_their_order(tmp_path: Path) -> None:
    (tmp_path / "metadata.json").write_text(json.dumps(FOUNDING))
    read = read_loc2vec_metadata(tmp_path / "metadata.json")
    assert read.lonlat.tolist() == [[30.52, 50.45], [30.6, 50.4]]
    assert read.area == Area(30.3, 50.3, 30.7, 50.6)
    assert (read.zoom, read.patch_size, read.server_path) == (18, 64, "/hot/{z}/{x}/{y}.png")
    write_loc2vec_metadata(tmp_path / "again.json", read)
    assert json.loads((tmp_path / "again.json").read_text()) == FOUNDING


def test_without_an_area_the_samples_bound_it(tmp_path: Path) -> None:
    write_loc2vec_metadata(tmp_path / "a.json", Loc2VecMetadata(3, np.array([[1.0, 2.0], [3.0, -4.0]])))
    assert json.loads((tmp_path / "a.json").read_text())["region_bounds"] == [-4.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("zoom", 99),
        ("zoom", "18"),
        ("patch_size", 0),
        ("sample_coordinates", [[50.45]]),
        ("sample_coordinates", [["a", "b"]]),
        ("sample_coordinates", [[95.0, 30.0]]),
        ("sample_coordinates", 5),
        ("region_bounds", [1, 2, 3]),
        ("region_bounds", [60.0, 30.0, 50.0, 31.0]),
        ("server_port_source", "http"),
    ],
)
def test_what_makes_no_sense_is_rejected(tmp_path: Path, name: str, value: Any) -> None:
    (tmp_path / "metadata.json").write_text(json.dumps({**FOUNDING, name: value}))
    with pytest.raises(SourceError, match="not valid metadata for Loc2Vec tiles"):
        read_loc2vec_metadata(tmp_path / "metadata.json")
    (tmp_path / "metadata.json").write_text("[" * 100_000)
    with pytest.raises(SourceError):
        read_loc2vec_metadata(tmp_path / "metadata.json")
    with pytest.raises(SourceError, match="there is no"):
        read_loc2vec_metadata(tmp_path / "none.json")
