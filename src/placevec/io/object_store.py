"""Files put into a folder, or through fsspec into an object store: whole or not at all, and again when that may help."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from placevec.errors import OutputError, UsageError
from placevec.io import atomic
from placevec.io.progress import printable

T = TypeVar("T")
ATTEMPTS = 5
FIRST_WAIT_S = 0.5
_FINAL = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, NotImplementedError)
"""Errors that another attempt does not mend."""


class Store(Protocol):
    """Where files are put.

    Attributes:
        shown: the place, for messages.
    """

    shown: str

    def sizes(self, ending: str) -> dict[str, int]:
        """Name below the place -> bytes, of files that end so."""
        ...

    def put(self, name: str, file: Path) -> None:
        """Copy a file there, whole or not at all."""
        ...


def store_at(place: str | os.PathLike[str]) -> Store:
    """A folder, or what an address such as ``s3://bucket/folder`` names.

    >>> store_at("vectors").shown
    'vectors'
    """
    text = os.fspath(place)
    return ObjectStore(text) if "://" in text else FolderStore(Path(text))


class FolderStore:
    """See `Store`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.shown = folder, str(folder)
        atomic.check_writable(folder, directory=True)

    def sizes(self, ending: str) -> dict[str, int]:
        """See `Store`."""
        files = sorted(self.folder.rglob(f"*{ending}")) if self.folder.is_dir() else []
        return {file.relative_to(self.folder).as_posix(): file.stat().st_size for file in files}

    def put(self, name: str, file: Path) -> None:
        """See `Store`."""
        target = self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic.explained(target), atomic.replacing(target) as temporary:
            shutil.copyfile(file, temporary)


class ObjectStore:
    """See `Store`. Object stores put an object whole or not at all.

    Args:
        address: of a protocol that fsspec knows, with the package that it needs.
        sleep: waits for some seconds.

    Raises:
        UsageError: an unknown protocol, or its package is missing.
    """

    def __init__(self, address: str, sleep: Callable[[float], object] = time.sleep) -> None:
        import fsspec

        self.shown, self._sleep = printable(address.rstrip("/")), sleep
        try:
            self._files, root = fsspec.core.url_to_fs(address)
        except (ValueError, ImportError) as error:
            raise UsageError(f"cannot write to {self.shown}: {' '.join(str(error).split())[:200]}") from error
        self._root = root.rstrip("/")

    def sizes(self, ending: str) -> dict[str, int]:
        """See `Store`."""
        found: dict[str, Any] = self._tried("", lambda: self._listed())
        begin = len(self._root.lstrip("/")) + 1
        return {
            name.lstrip("/")[begin:]: int(about.get("size") or 0)
            for name, about in sorted(found.items())
            if name.endswith(ending)
        }

    def _listed(self) -> dict[str, Any]:
        self._files.invalidate_cache()
        try:
            found: dict[str, Any] = self._files.find(self._root, detail=True)
        except FileNotFoundError:
            return {}
        return found

    def put(self, name: str, file: Path) -> None:
        """See `Store`."""
        target = f"{self._root}/{name}"
        self._tried(f"/{name}", lambda: self._files.put_file(os.fspath(file), target))

    def _tried(self, name: str, ask: Callable[[], T]) -> T:
        for attempt in range(ATTEMPTS):
            try:
                return ask()
            except Exception as error:  # every protocol raises its own
                last = attempt == ATTEMPTS - 1 or isinstance(error, _FINAL)
                if last:
                    told = " ".join(str(error).split())[:200] or type(error).__name__
                    raise OutputError(
                        f"cannot write to {self.shown}{name} after {attempt + 1} attempts: {told}; run the same "
                        f"command again to continue; finished parts are kept"
                    ) from error
            self._sleep(random.uniform(0.5, 1.0) * FIRST_WAIT_S * 2**attempt)
        raise AssertionError("unreachable")
