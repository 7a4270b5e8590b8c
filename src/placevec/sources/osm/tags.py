"""Tags of many objects as columns of numbers, with a function evaluated only once per combination of tags."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from placevec.geo.polylines import Ints, gather

T = TypeVar("T")
K = TypeVar("K", bound=int)
_KEPT_ANSWERS = 200_000


@dataclass(frozen=True)
class TagColumns(Sequence[dict[str, str]]):
    """The tags of N objects: a sequence of dictionaries that are created on access.

    Attributes:
        strings: texts in UTF-8, referenced by keys and values.
        offsets: (N + 1,) int64; the tags of object ``n`` are entries ``offsets[n]`` to ``offsets[n + 1]`` of
        keys, values: (T,) int64 indices of strings.
    """

    strings: list[bytes]
    offsets: Ints
    keys: Ints
    values: Ints

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, str]]) -> TagColumns:
        """Create from dictionaries.

        >>> TagColumns.of([{"a": "b"}, {}, {"a": "a"}])[2]
        {'a': 'a'}
        """
        numbers: dict[str, int] = {}
        keys, values = [], []
        for row in rows:
            for key, value in row.items():
                keys.append(numbers.setdefault(key, len(numbers)))
                values.append(numbers.setdefault(value, len(numbers)))
        offsets = np.cumsum([0, *map(len, rows)], dtype=np.int64)
        strings = [text.encode("utf-8", "replace") for text in numbers]
        return cls(strings, offsets, np.array(keys, np.int64), np.array(values, np.int64))

    @classmethod
    def concatenate(cls, many: Sequence[TagColumns]) -> TagColumns:
        """The objects of several tables, concatenated."""
        if len(many) == 1:
            return many[0]
        first = np.cumsum([0, *(len(one.strings) for one in many)]).tolist()
        return cls(
            [text for one in many for text in one.strings],
            np.cumsum(np.concatenate([[0], *(np.diff(one.offsets) for one in many)]), dtype=np.int64),
            np.concatenate([one.keys + base for one, base in zip(many, first, strict=False)]),
            np.concatenate([one.values + base for one, base in zip(many, first, strict=False)]),
        )

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> dict[str, str]:  # type: ignore[override]
        return self.take(np.array([row])).rows()[0]

    def rows(self) -> list[dict[str, str]]:
        """All dictionaries."""
        text = {
            number: self.strings[number].decode("utf-8", "replace")
            for number in np.unique(np.concatenate([self.keys, self.values])).tolist()
        }
        keys, values = (map(text.__getitem__, numbers.tolist()) for numbers in (self.keys, self.values))
        pairs, cuts = list(zip(keys, values, strict=True)), self.offsets.tolist()
        return [dict(pairs[first:end]) for first, end in pairwise(cuts)]

    def take(self, rows: Ints) -> TagColumns:
        """The selected objects."""
        index, offsets = gather(self.offsets, rows)
        return TagColumns(self.strings, offsets, self.keys[index], self.values[index])

    def only(self, keys: Collection[bytes]) -> TagColumns:
        """The same objects with only the tags in ``keys``."""
        among = np.array([text in keys for text in self.strings], bool)
        chosen = among[self.keys]
        offsets = np.concatenate([[0], np.cumsum(chosen)])[self.offsets]
        return TagColumns(self.strings, offsets, self.keys[chosen], self.values[chosen])


class Asker(Generic[K, T]):
    """Evaluates a function of each object's tags and kind; most objects agree in both, so results are cached.

    Args:
        question: called with tags and kind; its result must not depend on anything else.
        kinds: creates a kind from its number.
        asked: keys of the tags that ``question`` depends on and receives; None: all.

    >>> asker = Asker(lambda tags, kind: tags.get("building"), int, None)
    >>> answer, answers = asker.ask(TagColumns.of([{"building": "yes"}, {}, {"building": "yes"}]), np.zeros(3, np.uint8))
    >>> answer.tolist(), answers
    ([0, -1, 0], ['yes'])
    """

    def __init__(
        self,
        question: Callable[[Mapping[str, str], K], T | None],
        kinds: Callable[[int], K],
        asked: Collection[str] | None,
    ) -> None:
        self._question, self._kinds = question, kinds
        self._asked = None if asked is None else {key.encode() for key in asked}
        self._forget()

    def _forget(self) -> None:
        self._known: dict[tuple[int, bytes], int] = {}
        self._numbers: dict[bytes, int] = {}
        self._answers: list[T] = []

    def ask(self, tags: TagColumns, kinds: NDArray[np.uint8]) -> tuple[Ints, list[T]]:
        """For each object the index of its result, -1 for None; and the results."""
        if len(self._known) > _KEPT_ANSWERS:
            self._forget()
        few = tags if self._asked is None else tags.only(self._asked)
        number = np.zeros(len(few.strings), np.int64)
        for used in np.unique(np.concatenate([few.keys, few.values])).tolist():
            number[used] = self._numbers.setdefault(few.strings[used], len(self._numbers))
        pairs = (number[few.keys] << 32 | number[few.values]).tobytes()
        cuts = (8 * few.offsets).tolist()
        found = []
        for row, (kind, first, end) in enumerate(zip(kinds.tolist(), cuts, cuts[1:], strict=False)):
            alike = kind, pairs[first:end]
            answer = self._known.get(alike)
            if answer is None:
                answer = self._known[alike] = self._answer(few[row], self._kinds(kind))
            found.append(answer)
        return np.array(found, np.int64), self._answers

    def ask_one(self, tags: Mapping[str, str], kind: K) -> T | None:
        """The result for one object, without caching it."""
        few = {
            key: value for key, value in tags.items() if self._asked is None or key.encode() in self._asked
        }
        return self._question(few, kind)

    def _answer(self, tags: Mapping[str, str], kind: K) -> int:
        answer = self._question(tags, kind)
        if answer is None:
            return -1
        self._answers.append(answer)
        return len(self._answers) - 1
