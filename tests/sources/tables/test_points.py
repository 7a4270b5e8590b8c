"""Tables of places as people have them: every odd form is read to the value that it means, or refused by name."""

from __future__ import annotations

import ast
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import placevec
from placevec.errors import SourceError
from placevec.sources.tables.opened import open_table
from placevec.sources.tables.points import Points, frame_of, read_columns, read_points

TWO = [[24.94, 60.17], [24.95, 60.18]]


def points(tmp_path: Path, content: str | bytes, name: str = "p.csv") -> Points:
    (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return read_points(tmp_path / name)


FORMS: dict[str, tuple[str, str | bytes]] = {
    "plain": ("p.csv", "place_id,lon,lat\na,24.94,60.17\nb,24.95,60.18\n"),
    "windows": ("p.csv", "\ufeffplace_id,lon,lat\r\na,24.94,60.17\r\nb,24.95,60.18\r\n"),
    "utf-16": ("p.csv", "place_id,lon,lat\na,24.94,60.17\nb,24.95,60.18\n".encode("utf-16")),
    "semicolons": ("p.csv", "place_id;lon;lat\na;24.94;60.17\nb;24.95;60.18\n"),
    "semicolons and decimal commas": ("p.csv", "place_id;lon;lat\na;24,94;60,17\nb;24,95;60,18\n"),
    "told to Excel": ("p.csv", "sep=;\nplace_id;lon;lat\na;24,94;60,17\nb;24,95;60,18\n"),
    "tabs in csv": ("p.csv", "place_id\tlon\tlat\na\t24.94\t60.17\nb\t24.95\t60.18\n"),
    "tabs in txt": ("p.txt", "place_id\tlon\tlat\na\t24.94\t60.17\nb\t24.95\t60.18\n"),
    "commas in tsv": ("p.tsv", "place_id,lon,lat\na,24.94,60.17\nb,24.95,60.18\n"),
    "columns without names": ("p.csv", "place_id,lon,lat,,\na,24.94,60.17,,\nb,24.95,60.18,x,\n"),
    "a delimiter at each end": ("p.csv", "place_id;lon;lat\na;24.94;60.17;\nb;24.95;60.18;\n"),
    "R's names of rows": ("p.txt", '"place_id","lon","lat"\n"1","a",24.94,60.17\n"2","b",24.95,60.18\n'),
    "bars": ("p.txt", "place_id|lon|lat\na|24.94|60.17\nb|24.95|60.18\n"),
    "quoted": ("p.csv", '"place_id","lon","lat"\n"a","24.94","60.17"\n"b","24.95","60.18"\n'),
    "quoted in tabs": ("p.tsv", '"place_id"\t"lon"\t"lat"\n"a"\t"24.94"\t"60.17"\n"b"\t"24.95"\t"60.18"\n'),
    "a comma in a cell": ("p.csv", 'place_id,name,lon,lat\na,"x, y",24.94,60.17\nb,"say ""z""",24.95,60.18\n'),
    "a line break in a cell": ("p.csv", 'place_id,name,lon,lat\na,"x\ny",24.94,60.17\nb,z,24.95,60.18\n'),
    "a stray quote": ("p.tsv", 'place_id\tname\tlon\tlat\na\t6" pipe\t24.94\t60.17\nb\t"open\t24.95\t60.18\n'),
    "a stray quote in commas": ("p.csv", 'place_id,name,lon,lat\na,"open,24.94,60.17\nb,ok,24.95,60.18\n'),
    "one decimal comma": ("p.csv", 'place_id,lon,lat\na,24.94,60.17\nb,"24,95","60,18"\n'),
    "hemispheres": ("p.csv", "place_id,lon,lat\na,24.94E,60.17N\nb,E24.95,N 60.18\n"),
    "minutes and seconds": ("p.csv", 'place_id,lon,lat\na,"24°56\'24""E",60°10\'12"N\nb,24 57.0,60:10:48\n'),
    "longitudes to 360": ("p.csv", "place_id,lon,lat\na,24.94,60.17\nb,24.95,60.18\nc,335.1,60\n"),
    "empty lon and lat": (
        "p.csv", "place_id,lat,lon,latitude,longitude\na,,,60.17,24.94\nb,,,60.18,24.95\n",
    ),
    "pixels beside degrees": ("p.csv", "place_id,x,y,lon,lat\na,1,2,24.94,60.17\nb,3,4,24.95,60.18\n"),
    "Darwin Core": (
        "p.tsv", "gbifID\tdecimalLatitude\tdecimalLongitude\tgeodeticDatum\na\t60.17\t24.94\tWGS84\nb\t60.18\t24.95\t"
        "not recorded (forced WGS84)\n",
    ),
    "Darwin Core's occurrences": (
        "p.csv", "occurrenceID,decimalLatitude,decimalLongitude,geodeticDatum\na,60.17,24.94,EPSG:4326\n"
        "b,60.18,24.95,World Geodetic System 1984\n",
    ),
    "Darwin Core's footprint": ("p.csv", "gbifID,footprintWKT\na,POINT (24.94 60.17)\nb,POINT(24.95 60.18)\n"),
    "WKT": ("p.csv", "place_id,wkt\na,POINT (24.94 60.17)\nb,SRID=4326;POINT(24.95 60.18)\n"),
    "GeoJSON in CSV": (
        "p.csv",
        'place_id,geometry\na,"{""type"": ""Point"", ""coordinates"": [24.94, 60.17]}"\n'
        'b,"{""type"": ""Point"", ""coordinates"": [24.95, 60.18]}"\n',
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_forms_of_one_table(tmp_path: Path, name: str) -> None:
    """However it is written, a is at 24.94, 60.17 and b at 24.95, 60.18."""
    found = points(tmp_path, FORMS[name][1], FORMS[name][0])
    assert found.place_id.tolist()[:2] == ["a", "b"]
    np.testing.assert_allclose(found.lonlat[:2], TWO, rtol=0, atol=1e-9)
    if name == "longitudes to 360":
        assert found.lonlat[2, 0] == pytest.approx(-24.9)
    if name == "a stray quote":
        assert found.table["name"].tolist() == ['6" pipe', '"open']
    if name == "a comma in a cell":
        assert found.table["name"].tolist() == ["x, y", 'say "z"']


@pytest.mark.parametrize(
    "ids",
    [
        ["01001", "01002"], ["1E5", "1e5"], ["NA", "FI"], ["nan", "null"], ["True", "False"], ["1.0", "1.00"],
        ["02301020333302100", "2301020333302100"], ["9007199254740993", "9007199254740992"], ["2019-01-01", "20190101"],
        ["-0", "0"], ["inf", "Infinity"], ["\u00e9", "e\u0301"],
    ],
)  # fmt: skip
@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "geojson"])
def test_ids_are_texts(tmp_path: Path, ids: list[str], ending: str) -> None:
    """What is written is what a place is called, in every format and on both sides of a join."""
    path = tmp_path / f"p.{ending}"
    if ending == "parquet":
        pq.write_table(pa.table({"place_id": ids, "lon": [1.0, 2.0], "lat": [1.0, 2.0]}), path)
    elif ending == "geojson":
        features = [
            {
                "type": "Feature",
                "properties": {"place_id": one},
                "geometry": {"type": "Point", "coordinates": [1, 2]},
            }
            for one in ids
        ]
        path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    else:
        mark = {"csv": ",", "tsv": "\t"}[ending]
        path.write_text(
            "".join(
                f"{mark.join(row)}\n" for row in [("place_id", "lon", "lat"), *((i, "1", "2") for i in ids)]
            )
        )
    found = read_points(path)
    assert found.place_id.tolist() == ids
    assert found.table["place_id"].tolist() == ids
    assert read_columns(path)["place_id"].tolist() == ids


def test_ids_that_parquet_holds_as_numbers(tmp_path: Path) -> None:
    """64 bits are kept to the last digit; floats that are whole lose their point."""
    for column, ids in (
        (pa.array([9007199254740993, 7], pa.int64()), ["9007199254740993", "7"]),
        (pa.array([1.0, 2.5]), ["1", "2.5"]),
        (pa.array(["01", "1"], pa.large_string()), ["01", "1"]),
        (pa.array(["01", "1"]).dictionary_encode(), ["01", "1"]),
    ):
        pq.write_table(pa.table({"id": column, "lon": [1.0, 2.0], "lat": [1.0, 2.0]}), tmp_path / "p.parquet")
        assert read_points(tmp_path / "p.parquet").place_id.tolist() == ids


def test_columns_keep_codes_and_numbers_are_numbers(tmp_path: Path) -> None:
    found = points(
        tmp_path, "place_id,lon,lat,fips,rent,floors,note\na,1,1,01001,7.5,3,x\nb,2,2,48001,,4,NA\n"
    ).table
    assert found["fips"].tolist() == ["01001", "48001"]
    assert found["rent"].dtype == np.float64
    assert found["floors"].tolist() == [3, 4]
    assert found["floors"].dtype == np.int64
    assert found["note"].tolist() == ["x", "NA"]


# --- what is lost ------------------------------------------------------------------------------------------


def test_what_cannot_be_read_is_counted_and_named(tmp_path: Path) -> None:
    rows = "".join(f"p{row},{row},1\n" for row in range(30))
    found = points(tmp_path, f"place_id,lon,lat\n{rows}q,24.9x,1\nr,1,inf\ns,,\n")
    assert np.isnan(found.lonlat[:, 0]).nonzero()[0].tolist() == [30, 31, 32]
    assert found.notes == [
        "2 of 33 rows: coordinates that are infinite or not numbers (first: row 31, column 'lon': '24.9x'; write decimal "
        "degrees such as 24.94, or leave the cell empty)",
        "3 of 33 places have no coordinates",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "lon,lat\n1x,1\n2,2\n3y,3\n4z,4\n",
            "3 of 4 rows have coordinates that.*row 1, column 'lon': '1x': write decimal",
        ),
        ("lon,lat\nx,1\n", "1 of 1 rows have coordinates"),
        ("lon,lat\n60.17N,24.94E\n", "row 1: '60.17N' is a latitude.*--lon and --lat"),
        (
            "lon,lat\n1,2,3\n4,5,6\n7,8,9\n",
            "have a different number of cells than.*'1,2,3' with 3 cells for 2 columns",
        ),
        ("place_id,lon,lat\na,1,1\nb,2,2\na,3,3\n", "'a' occurs more than once, in row 1 and row 3"),
        ("place_id,lon,lat\na,1,1\n,2,2\n", "row 2 has no place_id"),
        ("lon,lat\n1,1\n2,95\n", "row 2: lon=2, lat=95 is not on Earth"),
        ("a,b\n1,1\n", "neither a geometry nor lon and lat"),
        ("id,wkt\n1,POINT (1 1)\n2,POINT (1\n", "row 2, column 'wkt': its geometry is not WKT"),
    ],
)
def test_rejected_in_one_line(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        points(tmp_path, content)
    assert "p.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_rows_of_other_lengths_are_left_out(tmp_path: Path) -> None:
    rows = "".join(f"p{row},{row},1\n" for row in range(30))
    found = points(tmp_path, f"place_id,lon,lat\n{rows}q,1\nr,3,1,x\ns,4,1\n")
    assert found.place_id.tolist()[-2:] == ["p29", "s"]
    assert (
        "2 of 33 rows: a different number of cells than columns (first: 'q,1' with 2 cells" in found.notes[0]
    )


def test_windows_1252_is_read_and_said(tmp_path: Path) -> None:
    found = points(tmp_path, "place_id,lon,lat\nÅland \u2013 ö,19.9,60.1\n".encode("cp1252"))
    assert found.place_id.tolist() == ["Åland \u2013 ö"]
    assert "Windows-1252" in found.notes[0]
    with pytest.raises(SourceError, match=r"neither UTF-8 nor Windows-1252.*iconv"):
        points(tmp_path, "place_id,lon,lat\nМосква,37.6,55.7\n".encode("koi8-r"))


def test_a_datum_for_each_row(tmp_path: Path) -> None:
    """Oracle: PROJ, row by row; Carthage's datum lies some 100 m off, an unknown one is taken for WGS84 and said."""
    from pyproj import Transformer

    found = points(
        tmp_path,
        "id,decimalLongitude,decimalLatitude,geodeticDatum\na,24.94,60.17,\nb,10.2,36.8,EPSG:4223\nc,1,2,Sphere of Bob\n",
    )
    assert found.lonlat[[0, 2]].tolist() == [[24.94, 60.17], [1.0, 2.0]]
    there = Transformer.from_crs(4223, 4326, always_xy=True).transform(10.2, 36.8)
    np.testing.assert_allclose(found.lonlat[1], there, rtol=0, atol=1e-12)
    assert any(
        "a datum that PROJ does not know" in note and "'Sphere of Bob'" in note for note in found.notes
    )


# --- geometry ----------------------------------------------------------------------------------------------


def feature(lon: float, **properties: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "properties": properties,
        "geometry": {"type": "Point", "coordinates": [lon, 60.17]},
    }


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (
            "p.geojson",
            "\ufeff" + json.dumps({"type": "FeatureCollection", "features": [feature(1), feature(2)]}),
        ),
        ("p.geojsonl", f"{json.dumps(feature(1))}\n{json.dumps(feature(2))}\n"),
        ("p.json", f"\x1e{json.dumps(feature(1))}\n\x1e{json.dumps(feature(2))}\n"),
    ],
)
def test_geojson_as_its_writers_leave_it(tmp_path: Path, name: str, content: str) -> None:
    assert points(tmp_path, content, name).lonlat.tolist() == [[1.0, 60.17], [2.0, 60.17]]


def test_a_property_called_geometry(tmp_path: Path) -> None:
    collection = {
        "type": "FeatureCollection",
        "features": [feature(1, a=1, geometry="x"), feature(2, b=[1, 2])],
    }
    found = points(tmp_path, json.dumps(collection), "p.geojson")
    assert found.lonlat[:, 0].tolist() == [1.0, 2.0]
    assert found.table["geometry"].iloc[0] == "x"
    assert found.table["b"].iloc[1] == "[1, 2]"


# --- what is small and costs much --------------------------------------------------------------------------


def test_pipes_folders_and_what_is_not_there(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p.csv")
    (tmp_path / "q.csv").mkdir()
    for name, message in (("p.csv", "is a pipe"), ("q.csv", "is a folder"), ("r.csv", "does not exist")):
        with pytest.raises(SourceError, match=message):
            read_points(tmp_path / name)


def test_rows_are_bounded_by_width(tmp_path: Path) -> None:
    """Half a million columns, four million cells of a row, a quote that nothing closes: none of them takes long."""
    started = time.process_time()
    with pytest.raises(SourceError, match="200,002 columns, more than 10,000"):
        points(tmp_path, "lon,lat," + ",".join("c" for _ in range(200_000)) + "\n1,1\n")
    with pytest.raises(SourceError, match="is too long"):
        points(tmp_path, "lon,lat," + ",".join(f"c{number}" for number in range(500_000)) + "\n1,1\n")
    with pytest.raises(SourceError, match="a row longer than 2 MiB"):
        points(tmp_path, "lon,lat\n1,1\n" + "1," * 4_000_000 + "1\n2,2\n")
    found = points(tmp_path, "lon,lat\n1,1\n" + "1," * 500_000 + "1\n2,2\n")
    assert found.lonlat.tolist() == [[1, 1], [2, 2]]
    rows = '3,3,"x"\n' * 300
    with pytest.raises(SourceError, match="or a quote that nothing closes"):
        points(tmp_path, f'lon,lat,s\n{rows}2,2,"open\n' + "3,3,x\n" * 800_000)
    assert time.process_time() - started < 20


def test_one_text_that_many_rows_share(tmp_path: Path) -> None:
    """40 MB in sixty rows: refused before it is unpacked, where it is read and only there."""
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 60, pa.int32()), ["x" * 40_000_000])
    pq.write_table(
        pa.table({"lon": [1.0] * 60, "lat": [1.0] * 60, "s": text}),
        tmp_path / "p.parquet",
        compression="zstd",
    )
    assert (tmp_path / "p.parquet").stat().st_size < 10_000
    with pytest.raises(SourceError, match="would decompress"):
        read_points(tmp_path / "p.parquet")


# --- one reader --------------------------------------------------------------------------------------------

READERS = {
    "read_csv",
    "read_table",
    "read_excel",
    "read_json",
    "DictReader",
    "open_csv",
    "read_file",
    "read_dataframe",
}
ELSEWHERE = {
    "app/labels.py": "its own labels, uploaded again",
    "evaluation/cityrep.py": "the release's own files, of one form",
    "evaluation/coordbench.py": "the results of that benchmark, of one form",
    "datasets/sentences/templated.py": "a dataset's own texts and entities",
    "preparation/chips/shards.py": "its own parts",
    "preparation/wikidata/write.py": "a dataset's own texts and entities",
    "sources/published/tables.py": "the registry of CityRep's baselines, of one form",
    "sources/land.py": "the coarse outlines in a wheel",
    "sources/benchmarks/yfcc.py": "the benchmark's own file, of one form",
    "evaluation/location_encoders/real_tasks.py": "benchmarks' own files, of one form",
    "evaluation/location_encoders/country_task.py": "Natural Earth's own archive",
}
"""Files of one known form that no user writes."""


def test_nothing_else_reads_tables() -> None:
    """Every table that a user names comes in through `opened`: no other module calls a reader of pandas, GDAL or csv."""
    root = Path(placevec.__file__).parent
    found = set()
    for path in root.rglob("*.py"):
        name = path.relative_to(root).as_posix()
        if name.startswith("sources/tables/") or name in ELSEWHERE:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in READERS:
                owner = node.value.id if isinstance(node.value, ast.Name) else ""
                if owner in ("pd", "pandas", "csv", "geopandas", "pyogrio", "arrow_csv", "pq"):
                    found.add(f"{name}: {owner}.{node.attr}")
    assert found == set()


def test_frames_are_of_as_many_rows(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("place_id,v\na,1\nb,2\n")
    frame = read_columns(tmp_path / "p.csv")
    pd.testing.assert_frame_equal(
        frame, pd.DataFrame({"place_id": np.array(["a", "b"], object), "v": [1, 2]}), check_dtype=False
    )


@pytest.mark.parametrize(
    ("content", "values", "note"),
    [
        (
            "a;1.156,85\nb;980,5\nc;k.A.\n",
            [1156.85, 980.5, np.nan],
            "dots between thousands (such as 1.156,85)",
        ),
        ("a;1.156\nb;12,5\nc;n/a\n", [1156.0, 12.5, np.nan], "dots between thousands (such as 1.156)"),
        ("a;1.156\nb;2.340\nc;?\n", [1.156, 2.34, np.nan], "if the dot separates thousands, write 1156"),
        ("a;1.15\nb;2.340\nc;\n", [1.15, 2.34, np.nan], ""),
    ],
)
def test_commas_dots_and_missing_values_of_numbers(
    tmp_path: Path, content: str, values: list[float], note: str
) -> None:
    """Oracle: the numbers as a German spreadsheet writes them; the note names what is unclear."""
    file = tmp_path / "p.csv"
    file.write_text("place_id;rent\n" + content, "utf-8")
    table = frame_of(open_table(file))
    np.testing.assert_array_equal(table["rent"].to_numpy(np.float64), values)
    assert note in " ".join(table.attrs["notes"])
    assert bool(note) == bool(table.attrs["notes"])


def test_points_of_coordinates_are_no_thousands(tmp_path: Path) -> None:
    file = tmp_path / "p.csv"
    file.write_text("place_id;lon;lat;size\na;24.941;60.171;1,5\n", "utf-8")
    assert read_points(file).lonlat.tolist() == [[24.941, 60.171]]
