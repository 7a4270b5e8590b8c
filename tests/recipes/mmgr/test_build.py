"""The recipes MMGR and poi2vec on central Helsinki: real map and points, a few steps.

Oracles: points counted again in local meters, invariants of vectors (what is not there has no influence), and
presets against the published numbers.
"""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
import torch
from rasterio.warp import transform
from safetensors.torch import save_file

from placevec import api, encoders
from placevec.cli import main
from placevec.core import Look, ViewSpec
from placevec.datasets.dataset import Dataset
from placevec.datasets.views.poi_sets import PoiSetsView
from placevec.embeddings import EmbeddingsOfViews
from placevec.errors import DatasetError, InputError, SourceError, UsageError
from placevec.models.category_vectors import read_category_vectors
from placevec.models.model import Model
from placevec.recipes import recipe
from placevec.recipes.images import check_range
from placevec.training.log import read_metrics
from tests.cli.commands import run

QUICK = {"epochs": 1, "steps_per_epoch": 2, "projector": 0}


@pytest.fixture(scope="module")
def cells(helsinki_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The grid of 60 m with points of interest within 120 m, and one cell without any added to none."""
    out = tmp_path_factory.mktemp("mmgr") / "cells"
    shutil.copytree(helsinki_dataset.path, out)
    return api.prepare("mmgr", out=out)


@pytest.fixture(scope="module")
def categories(cells: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("mmgr") / "categories"
    api.train("poi2vec", cells, out=out, **QUICK)
    return out


@pytest.fixture(scope="module")
def trained(cells: Dataset, categories: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("mmgr") / "run"
    api.train("mmgr", cells, out=out, size_px=32, batch_size=16, category_vectors=categories, **QUICK)
    return out


def test_points_of_a_cell(cells: Dataset) -> None:
    """Counted again from the table, in meters of an equirectangular grid at the cell."""
    view = cells.view("pois")
    assert isinstance(view, PoiSetsView)
    assert {"food", "food/cafe", "shops"} < set(view.spec.channels)
    table = pd.read_parquet(cells.path / "pois.parquet")
    table = table[table["group"].notna()]
    row = 200
    lon, lat = cells.lonlat[row]
    away = (
        np.abs((table["lon"] - lon) * 111_412 * np.cos(np.radians(lat))),
        np.abs(table["lat"] - lat) * 111_412,
    )
    expected = table[(away[0] < 60) & (away[1] < 60)]
    found = view.categories[view._around(cells.lonlat[[row]])[1]]
    groups = [view.spec.channels[number].partition("/")[0] for number in found]
    assert abs(len(found) - len(expected)) <= 1  # at the very edge
    assert pd.Series(groups).value_counts().idxmax() == expected["group"].astype(str).value_counts().idxmax()
    assert 0 < int((~view.known).sum()) < len(cells)


def test_adding_points_again_changes_nothing(cells: Dataset) -> None:
    before = (cells.path / "dataset.json").read_bytes()
    api.prepare("mmgr", out=cells.path)
    assert (cells.path / "dataset.json").read_bytes() == before
    with pytest.raises(DatasetError, match="--min-pois was 5 and is 2 now"):
        api.prepare("mmgr", out=cells.path, min_pois=2)


def test_every_place_and_view_has_its_vector(cells: Dataset, trained: Path) -> None:
    table = api.embed(trained, cells)
    assert isinstance(table, EmbeddingsOfViews)
    known = int(cells.view("pois").known.sum())  # type: ignore[attr-defined]
    assert {name: len(table.of(name)) for name in table.views} == {
        "map": len(cells),
        "pois": known,
        "fused": len(cells),
    }
    fused, of_map = table.of("fused"), table.of("map")
    without = ~np.isin(fused.place_id, table.of("pois").place_id)
    first = of_map.vectors / np.linalg.norm(of_map.vectors, axis=1, keepdims=True)
    np.testing.assert_allclose(fused.vectors[without][:, : of_map.dim], first[without], atol=1e-5)
    assert not fused.vectors[without][:, of_map.dim :].any()
    alone = api.embed(trained, cells, views=("pois",))
    np.testing.assert_allclose(alone.of("pois").vectors, table.of("pois").vectors, atol=1e-6)


def test_vectors_of_categories(cells: Dataset, categories: Path, trained: Path, tmp_path: Path) -> None:
    """Of a run and of the same as a table; a category that is not among them gets that of its group."""
    names, vectors = read_category_vectors(categories)
    assert names == cells.spec("pois").channels
    assert vectors.shape == (len(names), 64)
    model = Model.load(trained)
    assert model.recipe["config"]["category_vectors"] == str(categories)
    pd.DataFrame(
        {"category": ["food", "shops"], "a": [1.0, 2.0], "b": [0.5, 3.0], "c": 0.0, "d": 1.0}
    ).to_csv(tmp_path / "few.csv", index=False)
    given = {"category_vectors": tmp_path / "few.csv", "size_px": 32, "batch_size": 16, **QUICK}
    with pytest.raises(InputError, match="add --category-dim 4"):
        api.train("mmgr", cells, out=tmp_path / "run", **given)
    few = api.train("mmgr", cells, out=tmp_path / "run", category_dim=4, train_categories=False, **given)
    table = few.modules["pois"].vectors.weight
    positions = [names.index(name) for name in ("food", "food/cafe")]
    torch.testing.assert_close(table[positions[0]], table[positions[1]])
    assert not few.modules["pois"].vectors.weight.requires_grad


@pytest.mark.parametrize("pooling", ["set2set", "graph"])
def test_other_poolings_train_and_embed(cells: Dataset, pooling: str, tmp_path: Path) -> None:
    model = api.train(
        "mmgr", cells, out=tmp_path / "run", pooling=pooling, objective="founding", size_px=32, batch_size=16,
        drop_categories=("shops", "food/cafe"), validation_share=0.0, **QUICK,
    )  # fmt: skip
    channels = model.specs["pois"].channels
    assert not any(name.partition("/")[0] == "shops" or name == "food/cafe" for name in channels)
    vectors = api.embed(model, cells, views=("pois",)).of("pois").vectors
    assert np.isfinite(vectors).all()
    assert len(np.unique(vectors.round(5), axis=0)) > 50


def test_a_table_of_points(helsinki_dataset: Dataset, tmp_path: Path) -> None:
    """Points without coordinates, without a category, doubled and elsewhere are counted."""
    shutil.copytree(helsinki_dataset.path, tmp_path / "cells")
    lon, lat = helsinki_dataset.lonlat[:6].T
    rows = pd.DataFrame(
        {"lon": lon, "lat": lat, "kind": ["bar", "bar", "café", "café", " ", "bar"], "sector": "food"}
    )
    rows.loc[5, ["lon", "lat"]] = 0.0
    rows = pd.concat([rows, rows.iloc[:1]])
    rows.to_csv(tmp_path / "pois.csv", index=False)
    command = ("prepare", "mmgr", "--pois", tmp_path / "pois.csv", "--group", "sector", "--min-pois", "3")
    code, said = run([*map(str, command), "--out", str(tmp_path / "cells")])
    assert code == 0, said
    for count, what in (
        (1, "without a category"), (1, "outside the area"), (1, "at the same coordinates"),
    ):  # fmt: skip
        assert f"{count} of 7 points of pois.csv are {what}" in said.replace("\n", " "), said
    assert Dataset.open(tmp_path / "cells").spec("pois").channels == ("food", "food/bar")


def test_what_is_refused(helsinki_dataset: Dataset, cells: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="new cells need --places TABLE"):
        api.prepare("mmgr", out=tmp_path / "new")
    with pytest.raises(UsageError, match="they need --pois"):
        api.prepare("mmgr", out=cells.path, category="kind")
    with pytest.raises(UsageError, match=r"--drop-categories: .* has no points of interest"):
        api.train("mmgr", helsinki_dataset, out=tmp_path / "run", drop_categories=("food",))
    with pytest.raises(InputError, match="--drop-categories: there is no 'foot'"):
        api.train("mmgr", cells, out=tmp_path / "run", drop_categories=("foot",))
    with pytest.raises(UsageError, match="--category-dim must be a multiple of 4"):
        api.train("mmgr", cells, out=tmp_path / "run", category_dim=30)
    (tmp_path / "far.csv").write_text("lon,lat,category\n3,4,bar\n")
    shutil.copytree(helsinki_dataset.path, tmp_path / "other")
    with pytest.raises(SourceError, match=r"no point of .*far.csv with a category is in the area"):
        api.prepare("mmgr", out=tmp_path / "other", pois=tmp_path / "far.csv")


@pytest.mark.parametrize("preset", ["default", "founding"])
def test_images_alone(helsinki_dataset: Dataset, preset: str, tmp_path: Path) -> None:
    """Without points of interest, images are contrasted with images: one encoder, one view, no fused vectors."""
    model = api.train(
        "mmgr", helsinki_dataset, out=tmp_path / "run", preset=preset, encoder="compact-tile-cnn", size_px=32,
        batch_size=16, **QUICK,
    )  # fmt: skip
    assert list(model.readings) == ["map"]
    assert model.fuse is None
    assert np.isfinite(api.embed(Model.load(tmp_path / "run"), helsinki_dataset).vectors).all()


def test_the_founding_presets() -> None:
    """Published: mmgr.py's defaults, and Variables.py of the POI embedding."""
    config, training = recipe("mmgr").configure("founding", {})
    told = config.as_json()
    assert (told["encoder"], told["pooling"], told["category_dim"]) == ("resnet-50", "set2set", 64)
    assert (told["batch_size"], told["temperature"], told["projection_dim"]) == (128, 0.5, 128)
    assert (told["intra_weight"], told["inter_weight"], told["poi_weight"]) == (0.5, 0.5, 0.0)
    assert (training["epochs"], training["learning_rate"], training["optimizer"]) == (120, 1e-2, "adam")
    assert (told["crop_share"], told["jitter"], told["gray"]) == (0.2, 0.4, 0.2)
    config, training = recipe("poi2vec").configure("founding", {})
    told = config.as_json()
    assert (told["p"], told["q"], told["across"], told["negatives"]) == (0.5, 0.5, 0.4, 5)
    assert (told["walks"], told["walk_length"], told["hierarchy_weight"], told["dim"]) == (5, 10, 1e-8, 64)


def test_the_founding_system_trains_and_is_loaded_again(cells: Dataset, tmp_path: Path) -> None:
    """Vectors of 2,048 components of the ResNet-50 as it is, and of 128 of Set2Set."""
    options = {"preset": "founding", "batch_size": 4, "size_px": 32, "epochs": 1, "steps_per_epoch": 1}
    model = api.train(
        "mmgr", cells, out=tmp_path / "run", projector=0, max_places=40, save_every=0, **options
    )
    assert model.dims == {"map": 2048, "pois": 128, "fused": 2176}
    assert model.modules["image"].project is None


def test_images_find_the_points_of_their_cell(cells: Dataset, tmp_path: Path) -> None:
    """The contrast of images with points falls well below chance, log 32: pairs are of one cell, and are learned."""
    api.train(
        "mmgr", cells, out=tmp_path / "run", size_px=32, batch_size=32, width=8, dim=32, intra_weight=0.0,
        inter_weight=1.0, poi_weight=0.0, epochs=6, steps_per_epoch=12, learning_rate=3e-3, projector=0,
        augment=False, drop_channels=0.0, keep_share=1.0,
    )  # fmt: skip
    losses = [line["loss/train"] for line in read_metrics(tmp_path / "run")]
    assert losses[0] > 3.0
    assert losses[-1] < 0.8 * math.log(32)


def square(west: float, south: float, side: float = 0.002) -> str:
    east, north = west + side, south + side
    return f"POLYGON(({west} {south}, {east} {south}, {east} {north}, {west} {north}, {west} {south}))"


def test_a_refused_first_command_leaves_nothing(tmp_path: Path) -> None:
    """The next one, with other places, is not told of those of the refused one."""
    (tmp_path / "one.csv").write_text("place_id,lon,lat\na,24.94,60.17\n")
    (tmp_path / "two.csv").write_text("place_id,lon,lat\nb,24.95,60.17\nc,24.951,60.17\n")
    (tmp_path / "far.csv").write_text("lon,lat,category\n3,4,bar\n")
    (tmp_path / "near.csv").write_text("lon,lat,category\n24.9501,60.17,bar\n")
    with pytest.raises(SourceError, match="is in the area"):
        api.prepare("mmgr", out=tmp_path / "d", places=tmp_path / "one.csv", pois=tmp_path / "far.csv")
    assert not (tmp_path / "d").exists()
    with pytest.raises(SourceError, match="has no column 'sort'"):
        api.prepare(
            "mmgr",
            out=tmp_path / "d",
            osm_name="helsinki-center",
            pois=tmp_path / "near.csv",
            category="sort",
        )
    assert not (tmp_path / "d").exists()
    dataset = api.prepare("mmgr", out=tmp_path / "d", places=tmp_path / "two.csv", pois=tmp_path / "near.csv")
    assert len(dataset) == 2


def test_points_within_polygons(tmp_path: Path) -> None:
    """Each square of 0.002 degrees holds the points that its bounds say, one on the edge of two both; a part of a
    polygon counts as the polygon.
    """
    (tmp_path / "tracts.csv").write_text(
        f'place_id;geometry\na;"{square(24.940, 60.170)}"\nb;"{square(24.942, 60.170)}"\n'
        f'c;"MULTI{square(24.950, 60.170).replace("((", "(((").replace("))", ")))")}"\n'
    )
    rows = [
        (24.9401, 60.1701),
        (24.9419, 60.1719),
        (24.942, 60.171),
        (24.9439, 60.1701),
        (24.9519, 60.1701),
        (24.946, 60.171),
    ]
    (tmp_path / "pois.csv").write_text("lon,lat,kind\n" + "".join(f"{lon},{lat},bar\n" for lon, lat in rows))
    dataset = api.prepare(
        "mmgr", out=tmp_path / "d", places=tmp_path / "tracts.csv", pois=tmp_path / "pois.csv"
    )
    view = dataset.view("pois")
    sets = view.read(Look(torch.arange(3), torch.from_numpy(dataset.lonlat)))
    assert sets.offsets.diff().tolist() == [3, 2, 1]  # type: ignore[union-attr]
    assert view.category_counts(np.array([2, 0]), dataset.lonlat[[2, 0]]).sum(axis=1).tolist() == [1, 3]  # type: ignore[attr-defined]
    code, said = run(["info", str(dataset.path)])
    assert code == 0
    assert "places with points  3" in said


class Numbers:
    """Chips of given numbers."""

    def __init__(self, values: torch.Tensor) -> None:
        self.values, self.spec = values, ViewSpec("aerial", "chips", ("red",), "uint16 as stored", size_px=4)

    def read(self, look: Look) -> torch.Tensor:
        return self.values[look.rows]


def test_numbers_that_the_encoder_would_cut_off_are_refused() -> None:
    """Twice white and more, or below zero, in more than a twentieth of the pixels; NaN is no number."""
    good = torch.linspace(0.0, 20_000.0, 1600).view(100, 1, 4, 4)
    check_range(Numbers(good), np.arange(100), 10_000.0)
    good[:, :, 0] = float("nan")
    check_range(Numbers(good), np.arange(100), 10_000.0)
    with pytest.raises(
        InputError, match=r"are outside the range that the encoder reads, 0 to 510: .* --full-scale"
    ):
        check_range(Numbers(good), np.arange(100), 255.0)
    with pytest.raises(InputError, match=r"nearly all are -1[\d.]+ to -"):
        check_range(Numbers(-good), np.arange(100), 10_000.0)


def test_images_start_from_weights_of_others(cells: Dataset, tmp_path: Path) -> None:
    """A ResNet of colors on the layers of the map: all filters, each layer from the mean of the colors."""
    source = encoders.build("resnet-18", bands=("red", "green", "blue"), dim=None)
    save_file(source.state_dict(), tmp_path / "weights.safetensors")
    config, training = recipe("mmgr").configure(
        "default",
        {"encoder": "resnet-18", "init": str(tmp_path / "weights.safetensors"), "size_px": 32, "dim": 512},
    )
    built = recipe("mmgr").built(cells, config, training)
    image = built.recipe.encoders["image"]
    torch.testing.assert_close(
        image.state_dict()["layer4.1.conv2.weight"], source.state_dict()["layer4.1.conv2.weight"]
    )
    assert any("weights used; bands: natural-features from the mean of all" in note for note in built.notes)
    with pytest.raises(UsageError, match="which is missing"):
        recipe("mmgr").configure("default", {"init_bands": ("red",)})


def placevec(*words: object) -> int:
    return main([str(word) for word in words])


@pytest.mark.usefixtures("small_probes")
def test_shares_of_cells_evaluated_and_mapped(
    cells: Dataset, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the command line, with a real label: how much of a cell lies in the east and how much in the north.

    Shares that sum to something else are refused with their row. Of the maps: a labeled cell's pixel holds what the
    table says, and predictions on blocks that were not seen are better than the mean.
    """
    random = np.random.default_rng(0)
    rows = np.sort(random.permutation(len(cells))[:160])
    place = (cells.lonlat - cells.lonlat.min(axis=0)) / np.ptp(cells.lonlat, axis=0)
    weight = np.concatenate([place, np.full((len(cells), 1), 0.3)], axis=1)
    shares = weight / weight.sum(axis=1, keepdims=True)
    frame = pd.DataFrame(shares[rows], columns=["east", "north", "rest"])
    frame.insert(0, "place_id", cells.place_ids[rows])
    frame.loc[5, "north"] = np.nan
    frame.to_csv(tmp_path / "shares.csv", index=False)
    frame.assign(rest=0.9).dropna().to_csv(tmp_path / "wrong.csv", index=False)
    quick = ("--columns", "east,north,rest", "--kind", "distribution", "--budget", "quick", "-q")
    assert placevec("evaluate", trained, "--labels", tmp_path / "wrong.csv", *quick) == 1
    assert "row 1: shares must be 0 or more and sum to 1 (or 100)" in capsys.readouterr().err
    code = placevec(
        "evaluate", trained, "--labels", tmp_path / "shares.csv", "--tasks", "landuse", "--allow-leaks", "--schemes",
        "blocks,random", "--seeds", 1, "--folds", 2, "--out", tmp_path / "report",
        *quick,
    )  # fmt: skip
    assert code == 0, capsys.readouterr().err
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    found = {one["task"]: one for one in report["tasks"]}["shares"]
    expected = {"untrained encoder", "coordinates", "map only", "pois only", "vectors", "chance", "counts"}
    for one in (found, found["random"]):
        assert expected < {row["name"] for row in one["rows"]}
    assert set(found["rows"][0]["further"]) == {"Jensen-Shannon", "KL", "Chebyshev", "Canberra", "cosine"}
    assert "1 of 160 places in the table lack a value in a column" in found["notes"]
    assert "random folds" in (tmp_path / "report" / "report.md").read_text()
    assert (
        placevec("predict", trained, "--labels", tmp_path / "shares.csv", "--out", tmp_path / "maps", *quick)
        == 0
    )
    table = pd.read_parquet(tmp_path / "maps" / "predictions.parquet").set_index("place_id")
    assert (len(table), int(table["labeled"].sum())) == (len(cells), 159)
    np.testing.assert_allclose(table.filter(regex="^prediction: ").sum(axis=1), 1.0, atol=1e-9)
    known = table[table["labeled"]]
    errors = {
        name: (known[f"{name}: east"] - known["label: east"]).abs().mean()
        for name in ("prediction", "held-out")
    }
    assert errors["prediction"] < (known["label: east"] - known["label: east"].mean()).abs().mean()
    assert table["held-out: east"].notna().sum() == 159
    with rasterio.open(tmp_path / "maps" / "predictions.tif") as file:
        assert file.descriptions == ("east", "north", "rest", "spread", "labeled")
        x, y = transform("EPSG:4326", file.crs, known["lon"].to_list(), known["lat"].to_list())
        seen = np.array(list(file.sample(zip(x, y, strict=True))))
    np.testing.assert_allclose(seen[:, 0], known["prediction: east"], atol=1e-6)
    assert (seen[:, 4] == 1).all()
    assert "OpenStreetMap" in (tmp_path / "maps" / "predictions.html").read_text()
