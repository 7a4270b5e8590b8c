"""The tables of entities and of texts, written again with what items say; row group by row group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from placevec.datasets import entities
from placevec.datasets.views import text
from placevec.geo import Ints
from placevec.geo.geoparquet import geometry_of, read_parquet
from placevec.io import atomic, parquet
from placevec.io.progress import Progress
from placevec.preparation.entity_texts import ALIAS, NAME, WORDS
from placevec.sources.wikidata.items import Item
from placevec.sources.wikidata.store import ItemStore

DESCRIPTION = "description"
TAG, SEARCH = "tag", "search"
_KINDS = {NAME: "label", ALIAS: "alias"}
"""Kind of a text -> of a name of an entity, where those of OpenStreetMap are called by their tags."""
_KINDS = {NAME: "label", ALIAS: "alias"}
"""Kind of a text -> of a name of an entity, where those of OpenStreetMap are called by their tags."""
WORDS_LANGUAGE = "en"
_SHOWN = 8
Said = tuple[str, str, str]
"""language, kind and text."""


@dataclass
class Written:
    """What was written.

    Attributes:
        entities: that an item says something of.
        items: that were found, and of these redirected ones.
        labels, aliases, descriptions: of the items.
        names: that the entities did not have before.
        languages: language -> how many labels.
    """

    entities: int = 0
    items: int = 0
    redirected: int = 0
    labels: int = 0
    aliases: int = 0
    descriptions: int = 0
    names: int = 0
    languages: Counter[str] = field(default_factory=Counter)

    def as_dict(self, wanted: int) -> dict[str, Any]:
        """Plain JSON."""
        told = {name: value for name, value in vars(self).items() if name != "languages"}
        return {"items wanted": wanted, **told, "languages": len(self.languages)}

    def told_languages(self) -> str:
        """The most frequent ones.

        >>> Written(languages=Counter(fi=1200, uk=3)).told_languages()
        'fi 1,200, uk 3'
        """
        shown = [f"{name} {count:,}" for name, count in self.languages.most_common(_SHOWN)]
        return ", ".join([*shown, *(["..."] if len(self.languages) > _SHOWN else [])])


def write(
    path: Path,
    folder: Path,
    store: ItemStore,
    tagged: Ints,
    searched: Mapping[int, int],
    places: tuple[Ints, Ints] | None,
    languages: Sequence[str],
    attribution: str,
    progress: Progress,
) -> Written:
    """Write ``entities.parquet`` and ``text.parquet`` into a folder, with all that they held.

    Args:
        path: of the dataset.
        folder: where they are written.
        store: of the items, and of what they are instances of.
        tagged: (N,) number of the item of each entity, 0 without.
        searched: row of an entity -> number of the item that a search found.
        places: (place, entity) rows, entities ascending; None where the places are the entities.
        languages: that are taken; empty for all.
        attribution: of the entities.
        progress: receives progress reports.
    """
    job = _Writing(store, tagged, searched, frozenset(languages))
    ids = None if places is None else entities_places(path)
    with (
        atomic.replacing(folder / entities.FILE) as of_entities,
        atomic.replacing(folder / text.FILE) as of_texts,
        entities.EntityWriter(of_entities, attribution, entities.WIKIDATA_SCHEMA) as writer,
        text.TextWriter(of_texts) as texts,
        parquet.opened(path / entities.FILE) as file,
    ):
        _copy_texts(path / text.FILE, texts)
        first = 0
        with progress.task("Writing texts", total=file.metadata.num_rows) as advance:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group)
                rows = table.select([name for name in table.column_names if name != "geometry"]).to_pylist()
                said = job.say(rows, first)
                writer.add(
                    {name: [row[name] for row in rows] for name in entities.WIKIDATA_SCHEMA.names if name != "geometry"},
                    geometry_of(table),
                )  # fmt: skip
                texts.add(list(_texts(rows, said, first, places, ids)))
                first += len(rows)
                advance(len(rows))
    return job.written


def entities_places(path: Path) -> list[str]:
    """The ids of a dataset's places, in order."""
    column = read_parquet(path / "places.parquet", "table of places", ["place_id"])["place_id"]
    return [str(one) for one in column.to_pylist()]


def _copy_texts(path: Path, texts: text.TextWriter) -> None:
    with parquet.opened(path) as file:
        for group in range(file.num_row_groups):
            texts.add_table(file.read_row_group(group))


def _texts(
    rows: Sequence[Mapping[str, Any]],
    said: Sequence[list[Said]],
    first: int,
    places: tuple[Ints, Ints] | None,
    ids: Sequence[str] | None,
) -> Iterator[text.Text]:
    """What is said of the places of some entities."""
    if places is None or ids is None:
        for row, own in zip(rows, said, strict=True):
            yield from ((row["entity_id"], *one, row["entity_id"]) for one in own)
        return
    place, entity = places
    begin, end = np.searchsorted(entity, [first, first + len(rows)])
    for at, number in zip(place[begin:end].tolist(), (entity[begin:end] - first).tolist(), strict=True):
        yield from ((ids[at], *one, rows[number]["entity_id"]) for one in said[number])


class _Writing:
    """What is known while row groups come by."""

    def __init__(
        self, store: ItemStore, tagged: Ints, searched: Mapping[int, int], languages: frozenset[str]
    ) -> None:
        self.store, self.tagged, self.searched = store, tagged, searched
        self.languages = languages | {"mul"} if languages else languages
        self.written = Written()
        self._seen: set[int] = set()

    def say(self, rows: list[dict[str, Any]], first: int) -> list[list[Said]]:
        """Put what items say into rows of entities; and give back what is new in each, for the texts."""
        qids = [self.searched.get(first + at, int(self.tagged[first + at])) for at in range(len(rows))]
        items = self.store.read([qid for qid in qids if qid])
        types = self.store.read(sorted({kind for item in items.values() for kind in item.types}))
        found: list[list[Said]] = []
        for at, (row, qid) in enumerate(zip(rows, qids, strict=True)):
            row.setdefault("descriptions", [])
            row.setdefault("wikidata_types", [])
            row["wikidata_from"] = TAG if self.tagged[first + at] else None
            item = items.get(qid)
            if item is None:
                found.append([])
                continue
            if first + at in self.searched:
                row["wikidata"], row["wikidata_from"] = f"Q{item.qid}", SEARCH
            self._count(qid, item)
            found.append(self._said(row, item, [types[kind] for kind in item.types if kind in types]))
        return found

    def _said(self, row: dict[str, Any], item: Item, types: list[Item]) -> list[Said]:
        there = {(one["language"], one["text"]) for one in row["names"]}
        said: dict[Said, None] = {}
        for language, kind, called in self._names(item):
            if (language, called) not in there:
                there.add((language, called))
                said[language, kind, called] = None
        row["names"] = [
            *row["names"],
            *({"language": language, "kind": _KINDS[kind], "text": called} for language, kind, called in said),
        ]  # fmt: skip
        row["name"] = row["name"] or next((one["text"] for one in row["names"]), None)
        self.written.names += len(said)
        self.written.entities += 1
        described = [
            (language, told) for language, told in item.descriptions.items() if self._wants(language)
        ]
        row["descriptions"] = [{"language": language, "text": told} for language, told in described]
        row["wikidata_types"] = [f"Q{kind}" for kind in item.types]
        row["words"] = list(
            dict.fromkeys([*row["words"], *(one.labels[WORDS_LANGUAGE] for one in types if WORDS_LANGUAGE in one.labels)])
        )  # fmt: skip
        said |= dict.fromkeys((language, DESCRIPTION, told) for language, told in described)
        for language in sorted(
            {language for one in types for language in one.labels if self._wants(language)}
        ):
            words = dict.fromkeys(one.labels[language] for one in types if language in one.labels)
            said[language, WORDS, ", ".join(words)] = None
        return list(said)

    def _names(self, item: Item) -> Iterator[Said]:
        for language, label in item.labels.items():
            if self._wants(language):
                yield language, NAME, label
        for language, aliases in item.aliases.items():
            if self._wants(language):
                yield from ((language, ALIAS, alias) for alias in aliases)

    def _wants(self, language: str) -> bool:
        return not self.languages or language in self.languages

    def _count(self, qid: int, item: Item) -> None:
        """Each item once, however many entities have it."""
        if qid in self._seen:
            return
        self._seen.add(qid)
        done = self.written
        done.items += 1
        done.redirected += item.qid != qid
        wanted = [language for language in item.labels if self._wants(language)]
        done.labels += len(wanted)
        done.languages.update(wanted)
        done.aliases += sum(len(some) for language, some in item.aliases.items() if self._wants(language))
        done.descriptions += sum(map(self._wants, item.descriptions))
