"""Adds to a dataset's entities, and to its texts, what Wikidata says of them: names, descriptions and types."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from placevec.datasets import entities
from placevec.datasets.additions import Joining, Made, add, is_made, settled
from placevec.datasets.dataset import Dataset
from placevec.datasets.views import text
from placevec.errors import DatasetError
from placevec.geo import Ints
from placevec.io import atomic
from placevec.io.progress import Progress
from placevec.preparation.entities import KIND as ENTITIES
from placevec.preparation.entity_texts import named_after
from placevec.preparation.existing_places import are_laid_out_by, places_of
from placevec.preparation.surroundings import Windows, boxes_of
from placevec.preparation.wikidata.options import WikidataOptions
from placevec.preparation.wikidata.write import Written, write
from placevec.sources.wikidata import api as live
from placevec.sources.wikidata.dump import read_dump
from placevec.sources.wikidata.items import Item, number_of
from placevec.sources.wikidata.matching import MAX_DISTANCE_M, MIN_SIMILARITY, best_match
from placevec.sources.wikidata.store import ItemStore

PART = KIND = "wikidata"
ATTRIBUTION = "Wikidata, CC0 1.0"
NOT_SEARCHED = "without a name that can be searched"
_METHOD = 1
_MIN_SEARCHED = 3
"""Characters of a name that is searched; shorter ones are numbers and letters of buildings."""


def add_wikidata(dataset: Dataset, options: WikidataOptions, *, created: str, progress: Progress) -> Dataset:
    """The dataset with names, descriptions and types of its entities' items.

    Raises:
        DatasetError: it has no entities, none has an item, or Wikidata was added with other options.
        SourceError: the dump is damaged, or the API rejects the requests.
    """
    if not entities.has_entities(dataset):
        raise DatasetError(
            f"{dataset.path} has no entities: add them with --osm or --osm-name, in the same command or an earlier one"
        )
    job = _Job(dataset, options, progress)
    if is_made(dataset, PART, job.made):
        progress.say(f"{dataset.path} already has data from Wikidata: choose another --out to add it again")
        return settled(dataset, PART)
    return add(dataset, PART, job.made, job.write, created=created, progress=progress)


_MERGED = " (a dump lacks items that were merged into others; with --wikidata-contact, they are requested from the API)"


@dataclass
class _Job:
    """Items to be found, and what is written of them."""

    dataset: Dataset
    options: WikidataOptions
    progress: Progress
    counts: Counter[str] = field(default_factory=Counter)
    report: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        asked = self.options
        source = (
            {"api": asked.address}
            if asked.of_api
            else {
                "dump": atomic.sha256_of_file(Path(str(asked.wikidata))),
                **({"lacking_from": asked.address} if asked.wikidata_contact else {}),
            }
        )
        search = {
            "distance_m": asked.wikidata_distance_m or MAX_DISTANCE_M,
            "similarity": asked.wikidata_similarity or MIN_SIMILARITY,
        }
        self.made = Made(
            KIND,
            {
                "method": _METHOD, **source, "languages": sorted(asked.languages),
                "wikidata_search": search if asked.wikidata_search else None,
            },
        )  # fmt: skip

    def write(self, folder: Path) -> Joining:
        """Find the items, then write both tables again with what they say."""
        table = entities.read_entities(self.dataset.path / entities.FILE, ["wikidata"])
        tagged = np.array([number_of(one) for one in table["wikidata"].to_pylist()], np.int64)
        if not tagged.any() and not self.options.wikidata_search:
            raise DatasetError(
                f"none of {len(tagged):,} entities of {self.dataset.path} names a Wikidata item; --wikidata-search "
                "searches them by name"
            )
        with self._items(folder.parent, tagged[tagged > 0]) as (store, searched):
            written = write(
                self.dataset.path, folder, store, tagged, searched, self._places(), self.options.languages,
                f"{self.dataset.attribution}; {ATTRIBUTION}", self.progress,
            )  # fmt: skip
        self._tell(written, len(np.unique(tagged[tagged > 0])))
        what = f"{written.names:,} names and {written.descriptions:,} descriptions of {written.entities:,} entities"
        files = [text.FILE, entities.FILE]
        sources = [self._source(atomic.sha256_of_file(folder / text.FILE))]
        return Joining(what, files, sources, report={KIND: self.report}, replaces=files)

    def _places(self) -> tuple[Ints, Ints] | None:
        """(place, entity) rows, entities ascending; None where the places are the entities."""
        if are_laid_out_by(self.dataset, ENTITIES):
            return None
        return named_after(self.dataset.path / entities.FILE, Windows(boxes_of(places_of(self.dataset))))

    @contextmanager
    def _items(self, work: Path, tagged: Ints) -> Iterator[tuple[ItemStore, dict[int, int]]]:
        """(a store with all items and their types, row of an entity -> number of the item that a search found)."""
        languages = self.options.languages
        if not self.options.of_api:
            with ItemStore(work / "items.sqlite", languages) as store:
                self._read_dump(store, tagged)
                yield store, {}
            return
        with (
            live.WikidataApi(
                self.options.address, str(self.options.wikidata_contact), languages, progress=self.progress
            ) as api,
            ItemStore.of_server(self.options.address, api.languages) as store,
        ):
            qids = tagged.tolist()
            fetched = live.fetch_items(api, store, qids, progress=self.progress)
            self.counts += fetched.counts
            self.report |= {"cached": fetched.cached}
            searched = self._searched(api, store) if self.options.wikidata_search else {}
            types = types_of(store.each([*qids, *searched.values()]))
            live.fetch_items(api, store, types, label="Wikidata types", progress=self.progress)
            self.report |= {"requests": api.requests}
            yield store, searched

    def _read_dump(self, store: ItemStore, tagged: Ints) -> None:
        """Two readings: one for the items, one for what they are instances of. The second is spared where it is known."""
        path, counts = Path(str(self.options.wikidata)), Counter[str]()
        wanted = set(tagged.tolist()) - store.known(tagged.tolist())
        self._keep(store, wanted, path, counts, "Wikidata items")
        if self.options.wikidata_contact:
            self._ask_lacking(store, tagged)
        types = set(types_of(store.each(tagged.tolist())))
        self._keep(store, types - store.known(types), path, Counter(), "Wikidata types")
        lines = {reason: count for reason, count in counts.items() if reason != "entities"}
        if lines:
            self.report |= {"not read": lines}
            told = ", ".join(f"{count:,} {reason}" for reason, count in lines.items())
            self.progress.say(f"Note: {told} of {path.name} were skipped")

    def _ask_lacking(self, store: ItemStore, tagged: Ints) -> None:
        """Ask the API for items that a dump lacks, such as those that were merged into others."""
        lacking = sorted(set(tagged.tolist()) - set(store.read(tagged.tolist())))
        with live.WikidataApi(
            self.options.address,
            str(self.options.wikidata_contact),
            self.options.languages,
            progress=self.progress,
        ) as api:
            for at in range(0, len(lacking), live.IDS_AT_ONCE):
                store.put(api.items(lacking[at : at + live.IDS_AT_ONCE], self.counts))
            self.report |= {"requests": api.requests}

    def _keep(self, store: ItemStore, wanted: set[int], path: Path, counts: Counter[str], label: str) -> None:
        if not wanted:
            return
        held: dict[int, Item | None] = {}
        for item in read_dump(path, wanted, counts=counts, label=label, progress=self.progress):
            held[item.qid] = item
            if len(held) >= 1_000:
                store.put(held)
                wanted, held = wanted - set(held), {}
        store.put({**dict.fromkeys(wanted), **held})

    def _searched(self, api: live.WikidataApi, store: ItemStore) -> dict[int, int]:
        """Row of an entity without an item -> number of the one that was found by its name, near it."""
        table = entities.read_entities(
            self.dataset.path / entities.FILE, ["wikidata", "name", "names", "lon", "lat"]
        )
        rows = np.flatnonzero(table["wikidata"].is_null().to_numpy(zero_copy_only=False))
        language = self.options.languages[0] if self.options.languages else "en"
        found: dict[int, int] = {}
        with self.progress.task("Searching by name", total=len(rows)) as advance:
            for row in rows.tolist():
                advance(1, f"{len(found):,} found")
                name = table["name"][row].as_py()
                if name is None or len(name) < _MIN_SEARCHED:
                    self.counts[NOT_SEARCHED] += 1
                    continue
                hits = store.searched(language, name)
                if hits is None:
                    hits = api.search(name, language)
                    store.put_search(language, name, hits)
                missing = [qid for qid in hits if qid not in store.known(hits)]
                if missing:
                    store.put(api.items(missing, Counter()))
                inputs, items = self.made.inputs["wikidata_search"], store.read(hits)
                match = best_match(
                    [one["text"] for one in table["names"][row].as_py()],
                    (table["lon"][row].as_py(), table["lat"][row].as_py()),
                    {qid: items[qid] for qid in hits if qid in items}, max_distance_m=inputs["distance_m"],
                    min_similarity=inputs["similarity"],
                )  # fmt: skip
                if match is not None:
                    found[row] = match
        self.report |= {"searched": len(rows), "found by search": len(found)}
        return found

    def _tell(self, written: Written, wanted: int) -> None:
        """How many items, labels and languages there were: for people, and for the manifest."""
        self.report |= {
            **written.as_dict(wanted), **({"this time": dict(self.counts)} if self.options.of_api else {})
        }  # fmt: skip
        unreadable = self.counts[live.UNREADABLE]
        lost = wanted - written.items - unreadable
        why = "" if self.options.of_api or self.options.wikidata_contact else _MERGED
        self.progress.say(
            f"Wikidata: {written.items:,} of {wanted:,} items found"
            + (f", {written.redirected:,} of them under another ID" if written.redirected else "")
            + (f"; {lost:,} were not found{why}" if lost > 0 else "")
            + (f"; {unreadable:,} could not be read" if unreadable else "")
            + f". {written.labels:,} labels, {written.aliases:,} aliases and {written.descriptions:,} descriptions in "
            f"{len(written.languages):,} languages ({written.told_languages()})"
        )

    def _source(self, sha256: str) -> dict[str, Any]:
        """The manifest's entry; of an API, with the hash of the texts that it led to."""
        of_api = self.options.of_api
        path = None if of_api else Path(str(self.options.wikidata))
        return {
            "kind": KIND, "name": "Wikidata", "path": None if path is None else path.name,
            "url": self.options.address if of_api else None,
            "sha256": sha256 if path is None else self.made.inputs["dump"],
            "bytes": None if path is None else path.stat().st_size, "timestamp": None, "licence": "CC0-1.0",
            "attribution": ATTRIBUTION,
        }  # fmt: skip


def types_of(items: Iterable[Item]) -> list[int]:
    """Numbers of what some items are instances of, ascending.

    >>> types_of([Item(1, types=(515, 3)), Item(2, types=(3,))])
    [3, 515]
    """
    return sorted({kind for item in items for kind in item.types})
