"""Writing files so that a reader, or the next run after a kill, sees either the old or the new content, never a part.

Every writer makes a temporary neighbor of the target, flushes it to disk and renames it over the target.
"""

from __future__ import annotations

import contextlib
import csv
import errno
import hashlib
import json
import os
import re
import shutil
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from placevec.errors import OutputError
from placevec.io.files import refuse_pipe

TEMPORARY_PREFIX = ".tmp-"
_TEMPORARY = re.compile(r"\.tmp-(?:(\d+)\.([0-9a-f]{4})-)?([0-9a-f]{8})-(.+)", re.DOTALL)
"""Process, machine, run of the process, number, file; older versions did not name the process."""
_RUN = uuid4().hex[:4]
_ABANDONED_SECONDS = 86_400
"""A temporary file of another machine that is older than this counts as left behind."""
_FORMULA = re.compile(
    r"[\s\x00-\x20\xad\u200b-\u200f\u2028-\u202f\u2060-\u2064\ufeff]*"
    r"[=+\-@\u2212\ufe62\ufe63\ufe66\ufe6b\uff0b\uff0d\uff1d\uff20]|[\t\r\n]"
)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REFUSED = (errno.EROFS, errno.EACCES, errno.EPERM)


def _temporary(target: Path) -> Path:
    owner = f"{os.getpid()}.{_machine()}"
    return target.with_name(f"{TEMPORARY_PREFIX}{owner}-{_RUN}{uuid4().hex[:4]}-{target.name}")


def _machine() -> str:
    return f"{zlib.crc32(os.uname().nodename.encode()) & 0xFFFF:04x}"


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def replacing(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path next to ``target``, and rename it to ``target`` if the block succeeds.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with replacing(folder / "a.txt") as temporary:
    ...     _ = temporary.write_text("whole")
    >>> [path.name for path in folder.iterdir()]
    ['a.txt']
    """
    if _is_stream(target):
        yield Path(target)  # it takes bytes, and must not be replaced
        return
    target = Path(os.path.realpath(target))  # a link stays a link
    with explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = _temporary(target)
        try:
            yield temporary
            # libraries differ in the permissions they give; a shared folder wants those of any other file
            temporary.chmod(0o666 & ~_umask())
            _flush(temporary)
            os.replace(temporary, target)
            _flush(target.parent)
        finally:
            temporary.unlink(missing_ok=True)


# --- what goes wrong -----------------------------------------------------------------------------------------


def disk_problem(error: BaseException) -> str | None:
    """Why a write failed, in words, or None if ``error`` has another cause.

    >>> disk_problem(RuntimeError("I/O error: No space left on device (os error 28)"))
    'no space left on device'
    >>> disk_problem(FileNotFoundError(2, "not found")) is None
    True
    """
    number = _disk_error_number(error)
    return None if number is None else _worded(number)


def _worded(number: int | None) -> str:
    text = os.strerror(number or 0)
    return text[0].lower() + text[1:]


def disk_advice(error: BaseException) -> str:
    """How to solve a `disk_problem`."""
    number = _disk_error_number(error)
    if number == errno.EFBIG:
        return "the system does not allow larger files (ulimit -f)"
    return "make room and run the same command again" if number in _FULL else "choose another location"


def _disk_error_number(error: BaseException) -> int | None:
    """The errno of a failed write, even if a library has wrapped the error.

    safetensors, Arrow and osmium wrap the system's error into types of their own, and numpy drops its number.
    """
    number = error.errno if isinstance(error, OSError) else None
    if number is None:
        text = str(error)
        coded = re.search(r"(?:os error|errno):? (\d+)", text)
        worded = [code for code in (*_FULL, errno.EROFS) if os.strerror(code).lower() in text.lower()]
        short = isinstance(error, OSError) and re.search(r"\d+ requested and \d+ written", text)
        number = int(coded[1]) if coded else worded[0] if worded else errno.ENOSPC if short else None
    return number if number in (*_FULL, *_REFUSED) else None


@contextlib.contextmanager
def explained(target: Path) -> Iterator[None]:
    """Turn a failed write into one OutputError that names the file; other errors pass."""
    try:
        yield
    except OutputError:
        raise
    except Exception as error:
        reason = (
            None if isinstance(error, PermissionError) else disk_problem(error)
        )  # that may be about reading
        if reason is None and isinstance(error, OSError) and error.filename is not None:
            about = Path(os.fsdecode(error.filename))
            if about == target or about in target.parents or about.name.startswith(TEMPORARY_PREFIX):
                reason = _worded(error.errno)
        if reason is None:
            raise
        raise OutputError(f"cannot write {target}: {reason}; {disk_advice(error)}") from error


def check_writable(target: str | os.PathLike[str], *, directory: bool = False) -> None:
    """OutputError unless ``target`` can be written; checked before the work, without leaving files.

    What an earlier run that was killed left half written of the same target is removed.
    """
    if _is_stream(target) and not directory:
        return
    target = Path(os.path.realpath(target))
    if target.is_dir() and not directory:
        raise OutputError(f"cannot write {target}: it is a directory; choose another location")
    folder = target if directory else target.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise OutputError(f"cannot write {target}: {folder} is a file; choose another location")
    probe = _temporary(folder / "probe")
    try:
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        if error.errno in _FULL:
            raise OutputError(
                f"cannot write {target}: {disk_problem(error)}; {disk_advice(error)}"
            ) from error
        raise OutputError(
            f"cannot write {target}: no file can be created in {folder} ({_worded(error.errno)}); choose another "
            f"location"
        ) from error
    remove_temporaries(target.parent, of=target.name)


def _is_stream(path: str | os.PathLike[str]) -> bool:
    """Whether it is a pipe or a device, such as /dev/stdout."""
    path = Path(path)
    return path.exists() and not path.is_file() and not path.is_dir()


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


@contextlib.contextmanager
def replacing_directory(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary directory; rename it to ``target`` if the block succeeds (an old one is removed)."""
    target = Path(target)
    with explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = _temporary(target)
        temporary.mkdir()
        try:
            yield temporary
            for path in (*temporary.rglob("*"), temporary):
                _flush(path)
            exchange_directory(temporary, target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def exchange_directory(new: Path, target: Path) -> None:
    """Rename ``new`` to ``target``; an old ``target`` is removed afterwards.

    On Linux there is ``target`` at every moment; elsewhere not between two renames.
    """
    old = _temporary(target)
    if target.exists() and _swap(new, target):
        os.replace(new, old)
    else:
        if target.exists():
            os.replace(target, old)
        os.replace(new, target)
    _flush(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def _swap(first: Path, second: Path) -> bool:
    """Exchange two directories in one step (renameat2); False where the system or its disk cannot."""
    import ctypes

    call = getattr(ctypes.CDLL(None), "renameat2", None) if os.name == "posix" else None
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE of linux/fs.h
    return call is not None and call(here, os.fsencode(first), here, os.fsencode(second), exchange) == 0


def move_files(source: Path, target: Path, names: Iterable[str]) -> None:
    """Rename files below ``source`` to the same names below ``target``, on one disk; existing files are kept.

    When it returns they are there for good. What was killed in the middle goes on.
    """
    folders = {target}
    for name in names:
        new = target / name
        with explained(new):
            if (source / name).exists():
                new.parent.mkdir(parents=True, exist_ok=True)
                os.replace(source / name, new)
            elif not new.exists():
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(new))
            folders.add(new.parent)
    for folder in folders:
        _flush(folder)


def write_bytes(target: str | os.PathLike[str], content: bytes) -> None:
    """Write ``content`` to ``target`` atomically."""
    with replacing(target) as temporary:
        temporary.write_bytes(content)


def write_text(target: str | os.PathLike[str], content: str) -> None:
    """Write ``content`` as UTF-8, atomically."""
    write_bytes(target, content.encode("utf-8", "surrogatepass"))


def write_json(target: str | os.PathLike[str], content: Any) -> None:
    """Write ``content`` as indented JSON, atomically."""
    write_text(target, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_csv(target: str | os.PathLike[str], header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV whose text cells cannot act as spreadsheet formulas: those are quoted with ``'``.

    A formula begins with ``=+-@``, of any width, after any blanks, line breaks and invisible characters.
    """

    def safe(cell: Any) -> Any:
        return "'" + cell if isinstance(cell, str) and _FORMULA.match(cell) else cell

    with replacing(target) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([safe(cell) for cell in header])
        writer.writerows([safe(cell) for cell in row] for row in rows)


def remove_temporaries(
    folder: str | os.PathLike[str], *, of: str | None = None, everyone: bool = False
) -> None:
    """Remove the temporary files of killed processes in ``folder``: all, or those of one file.

    What a process that lives is writing stays, unless ``everyone`` is known to have ended, also on other machines.
    """
    for path in Path(folder).glob(f"{TEMPORARY_PREFIX}*"):
        found = _TEMPORARY.fullmatch(path.name)
        if found is None or of not in (None, found[4]) or (not everyone and _is_written(path, found)):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                path.unlink()


def _is_written(path: Path, found: re.Match[str]) -> bool:
    """Whether the process that made a temporary file may still be writing to it."""
    if found[1] is None:
        return False
    pid = int(found[1])
    try:
        if found[2] != _machine():
            return time.time() - path.stat().st_mtime < _ABANDONED_SECONDS
        if pid == os.getpid():
            return found[3].startswith(_RUN)
        os.kill(pid, 0)
    except (ProcessLookupError, FileNotFoundError, OverflowError):
        return False
    except PermissionError:
        return True  # somebody else's process
    return True


def sha256_of_file(path: str | os.PathLike[str]) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    refuse_pipe(path)
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_json(content: Any) -> str:
    """Hexadecimal SHA-256 of ``content`` in canonical JSON (sorted keys, no spaces).

    >>> sha256_of_json({"b": 1, "a": 2}) == sha256_of_json({"a": 2, "b": 1})
    True
    """
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
