"""Running the command line in processes that can be killed, starved of disk and locked out of folders."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.robustness.aimed import Aim

ROOT = Path(__file__).resolve().parents[2]
_SINGLE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "COLUMNS": "100"}


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: its exit code; negative: the signal.
        out, err: what it wrote.
        seconds: how long it took.
        counts: kind -> number of calls, if they were counted and it was not killed, see `tests.robustness.aimed`.
    """

    code: int
    out: str
    err: str
    seconds: float
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL


class Nursery:
    """The client of `tests.robustness.nursery`; one command at a time."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="placevec-tests-")
        self.cache = Path(self._folder.name) / "cache"
        """Where the commands keep what they download."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.robustness.nursery"],
            cwd=ROOT,
            env={**os.environ, **_SINGLE, "PLACEVEC_CACHE": str(self.cache)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self.no_mounts = str(self._listen()["no_mounts"])
        """Why nothing can be mounted here; empty when it can."""

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._folder.cleanup()

    def _listen(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the nursery died"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._listen()

    def run(
        self,
        *arguments: object,
        kill_after: float | None = None,
        folder: Path | None = None,
        largest_file: int | None = None,
        embed_part: int | None = None,
        packages: Path | None = None,
        aim: Aim | None = None,
        counting: bool = False,
        said: Path | None = None,
    ) -> Ended:
        """Run ``placevec ARGUMENTS`` in a forked process.

        Args:
            arguments: of the command line.
            kill_after: seconds after which its whole process group is killed (SIGKILL).
            folder: where it runs.
            largest_file: bytes that a file may have (RLIMIT_FSIZE).
            embed_part: places that `placevec embed` finishes at a time.
            packages: a folder of further packages, as pip leaves them.
            aim: the call at which its process group is killed.
            counting: whether its calls are counted.
            said: where its standard output goes, such as ``/dev/full``; it is not returned then.
        """
        out, err, counts = (Path(self._folder.name) / name for name in ("out", "err", "counts"))
        counts.unlink(missing_ok=True)
        began = time.monotonic()
        pid = self._ask(
            {
                "arguments": [str(argument) for argument in arguments],
                "out": str(said or out),
                "err": str(err),
                "folder": str(folder or self._folder.name),
                "largest_file": largest_file,
                "embed_part": embed_part,
                "packages": str(packages or ""),
                "aim": aim,
                "counts": str(counts) if counting or aim is not None else None,
            }
        )["pid"]
        assert self._process.stdout is not None
        if kill_after is not None and not select.select([self._process.stdout], [], [], kill_after)[0]:
            with contextlib.suppress(ProcessLookupError):  # it ended between the wait and the kill
                os.killpg(pid, signal.SIGKILL)
        code = self._listen()["code"]
        seconds = time.monotonic() - began
        counted = json.loads(counts.read_text()) if counts.exists() else {}
        return Ended(code, "" if said else out.read_text("utf-8"), err.read_text("utf-8"), seconds, counted)

    # --- disks ---------------------------------------------------------------------------------------------

    def mount(self, what: str, *arguments: object) -> None:
        """Call a function of `tests.robustness.namespace` where the commands run."""
        problem = self._ask({"call": what, "with": [str(a) if isinstance(a, Path) else a for a in arguments]})
        assert not problem["problem"], problem["problem"]

    def seen(self, path: Path) -> Path:
        """A path as the commands see it, mounts included."""
        return Path(f"/proc/{self._process.pid}/root{path.resolve()}")


def fresh(*arguments: object, kill_after: float | None = None, folder: Path | None = None) -> Ended:
    """The same in a process of its own: the installed command, from the start of Python on."""
    command = [str(Path(sys.executable).with_name("placevec")), *map(str, arguments)]
    began = time.monotonic()
    process = subprocess.Popen(
        command, cwd=folder, env={**os.environ, **_SINGLE}, start_new_session=True, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        out, err = process.communicate(timeout=kill_after)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
    return Ended(process.returncode, out, err, time.monotonic() - began)


def refused(ended: Ended, *words: str) -> None:
    """Assert that a command was refused in one line that holds ``words``."""
    assert ended.code in (1, 2), (ended.code, ended.err)
    assert ended.err.startswith("placevec: "), ended.err
    assert len(ended.err.strip().splitlines()) == 1, ended.err
    assert "Traceback" not in ended.err + ended.out
    assert "bug in placevec" not in ended.err
    for word in words:
        assert word in ended.err, (word, ended.err)
