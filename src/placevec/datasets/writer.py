"""Writes a new dataset directory: its places and views and, last of all, the manifest.

Later parts are added by `placevec.datasets.additions.Addition`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from placevec._version import __version__
from placevec.datasets.additions import Made, provenance, reused
from placevec.datasets.dataset import Dataset
from placevec.datasets.layout import FORMAT, MANIFEST, PLACES, SCHEMA_VERSION, WORK
from placevec.datasets.places import Objects, Places
from placevec.errors import DatasetError, InputError
from placevec.geo import Area
from placevec.geo.geoparquet import write_geoparquet
from placevec.io import atomic
from placevec.io.checksums import sha256_of_files, write_sealed
from placevec.io.progress import SILENT, Progress


def begun(out: Path) -> Dataset | None:
    """The existing dataset in a directory; None if a new one can be written, or an unfinished one continued.

    Raises:
        DatasetError: the directory holds something else.
    """
    if (out / MANIFEST).exists() or (out / WORK).is_dir():
        atomic.remove_temporaries(out)
    if (out / MANIFEST).exists():
        return Dataset.open(out)
    if out.exists() and any(path.name != WORK for path in out.iterdir()) and not (out / WORK).is_dir():
        raise DatasetError(f"{out} exists and is not a placevec dataset: choose another --out")
    return None


def begin(out: Path, parts: Mapping[str, Made], progress: Progress = SILENT) -> Dataset | None:
    """Create the directory of a new dataset and return None, or return the existing dataset if it has the same parts.

    Args:
        out: the directory, which can hold the unfinished work of a killed command.
        parts: provenance of each part; also passed to `write_dataset`.
        progress: told about a reused dataset.

    Raises:
        DatasetError: the directory holds something else, or a dataset made from other inputs; the message says which.
    """
    if (there := begun(out)) is not None:
        return reused(there, parts, progress)
    (out / WORK).mkdir(parents=True, exist_ok=True)
    return None


def write_dataset(
    path: Path,
    *,
    name: str,
    area: Area,
    places: Places,
    names: Objects | None,
    sources: Sequence[dict[str, Any]],
    views: dict[str, dict[str, Any]],
    report: dict[str, Any],
    parts: Mapping[str, Made] | None = None,
    created: str,
) -> Dataset:
    """Write the places and, last of all, the manifest; returns the dataset, opened and validated.

    Raises:
        DatasetError: there is a dataset already.

    >>> import tempfile
    >>> import numpy as np
    >>> place = Places(np.array(["a"], object), np.array([[24.94, 60.17]]), np.array([None]), None, "given")
    >>> dataset = write_dataset(
    ...     Path(tempfile.mkdtemp()), name="stations", area=Area(24.9, 60.1, 25.0, 60.2), places=place, names=None,
    ...     sources=[{"kind": "table", "attribution": "FMI"}], views={}, report={}, created="2026-01-01T00:00:00Z",
    ... )
    >>> len(dataset), dataset.lonlat.tolist(), dataset.attribution
    (1, [[24.94, 60.17]], 'FMI')
    """
    if (path / MANIFEST).exists():
        raise DatasetError(f"{path} is already a dataset: choose another --out, or recreate it with --force")
    ids, counts = np.unique(np.asarray(places.place_id, str), return_counts=True)
    if (counts > 1).any():
        raise InputError(
            f"place_id {str(ids[counts.argmax()])!r} occurs {counts.max()} times: every place needs a unique ID"
        )
    columns = {
        "place_id": pa.array(list(places.place_id), pa.string()),
        "lon": pa.array(places.lonlat[:, 0], pa.float64()),
        "lat": pa.array(places.lonlat[:, 1], pa.float64()),
        "name": pa.array([None] * len(places) if names is None else list(names), pa.string()),
    }
    write_geoparquet(path / PLACES, columns, places.geometry)
    layout = {"count": len(places), "grid": places.grid, "zoom": places.zoom}
    layout |= {"spacing_m": places.spacing_m, "size_m": places.size_m}
    return write_manifest(
        path,
        name=name,
        area=area,
        places=layout,
        sources=sources,
        views=views,
        report=report,
        parts=parts,
        created=created,
    )


def write_manifest(
    path: Path,
    *,
    name: str,
    area: Area,
    places: dict[str, Any],
    sources: Sequence[dict[str, Any]],
    views: dict[str, dict[str, Any]],
    report: dict[str, Any],
    created: str,
    parts: Mapping[str, Made] | None = None,
    labels: dict[str, Any] | None = None,
) -> Dataset:
    """Write the manifest, last of all; ``places`` describes the layout in ``places.parquet``, ``parts`` the provenance
    of each part, ``labels`` the labels as in `placevec.datasets.labels.check_about`. Returns the dataset, opened and
    validated.
    """
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "schema_version": SCHEMA_VERSION,
        "placevec_version": __version__,
        "name": name,
        "created": created,
        "area": area.as_dict(),
        "sources": list(sources),
        "places": {**places, "sha256": ""},
        "views": views,
        "provenance": provenance(parts or {}, sources=len(sources), created=created),
        "report": report,
        "files": sha256_of_files(path, _files_in(path)),
    }
    if labels is not None:
        manifest["labels"] = {**labels, "sha256": manifest["files"][labels["file"]]}
    manifest["places"]["sha256"] = manifest["files"][PLACES]
    write_sealed(path / MANIFEST, manifest)
    return Dataset.open(path)


def _files_in(path: Path) -> list[str]:
    """The files of a new dataset, relative to it, without unfinished work, which is hidden."""
    names = (file.relative_to(path) for file in path.rglob("*") if file.is_file() and file != path / MANIFEST)
    return [name.as_posix() for name in names if not any(part.startswith(".") for part in name.parts)]
