"""Ready features: what was written is what is read, whatever the order; statistics of chips by numpy and by hand."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from placevec.core import ROW_MISSING, ROW_SYNTHETIC, Look, ViewSpec
from placevec.datasets.views import features
from placevec.datasets.views.features import FeaturesView, write_features
from placevec.errors import DatasetError, InputError
from placevec.preparation.chips.statistics import chip_features, feature_names, scale_of

SPEC = ViewSpec("image_features", "features")
NUMBERS = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
PLACES = ["a", "b", "c", "d", "e", "without"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Rows lie in another order than the places."""
    write_features(tmp_path, "image_features", ["e", "a", "d", "b", "c"], [NUMBERS[:2], NUMBERS[2:]])
    return tmp_path


@pytest.mark.parametrize("memory", [2**30, 0])
def test_features_come_back_by_place(folder: Path, memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Oracle: the arrays that were written; held in memory or not."""
    monkeypatch.setattr(features, "IN_MEMORY", memory)
    view = FeaturesView(folder, SPEC, PLACES)
    assert (view.dim, len(view), view.known.tolist()) == (3, 6, [True] * 5 + [False])
    found = view.read(Look(torch.tensor([4, 0, ROW_MISSING, 5, 1])))
    none = np.zeros(3, np.float32)
    assert np.array_equal(found.numpy(), np.stack([NUMBERS[0], NUMBERS[1], none, none, NUMBERS[3]]))
    for row in (6, ROW_SYNTHETIC):
        with pytest.raises(InputError, match=str(row)):
            view.read(Look(torch.tensor([row])))


def test_moments(folder: Path) -> None:
    """Oracle: numpy's mean and deviation, far from zero too; a place without features does not count."""
    mean, deviation = FeaturesView(folder, SPEC, PLACES).moments(np.array([0, 1, 2, 5]))
    part = NUMBERS[[1, 3, 4]]
    assert mean.tolist() == pytest.approx(part.mean(0), rel=1e-5)
    assert deviation.tolist() == pytest.approx(part.std(0), rel=1e-5)
    far = np.stack([np.arange(4) * 0.5 + 30_000, np.full(4, 7.25)], 1)
    write_features(folder, "far", PLACES[:4], [far])
    mean, deviation = FeaturesView(folder, ViewSpec("far", "features"), PLACES).moments(np.arange(4))
    assert mean.tolist() == pytest.approx([30_000.75, 7.25])
    assert deviation.tolist() == pytest.approx([np.arange(4).std() / 2, 1.0])
    with pytest.raises(InputError, match="none of these places"):
        FeaturesView(folder, SPEC, PLACES).moments(np.array([5]))


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([NUMBERS[:4]], "features for . places, but the dataset has 5"),
        ([NUMBERS, NUMBERS], "after 5 rows"),
        ([NUMBERS[:2], NUMBERS[:3, :2]], r"\(3, 2\)"),
        ([NUMBERS[0]], r"\(3,\)"),
        ([np.where(NUMBERS[2, 1] == NUMBERS, np.nan, NUMBERS)], "place 'c' are not finite"),
        ([NUMBERS.astype(np.float64) * 1e300], "not finite"),
        ([], "features for . places, but the dataset has 5"),
        ([np.zeros((5, 70_000))], "65,536"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_what_is_not_written(tmp_path: Path, parts: list[Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        write_features(tmp_path, "image_features", PLACES[:5], parts)
    assert not list(tmp_path.rglob("*.npy"))


def test_names_of_views(tmp_path: Path) -> None:
    for name in ("../up", "A", "", "a/b", "a" * 65):
        with pytest.raises(
            InputError, match="a view name must consist of lowercase letters, digits, _ and -"
        ):
            write_features(tmp_path, name, PLACES[:5], [NUMBERS])


class Trap:
    """Would show in the test's folder that it was unpickled."""

    def __reduce__(self) -> Any:
        return (Path.touch, (Path("sprung"),))


def test_files_that_lie(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    numbers, names = folder / "features/image_features.npy", folder / "features/image_features.parquet"
    whole, rows = numbers.read_bytes(), names.read_bytes()
    for ids in (
        ["x", "a", "d", "b", "c"],
        ["a", "a", "d", "b", "c"],
        ["a", None, "d", "b", "c"],
        ["a"],
        [1] * 5,
    ):
        pq.write_table(pa.table({"place_id": ids}), names)
        with pytest.raises(DatasetError, match=r"image_features\.parquet"):
            FeaturesView(folder, SPEC, PLACES)
    names.write_bytes(rows)
    np.save(numbers, np.array([[Trap()]], object), allow_pickle=True)
    broken = [numbers.read_bytes(), pickle.dumps(Trap()), whole[:-4], b"", b"text"]
    for array in (NUMBERS.astype(np.float64), NUMBERS[0], NUMBERS[:, :0]):
        np.save(numbers, array)
        broken.append(numbers.read_bytes())
    for content in broken:
        numbers.write_bytes(content)
        with pytest.raises(DatasetError, match=r"image_features\.npy"):
            FeaturesView(folder, SPEC, PLACES)
    numbers.unlink()
    with pytest.raises(DatasetError, match="prepare the dataset again"):
        FeaturesView(folder, SPEC, PLACES)
    numbers.write_bytes(whole)
    with pytest.raises(DatasetError, match="lists 2"):
        FeaturesView(folder, ViewSpec("image_features", "features", ("one", "two")), PLACES)
    assert not (folder / "sprung").exists()


def test_statistics_of_chips() -> None:
    """Oracle: numpy, band by band, and the indices and differences written out."""
    bands = ("B03", "B04", "B08", "B11", "B8A")
    chips = np.random.default_rng(1).integers(1, 10_000, (2, 5, 6, 7))
    found = chip_features(torch.from_numpy(chips), bands, 1e-4).numpy()
    names = feature_names(bands)
    assert found.shape == (2, len(names))
    told = dict(zip(names, found[1], strict=True))
    own = chips[1] * 1e-4
    for at, band in enumerate(bands):
        assert told[f"{band} mean"] == pytest.approx(own[at].mean(), rel=1e-5)
        assert told[f"{band} deviation"] == pytest.approx(own[at].std(), rel=1e-5)
        for share in (10, 50, 90):
            assert told[f"{band} p{share}"] == pytest.approx(np.percentile(own[at], share), rel=1e-5)
    for name, a, b in (("NDVI", 2, 1), ("NDWI", 0, 2), ("NDBI", 3, 2), ("NDMI", 4, 3)):
        index = (own[a] - own[b]) / (own[a] + own[b])
        assert told[f"{name} mean"] == pytest.approx(index.mean(), rel=1e-4, abs=1e-6)
        assert told[f"{name} deviation"] == pytest.approx(index.std(), rel=1e-4)
    assert "NBR mean" not in names  # without B12
    gray = own.mean(0)
    steps = np.concatenate([np.abs(np.diff(gray, axis=axis)).ravel() for axis in (0, 1)])
    assert told["texture"] == pytest.approx(steps.mean(), rel=1e-5)


def test_black_and_tiny_chips_are_finite() -> None:
    """Oracle: closed form: nothing reflects and nothing varies."""
    for shape in ((1, 2, 4, 4), (1, 2, 1, 1), (1, 2, 1, 3)):
        assert chip_features(torch.zeros(shape), ("B04", "B08")).abs().sum() == 0
    assert (scale_of("int16 as stored"), scale_of("uint8 as stored")) == (1e-4, 1 / 255)
