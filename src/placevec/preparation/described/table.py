"""Reads ``multimodal_dataset.csv``, or any table with its columns: observations, their chips and texts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from placevec.errors import SourceError
from placevec.geo import Floats
from placevec.geo.coordinate_names import coordinate_pairs
from placevec.preparation.described import COLUMNS
from placevec.sources.osm.entities.names import cleaned
from placevec.sources.tables.batches import Batch, OpenedTable
from placevec.sources.tables.degrees import REMEDY, degrees
from placevec.sources.tables.losses import HARMLESS, Losses
from placevec.sources.tables.opened import open_table
from placevec.sources.tables.values import Longitudes, plain, with_points

MAX_TEXT, MAX_ID = 2_000, 300
"""Characters of a text, which is cut there, and of an id."""
_LONG = f"a text of more than {MAX_TEXT:,} characters, cut there"
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
    placed = next((pair for pair in coordinate_pairs(table.names, COLUMNS) if pair[0].lower() != "x"), None)
    found, losses, longitudes = Described(), Losses(path), Longitudes(path)
    row_of: dict[str, int] = {}
    lonlat: list[Floats] = []
    at = 0
    for batch in table.batches([*COLUMNS, *(placed or ())], geometry=False, losses=losses):
        places, odd = _places(table, batch, placed, at, longitudes)
        columns = [pc.cast(batch.columns[name], pa.string()).to_pylist() for name in COLUMNS]
        for row, cells in enumerate(zip(*columns, strict=True)):
            at += 1
            if _take(dict(zip(COLUMNS, cells, strict=True)), at, found, row_of, losses):
                lonlat.append(places[row])
                losses.add("coordinates that are not degrees", int(row in odd), odd.get(row, ""), REMEDY)
    losses.check(at)
    if not found.ids:
        raise SourceError(f"{path} holds no row")
    found.lonlat = np.array(lonlat).reshape(-1, 2)
    found.notes = [*table.notes, *losses.notes(at)]
    return found


def _places(
    table: OpenedTable, batch: Batch, names: tuple[str, str] | None, first: int, longitudes: Longitudes
) -> tuple[Floats, dict[int, str]]:
    """((N, 2) degrees, NaN without; row -> what it holds, of rows whose cells are no degrees on Earth)."""
    if names is None:
        return np.full((batch.rows, 2), np.nan), {}
    what = [f"{table.path}, column {name!r}," for name in names]
    cells = [plain(batch.columns[name], said) for name, said in zip(names, what, strict=True)]
    if table.decimal_comma:
        cells = [with_points(one) for one in cells]
    lon, no_lon = degrees(cells[0], "lon", what[0], first)
    lat, no_lat = degrees(cells[1], "lat", what[1], first)
    wrong = no_lon | no_lat | (lon < -180) | (lon > 360) | (np.abs(lat) > 90)
    lonlat = np.where((wrong | np.isnan(lon) | np.isnan(lat))[:, None], np.nan, np.stack([lon, lat], 1))
    longitudes.within_180(lonlat, first, table.path, names)
    return lonlat, {
        int(row): f"row {first + row + 1}, "
        + ", ".join(f"{name} {str(one[row])[:40]!r}" for name, one in zip(names, cells, strict=True))
        for row in np.flatnonzero(wrong).tolist()
    }


def _take(
    cells: dict[str, str | None], at: int, found: Described, row_of: dict[str, int], losses: Losses
) -> bool:
    """Take one row; whether it is the first of its observation."""
    number = (cells["obs_id"] or "").strip()
    if not number or len(number) > MAX_ID or not number.isprintable():
        losses.add("no obs_id", 1, f"row {at}, {number[:40]!r}", "give each observation an ID")
        return False
    entity = (cells["entity_id"] or "").strip()[:MAX_ID] or number
    text = cleaned(cells["text"] or "")
    text = text[1:] if text.startswith(_FORMULA) else text
    if len(text) > MAX_TEXT:
        losses.add(_LONG, 1, f"row {at}, {len(text):,} characters", "shorten them", share=HARMLESS)
        text = text[:MAX_TEXT].rstrip()
    row = row_of.setdefault(number, len(found.ids))
    first = row == len(found.ids)
    if first:
        chip = PureWindowsPath((cells["chip_path"] or "").strip()).parts  # the founding code ran on Windows
        found.ids.append(number)
        found.types.append(cleaned(cells["entity_type"] or "")[:100])
        found.chips.append(tuple(part for part in chip if part not in ("/", "\\")))
    if text:
        found.texts.append((row, entity, text))
    else:
        losses.add("no text", 1, f"row {at}, {number!r}", "write one, or leave the row out", share=HARMLESS)
    return first
