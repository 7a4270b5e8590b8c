from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from placevec.embeddings import Provenance
from placevec.errors import InputError
from placevec.explorer import Drawn, page_of
from tests.explorer.conftest import PLACES, Written
from tests.explorer.writers import write_page


def block(path: Path, name: str) -> Any:
    found = re.search(f'id="placevec-{name}">(.*?)</script>', path.read_text("utf-8"), re.DOTALL)
    assert found
    return json.loads(found[1])


def test_report(written: Written) -> None:
    report = written.report
    assert report.size_bytes == report.path.stat().st_size > sum(report.parts.values())
    assert report.size_bytes < 1_500_000
    assert (report.places_drawn, report.places_total) == (PLACES, PLACES)
    assert report.map_drawn
    assert report.preview_px is not None
    assert report.preview_px > 100
    assert report.vector_bits == 16
    assert sum(report.explained) <= 1.0


def test_nothing_temporary_is_left(written: Written) -> None:
    assert [path.name for path in written.report.path.parent.glob(".tmp*")] == []


def test_sample_is_seeded_and_its_columns_follow(written: Written, tmp_path: Path) -> None:
    def drawn(seed: int, columns: pd.DataFrame) -> tuple[list[str], list[dict[str, Any]]]:
        write_page(written.emb, tmp_path / "page.html", columns=columns, max_places=50, seed=seed)
        places = block(tmp_path / "page.html", "places")
        return places["id"], places["colorings"]

    by_order = drawn(1, written.columns)
    assert by_order == drawn(
        1, written.columns.assign(place_id=written.emb.place_id).sample(frac=1, random_state=2)
    )
    assert len(set(by_order[0])) == 50
    assert by_order[0] != drawn(2, written.columns)[0]
    rows = [list(written.emb.place_id).index(one) for one in by_order[0]]
    counts = written.columns["land use"].iloc[rows].value_counts()
    kinds = next(one for one in by_order[1] if one["label"] == "land use")["categories"]
    assert {one["label"]: one["count"] for one in kinds} == counts.to_dict()


def test_the_same_input_gives_the_same_page(written: Written, tmp_path: Path) -> None:
    for name in ("a.html", "b.html"):
        write_page(written.emb[:100], tmp_path / name, dataset=written.dataset)  # type: ignore[arg-type]
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_title_and_attribution(written: Written, tmp_path: Path) -> None:
    bare = replace(written.emb[:10], provenance=Provenance("a", "b"))
    write_page(bare, tmp_path / "page.html", title="<i>Mine</i>")
    text = (tmp_path / "page.html").read_text("utf-8")
    assert "<title>&lt;i&gt;Mine&lt;/i&gt;</title>" in text
    assert "© OpenStreetMap contributors, ODbL" in text
    assert f"<title>{written.dataset.name}</title>" in written.report.path.read_text("utf-8")


def test_long_and_missing_names(written: Written, tmp_path: Path) -> None:
    names = written.emb.names[:3].copy()
    names[:] = ["x" * 100_000, None, "ok"]
    write_page(replace(written.emb[:3], names=names), tmp_path / "page.html")
    drawn = block(tmp_path / "page.html", "places")["name"]
    assert (len(drawn[0]), drawn[1:]) == (500, [None, "ok"])


@pytest.mark.parametrize("count", [1, 2, 3])
def test_very_few_places(written: Written, tmp_path: Path, count: int) -> None:
    report = write_page(written.emb[:count], tmp_path / "page.html", dataset=written.dataset)  # type: ignore[arg-type]
    assert report.places_drawn == count


def test_equal_vectors(written: Written, tmp_path: Path) -> None:
    """One cluster, one point in every projection, and nothing that is not a number."""
    equal = replace(written.emb[:12], vectors=np.ones((12, 4)))
    report = page_of(Drawn.of(equal), tmp_path / "page.html", methods=("pca", "tsne"))
    assert report.projections == ("pca", "tsne")
    spaces = block(tmp_path / "page.html", "places")["panels"][0]["spaces"]
    for space in spaces:
        assert np.isfinite(np.frombuffer(base64.b64decode(space["values"]), "<f4")).all()


def test_projections_need_places(written: Written, tmp_path: Path) -> None:
    """t-SNE of three places is left out; PCA is there always."""
    report = page_of(Drawn.of(written.emb[:3]), tmp_path / "page.html", methods=("tsne",))
    assert report.projections == ("pca",)


def test_a_dataset_without_a_map_gives_points_only(written: Written, tmp_path: Path) -> None:
    empty = replace(written.dataset, path=tmp_path)
    report = write_page(written.emb[:10], tmp_path / "page.html", dataset=empty)  # type: ignore[arg-type]
    assert not report.map_drawn
    assert report.preview_px is None


def test_what_cannot_be_drawn(written: Written, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the table of embeddings is empty"):
        write_page(written.emb[:0], tmp_path / "page.html")
    with pytest.raises(InputError, match="max_places must be at least 1"):
        write_page(written.emb, tmp_path / "page.html", max_places=0)
    with pytest.raises(InputError, match="7 rows for 900 places, and no column place_id"):
        write_page(written.emb, tmp_path / "page.html", columns=pd.DataFrame({"a": range(7)}))
    assert not (tmp_path / "page.html").exists()


def test_positions_survive_the_round_trip(written: Written) -> None:
    places = block(written.report.path, "places")
    lon = np.frombuffer(base64.b64decode(places["lon"]), "<f8")
    np.testing.assert_array_equal(lon, written.emb.lonlat[:, 0])
    assert places["id"] == list(written.emb.place_id)
