"""Several examples, thresholds and conditions: what they find, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from placevec.embeddings import Embeddings, Provenance
from placevec.embeddings.search import similar
from placevec.embeddings.search.filters import passing
from placevec.errors import InputError, UsageError


@pytest.fixture
def parks() -> Embeddings:
    """400 places in a row; their vectors turn from (1, 0) to (0, 1)."""
    angle = np.linspace(0, np.pi / 2, 400)
    vectors = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    names = np.array([f"Park {row}" if row % 4 == 0 else None for row in range(400)], object)
    lonlat = np.stack([24.0 + np.arange(400) * 0.001, np.full(400, 60.0)], axis=-1)
    ids = [f"p{row}" for row in range(400)]
    return Embeddings(ids, vectors, lonlat, np.full(400, None, object), names, "map", Provenance("m", "d"))


def test_examples_are_averaged_and_others_kept_away_from(parks: Embeddings) -> None:
    """Closed form: between 0 and 60 degrees lies 30; moving away from 40 brings it to 2 (1, 0)... below 30."""
    like = similar(parks, like=["p0", "p266"], k=1)
    assert like["place_id"][0] == "p133"
    assert like.attrs["query"]["like"] == ["p0", "p266"]
    away = similar(parks, like=["p0", "p266"], unlike=["p200"], k=1)
    direction = 2 * np.array([np.sqrt(3) / 2, 0.5]) * np.cos(np.pi / 6) - parks.vectors[200]
    nearest = int(np.argmax(parks.vectors @ direction))
    assert abs(int(away["place_id"][0][1:]) - nearest) <= 1
    assert nearest < 133
    assert not {"p0", "p266", "p200"} & set(
        similar(parks, like=["p0", "p266"], unlike=["p200"], k=400)["place_id"]
    )


def test_results_keep_apart_from_every_example(parks: Embeddings) -> None:
    """Oracle: at 60 degrees north 0.001 degrees of longitude are 55.8 m, so 100 m rule out one place on either side."""
    found = similar(parks, like=["p100", "p102", "p300"], k=400, min_distance_m=100)
    rows = sorted(int(one[1:]) for one in found["place_id"])
    assert not {99, 100, 101, 102, 103, 299, 300, 301} & set(rows)
    assert (np.diff(rows) >= 2).all()


def test_a_threshold_returns_all_within_it(parks: Embeddings) -> None:
    """Oracle: distances by numpy; thousands of results are one call, and what k cuts off is told."""
    far = 1 - parks.vectors @ parks.vectors[200]
    expected = np.flatnonzero(far <= 0.05)
    found = similar(parks, place="p200", threshold=0.05, k=10_000)
    assert sorted(int(one[1:]) for one in found["place_id"]) == [row for row in expected if row != 200]
    assert found.attrs["notes"] == []
    cut = similar(parks, place="p200", threshold=0.05, k=5)
    assert len(cut) == 5
    assert "at least 5 places within the threshold" in cut.attrs["notes"][-1]
    product = similar(parks, place="p200", threshold=0.99, k=1000, metric="dot")
    assert len(product) == (1 - far >= 0.99).sum() - 1
    assert similar(parks, place="p200", threshold=0.0, k=5)["place_id"].tolist() == []
    apart = similar(parks, place="p200", threshold=0.05, k=1000, min_distance_m=500)
    assert 0 < len(apart) < len(found)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"unlike": ["p1"]}, UsageError, "at least one example of what to find"),
        ({"like": ["p1"], "unlike": ["p1"]}, UsageError, "with --like and with --unlike"),
        ({"like": ["p1", "nowhere"]}, InputError, "no place 'nowhere'"),
        ({"like": ["p1"], "place": "p2"}, InputError, "a query of their own"),
    ],
)
def test_examples_that_are_none(parks: Embeddings, options: dict, error: type, said: str) -> None:
    with pytest.raises(error, match=said):
        similar(parks, **options)


def test_conditions(parks: Embeddings) -> None:
    """Oracle: pandas on the same table; a place that the table of columns lacks has missing values."""
    columns = pd.DataFrame({
        "place_id": [f"p{row}" for row in range(399)], "cluster": np.arange(399) % 7,
        "rent": np.where(np.arange(399) % 5 == 0, np.nan, np.arange(399) / 10), "kind": ["Land", None, "sea"] * 133,
        "open": np.arange(399) % 2 == 0,
    })  # fmt: skip
    whole = columns.set_index("place_id").reindex(parks.place_id).reset_index()
    for conditions, expected in (
        (["cluster=3"], whole["cluster"] == 3),
        (["cluster = 3", "rent>=20"], (whole["cluster"] == 3) & (whole["rent"] >= 20)),
        (["rent<1.5"], whole["rent"] < 1.5),
        (["kind=land"], whole["kind"] == "Land"),
        (["kind!=land"], whole["kind"] != "Land"),
        (["kind="], whole["kind"].isna()),
        (["kind!="], whole["kind"].notna()),
        (["kind~EA"], whole["kind"] == "sea"),
        (["kind~n"], whole["kind"] == "Land"),  # and not those without, whose text may be nan
        (["open=true"], whole["open"].eq(True)),
        (["name~park 1", "lon<24.02"], (np.arange(400) == 16) | (np.arange(400) == 12)),
    ):
        np.testing.assert_array_equal(
            passing(parks, conditions, columns), np.asarray(expected, bool), str(conditions)
        )


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("cluster", "write COLUMN=VALUE"),
        ("clusters=3", "no column 'clusters': did you mean 'cluster'"),
        ("cluster=three", "has numbers, but 'three' is not a number"),
        ("kind>3", "no numbers to compare"),
        ("__class__=3", "no column '__class__'"),
    ],
)
def test_conditions_that_are_none(parks: Embeddings, condition: str, said: str) -> None:
    columns = pd.DataFrame({"place_id": ["p1"], "cluster": [3], "kind": ["sea"]})
    with pytest.raises(UsageError, match=said):
        passing(parks, [condition], columns)
    with pytest.raises(InputError, match="more than once"):
        passing(parks, ["cluster=3"], pd.concat([columns, columns]))
