"""A process that reads hostile files, so that a crash, a hang or an eaten memory is a failed test and no more.

``python -m tests.fuzz.isolated FOLDER`` is the process itself: it builds the corpus in FOLDER, tells that it is
ready, and answers each request (one line of JSON, then the bytes of a file) with one line of JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import selectors
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

MEMORY = 3 * 2**30 // 2
"""Bytes of address space that a reader may take beyond what the imported libraries hold."""
PATIENCE_S = 120.0
"""Seconds after which a reading counts as a hang; the slowest take a second."""


class Isolated:
    """The process, started when it is first needed and again after it died."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0

    def read(self, reader: str, file: str, content: bytes) -> tuple[str, str]:
        """(valid, refused or failed; what was said): the file of the corpus is read with this content."""
        if self._process is None:
            self._start()
        process = self._process
        assert process is not None
        assert process.stdin is not None
        request = {"reader": reader, "file": file, "size": len(content)}
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(request).encode() + b"\n" + content)
            process.stdin.flush()
        answer = self._answer(process)
        if answer is None:
            return "failed", self._obituary(process)
        return str(answer["outcome"]), str(answer["said"])

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _start(self) -> None:
        self._started += 1
        own = self.folder / f"process-{self._started}"
        own.mkdir(parents=True)
        with open(own / "stderr.txt", "wb") as noise:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.fuzz.isolated", str(own)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=noise, cwd=Path(__file__).parents[2],
                env={**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(own)},
            )  # fmt: skip
        if self._answer(self._process, 5 * PATIENCE_S) is None:
            raise AssertionError(self._obituary(self._process))

    def _answer(
        self, process: subprocess.Popen[bytes], patience: float = PATIENCE_S
    ) -> dict[str, Any] | None:
        """The next line, or None when the process is gone or does not answer."""
        assert process.stdout is not None
        with selectors.DefaultSelector() as waiting:
            waiting.register(process.stdout, selectors.EVENT_READ)
            if not waiting.select(patience):
                return None
        line = process.stdout.readline()
        return json.loads(line) if line.endswith(b"\n") else None

    def _obituary(self, process: subprocess.Popen[bytes]) -> str:
        code = process.poll()
        if code is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = process.wait(1.0)
        self.close()
        noise = (self.folder / f"process-{self._started}" / "stderr.txt").read_text("utf-8", "replace")[
            -3000:
        ]
        died = (
            f"died of {signal.Signals(-code).name}" if code is not None and code < 0 else f"ended with {code}"
        )
        return f"the reading process {'hung' if code is None else died}\n{noise}"


# --- the process -------------------------------------------------------------------------------------------


def serve(folder: Path, requests: IO[bytes], answers: IO[bytes]) -> None:
    """Answer until there are no more requests."""
    import faulthandler

    from tests.fuzz.corpus import build
    from tests.fuzz.readers import FAILED, READERS, checked, seeds, settle

    faulthandler.enable()
    corpus = build(folder / "corpus")
    places, valid = {}, {}
    for name, reader in READERS.items():
        places[name] = settle(name, corpus, folder / "scratch")
        for file in seeds(name, corpus):
            valid[name, str(file)] = (places[name] / file).read_bytes()
            outcome, said = checked(reader, places[name], places[name] / file)
            if outcome == FAILED:
                raise AssertionError(f"{name}: the valid {file} is not: {said}")
    if sys.platform == "linux":  # macOS takes the limit and does not hold it
        here = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (here + MEMORY, here + MEMORY))
    _say(answers, {"ready": True})
    while line := requests.readline():
        request = json.loads(line)
        content = requests.read(request["size"])
        name, file = request["reader"], request["file"]
        path = places[name] / file
        path.write_bytes(content)
        outcome, said = checked(READERS[name], places[name], path)
        if (name, file) in valid:
            path.write_bytes(valid[name, file])
        else:
            path.unlink()
        _say(answers, {"outcome": outcome, "said": said})


def _say(answers: IO[bytes], answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer).encode() + b"\n")
    answers.flush()


if __name__ == "__main__":
    own = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not pass for answers
    serve(Path(sys.argv[1]), sys.stdin.buffer, own)
