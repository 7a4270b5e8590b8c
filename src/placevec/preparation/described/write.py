"""Writes a dataset's chips and texts for the founding system: ``multimodal_dataset.csv`` and ``s2_chips/*.npz``."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from placevec.core import Look
from placevec.datasets.dataset import Dataset
from placevec.datasets.views.chips import KIND as CHIP_VIEWS
from placevec.datasets.views.chips import ChipsView
from placevec.errors import DatasetError, OutputError
from placevec.io import atomic
from placevec.io.progress import Progress
from placevec.preparation.described import CHIPS, COLUMNS
from placevec.sources.imagery.founding_chips import KEY

_AT_ONCE = 256
_WHOLE = ("uint8", "uint16", "int16")


class Told(Protocol):
    """What is written of each place."""

    def __call__(self, row: int, number: int) -> tuple[str, str, str] | None:
        """(entity, type, text) of a place's chip; None where nothing is said of it."""
        ...


def write_described(dataset: Dataset, path: Path, told: Told, *, progress: Progress) -> int:
    """Write one row for every chip of a place of which something is said; without chips, one for every such place.

    Args:
        dataset: with texts.
        path: of the CSV; the chips are written into a folder beside it.
        told: entity, type and text.
        progress: receives progress reports.

    Returns:
        How many rows.

    Raises:
        DatasetError: nothing is said of any place.
        OutputError: it cannot be written.
    """
    view = _chips_of(dataset)
    folder = path.parent / CHIPS
    if view is None:
        progress.say(f"Note: {dataset.path} has no chips: the column chip_path stays empty")
    else:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot write {folder}: {error.strerror}") from error
    rows: list[tuple[Any, ...]] = []
    with progress.task("Writing chips", total=len(dataset)) as advance:
        for start in range(0, len(dataset), _AT_ONCE):
            some = range(start, min(start + _AT_ONCE, len(dataset)))
            rows += _rows(dataset, view, folder, told, some, len(rows))
            advance(len(some))
    if not rows:
        raise DatasetError(f"no place of {dataset.path} has a text that can be written")
    if lost := len({str(place) for place in dataset.place_ids} - {row[0] for row in rows}):
        lacked = "no text" if view is None else "no text or no chip"
        progress.say(f"Note: {lost:,} of {len(dataset):,} places have {lacked} and are left out")
    atomic.write_csv(path, (*COLUMNS, "lon", "lat"), rows)
    return len(rows)


def _rows(
    dataset: Dataset, view: ChipsView | None, folder: Path, told: Told, places: Sequence[int], written: int
) -> Iterator[tuple[Any, ...]]:
    for row in places:
        number = str(dataset.place_ids[row])
        lon, lat = (float(one) if np.isfinite(one) else None for one in dataset.lonlat[row])
        for chip in range(1 if view is None else int(view.counts[row])):
            said = told(row, chip)
            if said is None:
                break
            entity, kind, text = said
            name = "" if view is None else f"{written + 1:06d}.npz"  # numbers: a path never comes from data
            if view is not None:
                _write_chip(view, row, chip, folder / name)
            written += 1
            observation = number if chip == 0 else f"{number}#{chip + 1}"
            yield observation, entity, kind, f"{CHIPS}/{name}" if name else "", text, lon, lat


def _write_chip(view: ChipsView, row: int, chip: int, path: Path) -> None:
    look = Look(torch.tensor([row]), None, {"chip": torch.tensor([chip])})
    pixels = view.read(look)[0].numpy()
    kind = view.spec.values.split(" ")[0]
    content = io.BytesIO()
    stored: dict[str, Any] = {KEY: pixels.astype(kind if kind in _WHOLE else "float32")}
    np.savez_compressed(content, **stored)
    atomic.write_bytes(path, content.getvalue())


def _chips_of(dataset: Dataset) -> ChipsView | None:
    for name in dataset.view_names:
        if dataset.spec(name).kind == CHIP_VIEWS:
            view = dataset.view(name)
            assert isinstance(view, ChipsView)
            return view
    return None
