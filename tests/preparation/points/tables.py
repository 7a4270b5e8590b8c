"""Small datasets of labeled points, written as `placevec prepare sphere2vec` writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from placevec.datasets.dataset import Dataset
from placevec.datasets.labels import LABELS, SPLITS
from placevec.datasets.layout import PLACES
from placevec.datasets.views.coordinates import SPEC
from placevec.datasets.writer import write_manifest
from placevec.geo import Area
from placevec.geo.geoparquet import write_geoparquet
from tests.unsealed import unsealed


def globe(count: int, seed: int = 0) -> np.ndarray:
    """(count, 2) points all over the Earth."""
    random = np.random.default_rng(seed)
    return np.stack(
        [random.uniform(-180, 180, count), np.degrees(np.arcsin(random.uniform(-1, 1, count)))], axis=1
    )


def octants(lonlat: np.ndarray) -> np.ndarray:
    """(N,) class 0 to 7: which eighth of the Earth."""
    return ((lonlat[:, 0] > 0) * 1 + (lonlat[:, 0] % 180 > 90) * 2 + (lonlat[:, 1] > 0) * 4).astype(np.int32)


def write_points(
    path: Path,
    lonlat: np.ndarray,
    values: np.ndarray,
    *,
    classes: tuple[str, ...] | None = None,
    users: np.ndarray | None = None,
    dates: np.ndarray | None = None,
    split: np.ndarray | None = None,
) -> Dataset:
    """A dataset of points; ``values`` are class indices with ``classes``, else numbers."""
    import shapely

    count = len(lonlat)
    geometry = np.asarray(shapely.points(lonlat), object)
    geometry[~np.isfinite(lonlat).all(axis=1)] = None
    columns = {
        "place_id": pa.array([f"p{row}" for row in range(count)], pa.string()),
        "lon": pa.array(lonlat[:, 0], pa.float64()),
        "lat": pa.array(lonlat[:, 1], pa.float64()),
        "name": pa.array([None] * count, pa.string()),
    }
    write_geoparquet(path / PLACES, columns, geometry)
    table: dict[str, Any] = {"label": pa.array(values, pa.float64() if classes is None else pa.int32())}
    if users is not None:
        table["user"] = pa.array(users, pa.int32())
    if dates is not None:
        table["date"] = pa.array(dates, pa.float64())
    if split is not None:
        table["split"] = pa.array([SPLITS[side] for side in split], pa.string())
    pq.write_table(pa.table(table), path / LABELS)
    kind = "number" if classes is None else "classes"
    return write_manifest(
        path, name="points", area=Area(-180.0, -90.0, 180.0, 90.0),
        places={"count": count, "grid": "given", "zoom": None, "size_m": None, "spacing_m": None},
        sources=[{"attribution": "made for a test"}], views={"coordinates": {"spec": SPEC.as_dict(), "files": []}},
        report={}, created="2026-01-01T00:00:00+00:00",
        labels={"file": LABELS, "kind": kind, "column": "label", "classes": list(classes or ())},
    )  # fmt: skip


def octant_points(path: Path, count: int = 600, **options: Any) -> Dataset:
    """Points all over the Earth, each of the class of its octant."""
    lonlat = globe(count)
    return write_points(
        path, lonlat, octants(lonlat), classes=tuple(f"octant {n}" for n in range(8)), **options
    )


def add_predictions(path: Path, files: dict[str, str], rows: np.ndarray) -> Dataset:
    """The same dataset with predictions of an image classifier: side -> file in it, and the row of each place."""
    table = pq.read_table(path / LABELS).append_column("image_row", pa.array(rows, pa.int32()))
    pq.write_table(table, path / LABELS)
    manifest = json.loads((path / "dataset.json").read_text())
    manifest["labels"]["image_predictions"] = {side: {"file": file} for side, file in files.items()}
    (path / "dataset.json").write_text(json.dumps(unsealed(manifest)))
    return Dataset.open(path)
