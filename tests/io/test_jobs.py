"""Half-done work. Oracles: the content that was kept, and every single flip of a bit of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from placevec.errors import OutputError
from placevec.io import atomic, jobs
from placevec.io.jobs import Job, Parts
from tests.io.test_locks import Told


def test_parts_come_back(tmp_path: Path) -> None:
    job = Job(tmp_path / "w", {"a": (1, 2)})
    assert not job.went_on
    assert job.get("none") is None
    numbers = np.arange(6, dtype=np.float32).reshape(2, 3)
    for put, content in (
        (job.put, b"\n\x00bytes"),
        (job.put_json, {"é": [1, None]}),
        (job.put_array, numbers),
    ):
        put(put.__name__, content)  # type: ignore[operator]
    again = Job(tmp_path / "w", {"a": [1, 2]})
    assert again.went_on
    assert again.get("put") == b"\n\x00bytes"
    assert again.get_json("put_json") == {"é": [1, None]}
    found = again.get_array("put_array")
    assert found is not None
    assert found.dtype == np.float32
    assert np.array_equal(found, numbers)
    again.finish()
    assert list(tmp_path.iterdir()) == []
    again.finish()


def test_what_a_killed_process_was_writing_is_removed(tmp_path: Path) -> None:
    """Of a process before versions named it, and of one whose number nobody has; parts stay."""
    Job(tmp_path, {}).put("part", b"content")
    for name in (".tmp-0a1b2c3d-part", f".tmp-{2**31 - 1}.{atomic._machine()}-0a1b2c3d-part"):
        (tmp_path / name).touch()
    again = Job(tmp_path, {})
    assert again.get("part") == b"content"
    assert {path.name for path in tmp_path.iterdir()} == {jobs.INPUTS, "part"}


def test_every_flipped_bit_is_found_and_said(tmp_path: Path) -> None:
    """Of a part, and of a file that belongs to it."""
    beside, told = tmp_path / "beside.tif", Told()
    beside.write_bytes(b"pixels")
    job = Job(tmp_path / "w", {"a": 1}, progress=told)
    job.put("part", b"content", [beside])
    assert job.get("part") == b"content"
    flips = 0
    for path in (tmp_path / "w" / "part", beside):
        whole = path.read_bytes()
        for bit in range(8 * len(whole)):
            flipped = bytearray(whole)
            flipped[bit // 8] ^= 1 << bit % 8
            path.write_bytes(flipped)
            assert job.get("part") is None, bit
            flips += 1
        path.write_bytes(whole)
    assert told.lines == ["Note: part of the unfinished work is damaged and will be recreated"] * flips
    for cut in (b"", whole[:-1], whole + b" "):
        beside.write_bytes(cut)
        assert job.get("part") is None
    beside.unlink()
    assert job.get("part") is None
    assert job.parts.get("part", files=False) == job.parts.kept("part") == b"content"
    with pytest.raises(OutputError, match="damaged or removed in the meantime"):
        job.parts.kept("none")


def test_a_folder_that_is_moved_keeps_its_parts(tmp_path: Path) -> None:
    (tmp_path / "old" / "map").mkdir(parents=True)
    (tmp_path / "old" / "map" / "1.tif").write_bytes(b"x")
    Job(tmp_path / "old" / "w", {}).put("part", b"c", [tmp_path / "old" / "map" / "1.tif"])
    (tmp_path / "old").rename(tmp_path / "new")
    assert Job(tmp_path / "new" / "w", {}).get("part") == b"c"


def test_other_inputs_begin_afresh(tmp_path: Path) -> None:
    """Whatever lies in the folder goes; a part of others that a process still writes there is not taken."""
    work, cleared = tmp_path / "w", []
    first = Job(work, {"a": 1})
    first.put("part", b"old")
    (work / "spool").mkdir()
    job = Job(work, {"a": 2}, afresh=lambda: cleared.append(jobs.inputs_of(work)))
    assert cleared == [None]  # killed here, nobody takes the rest for whole
    assert [path.name for path in work.iterdir()] == [jobs.INPUTS]
    first.put("part", b"late")
    assert job.get("part") is None
    assert Parts(work, jobs.ANY).get("part") == b"late"
    (work / jobs.INPUTS).write_text("{")
    assert not Job(work, {"a": 2}).went_on


def test_work_of_before_there_were_checksums_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / jobs.INPUTS).write_text(json.dumps({"a": 1}))
    np.save(tmp_path / "w" / "part.npy", np.zeros(3))
    job = Job(tmp_path / "w", {"a": 1}, progress=(told := Told()))
    assert job.went_on
    assert job.get_array("part.npy") is None
    assert len(told.lines) == 1


def test_a_job_that_did_nothing_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), jobs.opened(tmp_path / "out", {}) as job:
        with job.scratch("ids") as folder:
            (folder / "00").touch()
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RuntimeError), jobs.opened(tmp_path / "out", {}) as job:
        job.put("part")
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == [".out.work"]
