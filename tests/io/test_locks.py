"""One process at a time. Oracle: what other processes, which are killed or not, may do meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from placevec.errors import OutputError
from placevec.io.locks import locked
from placevec.io.progress import Silent

HOLDS = """
import sys, time
from placevec.io.locks import locked
with locked(sys.argv[1]):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def holding(output: Path, seconds: float = 60) -> subprocess.Popen[str]:
    """A process that holds an output."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(output), str(seconds)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


class Told(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)


def test_the_second_is_reported_who_holds_it_until_that_is_killed(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out.parquet"
    first = holding(out)
    with pytest.raises(OutputError) as told, locked(out):
        pass
    for word in (str(out), f"process {first.pid} on {os.uname().nodename}", "since 20", "choose another"):
        assert word in str(told.value)
    with locked(out.with_name("other.parquet")):
        pass
    (out.parent / "link.parquet").symlink_to(out)
    with pytest.raises(OutputError), locked(out.parent / "link.parquet"):
        pass  # one file by two names
    first.send_signal(signal.SIGKILL)
    first.wait()
    with locked(out), locked(out):  # whoever holds it may hold it again
        assert (out.parent / ".out.parquet.lock").exists()
    assert [path.name for path in out.parent.iterdir()] == ["link.parquet"]


def test_waiting(tmp_path: Path) -> None:
    out, told = tmp_path / "out", Told()
    first = holding(out, 0.8)
    began = time.monotonic()
    with locked(out, wait=True, progress=told):
        assert first.wait() == 0
    assert time.monotonic() - began > 0.3
    assert len(told.lines) == 1
    assert told.lines[0].startswith(f"Waiting for process {first.pid}")
    assert list(tmp_path.iterdir()) == []


def test_threads_of_one_process_exclude_each_other(tmp_path: Path) -> None:
    problems: list[str] = []

    def second() -> None:
        try:
            with locked(tmp_path / "out"):
                pass
        except OutputError as error:
            problems.append(str(error))

    with locked(tmp_path / "out"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert len(problems) == 1
    assert f"process {os.getpid()}" in problems[0]


def test_many_at_once_never_meet(tmp_path: Path) -> None:
    """Lock files come and go; a counter that each reads, and writes a moment later, misses none."""
    counter = tmp_path / "counter"
    counter.write_text("0")

    def count() -> None:
        for _ in range(20):
            with locked(counter, wait=True):
                number = int(counter.read_text())
                time.sleep(0.0005)
                counter.write_text(str(number + 1))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("placevec.io.locks._POLL_SECONDS", 0.001)
        threads = [threading.Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert counter.read_text() == "80"
    assert list(tmp_path.iterdir()) == [counter]


def test_where_no_file_can_be_made_the_lock_lies_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with locked(tmp_path / "out"):
        assert list(tmp_path.iterdir()) == []


def test_what_went_wrong_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), locked(tmp_path / "a" / "b" / "out"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_is_not_locked(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with locked(tmp_path / "pipe"):
        assert [path.name for path in tmp_path.iterdir()] == ["pipe"]
