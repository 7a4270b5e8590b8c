"""Queries in words on a page: how far each place stands out for each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from placevec.embeddings.search.background import Background, Squares
from placevec.embeddings.search.metrics import distances
from placevec.errors import UsageError
from placevec.explorer.embedded import base64_of
from placevec.geo import Floats

MAX_QUERIES = 50
MAX_LENGTH = 500
"""Maximum number of characters of a query."""


@dataclass(frozen=True)
class WordQuery:
    """One query.

    Attributes:
        text: the words: raw, hostile text.
        vector: (D,) of the words, in the space of the places.
    """

    text: str
    vector: NDArray[np.float32]

    def content(self, vectors: NDArray[np.float32], lonlat: Floats, apart_m: float) -> dict[str, Any]:
        """JSON of the page: text, values ((N,) z of each place) and a note if none stands out.

        Args:
            vectors: (N, D) of the places.
            lonlat: (N, 2) degrees; NaN without coordinates.
            apart_m: meters within which places show much the same.
        """
        far = distances(self.vector, vectors, "cosine")
        background = Background.of(self.vector, vectors, squares=Squares.of(lonlat, apart_m))
        note = background.note(np.sort(far)[:1])
        return {"text": self.text, "values": base64_of(background.z(far).astype(np.float32)), "note": note}


def checked_queries(texts: Sequence[str]) -> tuple[str, ...]:
    """The queries without white space around them, each once.

    UsageError for too many, an empty one, or one that is too long.

    >>> checked_queries([" park", "park", "harbor "])
    ('park', 'harbor')
    """
    found = tuple(dict.fromkeys(text.strip() for text in texts))
    if not 1 <= len(found) <= MAX_QUERIES:
        raise UsageError(f"a page can have 1 to {MAX_QUERIES} queries in words; got {len(found)}")
    for text in found:
        if not 1 <= len(text) <= MAX_LENGTH:
            raise UsageError(f"a query must have 1 to {MAX_LENGTH} characters; got {len(text)}")
    return found
