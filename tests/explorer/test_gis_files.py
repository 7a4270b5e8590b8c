"""Places as files for GIS. Oracle: GDAL reads them back, and scikit-learn's principal components."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from sklearn.decomposition import PCA

from placevec import api
from placevec.cli import main
from placevec.embeddings import Embeddings, Provenance
from placevec.errors import InputError, OutputError, UsageError

HOSTILE = "</script><img src=x onerror=alert(9)>"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    lonlat = random.uniform(20, 30, (60, 2))
    lonlat[3] = np.nan
    shapes = [None if number % 2 else shapely.box(*one, *one + 0.1) for number, one in enumerate(lonlat)]
    names = [HOSTILE] + [None] * 59
    ids = [f"p{row}" for row in range(60)]
    made = Provenance("m", "d", attribution="© OpenStreetMap contributors")
    Embeddings(ids, random.normal(size=(60, 8)), lonlat, shapes, names, "map", made).save(
        tmp_path / "e.parquet"
    )
    return tmp_path / "e.parquet"


@pytest.mark.parametrize("ending", ["fgb", "gpkg"])
def test_gis_desktops_read_the_places(file: Path, ending: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = file.with_name(f"places.{ending}")
    assert main(["export", str(file), "-o", str(out)]) == 0
    told = capsys.readouterr()
    assert f"59 places: {out}" in told.out
    assert "1 of 60 places have no coordinates and are left out" in told.err
    frame = gpd.read_file(out).set_index("place_id")
    table = api.load_embeddings(file).of()
    known = np.isfinite(table.lonlat).all(axis=1)
    assert sorted(frame.index) == sorted(table.place_id[known])
    assert frame.crs == 4326
    assert frame.loc["p0", "name"] == HOSTILE
    assert frame.loc["p0"].geometry.equals(table.geometry[0])
    assert set(frame["attribution"]) == {"© OpenStreetMap contributors"}
    oracle = PCA(3).fit_transform(table.vectors)[known]
    ours = frame.loc[table.place_id[known], ["pc1", "pc2", "pc3"]].to_numpy()
    for number in range(3):
        assert abs(np.corrcoef(oracle[:, number], ours[:, number])[0, 1]) > 0.9999
    assert frame["color"].str.fullmatch("#[0-9a-f]{6}").all()
    assert [one.name for one in file.parent.iterdir() if one.name.startswith(".")] == []


def test_pmtiles(file: Path) -> None:
    """Oracle: the header of the specification, version 3, and GDAL's own reader."""
    out, table = file.with_name("places.pmtiles"), api.load_embeddings(file).of()
    none, near = [None] * 60, 24.94 + np.arange(120.0).reshape(60, 2) / 1e6
    points = Embeddings(table.place_id, table.vectors, near, none, none, "map", table.provenance)
    assert api.export(points, out=out) == 60
    content = out.read_bytes()
    assert (content[:7], content[7], content[100], content[101]) == (b"PMTiles", 3, 0, 14)
    assert set(gpd.read_file(out)["place_id"]) == set(table.place_id)


def test_what_is_refused(file: Path) -> None:
    with pytest.raises(UsageError, match=r"exported as \.fgb"):
        api.export(file, out=file.with_name("places.shp"))
    with pytest.raises(OutputError):
        api.export(file, out="/proc/nowhere/places.gpkg")
    table = api.load_embeddings(file).of()[[3]]
    with pytest.raises(InputError, match="no place"):
        api.export(table, out=file.with_name("places.gpkg"))
