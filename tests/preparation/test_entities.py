"""Entities and texts in datasets.

Oracles: small made extracts, geopandas over the files that were written, and the bytes of before.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import geopandas
import pandas as pd
import pyarrow.parquet as pq
import pytest
import shapely
import torch

from placevec import api
from placevec.cli.info import describe
from placevec.core import Look
from placevec.datasets.dataset import Dataset
from placevec.datasets.entities import read_entities, summary_of
from placevec.errors import AreaError, DatasetError, SourceError, UsageError
from placevec.io.byte_texts import decoded
from placevec.preparation import entities as preparation
from placevec.preparation.entity_texts import MAX_ENTITIES
from tests.osm_xml import OsmFile, box

ODD = "<b>Δ</b>\u202eמגדל\u202c, 東京"


def town(folder: Path) -> Path:
    """A park with a pond and a bench in it, a named bakery beside it, and a far wood without a name."""
    osm = OsmFile()
    osm.way(
        box(10.0, 50.0, 10.004, 50.004),
        {"leisure": "park", "name": ODD, "name:en": "Old Park", "wikidata": "Q9"},
    )
    osm.way(box(10.001, 50.001, 10.002, 50.002), {"natural": "water", "water": "pond"})
    osm.node((10.002, 50.002), {"amenity": "bench"})
    osm.node((10.0025, 50.0025), {"amenity": "bench"})
    osm.node((10.02, 50.02), {"shop": "bakery", "name": "Brot", "alt_name": "Bäckerei;Beck"})
    osm.way(box(10.05, 50.05, 10.06, 50.06), {"natural": "wood", "leaf_type": "broadleaved"})
    return osm.write(folder / "town.osm", bounds=(9.99, 49.99, 10.07, 50.07))


def texts(dataset: Dataset) -> pd.DataFrame:
    return pd.read_parquet(dataset.path / "text.parquet")


def said(dataset: Dataset, place: str, kind: str) -> list[str]:
    rows = texts(dataset)
    return rows.text[(rows.place_id == place) & (rows.kind == kind)].tolist()


def test_a_new_dataset_is_of_entities(tmp_path: Path) -> None:
    """Its places are the park and the bakery; the park's words are of itself and of what lies in it."""
    dataset = api.prepare("where2vec", osm=town(tmp_path), out=tmp_path / "ds")
    found = geopandas.read_parquet(tmp_path / "ds" / "entities.parquet").set_index("entity_id")
    bakery, park = sorted(found.index, key=lambda one: one.startswith("way"))
    assert set(dataset.place_ids) == {bakery, park}
    assert (found["type"][park], found["wikidata"][park], found["name"][park]) == ("leisure/park", "Q9", ODD)
    assert found.crs == "OGC:CRS84"
    assert found.geometry[park].equals(shapely.box(10.0, 50.0, 10.004, 50.004))
    places = geopandas.read_parquet(tmp_path / "ds" / "places.parquet").set_index("place_id")
    assert all(places.geometry[one].equals(found.geometry[one]) for one in (bakery, park))
    assert all(
        found.geometry[one].covers(shapely.Point(places.lon[one], places.lat[one])) for one in (bakery, park)
    )
    assert (said(dataset, park, "name"), said(dataset, park, "alias")) == ([ODD, "Old Park"], [])
    assert said(dataset, bakery, "alias") == ["Bäckerei", "Beck"]
    own, around = said(dataset, park, "words")
    assert own == "park"
    assert set(around.split(", ")) == {"bench", "pond", "park"}
    assert around.startswith("bench")  # two of them, and one of the others
    assert dataset.manifest["report"]["entities"]["entities"] == 2
    view: Any = dataset.view("text")
    row = dataset.place_ids.tolist().index(park)
    assert decoded(view.read(Look(torch.tensor([row]), None, {"text": torch.tensor([1])}))) == ["Old Park"]


def test_places_that_are_there_get_names_and_words(helsinki_dataset: Dataset, tmp_path: Path) -> None:
    """The places stay, bit for bit. Oracle: geopandas joins their squares with the entities that were written."""
    shutil.copytree(helsinki_dataset.path, tmp_path / "ds")
    before = (tmp_path / "ds" / "places.parquet").read_bytes()
    dataset = api.prepare("where2vec", osm_name="helsinki-center", out=tmp_path / "ds")
    assert (tmp_path / "ds" / "places.parquet").read_bytes() == before
    assert dataset.descends_from(helsinki_dataset.hash)
    entities = geopandas.read_parquet(tmp_path / "ds" / "entities.parquet")
    rows = texts(dataset)
    assert rows.kind.isin(["name", "alias", "words"]).all()
    named = rows.dropna(subset="entity_id").groupby("place_id").entity_id.agg(set)
    places = dataset.places.set_index("place_id")
    for place in places.index[::97]:
        lon, lat = places.lon[place], places.lat[place]
        circle = geopandas.GeoSeries([shapely.Point(lon, lat)], crs=4326).to_crs(32635)
        near, far = (circle.buffer(size, cap_style="square").to_crs(4326).iloc[0] for size in (59.0, 61.0))
        size = entities.bounds.eval("(maxx - minx) ** 2 + (maxy - miny) ** 2")
        certain = entities.entity_id[entities.intersects(near)]
        possible = set(entities.entity_id[entities.intersects(far)])
        got = named.get(place, set())
        assert got <= possible
        assert len(got) >= min(MAX_ENTITIES, len(certain))
        if len(certain) <= MAX_ENTITIES and len(possible) == len(certain):
            assert got == set(certain)
        if len(got) == MAX_ENTITIES:
            chosen = entities.entity_id.isin(got)
            assert size[chosen].max() <= size[entities.entity_id.isin(set(certain) - got)].min() + 1e-12
    assert len(set(rows.place_id[(rows.kind == "words")])) > 0.95 * len(dataset)
    again = api.prepare("where2vec", osm_name="helsinki-center", out=tmp_path / "ds")
    assert again.hash == dataset.hash
    with pytest.raises(DatasetError, match="types"):
        api.prepare("where2vec", osm_name="helsinki-center", types="founding", out=tmp_path / "ds")


def test_unnamed_places_have_words(tmp_path: Path) -> None:
    """Of the wood, which is no entity; a place with nothing around has none."""
    osm, table = town(tmp_path), tmp_path / "points.csv"
    table.write_text("place_id,lon,lat,label\nwood,10.055,50.055,a\nnothing,10.03,50.03,b\n")
    api.prepare("sphere2vec", points=table, label="label", out=tmp_path / "ds")
    dataset = api.prepare("where2vec", osm=osm, out=tmp_path / "ds")
    assert said(dataset, "wood", "words") == ["forest"]
    view: Any = dataset.view("text")
    assert view.known.tolist() == [True, False]


def test_a_map_joins_them(helsinki_pbf: Path, tmp_path: Path) -> None:
    """``--map``: every place shows something; the same command again finds both."""
    wanted = {"osm": helsinki_pbf, "bbox": "24.940,60.168,24.945,60.171", "out": tmp_path / "ds", "map": True}
    dataset = api.prepare("where2vec", **wanted)
    assert set(dataset.view_names) == {"text", "map"}
    view: Any = dataset.view("map")
    look = Look(torch.full((len(dataset),), -1), torch.from_numpy(dataset.lonlat))
    shown = view.window(size_px=48, size_m=200.0).read(look)
    assert (shown.flatten(1).amax(1) > 0).all()
    assert api.prepare("where2vec", **wanted).hash == dataset.hash
    facts = describe(tmp_path / "ds")
    about = summary_of(tmp_path / "ds" / "entities.parquet")
    plain = read_entities(tmp_path / "ds" / "entities.parquet").to_pylist()
    assert facts["entities"] == about.count == len(plain) == len(dataset)
    assert facts["entities with a Wikidata item"] == sum(row["wikidata"] is not None for row in plain)
    assert about.languages["sv"] == sum(
        any(name["language"] == "sv" for name in row["names"]) for row in plain
    )
    assert about.groups["amenity"] == sum(row["type"].split("/")[0] == "amenity" for row in plain)
    found = api.validate(tmp_path / "ds")
    assert found.usable
    assert found.entities["types"] == about.types


class Killed(BaseException):
    """What ends a process."""


def test_killed_after_the_entities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next run finds them, reads the extract no second time for them, and ends with the same bytes."""
    osm = town(tmp_path)
    whole = api.prepare("where2vec", osm=osm, out=tmp_path / "whole")

    def dies(*args: Any, **kwargs: Any) -> int:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(preparation, "write_texts_of_entities", dies)
        with pytest.raises(Killed):
            api.prepare("where2vec", osm=osm, out=tmp_path / "ds")
    with pytest.raises(DatasetError, match="did not finish"):
        Dataset.open(tmp_path / "ds")
    monkeypatch.setattr(preparation, "read_entities", dies)
    resumed = api.prepare("where2vec", osm=osm, out=tmp_path / "ds")
    assert resumed.hash == whole.hash
    for name in ("places.parquet", "entities.parquet", "text.parquet"):
        assert (tmp_path / "ds" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert sorted(path.name for path in (tmp_path / "ds").iterdir()) == sorted(
        path.name for path in (tmp_path / "whole").iterdir()
    )


def test_what_cannot_be_used(helsinki_dataset: Dataset, tmp_path: Path) -> None:
    """Each is one line, and nothing of it stays."""
    osm = town(tmp_path)
    shutil.copytree(helsinki_dataset.path, tmp_path / "hel")
    before = sorted(path.name for path in (tmp_path / "hel").rglob("*"))
    wrong: list[tuple[type[Exception], str, dict[str, Any]]] = [
        (AreaError, "are elsewhere", {"osm": osm, "out": tmp_path / "hel"}),
        (AreaError, "is outside", {"osm": osm, "bbox": "20,20,21,21", "out": tmp_path / "a"}),
        (DatasetError, "no entity", {"osm": osm, "types": "founding", "out": tmp_path / "b"}),
        (SourceError, "one extract", {"out": tmp_path / "c"}),
        (UsageError, "--map", {"osm": osm, "zoom": 16, "out": tmp_path / "d"}),
        (DatasetError, "size", {"osm_name": "helsinki-center", "size_m": 7, "out": tmp_path / "hel"}),
    ]
    for kind, why, options in wrong:
        with pytest.raises(kind, match=why) as error:
            api.prepare("where2vec", **options)
        assert len(str(error.value).splitlines()) == 1
    assert sorted(path.name for path in (tmp_path / "hel").rglob("*")) == before


def test_damaged_entities(tmp_path: Path) -> None:
    dataset = api.prepare("where2vec", osm=town(tmp_path), out=tmp_path / "ds")
    path = dataset.path / "entities.parquet"
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["names"]), path)
    with pytest.raises(DatasetError, match="lacks the columns names"):
        summary_of(path)
    assert not api.validate(dataset.path).usable
    path.write_bytes(b"PAR1")
    with pytest.raises(DatasetError, match="damaged"):
        read_entities(path)
