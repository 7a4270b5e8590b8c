"""Questions about places, points and tiles, and what is told about them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pyproj import Geod
from scipy.special import ndtri

from placevec.embeddings import Embeddings, Provenance
from placevec.embeddings.search import similar
from placevec.errors import InputError
from placevec.geo import Area, tile_xy_to_lonlat


@pytest.fixture
def tiles() -> Embeddings:
    """A grid of 10 x 10 tiles at z17 in Helsinki; the vector of a tile is its column and row."""
    y, x = np.divmod(np.arange(100), 10)
    lonlat = tile_xy_to_lonlat(np.stack([x + 74600.5, y + 37900.5], axis=-1), 17)
    ids = np.array([f"17/{74600 + a}/{37900 + b}" for a, b in zip(x, y, strict=True)], object)
    names = np.full(100, None, object)
    names[44] = "Kamppi"
    vectors = np.stack([x, y], axis=-1).astype(np.float32)
    return Embeddings(ids, vectors, lonlat, np.full(100, None, object), names, "map", Provenance("a", "b"))


def rows_of(emb: Embeddings, frame: Any) -> list[int]:
    return [list(emb.place_id).index(name) for name in frame["place_id"]]


def test_by_place(tiles: Embeddings) -> None:
    """Closed form: on a unit grid the four nearest of (4, 4) are its four neighbors, at distance 1."""
    frame = similar(tiles, place=tiles.place_id[44], k=4, metric="euclidean")
    assert sorted(rows_of(tiles, frame)) == [34, 43, 45, 54]
    assert list(frame["distance"]) == [1.0] * 4
    assert list(frame["rank"]) == [1, 2, 3, 4]
    assert list(similar(tiles, place=tiles.place_id[43], k=99)["name"]).count("Kamppi") == 1
    assert list(frame.columns) == [
        "place_id",
        "name",
        "label",
        "lon",
        "lat",
        "rank",
        "distance",
        "z",
        "geometry",
    ]
    assert frame.crs.to_epsg() == 4326
    assert frame.attrs["query"] == {
        "place_id": tiles.place_id[44],
        "name": "Kamppi",
        "lon": tiles.lonlat[44, 0],
        "lat": tiles.lonlat[44, 1],
        "distance_m": 0.0,
        "embedded_afresh": False,
        "view": "map",
        "metric": "euclidean",
        "measure": "distance",
        "min_distance_m": 0.0,
        "same_vector": 0,
        "z_by_chance": pytest.approx(ndtri(0.95 ** (1 / (len(tiles) - 1)))),
        "like": None,
        "unlike": None,
        "threshold": None,
        "backend": "exact",
        "recall": None,
    }
    assert frame.attrs["notes"] == []


def test_the_place_itself_can_stay(tiles: Embeddings) -> None:
    frame = similar(tiles, place=tiles.place_id[44], k=1, metric="euclidean", exclude_self=False)
    assert rows_of(tiles, frame) == [44]
    assert frame["distance"][0] == 0.0


def test_by_point_shows_how_far_the_place_is(tiles: Embeddings) -> None:
    """Oracle: pyproj's geodesic, over all places."""
    lon, lat = tiles.lonlat[44] + [0.0008, 0.0003]
    query = similar(tiles, lon=lon, lat=lat, k=3).attrs["query"]
    away = [Geod(ellps="WGS84").inv(lon, lat, *place)[2] for place in tiles.lonlat]
    assert query["place_id"] == tiles.place_id[int(np.argmin(away))]
    assert query["distance_m"] == pytest.approx(min(away), abs=0.01)
    assert not query["embedded_afresh"]


def test_by_tile_of_the_table_or_the_nearest(tiles: Embeddings) -> None:
    inside = similar(tiles, tile="17/74603/37907", k=1).attrs["query"]
    assert (inside["place_id"], inside["distance_m"]) == ("17/74603/37907", 0.0)
    outside = similar(tiles, tile="17/74611/37905", k=1).attrs["query"]
    assert outside["place_id"] == "17/74609/37905"
    assert outside["distance_m"] == pytest.approx(2 * 153, rel=0.01)


def test_by_vector_and_afresh(tiles: Embeddings) -> None:
    frame = similar(tiles, vector=[3.0, 7.0], k=1, metric="euclidean")
    assert rows_of(tiles, frame) == [73]
    assert frame.attrs["query"]["place_id"] is None
    lon, lat = tiles.lonlat[0]
    query = similar(tiles, vector=[3.0, 7.0], lon=lon, lat=lat, k=1).attrs["query"]
    assert (query["embedded_afresh"], query["lon"], query["distance_m"]) == (True, lon, 0.0)


def test_filters_by_mask_box_and_meters(tiles: Embeddings) -> None:
    where = np.zeros(100, bool)
    where[[3, 60, 99]] = True
    assert sorted(rows_of(tiles, similar(tiles, place=tiles.place_id[44], where=where))) == [3, 60, 99]
    west, south = tiles.lonlat[[90, 99]].min(axis=0)
    east = tiles.lonlat[99, 0]
    box = Area(west - 1e-6, south - 1e-6, east + 1e-6, tiles.lonlat[90, 1] + 1e-6)
    assert sorted(rows_of(tiles, similar(tiles, place=tiles.place_id[44], bbox=box, k=99))) == list(
        range(90, 100)
    )


def test_all_can_be_asked_for(tiles: Embeddings) -> None:
    frame = similar(tiles, place=tiles.place_id[0], k=5000)
    assert len(frame) == 99
    assert frame["distance"].is_monotonic_increasing


def test_a_misspelled_place_gets_a_suggestion(tiles: Embeddings) -> None:
    with pytest.raises(InputError, match="did you mean '17/74604/37904'"):
        similar(tiles, place="17/74604/37904x")
    with pytest.raises(InputError, match="IDs look like '17/74600/37900'"):
        similar(tiles, place="<b>")


def test_a_suggestion_out_of_a_million_ids_is_quick() -> None:
    ids = np.array([f"{row:07d}" for row in range(300_000)], object)
    nothing = np.full(len(ids), None, object)
    emb = Embeddings(
        ids,
        np.ones((len(ids), 1)),
        np.full((len(ids), 2), np.nan),
        nothing,
        nothing,
        "chips",
        Provenance("a", "b"),
    )
    with pytest.raises(InputError, match="did you mean '0123456'"):
        similar(emb, place="0123456x")


def test_swapped_coordinates_are_rejected(tiles: Embeddings) -> None:
    with pytest.raises(InputError, match="lon and lat look swapped"):
        similar(tiles, lon=60.18, lat=24.9)
    with pytest.raises(InputError, match="swapped"):
        similar(tiles, lon=24.9, lat=124.0)


FOREIGN = [
    {"lon": 14.5, "lat": 35.9},
    {"lon": 24.91, "lat": 60.18},
    {"tile": "17/70818/51558"},
    {"tile": "3/1/1"},
]


@pytest.mark.parametrize("question", FOREIGN)
def test_a_point_far_outside_is_rejected_with_the_area_named(
    tiles: Embeddings, question: dict[str, Any]
) -> None:
    """Another country, and a part of town that no place covers."""
    with pytest.raises(
        InputError, match=r"these 100 places cover lon 24\.896 to 24\.921, lat 60\.210 to 60\.223"
    ) as told:
        similar(tiles, **question)
    assert ("the tile" in str(told.value)) == ("tile" in question)


def test_a_few_spacings_outside_are_handled(tiles: Embeddings) -> None:
    """Oracle: pyproj. Spacing is 152 m here: two and a half are answered, three and a half are not."""
    west = tiles.lonlat[40]
    for spacings, answered in ((2.5, True), (3.5, False)):
        lon, lat, _ = Geod(ellps="WGS84").fwd(*west, 270.0, spacings * 152.0)
        if answered:
            query = similar(tiles, lon=lon, lat=lat).attrs["query"]
            assert query["distance_m"] == pytest.approx(spacings * 152.0, rel=1e-3)
        else:
            with pytest.raises(
                InputError, match=r"lon=24\.8868, lat=60\.2173 is 532 m from the nearest place"
            ):
                similar(tiles, lon=lon, lat=lat)


def test_the_area_is_named_over_the_antimeridian() -> None:
    lonlat = np.array([[179.2, -17.0], [179.9, -16.0], [-179.5, -16.5]])
    nothing = np.full(3, None, object)
    emb = Embeddings(["a", "b", "c"], np.eye(3), lonlat, nothing, nothing, "map", Provenance("a", "b"))  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"lon 179\.200 to -179\.500, lat -17\.000 to -16\.000"):
        similar(emb, lon=0.0, lat=0.0)
    assert similar(emb, lon=-179.9, lat=-16.4).attrs["query"]["place_id"] == "c"


def test_the_very_same_vector_is_said(tiles: Embeddings) -> None:
    """Of a grid whose rows 10 to 27 share one vector, whichever is asked."""
    tiles.vectors[10:28] = [3.0, 4.5]
    for row in (10, 27):
        frame = similar(tiles, place=tiles.place_id[row], k=3)
        assert frame.attrs["query"]["same_vector"] == 17
        assert frame.attrs["notes"][0].startswith(
            "17 other places have exactly the same vector as the query, out of 100; "
        )
    assert similar(tiles, place=tiles.place_id[55], k=3).attrs["notes"] == []
    assert similar(tiles, vector=[3.0, 4.5], k=3).attrs["query"]["same_vector"] == 18


def test_a_product_is_not_called_a_distance(tiles: Embeddings) -> None:
    """Oracle: numpy's products, the largest first."""
    frame = similar(tiles, place=tiles.place_id[44], metric="dot", k=5)
    assert "distance" not in frame.columns
    assert frame.attrs["query"]["measure"] == "product"
    products = tiles.vectors.astype(float) @ tiles.vectors[44].astype(float)
    products[44] = -1
    assert frame["product"].tolist() == sorted(products, reverse=True)[:5]
    assert rows_of(tiles, frame)[0] == 99


@pytest.mark.parametrize(
    "question",
    [
        {},
        {"place": "a", "tile": "17/1/1"},
        {"place": "a", "lon": 1.0, "lat": 1.0},
        {"vector": [1.0, 1.0], "place": "a"},
    ],
)
def test_not_exactly_one_question_is_rejected(tiles: Embeddings, question: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="exactly one"):
        similar(tiles, **question)


def test_half_a_point_a_bad_tile_and_a_bad_mask_are_rejected(tiles: Embeddings) -> None:
    with pytest.raises(InputError, match="both lon and lat"):
        similar(tiles, lon=24.9)
    with pytest.raises(InputError, match="z/x/y"):
        similar(tiles, tile="17-1-1")
    with pytest.raises(InputError, match="mask of 100"):
        similar(tiles, place=tiles.place_id[0], where=np.ones(3, bool))


def test_places_without_coordinates_answer_by_id_only() -> None:
    nothing = np.full(3, None, object)
    ids = np.array(["a", "b", "c"], object)
    emb = Embeddings(ids, np.eye(3), np.full((3, 2), np.nan), nothing, nothing, "chips", Provenance("a", "b"))
    frame = similar(emb, place="a", k=2)
    assert list(frame["place_id"]) == ["b", "c"]
    assert frame.attrs["query"]["lon"] is None
    with pytest.raises(InputError, match="no place in this table has coordinates"):
        similar(emb, lon=1.0, lat=1.0)
    with pytest.raises(InputError, match="min_distance_m needs a query with coordinates"):
        similar(emb, place="a", min_distance_m=5)
