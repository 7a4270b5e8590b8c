"""GeoJSON against a parser and GDAL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import geopandas
import numpy as np
import pytest

from placevec.geo.geojson import write_geojson


def test_what_is_written_is_read(tmp_path: Path) -> None:
    names = ["</script>", 'a "quote"\n', "half \ud800 character", None]
    lonlat = np.array([[24.123456789, 60.0], [-180.0, -90.0], [0.0, 0.0], [np.nan, np.nan]])
    write_geojson(
        tmp_path / "a.geojson", lonlat, ({"name": name} for name in names), {"attribution": "© \u2028 x"}
    )
    content = json.loads((tmp_path / "a.geojson").read_bytes())
    assert content["type"] == "FeatureCollection"
    assert content["attribution"] == "© \u2028 x"
    assert [one["properties"]["name"] for one in content["features"]] == names
    assert content["features"][0]["geometry"]["coordinates"] == [24.1234568, 60.0]
    assert content["features"][3]["geometry"] is None
    assert len(geopandas.read_file(tmp_path / "a.geojson")) == 4


def test_nothing_at_all_is_still_a_collection(tmp_path: Path) -> None:
    write_geojson(tmp_path / "a.geojson", np.empty((0, 2)), [], {})
    assert json.loads((tmp_path / "a.geojson").read_text()) == {"type": "FeatureCollection", "features": []}


def test_a_failure_midway_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a.geojson").write_text("old")

    def broken() -> Iterator[str]:
        yield '{"a": 1}'
        raise RuntimeError("midway")

    with pytest.raises(RuntimeError, match="midway"):
        write_geojson(tmp_path / "a.geojson", np.zeros((2, 2)), broken(), {})
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.geojson", "old")]
