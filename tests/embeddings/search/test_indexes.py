"""Indexes of all kinds against exact search: in memory, on disk, filtered, grown and damaged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from placevec.embeddings import Embeddings, Provenance, load
from placevec.embeddings.search import METRICS, ExactIndex, available, open_index, similar
from placevec.embeddings.search.approximate import FaissIndex
from placevec.embeddings.search.metrics import distances
from placevec.embeddings.search.stored import Kind, opened
from placevec.errors import EmbeddingsError, UsageError
from placevec.geo import Area
from tests.unsealed import unsealed

needs_faiss = pytest.mark.skipif(
    not available("hnsw"), reason='faiss is missing: pip install "placevec[search]"'
)
needs_annoy = pytest.mark.skipif(
    not available("annoy"), reason='Annoy is missing: pip install "placevec[annoy]"'
)
KINDS = [
    pytest.param(Kind("hnsw"), marks=needs_faiss),
    pytest.param(Kind("hnsw", storage="int8"), marks=needs_faiss),
    pytest.param(Kind("ivf", "dot"), marks=needs_faiss),
    pytest.param(Kind("ivf", "euclidean", "int8"), marks=needs_faiss),
    pytest.param(Kind("hnsw", "manhattan"), marks=needs_faiss),
    pytest.param(Kind("annoy", "angular", trees=30), marks=needs_annoy),
    Kind("exact", "cosine", "int8"),
    Kind("exact", "euclidean", "int8"),
    Kind("exact", "dot", "int8"),
    Kind("exact", "angular", "bits"),
]
"""Each backend, metric and storage at least once."""


def clustered(count: int, dim: int = 32, seed: int = 0) -> np.ndarray:
    """Vectors as models make them: groups of different size around directions, not independent noise."""
    random = np.random.default_rng(seed)
    centers = random.normal(size=(60, dim))
    return (centers[random.integers(0, 60, count)] + 0.6 * random.normal(size=(count, dim))).astype(
        np.float32
    )


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return clustered(6_000, 24)


def table(vectors: np.ndarray, path: Path | None = None) -> Embeddings:
    """Places on a grid of 0.001 degrees."""
    y, x = np.divmod(np.arange(len(vectors)), 100)
    none = np.full(len(vectors), None, object)
    ids = [f"p{row}" for row in range(len(vectors))]
    lonlat = np.stack([24.0 + x * 0.001, 60.0 + y * 0.001], axis=-1)
    emb = Embeddings(ids, vectors, lonlat, none, none, "map", Provenance("m", "d"))
    if path is not None:
        emb.save(path)
    return emb


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_finds_nearly_all_and_says_how_many(kind: Kind, vectors: np.ndarray) -> None:
    """Oracle: exact search. Distances are exact whatever proposes the rows; a filter holds; recall is what it says."""
    index, exact = kind.build(vectors), ExactIndex(vectors, kind.metric)
    asked = vectors[::100] + np.float32(0.1) * clustered(60, 24, seed=1)
    least = 0.8 if kind.storage == "bits" else 0.95  # 32 signs are a coarse code
    rows, far = index.query(asked, 10)
    true_rows, true = exact.query(asked, 10)
    at = [np.isin(mine, theirs).mean() for mine, theirs in zip(rows, true_rows, strict=True)]
    assert np.mean(at) > least
    np.testing.assert_allclose(
        far[0], distances(asked[0], vectors[rows[0]], kind.metric), rtol=1e-9, atol=1e-12
    )
    assert (np.diff(far, axis=1) >= 0).all()
    assert index.recall() > least
    where = np.arange(len(vectors)) % 2 == 1
    rows, _ = index.query(asked, 10, where=where)
    assert where[rows].all()
    assert all(len(set(row)) == 10 for row in rows.tolist())
    assert true.shape == far.shape


@pytest.mark.parametrize("kind", [KINDS[0], KINDS[3], KINDS[5], KINDS[6]], ids=lambda kind: kind.name)
def test_a_box_around_one_row_in_ten_thousand_loses_nothing(kind: Kind) -> None:
    """Oracle: the rows in the box, by their coordinates. Graphs walk past so few rows (faiss #3186, usearch #447)."""
    emb = table(clustered(20_000, 8))
    index = kind.build(emb.vectors)
    box = Area(24.0295, 60.0795, 24.0315, 60.0805)
    inside = np.flatnonzero(box.contains(*emb.lonlat.T))
    assert len(inside) == 2
    found = similar(emb, vector=emb.vectors[7], k=5, bbox=box, index=index, min_distance_m=0)
    assert sorted(found["place_id"]) == sorted(emb.place_id[inside])
    assert "only 2 of the 5 results asked for" in " ".join(found.attrs["notes"])
    where = np.random.default_rng(2).random(len(emb)) < 0.3
    rows, far = index.query(emb.vectors[:50], 20, where=where)
    assert rows.shape == (50, 20)
    assert where[rows].all()
    assert (
        far >= ExactIndex(emb.vectors, kind.metric).query(emb.vectors[:50], 20, where=where)[1] - 1e-6
    ).all()


@needs_faiss
def test_kept_beside_the_table_found_again_and_grown(tmp_path: Path, vectors: np.ndarray) -> None:
    """Oracle: the same answers from memory, from disk and after places were added; nothing is built twice."""
    file = tmp_path / "city.parquet"
    emb = table(vectors[:5000], file)
    first = opened(emb, "hnsw")
    assert first.path == tmp_path / "city.precomputed" / "map-hnsw-cosine.faiss"
    assert opened(emb, "hnsw") is first
    again = opened(load(file), "hnsw")
    assert (again.reused, again.added, again.note) == (True, 0, "")
    asked = clustered(20, 24, seed=3)
    np.testing.assert_array_equal(first.index.query(asked, 10)[0], again.index.query(asked, 10)[0])
    assert again.index.recall() == first.index.recall() > 0.95
    grown = opened(table(vectors, file), "hnsw")
    assert (grown.reused, grown.added, len(grown.index)) == (True, 1000, 6000)
    assert grown.index.query(vectors[[5500]], 1)[0].tolist() == [[5500]]
    assert opened(load(file), "hnsw").added == 0


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("other vectors", "is an index for other vectors; building it again"),
        ("version", "has schema 99, but this placevec reads schema 1: a newer placevec made it"),
        ("cut", "bytes: it is incomplete"),
        ("flipped", "is damaged"),
        ("gone", "cannot be read"),
        ("no JSON", "is damaged"),
        ("kind", "describes another kind of index"),
    ],
)
def test_an_index_that_does_not_fit_is_built_again(
    harm: str, said: str, tmp_path: Path, vectors: np.ndarray
) -> None:
    """Oracle: exact search over the vectors that are there now, whatever lies beside them."""
    file, vectors = tmp_path / "city.parquet", vectors[:2000]
    made = opened(table(vectors, file), storage="int8")
    assert made.path is not None
    facts = made.path.with_suffix(".json")
    content = made.path.read_bytes()
    if harm == "other vectors":
        vectors = vectors[::-1]
        table(vectors, file)
    elif harm in ("version", "kind"):
        change = {"schema": 99} if harm == "version" else {"metric": "dot"}
        facts.write_text(json.dumps(unsealed(json.loads(facts.read_text())) | change))
    elif harm == "no JSON":
        facts.write_text("{")
    elif harm == "gone":
        made.path.unlink()
    else:
        made.path.write_bytes(content[:-9] if harm == "cut" else content[:-9] + b"\x55" * 9)
    found = opened(load(file), storage="int8")
    assert said in found.note
    assert "\n" not in found.note
    rows, _ = found.index.query(vectors[:5], 1)
    assert rows.ravel().tolist() == [0, 1, 2, 3, 4]
    assert opened(load(file), storage="int8").note == ""


@needs_annoy
def test_trees_are_kept_by_their_number_and_built_anew_for_more_places(
    tmp_path: Path, vectors: np.ndarray
) -> None:
    file = tmp_path / "city.parquet"
    emb = table(vectors[:1000], file)
    few, many = opened(emb, "annoy", trees=5), opened(emb, "annoy", trees=50)
    assert many.index.recall() > few.index.recall()
    assert many.index.query(vectors[:1], 10, quality=5000)[0].shape == (1, 10)
    grown = opened(table(vectors[:1200], file), "annoy", trees=5)
    assert not grown.reused
    assert "lacks 200 places and cannot be extended" in grown.note


@pytest.mark.parametrize("rows", [1, 2, 50])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_few_and_equal_vectors(kind: Kind, rows: int) -> None:
    """Of one place, and of places that are all equal: everything is returned, in the order of the table."""
    index = kind.build(np.ones((rows, 8), np.float32))
    found, far = index.query(np.ones((2, 8)), 60)
    assert found.tolist() == [list(range(rows))] * 2
    assert (far == far[0, 0]).all()
    assert 0.0 <= index.recall() <= 1.0


def test_what_does_not_exist_is_refused_in_one_line() -> None:
    for backend, metric, storage in (
        ("ivf", "manhattan", "float32"),
        ("annoy", "cosine", "int8"),
        ("hnsw", "cosine", "bits"),
        ("exact", "manhattan", "int8"),
    ):
        with pytest.raises(UsageError):
            Kind(backend, metric, storage)


def test_an_index_in_memory_grows(vectors: np.ndarray) -> None:
    """Oracle: an index of all vectors from the start."""
    for kind in (Kind("exact", "euclidean"), Kind("exact", storage="int8")):
        index = kind.build(vectors[:3000])
        index.add(vectors[3000:])
        whole = kind.build(vectors)
        asked = vectors[::1000]
        np.testing.assert_array_equal(index.query(asked, 5)[0], whole.query(asked, 5)[0])


@pytest.mark.parametrize("metric", METRICS)
def test_the_ranking_of_one_query_is_its_answer(metric: str, vectors: np.ndarray) -> None:
    """Oracle: query. Distances that are read off the scores agree to float32, also for vectors that hardly differ."""
    for given in (vectors, 1e-4 * vectors + 1.0):
        index = ExactIndex(given, metric)  # type: ignore[arg-type]
        where = np.arange(len(given)) % 3 > 0
        ranking = index.ranking(given[5], where=where)
        for k in (3, 40, 5000):
            rows, far = index.query(given[[5]], k, where=where)
            np.testing.assert_array_equal(ranking.draw(k)[0], rows[0])
            np.testing.assert_array_equal(ranking.draw(k)[1], far[0])
        power = 2 if metric in ("angular", "euclidean") else 1  # of which a root was taken
        scale = max(1.0, float(np.abs(far).max()) ** power)
        np.testing.assert_allclose(ranking.about(rows[0]) ** power, far[0] ** power, atol=2e-6 * scale)


def test_tables_of_two_models_have_no_common_index(tmp_path: Path) -> None:
    """Vectors of two models are refused when they are put together; each has its own index."""
    from placevec.embeddings import concat

    first = table(clustered(30, 8))
    other = Embeddings(["x"], np.ones((1, 8)), [[0.0, 0.0]], [None], [None], "map", Provenance("other", "d"))
    with pytest.raises(EmbeddingsError, match="vectors of two models cannot be mixed"):
        concat([first, other])
    with pytest.raises(EmbeddingsError, match="not finite"):
        Embeddings(["x"], [[np.nan]], [[0.0, 0.0]], [None], [None], "map", Provenance("m", "d"))
    first.vectors = first.vectors[::-1]
    assert open_index(first).query(first.vectors[:1], 1)[0].tolist() == [[0]]


@needs_faiss
def test_of_few_rows_that_pass_all_are_compared(vectors: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """A filter that leaves a tenth is answered exactly, one that leaves half by the graph. Oracle: exact search."""
    index, exact, asked = (
        Kind("hnsw").build(vectors[:2_000]),
        ExactIndex(vectors[:2_000]),
        vectors[2_000:2_004],
    )
    tenth, half = np.arange(2_000) % 10 == 0, np.arange(2_000) % 2 == 0
    looked: list[int] = []
    candidates = FaissIndex._candidates

    def counted(self: FaissIndex, *args: Any) -> Any:
        looked.append(args[3])
        return candidates(self, *args)

    monkeypatch.setattr(FaissIndex, "_candidates", counted)
    assert np.array_equal(index.query(asked, 10, where=tenth)[0], exact.query(asked, 10, where=tenth)[0])
    assert looked == []
    index.query(asked, 10, where=half)
    assert looked == [1_000]


@needs_faiss
def test_where_a_graph_finds_too_few_all_are_compared(
    vectors: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A graph that loses all but seven candidates of the first query. Oracle: exact search."""
    index, exact = Kind("hnsw").build(vectors[:2_000]), ExactIndex(vectors[:2_000])
    candidates = FaissIndex._candidates

    def losing(self: FaissIndex, *args: Any) -> Any:
        found = candidates(self, *args)
        found[0, 7:] = -1
        return found

    monkeypatch.setattr(FaissIndex, "_candidates", losing)
    asked = vectors[2_000:2_002]
    rows, far = index.query(asked, 10)
    assert np.array_equal(rows[0], exact.query(asked, 10)[0][0])
    assert np.isfinite(far).all()
    assert len(set(rows[0])) == 10
