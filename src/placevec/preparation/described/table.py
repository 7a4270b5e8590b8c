"""Reads ``multimodal_dataset.csv``, or any table with its columns: observations, their chips and texts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from placevec.errors import SourceError
from placevec.geo import Floats
from placevec.preparation.described import COLUMNS
from placevec.sources.osm.entities.names import cleaned
from placevec.sources.tables.batches import OpenedTable
from placevec.sources.tables.losses import HARMLESS, Losses
from placevec.sources.tables.opened import open_table

MAX_TEXT, MAX_ID = 2_000, 300
"""Characters of a text, which is cut there, and of an id."""
_LONG = f"a text of more than {MAX_TEXT:,} characters, cut there"
_PLACED = ("lon", "lat")
_FORMULA = ("'=", "'+", "'-", "'@")
"""How text begins that was written so that no spreadsheet takes it for a formula."""


@dataclass
class Described:
    """Observations of a table, in its order.

    Attributes:
        ids: of N observations, each once.
        types: (N,) the type of what each shows; empty where it is not said.
        chips: (N,) parts of the path of each one's chip; empty without.
        lonlat: (N, 2) degrees, NaN where the table does not say.
        texts: (row of the observation, entity, text) of every text.
        notes: what was lost, in words.
    """

    ids: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    chips: list[tuple[str, ...]] = field(default_factory=list)
    lonlat: Floats = field(default_factory=lambda: np.zeros((0, 2)))
    texts: list[tuple[int, str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_described(path: str | Path) -> Described:
    """The observations of a table.

    Raises:
        SourceError: it is missing or damaged, lacks a column, or too many rows cannot be used.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "multimodal_dataset.csv"
    >>> _ = file.write_text("obs_id,entity_id,entity_type,chip_path,text\\no1,e1,water,s2_chips/a.npz,a pond\\n")
    >>> found = read_described(file)
    >>> found.ids, found.types, found.chips, found.texts
    (['o1'], ['water'], [('s2_chips', 'a.npz')], [(0, 'e1', 'a pond')])
    """
    table = open_table(path)
    if missing := [name for name in COLUMNS if name not in table.names]:
        raise SourceError(
            f"{path} lacks the column {missing[0]!r} of a table of chips and texts ({', '.join(COLUMNS)}); it has "
            f"{', '.join(table.names[:20])}"
        )
    placed = [name for name in _PLACED if name in table.names]
    names = [*COLUMNS, *(placed if len(placed) == len(_PLACED) else ())]
    found, losses = Described(), Losses(path)
    row_of: dict[str, int] = {}
    lonlat: list[tuple[float, float]] = []
    at = 0
    for cells in _rows(table, names, losses):
        at += 1
        _take(dict(zip(names, cells, strict=True)), at, found, row_of, lonlat, losses)
    losses.check(at)
    if not found.ids:
        raise SourceError(f"{path} holds no row")
    found.lonlat = np.array(lonlat).reshape(-1, 2)
    found.notes = [*table.notes, *losses.notes(at)]
    return found


def _rows(table: OpenedTable, names: list[str], losses: Losses):  # type: ignore[no-untyped-def]
    for batch in table.batches(names, geometry=False, losses=losses):
        columns = [pc.cast(batch.columns[name], pa.string()).to_pylist() for name in names]
        yield from zip(*columns, strict=True)


def _take(
    cells: dict[str, str | None],
    at: int,
    found: Described,
    row_of: dict[str, int],
    lonlat: list[tuple[float, float]],
    losses: Losses,
) -> None:
    """Take one row."""
    number = (cells["obs_id"] or "").strip()
    if not number or len(number) > MAX_ID or not number.isprintable():
        losses.add("no obs_id", 1, f"row {at}, {number[:40]!r}", "give each observation an ID")
        return
    entity = (cells["entity_id"] or "").strip()[:MAX_ID] or number
    text = cleaned(cells["text"] or "")
    text = text[1:] if text.startswith(_FORMULA) else text
    if len(text) > MAX_TEXT:
        losses.add(_LONG, 1, f"row {at}, {len(text):,} characters", "shorten them", share=HARMLESS)
        text = text[:MAX_TEXT].rstrip()
    row = row_of.setdefault(number, len(found.ids))
    if row == len(found.ids):
        chip = PureWindowsPath((cells["chip_path"] or "").strip()).parts  # the founding code ran on Windows
        found.ids.append(number)
        found.types.append(cleaned(cells["entity_type"] or "")[:100])
        found.chips.append(tuple(part for part in chip if part not in ("/", "\\")))
        place = _degrees(cells.get("lon"), cells.get("lat"))
        if place is None:
            first = f"row {at}, lon {cells['lon']!r:.40}, lat {cells['lat']!r:.40}"
            losses.add(
                "coordinates that are not degrees",
                1,
                first,
                "write decimal degrees, or leave the cells empty",
            )
        lonlat.append(place or (np.nan, np.nan))
    if text:
        found.texts.append((row, entity, text))
    else:
        losses.add("no text", 1, f"row {at}, {number!r}", "write one, or leave the row out", share=HARMLESS)


def _degrees(lon: str | None, lat: str | None) -> tuple[float, float] | None:
    """Degrees; NaN where there are none, and None where they are no degrees."""
    try:
        found = float(lon or "nan"), float(lat or "nan")
    except ValueError:
        return None
    return None if abs(found[0]) > 180 or abs(found[1]) > 90 else found
