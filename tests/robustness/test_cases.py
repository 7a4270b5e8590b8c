"""Inputs on which placevec once failed: each has a test with its value, re-made there, and is read here where it lies."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

from placevec.geo import Area
from placevec.sources.osm.layers import LayerTable
from placevec.sources.osm.reader import ReadReport, read_features
from placevec.sources.tables.dates import dates
from placevec.sources.tables.opened import open_table, sample_of
from placevec.sources.tables.points import read_columns, read_points
from placevec.sources.tiles.folder import read_tile_folder
from tests.conftest import ROOT, shared_data_folder

_POINTS = "sources/tables/test_points.py::test_"
_OSM = "sources/osm/test_forms.py::test_"
_TILES = "sources/tiles/test_schemes.py::test_"
_CROSSING = "geo/test_antimeridian.py::test_"
RE_MADE = {
    "01_josm_new_and_deleted.osm": f"{_OSM}what_is_deleted_is_not_there",
    "01b_josm_new_only.osm": f"{_OSM}objects_that_were_never_uploaded",
    "02_locations_on_ways.osm.pbf": f"{_OSM}ways_with_locations",
    "02_same_with_nodes.osm": f"{_OSM}ways_with_locations",
    "04_pbzip2_short_last_stream.osm.bz2": f"{_OSM}a_short_stream_behind_a_long_one",
    "04b_two_small_streams.osm.bz2": f"{_OSM}streams_one_behind_the_other",
    "06_merged_duplicates.osm": f"{_OSM}what_comes_twice_is_read_once",
    "07_labels_fips.csv": "api/test_searching.py::test_a_table_of_columns_says_who_meets_nobody",
    "07_places_fips.csv": f"{_POINTS}ids_are_texts",
    "07_places_fips.parquet": f"{_POINTS}ids_are_texts",
    "07c_quadkeys.csv": f"{_POINTS}ids_are_texts",
    "08_gbif_one_year_only.tsv": "preparation/points/test_table.py::test_one_date_of_a_year_alone",
    "08b_gbif_intervals.csv": "sources/tables/test_dates.py::test_what_darwin_core_calls_a_date",
    "10_decimal_comma.csv": f"{_POINTS}forms_of_one_table",
    "10b_places_decimal_comma_one_row.csv": f"{_POINTS}forms_of_one_table",
    "10c_hemisphere_letters.csv": f"{_POINTS}forms_of_one_table",
    "11_empty_lat_lon_beside_full.csv": f"{_POINTS}forms_of_one_table",
    "12_antimeridian.osm": "robustness/test_extracts.py::test_across_the_antimeridian_every_step_works",
    "12_antimeridian_unsplit.geojson": f"{_CROSSING}areas_of_all_spellings",
    "12b_antimeridian_over180.geojson": f"{_CROSSING}areas_of_all_spellings",
    "12c_antimeridian_split.geojson": f"{_CROSSING}one_shape_however_it_is_written",
    "14_property_called_geometry.geojson": f"{_POINTS}a_property_called_geometry",
    "15_bom.geojson": f"{_POINTS}geojson_as_its_writers_leave_it",
    "15b_newline_delimited.geojsonl": f"{_POINTS}geojson_as_its_writers_leave_it",
    "16_places_semicolon.csv": f"{_POINTS}forms_of_one_table",
    "16b_places_tabs.csv": f"{_POINTS}forms_of_one_table",
    "16c_places_stray_quote.tsv": f"{_POINTS}forms_of_one_table",
    "16d_places_lon360.csv": f"{_POINTS}forms_of_one_table",
    "16e_places_id_NA.csv": f"{_POINTS}ids_are_texts",
    "17_native_geography.parquet": "geo/test_geometry_columns.py::test_parquets_own_types",
    "17b_native_geometry.parquet": "geo/test_geometry_columns.py::test_parquets_own_types",
    "17c_geoarrow_polygon.parquet": "geo/test_geometry_columns.py::test_geoarrow",
    "19_tms_tilejson": f"{_TILES}tilejson_names_the_scheme",
    "20_retina_names": f"{_TILES}tiles_of_twice_as_many_pixels",
}
"""Case -> the test that makes its like."""


def test_each_is_made_again_in_a_test() -> None:
    files = {one.partition("::")[0] for one in RE_MADE.values()}
    defined = {
        f"{file}::{node.name}"
        for file in files
        for node in ast.parse((ROOT / "tests" / file).read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef)
    }
    assert set(RE_MADE.values()) - defined == set()


@pytest.fixture(scope="module")
def cases() -> Path:
    data = shared_data_folder()
    folder = None if data is None else data.parent / "cases"
    if folder is None or not folder.is_dir():
        pytest.skip("no cases beside the shared data: set PLACEVEC_DATA")
    return folder


def test_all_are_known(cases: Path) -> None:
    assert {one.name for one in cases.iterdir()} == set(RE_MADE)


IDS = {
    "07_places_fips.csv": (240, "01001"), "07_places_fips.parquet": (240, "01001"),
    "07c_quadkeys.csv": (30, "02301020333302100"), "08_gbif_one_year_only.tsv": (121, "3000000000"),
    "08b_gbif_intervals.csv": (121, "3000000000"), "10_decimal_comma.csv": (120, "0"),
    "10b_places_decimal_comma_one_row.csv": (3, "a"), "10c_hemisphere_letters.csv": (120, "0"),
    "11_empty_lat_lon_beside_full.csv": (120, "0"), "12_antimeridian_unsplit.geojson": (1, "0"),
    "12b_antimeridian_over180.geojson": (1, "0"), "12c_antimeridian_split.geojson": (1, "0"),
    "14_property_called_geometry.geojson": (2, "0"), "15_bom.geojson": (1, "0"),
    "15b_newline_delimited.geojsonl": (2, "0"), "16_places_semicolon.csv": (1, "a"), "16b_places_tabs.csv": (1, "a"),
    "16c_places_stray_quote.tsv": (4, "a"), "16d_places_lon360.csv": (2, "a"), "16e_places_id_NA.csv": (2, "NA"),
    "17_native_geography.parquet": (500, "122"), "17b_native_geometry.parquet": (1, "0"),
    "17c_geoarrow_polygon.parquet": (2, "0"),
}  # fmt: skip
"""Table -> how many places, and the first one's ID."""
FIRST = {
    "07": (24.935, 60.165), "07c": (-122.42, 37.77), "08": (21.88844, 56.36932), "10b": (24.945, 60.17),
    "12": (180.0, -16.8), "17": (-35.947214, -30.731932), "17b": (-107.5, 43.05), "17c": (24.94, 60.170049),
    "16d": (-24.9, 60.17),
}  # fmt: skip
FIRST |= dict.fromkeys(("08b", "10", "10c", "11"), FIRST["08"]) | dict.fromkeys(("12b", "12c"), FIRST["12"])
FIRST |= dict.fromkeys(("14", "15", "15b", "16", "16b", "16c", "16e"), (24.94, 60.17))
"""Case -> degrees of the first place."""


@pytest.mark.parametrize("name", IDS)
def test_tables(cases: Path, name: str) -> None:
    found = read_points(cases / name)
    count, first = IDS[name]
    assert (len(found.place_id), found.place_id[0]) == (count, first)
    lon, lat = found.lonlat[0]
    expected = FIRST[name.partition("_")[0]]
    assert np.allclose((lon % 360, lat), (expected[0] % 360, expected[1]), rtol=0, atol=1e-6)
    lost = 1 if name.startswith("08") else 0
    assert np.count_nonzero(np.isnan(found.lonlat[:, 0])) == lost
    if name.startswith("10b"):
        assert found.lonlat[1].tolist() == [24.946, 60.17]
    if name.startswith("12"):
        area = Area.from_geojson(cases / name)
        assert np.allclose(area.bounds, (179.998, -16.802, -179.998, -16.798))
    if name.startswith("08"):
        column = sample_of(open_table(cases / name), ["eventDate"])["eventDate"]
        read = dates(column, "eventDate")
        assert (read.unreadable.sum(), read.vague.sum()) == (0, 1 if "year_only" in name else 0)


def test_labels_meet_their_places(cases: Path) -> None:
    labels = read_columns(cases / "07_labels_fips.csv")["place_id"].tolist()
    assert labels == read_points(cases / "07_places_fips.csv").place_id.tolist()


DRAWN = {
    "01_josm_new_and_deleted.osm": {-100, -101}, "01b_josm_new_only.osm": {-5, -9}, "06_merged_duplicates.osm": {1, 50},
    "02_same_with_nodes.osm": 7, "02_locations_on_ways.osm.pbf": 7, "04_pbzip2_short_last_stream.osm.bz2": 4000,
    "04b_two_small_streams.osm.bz2": 7, "12_antimeridian.osm": 3,
}  # fmt: skip
"""Extract -> what its maps show: IDs, or how many."""


@pytest.mark.parametrize("name", DRAWN)
def test_extracts(cases: Path, name: str) -> None:
    table, report = LayerTable.default(), ReadReport()
    ids = [
        int(one)
        for some in read_features(
            cases / name,
            keys=table.keys,
            wanted=lambda tags, kind: table.classify(tags, kind) or None,
            report=report,
        )
        for one in some.osm_id
    ]
    expected = DRAWN[name]
    assert (len(ids) if isinstance(expected, int) else set(ids)) == expected
    assert not report.examples


@pytest.mark.parametrize("name", ["19_tms_tilejson", "20_retina_names"])
def test_tiles(cases: Path, name: str) -> None:
    tiles = read_tile_folder(cases / name)
    found = tiles.tiles()
    assert (found.min(axis=0).tolist(), found.max(axis=0).tolist()) == ([18_654, 9_484], [18_659, 9_489])
