"""The rows of places by their IDs; for an unknown ID, similar ones are suggested."""

from __future__ import annotations

import bisect
import difflib

from placevec.embeddings.table import Embeddings
from placevec.errors import InputError


def row_of_place(emb: Embeddings, place: str) -> int:
    """The row of a place; InputError that suggests similar IDs if there is none."""
    found = emb.row_of(place)
    if found is not None:
        return found
    close = _nearest_spelled(place, [str(name) for name in emb.place_id])
    hint = f"did you mean {' or '.join(map(repr, close))}?" if close else f"IDs look like {emb.place_id[0]!r}"
    raise InputError(f"there is no place {place[:60]!r} among {len(emb)} places; {hint}")


def _nearest_spelled(text: str, known: list[str], look_at: int = 2_000) -> list[str]:
    """Up to three IDs similar to ``text``; in a long list, only those that sort close to it are compared."""
    if len(known) > look_at:
        known = sorted(known)
        middle = bisect.bisect(known, text)
        known = known[max(0, middle - look_at // 2) : middle + look_at // 2]
    return difflib.get_close_matches(text, known, n=3, cutoff=0.6)
