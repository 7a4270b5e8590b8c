"""Searching a real table: results that do not overlap, names that several places have, points of another country."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from pyproj import Geod

from placevec import api
from placevec.embeddings import Embeddings, Provenance
from placevec.errors import InputError
from placevec.models.model import Model


@pytest.fixture
def table(helsinki_table: Path) -> Embeddings:
    return api.load_embeddings(helsinki_table)


def nearest_two(lonlat: np.ndarray) -> float:
    """Meters between the two that lie nearest to one another, by pyproj."""
    inv = Geod(ellps="WGS84").inv
    return min(inv(*one, *other)[2] for at, one in enumerate(lonlat) for other in lonlat[:at])


def test_results_keep_about_the_window_of_the_model_from_one_another(table: Embeddings) -> None:
    """Oracle: the model's window, 120 m, on places 60 m apart; without the distance neighbors crowd the answer."""
    for row in (0, 100, 200):
        place = str(table.place_id[row])
        found = api.similar(table, place=place, k=5)
        assert found.attrs["query"]["min_distance_m"] == pytest.approx(0.99 * 120)
        around = np.vstack([table.lonlat[[row]], found[["lon", "lat"]]])
        assert len(found) == 5
        assert nearest_two(around) >= 118
        everything = api.similar(table, place=place, k=5, min_distance_m=0)
        assert everything["distance"].to_numpy().sum() <= found["distance"].to_numpy().sum()
    wide = api.similar(table, place=str(table.place_id[0]), k=4, min_distance_m=300)
    assert nearest_two(wide[["lon", "lat"]].to_numpy()) >= 300 * (1 - 1e-5)


def test_the_window_is_that_of_whichever_model_is_given(
    table: Embeddings, helsinki_run: Path, tmp_path: Path
) -> None:
    """By path and loaded; points whose model is gone have no footprint that is known."""
    moved = tmp_path / "moved"
    shutil.copytree(helsinki_run, moved)
    table.provenance = type(table.provenance)(
        **{**vars(table.provenance), "model_path": str(tmp_path / "gone")}
    )
    place = str(table.place_id[0])
    assert api.similar(table, place=place).attrs["query"]["min_distance_m"] == 0.0
    for model in (moved, Model.load(moved)):
        query = api.similar(table, place=place, model=model).attrs["query"]
        assert query["min_distance_m"] == pytest.approx(118.8)
    (moved / "config.json").write_text("[1, 2]")
    assert api.similar(table, place=place, model=moved).attrs["query"]["min_distance_m"] == 0.0


def test_a_name_of_several_places_says_so(table: Embeddings) -> None:
    """Oracle: counted by hand in the table."""
    named = np.array([str(name or "") for name in table.names], object)
    name = max(set(named) - {""}, key=lambda one: int((named == one).sum()))
    count = int((named == name).sum())
    assert count > 1
    found = api.similar(table, name=name, k=3)
    assert found.attrs["query"]["named"] == count
    assert found.attrs["query"]["name"] == name
    assert found.attrs["notes"][0].startswith(f"{count} places are named {name!r}; selected {name!r} (")
    everyone = api.similar(table, place=str(table.place_id[0]), k=len(table), min_distance_m=0)
    assert everyone["label"].is_unique
    assert not everyone["name"].dropna().is_unique


@pytest.mark.parametrize("question", [{"lon": 14.51, "lat": 35.90}, {"tile": "17/70818/51558"}])
def test_another_country_is_rejected(table: Embeddings, question: dict[str, object]) -> None:
    with pytest.raises(
        InputError, match=rf"these {len(table)} places cover lon 24\.\d+ to 24\.\d+, lat 60\.\d+ to 60\.\d+"
    ):
        api.similar(table, **question)  # type: ignore[arg-type]


def test_a_table_of_columns_says_who_meets_nobody(tmp_path: Path) -> None:
    """IDs are texts on both sides; rows and places without a match are counted, and most of both is an error."""
    ids, none = [f"0{number}" for number in range(1001, 1041)], np.full(40, None, object)
    lonlat = np.stack([24.9 + np.arange(40) / 500, np.full(40, 60.17)], axis=-1)
    made = Provenance("m", "d")
    table = Embeddings(ids, np.random.default_rng(0).normal(size=(40, 8)), lonlat, none, none, "map", made)
    rows = [f"{place},{'a' if number % 2 else 'b'}\n" for number, place in enumerate(ids)]
    (tmp_path / "c.csv").write_text("place_id,use\n" + "".join(rows[:30]) + "48001,a\n")
    found = api.similar(table, place="01001", filters=["use=a"], columns=tmp_path / "c.csv", k=50)
    assert sorted(found["place_id"]) == ids[1:30:2]
    note = (
        "c.csv: 1 of 31 rows match no place (first: row 31, place_id '48001'); 10 of 40 places match no row"
    )
    assert any(one.endswith(note) for one in found.attrs["notes"])
    (tmp_path / "c.csv").write_text("place_id,use\n" + "".join(row[1:] for row in rows))
    with pytest.raises(InputError, match=r"c\.csv matches none .*leading zeros \('1001' is '01001'\)"):
        api.similar(table, place="01001", filters=["use=a"], columns=tmp_path / "c.csv")
