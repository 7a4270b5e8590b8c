"""One process at a time writes to an output: a lock of the operating system, released even if the process is killed."""

from __future__ import annotations

import contextlib
import datetime
import errno
import fcntl
import hashlib
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from placevec.errors import OutputError
from placevec.io.progress import SILENT, Progress

_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
"""Some network disks do not support locks; jobs run there without one."""
_POLL_SECONDS = 0.5
_held: set[tuple[int, int, Path]] = set()
"""(process, thread, output): the holder of a lock may open jobs on the output."""


@contextlib.contextmanager
def locked(
    output: str | os.PathLike[str], *, wait: bool = False, progress: Progress = SILENT
) -> Iterator[None]:
    """Lock an output while the block runs.

    The lock lies beside it, ``.NAME.lock``, and is taken away at the end. Pipes and devices are not locked.

    Args:
        output: the file or directory that is written; it need not exist.
        wait: wait for another process that holds it.
        progress: receives the name of the process that is waited for.

    Raises:
        OutputError: another process, or another thread, holds it; says which, and since when.
    """
    target = Path(os.path.realpath(output))
    own = os.getpid(), threading.get_ident(), target
    if own in _held or (target.exists() and not target.is_file() and not target.is_dir()):
        yield
        return
    made = _folders_made(target.parent)
    path = _path(target)
    try:
        descriptor = _opened(path, output, wait, progress)
        _held.add(own)
        try:
            yield
        finally:
            _held.remove(own)
            if descriptor is not None:
                with contextlib.suppress(OSError):
                    path.unlink()  # before it is let go: whoever opened it meanwhile sees that it is gone
                os.close(descriptor)
    finally:
        with contextlib.suppress(OSError):  # they hold something
            for folder in made:
                folder.rmdir()


def _folders_made(folder: Path) -> list[Path]:
    """Create a folder and its parents; returns the new ones, the folder first."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    with contextlib.suppress(OSError):  # told when the output is written
        folder.mkdir(parents=True, exist_ok=True)
    return [one for one in missing if one.exists()]


def _path(target: Path) -> Path:
    """The lock file: next to the output, or among this machine's temporary files if that folder is not writable."""
    if os.access(target.parent, os.W_OK):
        return target.with_name(f".{target.name}.lock")
    name = hashlib.sha256(os.fsencode(target)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"placevec-{os.getuid()}-{name}.lock"


def _opened(path: Path, output: str | os.PathLike[str], wait: bool, progress: Progress) -> int | None:
    """The descriptor of an acquired lock; None if the disk does not support locks."""
    is_told = False
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        except OSError:
            return None  # whatever keeps this file from being made is told when the output is written
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = _told(descriptor)
            os.close(descriptor)
            if error.errno in _UNSUPPORTED:
                return None
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            if not wait:
                raise OutputError(
                    f"cannot write {output}: {holder} is writing it; wait for it to end, or choose another location"
                ) from error
            if not is_told:
                progress.say(f"Waiting for {holder}, which is writing {output}")
                is_told = True
            time.sleep(_POLL_SECONDS)
            continue
        if _is_of(descriptor, path):
            since = datetime.datetime.now().isoformat(" ", "seconds")
            os.truncate(descriptor, 0)
            os.pwrite(
                descriptor, f"process {os.getpid()} on {os.uname().nodename} (since {since})".encode(), 0
            )
            return descriptor
        os.close(descriptor)  # its holder took it away between these lines


def _told(descriptor: int) -> str:
    """The holder of a lock, for messages."""
    text = os.pread(descriptor, 300, 0).decode("utf-8", "replace").strip()
    return " ".join(text.split()) or "another process"


def _is_of(descriptor: int, path: Path) -> bool:
    with contextlib.suppress(OSError):
        return os.path.samestat(os.fstat(descriptor), path.stat())
    return False
