"""Folders of the original MMGR. Oracle: the tensors themselves, which categories and their vectors must give back."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from placevec import api
from placevec.core import Look
from placevec.datasets.dataset import Dataset
from placevec.errors import PlacevecError, SourceError
from placevec.models.category_vectors import read_category_vectors
from tests.cli.commands import run

CELLS = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve cells; the third has no points, the fourth no image, the fifth no edges."""
    base, random = tmp_path_factory.mktemp("founding"), np.random.default_rng(0)
    table = torch.randn(6, 8, generator=torch.Generator().manual_seed(0))
    for kind in ("img", "emb", "edge"):
        (base / f"sub_shanghai_{kind}").mkdir()
    for cell in range(CELLS):
        if cell != 3:
            pixels = random.integers(0, 255, (40, 40, 3), np.uint8)
            ending = "png" if cell % 2 else "jpg"
            Image.fromarray(pixels).save(base / "sub_shanghai_img" / f"{cell}.{ending}")
        if cell != 2:
            count = 3 + cell % 4
            torch.save(table[random.integers(0, 6, count)], base / "sub_shanghai_emb" / f"{cell}.tensor")
            if cell != 4:
                pairs = torch.tensor([[0, 1], [1, 2]])
                torch.save(pairs, base / "sub_shanghai_edge" / f"{cell}.tensor")
    return base


@pytest.fixture(scope="module")
def dataset(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return api.prepare("mmgr", out=tmp_path_factory.mktemp("chips") / "dataset", chip_folder=folder)


def test_points_give_back_their_tensors(folder: Path, dataset: Dataset) -> None:
    names, vectors = read_category_vectors(dataset.path / "category_vectors.parquet")
    assert names == dataset.spec("pois").channels
    view = dataset.view("pois").window(edges=True)  # type: ignore[attr-defined]
    found = view.read(Look(torch.arange(CELLS)))
    assert found.edges is not None
    for row, name in enumerate(dataset.place_ids):
        first, last = found.offsets[row : row + 2].tolist()
        if name == "2":
            assert first == last
            continue
        stored = torch.load(folder / "sub_shanghai_emb" / f"{name}.tensor", weights_only=True)
        torch.testing.assert_close(torch.from_numpy(vectors)[found.values[first:last, 0].long()], stored)
        own = found.edges[:, (found.edges[0] >= first) & (found.edges[0] < last)] - first
        wanted = [] if name == "4" else [[0, 1], [1, 0], [1, 2], [2, 1]]
        assert sorted(own.T.tolist()) == wanted
    assert not found.values[:, 1:].any()


def test_images_and_what_is_missing(folder: Path, dataset: Dataset) -> None:
    aerial, pois = dataset.view("aerial"), dataset.view("pois")
    missing = [np.asarray(dataset.place_ids)[~view.known].tolist() for view in (aerial, pois)]  # type: ignore[attr-defined]
    assert missing == [["3"], ["2"]]
    row = dataset.place_ids.tolist().index("1")
    pixels = aerial.read(Look(torch.tensor([row])))[0].permute(1, 2, 0)  # type: ignore[index]
    with Image.open(folder / "sub_shanghai_img" / "1.png") as image:
        np.testing.assert_array_equal(pixels, np.asarray(image))
    assert api.prepare("mmgr", out=dataset.path, chip_folder=folder).hash == dataset.hash


def test_a_part_of_a_set_keeps_the_edges_within_it(dataset: Dataset) -> None:
    """Kept points are a subset, the same for the same seed; every edge has both ends in its set."""
    view = dataset.view("pois").window(edges=True)  # type: ignore[attr-defined]
    warp = {"keep_share": torch.full((CELLS,), 0.5), "seed": torch.arange(CELLS)}
    look = Look(torch.arange(CELLS), None, warp)
    part, again = view.read(look), view.read(look)
    whole = view.read(Look(torch.arange(CELLS)))
    assert part.values.equal(again.values)
    assert len(whole.values) > len(part.values) >= CELLS - 1
    place = torch.repeat_interleave(torch.arange(CELLS), part.offsets.diff())
    assert part.edges is not None
    assert place[part.edges[0]].equal(place[part.edges[1]])
    for row in range(CELLS):
        few, all_ = (one.values[one.offsets[row] : one.offsets[row + 1], 0].tolist() for one in (part, whole))
        assert not [value for value in few if few.count(value) > all_.count(value)]


def test_it_trains_and_embeds_from_the_command_line(dataset: Dataset, tmp_path: Path) -> None:
    """With the vectors of the folder, unchanged, as the original; a projector has no place to show."""
    code, said = run([
        "train", "mmgr", str(dataset.path), "--out", str(tmp_path / "run"), "--encoder", "spectral-cnn", "--width", "8",
        "--pooling", "set2set", "--category-dim", "8", "--no-train-categories", "--epochs", "1", "--batch-size", "4",
        "--category-vectors", str(dataset.path / "category_vectors.parquet"),
    ])  # fmt: skip
    assert code == 0, said
    vectors = api.embed(tmp_path / "run", dataset)
    assert {name: len(vectors.of(name)) for name in vectors.views} == {"aerial": 11, "pois": 11, "fused": 12}  # type: ignore[union-attr]
    code, said = run(["info", str(dataset.path)])
    assert code == 0
    assert "points of interest" in said


class _Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("opened",))


def test_what_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="has no cells: expected NAME_img"):
        api.prepare("mmgr", out=tmp_path / "d", chip_folder=tmp_path / "empty")
    (tmp_path / "bad" / "x_emb").mkdir(parents=True)
    for content, problem in (
        (_Trap(), "code or objects besides weights"), (torch.zeros(3), "two-dimensional"),
        (torch.full((2, 2), float("nan")), "finite numbers"), (torch.zeros(0, 4), "no cell has a point"),
    ):  # fmt: skip
        torch.save(content, tmp_path / "bad" / "x_emb" / "1.tensor", pickle_module=pickle)
        with pytest.raises(PlacevecError, match=problem):
            api.prepare("mmgr", out=tmp_path / "d", chip_folder=tmp_path / "bad")
        assert not (tmp_path / "d").exists()
    with pytest.raises(PlacevecError, match="has its own cells, images and points"):
        api.prepare("mmgr", out=tmp_path / "d", chip_folder=folder, pois=tmp_path / "pois.csv")
