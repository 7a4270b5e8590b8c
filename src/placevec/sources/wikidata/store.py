"""Items that were read, by number, on disk: one SQLite file.

The answers of an API lie in the user's cache folder, where the next command finds them, also one that was killed; what
is read from a dump lies beside the work.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from placevec.io.databases import database_errors
from placevec.io.folders import cache_folder
from placevec.sources.wikidata.items import Item

KEEP_S = 60 * 86400.0
"""Time for which an item is not requested again."""
ALL = "*"
"""Languages of items that were read with all of theirs."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS items (
    qid INTEGER PRIMARY KEY, languages TEXT NOT NULL, until REAL NOT NULL, content TEXT);
CREATE TABLE IF NOT EXISTS searches (
    language TEXT, text TEXT, until REAL NOT NULL, found TEXT NOT NULL, PRIMARY KEY (language, text));
"""
_TOGETHER = 500


class ItemStore:
    """Items by the number under which they were asked for: that of a redirect leads to the item that it is now.

    Args:
        path: of the file; made when missing.
        languages: what items are wanted in; empty for all.

    >>> import tempfile
    >>> with ItemStore(Path(tempfile.mkdtemp()) / "items.sqlite", ()) as store:
    ...     store.put({1757: Item(1757, {"fi": "Helsinki"}), 5: None})
    ...     sorted(store.known([5, 6, 1757])), store.read([1757])[1757].labels["fi"]
    ([5, 1757], 'Helsinki')
    """

    def __init__(self, path: Path, languages: Sequence[str]) -> None:
        self.path = path
        self.languages = frozenset(languages)
        with database_errors(self.path, "items"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, timeout=60.0)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.executescript(_SCHEMA)
            self._database.commit()

    @classmethod
    def of_server(cls, address: str, languages: Sequence[str]) -> ItemStore:
        """In the user's cache folder (``PLACEVEC_CACHE``)."""
        key = hashlib.sha256(address.encode()).hexdigest()[:16]
        return cls(cache_folder() / "wikidata" / key / "items.sqlite", languages)

    def __enter__(self) -> ItemStore:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def known(self, qids: Collection[int]) -> set[int]:
        """Those numbers that need not be asked for: what they are, or that they are nothing, is here and not old."""
        found = set()
        now = time.time()
        for qid, languages, until in self._rows("qid, languages, until", qids):
            held = frozenset(languages.split(","))
            if until > now and (ALL in held or (self.languages and self.languages <= held)):
                found.add(qid)
        return found

    def read(self, qids: Collection[int]) -> dict[int, Item]:
        """The items of some numbers; those that are nothing, or not here, are left out."""
        rows = self._rows("qid, content", qids)
        return {qid: Item.of_stored(content) for qid, content in rows if content is not None}

    def each(self, qids: Collection[int]) -> Iterator[Item]:
        """The same one by one, for numbers of any size."""
        for _, content in self._rows("qid, content", qids):
            if content is not None:
                yield Item.of_stored(content)

    def put(self, items: Mapping[int, Item | None], *, keep_s: float = KEEP_S) -> None:
        """Keep items, or that there is none, in one transaction."""
        languages, until = ",".join(sorted(self.languages)) or ALL, time.time() + keep_s
        rows = [
            (qid, languages, until, None if item is None else item.stored()) for qid, item in items.items()
        ]
        with database_errors(self.path, "items"), self._database:
            self._database.executemany("INSERT OR REPLACE INTO items VALUES (?, ?, ?, ?)", rows)

    def searched(self, language: str, text: str) -> list[int] | None:
        """What a search found before; None where it was not made."""
        with database_errors(self.path, "items"):
            row = self._database.execute(
                "SELECT found FROM searches WHERE language = ? AND text = ? AND until > ?",
                (language, text, time.time()),
            ).fetchone()
        return None if row is None else [int(one) for one in row[0].split(",") if one]

    def put_search(self, language: str, text: str, found: Sequence[int]) -> None:
        """Keep what a search found."""
        row = (language, text, time.time() + KEEP_S, ",".join(map(str, found)))
        with database_errors(self.path, "items"), self._database:
            self._database.execute("INSERT OR REPLACE INTO searches VALUES (?, ?, ?, ?)", row)

    def _rows(self, columns: str, qids: Collection[int]) -> Iterator[tuple]:  # type: ignore[type-arg]
        wanted = sorted(set(qids))
        for start in range(0, len(wanted), _TOGETHER):
            part = wanted[start : start + _TOGETHER]
            marks = ",".join("?" * len(part))
            with database_errors(self.path, "items"):
                yield from self._database.execute(
                    f"SELECT {columns} FROM items WHERE qid IN ({marks})", part
                ).fetchall()
