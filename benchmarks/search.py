"""Search beside what it can be compared with: numpy's product over the same memory, torch, faiss and Annoy.

``python -m benchmarks search``; a quarter of an hour on two cores. ``PLACEVEC_SEARCHED`` says how many places exact search is
measured on, 1,000,000 if unset, ``PLACEVEC_INDEXED`` how many are indexed, 100,000 if unset. Vectors of 128 numbers lie in
groups around directions, as learned ones do; the graph and the trees are measured on vectors of the model that comes with
placevec too, of windows of central Helsinki.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.measure import Row, interleaved, peak_mb
from placevec import api
from placevec.embeddings import Embeddings, Provenance
from placevec.embeddings.search.approximate import require_backend
from placevec.embeddings.search.exact import ExactIndex
from placevec.embeddings.search.index import Index
from placevec.embeddings.search.stored import Kind

DIM, BATCH, REPEATS = 128, 100, 9
RECALL = 0.97
SEARCHED = int(os.environ.get("PLACEVEC_SEARCHED", "1000000"))
INDEXED = int(os.environ.get("PLACEVEC_INDEXED", "100000"))


def clustered(count: int, seed: int = 0) -> np.ndarray:
    """(count, DIM) vectors in 2,000 groups of 24 dimensions each, with a little noise in all of them."""
    random = np.random.default_rng(seed)
    centers = random.normal(size=(2000, DIM)).astype(np.float32)
    planes = random.normal(size=(24, DIM)).astype(np.float32) / 5
    vectors = centers[random.integers(0, 2000, count)]
    for start in range(0, count, 50_000):
        part = vectors[start : start + 50_000]
        part += random.normal(size=(len(part), 24)).astype(np.float32) @ planes
        part += 0.1 * random.normal(size=part.shape).astype(np.float32)
    return vectors


def table(vectors: np.ndarray) -> Embeddings:
    """Places at random in a square degree."""
    random = np.random.default_rng(1)
    none = np.full(len(vectors), None, object)
    ids = np.array([f"p{row}" for row in range(len(vectors))], object)
    lonlat = np.stack([24 + random.random(len(vectors)), 60 + random.random(len(vectors))], axis=-1)
    return Embeddings(ids, vectors, lonlat, none, none, "map", Provenance("m", "d"))


def require_packages() -> None:
    """MissingExtraError, before the first quarter of an hour, if faiss or Annoy is not installed."""
    for backend in ("hnsw", "annoy"):
        require_backend(backend)


def rows() -> list[Row]:
    """All of them."""
    emb = table(clustered(SEARCHED))
    return [*exact(emb), memory(emb), *approximate()]


def exact(emb: Embeddings) -> list[Row]:
    """One query through `similar`, its second call on; many at once through the index."""
    import torch

    size = f"{len(emb):,} x {DIM} float32"
    query = emb.vectors[7]
    half = np.random.default_rng(2).random(len(emb)) < 0.5
    box = (24.25, 60.25, 24.75, 60.75)
    found = []
    for what, options in (
        ("exact search, one query", {}),
        ("exact search, half of the places", {"where": half}),
        ("exact search, in a box", {"bbox": box}),
        ("exact search, results 500 m apart", {"min_distance_m": 500.0}),
        ("exact search, in a box, 500 m apart", {"bbox": box, "min_distance_m": 500.0}),
    ):
        ours, product = interleaved(
            REPEATS, lambda options=options: api.similar(emb, place="p7", **options), lambda: emb.vectors @ query
        )  # fmt: skip
        ratio = product.median / ours.median
        processor = ours.median_processor / product.median_processor
        counted = (
            f"{size}, pv.similar from the second call on, all that it returns included; the other is numpy's product of "
            f"the same vectors with one: {1 / ratio:.2f} times as long by the clock, {processor:.2f} in processor time"
        )
        found.append(
            Row(what, ours.median, product.median, "s", "one numpy product", ratio, ours.spread, counted)
        )
    index = ExactIndex(emb.vectors)
    asked = emb.vectors[:: len(emb) // BATCH][:BATCH]
    units = torch.nn.functional.normalize(torch.from_numpy(emb.vectors), dim=1)
    several = torch.from_numpy(asked)
    ours, theirs = interleaved(
        3, lambda: index.query(asked, 10), lambda: torch.topk(several @ units.T, 10, dim=1)
    )
    counted = f"{BATCH} queries of {size}, ten nearest; torch has {torch.get_num_threads()} threads"
    found.append(
        Row(
            "exact search, many queries", BATCH / ours.median, BATCH / theirs.median, "queries/s", "torch matmul + topk",
            theirs.median / ours.median, ours.spread, counted,
        )
    )  # fmt: skip
    return found


def memory(emb: Embeddings) -> Row:
    """A process of its own that loads a file and searches it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "places.parquet"
        emb.save(file)
        code = (
            "import sys, placevec as pv; from benchmarks.measure import peak_mb; import geopandas, placevec.embeddings,"
            " placevec.api; before = peak_mb(); emb = pv.load_embeddings(sys.argv[1]);"
            " loaded = peak_mb(); pv.similar(emb, place='p7'); pv.similar(emb, place='p7', bbox=(24.2, 60.2, 24.7, 60.7));"
            " pv.similar(emb, place='p7', min_distance_m=500.0);"
            " print(before, loaded, peak_mb())"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=True
        )
    before, loaded, peak = map(float, done.stdout.split())
    size = emb.vectors.nbytes / 2**20
    counted = f"peak resident memory, the interpreter and libraries ({before:.0f} MB) included; {loaded:.0f} MB after loading; beyond these {(peak - before) / size:.2f} times the vectors"
    return Row("memory to load and search", peak, size, "MB", "the vectors", size / peak, "one run", counted)


def approximate() -> list[Row]:
    """faiss HNSW and Annoy at the same recall, and codes of 8 bits and 1 bit."""
    found: list[Row] = []
    vectors: np.ndarray
    for name, vectors in (("in groups", clustered(INDEXED, seed=3)), ("learned", learned())):
        random = np.random.default_rng(4).permutation(len(vectors))
        asked, vectors = vectors[random[:500]], np.ascontiguousarray(vectors[random[500:]])
        true = ExactIndex(vectors).query(asked, 10)[1]
        speeds = {}
        for kind in (Kind("hnsw"), Kind("annoy", trees=100)):
            began = time.perf_counter()
            index = kind.build(vectors)
            built = time.perf_counter() - began
            quality, recall, seconds = at_recall(index, asked, true)
            speeds[kind.backend] = (
                len(asked) / seconds,
                f"quality {quality}, recall {recall:.3f}, built in {built:.0f} s",
            )
        (graph, how), (trees, other) = speeds["hnsw"], speeds["annoy"]
        counted = f"{len(vectors):,} vectors {name}, 500 others as queries, recall@10 of at least {RECALL}, one thread: HNSW {how}; Annoy, 100 trees, {other}"
        found.append(
            Row(
                f"HNSW, vectors {name}",
                graph,
                trees,
                "queries/s",
                "Annoy",
                graph / trees,
                "best of three",
                counted,
            )
        )
        for storage in ("int8", "bits"):
            codes = Kind("exact", "cosine", storage).build(vectors)  # type: ignore[arg-type]
            far = codes.query(asked, 10)[1]
            size = codes.bytes / 1e6  # type: ignore[attr-defined]
            counted = f"{len(vectors):,} vectors {name}: bytes of the codes and of float32; recall@10 {recalled(far, true):.4f} after rescoring"
            whole = vectors.nbytes / 1e6
            found.append(
                Row(
                    f"{storage}, vectors {name}", size, whole, "MB", "float32", whole / size, "exact", counted
                )
            )
    return found


def recalled(far: np.ndarray, true: np.ndarray) -> float:
    """Share of the ten nearest that are found; equally far ones count."""
    return float((far <= true[:, -1:] * (1 + 1e-9) + 1e-12).mean())


def at_recall(index: Index, asked: np.ndarray, true: np.ndarray) -> tuple[int, float, float]:
    """(the least quality of a ladder that reaches `RECALL`, its recall, seconds for all queries)."""
    for quality in (
        10,
        14,
        20,
        28,
        40,
        56,
        80,
        112,
        160,
        224,
        320,
        450,
        640,
        900,
        1300,
        1800,
        2500,
        3600,
        5000,
        10**4,
        10**5,
        10**6,
    ):
        recall = recalled(index.query(asked, 10, quality=quality)[1], true)
        if recall >= RECALL:
            return (
                quality,
                recall,
                min(seconds(lambda q=quality: index.query(asked, 10, quality=q)) for _ in range(3)),
            )
    raise RuntimeError(f"{index.backend} does not reach a recall of {RECALL}")


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def learned() -> np.ndarray:
    """Vectors of the model that comes with placevec: windows of 120 m of central Helsinki, 8 m apart."""
    with tempfile.TemporaryDirectory() as folder:
        dataset = api.prepare(
            "loc2vec", osm_name="helsinki-center", spacing=LEARNED_SPACING, size_m=120, out=Path(folder) / "helsinki"
        )  # fmt: skip
        return api.embed("base", dataset).of().vectors


LEARNED_SPACING = float(os.environ.get("PLACEVEC_SPACING", "8"))

if __name__ == "__main__":
    for row in rows():
        print(row)
    print(peak_mb())
