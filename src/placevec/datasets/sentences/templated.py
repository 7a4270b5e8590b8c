"""The view of texts in training: a name as it is, or in a sentence with other names, drawn afresh each step.

What is drawn follows from a number alone (the look's ``template``), which the sampler draws for a seed and a step.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from torch import Tensor

from placevec.core import Look, View, ViewSpec
from placevec.datasets.dataset import Dataset
from placevec.datasets.entities import FILE as ENTITIES
from placevec.datasets.joined import JoinedDataset
from placevec.datasets.sentences.templates import ALIASES, DESCRIPTION, NAME, TYPE, Sentence, Templates
from placevec.datasets.views.text import read_texts
from placevec.geo.geoparquet import read_parquet, read_summary
from placevec.io.byte_texts import tokens_of

MAX_ALIASES = 5
"""Of the founding system."""
NAMES, _DESCRIPTION, _WORDS = ("name", "alias"), "description", "words"
_ENGLISH = "en"


class _Type(NamedTuple):
    """The type of an entity: ``group/leaf``, and in English."""

    name: str
    english: str


_UNTYPED = _Type("", "")


class Text(NamedTuple):
    """One text of a place."""

    language: str | None
    kind: str | None
    text: str
    entity: str | None


class TemplatedTexts:
    """Texts of places, with names in sentences where a look asks for it.

    Aliases, type and description in a sentence are those of the entity whose name it is.

    Args:
        base: the view of the texts.
        dataset: of the view.
        templates: the sentences.
        languages: of aliases and sentences; empty for all.
    """

    def __init__(
        self,
        base: View,
        dataset: Dataset | JoinedDataset,
        templates: Templates,
        languages: Sequence[str] = (),
    ) -> None:
        self._base, self._templates, self._languages = base, templates, frozenset(languages)
        parts = dataset.parts if isinstance(dataset, JoinedDataset) else (dataset,)
        self._texts: list[list[Text]] = []
        self._types: list[dict[str, _Type]] = []
        self._part: list[int] = []
        self._ids: list[str] = []
        for number, part in enumerate(parts):
            self._texts += _texts_of(part, base.spec.name)
            self._types.append(_types_of(part))
            self._part += [number] * len(part)
            self._ids += map(str, part.place_ids)
        self._fitting: dict[tuple[str, str | None], tuple[Sentence, ...]] = {}

    @property
    def spec(self) -> ViewSpec:
        """Of the texts."""
        return self._base.spec

    def of(self, row: int) -> list[Text]:
        """The texts of a place."""
        return self._texts[row]

    def place(self, row: int) -> str:
        """The id of a place."""
        return self._ids[row]

    def type_of(self, row: int, entity: str | None) -> str:
        """The type of an entity that a text of a place is about, ``group/leaf``; empty where it is not known."""
        return self._types[self._part[row]].get(entity or "", _UNTYPED).name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._base, name)

    def read(self, look: Look) -> Mapping[str, Tensor]:
        """Tokens of one text per row; see `placevec.datasets.views.text.TextView.read`.

        A look's ``template`` (N,) int64 draws a sentence for a name; 0 leaves it as it is.
        """
        if "template" not in look.warp:
            found: Mapping[str, Tensor] = self._base.read(look)  # type: ignore[assignment]
            return found
        rows, drawn = look.rows.tolist(), look.warp["template"].tolist()
        which = look.warp["text"].tolist() if "text" in look.warp else [0] * len(rows)
        return tokens_of([self.said(*one) for one in zip(rows, which, drawn, strict=True)])

    def said(self, row: int, which: int, number: int) -> str:
        """The text of a place: one of its own, in a sentence where ``number`` is above 0 and it is a name."""
        there = self._texts[row] if row >= 0 else []
        if not there:
            return ""
        text = there[which % len(there)]
        if number <= 0 or text.kind not in NAMES:
            return text.text
        own = [one for one in there if one.entity == text.entity]
        kind = self._types[self._part[row]].get(text.entity or "", _UNTYPED)
        draws = _Draws(number)
        parts = {NAME: text.text, ALIASES: self._aliases(own, text, draws)}
        ready = []
        for sentence in self._sentences(kind.name, text.language):
            language = sentence.language or text.language or _ENGLISH
            told = {**parts, TYPE: self._word(own, kind, language), DESCRIPTION: _described(own, language)}
            if all(told[part] for part in sentence.asks):
                ready.append((sentence, told))
        if not ready:
            return text.text
        chosen, told = ready[draws.below(len(ready))]
        return chosen.filled(told)

    def _sentences(self, kind: str, language: str | None) -> tuple[Sentence, ...]:
        if (key := (kind, language)) not in self._fitting:
            self._fitting[key] = tuple(
                one
                for one in self._templates.fitting(kind, language)
                if not self._languages or one.language is None or one.language in self._languages
            )
        return self._fitting[key]

    def _word(self, own: Sequence[Text], kind: _Type, language: str) -> str:
        """The type in a language: of the templates, else of the table of types, else of Wikidata."""
        found = self._templates.word(kind.name, language) or (kind.english if language == _ENGLISH else "")
        said = (
            one.text
            for one in own
            if one.kind == _WORDS and one.language == language and language != _ENGLISH
        )
        return found or next(said, "").partition(", ")[0]

    def _aliases(self, own: Sequence[Text], text: Text, draws: _Draws) -> str:
        """Some other names, one of each script in turn, so that no script drowns the others."""
        by_script: dict[str, dict[str, None]] = {}
        for one in own:
            wanted = not self._languages or one.language in self._languages
            if one.kind in NAMES and wanted and one.text != text.text:
                by_script.setdefault(script_of(one.text), {})[one.text] = None
        held = [list(names) for names in by_script.values()]
        count, found = 1 + draws.below(MAX_ALIASES), list[str]()
        while held and len(found) < count:
            for names in draws.shuffled(held)[: count - len(found)]:
                found.append(names.pop(draws.below(len(names))))
            held = [names for names in held if names]
        return ", ".join(found)


class _Draws:
    """Numbers that follow from one number (splitmix64)."""

    def __init__(self, number: int) -> None:
        self._state = number

    def below(self, count: int) -> int:
        """A number from 0 to ``count`` - 1."""
        self._state = (self._state + 0x9E3779B97F4A7C15) % 2**64
        mixed = self._state
        mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB % 2**64
        return (mixed ^ (mixed >> 31)) % count

    def shuffled(self, items: Sequence[list[str]]) -> list[list[str]]:
        """Some items in another order."""
        order = list(items)
        for at in range(len(order) - 1, 0, -1):
            other = self.below(at + 1)
            order[at], order[other] = order[other], order[at]
        return order


def script_of(text: str) -> str:
    """The script of a text: of its first letter.

    >>> [script_of(one) for one in ("Töölö", "Київ", "東京", "القاهرة", "12")]
    ['LATIN', 'CYRILLIC', 'CJK', 'ARABIC', '']
    """
    letter = next((one for one in text if one.isalpha()), "")
    return unicodedata.name(letter, "").partition(" ")[0] if letter else ""


def _described(own: Sequence[Text], language: str) -> str:
    return next((one.text for one in own if one.kind == _DESCRIPTION and one.language == language), "")


def _texts_of(part: Dataset, view: str) -> list[list[Text]]:
    """The texts of each place, in the order in which the view numbers them."""
    table = read_texts(part.path / str(part.manifest["views"][view]["files"][0]), view)
    ids = pa.array([str(one) for one in part.place_ids], pa.string())
    at = np.asarray(pc.index_in(table["place_id"], value_set=ids).to_numpy()).astype(np.int64)
    found: list[list[Text]] = [[] for _ in ids]
    columns = [table[name].to_pylist() for name in ("language", "kind", "text")]
    has = "entity_id" in table.column_names
    columns.append(table["entity_id"].to_pylist() if has else [None] * len(table))
    for row, *text in zip(at.tolist(), *columns, strict=True):
        found[row].append(Text(*text))
    return found


def _types_of(part: Dataset) -> dict[str, _Type]:
    """Entity -> its type; empty where a dataset has no entities."""
    path = part.path / ENTITIES
    if not path.is_file():
        return {}
    schema, _ = read_summary(path, "table of entities")
    there = set(schema.names)
    table = read_parquet(
        path, "table of entities", [name for name in ("entity_id", "type", "words") if name in there]
    )
    kinds = [str(kind) for kind in table["type"].to_pylist()]
    words = table["words"].to_pylist() if "words" in there else [None] * len(kinds)
    english = [
        own[0] if own else kind.rpartition("/")[2].replace("_", " ")
        for kind, own in zip(kinds, words, strict=True)
    ]
    return dict(zip(table["entity_id"].to_pylist(), map(_Type, kinds, english), strict=True))
