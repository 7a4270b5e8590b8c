"""Published embeddings as a table: imported, searched, explored and evaluated."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import placevec as pv
from placevec.api.evaluating import _models_and_tables
from placevec.cli import main
from placevec.datasets.dataset import Dataset
from placevec.embeddings import concat
from placevec.errors import PlacevecError
from tests.sources.published import files
from tests.sources.published.test_tables import earth_index


@pytest.fixture(scope="module")
def raster(helsinki_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """AlphaEarth over the dataset, bottom-up."""
    x, y = files.TO_UTM.transform(*helsinki_dataset.lonlat.T)
    west, south = (np.floor(min(one) / 10) * 10 - 100 for one in (x, y))
    width, height = (int((max(one) - low) / 10 + 12) for one, low in ((x, west), (y, south)))
    path = tmp_path_factory.mktemp("published") / "2024" / "35N" / "a.tiff"
    files.alphaearth(path, height, width, west=west, south=south)
    return path


@pytest.fixture(scope="module")
def imported(raster: Path, helsinki_dataset: Dataset) -> Path:
    out = raster.parent / "alphaearth.parquet"
    pv.import_vectors(raster, dataset=helsinki_dataset, out=out)
    return out


def test_a_table_like_any_other(
    imported: Path, helsinki_dataset: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pixels of a footprint of 120 m are averaged. Oracle of the search: the nearest by numpy."""
    table = pv.load_embeddings(imported)
    assert isinstance(table, pv.Embeddings)
    made = table.provenance
    assert (table.view, table.dim, len(table)) == ("alphaearth", 64, len(helsinki_dataset))
    assert (made.source, made.version, made.license) == (
        "AlphaEarth Foundations Satellite Embedding", "v1 2024", "CC-BY-4.0"
    )  # fmt: skip
    assert "produced by Google and Google DeepMind. " in made.attribution
    np.testing.assert_allclose(np.linalg.norm(table.vectors, axis=1), 1, atol=1e-6)
    found = pv.similar(table, place=table.place_id[3], k=4)
    order = np.argsort(-(table.vectors @ table.vectors[3]))
    assert found["place_id"].tolist() == table.place_id[order[1:5]].tolist()
    assert main(["info", str(imported), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["source"], told["version"], told["license"]) == (made.source, made.version, made.license)


def test_what_evaluate_takes_beside_vectors(
    imported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files are tables and folders models; the rows themselves are tested where they are made."""
    monkeypatch.setattr("placevec.api.evaluating.model_of", lambda given: given)
    models, tables = _models_and_tables(["base", imported])
    assert list(models) == ["model base"]
    assert list(tables) == ["AlphaEarth Foundations Satellite Embedding (alphaearth.parquet)"]
    table = pv.load_embeddings(imported)
    assert isinstance(table, pv.Embeddings)
    models, tables = _models_and_tables({"theirs": table, "the base": "base"})
    assert (list(models), list(tables)) == (["the base"], ["theirs"])
    lonlat = table.lonlat[::50]
    (tmp_path / "points.csv").write_text(
        "lon,lat\n" + "".join(f"{lon:.7f},{lat:.7f}\n" for lon, lat in lonlat)
    )
    other = tmp_path / "other.parquet"
    pv.import_vectors(imported.with_name("a.tiff"), places=tmp_path / "points.csv", out=other, size_m=60)
    with pytest.raises(
        PlacevecError, match=r"these published vectors belong to no dataset.*import-vectors --dataset"
    ):
        pv.evaluate(other)


def test_the_command_on_a_grid_and_on_a_table(
    raster: Path, tmp_path: Path, helsinki_dataset: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    lon, lat = helsinki_dataset.lonlat.mean(axis=0)
    box = f"--bbox={lon - 0.002},{lat - 0.001},{lon + 0.002},{lat + 0.001}"
    out = tmp_path / "grid.parquet"
    assert main(["import-vectors", str(raster), box, "--spacing", "50", "-o", str(out)]) == 0
    told = capsys.readouterr()
    assert "AlphaEarth Foundations Satellite Embedding, v1 2024; license: CC-BY-4.0" in told.out
    assert len(pv.load_embeddings(out)) == 16
    held = earth_index(tmp_path / "35VLG_2024-01-01_2025-01-01.parquet")
    out = tmp_path / "index.parquet"
    assert (
        main(
            [
                "import-vectors",
                str(tmp_path / "35VLG_2024-01-01_2025-01-01.parquet"),
                "-o",
                str(out),
                "--json",
            ]
        )
        == 0
    )
    assert json.loads(capsys.readouterr().out)["count"] == 4
    table = pv.load_embeddings(out)
    assert isinstance(table, pv.Embeddings)
    assert table.provenance.version == "unknown 2024"
    np.testing.assert_array_equal(table.vectors, np.array(held, np.float32))
    with pytest.raises(PlacevecError, match="model"):
        concat([table, pv.load_embeddings(tmp_path / "grid.parquet").of()])


def test_rows_of_a_table_go_to_the_places_in_their_cells(tmp_path: Path) -> None:
    held = earth_index(tmp_path / "a.parquet")
    places = tmp_path / "places.csv"
    places.write_text(
        "id,lon,lat,name\nx,24.9012,60.1011,Kauppatori\ny,24.9312,60.104,\nz,24.9001,60.1049,\n"
    )
    table = pv.import_vectors(tmp_path / "a.parquet", places=places, out=tmp_path / "b.parquet")
    np.testing.assert_array_equal(table.vectors, np.array(held, np.float32)[[0, 3, 0]])
    assert (table.place_id.tolist(), table.names.tolist()) == (["x", "y", "z"], ["Kauppatori", None, None])


def test_the_year_of_files_that_state_none(raster: Path, tmp_path: Path, helsinki_dataset: Dataset) -> None:
    shutil.copy(raster, tmp_path / "a.tiff")
    earth_index(tmp_path / "a.parquet")
    more = {"dataset": helsinki_dataset, "year": 2021}
    for file, given in (("a.tiff", more), ("a.parquet", {"year": 2021})):
        table = pv.import_vectors(tmp_path / file, out=tmp_path / "b.parquet", **given)
        assert table.provenance.version.endswith(" 2021")


def far_away(folder: Path) -> dict[str, Any]:
    files.alphaearth(folder / "a.tiff")
    (folder / "p.csv").write_text("lon,lat\n9,50\n10,50\n11,50\n")
    return {"files": folder / "a.tiff", "places": folder / "p.csv"}


def other_year(folder: Path) -> dict[str, Any]:
    files.alphaearth(folder / "2024" / "a.tiff")
    return {"files": folder / "2024" / "a.tiff", "places": far_away(folder)["places"], "year": 2023}


def no_places(folder: Path) -> dict[str, Any]:
    files.alphaearth(folder / "a.tiff")
    return {"files": [folder / "a.tiff"]}


def both_kinds(folder: Path) -> dict[str, Any]:
    return {"files": [folder / "a.tiff", folder / "a.parquet"]}


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (far_away, "a.tiff: 3 of 3 places are outside the rasters. Give the files for their area"),
        (other_year, "a.tiff is from 2024, not from 2023"),
        (no_places, "a raster has a vector every few meters: choose the places"),
        (both_kinds, "rasters and tables are different products"),
        (lambda folder: {"files": folder / "a.parquet", "spacing": 10.0}, "apply to rasters"),
        (lambda folder: {"files": folder / "a.tiff", "crs": "EPSG:3067"}, "apply to tables"),
        (lambda folder: {"files": folder / "a.tiff", "out": folder / "a.csv"}, "must end in .parquet"),
        (lambda folder: {"files": folder / "a.tiff", "bbox": (24, 60, 24.1, 60.1), "spacing": 1e6}, "smaller --spacing"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused_in_a_line(tmp_path: Path, made: Any, said: str) -> None:
    with pytest.raises(PlacevecError, match=said):
        pv.import_vectors(**{"out": tmp_path / "out.parquet", **made(tmp_path)})
    assert not (tmp_path / "out.parquet").exists()
