"""CoordBench. Oracles: scikit-learn's ridge for scores, and folds recorded from its own code (torchgeo/torchgeo-bench at
0096e588, MIT) on ten points.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.preprocessing import StandardScaler

from placevec.errors import PlacevecError
from placevec.evaluation import coordbench
from placevec.evaluation.point_baselines import NEAREST, sines
from placevec.geo.coordinates import xyz_of
from tests.preparation.points.tables import globe

TEN = np.array(
    [[-179.5, -89.0], [-3.0, 4.0], [3.0, 4.0], [12.0, 55.0], [25.0, 60.0], [25.5, 61.0], [100.0, 0.5], [100.0, -0.5],
     [151.0, -33.0], [179.9, 66.0]]
)  # fmt: skip
THEIRS = {0: [4, 1, 3, 2, 0, 0, 3, 2, 0, 1], 7: [3, 1, 3, 2, 4, 4, 1, 2, 0, 0]}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    lonlat = globe(400)
    path = tmp_path / "air_temp" / "data.parquet"
    path.parent.mkdir()
    heat = 30 - np.abs(lonlat[:, 1]) / 2
    heat[:5] = np.nan
    half = np.where(lonlat[:, 1] > 0, "north", "south")
    pd.DataFrame(
        {"lat": lonlat[:, 1], "lon": lonlat[:, 0], "heat": heat, "half": half, "id": range(400)}
    ).to_parquet(path)
    return path


@pytest.mark.parametrize("seed", THEIRS)
def test_folds_are_its_own(seed: int) -> None:
    assert coordbench.fold_numbers(TEN, seed=seed).tolist() == THEIRS[seed]


def test_tables_scores_and_results(table: Path, tmp_path: Path) -> None:
    benchmark = coordbench.read_table(table)
    assert (benchmark.name, list(benchmark.tasks), benchmark.test) == ("air_temp", ["heat", "half"], None)
    rows = list(coordbench.rows_of(benchmark, {"sincos": sines}))
    assert [(row["task"], row["split"], row["metric_name"]) for row in rows] == [
        ("heat", "random", "r2"), ("half", "random", "accuracy"),
        ("heat", "spatial", "r2"), ("half", "spatial", "accuracy"),
    ]  # fmt: skip
    assert rows[2]["n_test"] == 395
    known = np.isfinite(benchmark.tasks["heat"])
    x, y = sines(benchmark.lonlat[known]), benchmark.tasks["heat"][known]
    number = coordbench.fold_numbers(benchmark.lonlat)[known]
    means = []
    for alpha in coordbench.ALPHAS:
        scores = []
        for fold in range(5):
            scale = StandardScaler().fit(x[number != fold])
            factor = np.sqrt(
                (number != fold).sum() / ((number != fold).sum() - 1)
            )  # its deviation is of a sample
            one, other = (scale.transform(x[rows]) / factor for rows in (number != fold, number == fold))
            scores.append(Ridge(alpha).fit(one, y[number != fold]).score(other, y[number == fold]))
        means.append(np.mean(scores))
    assert rows[2]["metric_value"] == pytest.approx(max(means), abs=1e-9)
    coordbench.write_results(tmp_path / "results.csv", rows)
    again = coordbench.read_results(tmp_path / "results.csv")
    assert list(again[0]) == list(coordbench.COLUMNS)
    assert again[2]["metric_value"] == pytest.approx(rows[2]["metric_value"])


def test_tuned_baselines_are_rows_on_the_same_folds(table: Path, tmp_path: Path) -> None:
    """Oracle: scikit-learn's nearest neighbors with the number and votes that are best on the tested places: a bound."""
    benchmark = coordbench.read_table(table)
    rows = list(coordbench.baseline_rows(benchmark, [NEAREST]))
    linear = list(coordbench.rows_of(benchmark, {"sincos": sines}))
    for name in ("dataset", "task", "task_type", "split", "metric_name", "n_folds", "n_samples", "n_test"):
        assert [row[name] for row in rows] == [row[name] for row in linear]
    assert {(row["method"], row["model_name"], row["feature_dim"]) for row in rows} == {("tuned", NEAREST, 2)}
    known = np.isfinite(benchmark.tasks["heat"])
    x, y = xyz_of(benchmark.lonlat[known]), benchmark.tasks["heat"][known]
    number = coordbench.fold_numbers(benchmark.lonlat)[known]
    best = [
        max(
            KNeighborsRegressor(k, weights=weights)
            .fit(x[number != fold], y[number != fold])
            .score(x[number == fold], y[number == fold])
            for k in (1, 2, 3, 5, 8, 10, 20, 50, 100, 200)
            for weights in ("uniform", "distance")
        )
        for fold in range(5)
    ]
    assert 0.9 < rows[2]["metric_value"] <= np.mean(best) + 0.02
    coordbench.write_results(tmp_path / "results.csv", rows)
    assert len(coordbench.read_results(tmp_path / "results.csv")) == 4


def test_an_official_split_is_used_once(table: Path) -> None:
    frame = pd.read_parquet(table)
    frame["split"] = np.where(np.arange(400) % 4 == 0, "test", "trainval")
    frame.to_parquet(table)
    rows = list(coordbench.rows_of(coordbench.read_table(table, ["heat"]), {"sincos": sines}))
    assert [(row["split"], row["n_folds"], row["n_test"]) for row in rows] == [("official", 1, 100)]
    assert rows[0]["metric_value"] > 0.5


def test_what_is_no_table_of_it(table: Path, tmp_path: Path) -> None:
    with pytest.raises(PlacevecError, match="no column 'rain'"):
        coordbench.read_table(table, ["rain"])
    pd.DataFrame({"a": [1.0]}).to_parquet(tmp_path / "a.parquet")
    nowhere = pd.read_parquet(table)
    nowhere.loc[[7, 9], "lon"] = np.nan
    nowhere.to_parquet(tmp_path / "n.parquet")
    found = coordbench.read_table(tmp_path / "n.parquet")
    assert len(found.lonlat) == len(found.tasks["half"]) == 398
    said = "2 of 400 rows: no coordinates (first: row 8; fill in lon and lat, or leave the row out)"
    assert found.notes == (said,)
    nowhere.loc[20:, "lat"] = np.nan
    nowhere.to_parquet(tmp_path / "n.parquet")
    with pytest.raises(PlacevecError, match=r"n\.parquet: 382 of 400 rows have no coordinates"):
        coordbench.read_table(tmp_path / "n.parquet")
    with pytest.raises(PlacevecError, match="no columns for lon and lat"):
        coordbench.read_table(tmp_path / "a.parquet")
    (tmp_path / "b.csv").write_text("a,b\n1,2\n")
    with pytest.raises(PlacevecError, match="column dataset is missing"):
        coordbench.read_results(tmp_path / "b.csv")
