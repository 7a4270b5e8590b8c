"""Texts of places from entities: names in all languages, and words for the features around each place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from placevec.datasets.views.text import Text, TextWriter
from placevec.geo import Floats, Ints
from placevec.geo.antimeridian import unwrapped
from placevec.io import atomic, parquet
from placevec.io.progress import Progress
from placevec.preparation.surroundings import Windows, words_around
from placevec.sources.osm.entities.types import TypeTable

MAX_ENTITIES = 8
"""Entities that name one place: the smallest of those that its window touches. A country lies under every place."""
NAME, ALIAS, WORDS = "name", "alias", "words"
WORDS_LANGUAGE = "en"
_COLUMNS = ("entity_id", "names", "words")


def write_texts_of_entities(
    path: Path,
    table_path: Path,
    extract: Path,
    table: TypeTable,
    windows: Windows,
    *,
    work: Path,
    progress: Progress,
) -> int:
    """Texts of places that are the entities, in their order: names, words of each, and words of what lies around it.

    Returns:
        How many texts.
    """
    ids: list[str] = []
    with atomic.replacing(path) as temporary, TextWriter(temporary) as writer:
        for some in _rows(table_path):
            ids += [row["entity_id"] for row in some]
            writer.add([text for row in some for text in _own(row)])
        _add_surroundings(writer, ids, extract, table, windows, work, progress)
    return writer.rows


def write_texts_of_places(
    path: Path,
    table_path: Path,
    place_ids: Any,
    extract: Path,
    table: TypeTable,
    windows: Windows,
    *,
    work: Path,
    progress: Progress,
) -> int:
    """Texts of other places: names of the entities that their windows touch, and words of what lies there; how many."""
    place, entity = named_after(table_path, windows)
    ids = [str(one) for one in place_ids]
    first = 0
    with atomic.replacing(path) as temporary, TextWriter(temporary) as writer:
        for some in _rows(table_path):
            held: list[Text] = []
            cuts = np.searchsorted(entity, [first, first + len(some)])
            for at, number in zip(
                place[cuts[0] : cuts[1]].tolist(), entity[cuts[0] : cuts[1]].tolist(), strict=True
            ):
                row = some[number - first]
                held += [(ids[at], *text, row["entity_id"]) for text in _texts(row)]
            writer.add(held)
            first += len(some)
        _add_surroundings(writer, ids, extract, table, windows, work, progress)
    return writer.rows


def _rows(table_path: Path) -> Iterator[list[dict[str, Any]]]:
    """The rows of a table of entities that was just written, a group at a time."""
    with parquet.opened(table_path) as file:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group, columns=list(_COLUMNS)).to_pylist()


def _own(row: dict[str, Any]) -> Iterator[Text]:
    """All that is said of an entity itself."""
    number = row["entity_id"]
    for language, kind, text in _texts(row):
        yield number, language, kind, text, number
    if row["words"]:
        yield number, WORDS_LANGUAGE, WORDS, ", ".join(row["words"]), number


def _texts(row: dict[str, Any]) -> Iterator[tuple[str | None, str, str]]:
    """(language, kind, text) of every name, each text of a language once."""
    seen = set()
    for name in row["names"]:
        if (told := (name["language"], name["text"])) not in seen:
            seen.add(told)
            yield name["language"], NAME if name["kind"] == "name" else ALIAS, name["text"]


def _add_surroundings(
    writer: TextWriter,
    ids: list[str],
    extract: Path,
    table: TypeTable,
    windows: Windows,
    work: Path,
    progress: Progress,
) -> None:
    held: list[Text] = []
    for place, words in words_around(extract, table, windows, work=work, progress=progress):
        held.append((ids[place], WORDS_LANGUAGE, WORDS, ", ".join(words), None))
        if len(held) >= 100_000:
            writer.add(held)
            held = []
    writer.add(held)


def named_after(table_path: Path, windows: Windows) -> tuple[Ints, Ints]:
    """(place, entity) rows, entities ascending: for each place the few smallest entities that its window touches."""
    place, entity, extent = np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    first = 0
    with parquet.opened(table_path) as file:
        for group in range(file.num_row_groups):
            column = file.read_row_group(group, columns=["geometry"])["geometry"]
            shapes = unwrapped(shapely.from_wkb(column.to_numpy(zero_copy_only=False)))
            touched, which = windows.touching(shapes)
            place, entity = np.concatenate([place, touched]), np.concatenate([entity, which + first])
            extent = np.concatenate([extent, _extents(shapes)[which]])
            order = np.lexsort((entity, extent, place))
            place, entity, extent = place[order], entity[order], extent[order]
            begins = (
                np.flatnonzero(np.append(True, place[1:] != place[:-1]))
                if len(place)
                else np.zeros(0, np.int64)
            )
            rank = np.arange(len(place)) - np.repeat(begins, np.diff(np.append(begins, len(place))))
            kept = rank < MAX_ENTITIES
            place, entity, extent = place[kept], entity[kept], extent[kept]
            first += len(shapes)
    order = np.lexsort((place, entity))
    return place[order], entity[order]


def _extents(shapes: np.ndarray[Any, Any]) -> Floats:
    bounds = shapely.bounds(shapes)
    return np.asarray(np.hypot(bounds[:, 2] - bounds[:, 0], bounds[:, 3] - bounds[:, 1]))
