"""What a service is started with: plain values, so that its worker processes can be given them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from placevec.errors import InputError, UsageError
from placevec.options.choices import Backend, Metric

TOKEN = "PLACEVEC_TOKEN"
"""The variable of the environment that can hold a token."""
MIN_TOKEN = 16
_MAX_TOKENS = 1_000


@dataclass(frozen=True)
class Settings:
    """The settings of a service.

    Attributes:
        run: run or model.
        embeddings: files of vectors.
        dataset: dataset, if it has moved.
        columns: table of columns to filter by.
        backend: kind of index.
        metric: distance between vectors.
        hosts: names by which it may be called, with their ports; empty allows any.
        digests: SHA-256 of the tokens, one of which a request must bring; empty asks for none.
        rate: requests a second of one client; 0 is no limit.
        max_body: bytes of a request.
        max_points: points, places or texts of one request.
        max_results: results of one search.
        patience_s: seconds in which a request must have arrived.
        reload_s: seconds between two looks at the files; 0 never looks.
        mapped: whether vectors are mapped from files that all workers share.
        counted: folder in which the workers count; empty: only in memory.
    """

    run: str
    embeddings: tuple[str, ...] = ()
    dataset: str | None = None
    columns: str | None = None
    backend: Backend = "exact"
    metric: Metric = "cosine"
    hosts: tuple[str, ...] = ()
    digests: tuple[bytes, ...] = ()
    rate: float = 0.0
    max_body: int = 16_000_000
    max_points: int = 8_192
    max_results: int = 10_000
    patience_s: float = 10.0
    reload_s: float = 2.0
    mapped: bool = False
    counted: str = ""


def digest_of(token: str) -> bytes:
    """What is kept of a token.

    >>> len(digest_of("a secret"))
    32
    """
    return hashlib.sha256(token.encode()).digest()


def digests_of(file: str | Path | None) -> tuple[bytes, ...]:
    """The tokens of a file, one a line, else that of the environment variable `TOKEN`; empty if there is neither.

    Raises:
        InputError: the file cannot be read, or has no token.
        UsageError: a token that is too short to be secret, or has characters that no header can carry.
    """
    if file is None:
        given = os.environ.get(TOKEN)
        return () if given is None else _checked([given], f"the environment variable {TOKEN}")
    try:
        lines = Path(file).read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read the tokens in {file}: {error}") from error
    tokens = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not 1 <= len(tokens) <= _MAX_TOKENS:
        raise InputError(f"{file} has {len(tokens):,} tokens: write 1 to {_MAX_TOKENS:,}, one per line")
    return _checked(tokens, str(file))


def _checked(tokens: Iterable[str], where: str) -> tuple[bytes, ...]:
    found = []
    for number, token in enumerate(tokens, 1):
        if len(token) < MIN_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
            raise UsageError(
                f"token {number} in {where} must have at least {MIN_TOKEN} ASCII letters, digits or signs, for "
                f"example from: openssl rand -hex 32"
            )
        found.append(digest_of(token))
    return tuple(found)
