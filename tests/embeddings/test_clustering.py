"""Clusters of vectors whose groups are known, and files that others read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import permutations
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pytest

from placevec.embeddings import Embeddings, Provenance, clustering
from placevec.embeddings.clustering import (
    NOISE,
    STRONG,
    Clusters,
    best_count,
    cluster,
    scaled,
    silhouettes_by_count,
)
from placevec.errors import InputError
from placevec.io.progress import Advance
from placevec.sources.tables.points import read_columns

HOSTILE = ["=cmd()|x", "</script><b>", 'two\n"lines"', "\u202eturned", "Äänekoski", None]


def table(vectors: np.ndarray, names: list[str | None] | None = None) -> Embeddings:
    count = len(vectors)
    lonlat = np.stack([np.linspace(24.0, 25.0, count), np.full(count, 60.0)], axis=1)
    lonlat[-1] = np.nan
    chosen = np.array([None] * count, object)
    chosen[: len(names or [])] = names or []
    return Embeddings(
        np.array([f"p{i}" for i in range(count)], object), vectors, lonlat, np.full(count, None, object), chosen,
        "map", Provenance("a" * 8, "b" * 8, attribution="© Somebody"),
    )  # fmt: skip


def blobs(sizes: list[int], dim: int = 6, spread: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """Vectors around the axes of space, and which axis: shuffled."""
    random = np.random.default_rng(0)
    truth = random.permutation(np.repeat(np.arange(len(sizes)), sizes))
    return np.eye(dim)[truth] + random.normal(scale=spread, size=(len(truth), dim)), truth


@pytest.mark.parametrize("method", ["kmeans", "hdbscan"])
def test_groups_that_are_there_are_found(method: clustering.Method) -> None:
    """Oracle: the groups that were drawn; the number of them is found too, and the largest is number 0."""
    vectors, truth = blobs([90, 60, 40, 30])
    found = cluster(table(vectors * np.random.default_rng(1).uniform(0.5, 9, (220, 1))), method=method)
    assert len(found) == 4
    clustered = found.label != NOISE
    assert clustered.mean() > 0.9
    np.testing.assert_array_equal(found.label[clustered], truth[clustered])
    assert found.silhouette > 0.8
    assert found.summary()["places"].tolist() == sorted(found.summary()["places"], reverse=True)
    assert bool(found.tried) == (method == "kmeans")


def test_medoid_is_the_place_with_the_least_squared_distances() -> None:
    """Oracle: every place of a cluster tried by brute force."""
    vectors, _ = blobs([30, 20, 10], spread=0.3)
    found = cluster(table(vectors), clusters=3)
    points = scaled(vectors, "unit").astype(float)
    for number, medoid in enumerate(found.medoid):
        inside = points[found.label == number]
        costs = np.square(inside[:, None] - inside[None]).sum(axis=(1, 2))
        assert medoid == np.flatnonzero(found.label == number)[costs.argmin()]


def test_the_number_chosen_has_the_largest_silhouette() -> None:
    vectors, _ = blobs([40, 40, 40])
    tried = silhouettes_by_count(scaled(vectors, "unit"), seed=0)
    assert list(tried) == list(range(2, 21))
    assert max(tried, key=lambda count: tried[count]) == 3 == best_count(tried, 120)


def test_a_useful_number_where_places_do_not_fall_apart() -> None:
    """Vectors without groups: halves have the largest silhouette, and say nothing of a city."""
    random = np.random.default_rng(0)
    vectors = np.abs(random.normal(size=(400, 2))) @ np.array([[3.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    found = cluster(table(vectors), vectors="standardized")
    assert max(found.tried, key=lambda count: found.tried[count]) < 6
    assert max(found.tried.values()) < STRONG
    assert 6 <= len(found) <= 12
    assert found.tried[len(found)] == max(found.tried[count] for count in range(6, 13))
    assert f"so the best number from 6 to 12 is used: {len(found)}" in found.notes[0]
    few = cluster(table(random.normal(size=(20, 3))))
    assert few.notes == ()
    assert len(few) == max(
        few.tried, key=lambda count: few.tried[count]
    )  # five places a cluster are not there
    strong = blobs([160, 40], spread=0.02)[0]
    assert len(cluster(table(strong))) == 2


def test_clusters_are_named_by_their_middle_and_what_they_hold(tmp_path: Path) -> None:
    """Closed form: the first cluster is half water, the second all roads; a third kind is the same everywhere."""
    vectors, truth = blobs([30, 20])
    emb = table(vectors, ["Square"] * 50)
    emb.lonlat[-1] = [25.0, 60.0]
    plain = cluster(emb, clusters=2)
    assert plain.summary()["name"].is_unique
    shares = np.zeros((50, 3))
    shares[truth == 0, 0], shares[truth == 1, 1], shares[:, 2] = 0.5, 1.0, 0.3
    shares[0] = np.nan
    named = plain.holding(["water", "roads", "buildings"], shares)
    assert named.holds == ("water 50%", "roads 100%")
    assert [one.split(": ")[1] for one in named.summary()["name"]] == ["water 50%", "roads 100%"]
    assert len(set(named.names)) == 2
    assert named.columns()["cluster_name"].tolist() == [named.names[one] for one in named.label]
    for ending in ("parquet", "csv", "geojson"):
        named.save(tmp_path / f"c.{ending}")
        assert read_columns(tmp_path / f"c.{ending}")["cluster_name"].tolist() == [
            named.names[one] for one in named.label
        ]
    nothing = plain.holding(["water"], np.full((50, 1), np.nan))
    assert nothing.holds == ("", "")
    assert nothing.names == plain.names


class _Told:
    """Keeps what is shown beside each bar."""

    def __init__(self) -> None:
        self.notes: dict[str, list[str]] = {}
        self.steps: dict[str, float] = {}

    @contextmanager
    def task(self, label: str, total: float | None = None) -> Iterator[Advance]:
        self.notes[label], self.steps[label] = [], -(total or 0)

        def advance(steps: float = 1, note: str | None = None) -> None:
            self.steps[label] += steps
            self.notes[label] += [] if note is None else [note]

        yield advance

    def say(self, message: str) -> None:
        """Not asked about."""


def test_the_bar_ends_on_the_number_chosen() -> None:
    """What is left on the screen is the number that was chosen, not the last that was tried; the bar is full."""
    vectors, _ = blobs([40, 40, 40])
    told = _Told()
    found = cluster(table(vectors), progress=told)
    last = told.notes["Choosing the number of clusters"][-1]
    assert last == f"chosen: 3 clusters, silhouette {found.tried[3]:.3f}"
    assert len(found) == 3
    assert told.steps["Choosing the number of clusters"] == 0
    same = _Told()
    assert silhouettes_by_count(np.ones((9, 2), np.float32), seed=0, progress=same) == {}
    assert same.notes["Choosing the number of clusters"] == []


def test_a_seed_gives_the_same_clusters_however_places_are_numbered() -> None:
    random = np.random.default_rng(3)
    vectors = random.normal(size=(80, 4))
    first, again = (cluster(table(vectors), clusters=5, seed=7) for _ in range(2))
    np.testing.assert_array_equal(first.label, again.label)
    assert np.bincount(first.label).tolist() == sorted(np.bincount(first.label), reverse=True)


def test_scalings() -> None:
    """Oracle: the two definitions; a dimension that never changes stays out of it."""
    vectors = np.array([[1.0, 5.0, 100.0], [2.0, 5.0, -100.0], [3.0, 5.0, 0.0]])
    standard = scaled(vectors, "standardized")
    np.testing.assert_allclose(standard.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(standard.std(axis=0), [1, 0, 1], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(scaled(vectors, "unit"), axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(scaled(vectors, "raw"), vectors.astype(np.float32))


def test_more_places_than_hdbscan_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was left out of the sample takes the cluster that it lies in."""
    vectors, truth = blobs([120, 80, 60])
    whole = cluster(table(vectors), method="hdbscan")
    monkeypatch.setattr(clustering, "DENSE", 130)
    part = cluster(table(vectors), method="hdbscan")
    assert any("found on 130 places drawn at random" in note for note in part.notes)
    assert not any("sample" in note for note in whole.notes)
    both = (part.label != NOISE) & (whole.label != NOISE)
    assert both.mean() > 0.8
    assert (
        max((part.label[both] == np.array(order)[truth[both]]).mean() for order in permutations(range(3)))
        == 1
    )


def test_collapsed_vectors_are_one_cluster() -> None:
    found = cluster(table(np.ones((12, 3))))
    assert (len(found), found.noise, found.tried) == (1, 0, {})
    assert np.isnan(found.silhouette)
    nothing = cluster(table(np.random.default_rng(0).normal(size=(12, 3))), method="hdbscan", smallest=12)
    assert (len(nothing), nothing.noise) == (0, 12)
    assert len(nothing.summary()) == 0


@pytest.fixture(scope="module")
def found() -> Clusters:
    vectors, _ = blobs([20, 10])
    return cluster(table(vectors, HOSTILE), clusters=2)


@pytest.mark.parametrize("ending", ["parquet", "csv", "geojson"])
def test_files_are_what_explore_takes(found: Clusters, tmp_path: Path, ending: str) -> None:
    found.save(tmp_path / f"c.{ending}")
    columns = read_columns(tmp_path / f"c.{ending}")
    assert columns["place_id"].tolist() == found.emb.place_id.tolist()
    assert columns["cluster"].tolist() == found.label.tolist()
    assert [path.name for path in tmp_path.iterdir()] == [f"c.{ending}"]


def test_files_open_elsewhere(found: Clusters, tmp_path: Path) -> None:
    """Oracle: geopandas and pandas; hostile names come back as they were, or disarmed in CSV."""
    for ending in ("parquet", "geojson", "csv"):
        found.save(tmp_path / f"c.{ending}")
    for frame in (
        geopandas.read_parquet(tmp_path / "c.parquet"),
        geopandas.read_file(tmp_path / "c.geojson"),
    ):
        assert frame["name"].tolist()[:5] == HOSTILE[:5]
        assert frame.crs is not None
        assert frame.geometry.iloc[0].x == pytest.approx(24.0)
        assert frame.geometry.iloc[-1] is None
    content = json.loads((tmp_path / "c.geojson").read_text("utf-8"))
    assert content["attribution"] == "© Somebody"
    assert (content["method"], content["clusters"], content["seed"]) == ("kmeans", 2, 0)
    written = pd.read_csv(tmp_path / "c.csv")
    assert written["name"].iloc[0] == "'=cmd()|x"
    assert np.isnan(written["lon"].iloc[-1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clusters": 0}, "the number of clusters must be 1 to 30, the number of places"),
        ({"clusters": 31}, "the number of clusters must be 1 to 30, the number of places"),
        ({"smallest": 3}, "--clusters applies to kmeans"),
        ({"method": "hdbscan", "clusters": 3}, "--smallest to hdbscan"),
        ({"method": "hdbscan", "smallest": 1}, "2 to 30 places"),
        ({"method": "magic"}, "kmeans or hdbscan"),
        ({"vectors": "squared"}, "standardized"),
    ],
)
def test_what_cannot_be_clustered(found: Clusters, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        cluster(found.emb, **options)  # type: ignore[arg-type]


def test_too_few_places_and_other_endings(found: Clusters, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least two places"):
        cluster(found.emb[:1])
    with pytest.raises(InputError, match=r"unsupported format c\.shp"):
        found.save(tmp_path / "c.shp")
