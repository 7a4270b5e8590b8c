"""Long jobs on one output that resume after a kill: locked, identified by their inputs, stored in parts with checksums.

What is half done lies in one folder: ``inputs.json``, which says what it was made of, and parts. A part is written whole
or not at all, with a checksum of itself and of the files that belong to it; one that is damaged is made anew.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from placevec.errors import OutputError
from placevec.io import atomic
from placevec.io.checksums import crc32_of_file
from placevec.io.locks import locked
from placevec.io.progress import SILENT, Progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

INPUTS = "inputs.json"
ANY = ""
"""The key of parts that do not depend on inputs."""


@dataclass(frozen=True)
class Parts:
    """The parts of one job; may be sent to other processes.

    Attributes:
        folder: where they lie.
        key: of the inputs that they are made of.
    """

    folder: Path
    key: str

    def put(self, name: str, content: bytes = b"", files: Iterable[Path] = ()) -> None:
        """Store a part, with the checksums of the files that belong to it."""
        sums = {os.path.relpath(file, self.folder): crc32_of_file(file) for file in files}
        head = json.dumps({"inputs": self.key, "files": sums}).encode()
        body = head + b"\n" + content
        atomic.write_bytes(self.folder / name, _sum_line(body) + body)

    def get(self, name: str, *, files: bool = True) -> bytes | None:
        """A part; None if it is missing, damaged, made from other inputs, or (``files``) one of its files has changed."""
        try:
            raw = (self.folder / name).read_bytes()
            if raw[:9] != _sum_line(memoryview(raw)[9:]):
                return None
            end = raw.index(b"\n")
            head = json.loads(raw[9:end])
            if self.key not in (ANY, head["inputs"]):
                return None
            if files and any(
                crc32_of_file(self.folder / file) != found for file, found in head["files"].items()
            ):
                return None
        except (OSError, ValueError):
            return None
        return raw[end + 1 :]

    def kept(self, name: str) -> bytes:
        """A part that was complete; OutputError if it no longer is."""
        found = self.get(name, files=False)
        if found is None:
            raise OutputError(
                f"{self.folder / name} was damaged or removed in the meantime; run the same command again"
            )
        return found

    def absolute(self) -> Parts:
        """The same for a process with another working directory.

        >>> Parts(Path("work"), "k").absolute().folder.is_absolute()
        True
        """
        return Parts(self.folder.absolute(), self.key)

    def check_shared(self) -> None:
        """OutputError unless this is the folder of the job for this process too, which may be of another machine."""
        if atomic.sha256_of_json(inputs_of(self.folder))[:16] != self.key:
            raise OutputError(
                f"{self.folder}, which holds the unfinished work, does not exist on this machine: write "
                "the output to a disk that all machines share"
            )


def put_array(parts: Parts, name: str, values: NDArray[Any]) -> None:
    """Store an array of numbers."""
    import numpy as np

    content = io.BytesIO()
    np.save(content, values, allow_pickle=False)
    parts.put(name, content.getvalue())


def array_of(content: bytes) -> NDArray[Any] | None:
    """The array that `put_array` stored; None for anything else. Pickles are never read.

    >>> array_of(b"anything else") is None
    True
    """
    import numpy as np

    with contextlib.suppress(ValueError, EOFError):
        found: NDArray[Any] = np.load(io.BytesIO(content), allow_pickle=False)
        return found
    return None


class Job:
    """The unfinished work on an output that this process has locked; see `opened`.

    Args:
        work: its folder.
        inputs: plain JSON, all that the output depends on. What was made of others is removed.
        afresh: removes what such work left elsewhere.
        progress: receives reports of damaged parts.

    Attributes:
        work: the folder.
        parts: what is finished.
        went_on: whether work of the same inputs was there.
    """

    def __init__(
        self,
        work: Path,
        inputs: Mapping[str, Any],
        *,
        afresh: Callable[[], None] | None = None,
        progress: Progress = SILENT,
    ) -> None:
        self.work, self.progress = work, progress
        wanted = plain(inputs)
        self.parts = Parts(work, atomic.sha256_of_json(wanted)[:16])
        self.went_on = inputs_of(work) == wanted
        if not self.went_on:
            (work / INPUTS).unlink(missing_ok=True)  # killed below, nobody takes the rest for whole
            if afresh is not None:
                afresh()
            _empty(work)
            atomic.write_json(work / INPUTS, wanted)
        atomic.remove_temporaries(work)

    def put(self, name: str, content: bytes = b"", files: Iterable[Path] = ()) -> None:
        """Store a part atomically; its ``files`` must not change afterwards."""
        self.parts.put(name, content, files)

    def get(self, name: str) -> bytes | None:
        """A complete part; None if there is none. A damaged one is reported, and must be made again."""
        found = self.parts.get(name)
        if found is None and (self.parts.folder / name).exists():
            self.progress.say(f"Note: {name} of the unfinished work is damaged and will be recreated")
        return found

    def put_json(self, name: str, content: Any, files: Iterable[Path] = ()) -> None:
        """Store plain JSON."""
        self.put(name, json.dumps(content).encode(), files)

    def get_json(self, name: str) -> Any:
        """Stored JSON, or None."""
        found = self.get(name)
        return None if found is None else json.loads(found)

    def put_array(self, name: str, values: NDArray[Any]) -> None:
        """Store an array of numbers."""
        put_array(self.parts, name, values)

    def get_array(self, name: str) -> NDArray[Any] | None:
        """A stored array, or None."""
        found = self.get(name)
        return None if found is None else array_of(found)

    def kept_array(self, name: str) -> NDArray[Any]:
        """An array that was complete; OutputError if it no longer is."""
        found = array_of(self.parts.kept(name))
        if found is None:
            raise OutputError(
                f"{self.work / name} holds no array: remove {self.work} and run the same command again"
            )
        return found

    @contextlib.contextmanager
    def scratch(self, name: str) -> Iterator[Path]:
        """A temporary folder, which is not resumed: empty at the start, removed at the end."""
        folder = self.work / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def finish(self) -> None:
        """Remove the unfinished work, because the output is complete."""
        forget(self.work)


@contextlib.contextmanager
def opened(
    output: str | os.PathLike[str],
    inputs: Mapping[str, Any],
    *,
    work: Path | None = None,
    wait: bool = False,
    progress: Progress = SILENT,
) -> Iterator[Job]:
    """Lock an output, and resume its unfinished work if it has the same inputs; see `locks.locked` and `Job`.

    ``work`` is by default ``.NAME.work`` beside the output.

    >>> import tempfile
    >>> out = Path(tempfile.mkdtemp()) / "squares.txt"
    >>> def squares(stop):
    ...     with opened(out, {"numbers": 3}) as job:
    ...         for number in range(stop):
    ...             if job.get_json(f"{number}") is None:
    ...                 print("working out", number)
    ...                 job.put_json(f"{number}", number**2)
    ...         if stop == 3:
    ...             atomic.write_text(out, str([job.get_json(f"{number}") for number in range(3)]))
    ...             job.finish()
    >>> squares(1), squares(3)  # as if the first had been killed
    working out 0
    working out 1
    working out 2
    (None, None)
    >>> out.read_text(), len(list(out.parent.iterdir()))
    ('[0, 1, 4]', 1)
    """
    with locked(output, wait=wait, progress=progress):
        job = Job(beside(Path(output)) if work is None else work, inputs, progress=progress)
        try:
            yield job
        finally:
            if [path.name for path in job.work.glob("*")] == [INPUTS]:
                job.finish()  # nothing was done: nothing stays


def beside(output: Path) -> Path:
    """The folder of the unfinished work on a file."""
    return output.with_name(f".{output.name}.work")


def inputs_of(work: Path) -> Any:
    """The inputs of unfinished work; None if they are unknown."""
    try:
        return json.loads((work / INPUTS).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def plain(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs after a round trip through JSON."""
    found: dict[str, Any] = json.loads(json.dumps(inputs))
    return found


def forget(work: Path) -> None:
    """Remove unfinished work; the record of its inputs is removed last."""
    if not work.is_dir():
        return
    with contextlib.suppress(OSError):
        _empty(work, but=INPUTS)
        (work / INPUTS).unlink(missing_ok=True)
        work.rmdir()


def _sum_line(body: bytes | memoryview) -> bytes:
    return b"%08x " % zlib.crc32(body)


def _empty(folder: Path, *, but: str = "") -> None:
    """Empty a folder, which stays, because it marks the owner of the directory around it."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.name != but:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
