"""Clusters of a real table: as many as are of use, named by their middle and by what the map shows there."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from placevec import api
from placevec.datasets.dataset import Dataset
from placevec.datasets.views.raster.coverage import Coverage
from placevec.embeddings import Embeddings, Provenance
from placevec.errors import PlacevecError


def test_named_by_what_the_dataset_shows(
    helsinki_table: Path, helsinki_dataset: Dataset, tmp_path: Path
) -> None:
    """Oracle: shares of the layers under each place, averaged here again."""
    found = api.cluster(helsinki_table, out=tmp_path / "c.parquet")
    assert 2 <= len(found) <= 20
    assert len(found.holds) == len(found)
    assert pd.Series(found.names).is_unique
    known = helsinki_dataset.places["place_id"].tolist()
    rows = np.array([known.index(place) for place in found.emb.place_id])
    layers = list(helsinki_dataset.spec("map").channels)
    coverage = Coverage(helsinki_dataset.path / "map_coverage.tif")
    shares = coverage.fractions(helsinki_dataset.footprints()[rows], helsinki_dataset.zoom)
    for number, holds in enumerate(found.holds):
        for one in holds.split(", ") if holds != "as elsewhere" else []:
            layer, share = one.rstrip("%").rsplit(" ", 1)
            column = shares[:, layers.index(layer)]
            inside = column[found.label == number].mean()
            assert 100 * inside == pytest.approx(float(share), abs=0.51)
            assert inside >= 1.25 * column.mean()
    written = pd.read_parquet(tmp_path / "c.parquet")
    assert written["cluster_name"].tolist() == [found.names[one] for one in found.label]


def test_without_the_dataset_the_middle_alone_names_them(helsinki_table: Path, tmp_path: Path) -> None:
    table = api.load_embeddings(helsinki_table)
    table.provenance = type(table.provenance)(
        **{**vars(table.provenance), "dataset_path": str(tmp_path / "gone")}
    )
    found = api.cluster(table, clusters=4)
    assert found.holds == ()
    assert not any(": " in name for name in found.names)


def test_a_map_of_colors_names_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "tiles"
    folder.mkdir()
    random = np.random.default_rng(0)
    for x in range(4):
        small = Image.fromarray(random.integers(0, 255, (4, 4, 3), np.uint8))
        small.resize((256, 256)).save(folder / f"tile_17_{70_770 + x}_51420.png")
    ds = api.prepare("loc2vec", tile_folder=folder, out=tmp_path / "data")
    nothing = np.full(4, None, object)
    emb = Embeddings(
        ds.places["place_id"].to_numpy(object), random.normal(size=(4, 3)), ds.lonlat, nothing, nothing, "map",
        Provenance("m", ds.hash, dataset_path=str(ds.path)),
    )  # fmt: skip
    assert api.cluster(emb, clusters=2).holds == ()
    with pytest.raises(PlacevecError, match="a different dataset"):
        api.cluster(dataclasses.replace(emb, provenance=Provenance("m", "other")), clusters=2, dataset=ds)
