"""Checkpoints give up tensors and plain values, NumPy's single numbers among them, and nothing in them is run."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from placevec.errors import PlacevecError
from placevec.io.checkpoints import read_checkpoint


def saved(content: Any, path: Path) -> Path:
    torch.save(content, path)
    return path


@pytest.mark.parametrize(
    "value",
    [np.int64(-(2**40)), np.int32(7), np.uint8(255), np.float64(0.1), np.float32(0.5), np.float16(2), np.bool_(True)],
)  # fmt: skip
def test_single_numbers_of_numpy_are_plain_numbers(value: Any, tmp_path: Path) -> None:
    """Oracle: NumPy's own conversion."""
    (found,) = read_checkpoint(saved([value], tmp_path / "a.pt"))
    assert (type(found), found) == (type(value.item()), value.item())


def test_a_number_of_the_other_byte_order(tmp_path: Path) -> None:
    value = np.array([1000], ">i4")[0]
    swapped = value.view(value.dtype.newbyteorder(">")) if value.dtype.byteorder != ">" else value
    (found,) = read_checkpoint(saved([swapped], tmp_path / "a.pt"))
    assert found == int(swapped)


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.trace,)


class Hidden:
    """An object array of one: NumPy's maker of single values would unpickle what is in it."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __reduce__(self) -> tuple[Any, ...]:
        from numpy._core.multiarray import scalar  # type: ignore[attr-defined]

        return scalar, (np.dtype("O"), self.inner)


def test_objects_and_arrays_are_rejected_and_nothing_is_run(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    for number, content in enumerate(
        (Trap(trace), [np.int64(1), Trap(trace)], Hidden(b"x"), np.arange(3), np.datetime64("2020-01-01"),
         np.complex64(1j), np.str_("a"), Path("a"))
    ):  # fmt: skip
        with pytest.raises(PlacevecError):
            read_checkpoint(saved({"a": content}, tmp_path / f"{number}.pt"))
    assert not trace.exists()


def test_afterwards_torch_still_rejects_numpy(tmp_path: Path) -> None:
    """What is allowed here is allowed for the one call."""
    file = saved({"a": np.int64(1)}, tmp_path / "a.pt")
    assert read_checkpoint(file) == {"a": 1}
    with pytest.raises(Exception, match="numpy"):
        torch.load(file, weights_only=True)


def test_a_compressed_checkpoint_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    """A whole one, packed again: torch would unpack it, whatever it becomes."""
    with (
        zipfile.ZipFile(saved({"a": torch.zeros(8)}, tmp_path / "a.pt")) as plain,
        zipfile.ZipFile(tmp_path / "b.pt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for entry in plain.namelist():
            packed.writestr(entry, plain.read(entry))
    assert read_checkpoint(tmp_path / "a.pt")["a"].shape == (8,)
    with pytest.raises(PlacevecError, match="is compressed"):
        read_checkpoint(tmp_path / "b.pt")


def test_lists_of_tensors_are_bounded(tmp_path: Path) -> None:
    """Any number of empty tensors, each in a file of its own, or all in one: 300,000 took a hundred seconds."""
    good = saved({"a": torch.zeros(8)}, tmp_path / "a.pt")
    for name, more in {
        "many.pt": {f"data/{number}": b"" for number in range(10_000)},
        "long.pt": {"a.pkl": b" " * 2**21},
    }.items():
        with zipfile.ZipFile(tmp_path / name, "w") as archive, zipfile.ZipFile(good) as plain:
            for entry in plain.namelist():
                content = plain.read(entry)
                archive.writestr(
                    entry, content + more.get("a.pkl", b"") if entry.endswith("data.pkl") else content
                )
            if name == "many.pt":
                for entry, content in more.items():
                    archive.writestr(entry, content)
    with pytest.raises(PlacevecError, match=r"many\.pt holds 10,0\d\d tensors, more than any checkpoint"):
        read_checkpoint(tmp_path / "many.pt")
    with pytest.raises(PlacevecError, match=r"long\.pt holds a list of tensors and other values of 2\.0 MiB"):
        read_checkpoint(tmp_path / "long.pt")
