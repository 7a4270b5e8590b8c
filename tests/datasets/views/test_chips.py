"""Chips of places: what was written is what is read, whatever the order, and files that lie are refused."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from placevec.core import ROW_MISSING, ROW_SYNTHETIC, Look, ViewSpec
from placevec.datasets.views.chips import ChipsView, open_shard, read_chips
from placevec.errors import DatasetError, InputError
from placevec.preparation.chips import shards as chip_shards
from placevec.preparation.chips.shards import ChipWriter, WrittenChips

BANDS = ("B02", "B03", "B04")
IDS = [f"place {number}" for number in range(6)]


def chip(seed: int, side: int = 8, bands: int = 3) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 10000, (bands, side, side)).astype(np.uint16)


def write(folder: Path, *, most: int = 1024, monkeypatch: pytest.MonkeyPatch | None = None) -> WrittenChips:
    """Place 1 has two chips, place 4 a larger one of other bands, place 5 none."""
    writer = ChipWriter(folder, "chips", {"of": "this test"})
    for number in (3, 1, 0, 2):
        writer.add(IDS[number], chip(number), BANDS, source=f"{number}.tif")
    writer.add(IDS[1], chip(11), BANDS, source="1 again.tif", date="2017-06-13")
    writer.add(IDS[4], chip(4, 12, 4), ("B04", "B08", "B02", "B03"), source="4.tif", crs="EPSG:32633",
               transform=(10.0, 0.0, 5e5, 0.0, -10.0, 5e6))  # fmt: skip
    return writer.finish()


def look(rows: list[int], **warp: torch.Tensor) -> Look:
    return Look(torch.tensor(rows), None, warp)


@pytest.fixture
def view(tmp_path: Path) -> ChipsView:
    written = write(tmp_path)
    return ChipsView(tmp_path, written.spec("chips"), IDS)


def test_chips_come_back_by_place(view: ChipsView) -> None:
    """Oracle: the arrays that were written."""
    assert view.spec.channels == BANDS
    assert (view.spec.size_px, view.spec.values) == (8, "uint16 as stored")
    assert view.counts.tolist() == [1, 2, 1, 1, 1, 0]
    found = view.read(look([2, ROW_MISSING, 0, 3, 5, 2]))
    assert found.dtype == torch.float32
    for at, number in ((0, 2), (2, 0), (3, 3), (5, 2)):
        assert np.array_equal(found[at].numpy(), chip(number))
    assert found[1].abs().sum() == found[4].abs().sum() == 0


def test_of_larger_chips_with_more_bands_the_middle_and_the_common_ones(view: ChipsView) -> None:
    """Oracle: slices of what was written: B02, B03 and B04 are its planes 2, 3 and 0."""
    assert np.array_equal(view.read(look([4]))[0].numpy(), chip(4, 12, 4)[[2, 3, 0], 2:10, 2:10])
    small = view.window(size_px=3, channels=["B04", "B02"])
    assert small.spec.channels == ("B04", "B02")
    assert np.array_equal(small.read(look([4]))[0].numpy(), chip(4, 12, 4)[[0, 2], 4:7, 4:7])
    assert view.spec.size_px == 8


def test_which_of_a_places_chips_mirrored_or_blanked(view: ChipsView) -> None:
    """Oracle: numpy's flips and turns of what was written."""
    found = view.read(look([1, 1, 1], chip=torch.tensor([0, 1, 2])))
    assert np.array_equal(found[0].numpy(), chip(1))
    assert np.array_equal(found[1].numpy(), chip(11))
    assert np.array_equal(found[2].numpy(), chip(1))
    flip = torch.tensor([[True, False], [False, True], [False, False]])
    keep = torch.tensor([[True, True, True], [True, True, True], [False, True, False]])
    found = view.read(look([0, 0, 0], flip=flip, keep=keep))
    assert np.array_equal(found[0].numpy(), chip(0)[:, :, ::-1])
    assert np.array_equal(found[1].numpy(), chip(0)[:, ::-1])
    assert np.array_equal(found[2].numpy(), chip(0) * np.array([0, 1, 0])[:, None, None])
    found = view.read(look([0, 2, 0, 3], turn=torch.tensor([1, 0, 3, 2])))
    for at, (number, turns) in enumerate(((0, 1), (2, 0), (0, 3), (3, 2))):
        assert np.array_equal(found[at].numpy(), np.rot90(chip(number), turns, (1, 2)))


def test_crops_and_other_light(view: ChipsView) -> None:
    """Oracles: OpenCV's bilinear resize of the middle, and slices; the formulas of ColorJitter in float64."""
    crop = torch.tensor([[1.0, 0.3, 0.3], [0.5, 0.0, 0.0], [0.5, 1.0, 0.5]])
    found = view.read(look([0, 0, 0], crop=crop)).numpy()
    given = chip(0).astype(np.float32)
    np.testing.assert_allclose(found[0], given, atol=1e-2)
    for at, (top, left) in ((1, (0, 0)), (2, (2, 4))):
        part = given[:, top : top + 4, left : left + 4].transpose(1, 2, 0)
        enlarged = cv2.resize(part, (8, 8), interpolation=cv2.INTER_LINEAR).transpose(2, 0, 1)
        np.testing.assert_allclose(found[at][:, 1:-1, 1:-1], enlarged[:, 1:-1, 1:-1], atol=1e-2)
    light = torch.tensor([[0.5, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0], [0.8, 0.9, 0.7]])
    found = view.read(look([0, 0, 0, 0], light=light)).numpy()
    exact = given.astype(np.float64)
    np.testing.assert_allclose(found[0], exact * 0.5, rtol=1e-5)
    np.testing.assert_allclose(found[1], np.full_like(exact, exact.mean()), rtol=1e-5)
    np.testing.assert_allclose(found[2], np.broadcast_to(exact.mean(0), exact.shape), rtol=1e-5)
    dark = exact * 0.8
    flat = dark.mean() + 0.9 * (dark - dark.mean())
    np.testing.assert_allclose(found[3], flat.mean(0) + 0.7 * (flat - flat.mean(0)), rtol=1e-4)


def test_what_cannot_be_read(view: ChipsView) -> None:
    with pytest.raises(InputError, match="a synthetic point has no chips"):
        view.read(look([ROW_SYNTHETIC]))
    with pytest.raises(InputError, match="there is no place 6"):
        view.read(look([6]))
    with pytest.raises(InputError, match="angle"):
        view.read(look([0], angle=torch.zeros(1)))
    with pytest.raises(InputError, match="no band 'B08'"):
        view.window(channels=["B08"])
    with pytest.raises(InputError, match="size_px of a chip must be 1 to 4096"):
        view.window(size_px=0)


def test_a_job_killed_at_any_shard_ends_as_the_uninterrupted_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Oracle: shards and rows of a run that was not killed. Shards of two chips; killed before each write in turn."""
    monkeypatch.setattr(chip_shards, "MAX_ROWS", 2)
    whole = write(tmp_path / "whole")
    assert whole.files == ["chips.parquet", *(f"chips/000{number}.npy" for number in range(4))]
    expected = {name: (tmp_path / "whole" / name).read_bytes() for name in whole.files[1:]}
    writes = np.lib.format.write_array
    for killed_at in range(4):
        folder, count = tmp_path / str(killed_at), iter(range(100))

        def dies(*args: Any, at: int = killed_at, count: Any = count, **options: Any) -> None:
            if next(count) == at:
                raise KeyboardInterrupt
            writes(*args, **options)

        monkeypatch.setattr(np.lib.format, "write_array", dies)
        with pytest.raises(KeyboardInterrupt):
            write(folder)
        monkeypatch.setattr(np.lib.format, "write_array", writes)
        assert not (folder / "chips.parquet").exists()
        writer = ChipWriter(folder, "chips", {"of": "this test"})
        assert len(writer.done) == min(2 * killed_at, 5)
        _resume(folder)
        assert {name: (folder / name).read_bytes() for name in whole.files[1:]} == expected
        assert read_chips(folder).equals(read_chips(tmp_path / "whole"))


def _resume(folder: Path) -> None:
    """The same job as `write`, which passes over what is done."""
    adds = ChipWriter.add

    def unless_done(self: ChipWriter, place: str, *args: Any, **options: Any) -> None:
        if options["source"] not in self.done:
            adds(self, place, *args, **options)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ChipWriter, "add", unless_done)
        write(folder)


def test_other_inputs_start_afresh_and_other_views_stay(tmp_path: Path) -> None:
    write(tmp_path)
    assert ChipWriter(tmp_path, "chips", {"of": "another"}).done == set()
    writer = ChipWriter(tmp_path, "sar", {})
    writer.add(IDS[5], chip(50, 4, 2), ("VV", "VH"), source="5.tif")
    second = writer.finish()
    assert second.files == ["chips.parquet", "chips/0002.npy"]
    sar = ChipsView(tmp_path, second.spec("sar"), IDS)
    assert np.array_equal(sar.read(look([5]))[0].numpy(), chip(50, 4, 2))
    spec = ViewSpec("chips", "chips", BANDS, size_px=8)
    assert np.array_equal(ChipsView(tmp_path, spec, IDS).read(look([3]))[0].numpy(), chip(3))


def test_positions_are_not_the_key(tmp_path: Path) -> None:
    """Oracle: the same chips for places laid out in reverse."""
    spec = write(tmp_path).spec("chips")
    found = ChipsView(tmp_path, spec, IDS[::-1]).read(look([5, 3]))
    assert np.array_equal(found[0].numpy(), chip(0))
    assert np.array_equal(found[1].numpy(), chip(2))


def test_chips_that_share_no_band(tmp_path: Path) -> None:
    writer = ChipWriter(tmp_path, "chips", {})
    writer.add("a", chip(1), BANDS, source="a")
    writer.add("b", chip(2, bands=2), ("VV", "VH"), source="b")
    with pytest.raises(InputError, match="no band in common"):
        writer.finish().spec("chips")
    with pytest.raises(InputError, match="no chips to write"):
        ChipWriter(tmp_path / "none", "chips", {}).finish()


@pytest.mark.parametrize(
    ("pixels", "bands", "said"),
    [
        (np.zeros((3, 8, 8)), BANDS, "float64"),
        (np.zeros((8, 8), np.uint8), ("a",), r"\(8, 8\)"),
        (np.zeros((3, 8, 8), np.uint8), ("a", "b"), "3 bands"),
        (np.zeros((2, 8, 8), np.uint8), ("a", "a"), "distinct names"),
        (np.zeros((1, 0, 8), np.uint8), ("a",), r"\(1, 0, 8\)"),
    ],
)
def test_what_is_no_chip(tmp_path: Path, pixels: Any, bands: tuple[str, ...], said: str) -> None:
    with pytest.raises(InputError, match=said):
        ChipWriter(tmp_path, "chips", {}).add("a", pixels, bands, source="a")


class Trap:
    """Would show in the test's folder that it was unpickled."""

    def __reduce__(self) -> Any:
        return (Path.touch, (Path("sprung"),))


def hostile_files() -> dict[str, bytes]:
    def saved(array: Any, **options: Any) -> bytes:
        file = io.BytesIO()
        np.save(file, array, **options)
        return file.getvalue()

    whole = saved(chip(1)[None])
    header = b"{'descr': '<u2', 'fortran_order': False, 'shape': (%s), }"
    claims = b"9" * 12 + b", 3, 8, 8"
    text = (header % claims).ljust(117) + b"\n"
    return {
        "pickled objects": saved(np.array([[[[Trap()]]]], object), allow_pickle=True),
        "a pickle": pickle.dumps(Trap()),
        "nothing": b"",
        "not a numpy file": b"GIF89a" * 100,
        "cut short": whole[:-100],
        "more rows than bytes": b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + b"\0" * 64,
        "floats of eight bytes": saved(np.zeros((1, 3, 8, 8))),
        "one chip": saved(chip(1)),
        "no pixels": saved(np.zeros((1, 3, 0, 8), np.uint8)),
        "many bands": saved(np.zeros((1, 65, 2, 2), np.uint8)),
        "a header that is code": b"\x93NUMPY\x01\x00\x76\x00"
        + b"__import__('os').abort()".ljust(117)
        + b"\n",
    }


@pytest.mark.parametrize("name", hostile_files())
def test_files_that_are_no_shards(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    spec = write(tmp_path).spec("chips")
    (tmp_path / "chips" / "0000.npy").write_bytes(hostile_files()[name])
    with pytest.raises(DatasetError, match=r"0000\.npy"):
        open_shard(tmp_path / "chips" / "0000.npy")
    with pytest.raises(DatasetError):
        ChipsView(tmp_path, spec, IDS).read(look([0]))
    assert not (tmp_path / "sprung").exists()


def test_tables_that_are_damaged(tmp_path: Path) -> None:
    spec = write(tmp_path).spec("chips")
    table = read_chips(tmp_path)
    changed: dict[str, tuple[str, Any]] = {
        "a place that there is not": ("place_id", pa.array(["nowhere"] * 6)),
        "text for shards": ("shard", pa.array(["../../x"] * 6)),
        "a row before the first": ("row", pa.array([-1] * 6, pa.int32())),
        "a file beyond all": ("shard", pa.array([2_000_000] * 6, pa.int32())),
        "rows without a place": ("place_id", pa.array([None] * 6, pa.string())),
        "other bands in one file": ("bands", pa.array([["a"], ["b"]] * 3)),
    }
    for what, (name, values) in changed.items():
        broken = table.set_column(table.column_names.index(name), name, values)
        pq.write_table(broken, tmp_path / "chips.parquet")
        with pytest.raises(DatasetError, match=r"chips\.parquet"):
            pytest.fail(f"read {what}: {ChipsView(tmp_path, spec, IDS)}")
    pq.write_table(table.set_column(3, "row", pa.array([99] * 6, pa.int32())), tmp_path / "chips.parquet")
    with pytest.raises(DatasetError, match="row 99"):
        ChipsView(tmp_path, spec, IDS).read(look([0]))
    (tmp_path / "chips" / "0000.npy").unlink()
    pq.write_table(table, tmp_path / "chips.parquet")
    with pytest.raises(DatasetError, match="does not exist"):
        ChipsView(tmp_path, spec, IDS).read(look([0]))
    (tmp_path / "chips.parquet").unlink()
    with pytest.raises(DatasetError, match="does not exist"):
        read_chips(tmp_path)
