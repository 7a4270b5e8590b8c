"""Tables of answers: a row a point in its order, readable by geopandas, in constant memory."""

from __future__ import annotations

from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from placevec import api
from placevec.errors import PlacevecError
from placevec.inference import table as room
from tests.inference.closed_form import HOSTILE, closed_form, expected

NAMES = ("east", "middle", "north")


def points(path: Path, count: int = 50, *, missing: bool = True) -> pd.DataFrame:
    random = np.random.default_rng(0)
    table = pd.DataFrame({
        "id": [f"p{number}" for number in range(count)],
        "lon": random.uniform(-180, 180, count), "lat": random.uniform(-90, 90, count),
    })  # fmt: skip
    if missing:
        table.loc[3, ["lon", "lat"]] = np.nan
    table.to_csv(path, index=False)
    return table


def test_the_most_likely_class_and_those_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Oracle: the closed form; in parts of 256 points too."""
    given = points(tmp_path / "p.csv", 700)
    closed_form(tmp_path / "m", "classes")
    monkeypatch.setattr(room, "_MAX_NUMBERS", 3 * 256)
    report = api.predict(tmp_path / "m", tmp_path / "a.parquet", points=tmp_path / "p.csv", classes=["north"])
    found = geopandas.read_parquet(report.path)
    assert (report.rows, report.without) == (700, 1)  # type: ignore[union-attr]
    assert found["place_id"].tolist() == given["id"].tolist()
    known = found["lon"].notna().to_numpy()
    assert known.sum() == 699
    wanted = expected(given.loc[known, ["lon", "lat"]].to_numpy(), "classes")
    assert found.loc[known, "prediction"].tolist() == [NAMES[row] for row in wanted.argmax(axis=1)]
    np.testing.assert_allclose(found.loc[known, "probability"], wanted.max(axis=1), atol=1e-6)
    np.testing.assert_allclose(found.loc[known, "probability: north"], wanted[:, 2], atol=1e-6)
    assert found.loc[~known, ["prediction", "probability", "geometry"]].isna().all(axis=None)
    np.testing.assert_allclose(found.geometry[known].x, given["lon"][known])
    assert b"nobody" in pq.read_schema(report.path).metadata[b"placevec"]


def test_numbers_named_columns_and_rows_without_names(tmp_path: Path) -> None:
    given = points(tmp_path / "p.csv", missing=False)
    named = given.rename(columns={"id": "site", "lon": "east", "lat": "north"})
    named.to_parquet(tmp_path / "named.parquet")
    columns = {"id": "site", "lon": "east", "lat": "north"}
    closed_form(tmp_path / "m", "number")
    report = api.predict(tmp_path / "m", tmp_path / "n.parquet", points=tmp_path / "named.parquet", **columns)
    assert geopandas.read_parquet(report.path)["place_id"].tolist() == given["id"].tolist()
    with pytest.raises(PlacevecError, match="name columns of a table of points"):
        api.predict(tmp_path / "m", tmp_path / "a.tif", id="site")
    given[["lon", "lat"]].to_parquet(tmp_path / "p.parquet")
    report = api.predict(tmp_path / "m", tmp_path / "a.parquet", points=tmp_path / "p.parquet")
    found = geopandas.read_parquet(report.path)
    wanted = expected(given[["lon", "lat"]].to_numpy(), "number")[:, 0]
    np.testing.assert_allclose(found["prediction"], wanted, atol=1e-5)
    assert found["place_id"].tolist() == [str(row) for row in range(50)]


def test_hostile_names_stay_data(tmp_path: Path) -> None:
    points(tmp_path / "p.csv")
    closed_form(tmp_path / "m", classes=HOSTILE)
    report = api.predict(
        tmp_path / "m", tmp_path / "a.parquet", points=tmp_path / "p.csv", classes=[HOSTILE[1]]
    )
    found = geopandas.read_parquet(report.path)
    assert set(found["prediction"].dropna()) == set(HOSTILE)
    assert f"probability: {HOSTILE[1]}" in found.columns


def test_what_cannot_be_handled(tmp_path: Path) -> None:
    model = closed_form(tmp_path / "m")
    (tmp_path / "none.csv").write_text("lon,lat\n,\n,\n")
    (tmp_path / "far.csv").write_text("lon,lat\n24.9,160.2\n")
    (tmp_path / "bare.csv").write_text("a,b\n1,2\n")
    for name in ("none", "far", "bare", "absent"):
        with pytest.raises(PlacevecError):
            api.predict(model, tmp_path / "a.parquet", points=tmp_path / f"{name}.csv")
    assert not (tmp_path / "a.parquet").exists()
