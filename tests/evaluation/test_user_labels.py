"""Label tables of every format and kind, and what is wrong with them in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely

from placevec.errors import EvaluationError, PlacevecError, SourceError
from placevec.evaluation.user_labels import label_tasks
from placevec.geo import Area, metric_grid
from tests.evaluation.standin import Town, town


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return town(tmp_path_factory.mktemp("town"), km=5)


def table(place: Town) -> pd.DataFrame:
    """Every second place, in another order, with one column of each kind."""
    rows = np.random.default_rng(0).permutation(len(place))[::2]
    return pd.DataFrame(
        {
            "place_id": [place.place_ids[row] for row in rows],
            "rent": rows * 1.5,
            "floors": rows % 3,
            "kind": np.where(rows % 2 == 0, "old", "new"),
            "listed": rows % 2 == 0,
            "remark": [f"text {row}" for row in rows],
            "row": rows,
        }
    )


def check(place: Town, tasks: list, frame: pd.DataFrame) -> None:
    by_name = {task.name: task for task in tasks}
    assert set(by_name) >= {"rent", "floors", "kind"}
    assert "remark" not in by_name
    assert [by_name[name].kind for name in ("rent", "floors", "kind")] == [
        "regression",
        "classification",
        "classification",
    ]
    assert set(by_name["rent"].rows) == set(frame["row"])
    np.testing.assert_array_equal(by_name["rent"].target, by_name["rent"].rows * 1.5)
    task = by_name["kind"]
    assert [task.classes[number] for number in task.target] == [
        "old" if row % 2 == 0 else "new" for row in task.rows
    ]
    floors = by_name["floors"]
    assert [int(floors.classes[number]) for number in floors.target] == [row % 3 for row in floors.rows]


def test_classes_that_are_too_rare_are_named(tmp_path: Path, place: Any) -> None:
    """Oracle: counted here."""
    frame = table(place)
    frame.loc[:6, "kind"] = "ruin"
    frame.to_csv(tmp_path / "labels.csv", index=False)
    (task,) = label_tasks(tmp_path / "labels.csv", place, ["kind"])
    assert task.classes == ("new", "old")
    assert task.notes == ("classes with fewer than 20 places are left out: ruin (7)",)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_by_place_id(tmp_path: Path, place: Any, suffix: str) -> None:
    frame = table(place)
    file = tmp_path / f"labels{suffix}"
    if suffix == ".parquet":
        frame.to_parquet(file)
    else:
        frame.to_csv(file, index=False, sep="\t" if suffix == ".tsv" else ",")
    tasks = label_tasks(file, place)
    check(place, tasks, frame)
    assert next(task for task in tasks if task.name == "listed").classes == ("False", "True")


@pytest.mark.parametrize("suffix", [".csv", ".geojson", ".gpkg", ".parquet"])
def test_by_point(tmp_path: Path, place: Any, suffix: str) -> None:
    """Points a little beside the centers label the places that they lie in."""
    frame = table(place).drop(columns="place_id")
    lonlat = place.lonlat[frame["row"]] + [0.0005, 0.0003]
    file = tmp_path / f"labels{suffix}"
    if suffix == ".csv":
        frame.assign(longitude=lonlat[:, 0], latitude=lonlat[:, 1]).to_csv(file, index=False)
    else:
        located = geopandas.GeoDataFrame(frame, geometry=shapely.points(lonlat), crs=4326)
        if suffix == ".parquet":
            located.to_parquet(file)
        else:
            located.to_file(file)
    check(place, label_tasks(file, place, ["rent", "floors", "kind"]), frame)


def test_polygons_label_the_places_they_hold(tmp_path: Path, place: Any) -> None:
    """Oracle: plain comparison of coordinates with the boxes, in another projection."""
    west, south = place.lonlat.min(axis=0)
    middle = place.lonlat.mean(axis=0)
    boxes = [shapely.box(west, south, middle[0], 61), shapely.box(middle[0], south, 26, 61)]
    frame = geopandas.GeoDataFrame({"side": ["west", "east"]}, geometry=boxes, crs=4326).to_crs(3067)
    frame.to_file(tmp_path / "labels.gpkg")
    (task,) = label_tasks(tmp_path / "labels.gpkg", place)
    found = np.array(task.classes, object)[task.target]
    strictly = np.abs(place.lonlat[task.rows, 0] - middle[0]) > 1e-4
    expected = np.where(place.lonlat[task.rows, 0] < middle[0], "west", "east")
    np.testing.assert_array_equal(found[strictly], expected[strictly])
    assert len(task) > 0.8 * len(place)


def test_several_rows_of_one_place(tmp_path: Path, place: Any) -> None:
    """Numbers are averaged, the commonest text is taken."""
    lonlat = np.repeat(place.lonlat[:60], 3, axis=0)
    frame = pd.DataFrame(
        {
            "lon": lonlat[:, 0],
            "lat": lonlat[:, 1],
            "value": np.arange(180.0) + 0.5,
            "text": np.where(np.arange(180) % 3 == 0, "seldom", np.where(np.arange(180) < 90, "a", "b")),
        }
    )
    frame.to_csv(tmp_path / "labels.csv", index=False)
    value, text = label_tasks(tmp_path / "labels.csv", place)
    np.testing.assert_array_equal(value.target, np.arange(60) * 3 + 1.5)
    assert text.classes == ("a", "b")


def test_points_beyond_every_footprint_are_left_out(tmp_path: Path, place: Any) -> None:
    lonlat = np.vstack([place.lonlat[:50], place.lonlat[:50] + 1.0])
    pd.DataFrame({"lon": lonlat[:, 0], "lat": lonlat[:, 1], "v": np.arange(100) * 0.5}).to_csv(
        tmp_path / "labels.csv", index=False
    )
    (task,) = label_tasks(tmp_path / "labels.csv", place)
    assert len(task) == 50


def test_missing_values_are_no_labels(tmp_path: Path, place: Any) -> None:
    frame = table(place)[["place_id", "rent", "kind"]]
    frame.loc[frame.index[:30], ["rent", "kind"]] = [np.nan, None]
    frame.to_csv(tmp_path / "labels.csv", index=False)
    rent, kind = label_tasks(tmp_path / "labels.csv", place)
    assert len(rent) == len(kind) == len(frame) - 30


def test_a_place_id_that_looks_like_a_number_stays_text(tmp_path: Path, place: Any) -> None:
    place_ids = [f"{row:05d}" for row in range(len(place))]
    renamed = Town(place.path, place.lonlat, place_ids)
    pd.DataFrame({"place_id": place_ids, "v": np.arange(len(place)) * 0.1}).to_csv(
        tmp_path / "l.csv", index=False
    )
    (task,) = label_tasks(tmp_path / "l.csv", renamed)  # type: ignore[arg-type]
    assert len(task) == len(place)


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet"])
def test_ids_with_leading_zeros_meet(tmp_path: Path, place: Any, ending: str) -> None:
    """FIPS codes are texts on both sides; a label of codes stays one of codes."""
    ids = [f"{row:05d}" for row in range(len(place))]
    town_of_codes = Town(tmp_path, place.lonlat, ids)
    frame = pd.DataFrame({"place_id": ids, "use": ["01", "02"] * (len(ids) // 2)})
    frame.loc[len(ids)] = ["elsewhere", "01"]
    file = tmp_path / f"l.{ending}"
    if ending == "parquet":
        frame.to_parquet(file)
    else:
        frame.to_csv(file, index=False, sep="\t" if ending == "tsv" else ",")
    notes: list[str] = []
    (task,) = label_tasks(file, town_of_codes, notes=notes)  # type: ignore[arg-type]
    assert len(task) == len(ids)
    assert task.classes == ("01", "02")
    assert notes == [
        f"{file}: 1 of {len(ids) + 1} rows match no place (first: row {len(ids) + 1}, place_id 'elsewhere')"
    ]


@pytest.mark.parametrize(
    ("frame", "columns", "message"),
    [
        ({"place_id": ["x", "y"], "v": [1, 2]}, None, "matches none of the places by place_id"),
        ({"lon": [1.0], "lat": [2.0], "v": [1]}, None, "no row lies on a place: rows are at lon 1.0000"),
        ({"v": [1]}, None, "neither a geometry nor lon and lat"),
        (
            {"place_id": ["p1", "p2"], "v": [1.5, 2.5]},
            None,
            "no column of .* can be used as a task: column 'v' has values at 2",
        ),
        ({"place_id": ["p1"], "v": [1]}, ["w"], "has no column 'w'"),
        ({"place_id": ["p1"]}, None, "there is none"),
    ],
)
def test_what_cannot_be_used_says_why(
    tmp_path: Path, place: Any, frame: dict[str, Any], columns: list[str] | None, message: str
) -> None:
    pd.DataFrame(frame).to_csv(tmp_path / "labels.csv", index=False)
    with pytest.raises(PlacevecError, match=message) as caught:
        label_tasks(tmp_path / "labels.csv", place, columns)
    assert "\n" not in str(caught.value)


def test_numbers_of_one_value_with_outliers_and_infinite(tmp_path: Path, place: Any) -> None:
    """What hides in numbers is counted and named: sentinels lie far from the rest, cells may be empty or infinite."""
    rents = np.arange(len(place), dtype=float) % 50 + 0.5
    rents[3:6] = -99999.0
    rents[8], rents[9] = np.inf, np.nan
    frame = pd.DataFrame({"place_id": place.place_ids, "rent": rents, "same": 7.25})
    frame.to_csv(tmp_path / "rents.csv", index=False)
    (task,) = label_tasks(tmp_path / "rents.csv", place, ["rent"])
    assert len(task) == len(place) - 2
    assert any("3 values of rent beyond 10 interquartile ranges" in note for note in task.notes)
    assert any("1 infinite values of rent are left out" in note for note in task.notes)
    assert any("places in the table have no value" in note for note in task.notes)
    with pytest.raises(EvaluationError, match=r"'same' has values \S+ \d+ places, all 7.25"):
        label_tasks(tmp_path / "rents.csv", place, ["same"])


def test_an_unusable_column_that_was_asked_for_is_an_error(tmp_path: Path, place: Any) -> None:
    table(place).to_csv(tmp_path / "labels.csv", index=False)
    with pytest.raises(
        EvaluationError,
        match=r"task remark: at least two classes with 20 or more places .* there are none",
    ):
        label_tasks(tmp_path / "labels.csv", place, ["remark"])


def parts(place: Town) -> pd.DataFrame:
    """Shares of three ages in percent, and whether there is a shop and a school."""
    random = np.random.default_rng(1)
    ages = pd.DataFrame(
        np.round(random.dirichlet(np.ones(3), len(place)) * 100, 1), columns=["young", "grown", "old"]
    )
    flags = random.random((len(place), 2)) < 0.4
    return ages.assign(place_id=place.place_ids, shop=flags[:, 0].astype(int), school=flags[:, 1])


def test_columns_that_are_one_task(tmp_path: Path, place: Any) -> None:
    """Shares are brought to sum 1, of rows of one place the mean; flags are one task of several labels."""
    frame = parts(place)
    ages = frame[["young", "grown", "old"]].to_numpy()
    pd.concat([frame, frame[:1].assign(young=100.0, grown=0.0, old=0.0)]).to_csv(
        tmp_path / "ages.csv", index=False
    )
    (task,) = label_tasks(tmp_path / "ages.csv", place, ["young", "grown", "old"], "distribution")
    assert (task.name, task.kind, task.classes) == ("ages", "distribution", ("young", "grown", "old"))
    np.testing.assert_allclose(task.target[1:], (ages / ages.sum(axis=1, keepdims=True))[1:])
    np.testing.assert_allclose(task.target[0], (ages[0] / ages[0].sum() + [1, 0, 0]) / 2)
    (both,) = label_tasks(tmp_path / "ages.csv", place, ["shop", "school"], "multilabel")
    np.testing.assert_array_equal(both.target, frame[["shop", "school"]].astype(bool))
    (shop,) = label_tasks(tmp_path / "ages.csv", place, ["shop"], "presence")
    assert (shop.kind, shop.target.tolist()) == ("presence", frame["shop"].tolist())
    (retrieved,) = label_tasks(tmp_path / "ages.csv", place, ["shop"], "retrieval")
    assert (retrieved.kind, retrieved.classes) == ("retrieval", ("0", "1"))


@pytest.mark.parametrize(
    ("columns", "kind", "message"),
    [
        (
            ["young", "old"],
            "distribution",
            r"labels.csv: row 1: shares must be 0 or more and sum to 1 \(or 100\)",
        ),
        (["young"], "distribution", "at least two columns of shares"),
        (["young", "shop"], "multilabel", "'young' holds '.*', but only 0 and 1"),
        (["young"], "presence", "only 0 and 1 are allowed"),
        (["kind"], "regression", "column 'kind' has values that are not numbers"),
        (["rare"], "presence", "is 1 at 3 of 400 places; at least 20 ones"),
    ],
)
def test_columns_of_another_kind_say_so(
    tmp_path: Path, place: Any, columns: list[str], kind: Any, message: str
) -> None:
    frame = parts(place).assign(kind="house", rare=np.arange(len(place)) < 3)
    frame.to_csv(tmp_path / "labels.csv", index=False)
    with pytest.raises(EvaluationError, match=message) as caught:
        label_tasks(tmp_path / "labels.csv", place, columns, kind)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["absent.csv", "labels.vrt", "broken.parquet", "broken.geojson", "broken.gpkg", "broken.csv"]
)
def test_missing_damaged_and_unknown_files(tmp_path: Path, place: Any, name: str) -> None:
    if name.startswith("broken"):
        (tmp_path / name).write_bytes(b"\x00\xff not a table" * 9)
    with pytest.raises(PlacevecError) as caught:
        label_tasks(tmp_path / name, place)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_geojson_that_is_no_table(tmp_path: Path, place: Any) -> None:
    (tmp_path / "labels.geojson").write_text(json.dumps({"type": "Nonsense"}))
    with pytest.raises(SourceError):
        label_tasks(tmp_path / "labels.geojson", place)


def test_the_real_population_grid_of_helsinki(shared_data: Path, tmp_path: Path) -> None:
    """Oracle: shapely, cell by cell, in the projection of the file."""
    file = shared_data / "population" / "helsinki_population_grid_2020.gpkg"
    lonlat = metric_grid(Area(24.9302, 60.1592, 24.9584, 60.1841), 120.0)
    here = Town(tmp_path, lonlat, [f"p{row}" for row in range(len(lonlat))])
    (task,) = label_tasks(file, here)  # type: ignore[arg-type]
    assert (task.name, task.kind) == ("population", "regression")
    cells = geopandas.read_file(file)
    centers = geopandas.GeoSeries(shapely.points(lonlat[task.rows]), crs=4326).to_crs(cells.crs)
    for center, target in list(zip(centers, task.target, strict=True))[::10]:
        assert target in cells.loc[cells.geometry.contains(center), "population"].to_numpy()
    assert len(task) > 100
