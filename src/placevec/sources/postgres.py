"""A PostgreSQL database, by its address: checked, opened, and its errors as one line without passwords."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from placevec.errors import MissingExtraError, OutputError, UsageError
from placevec.io.progress import printable
from placevec.sources.web_address import printable_address

if TYPE_CHECKING:
    import psycopg

_SCHEMES = ("postgresql", "postgres")
_CONNECT_S = 15


def check_address(address: str) -> str:
    """The address without its password; UsageError if it is none.

    >>> check_address("postgresql://me:secret@localhost/places")
    'postgresql://localhost/places'
    """
    shown = printable_address(address)
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise UsageError(f"{shown} is not an address: {error}") from error
    if parts.scheme not in _SCHEMES or not parts.path.strip("/"):
        raise UsageError(f"--to must look like postgresql://USER@HOST/DATABASE; got {shown}")
    return shown


@contextlib.contextmanager
def connected(address: str, left: str, **options: Any) -> Iterator[psycopg.Connection[Any]]:
    """A connection; what ends in an error is rolled back.

    Args:
        address: of the database.
        left: the end of the message of an error: what was left behind.
        options: of ``psycopg.connect``.

    Raises:
        UsageError: it is no address of a database.
        MissingExtraError: psycopg is not installed.
        OutputError: the database cannot be reached or written.
    """
    shown = check_address(address)
    try:
        import psycopg
    except ImportError as error:
        raise MissingExtraError("psycopg", "postgis") from error
    try:
        with psycopg.connect(address, connect_timeout=_CONNECT_S, **options) as connection:
            yield connection
    except psycopg.Error as error:
        said = printable(" ".join(str(error).split()))[:300] or type(error).__name__
        raise OutputError(f"cannot write into {shown}: {said}; {left}") from error


def has_extension(cursor: psycopg.Cursor[Any], name: str) -> bool:
    """Whether an extension is installed in the database."""
    cursor.execute("SELECT 1 FROM pg_extension WHERE extname = %s", (name,))
    return cursor.fetchone() is not None
