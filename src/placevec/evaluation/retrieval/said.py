"""What is said of places, by kind, language and script, and which of it asks."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from placevec.datasets.dataset import Dataset
from placevec.datasets.views.text import read_texts
from placevec.geo import Ints

UNDETERMINED = "und"
"""The language of texts that name none, in BCP 47."""
NO_LETTERS = "no letters"
_LOOKED_AT = 64


@dataclass(frozen=True)
class Said:
    """M texts of places.

    Attributes:
        place: (M,) row of each text's place, ascending.
        texts: hostile text.
        languages: BCP 47, `UNDETERMINED` where none is named.
        kinds: such as name or words; empty where none is named.
    """

    place: Ints
    texts: tuple[str, ...]
    languages: tuple[str, ...]
    kinds: tuple[str, ...]

    @property
    def scripts(self) -> tuple[str, ...]:
        """The script of each text, see `script_of`."""
        return tuple(script_of(text) for text in self.texts)

    def one_each(self, places: Ints, *, among: Sequence[bool] | None = None, seed: int = 0) -> Ints:
        """(n,) number of a text of each place, drawn by the seed, -1 where a place has none.

        Args:
            places: (n,) distinct rows.
            among: (M,) texts that may be drawn; all by default.
            seed: of the draw.

        >>> said = Said(np.array([0, 2]), ("lake", "park"), ("en", "en"), ("words", "words"))
        >>> said.one_each(np.arange(4)).tolist()
        [0, -1, 1, -1]
        """
        allowed = np.arange(len(self.place)) if among is None else np.flatnonzero(np.asarray(among, bool))
        order = np.random.default_rng([seed, 0x5A1D]).permutation(allowed)
        found = np.full(int(self.place.max(initial=-1)) + 1, -1, np.int64)
        found[self.place[order]] = order  # the last one of a place stays: as likely as any other
        inside = places < len(found)
        return np.where(inside, found[np.where(inside, places, 0)] if len(found) else -1, -1)


def said_of(dataset: Dataset, view: str, *, languages: Sequence[str] = (), kinds: Sequence[str] = ()) -> Said:
    """The texts of a view, of some languages and kinds if any are named."""
    table = read_texts(dataset.path / str(dataset.manifest["views"][view]["files"][0]), view)
    table = table.set_column(
        table.column_names.index("language"), "language", pc.fill_null(table["language"], UNDETERMINED)
    )
    for name, wanted in (("language", languages), ("kind", kinds)):
        if wanted:
            table = table.filter(pc.is_in(table[name], value_set=pa.array(list(wanted), pa.string())))
    ids = pa.array(dataset.place_ids, pa.string())
    place = np.asarray(pc.index_in(table["place_id"], value_set=ids).to_numpy()).astype(np.int64)
    order = np.argsort(place, kind="stable")
    table = table.take(pa.array(order))
    return Said(
        place[order], tuple(table["text"].to_pylist()), tuple(table["language"].to_pylist()),
        tuple(kind or "" for kind in table["kind"].to_pylist()),
    )  # fmt: skip


def script_of(text: str) -> str:
    """The script of most of a text's first letters, as Unicode names it.

    >>> script_of("Helsinki"), script_of("Гельсінкі"), script_of("赫尔辛基"), script_of("24")
    ('Latin', 'Cyrillic', 'Cjk', 'no letters')
    """
    letters = [letter for letter in text if letter.isalpha()][:_LOOKED_AT]
    names = Counter(unicodedata.name(letter, "UNKNOWN").split()[0].split("-")[0] for letter in letters)
    return names.most_common(1)[0][0].capitalize() if names else NO_LETTERS
