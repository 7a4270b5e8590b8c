"""The table of vectors: round trips read by other libraries, and refusals in one clear line."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from placevec.embeddings import STAC_EXTENSION, Embeddings, Provenance, columns, concat
from placevec.errors import EmbeddingsError
from placevec.geo import parquet_bounds

PROVENANCE = Provenance(
    "a" * 64, "b" * 64, "runs/x", "data/x", "© OpenStreetMap contributors", "2026-01-01T00:00:00Z"
)


def table(count: int = 7, dim: int = 5, seed: int = 0, prefix: str = "p") -> Embeddings:
    random = np.random.default_rng(seed)
    lonlat = random.uniform([24.9, 60.1], [25.0, 60.2], (count, 2))
    geometry = np.array([shapely.box(lon, lat, lon + 0.001, lat + 0.001) for lon, lat in lonlat], object)
    names = np.array([f"</script>{row} Ёж" if row % 2 else None for row in range(count)], object)
    ids = np.array([f"{prefix}{row}" for row in range(count)], object)
    vectors = random.normal(size=(count, dim)).astype(np.float32)
    return Embeddings(ids, vectors, lonlat, geometry, names, "map", PROVENANCE)


def assert_same(ours: Embeddings, theirs: Embeddings, atol: float = 0.0) -> None:
    assert list(ours.place_id) == list(theirs.place_id)
    assert list(ours.names) == list(theirs.names)
    np.testing.assert_array_equal(ours.lonlat, theirs.lonlat)
    np.testing.assert_allclose(ours.vectors, theirs.vectors, atol=atol, rtol=0)
    assert [None if item is None else item.wkb for item in ours.geometry] == [
        None if item is None else item.wkb for item in theirs.geometry
    ]
    assert (ours.view, ours.provenance) == (theirs.view, theirs.provenance)


def test_float32_comes_back_identical(tmp_path: Path) -> None:
    emb = table()
    emb.save(tmp_path / "e.parquet")
    assert_same(Embeddings.load(tmp_path / "e.parquet"), emb)


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_small_types_stay_within_their_rounding(tmp_path: Path, dtype: Any) -> None:
    """Closed form: float16 rounds to 2^-11 of the entry, int8 to half of max/127."""
    emb = table(200, 16)
    emb.save(tmp_path / "e.parquet", dtype=dtype)
    largest = float(np.abs(emb.vectors).max())
    bound = largest * 2.0**-11 if dtype == "float16" else largest / 127 / 2 * 1.0001
    assert_same(Embeddings.load(tmp_path / "e.parquet"), emb, atol=bound)
    assert (tmp_path / "e.parquet").stat().st_size > 0


def test_all_zero_vectors_survive_int8(tmp_path: Path) -> None:
    emb = table()
    emb.vectors[:] = 0
    emb.save(tmp_path / "e.parquet", dtype="int8")
    assert not Embeddings.load(tmp_path / "e.parquet").vectors.any()


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_geopandas_and_pyarrow_read_it(tmp_path: Path, dtype: Any) -> None:
    """Oracles: geopandas.read_parquet and a plain pyarrow read, which know nothing of placevec."""
    emb = table()
    emb.save(tmp_path / "e.parquet", dtype=dtype)
    frame = geopandas.read_parquet(tmp_path / "e.parquet")
    assert list(frame["place_id"]) == list(emb.place_id)
    assert frame.crs is not None
    assert frame.crs.to_authority() in (("OGC", "CRS84"), ("EPSG", "4326"))
    np.testing.assert_allclose(frame.total_bounds, shapely.total_bounds(emb.geometry))
    scale = json.loads(pq.read_metadata(tmp_path / "e.parquet").metadata[b"placevec"])["scale"] or 1.0
    stacked = np.stack(frame["embedding"]).astype(np.float32) * scale
    np.testing.assert_allclose(stacked, emb.vectors, atol=0.02)
    plain = pq.read_table(tmp_path / "e.parquet")
    assert plain["embedding"].type == pa.list_(
        pa.type_for_alias(dtype.replace("float16", "halffloat")), emb.dim
    )


def test_metadata_carries_geo_bbox_and_stac_fields(tmp_path: Path) -> None:
    """The required fields are those of the STAC embedding extension v0.0.1 and of GeoParquet 1.1."""
    emb = table()
    emb.save(tmp_path / "e.parquet", dtype="int8")
    metadata = pq.read_metadata(tmp_path / "e.parquet").metadata
    geo = json.loads(metadata[b"geo"])
    assert geo["version"] == "1.1.0"
    np.testing.assert_allclose(geo["columns"]["geometry"]["bbox"], shapely.total_bounds(emb.geometry))
    stac = json.loads(metadata[b"stac"])
    assert stac["stac_extensions"] == [STAC_EXTENSION]
    assert (stac["emb:type"], stac["emb:dimensions"], stac["data_type"]) == ("chip", 5, "int8")
    assert {link["rel"]: link["title"] for link in stac["links"]} == {
        "emb:model": "a" * 64,
        "emb:source-data": "b" * 64,
    }
    assert stac["emb:quantization"]["scale"][0] == pytest.approx(float(np.abs(emb.vectors).max()) / 127)


def test_places_without_coordinates(tmp_path: Path) -> None:
    emb = table()
    emb.lonlat[2:] = np.nan
    emb.geometry[2:] = None
    emb.save(tmp_path / "e.parquet")
    back = Embeddings.load(tmp_path / "e.parquet")
    assert_same(back, emb)
    assert list(back.geometry[2:]) == [None] * 5
    assert geopandas.read_parquet(tmp_path / "e.parquet").geometry.isna().sum() == 5
    assert back.to_geodataframe().geometry.isna().sum() == 5


def test_no_place_has_coordinates(tmp_path: Path) -> None:
    emb = table()
    bare = Embeddings(
        emb.place_id,
        emb.vectors,
        np.full((7, 2), np.nan),
        np.full(7, None, object),
        emb.names,
        "chips",
        PROVENANCE,
    )
    bare.save(tmp_path / "e.parquet")
    assert_same(Embeddings.load(tmp_path / "e.parquet"), bare)
    assert len(geopandas.read_parquet(tmp_path / "e.parquet")) == 7


def test_a_place_with_coordinates_alone_becomes_a_point() -> None:
    emb = table()
    other = replace(emb, geometry=np.full(7, None, object))
    assert [(point.x, point.y) for point in other.geometry] == [tuple(row) for row in emb.lonlat]


def test_geodataframe_holds_one_array_a_place() -> None:
    emb = table()
    frame = emb.to_geodataframe()
    np.testing.assert_array_equal(np.stack(frame["embedding"]), emb.vectors)
    assert frame.crs.to_epsg() == 4326
    assert frame.attrs["provenance"] == asdict(PROVENANCE)


def test_selection_by_slice_indices_and_mask() -> None:
    emb = table()
    mask = np.zeros(7, bool)
    mask[[1, 5]] = True
    assert list(emb[mask].place_id) == ["p1", "p5"]
    assert list(emb[[5, 1]].place_id) == ["p5", "p1"]
    assert list(emb[2:4].place_id) == ["p2", "p3"]
    np.testing.assert_array_equal(emb[[5, 1]].vectors, emb.vectors[[5, 1]])
    with pytest.raises(EmbeddingsError, match="select places with a slice, indices or a mask of length 7"):
        emb[np.zeros(3, bool)]


# --- joining -----------------------------------------------------------------------------------------------


def test_tables_of_one_model_join() -> None:
    first, second = table(prefix="a"), table(3, prefix="b", seed=1)
    second.provenance = replace(PROVENANCE, dataset_hash="c" * 64, attribution="Someone else")
    joined = concat([first, second])
    assert len(joined) == 10
    assert_same(joined[:7], replace(first, provenance=joined.provenance))
    assert joined.provenance.dataset_hash not in ("b" * 64, "c" * 64)
    assert joined.provenance.dataset_path == ""
    assert joined.provenance.attribution == "© OpenStreetMap contributors; Someone else"


def test_vectors_of_two_models_are_rejected_and_both_named() -> None:
    other = table(prefix="b")
    other.provenance = replace(PROVENANCE, model_hash="d" * 64)
    with pytest.raises(EmbeddingsError) as caught:
        concat([table(), other])
    assert "a" * 64 in str(caught.value)
    assert "d" * 64 in str(caught.value)


def test_joining_nothing_or_the_same_place_twice_is_rejected() -> None:
    with pytest.raises(EmbeddingsError, match="no table"):
        concat([])
    with pytest.raises(EmbeddingsError, match="'p0' occurs more than once"):
        concat([table(), table()])


# --- refusals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vectors": np.full((7, 5), np.nan, np.float32)}, "not finite"),
        ({"vectors": np.zeros((6, 5), np.float32)}, "columns differ in length"),
        (
            {"vectors": np.zeros((7, 0), np.float32)},
            r"vectors must have the shape \(places, dimensions\) with 1 to 65536 dimensions",
        ),
        ({"place_id": np.array(["p"] * 7, object)}, "'p' occurs more than once"),
        ({"place_id": np.array([None] * 7, object)}, "row 1 has no place_id"),
        ({"lonlat": np.tile([60.17, 124.9], (7, 1))}, "not on Earth"),
        ({"lonlat": np.tile([np.nan, 1.0], (7, 1))}, "not on Earth"),
    ],
)
def test_what_is_malformed_is_rejected(change: dict[str, Any], message: str) -> None:
    with pytest.raises(EmbeddingsError, match=message):
        replace(table(), **change)


def test_missing_and_foreign_files_are_rejected_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("PAR1 is not enough")
    for name in ("absent.parquet", "text.parquet"):
        with pytest.raises(EmbeddingsError) as caught:
            Embeddings.load(tmp_path / name)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_truncated_file_is_rejected(tmp_path: Path) -> None:
    table(500).save(tmp_path / "e.parquet")
    whole = (tmp_path / "e.parquet").read_bytes()
    (tmp_path / "e.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(EmbeddingsError, match=r"e\.parquet"):
        Embeddings.load(tmp_path / "e.parquet")


def rewrite(
    path: Path, *, columns: dict[str, Any] | None = None, drop: str = "", metadata: Any = None
) -> None:
    """Save a good table, then spoil it with plain pyarrow."""
    table().save(path)
    stored = pq.read_table(path)
    entries = dict(stored.schema.metadata)
    for name, column in (columns or {}).items():
        stored = stored.set_column(stored.column_names.index(name), name, column)
    if drop:
        stored = stored.drop_columns([drop])
    if metadata is not None:
        entries[b"placevec"] = json.dumps(metadata).encode()
    pq.write_table(stored.replace_schema_metadata(entries), path)


FLAT = pa.array(np.arange(35, dtype=np.float32))
GOOD = {"schema_version": 1, "view": "map", "scale": None, "provenance": asdict(PROVENANCE)}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        ({"drop": "embedding"}, "columns are missing: embedding"),
        ({"columns": {"embedding": pa.array([[1.0]] * 7)}}, "must be a fixed-size list"),
        ({"columns": {"embedding": pa.array([None] * 7, pa.list_(pa.float32(), 5))}}, "missing"),
        ({"columns": {"embedding": pa.array([[None] * 5] * 7, pa.list_(pa.float32(), 5))}}, "missing"),
        ({"columns": {"embedding": pa.array([[np.inf] * 5] * 7, pa.list_(pa.float32(), 5))}}, "not finite"),
        ({"columns": {"embedding": pa.array([[1] * 5] * 7, pa.list_(pa.int8(), 5))}}, "int8 scale"),
        ({"columns": {"place_id": pa.array(["same"] * 7)}}, "'same' occurs more than once"),
        ({"columns": {"place_id": pa.array(range(7))}}, "column place_id must be text"),
        ({"columns": {"place_id": pa.array([None] * 7, pa.string())}}, "no place_id"),
        ({"columns": {"lon": pa.array(["east"] * 7)}}, "column lon must be degrees as numbers"),
        ({"columns": {"geometry": pa.array([b"junk"] * 7)}}, "not valid WKB"),
        ({"metadata": "text"}, "no 'placevec' metadata"),
        ({"metadata": {**GOOD, "schema_version": 99}}, "schema 99"),
        ({"metadata": {**GOOD, "scale": -1}}, "got -1"),
        ({"metadata": {**GOOD, "scale": True}}, "got True"),
        ({"metadata": {**GOOD, "view": ["map"]}}, "the metadata has no name for a view"),
        ({"metadata": {**GOOD, "provenance": None}}, "provenance"),
        (
            {"metadata": {**GOOD, "provenance": {"model_hash": 1, "dataset_hash": "b"}}},
            "is not text, or is too long",
        ),
        (
            {"metadata": {**GOOD, "provenance": {"model_hash": "a" * 99_999, "dataset_hash": "b"}}},
            "is not text, or is too long",
        ),
    ],
)
def test_a_spoiled_table_is_rejected_in_one_line(tmp_path: Path, spoil: dict[str, Any], message: str) -> None:
    rewrite(tmp_path / "e.parquet", **spoil)
    with pytest.raises(EmbeddingsError, match=message) as caught:
        Embeddings.load(tmp_path / "e.parquet")
    assert "\n" not in str(caught.value)


def test_unspoiled_rewrite_loads(tmp_path: Path) -> None:
    """Shows that the test above fails for its own reason: the rewriting alone is harmless."""
    rewrite(tmp_path / "e.parquet", metadata=GOOD)
    assert_same(Embeddings.load(tmp_path / "e.parquet"), table())


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_vectors_that_take_more_than_their_file_can_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: Any
) -> None:
    """All alike, in a table that others wrote: refused before there is room for them, also where int8 becomes float32."""
    monkeypatch.setattr(parquet_bounds, "FREE_BYTES", 2**21)
    monkeypatch.setattr(columns, "FREE_BYTES", 2**21)
    emb = replace(table(2, 4096), vectors=np.ones((2, 4096), np.float32))
    emb.save(tmp_path / "small.parquet", dtype=dtype)
    assert len(Embeddings.load(tmp_path / "small.parquet")) == 2
    one = pq.read_table(tmp_path / "small.parquet").slice(0, 1)
    wide = {"float32": 1000, "int8": 400}[dtype]
    held = {name: pa.chunked_array([one[name].combine_chunks()] * wide) for name in one.column_names}
    held["place_id"] = pa.chunked_array([[f"p{row}" for row in range(wide)]])
    pq.write_table(pa.table(held, schema=one.schema), tmp_path / "e.parquet", compression="zstd")
    assert (tmp_path / "e.parquet").stat().st_size < 2**16
    monkeypatch.setattr(columns, "MAX_EXPANSION", 1)
    with pytest.raises(EmbeddingsError, match="would decompress to"):
        Embeddings.load(tmp_path / "e.parquet")


def test_unknown_type_and_overflow_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(EmbeddingsError, match="float64"):
        table().save(tmp_path / "e.parquet", dtype="float64")  # type: ignore[arg-type]
    big = table()
    big.vectors[0, 0] = 1e6
    with pytest.raises(EmbeddingsError, match="float16"):
        big.save(tmp_path / "e.parquet", dtype="float16")
    assert not list(tmp_path.iterdir())
