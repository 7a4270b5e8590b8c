"""A table of points becomes a dataset. Oracles: the table itself, pandas, pyproj, geopandas reading the files back."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import placevec as pv
from placevec.datasets.dataset import Dataset
from placevec.errors import SourceError, UsageError
from placevec.sources.tables import batches, opened

TABLE = pd.DataFrame(
    {
        "lon": [24.94, -179.5, 14.5, 0.25, 100.0, 25.0],
        "lat": [60.17, -16.5, 35.9, 89.9, -33.0, 61.0],
        "species": ["bee", "ant", "bee", "ant", "bee", "ant"],
        "seen": [
            "2019-07-02T12:00:00",
            "2020-01-01",
            None,
            "2021-12-31T23:59:59",
            "2018-03-15",
            "2018-03-15",
        ],
        "who": ["ann", "bo", None, "ann", "cy", "bo"],
        "part": ["train", "train", "val", "Test", "train", "training"],
    }
)


def prepared(tmp_path: Path, table: pd.DataFrame | str, name: str = "points.csv", **options: Any) -> Dataset:
    file = tmp_path / name
    if isinstance(table, str):
        file.write_text(table)
    elif file.suffix == ".parquet":
        table.to_parquet(file)
    else:
        table.to_csv(file, index=False, sep="\t" if file.suffix == ".tsv" else ",")
    return pv.prepare("sphere2vec", points=file, out=tmp_path / "ds", **options)


def test_all_that_goes_with_a_label(tmp_path: Path) -> None:
    ds = prepared(tmp_path, TABLE, label="species", user="who", date="seen", split="part")
    labels = ds.labels()
    assert np.array_equal(ds.lonlat, TABLE[["lon", "lat"]])
    assert labels.kind == "classes"
    assert labels.classes == ("ant", "bee")
    assert [labels.classes[value] for value in labels.values] == list(TABLE.species)
    assert labels.users is not None
    assert labels.users.tolist() == [0, 1, -1, 0, 2, 1]
    assert labels.split is not None
    assert labels.split.tolist() == [0, 0, 1, 2, 0, 0]
    # the share of the year, by Python's own calendar
    moments = [
        datetime.datetime.fromisoformat(text) if isinstance(text, str) else None for text in TABLE.seen
    ]
    shares = [
        np.nan if at is None else (at - datetime.datetime(at.year, 1, 1)) / (
            datetime.datetime(at.year + 1, 1, 1) - datetime.datetime(at.year, 1, 1)
        )
        for at in moments
    ]  # fmt: skip
    assert labels.dates is not None
    assert np.allclose(labels.dates, shares, rtol=0, atol=1e-12, equal_nan=True)
    places = geopandas.read_parquet(ds.path / "places.parquet")
    geo = json.loads(pq.read_metadata(ds.path / "places.parquet").metadata[b"geo"])
    assert geo["columns"]["geometry"]["bbox"] == [-179.5, -33.0, 100.0, 89.9]
    assert places.crs == "OGC:CRS84"
    assert np.array_equal(places.geometry.get_coordinates(), TABLE[["lon", "lat"]])
    assert list(places.place_id) == ["0", "1", "2", "3", "4", "5"]
    assert ds.footprint_m == 0.0
    assert np.array_equal(ds.view("coordinates").read(_all(ds)), TABLE[["lon", "lat"]])  # type: ignore[arg-type]
    assert not (ds.path / ".work").exists()


def _all(ds: Dataset) -> Any:
    import torch

    from placevec.core import Look

    return Look(torch.arange(len(ds)))


@pytest.mark.parametrize("name", ["p.csv", "p.tsv", "p.parquet"])
def test_formats_say_the_same(tmp_path: Path, name: str) -> None:
    ds = prepared(tmp_path, TABLE, name, label="species", user="who", date="seen", split="part")
    labels = pd.read_parquet(ds.path / "labels.parquet")
    assert labels.label.tolist() == [1, 0, 1, 0, 1, 0]
    assert labels.split.tolist() == ["train", "train", "validation", "test", "train", "train"]
    assert np.array_equal(ds.lonlat, TABLE[["lon", "lat"]])


@pytest.mark.parametrize("name", ["p.geojson", "p.gpkg", "p.shp", "p.fgb", "p.parquet"])
def test_geometry_of_another_system(tmp_path: Path, name: str) -> None:
    """Points written in meters of Finland's grid come back as degrees; geopandas (PROJ) reprojected them."""
    near = TABLE.iloc[[0, 5]].assign(species=["bee", "ant"])[["species"]]
    frame = geopandas.GeoDataFrame(
        near, geometry=geopandas.points_from_xy([24.94, 25.0], [60.17, 61.0]), crs=4326
    )
    frame = frame.to_crs(3067)
    file = tmp_path / name
    frame.to_parquet(file) if name.endswith("parquet") else frame.to_file(file)
    ds = pv.prepare("sphere2vec", points=file, label="species", out=tmp_path / "ds")
    # FlatGeobuf orders features along a curve
    assert np.allclose(np.sort(ds.lonlat, axis=0), [[24.94, 60.17], [25.0, 61.0]], rtol=0, atol=1e-8)
    assert sorted(ds.labels().classes[value] for value in ds.labels().values) == ["ant", "bee"]


def test_columns_of_another_system_and_other_names(tmp_path: Path) -> None:
    from pyproj import Transformer

    x, y = Transformer.from_crs(4326, 3067, always_xy=True).transform([24.94, 25.0], [60.17, 61.0])
    table = pd.DataFrame(
        {"e": x, "n": y, "kind": ["a", "b"], "epsg": ["EPSG:3067"] * 2, "lon": [0, 0], "lat": [0, 0]}
    )
    given = prepared(tmp_path, table, lon="e", lat="n", label="kind", crs="EPSG:3067")
    assert np.allclose(given.lonlat, [[24.94, 60.17], [25.0, 61.0]], rtol=0, atol=1e-8)
    (tmp_path / "2").mkdir()
    found = prepared(tmp_path / "2", table, lon="e", lat="n", label="kind")
    assert np.array_equal(found.lonlat, given.lonlat)


def test_polygons_become_a_point_inside(tmp_path: Path) -> None:
    import shapely

    shapes = [
        shapely.box(1, 2, 3, 4),
        shapely.Point(0, 0).buffer(5).difference(shapely.Point(0, 0).buffer(4)),
    ]
    frame = geopandas.GeoDataFrame({"use": ["wood", "lake"]}, geometry=shapes, crs=4326)
    frame.to_parquet(tmp_path / "p.parquet")
    ds = pv.prepare("sphere2vec", points=tmp_path / "p.parquet", label="use", out=tmp_path / "ds")
    assert all(shape.contains(shapely.Point(at)) for shape, at in zip(shapes, ds.lonlat, strict=True))


def test_a_table_without_labels(tmp_path: Path) -> None:
    ds = prepared(tmp_path, TABLE)
    assert not ds.has_labels
    assert len(ds) == 6
    assert not (ds.path / "labels.parquet").exists()


def test_longitudes_to_360(tmp_path: Path) -> None:
    ds = prepared(tmp_path, "lon,lat,a\n190,1,x\n10,2,y\n360,3,x\n", label="a")
    assert ds.lonlat[:, 0].tolist() == [-170.0, 10.0, 0.0]


# --- what labels are ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "kind", "classes"),
    [
        (["a", "b", "a", "NA"], "classes", ("NA", "a", "b")),
        (["1", "2", "1", "2"], "classes", ("1", "2")),
        (["10", "9", "10", "9"], "classes", ("9", "10")),
        (["1.5", "2", "1", "2"], "number", ()),
        (["1", "2", "3", "4"], "number", ()),
        (["1.5", "NA", "1", ""], "number", ()),
    ],
)
def test_auto(tmp_path: Path, cells: list[str], kind: str, classes: tuple[str, ...]) -> None:
    """Texts are classes (NA is Namibia), fractions numbers; whole numbers are classes when each comes twice."""
    rows = "".join(f"{row},{row},{cell}\n" for row, cell in enumerate(cells))
    ds = prepared(tmp_path, f"lon,lat,value\n{rows}", label="value")
    assert (ds.labels().kind, ds.labels().classes) == (kind, classes)
    assert ds.manifest["report"]["labels"]["why"]


def test_kind_can_be_said(tmp_path: Path) -> None:
    table = pd.DataFrame({"lon": [1.0, 2, 3, 4], "lat": [1.0, 2, 3, 4], "v": [1.0, 2.0, 1.0, 2.0]})
    number = prepared(tmp_path, table, "p.parquet", label="v", kind="number")
    assert number.labels().values.tolist() == [1.0, 2.0, 1.0, 2.0]
    (tmp_path / "2").mkdir()
    classes = prepared(tmp_path / "2", table, "p.parquet", label="v", kind="classes")
    assert classes.labels().classes == ("1", "2")


@pytest.mark.parametrize(
    "column",
    [
        pa.array([True, False] * 3),
        pa.array(["a", "b"] * 3).dictionary_encode(),
        pa.array([1, 2] * 3, pa.int8()),
    ],
)
def test_types_of_parquet(tmp_path: Path, column: pa.Array) -> None:
    table = pa.table({"lon": TABLE.lon, "lat": TABLE.lat, "label": column})
    pq.write_table(table, tmp_path / "p.parquet")
    ds = pv.prepare("sphere2vec", points=tmp_path / "p.parquet", label="label", out=tmp_path / "ds")
    assert len(ds.labels().classes) == 2
    assert len(set(ds.labels().values[::2])) == 1


# --- left out ----------------------------------------------------------------------------------------------


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    rows = [
        "1,1,2.5", "2,2,3.5", "3,3,1.25",
        ",4,1.0", "nan,4,1.0",  # no coordinates
        "inf,4,1.0", "x,4,1.0",  # infinite, no number
        "5,5,", "5,5,NaN",  # no label
        "6,6,inf", "6,6,-inf",  # infinite label
        "1.0,1,2.5",  # again
    ]  # fmt: skip
    ds = prepared(tmp_path, "lon,lat,h\n" + "\n".join(rows), label="h")
    assert len(ds) == 3
    assert ds.labels().values.tolist() == [2.5, 3.5, 1.25]
    report = ds.manifest["report"]
    assert report["rows"] == 12
    assert report["left_out"] == {
        "no coordinates": 2,
        "coordinates that are infinite or not numbers": 2,
        "no label": 2,
        "label that is infinite or missing": 2,
        "duplicates of an earlier row": 1,
    }
    assert report["rows"] - sum(report["left_out"].values()) == len(ds)
    assert list(ds.places.place_id) == ["0", "1", "2"]  # numbers of rows in the table


def test_one_date_of_a_year_alone(tmp_path: Path) -> None:
    """As GBIF has them: one year among 120 dates and intervals stays unknown, is counted and named; the others count."""
    seen = ["2019-01-01", "2019-07-02T12:00:00", "2019-03-02/2019-03-05"] * 40
    seen[4] = "2004"
    rows = "".join(f"{row}\t{row / 10}\t{row / 10}\t{'ab'[row % 2]}\t{one}\n" for row, one in enumerate(seen))
    head = "gbifID\tdecimalLatitude\tdecimalLongitude\tspecies\teventDate\n"
    ds = prepared(tmp_path, head + rows, "g.tsv", label="species", date="eventDate")
    dates = ds.labels().dates
    assert dates is not None
    assert np.flatnonzero(np.isnan(dates)).tolist() == [4]
    assert np.allclose(dates[:3], [0, 0.5, 61.5 / 365])
    report = ds.manifest["report"]
    assert (len(ds), report["dates_unreadable"], report["left_out"]) == (120, 1, {})
    assert "row 5, column 'eventDate': '2004'" in report["notes"][0]
    assert report["dates"] == {"count": 120, "with_time_of_day": 39, "period": [2004.5, 2019.5]}


def test_repeats_can_be_kept_and_ids_say_what_repeats(tmp_path: Path) -> None:
    same = "id,lon,lat,a\np,1,1,x\nq,1,1,x\np,1,1,x\nr,2,2,y\n"
    assert list(prepared(tmp_path, same, label="a").places.place_id) == ["p", "q", "r"]
    (tmp_path / "2").mkdir()
    plain = "lon,lat,a\n1,1,x\n1,1,x\n2,2,y\n"
    assert len(prepared(tmp_path / "2", plain, label="a", keep_duplicates=True)) == 3


def test_a_column_called_id_that_names_no_rows(tmp_path: Path) -> None:
    ds = prepared(tmp_path, "id,lon,lat,a\nx,1,1,p\nx,2,2,q\n", label="a", id="row")
    assert list(ds.places.place_id) == ["0", "1"]


def test_rare_classes(tmp_path: Path) -> None:
    rows = [
        (name, i, j) for i, (name, count) in enumerate({"a": 5, "b": 3, "c": 1}.items()) for j in range(count)
    ]
    text = "lon,lat,s\n" + "".join(f"{i},{j},{name}\n" for name, i, j in rows)
    ds = prepared(tmp_path, text, label="s", min_per_class=3)
    assert ds.labels().classes == ("a", "b")
    assert len(ds) == 8
    assert ds.manifest["report"]["left_out"] == {"of a class with too few rows": 1}


def test_batches_do_not_change_what_comes_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are read in batches; hashes, splits, users and rows that repeat must not depend on where these end."""
    draw = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "lon": draw.integers(-3, 3, 500) * 1.0, "lat": draw.integers(-3, 3, 500) * 1.0,
            "s": draw.choice(list("abcdefgh"), 500), "u": draw.choice(list("xyz"), 500),
        }
    )  # fmt: skip
    whole = prepared(tmp_path, table, "p.parquet", label="s", user="u")
    assert 0 < len(whole) < 500
    monkeypatch.setattr(batches, "BATCH_ROWS", 17)
    monkeypatch.setattr("placevec.preparation.points.stage.BATCH_ROWS", 23)
    again = pv.prepare(
        "sphere2vec", points=tmp_path / "p.parquet", label="s", user="u", out=tmp_path / "again"
    )
    for name in ("places.parquet", "labels.parquet"):
        assert pq.read_table(whole.path / name).equals(pq.read_table(again.path / name))
    expected = table.drop_duplicates()
    assert len(whole) == len(expected)
    assert np.array_equal(whole.lonlat, expected[["lon", "lat"]])
    assert [whole.labels().classes[value] for value in whole.labels().values] == expected.s.tolist()


# --- splits ------------------------------------------------------------------------------------------------


def _many(count: int = 4000) -> pd.DataFrame:
    draw = np.random.default_rng(1)
    lat = np.degrees(np.arcsin(draw.uniform(-1, 1, count)))
    return pd.DataFrame(
        {"lon": draw.uniform(-180, 180, count), "lat": lat, "s": draw.choice(list("abc"), count)}
    )


def test_random_split(tmp_path: Path) -> None:
    """Shares within five standard deviations of the binomial; the same seed gives the same rows, another others."""
    ds = prepared(tmp_path, _many(), "p.parquet", label="s", validation_share=0.2, test_share=0.1)
    split = ds.labels().split
    assert split is not None
    for code, share in ((1, 0.2), (2, 0.1)):
        assert abs((split == code).mean() - share) < 5 * np.sqrt(share * (1 - share) / len(split))
    again = pv.prepare(
        "sphere2vec", points=tmp_path / "p.parquet", label="s", validation_share=0.2, test_share=0.1, seed=1,
        out=tmp_path / "b",
    )  # fmt: skip
    other = again.labels().split
    assert other is not None
    assert (split != other).mean() > 0.2


def test_block_split(tmp_path: Path) -> None:
    """No block has rows on two sides."""
    ds = prepared(tmp_path, _many(), "p.parquet", label="s", block_m=1_000_000)
    split = ds.labels().split
    assert split is not None
    blocks = pv.geo.spatial_blocks(ds.lonlat[:, 0], ds.lonlat[:, 1], 1_000_000)
    assert pd.Series(split).groupby(blocks).nunique().max() == 1
    assert set(split) == {0, 1, 2}


def test_every_class_of_a_random_split_is_trained_on(tmp_path: Path) -> None:
    table = _many(300).assign(s=[f"class {row // 2}" for row in range(300)])
    ds = prepared(
        tmp_path, table, "p.parquet", label="s", kind="classes", validation_share=0.4, test_share=0.4
    )
    labels = ds.labels()
    assert set(labels.values[labels.rows("train")]) == set(range(150))


def test_classes_that_only_whole_blocks_hold_are_left_out(tmp_path: Path) -> None:
    table = _many(2000)
    table["s"] = [
        f"{round(lon / 10)} {round(lat / 10)}" for lon, lat in zip(table.lon, table.lat, strict=True)
    ]
    ds = prepared(tmp_path, table, "p.parquet", label="s", block_m=500_000, test_share=0.3)
    labels = ds.labels()
    assert ds.manifest["report"]["left_out"]["of a class that is not in the training set"] > 0
    assert set(labels.values) == set(labels.values[labels.rows("train")]) == set(range(len(labels.classes)))


# --- bad input ---------------------------------------------------------------------------------------------

ROWS = "".join(f"{row},{row},c{row % 2}\n" for row in range(8))
BAD: dict[str, tuple[str, dict[str, Any], str]] = {
    "empty file": ("", {}, "is empty"),
    "header alone": ("lon,lat,s\n", {}, "has no rows"),
    "one row": ("lon,lat,s\n1,1,a\n", {"one_class": True}, "1 usable row of 1"),
    "one row of texts": ("lon,lat,s\n1,1,a\n", {}, "1 usable row of 1.*at least two are needed"),
    "one row of numbers": ("lon,lat,s\n1,1,2.5\n", {}, "1 usable row of 1.*at least two are needed"),
    "one row twice": ("lon,lat,s\n1,1,a\n1,1,a\n", {}, "1 usable row of 2 .1 duplicates of an earlier row"),
    "one usable row": ("lon,lat,s\n1,1,a\n,,b\n", {"one_class": True}, "1 no coordinates"),
    "one class": ("lon,lat,s\n1,1,a\n2,2,a\n", {}, "all rows have the same class in 's', 'a'"),
    "one number": ("lon,lat,s\n1,1,2.5\n2,2,2.5\n", {}, "same number"),
    "latitude out of range": ("lon,lat,s\n1,1,a\n120,91,b\n", {}, "row 2: lon=120, lat=91 is not on Earth"),
    "longitude out of range": ("lon,lat,s\n1,1,a\n400,2,b\n", {}, "row 2: lon=400"),
    "swapped": ("lon,lat,s\n60.1,24.9,a\n-16.5,-179.5,b\n", {}, "look swapped.*--lon lat --lat lon"),
    "meters": ("x,y,s\n385000,6672000,a\n385000,6672001,b\n", {}, "such as EPSG:3067, in a column named crs"),
    "mixed longitudes": ("lon,lat,s\n-10,1,a\n350,2,b\n", {}, "-180 to 180 or 0 to 360"),
    "several coordinate reference systems": (
        "lon,lat,s,crs\n1,1,a,EPSG:4326\n2,2,b,EPSG:3067\n", {}, "has both EPSG:4326 and EPSG:3067",
    ),
    "no such system": ("lon,lat,s\n1,1,a\n2,2,b\n", {"crs": "EPSG:99999999"}, "not a coordinate reference system"),
    "all without coordinates": ("lon,lat,s\n,,a\n,,b\n", {}, "no row has both coordinates and a label"),
    "all NaN labels": ("lon,lat,s\n1,1,nan\n2,2,inf\n", {"kind": "number"}, "no row has a finite number"),
    "text where numbers are": ("lon,lat,s\n1,1,2\n2,2,tall\n", {"kind": "number"}, "'tall', which is not a number"),
    "repeated ids": ("id,lon,lat,s\nx,1,1,a\ny,2,2,b\nx,3,3,b\n", {}, "the same id 'x' but differ.*--id row"),
    "a row without id": ("id,lon,lat,s\nx,1,1,a\n,2,2,b\n", {}, "row 2 has no id"),
    "no such column": (f"lon,lat,kinds\n{ROWS}", {"label": "kind"}, "no column 'kind' for --label .did you mean 'kinds'"),
    "no coordinates": (f"east,north,s\n{ROWS}", {}, r"set them with --lon and --lat"),
    "duplicate column name": (f"lon,lon,s\n{ROWS}", {}, "duplicate column name"),
    "ragged": (
        f"lon,lat,s\n{ROWS}1,2,3,4\n5,6,7,8\n9,9\n", {},
        "3 of 11 rows have a different number of cells.*'1,2,3,4' with 4 cells for 3 columns: put cells",
    ),
    "names rather than classes": (
        "lon,lat,s\n" + "".join(f"{row},{row},n{row}\n" for row in range(30)), {}, "'s' has 30 distinct texts in 30 rows",
    ),
    "unseen": (
        "lon,lat,s,p\n1,1,a,train\n2,2,b,train\n3,3,c,test\n", {"split": "p"},
        r"^1 class of 's' is only in validation or test .*not in training, such as 'c'",
    ),
    "no training rows": (
        "lon,lat,s,p\n1,1,a,val\n2,2,b,test\n", {"split": "p", "leave_out_unseen": True}, "is left for training",
    ),
    "no training rows of numbers": ("lon,lat,s,p\n1,1,1.5,val\n2,2,2,test\n", {"split": "p"}, "is left for training"),
    "no such side": ("lon,lat,s,p\n1,1,a,train\n2,2,b,holdout\n", {"split": "p"}, "must be train, validation or test"),
    "no dates": ("lon,lat,s,d\n1,1,a,2018\n2,2,b,2019\n", {"date": "d"}, "2 of 2 rows have dates that give only a "
    "year"),
    "rare": (f"lon,lat,s\n{ROWS}", {"min_per_class": 9}, "no class of 's' has 9 rows"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input(tmp_path: Path, name: str) -> None:
    """One line that says what is wrong, and nothing is written."""
    content, options, message = BAD[name]
    with pytest.raises(SourceError, match=message) as caught:
        prepared(tmp_path, content, **{"label": "s", **options})
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ds").exists()


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([[1], [2]]), "must be text or numbers"),
        (pa.array([{"a": 1}, {"a": 2}]), "must be text or numbers"),
        (pa.array([b"\xff", b"b"]), "holds bytes that are not UTF-8"),
        (pa.nulls(2), "no row has both coordinates and a label"),
    ],
)
def test_label_columns_of_the_wrong_type(tmp_path: Path, column: pa.Array, message: str) -> None:
    pq.write_table(pa.table({"lon": [1.0, 2.0], "lat": [1.0, 2.0], "s": column}), tmp_path / "p.parquet")
    with pytest.raises(SourceError, match=message):
        pv.prepare("sphere2vec", points=tmp_path / "p.parquet", label="s", out=tmp_path / "ds")
    assert not (tmp_path / "ds").exists()


def test_mixed_systems_of_geometry(tmp_path: Path) -> None:
    import shapely

    crs = {"type": "name", "properties": {"name": "EPSG:3067"}}
    feature = {
        "type": "Feature",
        "properties": {"s": "a"},
        "geometry": {"type": "Point", "coordinates": [1, 2]},
    }
    (tmp_path / "p.geojson").write_text(
        json.dumps({"type": "FeatureCollection", "features": [feature, {**feature, "crs": crs}]})
    )
    points = shapely.set_srid(shapely.points([[1, 2], [3, 4]]), [4326, 3067])
    wkb = pa.array(shapely.to_wkb(points, include_srid=True), pa.binary())
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": {"encoding": "WKB"}}}
    table = pa.table({"s": ["a", "b"], "geometry": wkb}).replace_schema_metadata({"geo": json.dumps(geo)})
    pq.write_table(table, tmp_path / "p.parquet")
    frame = geopandas.GeoDataFrame(
        {"s": ["a", "b"]}, geometry=geopandas.points_from_xy([1, 2], [3, 4]), crs=4326
    )
    frame.to_file(tmp_path / "p.gpkg", layer="one")
    frame.to_crs(3067).to_file(tmp_path / "p.gpkg", layer="two")
    for name, message in (
        ("p.geojson", "several coordinate reference systems"),
        ("p.parquet", "several coordinate reference systems"),
        ("p.gpkg", "2 layers"),
    ):
        with pytest.raises(SourceError, match=message):
            pv.prepare("sphere2vec", points=tmp_path / name, label="s", out=tmp_path / "ds")
    assert not (tmp_path / "ds").exists()


def test_more_users_than_there_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("placevec.preparation.points.write.MAX_USERS", 2)
    with pytest.raises(SourceError, match="more than 2 users"):
        prepared(tmp_path, TABLE, label="species", user="who")
    assert not (tmp_path / "ds").exists()


def test_a_row_longer_than_a_block(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="longer than 2 MiB"):
        prepared(tmp_path, f"lon,lat,s\n1,1,a\n2,2,{'b' * 5_000_000}\n3,3,a\n", label="s")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"lon,lat,s\n1,1,\xcf\xf0\xe8\xe2\xe5\xf2\n", "iconv"),
        (b"\x00\x01\x02", "must contain the column names"),
    ],
)
def test_bytes_that_are_no_table(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "p.csv").write_bytes(content)
    with pytest.raises(SourceError, match=message):
        pv.prepare("sphere2vec", points=tmp_path / "p.csv", label="s", out=tmp_path / "ds")


def test_a_large_file_that_cannot_stream_is_rejected_with_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opened, "MAX_WHOLE_BYTES", 10)
    with pytest.raises(SourceError, match=r"ogr2ogr p\.parquet p\.geojson"):
        prepared(tmp_path, '{"type": "FeatureCollection"}', "p.geojson", label="s")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"user": "who"}, "--user applies to labels"),
        ({"label": "species", "split": "part", "block_m": 5}, "--block-m cannot be combined with --split"),
        (
            {"label": "species", "validation_share": 0.5, "test_share": 0.5},
            r"leave no row for training",
        ),
        (
            {"label": "species", "validation_share": -1},
            "--validation-share must be a number of at least 0",
        ),
        ({"label": "species", "block_m": 0}, "--block-m must be a number of more than 0"),
        (
            {"label": "species", "kind": "color"},
            "--kind 'color' is unknown: choose from auto, classes, number",
        ),
        ({"label": "species", "lon": "lon"}, "both --lon and --lat"),
        ({"label": "species", "user": "species"}, "the column 'species' cannot be --label and --user"),
    ],
)
def test_options_that_do_not_go_together(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        prepared(tmp_path, TABLE, **options)
    assert not (tmp_path / "ds").exists()


def test_bad_input_leaves_an_old_dataset_alone(tmp_path: Path) -> None:
    """``--force`` with a table that cannot be used costs nobody a dataset."""
    ds = prepared(tmp_path, TABLE, label="species")
    (tmp_path / "bad.csv").write_text("lon,lat,s\n1,99,a\n")
    with pytest.raises(SourceError):
        pv.prepare("sphere2vec", points=tmp_path / "bad.csv", label="s", out=ds.path, force=True)
    assert Dataset.open(ds.path).hash == ds.hash


def test_the_label_is_part_of_what_a_dataset_is(tmp_path: Path) -> None:
    one = prepared(tmp_path, TABLE, label="species")
    (tmp_path / "2").mkdir()
    two = prepared(tmp_path / "2", TABLE.assign(species=TABLE.species[::-1].to_numpy()), label="species")
    assert one.manifest["places"]["sha256"] == two.manifest["places"]["sha256"]
    assert one.hash != two.hash


@pytest.mark.slow
@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="peak memory of a process as Linux tells it"
)
def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    """Peak memory of 500,000 rows is that of 100,000, within 60 MB; held whole, rows take hundreds of bytes."""
    import subprocess
    import sys

    peaks = []
    for count in (100_000, 500_000):
        draw = np.random.default_rng(0)
        table = pa.table({
            "lon": draw.uniform(-180, 180, count), "lat": draw.uniform(-80, 80, count),
            "s": pa.array(draw.integers(0, 50, count)).cast(pa.string()),
            "u": pa.array(np.arange(count) % 999).cast(pa.string()),
        })  # fmt: skip
        pq.write_table(table, tmp_path / "p.parquet")
        code = (
            "import placevec as pv, pandas, torch\n"
            f"pv.prepare('sphere2vec', points={str(tmp_path / 'p.parquet')!r}, label='s', kind='classes', user='u', "
            f"out={str(tmp_path / str(count))!r})\n"
            # ru_maxrss would begin with that of the test's own process
            "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout) / 1024)
    assert peaks[1] - peaks[0] < 60


def test_real_tables(shared_data: Path, tmp_path: Path) -> None:
    """Counts that the data's own description states."""
    points = shared_data / "points"
    air = pv.prepare(
        "sphere2vec", points=points / "air_temperature_stations.csv", label="meanT", out=tmp_path / "air"
    )
    assert (len(air), air.labels().kind) == (3076, "number")
    wild = pv.prepare(
        "sphere2vec",
        points=points / "solanum_acaule_occurrences.csv",
        label="country",
        keep_duplicates=True,
        out=tmp_path / "s",
    )
    assert (len(wild), wild.labels().classes) == (594, ("Argentina", "Bolivia", "Ecuador", "Peru"))
    high = pv.prepare(
        "sphere2vec",
        points=points / "mosaiks_global_labels.parquet",
        label="elevation_m",
        keep_duplicates=True,
        out=tmp_path / "e",
    )
    assert len(high) == 58_465
    assert high.manifest["report"]["left_out"] == {"no label": 187_928 - 58_465}
