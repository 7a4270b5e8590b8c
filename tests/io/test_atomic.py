"""Writes are whole or not at all, and hostile cells are defused."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from placevec.io import atomic


def test_a_failed_write_leaves_the_old_content(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    atomic.write_text(target, "old")
    with pytest.raises(RuntimeError, match="on purpose"), atomic.replacing(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError("on purpose")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_files_have_the_permissions_of_any_other(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        atomic.write_text(tmp_path / "file", "content")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_a_directory_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "state"
    for content in ("one", "two"):
        with atomic.replacing_directory(target) as temporary:
            (temporary / "file").write_text(content)
        assert (target / "file").read_text() == content
    with pytest.raises(RuntimeError, match="on purpose"), atomic.replacing_directory(target) as temporary:
        raise RuntimeError("on purpose")
    assert (target / "file").read_text() == "two"
    assert list(tmp_path.iterdir()) == [target]


def test_killed_while_writing(tmp_path: Path) -> None:
    """A process that rewrites a file for ever is killed: what is left is one of the two whole contents."""
    target = tmp_path / "file.txt"
    program = (
        "import itertools, sys\n"
        "from placevec.io.atomic import write_text\n"
        "for letter in itertools.cycle('ab'): write_text(sys.argv[1], letter * 1_000_000)\n"
    )
    for wait in (0.05, 0.11, 0.23):
        process = subprocess.Popen([sys.executable, "-c", program, str(target)])
        while not target.exists():
            time.sleep(0.01)
        time.sleep(wait)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        content = target.read_text()
        assert content in ("a" * 1_000_000, "b" * 1_000_000)
    atomic.remove_temporaries(tmp_path)
    assert list(tmp_path.iterdir()) == [target]


def test_content_is_on_the_disk_before_its_name_and_the_name_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files, folders of folders, and moved files. Oracle: inodes in the system's own calls, in their order."""
    fsync, replace = os.fsync, os.replace
    calls: list[tuple[str, int]] = []

    def flushed(descriptor: int) -> None:
        calls.append(("flush", os.fstat(descriptor).st_ino))
        fsync(descriptor)

    def renamed(source: Path, target: Path) -> None:
        calls.append(("rename", os.stat(source).st_ino))
        replace(source, target)

    def inode(path: Path) -> int:
        return path.stat().st_ino

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(os, "replace", renamed)
    atomic.write_text(tmp_path / "file", "content")
    file, folder = inode(tmp_path / "file"), inode(tmp_path)
    assert calls == [("flush", file), ("rename", file), ("flush", folder)]

    calls.clear()
    with atomic.replacing_directory(tmp_path / "whole") as temporary:
        (temporary / "deep").mkdir()
        (temporary / "deep" / "file").write_text("content")
    whole = tmp_path / "whole"
    wanted = {("flush", inode(path)) for path in (whole, whole / "deep", whole / "deep" / "file")}
    assert set(calls[:3]) == wanted
    assert calls[3:] == [("rename", inode(whole)), ("flush", folder)]

    calls.clear()
    atomic.move_files(whole, tmp_path / "target", ["deep/file"])
    target = tmp_path / "target"
    assert calls[0] == ("rename", inode(target / "deep" / "file"))
    assert set(calls[1:]) == {("flush", inode(target)), ("flush", inode(target / "deep"))}


def test_csv_cells_cannot_be_formulas(tmp_path: Path) -> None:
    """Oracle: the csv reader of the standard library; OSM names may begin with = + - @."""
    target = tmp_path / "table.csv"
    atomic.write_csv(target, ["name", "lon"], [["=HYPERLINK(1)", -3.5], ['a\nb,"c"', 2.0], ["@cmd", 1.0]])
    with open(target, newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[1:] == [["'=HYPERLINK(1)", "-3.5"], ['a\nb,"c"', "2.0"], ["'@cmd", "1.0"]]


@pytest.mark.parametrize(
    "cell",
    [
        "\n=1",
        "\r=1",
        "\t1",
        " =1",
        "\u00a0=1",
        "\u3000+1",
        "\ufeff@a",
        "\u200b-1",
        "\uff1d1",
        "\uff0b1",
        "\uff0d1",
        "\uff20a",
        "\u22121",
    ],
)
def test_formulas_after_blanks_and_of_other_widths(tmp_path: Path, cell: str) -> None:
    """Spreadsheets drop what is invisible, and some read full-width signs as formulas (OWASP, CSV injection)."""
    atomic.write_csv(tmp_path / "a.csv", ["name"], [[cell], ["a=1"], ["Straße - West"]])
    with open(tmp_path / "a.csv", newline="", encoding="utf-8") as file:
        rows = [row[0] for row in csv.reader(file)]
    assert rows[1][:2] == "'" + cell[0]
    assert rows[-2:] == ["a=1", "Straße - West"]


def test_json_rejects_not_a_number(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        atomic.write_json(tmp_path / "x.json", {"loss": float("nan")})
    assert not (tmp_path / "x.json").exists()


def test_hashes(tmp_path: Path) -> None:
    """Oracle: the published SHA-256 of the empty string and of "abc" (FIPS 180-2)."""
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "abc").write_bytes(b"abc")
    assert atomic.sha256_of_file(tmp_path / "empty").startswith("e3b0c44298fc1c149afbf4c8996fb924")
    assert atomic.sha256_of_file(tmp_path / "abc").startswith("ba7816bf8f01cfea414140de5dae2223")


def test_temporaries_of_a_process_that_lives_stay(tmp_path: Path) -> None:
    """Oracle: another process, which writes the same file, before and after it is killed; and names made by hand."""
    target = tmp_path / "file.txt"
    program = (
        "import sys, time\n"
        "from placevec.io.atomic import replacing\n"
        "with replacing(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('half')\n"
        "    print(temporary, flush=True)\n"
        "    time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(target)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    theirs = Path(process.stdout.readline().strip())
    with atomic.replacing(target) as ours:
        ours.write_text("ours")
        older = ours.with_name(f".tmp-{os.getpid()}.{atomic._machine()}-00000000-file.txt")
        elsewhere, abandoned = (
            ours.with_name(f".tmp-1.{host}-00000000-file.txt") for host in ("0000", "0001")
        )
        for path in (older, elsewhere, abandoned):  # of an earlier process of our number; of other machines
            path.touch()
        os.utime(abandoned, (0, 0))
        atomic.check_writable(target)
        assert set(tmp_path.iterdir()) == {ours, theirs, elsewhere}
    process.kill()
    process.wait()
    atomic.check_writable(target)
    assert set(tmp_path.iterdir()) == {target, elsewhere}


@pytest.mark.parametrize("can_swap", [True, False])
def test_a_directory_is_exchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, can_swap: bool) -> None:
    """Where the system can (Linux), one of the two is under the name at every moment."""
    for name, text in (("new", "new"), ("target", "old")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(text)
    if not can_swap:
        monkeypatch.setattr(atomic, "_swap", lambda *_: False)
    there, replace = [], os.replace

    def watched(source: Path, target: Path) -> None:
        replace(source, target)
        there.append((tmp_path / "target").exists())

    monkeypatch.setattr(os, "replace", watched)
    atomic.exchange_directory(tmp_path / "new", tmp_path / "target")
    assert [path.name for path in tmp_path.iterdir()] == ["target"]
    assert (tmp_path / "target" / "file").read_text() == "new"
    assert all(there) == (can_swap and sys.platform == "linux")
