"""Entities of an extract and their texts in a dataset: ``entities.parquet`` and a ``text`` view.

The places of a new dataset are the entities. Existing places get the names of the entities in their windows, and words
for all features in them, named or not.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from placevec.core import ViewSpec
from placevec.datasets import entities
from placevec.datasets.additions import PLACES_PART, Joining, Made, add, is_made, reused
from placevec.datasets.dataset import Dataset
from placevec.datasets.layout import WORK
from placevec.datasets.places import Places
from placevec.datasets.views import text
from placevec.datasets.writer import begun, write_dataset
from placevec.errors import AreaError, DatasetError
from placevec.geo import Area
from placevec.geo.geoparquet import geometry_of
from placevec.io import atomic
from placevec.io.jobs import Parts
from placevec.io.progress import Progress
from placevec.preparation.entity_texts import write_texts_of_entities, write_texts_of_places
from placevec.preparation.existing_places import are_laid_out_by, places_of, refuse_others
from placevec.preparation.osm import ATTRIBUTION, area_within, held_area, source_of
from placevec.preparation.surroundings import Windows, boxes_of
from placevec.sources.osm.entities.entities import Entities, EntityReport, read_entities
from placevec.sources.osm.entities.types import DEFAULT, TypeTable
from placevec.sources.osm.extracts import Extract, resolve_extract
from placevec.sources.osm.reader import read_header

KIND = "entities"
OUTSIDE = "entities outside the area"
_METHOD = 1
"""Raised whenever the same inputs would give other entities or texts."""
_NOTE = "entities.part"


def prepare(
    out: Path,
    *,
    osm: str | Path | None,
    osm_name: str | None,
    types: str | Path | None,
    area: Area | None,
    size_m: float | None,
    created: str,
    progress: Progress,
) -> Dataset:
    """Read the entities of an extract and make a dataset of them, or add them and their texts to one that is there.

    Args:
        out: the dataset directory.
        osm, osm_name: the extract, see `placevec.sources.osm.extracts.resolve_extract`.
        types: table of types, see `TypeTable.of`; the default one when None.
        area: entities with a point in it; None: all that the extract covers.
        size_m: side of the places of a new dataset; None: points of no size.
        created: when, in ISO 8601.
        progress: where to report.

    Raises:
        SourceError: the extract is missing or damaged.
        AreaError: the area, or the places, lie outside of the extract.
        DatasetError: no entity, another dataset, or texts that were made otherwise.
    """
    table = TypeTable.of(DEFAULT if types is None else types)
    extract = resolve_extract(osm, osm_name, progress=progress)
    header = read_header(extract.path)
    area = area_within(extract, held_area(extract, header.area), area)
    job = _Job(extract, header.timestamp, atomic.sha256_of_file(extract.path), table, area, progress)
    there = begun(out)
    if there is not None and not are_laid_out_by(there, KIND):
        refuse_others(there, {}, places=None, size_m=size_m)
        if is_made(there, text.NAME, job.made()):
            return reused(there, {text.NAME: job.made()}, progress)
        return _added(there, job, created)
    parts = {PLACES_PART: job.made(size_m=size_m), text.NAME: job.made()}
    if there is not None:
        return reused(there, parts, progress)
    staged = out / WORK / KIND
    staged.mkdir(parents=True, exist_ok=True)
    about = job.write_entities(staged, staged)
    laid, names = _places(staged / entities.FILE, size_m)
    about["texts"] = write_texts_of_entities(
        staged / text.FILE, staged / entities.FILE, extract.path, table, Windows(boxes_of(laid)), work=staged,
        progress=progress,
    )  # fmt: skip
    atomic.move_files(staged, out, [entities.FILE, text.FILE])
    dataset = write_dataset(
        out, name=extract.name, area=area, places=laid, names=names, sources=[job.source()],
        views={text.NAME: _view()}, report={KIND: about}, parts=parts, created=created,
    )  # fmt: skip
    shutil.rmtree(out / WORK, ignore_errors=True)
    return dataset


def _added(dataset: Dataset, job: _Job, created: str) -> Dataset:
    """The dataset with entities, and what is said of its places."""
    lonlat = dataset.lonlat[dataset.require_coordinates(np.arange(len(dataset)), "a text from an extract")]
    inside = job.area.contains(lonlat[:, 0], lonlat[:, 1])
    if not inside.any():
        west, south, east, north = job.area.bounds
        raise AreaError(
            f"{dataset.path}: its places are elsewhere: none of {len(lonlat):,} is in {job.extract.name}, of which "
            f"{west:g},{south:g},{east:g},{north:g} (west,south,east,north) is read; the first is lon={lonlat[0, 0]:g}, "
            f"lat={lonlat[0, 1]:g}"
        )
    if not inside.all():
        job.progress.say(
            f"Note: {int((~inside).sum()):,} of {len(inside):,} places are outside the area read"
        )

    def write(folder: Path) -> Joining:
        about = job.write_entities(folder, folder.parent)
        about["texts"] = write_texts_of_places(
            folder / text.FILE, folder / entities.FILE, dataset.place_ids, job.extract.path, job.table,
            Windows(boxes_of(places_of(dataset))), work=folder.parent, progress=job.progress,
        )  # fmt: skip
        return Joining(
            f"{about['entities']:,} entities and {about['texts']:,} texts", [text.FILE, entities.FILE], [job.source()],
            views={text.NAME: _view()}, report={KIND: about},
        )  # fmt: skip

    return add(dataset, text.NAME, job.made(), write, created=created, progress=job.progress)


@dataclass(frozen=True)
class _Job:
    """Entities to be read, and all that they depend on."""

    extract: Extract
    timestamp: str | None
    sha256: str
    table: TypeTable
    area: Area
    progress: Progress

    def made(self, **more: Any) -> Made:
        """What makes them."""
        inputs = {
            "method": _METHOD,
            "extract": self.sha256,
            "area": self.area.as_dict(),
            "types": self.table.hash,
        }
        return Made(KIND, {**inputs, **more})

    def source(self) -> dict[str, Any]:
        """The manifest's entry of where they are from."""
        return source_of(self.extract, self.sha256, self.timestamp)

    def write_entities(self, folder: Path, work: Path) -> dict[str, Any]:
        """Write ``entities.parquet``, unless a killed command has; what was met, for the manifest."""
        parts = Parts(work, atomic.sha256_of_json(self.made().plain().inputs)[:16])
        if (told := parts.get(_NOTE)) is not None:
            return dict(json.loads(told))
        report, outside = EntityReport(), 0
        with (
            atomic.replacing(folder / entities.FILE) as temporary,
            entities.EntityWriter(temporary, ATTRIBUTION) as writer,
        ):
            for some in read_entities(
                self.extract.path, self.table, report=report, work=work, progress=self.progress
            ):
                inside = np.flatnonzero(self.area.contains(some.lonlat[:, 0], some.lonlat[:, 1]))
                outside += len(some) - len(inside)
                if len(inside):
                    writer.add(_columns(some, inside), some.geometry[inside])
            kept = writer.rows
        if not kept:
            raise DatasetError(
                f"{self.extract.name} holds no entity in the area: of {report.objects:,} objects with a name and a type, "
                f"{outside:,} entities are outside; choose another table of types with --types"
            )
        report.problems[OUTSIDE] += outside
        about = {**report.as_dict(), "entities": kept}
        parts.put(_NOTE, json.dumps(about).encode(), [folder / entities.FILE])
        self.progress.say(f"{kept:,} entities of {report.objects:,} named objects")
        return about


def _columns(some: Entities, rows: np.ndarray[Any, Any]) -> dict[str, Any]:
    """The columns of ``entities.parquet`` but the geometry."""
    chosen = [some.rows[row] for row in rows.tolist()]
    return {
        "entity_id": [one.entity_id for one in chosen],
        "type": [one.type for one in chosen],
        "wikidata": [one.wikidata for one in chosen],
        "name": [one.name for one in chosen],
        "names": [[name._asdict() for name in one.names] for one in chosen],
        "words": [one.words for one in chosen],
        "osm_ids": [one.osm_ids for one in chosen],
        "lon": some.lonlat[rows, 0],
        "lat": some.lonlat[rows, 1],
    }


def _places(path: Path, size_m: float | None) -> tuple[Places, np.ndarray[Any, Any]]:
    """The entities as places, and their names."""
    table = entities.read_entities(path, ["entity_id", "name", "lon", "lat", "geometry"])
    lonlat = np.stack([np.asarray(table[side], np.float64) for side in ("lon", "lat")], axis=1)
    ids, names = (np.array(table[column].to_pylist(), object) for column in ("entity_id", "name"))
    return Places(ids, lonlat, geometry_of(table), size_m, "given"), names


def _view() -> dict[str, Any]:
    spec = ViewSpec(text.NAME, text.KIND, (), text.VALUES)
    return {"spec": spec.as_dict(), "files": [text.FILE, entities.FILE]}
