"""What can go wrong with an SQLite file, as errors that say what to do."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from placevec.errors import OutputError, SourceError


@contextlib.contextmanager
def database_errors(path: Path, content: str) -> Iterator[None]:
    """Turn errors of a cache into one line each.

    Args:
        path: the file.
        content: what it holds, in the plural, such as ``cached tiles``.

    Raises:
        OutputError: it cannot be opened or written.
        SourceError: it is damaged.

    >>> with database_errors(Path("tiles.sqlite"), "cached tiles"):
    ...     raise sqlite3.DatabaseError("file is not a database")
    Traceback (most recent call last):
        ...
    placevec.errors.SourceError: the cached tiles in tiles.sqlite are damaged (file is not a database): remove that file
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        raise OutputError(
            f"cannot write {path}: {error}; free some space and run the same command again"
        ) from error
    except sqlite3.DatabaseError as error:
        raise SourceError(f"the {content} in {path} are damaged ({error}): remove that file") from error
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}; choose another PLACEVEC_CACHE") from error
